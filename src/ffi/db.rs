//! `leveldb_t`: an open database. Look-ups are in `get`; `access` has the handle itself.
#![allow(unsafe_code)]

mod access;
pub mod get;

use super::boundary::{guard, guard_quietly};
use super::option_header::write_options;
use super::options::{core_options, leveldb_options_t};
use super::write_batch::leveldb_writebatch_t;
use super::write_options::leveldb_writeoptions_t;
use super::{bytes, handle, last_error};
use crate::batch::write_batch::WriteBatch;
use crate::db::Db;
use crate::error::{Error, Result};
use std::ffi::{c_char, c_int};
use std::ptr;

pub use access::leveldb_t;

/// Opens the database in the directory `name`. LevelDB may have written it, and may open it afterwards. The
/// options are copied, so they may be destroyed as soon as the call returns.
///
/// Returns NULL on failure. A database is open at most once at a time: a second open, by another process or
/// by the same one, fails with an IO error that names the lock file. Of a missing path `name`, only the last
/// directory is created. Close the database with leveldb_close().
///
/// # Safety
/// `options` is NULL or not destroyed, and what was set in it is not destroyed; `name` is NULL or
/// NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_open(
    options: *const leveldb_options_t,
    name: *const c_char,
    errptr: *mut *mut c_char,
) -> *mut leveldb_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let path = bytes::path(name, "name")?;
            bytes::make_spare_messages();
            last_error::prepare();
            let db = Db::open(&core_options(options)?, path)?;
            Ok(handle::give(leveldb_t::new(db)))
        })
    }
}

/// Closes a database: waits for background work and releases the lock. When the last database of the process
/// is closed, the background threads have ended and are joined, so that the library may be unloaded.
///
/// Iterators and snapshots may outlive the database and are destroyed as usual. An iterator that is moved
/// after the close becomes invalid, with an error. `terrace_last_error_code()` reports a failure;
/// terrace_close() has an errptr.
///
/// # Safety
/// `db` is NULL or an open database that no other call uses now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_close(db: *mut leveldb_t) {
    // SAFETY: the caller gives up a handle that came from leveldb_open.
    guard_quietly((), || match unsafe { handle::take_back(db) } {
        Some(handle) => handle.close(),
        None => Ok(()),
    });
}

/// As leveldb_close(), but reports a failure through `errptr`. The database is closed and its handle is
/// destroyed in any case. NULL is allowed.
///
/// # Safety
/// `db` is NULL or an open database that no other call uses now or later; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_close(db: *mut leveldb_t, errptr: *mut *mut c_char) {
    // SAFETY: the caller gives up a handle that came from leveldb_open; `errptr` is as the caller promises.
    unsafe {
        guard(errptr, (), || match handle::take_back(db) {
            Some(handle) => handle.close(),
            None => Ok(()),
        });
    }
}

/// Sets a key to a value.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `key` and `val` have their lengths; `errptr` as
/// in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_put(
    db: *mut leveldb_t,
    options: *const leveldb_writeoptions_t,
    key: *const c_char,
    keylen: usize,
    val: *const c_char,
    vallen: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let handle = handle::required(db, "db")?;
            let key = bytes::input(key, keylen, "key")?;
            let value = bytes::input(val, vallen, "value")?;
            handle.change(|db| db.put(&write_options(options), key, value))
        });
    }
}

/// Deletes a key. Deleting an absent key succeeds.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_delete(
    db: *mut leveldb_t,
    options: *const leveldb_writeoptions_t,
    key: *const c_char,
    keylen: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let handle = handle::required(db, "db")?;
            let key = bytes::input(key, keylen, "key")?;
            handle.change(|db| db.delete(&write_options(options), key))
        });
    }
}

/// Writes a batch atomically: all of it or nothing. The batch is not changed and may be written again. If an
/// entry was refused when it was added, for example by leveldb_writebatch_put(), this call reports the error
/// and writes nothing.
///
/// A NULL batch starts a new memtable and a new WAL, and flushes the old memtable in the background.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `batch` is NULL or not destroyed, and nobody
/// changes it now; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_write(
    db: *mut leveldb_t,
    options: *const leveldb_writeoptions_t,
    batch: *mut leveldb_writebatch_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let handle = handle::required(db, "db")?;
            match handle::lend(batch) {
                Some(batch) => handle.change(|db| db.write(&write_options(options), batch.core())),
                None => handle.change(Db::rotate_memtable),
            }
        });
    }
}

