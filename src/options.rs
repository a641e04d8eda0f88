//! Options of databases, reads and writes: the meaning, unit, range and default of each.
//!
//! Thread rule: plain values; what they refer to may be shared by threads.

use crate::comparator::{Comparator, bytewise};
use crate::compression::Compression;
use crate::env::Env;
use crate::env::info_log::Logger;
use crate::env::posix::PosixEnv;
use crate::filter_policy::FilterPolicy;
use crate::util::cache::BlockCache;
use std::sync::Arc;

/// The default of `Options::table_metadata_budget`, in bytes.
pub const DEFAULT_TABLE_METADATA_BUDGET: usize = 512 << 20;

/// The default of `Options::max_bytes_for_level_base`, in bytes. It is LevelDB's fixed limit.
pub(crate) const DEFAULT_MAX_BYTES_FOR_LEVEL_BASE: u64 = 10 << 20;

/// How a database is opened. `open` copies the options: changing them afterwards has no effect on the open
/// database. Write `..Options::default()` for the fields that are not named: more will be added.
///
/// ```
/// use std::sync::Arc;
/// use terrace::{BlockCache, BloomFilterPolicy, Compression, Db, Options};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("db");
/// let cache = Arc::new(BlockCache::new(256 << 20)); // databases may share it
/// let options = Options {
///     create_if_missing: true,
///     write_buffer_size: 16 << 20,
///     block_cache: Some(cache),
///     filter_policy: Some(Arc::new(BloomFilterPolicy::new(10))),
///     compression: Compression::Zstd,
///     ..Options::default()
/// };
/// # let options = Options { compression: Compression::Auto, ..options }; // also in a build without zstd
/// let db = Db::open(&options, &path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Options {
    /// The order of user keys. Its name is stored, and opening the database with another name is refused.
    /// Default: bytewise.
    pub comparator: Arc<dyn Comparator>,
    /// Create the database if it does not exist. Default: no.
    pub create_if_missing: bool,
    /// Refuse to open an existing database. Default: no.
    pub error_if_exists: bool,
    /// Stop at the first damaged record or block instead of skipping it. Default: no.
    pub paranoid_checks: bool,
    /// The environment that provides files, clocks and threads. Default: the real system.
    pub env: Arc<dyn Env>,
    /// Receives reports on progress and errors. Default: the file `LOG` in the database directory.
    pub info_log: Option<Arc<dyn Logger>>,
    /// Bytes that a memtable may take before it is flushed to a table; limited to 64 KiB..1 GiB. Default: 4
    /// MiB.
    pub write_buffer_size: usize,
    /// Descriptors that the database may keep open; limited to 74..50000. A table that is read through a
    /// mapping (`mmap_reads`) holds none. The descriptor of another table is closed when there is no room,
    /// and opened again when the table is read. All databases of a process together hold at most half of its
    /// RLIMIT_NOFILE for tables, and fewer during a shortage of descriptors. Default: 1000.
    pub max_open_files: usize,
    /// Bytes of memory for the metadata of open tables: their indexes, and their filters if they are not
    /// mapped. Beyond the budget the least recently used tables are closed; opening one again costs as much
    /// as tens of reads. 100 million keys of 16 bytes with values of 100 bytes take about 110 MiB, and about
    /// 220 MiB if tables are not mapped. All databases of a process together take no more than the largest
    /// budget among them. At least 1 MiB. Default: 512 MiB.
    pub table_metadata_budget: usize,
    /// The cache of uncompressed blocks. Databases may share one. Default: a cache of 8 MiB for this
    /// database.
    pub block_cache: Option<Arc<BlockCache>>,
    /// Bytes of user data in a block before compression; limited to 1 KiB..4 MiB. Default: 4 KiB.
    pub block_size: usize,
    /// The number of entries between two restart points of a block; at least 1. Default: 16.
    pub block_restart_interval: usize,
    /// Bytes of a table after which a compaction starts another one; limited to 1 MiB..1 GiB. Default: 2 MiB.
    pub max_file_size: usize,
    /// The compression of blocks. Opening a database fails if this build cannot write it. Default: `Auto`,
    /// which is snappy, except that zlib or raw deflate continues to be used where tables compressed with it
    /// are found.
    pub compression: Compression,
    /// The compression level: 0 to 9 for zlib and raw deflate, the levels of zstd for zstd. Other values are
    /// brought into the range. Default: 6 for zlib and raw deflate, 1 for zstd.
    pub compression_level: Option<i32>,
    /// Filters that avoid table reads for missing keys. Default: none.
    pub filter_policy: Option<Arc<dyn FilterPolicy>>,
    /// Store a filter of all keys in each table (10 bits per key), which avoids almost every read of a table
    /// that does not have the key. Only with the bytewise comparator. LevelDB ignores this filter. Default:
    /// yes.
    pub whole_table_filter: bool,
    /// Append to the last MANIFEST and WAL of a cleanly closed database instead of starting new ones.
    /// Default: no.
    pub reuse_logs: bool,
    /// Compact files that many point lookups probe without a hit, as LevelDB does: a database that is only
    /// read ends with one level. A probe that a filter answers counts as one sixteenth. The work is bounded,
    /// and never done while writers are busy. Default: yes.
    pub seek_compaction: bool,
    /// The number of memtables, the active one included, at which writers wait for a flush; limited to
    /// 2..65536. If memtables fill quickly (within 250 ms each), all except two are flushed into one table:
    /// fewer and larger level-0 files cost less to compact. 0: 2 as in LevelDB, plus as many as fit 12 MiB,
    /// at most 5 in total. Default: 0.
    pub max_write_buffer_number: usize,
    /// The number of level-0 files at which a compaction starts; at least 1. Default: 4.
    pub level0_file_num_compaction_trigger: usize,
    /// The number of level-0 files at which each write is delayed by 1 ms; at least 1. Default: 8.
    pub level0_slowdown_writes_trigger: usize,
    /// The number of level-0 files at which writes wait. Writes also wait if fewer files hold the bytes of as
    /// many memtables. Not less than the number at which a compaction starts. Default: 12.
    pub level0_stop_writes_trigger: usize,
    /// Bytes of level 1 above which it is compacted. Each deeper level holds ten times more. Default: 10 MiB.
    pub max_bytes_for_level_base: u64,
    /// Compact a level 0 of fewer files than the trigger once nothing has been written for 100 ms, so that
    /// reads of an idle database are as fast as after a compaction. Two bounds apply: at most four bytes of
    /// level 1 are rewritten for each byte of level 0, and for a write load that pauses repeatedly the
    /// rewriting adds at most 3% to what it writes anyway. Not with a user's comparator, which is not called
    /// while nobody uses the database. Default: yes.
    pub idle_compaction: bool,
    /// The number of compaction threads; limited to 1..64. Default: 1.
    pub max_background_compactions: usize,
    /// The number of subcompactions into which a large compaction is divided. They run in parallel, one
    /// thread each; limited to 1..64. Default: 2.
    pub max_subcompactions: usize,
    /// Read tables through memory mappings. A read error of the disk then raises SIGBUS, as in LevelDB.
    /// Default: yes.
    pub mmap_reads: bool,
    /// Append to the WAL through a memory mapping, on file systems known to be safe for it. Default: yes.
    pub mmap_wal: bool,
    /// Whether the directory may be switched to RocksDB's language. Default: `MaySwitch`.
    pub language: LanguagePolicy,
    /// Create the column families that `Db::open_with_families` names and that do not exist. Default: no.
    pub create_missing_column_families: bool,
    /// Bytes of all WALs together above which the column families that keep the oldest one are flushed;
    /// without effect while there is only the default family. 0: four times the bytes that the memtables of
    /// all families may have. Default: 0.
    pub max_total_wal_size: u64,
}

