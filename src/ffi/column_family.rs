//! `terrace_column_family_handle_t`, a column family of an open database: open with families, list, create,
//! drop, and what the handle says, in the shapes of RocksDB's C interface. `access` reads and writes
//! a family.
#![allow(unsafe_code)]

pub mod access;

use super::boundary::{contain, guard, guard_quietly};
use super::db::leveldb_t;
use super::options::{core_options, leveldb_options_t};
use super::{bytes, handle, last_error};
use crate::db::{ColumnFamilyHandle, Db};
use crate::error::Result;
use crate::options::Options;
use std::ffi::{c_char, c_int};
use std::ptr;

/// A column family of an open database; see terrace_create_column_family(). Any number of threads may use a
/// handle at the same time. It may outlive its database, and the drop of its family.
#[allow(non_camel_case_types)]
pub struct terrace_column_family_handle_t {
    family: ColumnFamilyHandle,
}

impl terrace_column_family_handle_t {
    pub(super) fn core(&self) -> &ColumnFamilyHandle {
        &self.family
    }

    pub(super) fn give(family: ColumnFamilyHandle) -> *mut terrace_column_family_handle_t {
        handle::give(terrace_column_family_handle_t { family })
    }
}

/// The family of a handle, which must not be NULL.
///
/// # Safety
/// `column_family` is NULL or not destroyed.
#[inline(always)]
pub(super) unsafe fn family<'a>(
    column_family: *const terrace_column_family_handle_t,
) -> Result<&'a ColumnFamilyHandle> {
    // SAFETY: as the caller promises.
    unsafe { handle::required(column_family, "column family") }.map(terrace_column_family_handle_t::core)
}

/// Opens a database with all its column families: `column_family_names[i]` has the options
/// `column_family_options[i]`, of which those that concern a family count: comparator, write buffer, cache,
/// sizes of blocks and files, compression, filter policy. (NULL options are the default options.) Everything
/// else is taken from `options`. The family `default`, which every database has, may be named or not.
///
/// Every other family of the database must be named, in any order; the error names those that are missing. A
/// named family that does not exist is created if terrace_options_set_create_missing_column_families() says
/// so. Puts a handle for each name into `column_family_handles`, to be destroyed with
/// terrace_column_family_handle_destroy(). On failure returns NULL, and all handles are NULL.
///
/// # Safety
/// Options are NULL or not destroyed, and what was set in them is not destroyed; `name` is NULL or
/// NUL-terminated; each array is NULL or has `num_column_families` elements; names are NUL-terminated;
/// `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_open_column_families(
    options: *const leveldb_options_t,
    name: *const c_char,
    num_column_families: c_int,
    column_family_names: *const *const c_char,
    column_family_options: *const *const leveldb_options_t,
    column_family_handles: *mut *mut terrace_column_family_handle_t,
    errptr: *mut *mut c_char,
) -> *mut leveldb_t {
    let count = usize::try_from(num_column_families).unwrap_or(0);
    // SAFETY: as the caller promises; the array of handles is written only if it is not NULL.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            if count > 0 && column_family_handles.is_null() {
                return Err(handle::is_null("column_family_handles"));
            }
            (0..count).for_each(|index| *column_family_handles.add(index) = ptr::null_mut());
            let path = bytes::path(name, "name")?;
            let names = names(count, column_family_names)?;
            let mut of_families = Vec::new();
            for index in 0..count {
                of_families.push(match column_family_options.is_null() {
                    true => Options::default(),
                    false => core_options(*column_family_options.add(index))?,
                });
            }
            let named: Vec<_> = names.into_iter().zip(&of_families).collect();
            bytes::make_spare_messages();
            last_error::prepare();
            let (db, families) = Db::open_with_families(&core_options(options)?, path, &named)?;
            for (index, family) in families.into_iter().enumerate() {
                *column_family_handles.add(index) = terrace_column_family_handle_t::give(family);
            }
            Ok(handle::give(leveldb_t::new(db)))
        })
    }
}

