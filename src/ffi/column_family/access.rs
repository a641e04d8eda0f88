//! Access to a column family through its handle: get, put, delete, batches, iterators, compaction, sizes and
//! properties, in the shapes of RocksDB's C interface.
#![allow(unsafe_code)]

use super::{family, terrace_column_family_handle_t};
use crate::db::ColumnFamilyHandle;
use crate::error::{Error, Result};
use crate::ffi::boundary::{guard, guard_quietly};
use crate::ffi::db::{self, leveldb_t};
use crate::ffi::iterator::leveldb_iterator_t;
use crate::ffi::option_header::{read_options, write_options};
use crate::ffi::read_options::leveldb_readoptions_t;
use crate::ffi::write_batch::{self, leveldb_writebatch_t};
use crate::ffi::write_options::leveldb_writeoptions_t;
use crate::ffi::{bytes, handle};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// As leveldb_put(), into a column family. Fails if the family was dropped, or is of another database.
///
/// # Safety
/// As leveldb_put(); the handle is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_put_cf(
    db: *mut leveldb_t,
    options: *const leveldb_writeoptions_t,
    column_family: *mut terrace_column_family_handle_t,
    key: *const c_char,
    keylen: usize,
    val: *const c_char,
    vallen: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let (handle, family) = (handle::required(db, "db")?, family(column_family)?);
            let key = bytes::input(key, keylen, "key")?;
            let value = bytes::input(val, vallen, "value")?;
            handle.change(|db| db.put_cf(family, &write_options(options), key, value))
        });
    }
}

/// As leveldb_delete(), from a column family. Fails as terrace_put_cf() does.
///
/// # Safety
/// As leveldb_delete(); the handle is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_delete_cf(
    db: *mut leveldb_t,
    options: *const leveldb_writeoptions_t,
    column_family: *mut terrace_column_family_handle_t,
    key: *const c_char,
    keylen: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, (), || {
            let (handle, family) = (handle::required(db, "db")?, family(column_family)?);
            let key = bytes::input(key, keylen, "key")?;
            handle.change(|db| db.delete_cf(family, &write_options(options), key))
        });
    }
}

/// As leveldb_get(), from a column family. Fails if the family is of another database; a dropped one can be
/// read.
///
/// # Safety
/// As leveldb_get(); the handle is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_get_cf(
    db: *mut leveldb_t,
    options: *const leveldb_readoptions_t,
    column_family: *mut terrace_column_family_handle_t,
    key: *const c_char,
    keylen: usize,
    vallen: *mut usize,
    errptr: *mut *mut c_char,
) -> *mut c_char {
    // SAFETY: as the caller promises.
    unsafe {
        let (value, length) = guard(errptr, (ptr::null_mut(), 0), || {
            let (handle, family) = (handle::required(db, "db")?, family(column_family)?);
            let (key, options) = (bytes::input(key, keylen, "key")?, read_options(options));
            let copy = |value: &[u8]| (bytes::malloc_copy(value), value.len());
            match handle.run(|db| db.get_at_cf(family, &options, key, copy))? {
                Some((value, length)) => Ok((bytes::checked(value)?, length)),
                None => Ok((ptr::null_mut(), 0)),
            }
        });
        if !vallen.is_null() {
            *vallen = length;
        }
        value
    }
}

/// As leveldb_create_iterator(), over a column family. If the family is of another database, the iterator
/// never becomes valid, and leveldb_iter_get_error() says so.
///
/// # Safety
/// As leveldb_create_iterator(); the handle is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_create_iterator_cf(
    db: *mut leveldb_t,
    options: *const leveldb_readoptions_t,
    column_family: *mut terrace_column_family_handle_t,
) -> *mut leveldb_iterator_t {
    guard_quietly(ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let (handle, family, options) =
            unsafe { (handle::required(db, "db")?, family(column_family)?, read_options(options)) };
        let iterator = handle.run(|db| Ok(db.iter_at_cf(family, Some(options))))?;
        Ok(leveldb_iterator_t::give(iterator))
    })
}

