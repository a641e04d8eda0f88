//! The settings of `leveldb_options_t` that LevelDB's C interface does not have.
#![allow(unsafe_code)]

use super::options::{count, leveldb_options_t, set};
use crate::compression::Compression;
use crate::options::LanguagePolicy;
use std::ffi::c_int;

/// How blocks are compressed; see terrace_options_set_compression(). The numbers are those of RocksDB, where
/// it has one.
#[allow(non_camel_case_types)]
#[repr(C)]
pub enum terrace_compression_t {
    /// The default: snappy, unless the directory has tables that use zlib or raw deflate. Then it is a
    /// Minecraft world, and new tables use the same compression, because the game cannot read snappy.
    TERRACE_AUTO_COMPRESSION = -1,
    /// No compression.
    TERRACE_NO_COMPRESSION = 0,
    /// snappy, whatever compression the existing tables use.
    TERRACE_SNAPPY_COMPRESSION = 1,
    /// zlib, as in Minecraft's fork of LevelDB. LevelDB itself cannot read it.
    TERRACE_ZLIB_COMPRESSION = 2,
    /// zstd. LevelDB's main branch can read it, LevelDB 1.23 cannot.
    TERRACE_ZSTD_COMPRESSION = 7,
    /// Deflate without the zlib header, as in Minecraft's fork of LevelDB. LevelDB itself cannot read it.
    TERRACE_RAW_DEFLATE_COMPRESSION = 128,
    /// A level, not a compression: the default level, which is 6 for zlib and raw deflate and 1 for zstd.
    TERRACE_USUAL_COMPRESSION_LEVEL = 32767,
}

/// Whether a directory may leave LevelDB's language for RocksDB's; see terrace_options_set_language().
#[allow(non_camel_case_types, dead_code)] // a value of it comes from the caller, as a number
#[repr(C)]
pub enum terrace_language_t {
    /// The directory stays LevelDB's: what LevelDB does not have fails with `Not implemented`.
    TERRACE_LANGUAGE_LEVELDB = 0,
    /// The default: the directory is LevelDB's until the first call that needs more, which switches it for
    /// good.
    TERRACE_LANGUAGE_MAY_SWITCH = 1,
    /// A new database is created in RocksDB's language; an existing one is treated as by the default.
    TERRACE_LANGUAGE_ROCKSDB = 2,
}

/// Whether the directory may be switched to RocksDB's language (a value of `terrace_language_t`), which
/// column families need. A directory that was switched is opened whatever the setting is. Other values are
/// the default. Default: TERRACE_LANGUAGE_MAY_SWITCH.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_language(options: *mut leveldb_options_t, language: c_int) {
    const LEVELDB: c_int = terrace_language_t::TERRACE_LANGUAGE_LEVELDB as c_int;
    const ROCKSDB: c_int = terrace_language_t::TERRACE_LANGUAGE_ROCKSDB as c_int;
    let policy = match language {
        LEVELDB => LanguagePolicy::LevelDb,
        ROCKSDB => LanguagePolicy::RocksDb,
        _ => LanguagePolicy::MaySwitch,
    };
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.language = policy) };
}

/// Whether terrace_open_column_families() creates families that it names and that do not exist. Default: no.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_create_missing_column_families(
    options: *mut leveldb_options_t,
    create_missing: u8,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.create_missing_column_families = create_missing != 0) };
}

/// The bytes of all WALs together above which the column families that keep the oldest one are flushed.
/// Without effect while there is only the default family. 0: four times the bytes that the memtables of all
/// families may have. Default: 0.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_max_total_wal_size(options: *mut leveldb_options_t, bytes: u64) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.max_total_wal_size = bytes) };
}

/// How blocks of new tables are compressed (a value of `terrace_compression_t`), and at which level. The
/// setting does not affect reading: each block names its compression. Default: TERRACE_AUTO_COMPRESSION.
///
/// Levels go from 0 to 9 for zlib and raw deflate, and from about -130000 to 22 for zstd; a higher level
/// gives smaller blocks and is slower. A level out of range is clipped; TERRACE_USUAL_COMPRESSION_LEVEL is
/// the default level; the other compressions ignore the level. A block that compression does not shrink by an
/// eighth is stored uncompressed.
///
/// Opening a database fails with `Not implemented` if the compression is not compiled into this library, and
/// for any other value: LevelDB's format has no number for LZ4 (4) and similar ones.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_compression(
    options: *mut leveldb_options_t,
    compression: c_int,
    level: c_int,
) {
    use terrace_compression_t as known;
    const AUTO: c_int = known::TERRACE_AUTO_COMPRESSION as c_int;
    const NONE: c_int = known::TERRACE_NO_COMPRESSION as c_int;
    const SNAPPY: c_int = known::TERRACE_SNAPPY_COMPRESSION as c_int;
    const ZLIB: c_int = known::TERRACE_ZLIB_COMPRESSION as c_int;
    const ZSTD: c_int = known::TERRACE_ZSTD_COMPRESSION as c_int;
    const RAW_DEFLATE: c_int = known::TERRACE_RAW_DEFLATE_COMPRESSION as c_int;
    const USUAL_LEVEL: c_int = known::TERRACE_USUAL_COMPRESSION_LEVEL as c_int;
    let compression = match compression {
        AUTO => Compression::Auto,
        NONE => Compression::None,
        SNAPPY => Compression::Snappy,
        ZLIB => Compression::Zlib,
        ZSTD => Compression::Zstd,
        RAW_DEFLATE => Compression::RawDeflate,
        other => Compression::NotOffered(other),
    };
    // SAFETY: as the caller promises.
    unsafe {
        set(options, |options| {
            options.compression = compression;
            options.compression_level = Some(level).filter(|&level| level != USUAL_LEVEL);
        });
    }
}

