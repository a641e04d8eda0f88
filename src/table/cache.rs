//! stub
use super::TableOptions;
use super::reader::Table;
use crate::env::{Env, ReadMode};
use crate::error::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// The open tables of a database, at most as many as `max_open_files` allows.
pub struct TableCache {}

/// A place among the tables that stay open as long as their file is part of a version.
pub struct PinPermit {}

impl TableCache {
    /// `capacity`: tables open at once.
    pub fn new(
        env: Arc<dyn Env>,
        db: PathBuf,
        options: Arc<TableOptions>,
        read_mode: ReadMode,
        capacity: usize,
    ) -> Arc<Self> {
        todo!()
    }
    /// The open table of file `number`, opened if need be (`.ldb`, else `.sst`; missing: "Corruption: N missing files" is the
    /// caller's business, here NotFound with the path).
    pub fn find(&self, number: u64, file_size: u64) -> Result<Arc<Table>> {
        todo!()
    }
    /// A permit to keep one more table open outside of the cache's own list (and so without a look-up), while there is room.
    pub fn try_pin(self: &Arc<Self>, number: u64) -> Option<PinPermit> {
        todo!()
    }
    /// Forgets the table of a file that is going to be removed.
    pub fn evict(&self, number: u64) {
        todo!()
    }
    /// What tables have in common.
    pub fn options(&self) -> &Arc<TableOptions> {
        todo!()
    }
    /// The directory.
    pub fn db(&self) -> &std::path::Path {
        todo!()
    }
    /// The system.
    pub fn env(&self) -> &Arc<dyn Env> {
        todo!()
    }
}