/// Whether a directory may leave LevelDB's language for RocksDB's. A directory in RocksDB's language is
/// opened whatever the policy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum LanguagePolicy {
    /// The directory stays LevelDB's. What LevelDB does not have fails with NotSupported.
    LevelDb,
    /// The directory is LevelDB's until the first call that needs more, which switches it for good.
    #[default]
    MaySwitch,
    /// A new database is created in RocksDB's language. An existing one is treated as with `MaySwitch`.
    RocksDb,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            comparator: bytewise(),
            create_if_missing: false,
            error_if_exists: false,
            paranoid_checks: false,
            env: PosixEnv::shared(),
            info_log: None,
            write_buffer_size: 4 << 20,
            max_open_files: 1000,
            table_metadata_budget: DEFAULT_TABLE_METADATA_BUDGET,
            block_cache: None,
            block_size: 4 << 10,
            block_restart_interval: 16,
            max_file_size: 2 << 20,
            compression: Compression::Auto,
            compression_level: None,
            filter_policy: None,
            whole_table_filter: true,
            reuse_logs: false,
            seek_compaction: true,
            max_write_buffer_number: 0,
            level0_file_num_compaction_trigger: 4,
            level0_slowdown_writes_trigger: 8,
            level0_stop_writes_trigger: 12,
            max_bytes_for_level_base: DEFAULT_MAX_BYTES_FOR_LEVEL_BASE,
            idle_compaction: true,
            max_background_compactions: 1,
            max_subcompactions: 2,
            mmap_reads: true,
            mmap_wal: true,
            language: LanguagePolicy::MaySwitch,
            create_missing_column_families: false,
            max_total_wal_size: 0,
        }
    }
}

