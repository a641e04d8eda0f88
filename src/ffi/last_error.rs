//! What the last call of this thread came to, as numbers: so that no program parses messages.
//!
//! Invariant: `PENDING` counts the threads whose last error is set. A successful call on a thread without one must cost
//! next to nothing, so it reads that one shared word and leaves its thread-local alone while the word is 0.
#![allow(unsafe_code)]

use super::boundary::Failure;
use super::bytes;
use crate::error::ErrorKind;
use std::cell::RefCell;
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What `terrace_last_error_code()` returns. The numbers never change; those up to 5 are the codes of LevelDB's status.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum terrace_error_t {
    /// The last call with an errptr succeeded, and nothing failed since.
    TERRACE_OK = 0,
    /// A file or directory that should be there is not. (A key that is not there is no error.)
    TERRACE_NOT_FOUND = 1,
    /// Stored bytes contradict the format or their checksum.
    TERRACE_CORRUPTION = 2,
    /// The operation is not offered.
    TERRACE_NOT_SUPPORTED = 3,
    /// An argument that can never work.
    TERRACE_INVALID_ARGUMENT = 4,
    /// The system refused an operation, or the database can no longer do it.
    TERRACE_IO_ERROR = 5,
    /// A defect of the library, or of a comparator, caught. The database it happened in takes no writes until it is opened again.
    TERRACE_INTERNAL_ERROR = 6,
}

impl From<ErrorKind> for terrace_error_t {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => terrace_error_t::TERRACE_NOT_FOUND,
            ErrorKind::Corruption => terrace_error_t::TERRACE_CORRUPTION,
            ErrorKind::NotSupported => terrace_error_t::TERRACE_NOT_SUPPORTED,
            ErrorKind::InvalidArgument => terrace_error_t::TERRACE_INVALID_ARGUMENT,
            ErrorKind::IoError => terrace_error_t::TERRACE_IO_ERROR,
        }
    }
}

/// Threads whose last error is set.
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

/// Replaces the last error of this thread (of which nothing is left once the thread's locals are being destroyed).
#[cold]
pub(super) fn set(failure: Failure) {
    let _ = LAST.try_with(|last| last.replace(Some(Pending::new(failure))));
}

/// Has the system remember, now that there is memory for that, that this thread's last error is to be freed at the thread's end:
/// glibc ends a process in which it can't.
pub(super) fn prepare() {
    let _ = LAST.try_with(|_| ());
}

/// Notes success.
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

/// Reads the last error, if one is set.
fn read<R>(otherwise: R, body: impl FnOnce(&Failure) -> R) -> R {
    let mut result = otherwise;
    let _ = LAST.try_with(|last| {
        if let Some(pending) = last.borrow().as_ref() {
            result = body(&pending.0);
        }
    });
    result
}

/// What the last call of this thread came to: a value of `terrace_error_t`.
///
/// Every call that fails sets it, also one without errptr. A call with an errptr that succeeds sets it back to
/// TERRACE_OK; a call without one that succeeds leaves it alone. It never fails.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_code() -> c_int {
    read(0, |failure| failure.code as c_int)
}

/// The system's error number (`errno`) behind the last error of this thread; 0 if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_errno() -> c_int {
    read(0, |failure| failure.error.errno().unwrap_or(0))
}

/// May the same call succeed later without anything being changed in the program? True after a full disk, too many open
/// files, no memory, and a busy system.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_retryable() -> u8 {
    read(0, |failure| u8::from(failure.error.is_retryable()))
}

/// The message of the last error of this thread, malloc()ed and NUL-terminated, as `*errptr` has it; NULL if there is no
/// error.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_message() -> *mut c_char {
    read(ptr::null_mut(), |failure| bytes::malloc_string(failure.error.to_string().as_bytes()))
}

/// The file or directory the last error of this thread is about, malloc()ed and NUL-terminated; NULL if there is no error,
/// or it is not about a file.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_last_error_path() -> *mut c_char {
    read(ptr::null_mut(), |failure| match failure.error.path() {
        Some(path) => bytes::malloc_string(path.as_os_str().as_bytes()),
        None => ptr::null_mut(),
    })
}
