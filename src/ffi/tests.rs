//! Tests that need no C compiler; most functions are tested by the C programs in `tests/c`.
#![allow(unsafe_code)]

mod boundary;
mod callbacks;
mod defects;
mod headers;
mod options;
mod stdio;
mod transfer;

use std::ffi::{CStr, c_char};
use std::ptr;

/// The message in an `errptr`, freed.
fn take_message(message: &mut *mut c_char) -> Option<String> {
    if message.is_null() {
        return None;
    }
    // SAFETY: not NULL, so a malloc()ed NUL-terminated string; this is the only pointer to it.
    unsafe {
        let text = CStr::from_ptr(*message).to_str().expect("UTF-8").to_owned();
        libc::free((*message).cast());
        *message = ptr::null_mut();
        Some(text)
    }
}
