//! Look-ups of single keys.
//!
//! Thread rule: any thread, also inside of a user's comparator: a look-up takes neither the writer's turn nor
//! the state mutex.

use crate::column_family::ColumnFamily;
use crate::db::Db;
use crate::db::families::ColumnFamilyHandle;
use crate::db::read::options::ReadOptions;
use crate::db::shared::DbShared;
use crate::error::{Error, Result};
use crate::format::internal_key::LookupKey;
use crate::options::ReadAt;
use crate::table::TableReadOptions;
use std::sync::atomic::Ordering;

impl From<&ReadAt> for TableReadOptions {
    fn from(options: &ReadAt) -> Self {
        TableReadOptions { verify_checksums: options.verify_checksums, fill_cache: options.fill_cache }
    }
}

impl Db {
    /// The value of `key`; `None` if it has none. IoError if there is no memory for the value.
    pub fn get(&self, options: &ReadOptions<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_with(options, key, copy)?.transpose()
    }

    /// As `get`, from a column family. InvalidArgument if the family is of another database. A family that
    /// was dropped can still be read.
    pub fn get_cf(
        &self,
        family: &ColumnFamilyHandle,
        options: &ReadOptions<'_>,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.get_with_cf(family, options, key, copy)?.transpose()
    }

    /// Hands the value of `key` to `found`, without a copy, and returns the result of `found`; `None` if the
    /// key has no value. `found` may call the database.
    #[inline]
    pub fn get_with<R>(
        &self,
        options: &ReadOptions<'_>,
        key: &[u8],
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.inner.get_at(&self.inner.default_family, &options.resolve(&self.inner)?, key, found)
    }

    /// As `get_with`, from a column family. Errors as `get_cf`.
    #[inline]
    pub fn get_with_cf<R>(
        &self,
        family: &ColumnFamilyHandle,
        options: &ReadOptions<'_>,
        key: &[u8],
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.get_at_cf(family, &options.resolve(&self.inner)?, key, found)
    }

    /// As `get_with_cf`, at a sequence number whose snapshot the caller holds.
    #[inline]
    pub(crate) fn get_at_cf<R>(
        &self,
        family: &ColumnFamilyHandle,
        read: &ReadAt,
        key: &[u8],
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.inner.get_at(family.of(&self.inner)?, read, key, found)
    }

    /// As `get_with`, at a sequence number whose snapshot the caller holds.
    #[inline]
    pub(crate) fn get_at<R>(
        &self,
        read: &ReadAt,
        key: &[u8],
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.inner.get_at(&self.inner.default_family, read, key, found)
    }
}

/// A copy of a value.
fn copy(value: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(value.len()).map_err(|_| Error::io("no memory for the value"))?;
    copy.extend_from_slice(value);
    Ok(copy)
}

impl DbShared {
    #[inline]
    fn get_at<R>(
        &self,
        family: &ColumnFamily,
        read: &ReadAt,
        key: &[u8],
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.check_process()?;
        let view = family.super_version.with();
        let sequence = read.sequence.unwrap_or_else(|| self.last_sequence.load(Ordering::Acquire));
        let key = LookupKey::new(key, sequence);
        let (value, charge) = view.get(read.into(), &key, family.options.seek_compaction, found)?;
        drop(view);
        if let Some((level, file)) = charge {
            self.charge_seek(family.id, level, file);
        }
        Ok(value)
    }
}
