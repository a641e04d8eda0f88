//! `terrace_get_into`: a value into memory of the caller's, in one call instead of three (get, copy, free).
#![allow(unsafe_code)]

use super::boundary::guard;
use super::db::leveldb_t;
use super::option_head::read_options;
use super::read_options::leveldb_readoptions_t;
use super::{bytes, handle};
use std::ffi::c_char;
use std::ptr;

/// What is returned for a key that is not there.
const MISSING: usize = usize::MAX;
/// What is returned on failure.
const FAILED: usize = usize::MAX - 1;

/// Copies the value of a key into `buffer`, and returns its length. A value longer than `buffer_size` is not copied at all;
/// its length is returned all the same, and the call to be repeated with as large a buffer.
///
/// A key that is not there is no error: `(size_t)-1` is returned, and `*errptr` is left as it was. `(size_t)-2` is returned on
/// failure. No value is as long as these. `buffer` may be NULL if `buffer_size` is 0: that asks for the length.
///
/// # Safety
/// `db` is NULL or open; `options` is NULL or not destroyed; `key` has its length; `buffer` is writable for `buffer_size` bytes,
/// none of which are the key's; `errptr` as in (3).
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
                    // The buffer is not NULL where its size is not 0, which is at least the length, which is not 0.
                    ptr::copy_nonoverlapping(value.as_ptr(), buffer.cast(), value.len());
                }
                value.len()
            };
            let length = handle.run(|db| db.get_with(&read_options(options), key, copy))?;
            Ok(length.unwrap_or(MISSING))
        })
    }
}
