//! Calling a filter policy directly, as LevelDB's C++ interface allows: programs build their own policy on
//! the built-in one.
#![allow(unsafe_code)]

use super::boundary::guard_quietly;
use super::filter_policy::leveldb_filterpolicy_t;
use super::{bytes, handle};
use crate::error::{Error, Result};
use std::ffi::{c_char, c_int};
use std::ptr;

/// Returns the filter of `num_keys` keys, malloc()ed, and puts its length in bytes into `*filter_length`.
/// Returns NULL on failure, and if the policy has been revoked.
///
/// # Safety
/// `policy` is NULL or not destroyed; both arrays have `num_keys` elements; the keys have their lengths;
/// `filter_length` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_filterpolicy_create_filter(
    policy: *const leveldb_filterpolicy_t,
    keys: *const *const c_char,
    key_lengths: *const usize,
    num_keys: c_int,
    filter_length: *mut usize,
) -> *mut c_char {
    guard_quietly(ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let policy = unsafe { handle::required(policy, "policy") }?.reference().resolve();
        let Some(policy) = policy else { return Ok(ptr::null_mut()) };
        let count = usize::try_from(num_keys).unwrap_or(0);
        if count > 0 && (keys.is_null() || key_lengths.is_null()) {
            return Err(Error::invalid_argument("keys or key_lengths is NULL"));
        }
        // SAFETY: both arrays have `count` elements, and the keys have their lengths, as the caller promises.
        let keys: Result<Vec<&[u8]>> =
            (0..count).map(|i| unsafe { bytes::input(*keys.add(i), *key_lengths.add(i), "key") }).collect();
        let mut filter = Vec::new();
        policy.create_filter(&keys?, &mut filter);
        if !filter_length.is_null() {
            // SAFETY: not NULL, so writable as the caller promises.
            unsafe { *filter_length = filter.len() };
        }
        bytes::checked(bytes::malloc_copy(&filter))
    })
}

/// Returns 1 if the filter may have been made from `key`, 0 if it certainly was not. Returns 1 on failure,
/// and if the policy has been revoked.
///
/// # Safety
/// `policy` is NULL or not destroyed; `key` and `filter` have their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_filterpolicy_key_may_match(
    policy: *const leveldb_filterpolicy_t,
    key: *const c_char,
    key_length: usize,
    filter: *const c_char,
    filter_length: usize,
) -> u8 {
    guard_quietly(1, || {
        // SAFETY: as the caller promises.
        let (policy, key, filter) = unsafe {
            (
                handle::required(policy, "policy")?.reference().resolve(),
                bytes::input(key, key_length, "key")?,
                bytes::input(filter, filter_length, "filter")?,
            )
        };
        Ok(u8::from(policy.is_none_or(|policy| policy.key_may_match(key, filter))))
    })
}
