//! The boundary between the core and C. No panic crosses it. A failure becomes a message in `*errptr` and the
//! last error of the thread.
//!
//! Thread rule: none; all state here belongs to one call.
#![allow(unsafe_code)]

use super::failure::Failure;
use super::{bytes, last_error};
use crate::error::Result;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the body of a function. A panic becomes a failure like any other.
#[inline(always)]
pub(super) fn catch<R>(body: impl FnOnce() -> Result<R>) -> std::result::Result<R, Failure> {
    // Unwind safety is asserted. State that a panic may leave half changed belongs to the core (its database
    // then takes no writes, see `leveldb_t`), to an iterator or a batch (which then stay failed), or is
    // dropped here.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::new(error)),
        Err(payload) => Err(Failure::from_panic(payload)),
    }
}

/// Runs the body of a function that reports through `errptr`; returns `otherwise` on failure.
///
/// # Safety
/// `errptr` is NULL, or `*errptr` is NULL or a malloc()ed string that nobody else frees.
#[inline(always)]
pub(super) unsafe fn guard<R>(errptr: *mut *mut c_char, otherwise: R, body: impl FnOnce() -> Result<R>) -> R {
    match catch(body) {
        Ok(value) => {
            last_error::clear();
            value
        }
        Err(failure) => {
            // SAFETY: `report` requires of `errptr` what our caller promises.
            unsafe { report(errptr, failure) };
            otherwise
        }
    }
}

/// Runs the body of a function that can fail and has no `errptr`. A failure becomes the last error of the
/// thread; success does not change the last error.
#[inline(always)]
pub(super) fn guard_quietly<R>(otherwise: R, body: impl FnOnce() -> Result<R>) -> R {
    catch(body).unwrap_or_else(|failure| {
        last_error::set(failure);
        otherwise
    })
}

/// Runs the body of a function that cannot fail. Only a panic is caught.
#[inline(always)]
pub(super) fn contain<R>(otherwise: R, body: impl FnOnce() -> R) -> R {
    guard_quietly(otherwise, || Ok(body()))
}

/// Stores a failure as the last error of the thread, and its message (there always is one) in `*errptr`.
/// Frees the old message.
///
/// # Safety
/// As [`guard`].
#[cold]
#[inline(never)]
pub(super) unsafe fn report(errptr: *mut *mut c_char, failure: Failure) {
    if !errptr.is_null() {
        let message = bytes::malloc_message(&failure.error);
        // SAFETY: `errptr` is not NULL, so it points to a message pointer of the caller, which is NULL or
        // malloc()ed.
        unsafe {
            libc::free((*errptr).cast());
            *errptr = message;
        }
    }
    last_error::set(failure);
}
