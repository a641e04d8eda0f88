//! What a flush, a compaction, a recovery or a repair lends to the job that writes its tables.
//!
//! Thread rule: it has shared references only. A job may share it with the threads of its subcompactions.

use crate::column_family::found_compression::FoundCompression;
use crate::compression::Compression;
use crate::env::Env;
use crate::env::info_log::Logger;
use crate::error::Result;
use crate::format::column_family_id::ColumnFamilyId;
use crate::job::compaction_iterator::{self, CompactionIteratorOptions};
use crate::language::Language;
use crate::table::cache::TableCache;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What a job needs from its database. Everything is borrowed for the duration of the job, which runs without
/// the state mutex.
pub struct JobContext<'a> {
    /// The language of the tables that the job writes.
    pub language: Language,
    /// The family of the tables.
    pub family: ColumnFamilyId,
    /// The environment: files, clocks, threads.
    pub env: &'a Arc<dyn Env>,
    /// The directory of the database.
    pub db: &'a Path,
    /// The cache of open tables. It also has the table options.
    pub table_cache: &'a Arc<TableCache>,
    /// The next file number. A job takes the numbers of its outputs with `fetch_add`.
    pub next_file_number: &'a AtomicU64,
    /// The sequence numbers of the live snapshots, ascending, then the last sequence number at the start of
    /// the job.
    pub snapshots: Vec<u64>,
    /// Set when the database closes. The job then soon fails with the IO error "database is closing".
    pub shutting_down: &'a AtomicBool,
    /// Fail on a damaged entry. Otherwise it is passed on.
    pub paranoid_checks: bool,
    /// The maximum number of subcompactions, merged in parallel, that a compaction may be divided into.
    pub max_subcompactions: usize,
    /// The codec that the directory's tables were found to have.
    pub found_compression: &'a FoundCompression,
    /// The info log (LOG).
    pub info_log: &'a Arc<dyn Logger>,
}

impl JobContext<'_> {
    /// The codec of new tables, if nothing but the directory is known.
    pub fn compression(&self) -> Compression {
        let found = self.found_compression.get().filter(|_| self.language == Language::LevelDb);
        self.table_cache.options().compression.beside(found)
    }

    /// The IO error "database is closing", if the database closes.
    pub fn check_shutdown(&self) -> Result<()> {
        compaction_iterator::check_shutdown(self.shutting_down)
    }

    /// The rules for which entries of the job's input are kept.
    pub fn compaction_iterator_options(&self) -> CompactionIteratorOptions<'_> {
        CompactionIteratorOptions {
            comparator: self.table_cache.options().comparator.clone(),
            snapshots: &self.snapshots,
            paranoid: self.paranoid_checks,
            shutting_down: Some(self.shutting_down),
        }
    }
}
