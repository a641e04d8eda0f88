//! The parts that open and repair need before there is a database: options, comparator, table cache, LOG.
//!
//! Thread rule: used by one thread, before there are any workers.

use crate::batch::write_batch::HEADER_SIZE;
use crate::column_family::found_compression::FoundCompression;
use crate::env::ReadMode;
use crate::env::info_log::Logger;
use crate::error::Result;
use crate::format::file_name;
use crate::format::internal_key::{InternalKeyComparator, SequenceNumber};
use crate::job::context::JobContext;
use crate::memtable::{Memtable, MemtableWriter};
use crate::options::Options;
use crate::table::TableOptions;
use crate::table::cache::TableCache;
use crate::table::open_tables::OpenTables;
use crate::util::cache::BlockCache;
use crate::util::coding::fixed64_at;
use crate::version::file_metadata::FileMetaData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// The `shutting_down` flag of jobs during open and repair: nothing stops them.
static NEVER: AtomicBool = AtomicBool::new(false);

/// The capacity of the block cache if the options name none, in bytes.
const DEFAULT_BLOCK_CACHE_BYTES: usize = 8 << 20;

/// Descriptors for files that are not tables: the WAL, the MANIFEST, LOCK, LOG, directories being synced.
const NON_TABLE_FILES: usize = 10;

/// The parts that exist before the workers.
pub(in crate::db) struct OpenContext {
    pub options: Options,
    pub comparator: InternalKeyComparator,
    pub open_tables: Arc<OpenTables>,
    pub table_cache: Arc<TableCache>,
    pub found_compression: FoundCompression,
    pub info_log: Arc<dyn Logger>,
}

impl OpenContext {
    pub(in crate::db) fn new(options: &Options, path: &Path, info_log: Arc<dyn Logger>) -> Self {
        let mut options = options.sanitized();
        options.block_cache = match options.block_cache.take() {
            Some(cache) if cache.is_of_this_process() => Some(cache),
            // A thread of the parent may have held a lock of the cache at the fork. So the database gets a
            // cache of its own, of the same capacity.
            Some(inherited) => Some(Arc::new(BlockCache::new(inherited.capacity()))),
            None => Some(Arc::new(BlockCache::new(DEFAULT_BLOCK_CACHE_BYTES))),
        };
        let comparator = InternalKeyComparator::new(options.comparator.clone());
        let open_tables = OpenTables::new(
            options.env.clone(),
            options.max_open_files - NON_TABLE_FILES,
            options.table_metadata_budget,
        );
        let table_cache = TableCache::new(
            open_tables.clone(),
            path.to_path_buf(),
            Arc::new(TableOptions::new(&options)),
            if options.mmap_reads { ReadMode::Mapped } else { ReadMode::Positioned },
        );
        let found_compression = FoundCompression::default();
        OpenContext { options, comparator, open_tables, table_cache, found_compression, info_log }
    }

    /// An empty memtable.
    #[inline(never)]
    pub(in crate::db) fn new_memtable(&self) -> Result<Box<MemtableWriter>> {
        let (_, writer) = Memtable::new(self.comparator.clone(), self.options.write_buffer_size, None)?;
        Ok(Box::new(writer))
    }

    /// The name of the user's comparator.
    pub(in crate::db) fn comparator_name(&self) -> Vec<u8> {
        self.table_cache.options().comparator_name.clone()
    }

    /// The context of a job that writes tables before the database is open. No snapshot is older than
    /// `last_sequence`.
    pub(in crate::db) fn job_context<'a>(
        &'a self,
        path: &'a Path,
        next_file_number: &'a AtomicU64,
        last_sequence: SequenceNumber,
    ) -> JobContext<'a> {
        JobContext {
            env: &self.options.env,
            db: path,
            table_cache: &self.table_cache,
            next_file_number,
            snapshots: vec![last_sequence],
            shutting_down: &NEVER,
            paranoid_checks: self.options.paranoid_checks,
            max_subcompactions: 1,
            found_compression: &self.found_compression,
            info_log: &self.info_log,
        }
    }

    /// Removes tables that this open has made and that no MANIFEST names. The next open may need their space.
    pub(in crate::db) fn remove_tables(&self, path: &Path, files: &[Arc<FileMetaData>]) {
        for file in files {
            self.table_cache.evict(file.number);
            let _ = self.options.env.remove_file(&file_name::table(path, file.number));
        }
    }
}

/// Inserts one validated batch of a WAL. Returns the sequence number of its last entry.
pub(in crate::db) fn insert_batch(memtable: &mut MemtableWriter, batch: &[u8]) -> Result<SequenceNumber> {
    let first = fixed64_at(batch, 0).unwrap_or(0);
    let next = memtable.insert_entries(first, batch.get(HEADER_SIZE..).unwrap_or_default())?;
    Ok(next.saturating_sub(1))
}