/// Creates an iterator over each of `size` column families, all at one state of the database: of a batch over
/// several families they show everything or nothing. Puts them into `iterators`, to be destroyed with
/// leveldb_iter_destroy(). On failure all are NULL.
///
/// # Safety
/// As terrace_create_iterator_cf(); each array is NULL or has `size` elements; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_create_iterators(
    db: *mut leveldb_t,
    opts: *const leveldb_readoptions_t,
    column_families: *const *mut terrace_column_family_handle_t,
    iterators: *mut *mut leveldb_iterator_t,
    size: usize,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises; the arrays are used only if they are not NULL.
    unsafe {
        guard(errptr, (), || {
            if size > 0 && (column_families.is_null() || iterators.is_null()) {
                return Err(handle::is_null("an array of column families or iterators"));
            }
            (0..size).for_each(|index| *iterators.add(index) = ptr::null_mut());
            let handle = handle::required(db, "db")?;
            let families: Vec<&ColumnFamilyHandle> =
                (0..size).map(|index| family(*column_families.add(index))).collect::<Result<_>>()?;
            let made = handle.run(|db| db.iter_at_cfs(&families, read_options(opts)))?;
            for (index, iterator) in made.into_iter().enumerate() {
                *iterators.add(index) = leveldb_iterator_t::give(iterator);
            }
            Ok(())
        });
    }
}

/// As leveldb_writebatch_put(), into a column family. If a batch gets entries for families of two databases,
/// leveldb_write() reports the error.
///
/// # Safety
/// As leveldb_writebatch_put(); the handle is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_writebatch_put_cf(
    batch: *mut leveldb_writebatch_t,
    column_family: *mut terrace_column_family_handle_t,
    key: *const c_char,
    klen: usize,
    val: *const c_char,
    vlen: usize,
) {
    // SAFETY: as the caller promises.
    unsafe {
        write_batch::change(batch, |batch| {
            let family = family(column_family)?;
            batch.put_cf(family, bytes::input(key, klen, "key")?, bytes::input(val, vlen, "value")?);
            Ok(())
        });
    }
}

/// As leveldb_writebatch_delete(), from a column family.
///
/// # Safety
/// As leveldb_writebatch_delete(); the handle is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_writebatch_delete_cf(
    batch: *mut leveldb_writebatch_t,
    column_family: *mut terrace_column_family_handle_t,
    key: *const c_char,
    klen: usize,
) {
    // SAFETY: as the caller promises.
    unsafe {
        write_batch::change(batch, |batch| {
            batch.delete_cf(family(column_family)?, bytes::input(key, klen, "key")?);
            Ok(())
        });
    }
}

/// As leveldb_writebatch_iterate(), with the number of each entry's column family, which is 0 for the default
/// family. `merge_cf` is for merge operands, which no batch has yet.
///
/// # Safety
/// `batch` is NULL or a batch that nobody changes now; the callbacks are NULL or as in (8).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_writebatch_iterate_cf(
    batch: *const leveldb_writebatch_t,
    state: *mut c_void,
    put_cf: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            cfid: u32,
            k: *const c_char,
            klen: usize,
            v: *const c_char,
            vlen: usize,
        ),
    >,
    deleted_cf: Option<unsafe extern "C" fn(state: *mut c_void, cfid: u32, k: *const c_char, klen: usize)>,
    merge_cf: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            cfid: u32,
            k: *const c_char,
            klen: usize,
            v: *const c_char,
            vlen: usize,
        ),
    >,
) {
    let _ = merge_cf;
    guard_quietly((), || {
        // SAFETY: as the caller promises.
        let batch = unsafe { handle::required(batch, "batch") }?;
        for entry in batch.core().iter() {
            let (id, is_put, key, value) = entry?.shown();
            let (k, v) = (bytes::pointer_to(key), bytes::pointer_to(value));
            match (is_put, put_cf, deleted_cf) {
                // SAFETY: a callback of the caller, with bytes that are valid while the batch is borrowed.
                (true, Some(put), _) => unsafe { put(state, id, k, key.len(), v, value.len()) },
                // SAFETY: as above.
                (false, _, Some(deleted)) => unsafe { deleted(state, id, k, key.len()) },
                _ => {}
            }
        }
        Ok(())
    });
}

