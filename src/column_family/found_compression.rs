//! The codec of a directory's existing tables. New tables get it if the options leave the codec open.
//!
//! Worlds of Minecraft are such directories. The game reads uncompressed blocks and blocks of zlib and of raw
//! deflate, and no others. The newest tables are examined once, before the first new one is written.
//! Compactions record the codec of tables that they meet later.
//!
//! Shared between threads. A value that one thread records may be seen a moment later by another.

use crate::compression::Compression;
use crate::table::cache::TableCache;
use crate::version::Version;
use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The number of newest tables that are examined.
const LOOKS: usize = 8;

const NOT_LOOKED: u8 = 0;
const NEITHER: u8 = 1;
const ZLIB: u8 = 2;
const RAW_DEFLATE: u8 = 3;

/// The codec that was found, if any.
#[derive(Default)]
pub struct FoundCompression(AtomicU8);

impl FoundCompression {
    /// zlib or raw deflate, if a table with that codec was found.
    pub fn get(&self) -> Option<Compression> {
        match self.0.load(Ordering::Relaxed) {
            ZLIB => Some(Compression::Zlib),
            RAW_DEFLATE => Some(Compression::RawDeflate),
            _ => None,
        }
    }

    /// Records that a table with this codec was found. Codecs other than zlib and raw deflate are ignored.
    pub fn note(&self, compression: Compression) {
        match compression {
            Compression::Zlib => self.0.store(ZLIB, Ordering::Relaxed),
            Compression::RawDeflate => self.0.store(RAW_DEFLATE, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Examines the newest tables of the version, unless that was done before. If a table cannot be opened
    /// now, a later call examines the tables again.
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