/// Append to the last WAL and MANIFEST of a cleanly closed database instead of creating new ones at open.
/// Default: no.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_reuse_logs(options: *mut leveldb_options_t, reuse_logs: u8) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.reuse_logs = reuse_logs != 0) };
}

/// Compact tables that many point look-ups probed without finding their key, as LevelDB does: a database that
/// is only read ends with a single level. (A look-up that a filter answers counts as a sixteenth of a probe.)
/// Seek compactions have the lowest priority, and do not run while memtables fill quickly. Between two opens
/// they rewrite as many bytes as the database has, and beyond that no more bytes than all other work has
/// written. Default: yes.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_seek_compaction(
    options: *mut leveldb_options_t,
    seek_compaction: u8,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.seek_compaction = seek_compaction != 0) };
}

/// Compact the remaining files of level 0 when nothing has been written for 100 ms, so that reads of an idle
/// database need not probe them. Such a compaction does not run if it would rewrite more than four times as
/// many bytes of level 1 as it has in level 0. It never runs with a comparator of
/// leveldb_comparator_create(), which must not be called while nobody uses the database. Default: yes.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_idle_compaction(
    options: *mut leveldb_options_t,
    idle_compaction: u8,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.idle_compaction = idle_compaction != 0) };
}

/// Give each table one filter of all its keys, with 10 bits per key, which saves almost every read of a table
/// that lacks the key. Only with LevelDB's bytewise comparator. LevelDB ignores this filter. Default: yes.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_whole_table_filter(
    options: *mut leveldb_options_t,
    whole_table_filter: u8,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.whole_table_filter = whole_table_filter != 0) };
}

/// Number of memtables, including the active one, that can be full before a writer waits for a flush; from 2
/// to 65536. If memtables fill quickly (within 250 ms each), up to all but two of them are flushed together
/// into one table. 0 means 2, as in LevelDB, and as many more as fit into 12 MiB, up to 5 in total. Default:
/// 0.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_max_write_buffer_number(
    options: *mut leveldb_options_t,
    max_write_buffer_number: c_int,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.max_write_buffer_number = count(max_write_buffer_number)) };
}

/// Limit, in bytes, of the memory for indexes of open tables, and for their filters if tables are not read
/// through mappings. Above the limit, the least recently used tables are closed; a read of a closed table
/// costs as much as tens of other reads. 100 million keys of 16 bytes with values of 100 bytes take about 110
/// MiB, and about 220 MiB without mappings. All databases of a process together take no more than the largest
/// budget among the open ones. At least 1 MiB; SIZE_MAX: no limit. Default: 512 MiB.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_table_metadata_budget(
    options: *mut leveldb_options_t,
    bytes: usize,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.table_metadata_budget = bytes) };
}

/// Number of level-0 files at which a compaction starts; at least 1. Default: 4.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_level0_file_num_compaction_trigger(
    options: *mut leveldb_options_t,
    files: c_int,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.level0_file_num_compaction_trigger = count(files)) };
}

/// Number of level-0 files at which each write is delayed by a millisecond; at least 1. Default: 8.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_level0_slowdown_writes_trigger(
    options: *mut leveldb_options_t,
    files: c_int,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.level0_slowdown_writes_trigger = count(files)) };
}

/// Number of level-0 files at which writes wait for a compaction. Writes also wait if level 0 has the size of
/// as many memtables in fewer files (but at least as many as start a compaction). At least the number at
/// which a compaction starts. Default: 12.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_level0_stop_writes_trigger(
    options: *mut leveldb_options_t,
    files: c_int,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.level0_stop_writes_trigger = count(files)) };
}

/// Size of level 1, in bytes, above which it is compacted; each deeper level may be ten times as large.
/// Default: 10 MiB.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_max_bytes_for_level_base(
    options: *mut leveldb_options_t,
    bytes: u64,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.max_bytes_for_level_base = bytes) };
}

/// Number of compaction threads; from 1 to 64. Default: 1.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_max_background_compactions(
    options: *mut leveldb_options_t,
    threads: c_int,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.max_background_compactions = count(threads)) };
}

/// Number of subcompactions into which a large compaction is divided. They run in parallel, each in a thread
/// of its own; from 1 to 64. Default: 2.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_max_subcompactions(
    options: *mut leveldb_options_t,
    threads: c_int,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.max_subcompactions = count(threads)) };
}

/// Read tables through memory mappings, as LevelDB does. Mappings are faster, but a disk that fails under a
/// mapping raises SIGBUS instead of an error. Default: yes.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_mmap_reads(options: *mut leveldb_options_t, mmap_reads: u8) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.mmap_reads = mmap_reads != 0) };
}

/// Append to the WAL through a memory mapping, on file systems that are known to be safe for it: tmpfs, and
/// ext4 unless it journals data. If the disk is full or the process has no mappings left, the WAL is written
/// by pwrite instead. But a disk that fails, or a file system that is shut down, under a mapping raises
/// SIGBUS instead of an error; turn the option off if this is not acceptable. Default: yes.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_mmap_wal(options: *mut leveldb_options_t, mmap_wal: u8) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.mmap_wal = mmap_wal != 0) };
}
