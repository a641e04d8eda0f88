//! `leveldb_filterpolicy_t`: filters that save table reads: LevelDB's bloom filter, or one that is
//! implemented in C.
//!
//! Lifetime: destroying a policy of C revokes its callbacks at once, even while databases use it (see
//! `revocable_callbacks`): a database can work without filters. From then on every key may match, and the
//! policy has another name. So a table written without working filters is never mistaken for a table that has
//! them: an empty filter would claim that the table has no key. A table builder asks for the name after the
//! last filter, so a policy destroyed in between leaves a filter block that no reader consults.
//!
//! The last two functions call a policy directly, as LevelDB's C++ interface allows: programs build their own
//! policy on the built-in one.
#![allow(unsafe_code)]

use super::boundary::{contain, guard_quietly};
use super::revocable_callbacks::Revocable;
use super::{bytes, handle};
use crate::error::{Error, Result};
use crate::filter_policy::{BloomFilterPolicy, FilterPolicy};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

/// Filters that save table reads; see leveldb_filterpolicy_create_bloom() and leveldb_filterpolicy_create().
#[allow(non_camel_case_types)]
pub struct leveldb_filterpolicy_t {
    policy: PolicyReference,
}

/// The reference to a policy that options keep.
#[derive(Clone)]
pub(super) enum PolicyReference {
    /// LevelDB's bloom filter.
    Bloom(Arc<BloomFilterPolicy>),
    /// A policy that is implemented in C.
    Foreign(Arc<ForeignFilterPolicy>),
}

impl leveldb_filterpolicy_t {
    pub(super) fn reference(&self) -> PolicyReference {
        self.policy.clone()
    }
}

impl PolicyReference {
    /// The policy that a database uses; `None` if the policy was destroyed.
    pub(super) fn resolve(&self) -> Option<Arc<dyn FilterPolicy>> {
        match self {
            PolicyReference::Bloom(policy) => Some(policy.clone()),
            PolicyReference::Foreign(policy) => policy.0.with(|_| ()).map(|()| policy.clone() as Arc<_>),
        }
    }
}

type Destructor = unsafe extern "C" fn(*mut c_void);
type CreateFilter =
    unsafe extern "C" fn(*mut c_void, *const *const c_char, *const usize, c_int, *mut usize) -> *mut c_char;
type KeyMayMatch = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize) -> u8;
type Name = unsafe extern "C" fn(*mut c_void) -> *const c_char;

/// The callbacks of the caller, with their state.
struct Callbacks {
    state: *mut c_void,
    destructor: Option<Destructor>,
    create_filter: Option<CreateFilter>,
    key_may_match: Option<KeyMayMatch>,
    name: Option<Name>,
}

// SAFETY: convention (8) obliges the caller to make the callbacks callable from any thread; `state` is only
// passed to them.
unsafe impl Send for Callbacks {}
// SAFETY: as above, and from several threads at the same time.
unsafe impl Sync for Callbacks {}

/// A policy that is implemented in C, until it is revoked. The destructor runs when the policy is revoked,
/// not when it is dropped.
pub(super) struct ForeignFilterPolicy(Revocable<Callbacks>);

/// The name of a policy that was destroyed, or that has no name. No reader has a policy of this name.
const GONE: &[u8] = b"terrace.NoFilterPolicy";

impl FilterPolicy for ForeignFilterPolicy {
    fn name(&self) -> Vec<u8> {
        let name = self.0.with(|callbacks| {
            let name = callbacks.name?;
            // SAFETY: the caller's callback with its state. The result is NULL or NUL-terminated, and is
            // copied at once, because it may be short-lived.
            unsafe {
                let name = name(callbacks.state);
                (!name.is_null()).then(|| CStr::from_ptr(name).to_bytes().to_vec())
            }
        });
        name.flatten().unwrap_or_else(|| GONE.to_vec())
    }

    fn create_filter(&self, keys: &[&[u8]], dst: &mut Vec<u8>) {
        self.0.with(|callbacks| {
            let Some(create_filter) = callbacks.create_filter else { return };
            let pointers: Vec<*const c_char> = keys.iter().map(|key| bytes::pointer_to(key)).collect();
            let lengths: Vec<usize> = keys.iter().map(|key| key.len()).collect();
            // The keys are those of one block; even the largest block has fewer than c_int::MAX.
            let count = c_int::try_from(keys.len()).unwrap_or(c_int::MAX);
            let mut length = 0;
            // SAFETY: the caller's callback with its state, and two arrays of `count` elements that live
            // during the call. The result is NULL, or malloc()ed with `length` bytes and owned by us.
            unsafe {
                let filter =
                    create_filter(callbacks.state, pointers.as_ptr(), lengths.as_ptr(), count, &mut length);
                if !filter.is_null() {
                    if let Ok(filter) = bytes::input(filter, length, "filter") {
                        dst.extend_from_slice(filter);
                    }
                    libc::free(filter.cast());
                }
            }
        });
    }

