//! The outcome of the last call of each thread, as numbers, so that programs need not parse messages.
//!
//! Invariant: `PENDING` counts the threads whose last error is set. A successful call must cost almost
//! nothing. So it reads this one shared word, and does not touch its thread-local while the word is 0.
#![allow(unsafe_code)]

use super::bytes;
use super::failure::Failure;
use std::cell::RefCell;
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of threads whose last error is set.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// A failure counted in `PENDING`.
struct Pending(Failure);

impl Pending {
    fn new(failure: Failure) -> Self {
        PENDING.fetch_add(1, Ordering::Relaxed);
        Pending(failure)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        PENDING.fetch_sub(1, Ordering::Relaxed);
    }
}

thread_local! {
    static LAST: RefCell<Option<Pending>> = const { RefCell::new(None) };
}

/// Replaces the last error of this thread. Does nothing while the thread's locals are being destroyed.
#[cold]
pub(super) fn set(failure: Failure) {
    let _ = LAST.try_with(|last| last.replace(Some(Pending::new(failure))));
}

/// Registers the destructor of this thread's last error, while there is memory for it: glibc aborts a process
/// in which this registration fails.
pub(super) fn prepare() {
    let _ = LAST.try_with(|_| ());
}

/// Records that a call with an errptr succeeded.
#[inline(always)]
pub(super) fn clear() {
    // Relaxed is enough: only this thread's own error matters, and a thread sees its own additions in order.
    if PENDING.load(Ordering::Relaxed) != 0 {
        clear_this_thread();
    }
}

#[cold]
fn clear_this_thread() {
    let _ = LAST.try_with(RefCell::take);
}

/// Reads the last error; returns `otherwise` if none is set.
fn read<R>(otherwise: R, body: impl FnOnce(&Failure) -> R) -> R {
    let mut result = otherwise;
    let _ = LAST.try_with(|last| {
        if let Some(pending) = last.borrow().as_ref() {
            result = body(&pending.0);
        }
    });
    result
}

/// Returns the outcome of the last call of this thread, a value of `terrace_error_t`.
///
/// Every call that fails sets it, with or without an errptr. A successful call with an errptr resets it to
/// TERRACE_OK; a successful call without an errptr does not change it. This function never fails.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_code() -> c_int {
    read(0, |failure| failure.code as c_int)
}

/// The system's error number (`errno`) that caused the last error of this thread; 0 if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_errno() -> c_int {
    read(0, |failure| failure.error.errno().unwrap_or(0))
}

/// Returns 1 if the same call may succeed later without a change in the program: after a full disk, too many
/// open files, a lack of memory, or a busy system.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_retryable() -> u8 {
    read(0, |failure| u8::from(failure.error.is_retryable()))
}

/// The message of the last error of this thread, malloc()ed and NUL-terminated, in the form of an `*errptr`;
/// NULL if there is no error.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_message() -> *mut c_char {
    read(ptr::null_mut(), |failure| bytes::malloc_string(failure.error.to_string().as_bytes()))
}

/// The file or directory that the last error of this thread concerns, malloc()ed and NUL-terminated; NULL if
/// there is no error, or it concerns no file.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_path() -> *mut c_char {
    read(ptr::null_mut(), |failure| match failure.error.path() {
        Some(path) => bytes::malloc_string(path.as_os_str().as_bytes()),
        None => ptr::null_mut(),
    })
}
