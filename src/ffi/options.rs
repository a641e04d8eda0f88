//! `leveldb_options_t`: how a database is opened. The handle is a header of `option_header` whose tail
//! (`tail`) has the core's options.
#![allow(unsafe_code)]

pub(super) mod tail;

use super::boundary::contain;
use super::cache::leveldb_cache_t;
use super::comparator::leveldb_comparator_t;
use super::env::leveldb_env_t;
use super::filter_policy::leveldb_filterpolicy_t;
use super::handle;
use super::logger::leveldb_logger_t;
use super::option_header::{OptionHeader, OptionKind};
use crate::compression::Compression;
use crate::env::posix::PosixEnv;
use crate::error::{Error, Result};
use crate::options::Options;
use std::ffi::c_int;
use std::ptr;
use tail::OptionsTail;

/// How a database is opened; see leveldb_options_create().
#[allow(non_camel_case_types)]
pub struct leveldb_options_t {
    _private: [u8; 0],
}

/// The value of `leveldb_snappy_compression`.
const SNAPPY: c_int = 1;

/// The value of `kZstdCompression` in LevelDB's C++ interface (main branch, not 1.23). Every other value
/// means no compression.
const ZSTD: c_int = 2;

/// The core's options of a handle; the default ones for NULL.
///
/// # Safety
/// `options` is NULL or an options handle of any kind that nobody changes now.
pub(super) unsafe fn core_options(options: *const leveldb_options_t) -> Result<Options> {
    // SAFETY: as the caller promises.
    let Some(header) = (unsafe { OptionHeader::of(options) }) else { return Ok(Options::default()) };
    match header.tail() {
        Some(tail) => tail.resolve(),
        None => Err(Error::invalid_argument("options is a handle of read options or write options")),
    }
}

/// Changes the core's options of a handle. NULL and handles of another kind are ignored.
///
/// # Safety
/// `options` is NULL or an options handle that no other call uses now.
pub(super) unsafe fn set(options: *mut leveldb_options_t, body: impl FnOnce(&mut Options)) {
    // SAFETY: as the caller promises.
    unsafe { set_tail(options, |tail| body(&mut tail.options)) };
}

/// # Safety
/// As [`set`].
unsafe fn set_tail(options: *mut leveldb_options_t, body: impl FnOnce(&mut OptionsTail)) {
    contain((), || {
        // SAFETY: as the caller promises.
        if let Some(tail) = unsafe { OptionHeader::of_mut(options) }.and_then(OptionHeader::tail_mut) {
            body(tail);
        }
    });
}

/// A count that C passes as an `int`. A negative one becomes 0, which the core brings into range.
pub(super) fn count(number: c_int) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// Creates options with LevelDB's defaults. Destroy them with leveldb_options_destroy(). Opening a database
/// copies them. Values that are out of range are clipped when a database is opened.
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_options_create() -> *mut leveldb_options_t {
    contain(ptr::null_mut(), || {
        let tail =
            OptionsTail { options: Options::default(), comparator: None, filter_policy: None, logger: None };
        let tail = handle::give(tail);
        let options: *mut leveldb_options_t = OptionHeader::create(OptionKind::Options, tail);
        if options.is_null() {
            // SAFETY: the tail came from `give`, and nobody else has it.
            drop(unsafe { handle::take_back(tail) });
        }
        options
    })
}

/// Destroys options.
///
/// # Safety
/// `options` is NULL or options that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_destroy(options: *mut leveldb_options_t) {
    // SAFETY: the caller gives up a handle that came from `create`.
    contain((), || unsafe { OptionHeader::destroy(options) });
}

/// The order of keys. NULL, the default, is the order of their bytes. The comparator must not be destroyed
/// before the options are used.
///
/// # Safety
/// `options` is NULL or options that no other call uses now; `comparator` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_comparator(
    options: *mut leveldb_options_t,
    comparator: *mut leveldb_comparator_t,
) {
    // SAFETY: as the caller promises.
    unsafe {
        set_tail(options, |tail| {
            tail.comparator = handle::lend(comparator).map(leveldb_comparator_t::reference);
        });
    }
}

/// The filter policy, which saves table reads. NULL, the default, is none.
///
/// # Safety
/// `options` is NULL or options that no other call uses now; `policy` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_filter_policy(
    options: *mut leveldb_options_t,
    policy: *mut leveldb_filterpolicy_t,
) {
    // SAFETY: as the caller promises.
    unsafe {
        set_tail(options, |tail| {
            tail.filter_policy = handle::lend(policy).map(leveldb_filterpolicy_t::reference);
        });
    }
}

/// Create the database if it is missing. Default: no.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_create_if_missing(
    options: *mut leveldb_options_t,
    create_if_missing: u8,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.create_if_missing = create_if_missing != 0) };
}

