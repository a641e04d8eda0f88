//! `leveldb_comparator_t`: an order of keys that lives in C.
//!
//! Lifetime: databases, and iterators that outlive them, own a reference; options own none. The destructor runs when the
//! handle and the last of them are gone: inside `leveldb_comparator_destroy` where no database uses the comparator, which
//! is what callers rely on, else at the last close. A database cannot do without its order, so this is the one callback
//! that may be called after its destroy function.
#![allow(unsafe_code)]

use super::boundary::contain;
use super::{bytes, handle};
use crate::comparator::{Comparator, ComparatorFailed};
use crate::error::{Error, Result};
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::resume_unwind;
use std::sync::{Arc, Weak};

/// An order of keys; see leveldb_comparator_create().
#[allow(non_camel_case_types)]
pub struct leveldb_comparator_t {
    comparator: Arc<ForeignComparator>,
}

type Destructor = unsafe extern "C" fn(*mut c_void);
type Compare = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize) -> c_int;
type Name = unsafe extern "C" fn(*mut c_void) -> *const c_char;
type Separator =
    unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize, *mut usize) -> *mut c_char;
type Successor = unsafe extern "C" fn(*mut c_void, *const c_char, usize, *mut usize) -> *mut c_char;

thread_local! {
    /// Has the comparison that runs on this thread failed?
    static FAILED: Cell<bool> = const { Cell::new(false) };
    /// Why.
    static WHY: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Ends the call, or the step of background work, that needs a comparison which failed: as a panic would, but without a
/// word on standard error, as it is no defect of ours.
#[cold]
fn give_up() -> ! {
    FAILED.set(false);
    resume_unwind(Box::new(ComparatorFailed(WHY.take())))
}

/// The callbacks of a comparator. Dropping it runs the destructor.
pub(super) struct ForeignComparator {
    state: *mut c_void,
    destructor: Option<Destructor>,
    compare: Option<Compare>,
    name: Option<Name>,
    separator: Option<Separator>,
    successor: Option<Successor>,
}

// SAFETY: convention (8) has the caller make the callbacks callable from any thread; `state` is only handed to them.
unsafe impl Send for ForeignComparator {}
// SAFETY: as above, and at once.
unsafe impl Sync for ForeignComparator {}

impl Drop for ForeignComparator {
    fn drop(&mut self) {
        if let Some(destructor) = self.destructor {
            // SAFETY: the caller's callback with its state, once.
            unsafe { destructor(self.state) };
        }
    }
}

impl Comparator for ForeignComparator {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let Some(compare) = self.compare else { return a.cmp(b) };
        let (left, right) = (bytes::pointer_to(a), bytes::pointer_to(b));
        FAILED.set(false); // a call outside of a comparison means nothing
        // SAFETY: the caller's callback with its state, and bytes that live during the call. Only the sign counts.
        let order = unsafe { compare(self.state, left, a.len(), right, b.len()) };
        if FAILED.get() {
            give_up();
        }
        order.cmp(&0)
    }

    fn name(&self) -> Vec<u8> {
        let Some(name) = self.name else { return Vec::new() };
        // SAFETY: the caller's callback with its state; what it returns is NULL or NUL-terminated, and is copied at
        // once because it need not live long.
        unsafe {
            let name = name(self.state);
            if name.is_null() { Vec::new() } else { CStr::from_ptr(name).to_bytes().to_vec() }
        }
    }

    fn find_shortest_separator(&self, start: &mut Vec<u8>, limit: &[u8]) {
        let Some(separator) = self.separator else { return };
        // SAFETY: the caller's callback with its state, and bytes that live during the call.
        let found = take(|length| unsafe {
            let (s, l) = (bytes::pointer_to(start), bytes::pointer_to(limit));
            separator(self.state, s, start.len(), l, limit.len(), length)
        });
        // What is not between the two would make keys unfindable, so it is not believed.
        if let Some(found) = found
            && self.compare(start, &found) != Ordering::Greater
            && self.compare(&found, limit) == Ordering::Less
        {
            *start = found;
        }
    }

    fn find_short_successor(&self, key: &mut Vec<u8>) {
        let Some(successor) = self.successor else { return };
        // SAFETY: as above.
        let found =
            take(|length| unsafe { successor(self.state, bytes::pointer_to(key), key.len(), length) });
        if let Some(found) = found
            && self.compare(key, &found) != Ordering::Greater
        {
            *key = found;
        }
    }
}

/// Takes what a callback returns malloc()ed, with its length; `None` for NULL.
fn take(callback: impl FnOnce(*mut usize) -> *mut c_char) -> Option<Vec<u8>> {
    let mut length = 0;
    let found = callback(&mut length);
    if found.is_null() {
        return None;
    }
    // SAFETY: not NULL, so malloc()ed with `length` bytes, as the caller of the create function promised, and ours to free.
    unsafe {
        let copy = bytes::input(found, length, "key").ok().map(<[u8]>::to_vec);
        libc::free(found.cast());
        copy
    }
}

