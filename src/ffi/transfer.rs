//! Export of a column family to a directory of LevelDB's, and import of such a directory.
#![allow(unsafe_code)]

use super::boundary::guard;
use super::column_family::terrace_column_family_handle_t;
use super::db::leveldb_t;
use super::{bytes, handle};
use std::ffi::c_char;
use std::ptr;

/// Writes the contents of a column family (NULL: the default one), as they are at one moment of this call, to
/// a new LevelDB database in `directory`. The directory is created if it is missing (only the last one of the
/// path); an existing one must have no file of a database. Other threads may write meanwhile. A family that
/// was dropped can be exported as long as there is a handle of it.
///
/// LevelDB opens the new database with the comparator of the family; nothing in it depends on this one. Its
/// tables are compressed with snappy, or not at all if the family's are not. After a crash the database is
/// there whole, or the directory has no file CURRENT: it can be removed then. After an error everything that
/// was made is removed again.
///
/// # Safety
/// `db` is NULL or open; the handle is NULL or not destroyed; `directory` is NULL or NUL-terminated; `errptr`
/// as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_export_leveldb(
    db: *mut leveldb_t,
    column_family: *mut terrace_column_family_handle_t,
    directory: *const c_char,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let directory = bytes::path(directory, "directory")?;
            let family = handle::lend(column_family);
            handle::required(db, "db")?.run(|db| match family {
                Some(family) => db.export_leveldb(family.core(), directory),
                None => db.export_leveldb(&db.default_column_family(), directory),
            })
        });
    }
}

/// Creates a column family with the contents of the database in `directory`, durably, and returns a handle of
/// it. LevelDB or this library has written that database; it has only the default column family, has the
/// comparator of `db`, and is not open. Its WALs count. Nothing in the directory changes but the file LOCK,
/// and the family does not depend on it afterwards. The options of the family are those of the default one.
///
/// The first family switches the directory of `db` to RocksDB's language: see
/// terrace_create_column_family(). After a crash the family is there whole or not at all. Every snapshot
/// shows it, also an older one. Other threads may write meanwhile; other families are created and dropped
/// afterwards.
///
/// Fails with `Invalid argument` if the name is NULL, empty, longer than 4096 bytes or taken, if there is no
/// database in the directory, or if it has another comparator; with `Not implemented` if it has several
/// families, or if terrace_options_set_language() forbids the switch; with `Corruption` if anything in it is
/// damaged; with `IO error` if it is open. Returns NULL on failure.
///
/// # Safety
/// `db` is NULL or open; the strings are NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_import_leveldb(
    db: *mut leveldb_t,
    name: *const c_char,
    directory: *const c_char,
    errptr: *mut *mut c_char,
) -> *mut terrace_column_family_handle_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let handle = handle::required(db, "db")?;
            let name = bytes::c_string(name, "name")?;
            let directory = bytes::path(directory, "directory")?;
            let family =
                handle.change(|db| db.import_leveldb(name, &db.options_of_default_family(), directory))?;
            Ok(terrace_column_family_handle_t::give(family))
        })
    }
}