/// As leveldb_compact_range(), in a column family.
///
/// # Safety
/// As leveldb_compact_range(); the handle is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_compact_range_cf(
    db: *mut leveldb_t,
    column_family: *mut terrace_column_family_handle_t,
    start_key: *const c_char,
    start_key_len: usize,
    limit_key: *const c_char,
    limit_key_len: usize,
) {
    guard_quietly((), || {
        // SAFETY: as the caller promises.
        let (handle, family, start, limit) = unsafe {
            (
                handle::required(db, "db")?,
                family(column_family)?,
                bytes::bound(start_key, start_key_len, "start key")?,
                bytes::bound(limit_key, limit_key_len, "limit key")?,
            )
        };
        handle.change(|db| db.compact_range_cf(family, start, limit))
    });
}

/// As leveldb_approximate_sizes(), in a column family. All sizes are 0 on failure.
///
/// # Safety
/// As leveldb_approximate_sizes(); the handle is NULL or not destroyed; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_approximate_sizes_cf(
    db: *mut leveldb_t,
    column_family: *mut terrace_column_family_handle_t,
    num_ranges: c_int,
    range_start_key: *const *const c_char,
    range_start_key_len: *const usize,
    range_limit_key: *const *const c_char,
    range_limit_key_len: *const usize,
    sizes: *mut u64,
    errptr: *mut *mut c_char,
) {
    let count = usize::try_from(num_ranges).unwrap_or(0);
    if count == 0 || sizes.is_null() {
        return;
    }
    // SAFETY: as the caller promises; `sizes` has `count` elements.
    unsafe {
        guard(errptr, (), || {
            ptr::write_bytes(sizes, 0, count);
            let starts = db::keys(range_start_key, range_start_key_len, count)?;
            let limits = db::keys(range_limit_key, range_limit_key_len, count)?;
            let (handle, family) = (handle::required(db, "db")?, family(column_family)?);
            let ranges: Vec<_> = starts.into_iter().zip(limits).collect();
            let found = handle.run(|db| db.approximate_sizes_cf(family, &ranges))?;
            ptr::copy_nonoverlapping(found.as_ptr(), sizes, found.len().min(count));
            Ok(())
        });
    }
}

/// As leveldb_property_value(), of a column family, where a property is about a family. Returns NULL also if
/// the family was dropped or is of another database. Beside the properties named there:
///
/// `terrace.language`: `leveldb` or `rocksdb`, the language of the directory
///
/// `terrace.tables-to-upgrade`: the number of tables that terrace_upgrade_tables() would upgrade
///
/// `terrace.wal-pinned-by`: the name of the column family that keeps the oldest WAL
///
/// # Safety
/// As leveldb_property_value(); the handle is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_property_value_cf(
    db: *mut leveldb_t,
    column_family: *mut terrace_column_family_handle_t,
    propname: *const c_char,
) -> *mut c_char {
    guard_quietly(ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        match unsafe { property(db, column_family, propname) }? {
            Some(value) => bytes::checked(bytes::malloc_string(value.as_bytes())),
            None => Ok(ptr::null_mut()),
        }
    })
}

/// Puts the value of a property that is a number into `*out_val` and returns 0. Returns -1 if there is no
/// such property, or its value is no number.
///
/// # Safety
/// As terrace_property_value_cf(); `out_val` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_property_int_cf(
    db: *mut leveldb_t,
    column_family: *mut terrace_column_family_handle_t,
    propname: *const c_char,
    out_val: *mut u64,
) -> c_int {
    guard_quietly(-1, || {
        // SAFETY: as the caller promises.
        let value = unsafe { property(db, column_family, propname) }?;
        let Some(number) = value.and_then(|value| value.parse().ok()) else { return Ok(-1) };
        if !out_val.is_null() {
            // SAFETY: not NULL, so writable as the caller promises.
            unsafe { *out_val = number };
        }
        Ok(0)
    })
}

/// # Safety
/// As [`terrace_property_value_cf`].
unsafe fn property(
    db: *mut leveldb_t,
    column_family: *mut terrace_column_family_handle_t,
    propname: *const c_char,
) -> Result<Option<String>> {
    // SAFETY: as the caller promises.
    let (handle, family, name) = unsafe {
        (handle::required(db, "db")?, family(column_family)?, bytes::c_string(propname, "propname")?)
    };
    handle.run(|db| {
        db.check_process()?;
        Ok::<_, Error>(db.property_cf(family, name))
    })
}