impl Options {
    /// A copy of these options with every value brought into its range.
    pub(crate) fn sanitized(&self) -> Self {
        let mut options = self.clone();
        options.max_open_files = options.max_open_files.clamp(74, 50_000);
        options.table_metadata_budget = options.table_metadata_budget.max(1 << 20);
        options.write_buffer_size = options.write_buffer_size.clamp(64 << 10, 1 << 30);
        options.max_file_size = options.max_file_size.clamp(1 << 20, 1 << 30);
        options.block_size = options.block_size.clamp(1 << 10, 4 << 20);
        options.block_restart_interval = options.block_restart_interval.max(1);
        options.max_write_buffer_number = match options.max_write_buffer_number {
            0 => (2 + (12 << 20) / options.write_buffer_size).min(5),
            number => number.clamp(2, 1 << 16),
        };
        options.level0_file_num_compaction_trigger = options.level0_file_num_compaction_trigger.max(1);
        options.level0_slowdown_writes_trigger = options.level0_slowdown_writes_trigger.max(1);
        options.max_bytes_for_level_base = options.max_bytes_for_level_base.max(1);
        options.level0_stop_writes_trigger =
            options.level0_stop_writes_trigger.max(options.level0_file_num_compaction_trigger);
        options.idle_compaction &= options.comparator.is_bytewise();
        options.max_background_compactions = options.max_background_compactions.clamp(1, 64);
        options.max_subcompactions = options.max_subcompactions.clamp(1, 64);
        options
    }
}

/// The sanitized [`Options`] of a whole database, without those that only affect its opening.
#[derive(Clone)]
pub struct DbOptions {
    /// As `Options::paranoid_checks`.
    pub paranoid_checks: bool,
    /// As `Options::max_subcompactions`.
    pub max_subcompactions: usize,
    /// As `Options::mmap_wal`.
    pub mmap_wal: bool,
    /// As `Options::mmap_reads`.
    pub mmap_reads: bool,
    /// As `Options::language`.
    pub language: LanguagePolicy,
    /// As `Options::max_total_wal_size`.
    pub max_total_wal_size: u64,
    /// The block cache of all column families that have none of their own.
    pub block_cache: Option<Arc<BlockCache>>,
}