/// The names of an array.
///
/// # Safety
/// `names` is NULL or has `count` elements, which are NULL or NUL-terminated.
unsafe fn names<'a>(count: usize, names: *const *const c_char) -> Result<Vec<&'a [u8]>> {
    if count > 0 && names.is_null() {
        return Err(handle::is_null("an array of names"));
    }
    // SAFETY: an array of `count` elements, as the caller promises.
    (0..count)
        .map(|index| unsafe { bytes::c_string(*names.add(index), "a name of a column family") })
        .collect()
}

/// Returns the names of the column families of the database in the directory `name`, the default one first,
/// and puts their number into `*lencf`. The database may be open; nothing is locked or changed. Free the list
/// with terrace_list_column_families_destroy(). Returns NULL on failure.
///
/// # Safety
/// `options` is NULL or not destroyed; `name` is NULL or NUL-terminated; `lencf` is NULL or writable;
/// `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_list_column_families(
    options: *const leveldb_options_t,
    name: *const c_char,
    lencf: *mut usize,
    errptr: *mut *mut c_char,
) -> *mut *mut c_char {
    // SAFETY: as the caller promises.
    unsafe {
        if !lencf.is_null() {
            *lencf = 0;
        }
        guard(errptr, ptr::null_mut(), || {
            let names = Db::list_column_families(&core_options(options)?, bytes::path(name, "name")?)?;
            let mut list = Vec::new();
            for name in &names {
                list.push(bytes::checked(bytes::malloc_string(name))?);
            }
            if !lencf.is_null() {
                *lencf = list.len();
            }
            Ok(give_list(list))
        })
    }
}

/// Passes a list of pointers to C; `take_list` takes it back.
fn give_list<T>(list: Vec<*mut T>) -> *mut *mut T {
    Box::into_raw(list.into_boxed_slice()).cast()
}

/// Takes back a list of `length` pointers.
///
/// # Safety
/// `list` is NULL or came from `give_list` with that length, and is not used afterwards.
unsafe fn take_list<T>(list: *mut *mut T, length: usize) -> Vec<*mut T> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: a boxed slice of that length, as the caller promises.
    unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(list, length)) }.into_vec()
}

/// Frees a list of terrace_list_column_families(), with its names.
///
/// # Safety
/// `list` is NULL, or came from terrace_list_column_families() with the length `len`, and is not used
/// afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_list_column_families_destroy(list: *mut *mut c_char, len: usize) {
    contain((), || {
        // SAFETY: as the caller promises; each name was malloc()ed.
        unsafe { take_list(list, len).into_iter().for_each(|name| libc::free(name.cast())) };
    });
}

/// Creates a column family, durably, and returns a handle of it. The first family switches the directory to
/// RocksDB's language for good: LevelDB cannot open it any more, RocksDB can. From then on the database is
/// opened with terrace_open_column_families(). Of the options those count that concern a family, see there.
///
/// Fails with `Invalid argument` if the name is NULL, empty, longer than 4096 bytes or taken, and with
/// `Not implemented` if terrace_options_set_language() forbids the switch. Returns NULL on failure.
///
/// # Safety
/// `db` is NULL or open; the options are NULL or not destroyed, and what was set in them is not destroyed;
/// the name is NULL or NUL-terminated; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_create_column_family(
    db: *mut leveldb_t,
    column_family_options: *const leveldb_options_t,
    column_family_name: *const c_char,
    errptr: *mut *mut c_char,
) -> *mut terrace_column_family_handle_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let handle = handle::required(db, "db")?;
            let name = bytes::c_string(column_family_name, "column_family_name")?;
            let options = core_options(column_family_options)?;
            let family = handle.change(|db| db.create_column_family(name, &options))?;
            Ok(terrace_column_family_handle_t::give(family))
        })
    }
}

