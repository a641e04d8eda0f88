//! The parts that open and repair need before there is a database: options, comparator, table cache, LOG.
//!
//! Thread rule: used by one thread, before there are any workers.

use crate::batch::write_batch::HEADER_SIZE;
use crate::column_family::ColumnFamily;
use crate::column_family::dead_spans::DeadSpans;
use crate::column_family::found_compression::FoundCompression;
use crate::column_family::super_version::SuperVersion;
use crate::env::ReadMode;
use crate::env::info_log::Logger;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::file_name;
use crate::format::internal_key::{InternalKeyComparator, SequenceNumber};
use crate::job::context::JobContext;
use crate::language::Language;
use crate::memtable::{Memtable, MemtableWriter};
use crate::options::{DbOptions, Options};
use crate::table::TableOptions;
use crate::table::cache::TableCache;
use crate::table::open_tables::OpenTables;
use crate::util::cache::BlockCache;
use crate::util::coding::fixed64_at;
use crate::util::sync::Published;
use crate::version::Version;
use crate::version::file_metadata::FileMetaData;
use crate::version::version_set::{DEFAULT_FAMILY_NAME, FamilyVersion};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// The `shutting_down` flag of jobs during open and repair: nothing stops them.
static NEVER: AtomicBool = AtomicBool::new(false);

/// The capacity of the block cache if the options name none, in bytes.
const DEFAULT_BLOCK_CACHE_BYTES: usize = 8 << 20;

/// Descriptors for files that are not tables: the WAL, the MANIFEST, LOCK, LOG, directories being synced.
const NON_TABLE_FILES: usize = 10;

/// The parts that exist before the workers.
pub(in crate::db) struct OpenContext {
    /// The sanitized options of the database, those of the default family among them.
    pub options: Options,
    pub open_tables: Arc<OpenTables>,
    pub info_log: Arc<dyn Logger>,
    /// The families that the opener names, the default one first.
    pub families: Vec<FamilyContext>,
}

/// What an open knows of a family before it has read anything.
pub(in crate::db) struct FamilyContext {
    pub name: Vec<u8>,
    /// Sanitized.
    pub options: Options,
    pub comparator: InternalKeyComparator,
    pub table_cache: Arc<TableCache>,
    pub found_compression: FoundCompression,
}

impl FamilyContext {
    /// `options` are those of the family, and `database` those of its database.
    pub(in crate::db) fn new(
        name: &[u8],
        options: &Options,
        database: &DbOptions,
        open_tables: &Arc<OpenTables>,
        path: &Path,
    ) -> Self {
        let mut options = options.sanitized();
        options.block_cache = own_cache(options.block_cache.take()).or_else(|| database.block_cache.clone());
        options.paranoid_checks = database.paranoid_checks;
        let table_cache = TableCache::new(
            open_tables.clone(),
            path.to_path_buf(),
            Arc::new(TableOptions { family_name: name.to_vec(), ..TableOptions::new(&options) }),
            if database.mmap_reads { ReadMode::Mapped } else { ReadMode::Positioned },
        );
        FamilyContext {
            name: name.to_vec(),
            comparator: InternalKeyComparator::new(options.comparator.clone()),
            table_cache,
            found_compression: FoundCompression::default(),
            options,
        }
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

    /// A version without files.
    pub(in crate::db) fn empty_version(&self) -> Version {
        Version::empty(self.comparator.clone(), self.table_cache.clone())
    }

    /// The fixed part of the family.
    pub(in crate::db) fn into_family(
        self,
        id: ColumnFamilyId,
        super_version: Published<SuperVersion>,
    ) -> ColumnFamily {
        ColumnFamily {
            id,
            name: self.name,
            is_dropped: AtomicBool::new(false),
            place: AtomicUsize::new(0),
            options: self.options.of_family(),
            comparator: self.comparator,
            table_cache: self.table_cache,
            found_compression: self.found_compression,
            dead_spans: DeadSpans::default(),
            super_version,
        }
    }
}

/// The user's cache. A thread of the parent may have held a lock of an inherited one at the fork; then a
/// cache of the same capacity takes its place.
fn own_cache(cache: Option<Arc<BlockCache>>) -> Option<Arc<BlockCache>> {
    cache.map(|cache| match cache.is_of_this_process() {
        true => cache,
        false => Arc::new(BlockCache::new(cache.capacity())),
    })
}

impl OpenContext {
    /// `others` are the families beside the default one, whose options are among those of the database.
    pub(in crate::db) fn new(
        options: &Options,
        others: &[(&[u8], &Options)],
        path: &Path,
        info_log: Arc<dyn Logger>,
    ) -> Self {
        let mut options = options.sanitized();
        let cache = own_cache(options.block_cache.take());
        options.block_cache =
            Some(cache.unwrap_or_else(|| Arc::new(BlockCache::new(DEFAULT_BLOCK_CACHE_BYTES))));
        let open_tables = OpenTables::new(
            options.env.clone(),
            options.max_open_files - NON_TABLE_FILES,
            options.table_metadata_budget,
        );
        let of_database = options.of_database();
        let all = std::iter::once((DEFAULT_FAMILY_NAME, &options)).chain(others.iter().copied());
        let families = all
            .map(|(name, of_family)| FamilyContext::new(name, of_family, &of_database, &open_tables, path))
            .collect();
        OpenContext { open_tables, info_log, families, options }
    }

    /// The default family.
    pub(in crate::db) fn default_family(&self) -> &FamilyContext {
        &self.families[0]
    }

    /// The family with this name, if the opener names it.
    pub(in crate::db) fn find(&self, name: &[u8]) -> Option<&FamilyContext> {
        self.families.iter().find(|family| family.name == name)
    }

    /// The context of a family of the MANIFEST.
    pub(in crate::db) fn of(&self, family: &FamilyVersion) -> Result<&FamilyContext> {
        self.find(family.name()).ok_or_else(|| Error::corruption("a column family without options"))
    }

    /// The context of a job that writes tables of a family before the database is open. No snapshot is older
    /// than `last_sequence`.
    pub(in crate::db) fn job_context<'a>(
        &'a self,
        family: &'a FamilyContext,
        path: &'a Path,
        next_file_number: &'a AtomicU64,
        last_sequence: SequenceNumber,
    ) -> JobContext<'a> {
        JobContext {
            language: Language::LevelDb,
            family: ColumnFamilyId::DEFAULT,
            env: &self.options.env,
            db: path,
            table_cache: &family.table_cache,
            next_file_number,
            snapshots: vec![last_sequence],
            shutting_down: &NEVER,
            paranoid_checks: self.options.paranoid_checks,
            max_subcompactions: 1,
            found_compression: &family.found_compression,
            info_log: &self.info_log,
        }
    }

    /// Removes tables that this open has made and that no MANIFEST names. The next open may need their space.
    pub(in crate::db) fn remove_tables<'a>(
        &self,
        path: &Path,
        files: impl IntoIterator<Item = &'a Arc<FileMetaData>>,
    ) {
        for file in files {
            self.open_tables.evict(file.number);
            for path in file_name::table_paths(path, file.number) {
                let _ = self.options.env.remove_file(&path);
            }
        }
    }
}

/// Inserts one validated batch of LevelDB's language. Returns the sequence number of its last entry.
pub(in crate::db) fn insert_batch(memtable: &mut MemtableWriter, batch: &[u8]) -> Result<SequenceNumber> {
    let first = fixed64_at(batch, 0).unwrap_or(0);
    let next = memtable.insert_entries(first, batch.get(HEADER_SIZE..).unwrap_or_default())?;
    Ok(next.saturating_sub(1))
}
