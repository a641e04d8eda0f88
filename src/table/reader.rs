//! stub
use super::iterator::TableIterator;
use super::properties::TableProperties;
use super::{TableOptions, TableReadOptions};
use crate::env::RandomAccessFile;
use crate::error::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// How a look-up in one table went.
pub enum TableGet<R> {
    /// The callback ran on the first entry at or after the look-up key, and this is what it returned.
    Found(R),
    /// No entry at or after the key (in the block that would have it), or the filter says no.
    Missing {
        /// Was a data block looked at? (A seek is charged only for real block reads, never for a filter's answer.)
        block_read: bool,
    },
}

/// An open table; shared between threads.
pub struct Table {}

impl Table {
    /// Opens and checks: footer, index, filter, properties. `path` is for messages.
    pub fn open(
        options: Arc<TableOptions>,
        file: Arc<dyn RandomAccessFile>,
        path: PathBuf,
        file_size: u64,
    ) -> Result<Arc<Table>> {
        todo!()
    }
    /// Finds the first entry at or after `internal_key` in the block where it would be, and hands (internal key, value) to `found` (not
    /// copied anywhere). `found` is not called when the entry's user key is another.
    pub fn get<R>(
        &self,
        read: TableReadOptions,
        internal_key: &[u8],
        found: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> Result<TableGet<R>> {
        todo!()
    }
    /// Iterates.
    pub fn iter(self: &Arc<Self>, read: TableReadOptions) -> TableIterator {
        todo!()
    }
    /// About where in the file the entry at or after this internal key lies.
    pub fn approximate_offset_of(&self, internal_key: &[u8]) -> u64 {
        todo!()
    }
    /// What the table says of itself; `None` for tables that LevelDB wrote.
    pub fn properties(&self) -> Option<&TableProperties> {
        todo!()
    }
}
