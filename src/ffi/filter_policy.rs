//! `leveldb_filterpolicy_t`: filters that spare table reads, LevelDB's bloom filter or one that lives in C.
//!
//! Lifetime: destroying a policy of C ends its callbacks at once, also while databases use it (see `revocable`): a database
//! can do without. From then on every key may match, and the policy has another name, so that tables written without
//! working filters never pass for tables that have them: an empty filter would say that no key is there. A table builder
//! asks for the name after the last filter, so a policy that dies in between leaves a filter block that nobody asks.
#![allow(unsafe_code)]

use super::boundary::contain;
use super::revocable::Revocable;
use super::{bytes, handle};
use crate::filter_policy::{BloomFilterPolicy, FilterPolicy};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

/// Filters that spare table reads; see leveldb_filterpolicy_create_bloom() and leveldb_filterpolicy_create().
#[allow(non_camel_case_types)]
pub struct leveldb_filterpolicy_t {
    policy: PolicyReference,
}

/// What options keep of a policy.
#[derive(Clone)]
pub(super) enum PolicyReference {
    /// The built-in one.
    Bloom(Arc<BloomFilterPolicy>),
    /// One that lives in C.
    Foreign(Arc<ForeignFilterPolicy>),
}

impl leveldb_filterpolicy_t {
    /// What options keep of it.
    pub(super) fn reference(&self) -> PolicyReference {
        self.policy.clone()
    }
}

impl PolicyReference {
    /// The policy a database uses; none if it was destroyed.
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

/// What the caller gave.
struct Callbacks {
    state: *mut c_void,
    destructor: Option<Destructor>,
    create_filter: Option<CreateFilter>,
    key_may_match: Option<KeyMayMatch>,
    name: Option<Name>,
}

// SAFETY: convention (8) has the caller make the callbacks callable from any thread; `state` is only handed to them.
unsafe impl Send for Callbacks {}
// SAFETY: as above, and at once.
unsafe impl Sync for Callbacks {}

/// A policy that lives in C until it is revoked. The destructor runs when it is revoked, not when it is dropped.
pub(super) struct ForeignFilterPolicy(Revocable<Callbacks>);

/// The name of a policy that is gone, or that has none. No reader has a policy of this name.
const GONE: &[u8] = b"terrace.NoFilterPolicy";

impl FilterPolicy for ForeignFilterPolicy {
    fn name(&self) -> Vec<u8> {
        let name = self.0.with(|callbacks| {
            let name = callbacks.name?;
            // SAFETY: the caller's callback with its state; what it returns is NULL or NUL-terminated, and is copied
            // at once because it need not live long.
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
            // These are the keys of one block, of which not even the largest holds that many.
            let count = c_int::try_from(keys.len()).unwrap_or(c_int::MAX);
            let mut length = 0;
            // SAFETY: the caller's callback with its state, and two arrays of `count` elements that live during the
            // call. What it returns is NULL or malloc()ed with `length` bytes, and ours to free.
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

/// Creates a filter policy from callbacks, each of which gets `state`. They are called on any thread, also at once.
///
/// `create_filter` gets the keys of a block, in order and possibly with repetitions, and returns a malloc()ed summary of
/// them, whose length it puts in `*filter_length`; the library frees it with free().
///
/// `key_may_match` gets a key and such a summary, and must return 1 if the key was among its keys; if it returns 0 the
/// block is not read.
///
/// `name` is stored in every table; a summary is only shown to the policy of the same name. What it returns is copied at
/// once.
///
/// `destructor` is called once, by leveldb_filterpolicy_destroy(). It may be NULL.
///
/// # Safety
/// The callbacks are NULL (which makes no filters) or as in (8), until leveldb_filterpolicy_destroy() returns; what
/// `create_filter` returns is NULL or malloc()ed and as long as it says; what `name` returns is NULL or NUL-terminated.
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
    // Without one of the three the others are never called, so that no table gets filters that cannot be asked.
    let (create_filter, key_may_match, name) = match (create_filter, key_may_match, name) {
        (Some(create), Some(ask), Some(name)) => (Some(create), Some(ask), Some(name)),
        _ => (None, None, None),
    };
    let callbacks = Callbacks { state, destructor, create_filter, key_may_match, name };
    let policy = PolicyReference::Foreign(Arc::new(ForeignFilterPolicy(Revocable::new(callbacks))));
    handle::give(leveldb_filterpolicy_t { policy })
}

/// Destroys a filter policy. None of its callbacks runs afterwards, and the destructor has run. Databases that still use
/// it go on without filters (those that use the bloom filter, with it). Not to be called from one of its callbacks.
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

/// Creates LevelDB's bloom filter policy with about `bits_per_key` bits a key; 10 makes 1% of the reads of absent keys
/// read a block that lacks them. More than 100 count as 100, negative ones as 0; a filter has 64 bits at least. Not for a comparator under which different keys can be equal.
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_filterpolicy_create_bloom(bits_per_key: c_int) -> *mut leveldb_filterpolicy_t {
    contain(ptr::null_mut(), || {
        let bits_per_key = usize::try_from(bits_per_key).unwrap_or(0);
        let policy = PolicyReference::Bloom(Arc::new(BloomFilterPolicy::new(bits_per_key)));
        handle::give(leveldb_filterpolicy_t { policy })
    })
}