/// Writes a batch, given by its representation, atomically: all of it or nothing. The representation is that
/// of a batch in LevelDB's WAL: eight bytes that are ignored, the number of entries (32 bits, little-endian),
/// then for each entry a byte (1: put, 0: delete), the key, and for a put the value, each preceded by its
/// length as a varint.
///
/// Fails with `Corruption` if the bytes are not a representation, and with `Invalid argument` if they are
/// longer than leveldb_writebatch_put() takes. Then nothing is written.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `rep` has its length; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_write_rep(
    db: *mut leveldb_t,
    options: *const leveldb_writeoptions_t,
    rep: *const c_char,
    rep_len: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let handle = handle::required(db, "db")?;
            let batch = WriteBatch::copy_of_rep(bytes::input(rep, rep_len, "rep")?)?;
            handle.change(|db| db.write(&write_options(options), &batch))
        });
    }
}

/// Returns a property of the database, malloc()ed and NUL-terminated, or NULL for an unknown name:
///
/// `leveldb.num-files-at-level<N>`: the number of table files at level N, from 0 to 6
///
/// `leveldb.stats`: a table of the levels and their compactions, as text for people
///
/// `leveldb.sstables`: the table files of each level, with their key ranges
///
/// `leveldb.approximate-memory-usage`: bytes of memory in use
///
/// `terrace.open-tables`: the number of tables whose index and filters are in memory
///
/// `terrace.table-metadata-bytes`: the bytes of memory that these take, see
/// `terrace_options_set_table_metadata_budget`
///
/// `terrace.table-descriptors`: the number of file descriptors through which tables are read; a mapped table
/// needs none
///
/// `terrace.table-openings`: how often a table was opened and its index parsed since the database was opened
///
/// `terrace.background-error`: the message of the worst current failure of background work or writes; empty
/// if there is none (terrace_background_error() has the details)
///
/// `terrace.recovery-damage`: one line for each part of a WAL that the last open could not replay; empty if
/// there is none
///
/// `terrace.entries-stepped-over`: the number of deleted and overwritten entries that iterators have skipped
/// when moving forward, without the first few of each move
///
/// # Safety
/// `db` is NULL or open; `propname` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_property_value(db: *mut leveldb_t, propname: *const c_char) -> *mut c_char {
    guard_quietly(ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let (handle, name) = unsafe { (handle::required(db, "db")?, bytes::c_string(propname, "propname")?) };
        match handle.run(|db| db.check_process().map(|()| db.property(name)))? {
            Some(value) => bytes::checked(bytes::malloc_string(value.as_bytes())),
            None => Ok(ptr::null_mut()),
        }
    })
}

/// Puts into `sizes[i]` about how many bytes the keys from `range_start_key[i]` (included) to
/// `range_limit_key[i]` (excluded) take. Counted are table files, and memtables that wait for a flush (full
/// ones, and those recovered from the WAL at open), uncompressed. The active memtable does not count, as in
/// LevelDB. All sizes are 0 on failure.
///
/// # Safety
/// `db` is NULL or open; each array is NULL or has `num_ranges` elements; the keys have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_approximate_sizes(
    db: *mut leveldb_t,
    num_ranges: c_int,
    range_start_key: *const *const c_char,
    range_start_key_len: *const usize,
    range_limit_key: *const *const c_char,
    range_limit_key_len: *const usize,
    sizes: *mut u64,
) {
    let count = usize::try_from(num_ranges).unwrap_or(0);
    if count == 0 || sizes.is_null() {
        return;
    }
    guard_quietly((), || {
        // SAFETY: not NULL, so an array of `count` elements, as the caller promises.
        unsafe { ptr::write_bytes(sizes, 0, count) };
        // SAFETY: as the caller promises.
        let starts = unsafe { keys(range_start_key, range_start_key_len, count) }?;
        // SAFETY: as the caller promises.
        let limits = unsafe { keys(range_limit_key, range_limit_key_len, count) }?;
        // SAFETY: as the caller promises.
        let handle = unsafe { handle::required(db, "db") }?;
        let ranges: Vec<_> = starts.into_iter().zip(limits).collect();
        let found = handle.run(|db| db.approximate_sizes(&ranges))?;
        // SAFETY: an array of `count` elements, of which at most as many are written as there are ranges.
        unsafe { ptr::copy_nonoverlapping(found.as_ptr(), sizes, found.len().min(count)) };
        Ok(())
    });
}

/// The keys given by an array of pointers and an array of lengths.
///
/// # Safety
/// Each array is NULL or has `count` elements; the keys have their lengths.
pub(super) unsafe fn keys<'a>(
    pointers: *const *const c_char,
    lengths: *const usize,
    count: usize,
) -> Result<Vec<&'a [u8]>> {
    if pointers.is_null() || lengths.is_null() {
        return Err(handle::is_null("an array of keys or lengths"));
    }
    let mut keys = Vec::new();
    keys.try_reserve_exact(count).map_err(|_| Error::io("cannot allocate memory for the ranges"))?;
    for index in 0..count {
        // SAFETY: the arrays have `count` elements; the key has its length, as the caller promises.
        keys.push(unsafe { bytes::input(*pointers.add(index), *lengths.add(index), "key") }?);
    }
    Ok(keys)
}

