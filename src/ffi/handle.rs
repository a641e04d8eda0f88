//! The only place where boxes become pointers and pointers become boxes or references again.
//!
//! Ownership: `give` hands a box to C, `take_back` ends its life; between the two, `lend` borrows it for the length of
//! one call. What C may do with a handle from several threads is convention (7) of the header.
#![allow(unsafe_code)]

use crate::error::{Error, Result};

/// Hands a value to C, which destroys it through `take_back`.
pub(super) fn give<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Takes back what `give` handed out; `None` for NULL.
///
/// # Safety
/// `pointer` is NULL, or came from `give::<T>` and is not used afterwards.
pub(super) unsafe fn take_back<T>(pointer: *mut T) -> Option<Box<T>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not NULL, so it came from Box::into_raw of the same type, and the caller gives up its only copy.
    Some(unsafe { Box::from_raw(pointer) })
}

/// Borrows a handle for one call; `None` for NULL.
///
/// # Safety
/// `pointer` is NULL or points to a live `T` that nobody changes during `'a`.
#[inline(always)]
pub(super) unsafe fn lend<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: the caller's promise is that of `as_ref`.
    unsafe { pointer.as_ref() }
}

/// Borrows a handle for one call that changes it; `None` for NULL.
///
/// # Safety
/// `pointer` is NULL or points to a live `T` that nobody else uses during `'a`.
#[inline(always)]
pub(super) unsafe fn lend_mut<'a, T>(pointer: *mut T) -> Option<&'a mut T> {
    // SAFETY: the caller's promise is that of `as_mut`.
    unsafe { pointer.as_mut() }
}

/// Borrows a handle that a call cannot do without; NULL is `Invalid argument: <what> is NULL`.
///
/// # Safety
/// As [`lend`].
#[inline(always)]
pub(super) unsafe fn required<'a, T>(pointer: *const T, what: &'static str) -> Result<&'a T> {
    // SAFETY: the caller's promise is that of `lend`.
    unsafe { lend(pointer) }.ok_or_else(|| is_null(what))
}

/// The error for a NULL that a call cannot do without.
#[cold]
pub(super) fn is_null(what: &str) -> Error {
    Error::invalid_argument(format!("{what} is NULL"))
}
