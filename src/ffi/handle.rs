//! The only place that turns boxes into pointers, and pointers back into boxes or references.
//!
//! Ownership: `give` passes a box to C, `take_back` takes it back to be dropped. In between, `lend` borrows
//! it for the duration of one call. Convention (7) of the header says what C may do with a handle from
//! several threads.
#![allow(unsafe_code)]

use crate::error::{Error, Result};

/// Passes a value to C, which destroys it through `take_back`.
pub(super) fn give<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Takes back a value that `give` passed to C; `None` for NULL.
///
/// # Safety
/// `pointer` is NULL, or came from `give::<T>` and is not used afterwards.
pub(super) unsafe fn take_back<T>(pointer: *mut T) -> Option<Box<T>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: `pointer` is not NULL, so it came from Box::into_raw of the same type, and the caller gives up
    // its only copy.
    Some(unsafe { Box::from_raw(pointer) })
}

/// Borrows a handle for one call; `None` for NULL.
///
/// # Safety
/// `pointer` is NULL or points to a live `T` that nobody changes during `'a`.
#[inline(always)]
pub(super) unsafe fn lend<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: `as_ref` requires what our caller promises.
    unsafe { pointer.as_ref() }
}

/// Borrows a handle for one call that changes it; `None` for NULL.
///
/// # Safety
/// `pointer` is NULL or points to a live `T` that nobody else uses during `'a`.
#[inline(always)]
pub(super) unsafe fn lend_mut<'a, T>(pointer: *mut T) -> Option<&'a mut T> {
    // SAFETY: `as_mut` requires what our caller promises.
    unsafe { pointer.as_mut() }
}

/// Borrows a handle that must not be NULL; NULL is `Invalid argument: <what> is NULL`.
///
/// # Safety
/// As [`lend`].
#[inline(always)]
pub(super) unsafe fn required<'a, T>(pointer: *const T, what: &'static str) -> Result<&'a T> {
    // SAFETY: `lend` requires what our caller promises.
    unsafe { lend(pointer) }.ok_or_else(|| is_null(what))
}

/// The error for an argument that must not be NULL.
#[cold]
pub(super) fn is_null(what: &str) -> Error {
    Error::invalid_argument(format!("{what} is NULL"))
}