    fn key_may_match(&self, key: &[u8], filter: &[u8]) -> bool {
        let answer = self.0.with(|callbacks| {
            let key_may_match = callbacks.key_may_match?;
            let (k, f) = (bytes::pointer_to(key), bytes::pointer_to(filter));
            // SAFETY: the caller's callback with its state, and bytes that live during the call.
            Some(unsafe { key_may_match(callbacks.state, k, key.len(), f, filter.len()) } != 0)
        });
        answer.flatten().unwrap_or(true)
    }
}

/// Creates a filter policy from callbacks, each of which gets `state`. They are called on any thread, several
/// at the same time.
///
/// `create_filter` gets the keys of a block, in order and possibly with repetitions. It returns a malloc()ed
/// filter and puts its length in bytes into `*filter_length`; the library frees the filter with free().
///
/// `key_may_match` gets a key and such a filter. It must return 1 if the filter was made from that key; if it
/// returns 0, the block is not read.
///
/// `name` is stored in every table; a filter is only passed to the policy of the same name. The result of
/// `name` is copied at once.
///
/// `destructor` is called once, by leveldb_filterpolicy_destroy(). It may be NULL.
///
/// # Safety
/// The callbacks are NULL (which makes no filters) or as in (8), until leveldb_filterpolicy_destroy()
/// returns; the result of `create_filter` is NULL, or malloc()ed and as long as it says; the result of `name`
/// is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_filterpolicy_create(
    state: *mut c_void,
    destructor: Option<unsafe extern "C" fn(state: *mut c_void)>,
    create_filter: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            key_array: *const *const c_char,
            key_length_array: *const usize,
            num_keys: c_int,
            filter_length: *mut usize,
        ) -> *mut c_char,
    >,
    key_may_match: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            key: *const c_char,
            length: usize,
            filter: *const c_char,
            filter_length: usize,
        ) -> u8,
    >,
    name: Option<unsafe extern "C" fn(state: *mut c_void) -> *const c_char>,
) -> *mut leveldb_filterpolicy_t {
    // If one of the three is missing, the others are never called: no table gets filters that cannot be
    // consulted.
    let (create_filter, key_may_match, name) = match (create_filter, key_may_match, name) {
        (Some(create), Some(ask), Some(name)) => (Some(create), Some(ask), Some(name)),
        _ => (None, None, None),
    };
    let callbacks = Callbacks { state, destructor, create_filter, key_may_match, name };
    let policy = PolicyReference::Foreign(Arc::new(ForeignFilterPolicy(Revocable::new(callbacks))));
    handle::give(leveldb_filterpolicy_t { policy })
}

/// Destroys a filter policy. When the call returns, none of its callbacks runs any more, and the destructor
/// has run. Databases that still use the policy continue without filters; databases that use the bloom filter
/// continue to use it. Must not be called from a callback of the policy.
///
/// # Safety
/// `policy` is NULL or a policy whose handle is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_filterpolicy_destroy(policy: *mut leveldb_filterpolicy_t) {
    contain((), || {
        // SAFETY: the caller gives up a handle that came from one of the two create functions.
        let Some(handle) = (unsafe { handle::take_back(policy) }) else { return };
        let PolicyReference::Foreign(policy) = &handle.policy else { return };
        if let Some(callbacks) = policy.0.revoke()
            && let Some(destructor) = callbacks.destructor
        {
            // SAFETY: the caller's callback with its state, once: `revoke` gives the callbacks once.
            unsafe { destructor(callbacks.state) };
        }
    });
}

/// Creates LevelDB's bloom filter policy with about `bits_per_key` bits per key. With 10, about 1% of the
/// look-ups of absent keys read a block. A value above 100 counts as 100, a negative one as 0; a filter has
/// at least 64 bits. Not to be used with a comparator under which different keys can be equal.
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_filterpolicy_create_bloom(bits_per_key: c_int) -> *mut leveldb_filterpolicy_t {
    contain(ptr::null_mut(), || {
        let bits_per_key = usize::try_from(bits_per_key).unwrap_or(0);
        let policy = PolicyReference::Bloom(Arc::new(BloomFilterPolicy::new(bits_per_key)));
        handle::give(leveldb_filterpolicy_t { policy })
    })
}

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
