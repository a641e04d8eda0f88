//! stub
use crate::env::Env;
use crate::env::info_log::Logger;
use crate::error::Result;
use crate::memtable::memtable::Memtable;
use crate::table::cache::TableCache;
use crate::version::file_metadata::FileMetaData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What a compaction or a flush needs from its database; everything is borrowed for the time of the job, which runs without the
/// state mutex.
pub struct JobContext<'a> {
    /// The system.
    pub env: &'a Arc<dyn Env>,
    /// The directory.
    pub db: &'a Path,
    /// Open tables (and the table options).
    pub table_cache: &'a Arc<TableCache>,
    /// The next file number; a job takes its output's numbers with fetch_add.
    pub next_file_number: &'a AtomicU64,
    /// Live snapshots, ascending, then the last sequence number when the job began.
    pub snapshots: Vec<u64>,
    /// Set when the database closes: the job stops at the next entry with an IO error "database is closing".
    pub shutting_down: &'a AtomicBool,
    /// Fail on damaged entries instead of passing them on.
    pub paranoid_checks: bool,
    /// Log.
    pub info_log: &'a Arc<dyn Logger>,
}

/// Writes the entries of `memtables` (oldest first) that anyone can still see into one new table with number `number`: written, synced, the
/// directory synced, opened once to check it; nothing is installed. `None` if nothing is left to write (no file is left
/// either). A deletion is always kept. On an error the file is removed.
pub fn run(
    memtables: &[Arc<Memtable>],
    number: u64,
    context: &JobContext<'_>,
) -> Result<Option<Arc<FileMetaData>>> {
    todo!()
}