impl leveldb_comparator_t {
    /// What options keep of a comparator: enough to use it while it is not destroyed.
    pub(super) fn reference(&self) -> ComparatorReference {
        ComparatorReference(Arc::downgrade(&self.comparator))
    }
}

/// A comparator that may be destroyed before it is used.
pub(super) struct ComparatorReference(Weak<ForeignComparator>);

impl ComparatorReference {
    /// The comparator, if a database can use it.
    pub(super) fn resolve(&self) -> Result<Arc<dyn Comparator>> {
        let comparator = self.0.upgrade().ok_or_else(|| {
            Error::invalid_argument("the comparator of the options was destroyed before they were used")
        })?;
        if comparator.compare.is_none() || comparator.name.is_none() {
            return Err(Error::invalid_argument("the comparator of the options lacks compare or name"));
        }
        Ok(comparator)
    }
}

/// Creates an order of keys from callbacks, each of which gets `state`.
///
/// `compare` returns a negative number, 0, or a positive one; only the sign counts. The order must be total and never
/// change for a database. Opening, reading and writing compare on the caller's thread, compactions on background threads,
/// also at the same time. Keys are compared whole, and never shortened (terrace_comparator_create() can do that).
///
/// `name` is stored with a database, and opening it with a comparator of another name is refused. It is called when a
/// database is opened, and what it returns is copied at once.
///
/// `destructor` is called once, when the comparator is destroyed and nothing uses it any more: inside
/// leveldb_comparator_destroy() if no database uses it, else when the last database that does is closed (and the last of
/// its iterators destroyed). It may be NULL.
///
/// # Safety
/// The callbacks are NULL (without `compare` or `name` no database opens) or as in (8), as long as databases use the
/// comparator; what `name` returns is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_comparator_create(
    state: *mut c_void,
    destructor: Option<unsafe extern "C" fn(state: *mut c_void)>,
    compare: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            a: *const c_char,
            alen: usize,
            b: *const c_char,
            blen: usize,
        ) -> c_int,
    >,
    name: Option<unsafe extern "C" fn(state: *mut c_void) -> *const c_char>,
) -> *mut leveldb_comparator_t {
    let (separator, successor) = (None, None);
    let comparator = ForeignComparator { state, destructor, compare, name, separator, successor };
    handle::give(leveldb_comparator_t { comparator: Arc::new(comparator) })
}

/// As leveldb_comparator_create(), with two callbacks more that shorten keys, as the index of a table needs them.
///
/// `find_shortest_separator` may return a key at or after `start` and before `limit`, and `find_short_successor` one at or after
/// `key`: malloc()ed, with its length in `*length`; the library frees it with free(). NULL leaves the key as it is, which is always
/// right; so does a NULL callback, and a key that is not where it should be.
///
/// # Safety
/// As leveldb_comparator_create(); what the two return is NULL or malloc()ed and as long as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_comparator_create(
    state: *mut c_void,
    destructor: Option<unsafe extern "C" fn(state: *mut c_void)>,
    compare: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            a: *const c_char,
            alen: usize,
            b: *const c_char,
            blen: usize,
        ) -> c_int,
    >,
    name: Option<unsafe extern "C" fn(state: *mut c_void) -> *const c_char>,
    find_shortest_separator: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            start: *const c_char,
            start_len: usize,
            limit: *const c_char,
            limit_len: usize,
            length: *mut usize,
        ) -> *mut c_char,
    >,
    find_short_successor: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            key: *const c_char,
            key_len: usize,
            length: *mut usize,
        ) -> *mut c_char,
    >,
) -> *mut leveldb_comparator_t {
    let (separator, successor) = (find_shortest_separator, find_short_successor);
    let comparator = ForeignComparator { state, destructor, compare, name, separator, successor };
    contain(std::ptr::null_mut(), || handle::give(leveldb_comparator_t { comparator: Arc::new(comparator) }))
}

/// Destroys a comparator, best after the databases that use it are closed: they go on using it until then.
///
/// # Safety
/// `comparator` is NULL or a comparator whose handle is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_comparator_destroy(comparator: *mut leveldb_comparator_t) {
    // SAFETY: the caller gives up a handle that came from leveldb_comparator_create.
    contain((), || drop(unsafe { handle::take_back(comparator) }));
}

/// To be called from inside of `compare`, when it cannot compare (it is written in a language with exceptions, and one was
/// raised): whatever `compare` then returns does not count. No order is guessed, so none gets into the files.
///
/// The call that needed the comparison fails with an `IO error` of `message` (an iterator becomes invalid), and the database takes
/// no writes until it is opened again; a compaction is given up, and does the same. `message` is copied; NULL is an empty one.
///
/// # Safety
/// `message` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_comparator_fail(message: *const c_char) {
    contain((), || {
        // SAFETY: as the caller promises.
        let message = unsafe { bytes::c_string(message, "message") }.unwrap_or_default();
        WHY.replace(String::from_utf8_lossy(message).into_owned());
        FAILED.set(true);
    });
}
