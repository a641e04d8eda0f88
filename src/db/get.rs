//! Point reads.

use super::Db;
use super::state::DbInner;
use crate::error::{Error, Result};
use crate::format::internal_key::LookupKey;
use crate::options::ReadOptions;
use crate::table::TableReadOptions;
use std::sync::atomic::Ordering;

impl From<&ReadOptions> for TableReadOptions {
    fn from(options: &ReadOptions) -> Self {
        TableReadOptions {
            verify_checksums: options.verify_checksums,
            fill_cache: options.fill_cache,
            leaves_stored: false,
        }
    }
}

impl Db {
    /// The value of `key`; `None` where it has none.
    pub fn get(&self, options: &ReadOptions, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let copy = |value: &[u8]| {
            let mut copy = Vec::new();
            copy.try_reserve_exact(value.len()).map_err(|_| Error::io("no memory for the value"))?;
            copy.extend_from_slice(value);
            Ok(copy)
        };
        self.get_with(options, key, copy)?.transpose()
    }

    /// Hands the value of `key` to `found`, uncopied, and returns what that returned; `None` where it has none. `found` may call
    /// the database.
    #[inline]
    pub fn get_with<R>(
        &self,
        options: &ReadOptions,
        key: &[u8],
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.inner.get_with(options, key, found)
    }
}

impl DbInner {
    #[inline]
    fn get_with<R>(
        &self,
        options: &ReadOptions,
        key: &[u8],
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.check_process()?;
        let view = self.family.super_version.with();
        let sequence = options.snapshot.unwrap_or_else(|| self.last_sequence.load(Ordering::Acquire));
        let key = LookupKey::new(key, sequence);
        let (value, charge) = view.get(options.into(), &key, self.options.seek_compaction, found)?;
        drop(view);
        if let Some((level, file)) = charge {
            self.charge_seek(level, file);
        }
        Ok(value)
    }
}