/// The sanitized [`Options`] of a column family.
#[derive(Clone)]
pub struct ColumnFamilyOptions {
    /// As `Options::write_buffer_size`.
    pub write_buffer_size: usize,
    /// As `Options::max_write_buffer_number`.
    pub max_write_buffer_number: usize,
    /// As `Options::max_file_size`.
    pub max_file_size: usize,
    /// As `Options::level0_file_num_compaction_trigger`.
    pub level0_file_num_compaction_trigger: usize,
    /// As `Options::level0_slowdown_writes_trigger`.
    pub level0_slowdown_writes_trigger: usize,
    /// As `Options::level0_stop_writes_trigger`.
    pub level0_stop_writes_trigger: usize,
    /// As `Options::max_bytes_for_level_base`.
    pub max_bytes_for_level_base: u64,
    /// As `Options::seek_compaction`.
    pub seek_compaction: bool,
    /// As `Options::idle_compaction`.
    pub idle_compaction: bool,
}

impl Options {
    /// These options, with those of `other` that concern a column family.
    pub(crate) fn with_family_options_of(&self, other: &Options) -> Self {
        let Options {
            comparator,
            write_buffer_size,
            block_cache,
            block_size,
            block_restart_interval,
            max_file_size,
            compression,
            compression_level,
            filter_policy,
            whole_table_filter,
            seek_compaction,
            max_write_buffer_number,
            level0_file_num_compaction_trigger,
            level0_slowdown_writes_trigger,
            level0_stop_writes_trigger,
            max_bytes_for_level_base,
            idle_compaction,
            ..
        } = other.clone();
        Options {
            comparator,
            write_buffer_size,
            block_cache: block_cache.or_else(|| self.block_cache.clone()),
            block_size,
            block_restart_interval,
            max_file_size,
            compression,
            compression_level,
            filter_policy,
            whole_table_filter,
            seek_compaction,
            max_write_buffer_number,
            level0_file_num_compaction_trigger,
            level0_slowdown_writes_trigger,
            level0_stop_writes_trigger,
            max_bytes_for_level_base,
            idle_compaction,
            ..self.clone()
        }
    }

    /// The options of the whole database; `self` must be sanitized.
    pub(crate) fn of_database(&self) -> DbOptions {
        DbOptions {
            paranoid_checks: self.paranoid_checks,
            max_subcompactions: self.max_subcompactions,
            mmap_wal: self.mmap_wal,
            mmap_reads: self.mmap_reads,
            language: self.language,
            max_total_wal_size: self.max_total_wal_size,
            block_cache: self.block_cache.clone(),
        }
    }

    /// The options of a column family; `self` must be sanitized. The options of its tables are in
    /// `TableOptions`.
    pub(crate) fn of_family(&self) -> ColumnFamilyOptions {
        ColumnFamilyOptions {
            write_buffer_size: self.write_buffer_size,
            max_write_buffer_number: self.max_write_buffer_number,
            max_file_size: self.max_file_size,
            level0_file_num_compaction_trigger: self.level0_file_num_compaction_trigger,
            level0_slowdown_writes_trigger: self.level0_slowdown_writes_trigger,
            level0_stop_writes_trigger: self.level0_stop_writes_trigger,
            max_bytes_for_level_base: self.max_bytes_for_level_base,
            seek_compaction: self.seek_compaction,
            idle_compaction: self.idle_compaction,
        }
    }
}

/// How one read reads, and which state.
#[derive(Clone, Copy, Debug)]
pub struct ReadAt {
    /// Verify the checksum of every block read, even of one that was verified before.
    pub verify_checksums: bool,
    /// Keep the blocks read in the block cache.
    pub fill_cache: bool,
    /// The sequence number of a live snapshot; `None`: the newest state.
    pub sequence: Option<u64>,
}

impl Default for ReadAt {
    fn default() -> Self {
        ReadAt { verify_checksums: false, fill_cache: true, sequence: None }
    }
}

/// How one write is done. Write `..WriteOptions::default()` for the fields that are not named: more will be
/// added.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// Return only when this write, and every write before it, would survive a power failure. Default: no.
    pub sync: bool,
}