/// Compacts the keys from `start_key` to `limit_key`, both included: removes deleted and overwritten entries,
/// and moves the remaining ones to the deepest level possible. Returns when the compaction is done. A NULL
/// key is no bound (a key of length 0 that is not NULL is the empty key); a start after the limit is an empty
/// range. `terrace_last_error_code()` reports a failure; terrace_compact_range() has an errptr.
///
/// # Safety
/// `db` is NULL or open; the keys have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_compact_range(
    db: *mut leveldb_t,
    start_key: *const c_char,
    start_key_len: usize,
    limit_key: *const c_char,
    limit_key_len: usize,
) {
    guard_quietly((), || {
        // SAFETY: as the caller promises.
        unsafe { compact(db, (start_key, start_key_len), (limit_key, limit_key_len)) }
    });
}

/// As leveldb_compact_range(), but reports a failure through `errptr`.
///
/// # Safety
/// `db` is NULL or open; the keys have their lengths; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_compact_range(
    db: *mut leveldb_t,
    start_key: *const c_char,
    start_key_len: usize,
    limit_key: *const c_char,
    limit_key_len: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || compact(db, (start_key, start_key_len), (limit_key, limit_key_len)));
    }
}

/// # Safety
/// As [`leveldb_compact_range`].
unsafe fn compact(
    db: *mut leveldb_t,
    start: (*const c_char, usize),
    limit: (*const c_char, usize),
) -> Result<()> {
    // SAFETY: as the caller promises.
    let (handle, start, limit) = unsafe {
        (
            handle::required(db, "db")?,
            bytes::bound(start.0, start.1, "start key")?,
            bytes::bound(limit.0, limit.1, "limit key")?,
        )
    };
    handle.change(|db| db.compact_range(start, limit))
}

/// Flushes all memtables to table files, and returns when this is done.
///
/// # Safety
/// `db` is NULL or open; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_flush(db: *mut leveldb_t, errptr: *mut *mut c_char) {
    // SAFETY: as the caller promises.
    unsafe { guard(errptr, (), || handle::required(db, "db")?.change(Db::flush)) };
}

/// Upgrades all tables in LevelDB's format of a directory in RocksDB's format, and returns when this is done.
/// RocksDB before version 11 reads such tables, later ones do not. No entry changes, and the database may be
/// used meanwhile. It also upgrades them by itself, one after the other when there is nothing else to do; the
/// property "terrace.tables-to-upgrade" tells how many are left.
///
/// Fails with `Invalid argument` if the directory is in LevelDB's format, which the first column family
/// switches to RocksDB's. A damaged table stays as it is: the others are upgraded, and then the error names
/// it.
///
/// # Safety
/// `db` is NULL or open; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_upgrade_tables(db: *mut leveldb_t, errptr: *mut *mut c_char) {
    // SAFETY: as the caller promises.
    unsafe { guard(errptr, (), || handle::required(db, "db")?.change(Db::upgrade_tables)) };
}

/// Removes the database in the directory `name`: the files with names of database files, then the directory
/// if it is empty. A missing directory is not an error. An open database is refused. Only the environment of
/// the options is used.
///
/// # Safety
/// `options` is NULL or not destroyed; `name` is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_destroy_db(
    options: *const leveldb_options_t,
    name: *const c_char,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let path = bytes::path(name, "name")?;
            crate::db::destroy(&core_options(options)?, path)
        });
    }
}

/// Repairs a database that cannot be opened any more, keeping all entries that can be read. Some data may be
/// lost, and a deleted key may reappear if its tombstone or the MANIFEST is lost. A missing directory becomes
/// an empty database, as in LevelDB. Files that the repaired database does not use are moved to the directory
/// `lost`, where no file is overwritten.
///
/// Fails with `Not implemented`, and changes nothing, if a table cannot be understood: it is in RocksDB's
/// format, or has a block of correct checksum whose compression is unknown or not compiled into this library.
///
/// # Safety
/// `options` is NULL or not destroyed, and what was set in it is not destroyed; `name` is NULL or
/// NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_repair_db(
    options: *const leveldb_options_t,
    name: *const c_char,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let path = bytes::path(name, "name")?;
            crate::db::repair(&core_options(options)?, path)
        });
    }
}
