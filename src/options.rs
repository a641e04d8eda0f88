//! Options: the reason, unit and default of each.

use crate::comparator::{Comparator, bytewise};
use crate::compression::Compression;
use crate::env::Env;
use crate::env::info_log::Logger;
use crate::env::posix::PosixEnv;
use crate::filter_policy::FilterPolicy;
use crate::util::cache::BlockCache;
use std::sync::Arc;

/// The default of `Options::table_metadata_budget`.
pub const DEFAULT_TABLE_METADATA_BUDGET: usize = 512 << 20;

/// How a database is opened. Copied at open: changing it later changes nothing.
#[derive(Clone)]
pub struct Options {
    /// The order of user keys; its name is stored, and opening with another is refused. Default: bytewise.
    pub comparator: Arc<dyn Comparator>,
    /// Create the database if it is missing. Default: no.
    pub create_if_missing: bool,
    /// Refuse to open a database that exists. Default: no.
    pub error_if_exists: bool,
    /// Stop at the first damaged record or block instead of reading round it. Default: no.
    pub paranoid_checks: bool,
    /// The system underneath. Default: the real one.
    pub env: Arc<dyn Env>,
    /// Where progress and errors are logged. Default: the file `LOG` in the database directory.
    pub info_log: Option<Arc<dyn Logger>>,
    /// Bytes a memtable may take before it is flushed to a table; clipped to 64 KiB..1 GiB. Default: 4 MiB.
    pub write_buffer_size: usize,
    /// Descriptors the database may keep open; clipped to 74..50000. A table that is read through a mapping (`mmap_reads`) holds none;
    /// another's is closed when there is no room, and opened again when it is read. All databases of a process together hold at
    /// most half of its RLIMIT_NOFILE for tables, and fewer while descriptors lack. Default: 1000.
    pub max_open_files: usize,
    /// Bytes of memory for what is known of open tables: their indexes, and where tables are not mapped their filters. Beyond it
    /// the tables used least recently are closed, and opening one again costs as much as tens of reads. 100 million keys of 16
    /// bytes with values of 100 take about 110 MiB, and about 220 MiB where tables are not mapped. All databases of a process together take
    /// no more than the largest budget among them. At least 1 MiB. Default: 512 MiB.
    pub table_metadata_budget: usize,
    /// The cache of uncompressed blocks, which databases may share. Default: one of 8 MiB for this database.
    pub block_cache: Option<Arc<BlockCache>>,
    /// Bytes of user data in a block, before compression; clipped to 1 KiB..4 MiB. Default: 4 KiB.
    pub block_size: usize,
    /// Entries between two restart points of a block; at least 1. Default: 16.
    pub block_restart_interval: usize,
    /// Bytes after which a compaction starts another table; clipped to 1 MiB..1 GiB. Default: 2 MiB.
    pub max_file_size: usize,
    /// How blocks are compressed. One that this build cannot write is refused by openings. Default: `Auto`, which is snappy, but zlib or raw
    /// deflate where tables of that are found.
    pub compression: Compression,
    /// How hard: of zlib and raw deflate 0 to 9, of zstd as far as it has levels. Brought into range. Default: 6 of zlib and raw deflate, 1 of
    /// zstd.
    pub compression_level: Option<i32>,
    /// Filters that spare table reads. Default: none.
    pub filter_policy: Option<Arc<dyn FilterPolicy>>,
    /// Give each table a filter of all its keys (10 bits each), which spares almost every read of a table that lacks the
    /// key; with the bytewise comparator only. LevelDB ignores it. Default: yes.
    pub whole_table_filter: bool,
    /// Append to the last MANIFEST and log of a cleanly closed database instead of starting new ones. Default: no.
    pub reuse_logs: bool,
    /// Compact tables that many reads had to look into in vain, as LevelDB does: a database that is only read ends with one level. A
    /// table that a filter spares a look-up counts as a sixteenth. Bounded, and never while writers are busy. Default: yes.
    pub seek_compaction: bool,
    /// Memtables, the active one included, before a writer waits for a flush; clipped to 2..65536. All but two go into one
    /// table, if they fill quickly (within 250 ms each): fewer and larger tables of level 0 cost less to compact.
    /// 0: 2, as in LevelDB, and as many more as fit 12 MiB, up to 5. Default: 0.
    pub max_write_buffer_number: usize,
    /// Level-0 files at which a compaction starts; at least 1. Default: 4.
    pub level0_file_num_compaction_trigger: usize,
    /// Level-0 files at which each write is delayed by 1 ms; at least 1. Default: 8.
    pub level0_slowdown_writes_trigger: usize,
    /// Level-0 files at which writes wait; also where fewer hold the bytes of as many memtables. Not below the number at which a
    /// compaction starts. Default: 12.
    pub level0_stop_writes_trigger: usize,
    /// Bytes of level 1 above which it is compacted; each deeper level holds ten times more. Default: 10 MiB.
    pub max_bytes_for_level_base: u64,
    /// Merge what is left in level 0 (fewer files than the trigger) once nothing has been written for 100 ms, so that reads of a
    /// quiet database do not pay for it; never for so little that more than four times as much of level 1 is rewritten, and, of
    /// a write load that pauses again and again, no more than 3% of what it writes anyway. Not with a comparator of the user,
    /// which is not called while nobody uses the database. Default: yes.
    pub idle_compaction: bool,
    /// Threads that compact; clipped to 1..64. Default: 1.
    pub max_background_compactions: usize,
    /// Parts into which a large compaction is divided, which are merged at once, each by a thread; clipped to 1..64. Default: 2.
    pub max_subcompactions: usize,
    /// Read tables through mappings (a failing disk is then a SIGBUS, as in LevelDB). Default: yes.
    pub mmap_reads: bool,
    /// Append to the log through a mapping, where the file system is known to be safe for it. Default: yes.
    pub mmap_wal: bool,
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
            max_bytes_for_level_base: 10 << 20,
            idle_compaction: true,
            max_background_compactions: 1,
            max_subcompactions: 2,
            mmap_reads: true,
            mmap_wal: true,
        }
    }
}

impl Options {
    /// These options with every value brought into its range.
    pub fn sanitized(&self) -> Self {
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

/// How one read reads.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// Verify the checksum of every block read, even of one already verified. Default: no.
    pub verify_checksums: bool,
    /// Keep the blocks read in the block cache. Bulk scans turn it off. Default: yes.
    pub fill_cache: bool,
    /// Read the state at this sequence number, which a live snapshot of the database holds. Default: the latest.
    pub snapshot: Option<u64>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { verify_checksums: false, fill_cache: true, snapshot: None }
    }
}

/// How one write writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// Return only when this write, and every write before it, would survive a power loss. Default: no.
    pub sync: bool,
}
