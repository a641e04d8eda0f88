//! `terrace_get_into`: copies a value into memory of the caller, in one call instead of three (get, copy,
//! free).
#![allow(unsafe_code)]

use super::boundary::guard;
use super::db::leveldb_t;
use super::option_head::read_options;
use super::read_options::leveldb_readoptions_t;
use super::{bytes, handle};
use std::ffi::c_char;
use std::ptr;

/// The result for an absent key.
const MISSING: usize = usize::MAX;
/// The result on failure.
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
            let handle = handle::required(db, "db")?;
            let key = bytes::input(key, keylen, "key")?;
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
            let length = handle.run(|db| db.get_at(&read_options(options), key, copy))?;
            Ok(length.unwrap_or(MISSING))
        })
    }
}