/// Refuse to open a database that exists. Default: no.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_error_if_exists(
    options: *mut leveldb_options_t,
    error_if_exists: u8,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.error_if_exists = error_if_exists != 0) };
}

/// Stop at the first damaged record or block instead of skipping it. Default: no.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_paranoid_checks(
    options: *mut leveldb_options_t,
    paranoid_checks: u8,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.paranoid_checks = paranoid_checks != 0) };
}

/// The environment: files, locks, clock. NULL, the default, is the environment of
/// leveldb_create_default_env().
///
/// # Safety
/// `options` is NULL or options that no other call uses now; `env` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_env(options: *mut leveldb_options_t, env: *mut leveldb_env_t) {
    // SAFETY: as the caller promises.
    unsafe {
        set(options, |options| {
            options.env = handle::lend(env).map_or_else(PosixEnv::shared, leveldb_env_t::share);
        });
    }
}

/// The receiver of the info log: what the database does, as lines for people. NULL, the default, is the file
/// LOG in the directory of the database. LevelDB's C interface has no function that creates a logger;
/// terrace_logger_create() does.
///
/// # Safety
/// `options` is NULL or options that no other call uses now; `logger` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_info_log(
    options: *mut leveldb_options_t,
    logger: *mut leveldb_logger_t,
) {
    // SAFETY: as the caller promises.
    unsafe {
        set_tail(options, |tail| {
            tail.logger = handle::lend(logger).map(leveldb_logger_t::reference);
        });
    }
}

/// Size of a memtable, in bytes, at which it is flushed to a table; from 64 KiB to 1 GiB. Default: 4 MiB.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_write_buffer_size(
    options: *mut leveldb_options_t,
    write_buffer_size: usize,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.write_buffer_size = write_buffer_size) };
}

/// Number of file descriptors that the database may keep open; from 74 to 50000. A table that is read through
/// a mapping holds none. The descriptor of another table is closed when the limit is reached, and opened
/// again when the table is read. All databases of a process together hold at most half of its RLIMIT_NOFILE
/// for tables, and fewer while the process is short of descriptors. The memory for indexes and filters of
/// open tables has a limit of its own, see `terrace_options_set_table_metadata_budget`. Default: 1000.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_max_open_files(
    options: *mut leveldb_options_t,
    max_open_files: c_int,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.max_open_files = count(max_open_files)) };
}

/// The cache of uncompressed blocks, which databases may share. NULL, the default, gives the database a cache
/// of 8 MiB of its own.
///
/// # Safety
/// `options` is NULL or options that no other call uses now; `cache` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_cache(
    options: *mut leveldb_options_t,
    cache: *mut leveldb_cache_t,
) {
    // SAFETY: as the caller promises.
    unsafe {
        set(options, |options| {
            options.block_cache = handle::lend(cache).map(leveldb_cache_t::share);
        });
    }
}

/// Size of a block of keys and values, in bytes before compression; from 1 KiB to 4 MiB. Default: 4 KiB.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_block_size(options: *mut leveldb_options_t, block_size: usize) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.block_size = block_size) };
}

/// Number of entries from one restart point of a block (a key that is stored whole) to the next; at least 1.
/// Default: 16.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_block_restart_interval(
    options: *mut leveldb_options_t,
    block_restart_interval: c_int,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.block_restart_interval = count(block_restart_interval)) };
}

/// Size of an output table, in bytes, at which a compaction starts the next one; from 1 MiB to 1 GiB.
/// Default: 2 MiB.
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_max_file_size(
    options: *mut leveldb_options_t,
    max_file_size: usize,
) {
    // SAFETY: as the caller promises.
    unsafe { set(options, |options| options.max_file_size = max_file_size) };
}

/// How blocks of new tables are compressed. leveldb_snappy_compression, the default; 2 for zstd at level 1,
/// which LevelDB's main branch can read but LevelDB 1.23 cannot; any other value for none. The setting does
/// not affect reading: each block names its compression.
///
/// With leveldb_snappy_compression, new tables use zlib or raw deflate if the directory has tables that use
/// it: then it is a Minecraft world, and the game cannot read snappy. For other compressions, and for levels,
/// see terrace_options_set_compression().
///
/// # Safety
/// `options` is NULL or options that no other call uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_options_set_compression(
    options: *mut leveldb_options_t,
    compression: c_int,
) {
    let compression = match compression {
        SNAPPY => Compression::Auto,
        ZSTD => Compression::Zstd,
        _ => Compression::None,
    };
    // SAFETY: as the caller promises.
    unsafe {
        set(options, |options| {
            options.compression = compression;
            options.compression_level = None;
        });
    }
}
