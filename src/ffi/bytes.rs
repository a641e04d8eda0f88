//! (pointer, length) in, malloc()ed buffers out.
//!
//! A length is judged before a slice is made of it: a slice longer than the address space is undefined behaviour even if
//! nobody reads it, and callers do pass nonsense.
#![allow(unsafe_code)]

use super::handle;
use crate::error::{Error, Result};
use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The longest input: lengths are 32 bits wide in logs and tables, and no slice is longer than `isize::MAX`. (What an entry may have
/// in all is less: see `format::limits`.)
pub(super) const MAX_LENGTH: usize = if usize::BITS > 32 { u32::MAX as usize } else { isize::MAX as usize };

/// Where an empty string points: not NULL, and not a small integer either, as an empty slice's address may be. Hosts
/// with a moving stack check pointers they hold (Go takes an address below 4096 for a damaged pointer).
static EMPTY: [u8; 1] = [0];

/// The bytes of a key, value or bound of the caller; `what` names it in errors.
///
/// # Safety
/// `length` bytes at `pointer` are readable and unchanged during `'a`, unless `length` is 0 or above [`MAX_LENGTH`].
#[inline(always)]
pub(super) unsafe fn input<'a>(
    pointer: *const c_char,
    length: usize,
    what: &'static str,
) -> Result<&'a [u8]> {
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() || length > MAX_LENGTH {
        return Err(refuse(pointer, length, what));
    }
    // SAFETY: not NULL, readable for `length` bytes as the caller promises, and at most isize::MAX long.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
}

/// As [`input`], but NULL (whatever the length) is "no bound".
///
/// # Safety
/// As [`input`].
pub(super) unsafe fn bound<'a>(
    pointer: *const c_char,
    length: usize,
    what: &'static str,
) -> Result<Option<&'a [u8]>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise is that of `input`.
    unsafe { input(pointer, length, what) }.map(Some)
}

#[cold]
#[inline(never)]
fn refuse(pointer: *const c_char, length: usize, what: &'static str) -> Error {
    if length > MAX_LENGTH {
        Error::invalid_argument(format!(
            "{what} of {length} bytes is too long: a key and a value have at most 4 GiB less 64 KiB together"
        ))
    } else {
        debug_assert!(pointer.is_null());
        Error::invalid_argument(format!("{what} is NULL, but its length is {length}"))
    }
}

/// A NUL-terminated string of the caller.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated string that is unchanged during `'a`.
pub(super) unsafe fn c_string<'a>(pointer: *const c_char, what: &'static str) -> Result<&'a [u8]> {
    if pointer.is_null() {
        return Err(handle::is_null(what));
    }
    // SAFETY: not NULL, so NUL-terminated and unchanged as the caller promises.
    Ok(unsafe { CStr::from_ptr(pointer) }.to_bytes())
}

/// A path of the caller, bytes as they are.
///
/// # Safety
/// As [`c_string`].
pub(super) unsafe fn path<'a>(pointer: *const c_char, what: &'static str) -> Result<&'a Path> {
    // SAFETY: the caller's promise is that of `c_string`.
    let name = unsafe { c_string(pointer, what) }?;
    Ok(Path::new(OsStr::from_bytes(name)))
}

/// A pointer to lend to C: never NULL, and a real address even for an empty slice.
#[inline(always)]
pub(super) fn pointer_to(bytes: &[u8]) -> *const c_char {
    if bytes.is_empty() { EMPTY.as_ptr().cast() } else { bytes.as_ptr().cast() }
}

/// A malloc()ed copy, not NUL-terminated; NULL only when memory ran out, never because the bytes are none.
#[inline(always)]
pub(super) fn malloc_copy(bytes: &[u8]) -> *mut c_char {
    // SAFETY: malloc has no duties; what it returned is writable for bytes.len() bytes and new, so it overlaps nothing.
    unsafe {
        let copy = libc::malloc(bytes.len().max(1)).cast::<u8>();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        }
        copy.cast()
    }
}

/// A malloc()ed, NUL-terminated copy; NULL only when memory ran out.
pub(super) fn malloc_string(bytes: &[u8]) -> *mut c_char {
    malloc_joined([bytes, &[], &[]])
}

/// The same of pieces, one behind the other.
fn malloc_joined(pieces: [&[u8]; 3]) -> *mut c_char {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    // SAFETY: malloc has no duties; what it returned is writable for one byte more than the pieces have together, and new.
    unsafe {
        let copy = libc::malloc(length + 1).cast::<u8>();
        if !copy.is_null() {
            let mut end = copy;
            for piece in pieces {
                ptr::copy_nonoverlapping(piece.as_ptr(), end, piece.len());
                end = end.add(piece.len());
            }
            *end = 0;
        }
        copy.cast()
    }
}

/// The malloc()ed text of an error. Where there is no memory for it, one that was made earlier says that. A failure never looks like
/// success for want of memory: if there is none of those either, the process ends.
pub(super) fn malloc_message(error: &Error) -> *mut c_char {
    let text = malloc_joined([error.kind().prefix().as_bytes(), b": ", error.message().as_bytes()]);
    if text.is_null() { spare_message() } else { text }
}

/// Messages for when there is no memory, malloc()ed ahead.
static SPARE_MESSAGES: [AtomicPtr<c_char>; 64] = [const { AtomicPtr::new(ptr::null_mut()) }; 64];

/// Makes them, if there is memory. To be called before anything that may fail for want of it.
pub(super) fn make_spare_messages() {
    for place in &SPARE_MESSAGES {
        if !place.load(Ordering::Acquire).is_null() {
            continue;
        }
        let text = malloc_string(b"IO error: Cannot allocate memory");
        let put = place.compare_exchange(ptr::null_mut(), text, Ordering::AcqRel, Ordering::Acquire);
        if put.is_err() {
            // SAFETY: malloc()ed above, and nobody else has it.
            unsafe { libc::free(text.cast()) };
        }
    }
}

/// One of them.
#[cold]
pub(super) fn spare_message() -> *mut c_char {
    let mut messages = SPARE_MESSAGES.iter().map(|place| place.swap(ptr::null_mut(), Ordering::AcqRel));
    messages.find(|text| !text.is_null()).unwrap_or_else(|| std::process::abort())
}

/// Copies to malloc()ed memory, or the error for memory that ran out.
#[inline(always)]
pub(super) fn checked(copy: *mut c_char) -> Result<*mut c_char> {
    if copy.is_null() { Err(out_of_memory()) } else { Ok(copy) }
}

#[cold]
fn out_of_memory() -> Error {
    Error::io("cannot allocate memory for what a call returns")
}
