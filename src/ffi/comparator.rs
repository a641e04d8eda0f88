//! `leveldb_comparator_t`: an order of keys that is implemented in C.
//!
//! Lifetime: databases, and iterators that outlive them, own a reference; options own none. The destructor
//! runs when the handle and the last reference are gone. That is inside `leveldb_comparator_destroy` if no
//! database uses the comparator (callers rely on this), else at the last close. A database cannot work
//! without its order, so the comparator and the environment are the only callbacks that may run after their
//! destroy function.
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
    /// The message of the failed comparison.
    static WHY: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Unwinds from a failed comparison to the end of the call, or of the step of background work, that needed
/// it. Like a panic, but without the panic hook's message on standard error: it is not a defect of this
/// library.
#[cold]
fn give_up() -> ! {
    FAILED.set(false);
    resume_unwind(Box::new(ComparatorFailed(WHY.take())))
}

/// The callbacks of a comparator. Dropping them runs the destructor.
pub(super) struct ForeignComparator {
    state: *mut c_void,
    destructor: Option<Destructor>,
    compare: Option<Compare>,
    name: Option<Name>,
    separator: Option<Separator>,
    successor: Option<Successor>,
}

// SAFETY: convention (8) obliges the caller to make the callbacks callable from any thread; `state` is only
// passed to them.
unsafe impl Send for ForeignComparator {}
// SAFETY: as above, and from several threads at the same time.
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
        FAILED.set(false); // terrace_comparator_fail() outside of a comparison has no effect
        // SAFETY: the caller's callback with its state, and bytes that live during the call. Only the sign
        // counts.
        let order = unsafe { compare(self.state, left, a.len(), right, b.len()) };
        if FAILED.get() {
            give_up();
        }
        order.cmp(&0)
    }

    fn name(&self) -> Vec<u8> {
        let Some(name) = self.name else { return Vec::new() };
        // SAFETY: the caller's callback with its state. The result is NULL or NUL-terminated, and is copied
        // at once, because it may be short-lived.
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
        // A separator outside of [start, limit) would make keys unfindable, so it is ignored.
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

/// Copies and frees a key that a callback returns malloc()ed, with its length; `None` for NULL.
fn take(callback: impl FnOnce(*mut usize) -> *mut c_char) -> Option<Vec<u8>> {
    let mut length = 0;
    let found = callback(&mut length);
    if found.is_null() {
        return None;
    }
    // SAFETY: `found` is not NULL, so it is malloc()ed with `length` bytes, as the caller of the create
    // function promised, and we own it.
    unsafe {
        let copy = bytes::input(found, length, "key").ok().map(<[u8]>::to_vec);
        libc::free(found.cast());
        copy
    }
}

impl leveldb_comparator_t {
    /// The weak reference that options keep: it is usable until the comparator is destroyed.
    pub(super) fn reference(&self) -> ComparatorReference {
        ComparatorReference(Arc::downgrade(&self.comparator))
    }
}

/// A comparator that may be destroyed before it is used.
pub(super) struct ComparatorReference(Weak<ForeignComparator>);

impl ComparatorReference {
    /// The comparator; `InvalidArgument` if it was destroyed, or lacks a callback that a database needs.
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
/// `compare` returns a negative number, 0, or a positive number; only the sign counts. The order must be
/// total, and must never change for a database. Opening, reading and writing compare on the caller's thread,
/// compactions compare on background threads, at the same time. Keys are compared whole and never shortened
/// (terrace_comparator_create() takes callbacks that shorten keys).
///
/// `name` is stored with a database; opening the database with a comparator of another name is refused.
/// `name` is called when a database is opened, and its result is copied at once.
///
/// `destructor` is called once, when the comparator is destroyed and nothing uses it any more: inside
/// leveldb_comparator_destroy() if no database uses it, else when the last database that uses it is closed
/// and the last iterator of that database is destroyed. It may be NULL.
///
/// # Safety
/// The callbacks are NULL (without `compare` or `name` no database opens) or as in (8), as long as databases
/// use the comparator; what `name` returns is NULL or NUL-terminated.
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

/// As leveldb_comparator_create(), with two more callbacks, which shorten keys for the index of a table. They
/// are those of LevelDB's C++ `Comparator`.
///
/// `find_shortest_separator` may return a key at or after `start` and before `limit`; `find_short_successor`
/// may return a key at or after `key`. The key is malloc()ed, with its length in `*length`; the library frees
/// it with free(). A result of NULL leaves the key unchanged, which is always correct. So does a NULL
/// callback, and a result outside of the range above.
///
/// # Safety
/// As leveldb_comparator_create(); the results of the two callbacks are NULL, or malloc()ed and as long as
/// they say.
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

/// Destroys the handle of a comparator. Databases that use the comparator continue to call it until they are
/// closed, so it is best to close them first.
///
/// # Safety
/// `comparator` is NULL or a comparator whose handle is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_comparator_destroy(comparator: *mut leveldb_comparator_t) {
    // SAFETY: the caller gives up a handle that came from leveldb_comparator_create.
    contain((), || drop(unsafe { handle::take_back(comparator) }));
}

/// Reports that a comparison failed, for example because an exception was raised in a language that has them.
/// Call it from inside `compare`, whose result is then ignored. No order is guessed, so no wrong order gets
/// into the files.
///
/// The call that needed the comparison fails with an `IO error` of `message` (an iterator becomes invalid),
/// and the database takes no writes until it is opened again. A comparison that fails in a compaction aborts
/// the compaction, and the database takes no writes either. `message` is copied; NULL is an empty message.
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
