//! How the tables of a directory were found to be compressed, for new ones where the options leave that open.
//!
//! The worlds of Minecraft are such directories: the game reads blocks that are stored as they are, and those of zlib and raw deflate, and no
//! others. The newest tables are looked at once, before the first new one is written; what compactions meet later is noted.
//!
//! Shared between threads; what is noted by one may be seen a moment later by another.

use crate::compression::Compression;
use crate::table::cache::TableCache;
use crate::version::version::Version;
use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// So many of the newest tables are looked at.
const LOOKS: usize = 8;

const NOT_LOOKED: u8 = 0;
const NEITHER: u8 = 1;
const ZLIB: u8 = 2;
const RAW_DEFLATE: u8 = 3;

/// What was found.
#[derive(Default)]
pub struct FoundCompression(AtomicU8);

impl FoundCompression {
    /// zlib or raw deflate, if tables of it were found.
    pub fn get(&self) -> Option<Compression> {
        match self.0.load(Ordering::Relaxed) {
            ZLIB => Some(Compression::Zlib),
            RAW_DEFLATE => Some(Compression::RawDeflate),
            _ => None,
        }
    }

    /// A table of this compression was found. Others than zlib and raw deflate are nothing to go by.
    pub fn note(&self, compression: Compression) {
        match compression {
            Compression::Zlib => self.0.store(ZLIB, Ordering::Relaxed),
            Compression::RawDeflate => self.0.store(RAW_DEFLATE, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Looks at the newest tables of the version, unless that was done. A table that cannot be opened now is looked at another time.
    pub fn look(&self, version: &Version, table_cache: &Arc<TableCache>) {
        if self.0.load(Ordering::Relaxed) != NOT_LOOKED {
            return;
        }
        let mut newest: Vec<_> = version.levels.iter().flatten().collect();
        newest.sort_unstable_by_key(|file| Reverse(file.number));
        let mut all_were_seen = true;
        for file in newest.into_iter().take(LOOKS) {
            match file.table(table_cache).map(|table| table.compression()) {
                Ok(Some(compression)) if compression.is_of_minecraft() => return self.note(compression),
                Ok(_) => {}
                Err(error) => all_were_seen &= error.is_unreadable_block(),
            }
        }
        if all_were_seen {
            let _ = self.0.compare_exchange(NOT_LOOKED, NEITHER, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}
