//! Look-ups of one key: the value copied to memory of the library, copied to memory of the caller, or lent.
#![allow(unsafe_code)]

use super::leveldb_t;
use crate::error::Result;
use crate::ffi::boundary::guard;
use crate::ffi::option_header::read_options;
use crate::ffi::read_options::leveldb_readoptions_t;
use crate::ffi::{bytes, handle};
use std::ffi::{c_char, c_void};
use std::ptr;

/// Looks a key up and hands its value to `found`; `None` if the key is absent. The body of all functions of
/// this file.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length.
#[inline(always)]
unsafe fn look_up<R>(
    db: *mut leveldb_t,
    options: *const leveldb_readoptions_t,
    key: *const c_char,
    keylen: usize,
    found: impl FnOnce(&[u8]) -> R,
) -> Result<Option<R>> {
    // SAFETY: as the caller promises.
    let (handle, key, options) =
        unsafe { (handle::required(db, "db")?, bytes::input(key, keylen, "key")?, read_options(options)) };
    handle.run(|db| db.get_at(&options, key, found))
}

/// Returns the value of a key, malloc()ed and not NUL-terminated, and puts its length in bytes into
/// `*vallen`. An empty value is not NULL. An absent key is not an error: NULL is returned, `*vallen` is 0,
/// and `*errptr` is unchanged.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `vallen` is NULL or
/// writable; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_get(
    db: *mut leveldb_t,
    options: *const leveldb_readoptions_t,
    key: *const c_char,
    keylen: usize,
    vallen: *mut usize,
    errptr: *mut *mut c_char,
) -> *mut c_char {
    // SAFETY: as the caller promises.
    unsafe {
        let (value, length) = guard(errptr, (ptr::null_mut(), 0), || {
            let copy = |value: &[u8]| (bytes::malloc_copy(value), value.len());
            match look_up(db, options, key, keylen, copy)? {
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

/// The result of terrace_get_into() for an absent key.
const MISSING: usize = usize::MAX;
/// The result of terrace_get_into() on failure.
const FAILED: usize = usize::MAX - 1;

/// Copies the value of a key into `buffer` and returns its length in bytes. A value longer than `buffer_size`
/// is not copied, not even in part; its length is returned, and the caller repeats the call with a buffer of
/// that size.
///
/// An absent key is not an error: the call returns `(size_t)-1` and does not change `*errptr`. It returns
/// `(size_t)-2` on failure. No value has one of these lengths. `buffer` may be NULL if `buffer_size` is 0, to
/// ask for the length.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `buffer` is writable for
/// `buffer_size` bytes and does not overlap the key; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_get_into(
    db: *mut leveldb_t,
    options: *const leveldb_readoptions_t,
    key: *const c_char,
    keylen: usize,
    buffer: *mut c_char,
    buffer_size: usize,
    errptr: *mut *mut c_char,
) -> usize {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, FAILED, || {
            if buffer.is_null() && buffer_size != 0 {
                return Err(handle::is_null("buffer"));
            }
            let copy = |value: &[u8]| {
                if value.len() <= buffer_size && !value.is_empty() {
                    // 0 < value.len() <= buffer_size, and a buffer whose size is not 0 is not NULL (checked
                    // above).
                    ptr::copy_nonoverlapping(value.as_ptr(), buffer.cast(), value.len());
                }
                value.len()
            };
            Ok(look_up(db, options, key, keylen, copy)?.unwrap_or(MISSING))
        })
    }
}

/// Calls `found` once with `state` and the value of a key. The value belongs to the database and is valid
/// during the callback, which must not call this library. Returns 1 if the key is present, 0 if it is absent
/// or on failure. An absent key is not an error.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `found` is NULL or returns
/// normally; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_get_with(
    db: *mut leveldb_t,
    options: *const leveldb_readoptions_t,
    key: *const c_char,
    keylen: usize,
    state: *mut c_void,
    found: Option<unsafe extern "C" fn(state: *mut c_void, value: *const c_char, length: usize)>,
    errptr: *mut *mut c_char,
) -> u8 {
    // SAFETY: as the caller promises; the value lives during the callback.
    unsafe {
        guard(errptr, 0, || {
            let hand_over = |value: &[u8]| {
                if let Some(found) = found {
                    found(state, bytes::pointer_to(value), value.len());
                }
            };
            Ok(u8::from(look_up(db, options, key, keylen, hand_over)?.is_some()))
        })
    }
}
