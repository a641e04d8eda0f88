//! What `leveldb_options_t` can hold beyond LevelDB.
#![allow(unsafe_code)]

use super::options::{count, leveldb_options_t, set};
use crate::compression::Compression;
use std::ffi::c_int;

/// How blocks are compressed; see terrace_options_set_compression(). The numbers are RocksDB's, where it has one.
#[allow(non_camel_case_types)]
#[repr(C)]
pub enum terrace_compression_t {
    /// The default: snappy; but where tables of zlib or raw deflate are found in the directory, which is then a world of Minecraft, new ones
    /// are of that too, since the game reads no snappy.
    TERRACE_AUTO_COMPRESSION = -1,
    /// None.
    TERRACE_NO_COMPRESSION = 0,
    /// snappy, whatever is found.
    TERRACE_SNAPPY_COMPRESSION = 1,
    /// zlib: for Minecraft's fork of LevelDB. LevelDB itself cannot read it.
    TERRACE_ZLIB_COMPRESSION = 2,
    /// zstd. LevelDB reads it from its main branch on; 1.23 cannot.
    TERRACE_ZSTD_COMPRESSION = 7,
    /// zlib's deflate without a header: for Minecraft's fork of LevelDB. LevelDB itself cannot read it.
    TERRACE_RAW_DEFLATE_COMPRESSION = 128,
    /// As a level: the one that is usual, 6 of zlib and raw deflate, 1 of zstd.
    TERRACE_USUAL_COMPRESSION_LEVEL = 32767,
}

/// How blocks of new tables are compressed (a value of `terrace_compression_t`), and at which level: from 0 to 9 of zlib and raw deflate, from
/// about -130000 to 22 of zstd, where more is smaller and slower. Levels are brought into range; TERRACE_USUAL_COMPRESSION_LEVEL
/// stands for the usual one; the others have none. A block that would not shrink by an eighth stays as it is. Blocks are read as
/// they were written, whatever is set here. Default: TERRACE_AUTO_COMPRESSION.
///
/// An opening answers `Not implemented` where this build of the library is without what is set, and for other values: LevelDB's
/// format has no number for LZ4 (4) and its like.
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

/// Append to the last log and MANIFEST of a cleanly closed database instead of starting new ones. Default: no.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_reuse_logs(options: *mut leveldb_options_t, reuse_logs: u8) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.reuse_logs = reuse_logs != 0) };
}

/// Compact tables that many reads had to look into in vain, as LevelDB does: a database that is only read ends with one level. (A table
/// that a filter spares a look-up counts as a sixteenth.)
/// Below all other work, and not while memtables fill quickly. From one opening to the next it rewrites as many bytes as the database
/// has, and beyond that no more than everything else has written. Default: yes.
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

/// Merge what is left in level 0 once nothing has been written for 100 ms, so that reads of a quiet database do not pay for it;
/// never for so little that more than four times as much of level 1 is rewritten. Not with a comparator of leveldb_comparator_create(),
/// which is not called while nobody uses the database. Default: yes.
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

/// Give each table a filter of all its keys, 10 bits each, which spares almost every read of a table that lacks the key.
/// Only with LevelDB's own comparator; LevelDB ignores it. Default: yes.
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

/// Memtables, the one that is written to included, before a writer waits for a flush; from 2 to 65536. All but two go into one
/// table, if they fill quickly (within 250 ms each). 0: 2, as in LevelDB, and as many more as fit 12 MiB, up to 5.
/// Default: 0.
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

/// Bytes of memory for what is known of open tables: their indexes, and where tables are not read through mappings their filters.
/// Beyond it the tables used least recently are closed, and a read of a closed one costs as much as tens of others. 100 million keys of
/// 16 bytes with values of 100 take about 110 MiB, and about 220 MiB without mappings. All databases of a process together take
/// no more than the largest budget among those that are open. At least 1 MiB; SIZE_MAX: no limit. Default: 512 MiB.
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

/// Level-0 files at which a compaction starts; at least 1. Default: 4.
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

/// Level-0 files at which each write is delayed by a millisecond; at least 1. Default: 8.
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

/// Level-0 files at which writes wait for a compaction; also where fewer hold the bytes of as many memtables. Not below the
/// number at which a compaction starts. Default: 12.
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

/// Bytes of level 1 above which it is compacted; each deeper level holds ten times more. Default: 10 MiB.
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

/// Threads that compact; from 1 to 64. Default: 1.
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

/// Parts into which a large compaction is divided, which are merged at once, each by a thread; from 1 to 64. Default: 2.
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

/// Read tables through memory mappings, as LevelDB does. It is faster, but a disk that fails under a mapping raises
/// SIGBUS instead of an error. Default: yes.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_mmap_reads(options: *mut leveldb_options_t, mmap_reads: u8) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.mmap_reads = mmap_reads != 0) };
}

/// Append to the log through a memory mapping, on file systems that are known to be safe for it: tmpfs, and ext4 unless it journals
/// data. A full disk, or a lack of mappings, is no danger: the log is written to by pwrite then. But a disk that fails, or a file
/// system that is shut down, under a mapping raises SIGBUS instead of an error; who can't bear that turns it off. Default: yes.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_options_set_mmap_wal(options: *mut leveldb_options_t, mmap_wal: u8) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.mmap_wal = mmap_wal != 0) };
}
