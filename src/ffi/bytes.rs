//! Converts (pointer, length) arguments to slices, and results to malloc()ed buffers.
//!
//! A length is checked before a slice is made from it: a slice longer than `isize::MAX` is undefined
//! behaviour even if nobody reads it, and callers do pass such lengths.
#![allow(unsafe_code)]

use super::handle;
use crate::error::{Error, Result};
use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Longest input, in bytes: lengths are 32 bits wide in WALs and tables, and no slice is longer than
/// `isize::MAX`. (The limit for a whole entry is lower: see `format::limits`.)
pub(super) const MAX_LENGTH: usize = if usize::BITS > 32 { u32::MAX as usize } else { isize::MAX as usize };

/// The address of every empty string that is lent to C. It must be neither NULL nor a small integer, which
/// the address of an empty slice may be: hosts with a moving stack check the pointers they hold (Go treats an
/// address below 4096 as a damaged pointer).
static EMPTY: [u8; 1] = [0];

/// The bytes of a key, value or bound of the caller. `what` names it in errors.
///
/// # Safety
/// `length` bytes at `pointer` are readable and unchanged during `'a`, unless `length` is 0 or above
/// [`MAX_LENGTH`].
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

/// As [`input`], but NULL (with any length) means "no bound".
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
    // SAFETY: `input` requires what our caller promises.
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
    // SAFETY: `pointer` is not NULL, so it is NUL-terminated and unchanged, as the caller promises.
    Ok(unsafe { CStr::from_ptr(pointer) }.to_bytes())
}

/// A path of the caller. Its bytes are not converted.
///
/// # Safety
/// As [`c_string`].
pub(super) unsafe fn path<'a>(pointer: *const c_char, what: &'static str) -> Result<&'a Path> {
    // SAFETY: `c_string` requires what our caller promises.
    let name = unsafe { c_string(pointer, what) }?;
    Ok(Path::new(OsStr::from_bytes(name)))
}

/// A pointer to lend to C. It is never NULL, and a real address even for an empty slice (see [`EMPTY`]).
#[inline(always)]
pub(super) fn pointer_to(bytes: &[u8]) -> *const c_char {
    if bytes.is_empty() { EMPTY.as_ptr().cast() } else { bytes.as_ptr().cast() }
}

/// A malloc()ed copy, not NUL-terminated. NULL only if memory ran out; the copy of an empty slice is not
/// NULL.
#[inline(always)]
pub(super) fn malloc_copy(bytes: &[u8]) -> *mut c_char {
    // SAFETY: malloc has no preconditions. Its result is writable for bytes.len() bytes, and new, so it
    // overlaps nothing.
    unsafe {
        let copy = libc::malloc(bytes.len().max(1)).cast::<u8>();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        }
        copy.cast()
    }
}

/// A malloc()ed, NUL-terminated copy. NULL only if memory ran out.
pub(super) fn malloc_string(bytes: &[u8]) -> *mut c_char {
    malloc_joined([bytes, &[], &[]])
}

/// A malloc()ed, NUL-terminated concatenation. NULL only if memory ran out.
fn malloc_joined(pieces: [&[u8]; 3]) -> *mut c_char {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    // SAFETY: malloc has no preconditions. Its result is new, and writable for all pieces and one byte more.
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

/// The malloc()ed text of an error. If there is no memory for it, the result is a spare message, allocated
/// earlier, which says so. A failure must never look like success because memory ran out: if the spare
/// messages are used up too, the process aborts.
pub(super) fn malloc_message(error: &Error) -> *mut c_char {
    let text = malloc_joined([error.kind().prefix().as_bytes(), b": ", error.message().as_bytes()]);
    if text.is_null() { spare_message() } else { text }
}

/// Messages for the case that memory has run out, malloc()ed in advance.
static SPARE_MESSAGES: [AtomicPtr<c_char>; 64] = [const { AtomicPtr::new(ptr::null_mut()) }; 64];

/// Refills the spare messages as far as memory allows. Called before operations that may fail because memory
/// runs out.
pub(super) fn make_spare_messages() {
    for place in &SPARE_MESSAGES {
        if !place.load(Ordering::Acquire).is_null() {
            continue;
        }
        let text = malloc_string(b"IO error: Cannot allocate memory");
        let put = place.compare_exchange(ptr::null_mut(), text, Ordering::AcqRel, Ordering::Acquire);
        if put.is_err() {
            // SAFETY: `text` was malloc()ed above, and nobody else has it.
            unsafe { libc::free(text.cast()) };
        }
    }
}

/// Takes one of the spare messages; aborts the process if none is left.
#[cold]
pub(super) fn spare_message() -> *mut c_char {
    let mut messages = SPARE_MESSAGES.iter().map(|place| place.swap(ptr::null_mut(), Ordering::AcqRel));
    messages.find(|text| !text.is_null()).unwrap_or_else(|| std::process::abort())
}

/// Turns NULL, which means that memory ran out, into an error.
#[inline(always)]
pub(super) fn checked(copy: *mut c_char) -> Result<*mut c_char> {
    if copy.is_null() { Err(out_of_memory()) } else { Ok(copy) }
}

#[cold]
fn out_of_memory() -> Error {
    Error::io("cannot allocate memory for what a call returns")
}