/// Creates several column families with the same options, one after the other. Returns an array with their
/// handles, and puts their number into `*lencfs`. If one cannot be created, those before it exist and are in
/// the array, and `*errptr` says why. Free the array with terrace_create_column_families_destroy(), after or
/// before its handles.
///
/// # Safety
/// As terrace_create_column_family(); `column_family_names` is NULL or has `num_column_families` elements;
/// `lencfs` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_create_column_families(
    db: *mut leveldb_t,
    column_family_options: *const leveldb_options_t,
    num_column_families: c_int,
    column_family_names: *const *const c_char,
    lencfs: *mut usize,
    errptr: *mut *mut c_char,
) -> *mut *mut terrace_column_family_handle_t {
    let count = usize::try_from(num_column_families).unwrap_or(0);
    let mut created = Vec::new();
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let handle = handle::required(db, "db")?;
            let options = core_options(column_family_options)?;
            for name in names(count, column_family_names)? {
                let family = handle.change(|db| db.create_column_family(name, &options))?;
                created.push(terrace_column_family_handle_t::give(family));
            }
            Ok(())
        });
        if !lencfs.is_null() {
            *lencfs = created.len();
        }
    }
    // The length goes before the handles, so that the array can be freed without it.
    created.insert(0, ptr::without_provenance_mut(created.len()));
    // SAFETY: the list has at least one element.
    contain(ptr::null_mut(), || unsafe { give_list(created).add(1) })
}

/// Frees an array of terrace_create_column_families(). Its handles are destroyed one by one.
///
/// # Safety
/// `list` is NULL, or came from terrace_create_column_families() and is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_create_column_families_destroy(
    list: *mut *mut terrace_column_family_handle_t,
) {
    if list.is_null() {
        return;
    }
    contain((), || {
        // SAFETY: the element before the first one is the number of handles.
        unsafe {
            let whole = list.sub(1);
            drop(take_list(whole, 1 + (*whole).addr()));
        }
    });
}

/// Drops a column family, durably, with all its entries. The handle stays valid until it is destroyed: the
/// family can still be read through it and through iterators, writes to it fail, and its files are removed
/// when the last of them is gone. A write to it from another thread while this function runs may succeed and
/// is dropped with the family. The default family cannot be dropped.
///
/// # Safety
/// `db` is NULL or open; the handle is NULL or not destroyed; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_drop_column_family(
    db: *mut leveldb_t,
    column_family: *mut terrace_column_family_handle_t,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let family = family(column_family)?;
            handle::required(db, "db")?.change(|db| db.drop_column_family(family))
        });
    }
}

/// Returns a handle of the default column family, to be destroyed like any other. NULL only if `db` is NULL
/// or an internal error occurs.
///
/// # Safety
/// `db` is NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_get_default_column_family_handle(
    db: *mut leveldb_t,
) -> *mut terrace_column_family_handle_t {
    guard_quietly(ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let family = unsafe { handle::required(db, "db") }?.run(|db| Ok(db.default_column_family()))?;
        Ok(terrace_column_family_handle_t::give(family))
    })
}

/// Destroys a handle. The family is not dropped. The database may have been closed before.
///
/// # Safety
/// The handle is NULL, or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_column_family_handle_destroy(
    column_family: *mut terrace_column_family_handle_t,
) {
    // SAFETY: the caller gives up a handle that came from `give`.
    contain((), || drop(unsafe { handle::take_back(column_family) }));
}

/// Returns the number of a column family. The default family has 0, and no other family ever gets the number
/// of a dropped one. 0 for NULL.
///
/// # Safety
/// The handle is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_column_family_handle_get_id(
    column_family: *const terrace_column_family_handle_t,
) -> u32 {
    // SAFETY: as the caller promises.
    contain(0, || unsafe { handle::lend(column_family) }.map_or(0, |handle| handle.family.id()))
}

/// Returns the name of a column family, malloc()ed and NUL-terminated, and puts its length in bytes into
/// `*name_len`. NULL for NULL.
///
/// # Safety
/// The handle is NULL or not destroyed; `name_len` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_column_family_handle_get_name(
    column_family: *const terrace_column_family_handle_t,
    name_len: *mut usize,
) -> *mut c_char {
    // SAFETY: as the caller promises.
    unsafe {
        if !name_len.is_null() {
            *name_len = 0;
        }
        guard_quietly(ptr::null_mut(), || {
            let name = family(column_family)?.name();
            let copy = bytes::checked(bytes::malloc_string(name))?;
            if !name_len.is_null() {
                *name_len = name.len();
            }
            Ok(copy)
        })
    }
}
