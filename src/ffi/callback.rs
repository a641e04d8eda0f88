//! What callbacks of C return, made into what the core expects.
//!
//! Thread rule: pure functions.
#![allow(unsafe_code)]

use super::bytes;
use super::failure::terrace_error_t;
use crate::error::{Error, ErrorKind, Result};
use std::ffi::{c_char, c_int};

/// Turns the code and the message of a callback into a `Result`, and frees the message.
pub(super) fn outcome(code: c_int, message: *mut c_char) -> Result<()> {
    // SAFETY: NULL, or a NUL-terminated string of the callback.
    let text = unsafe { bytes::c_string(message, "message") };
    let text = text.map_or_else(|_| String::new(), |text| String::from_utf8_lossy(text).into_owned());
    // SAFETY: NULL, or malloc()ed, owned by us, and not used any more.
    unsafe { libc::free(message.cast()) };
    const OK: c_int = terrace_error_t::TERRACE_OK as c_int;
    const NOT_FOUND: c_int = terrace_error_t::TERRACE_NOT_FOUND as c_int;
    const CORRUPTION: c_int = terrace_error_t::TERRACE_CORRUPTION as c_int;
    const NOT_SUPPORTED: c_int = terrace_error_t::TERRACE_NOT_SUPPORTED as c_int;
    const INVALID_ARGUMENT: c_int = terrace_error_t::TERRACE_INVALID_ARGUMENT as c_int;
    let kind = match code {
        OK => return Ok(()),
        NOT_FOUND => ErrorKind::NotFound,
        CORRUPTION => ErrorKind::Corruption,
        NOT_SUPPORTED => ErrorKind::NotSupported,
        INVALID_ARGUMENT => ErrorKind::InvalidArgument,
        _ => ErrorKind::IoError,
    };
    Err(Error::new(kind, text))
}

/// Reads from `offset` on until the buffer is full or the file ends. `read_some(at, data, room, read)` asks a
/// callback, which may return fewer bytes than the file has: it reads up to `room` bytes at the offset `at`
/// into `data`, and puts their number into `*read`. `file` names the file in errors.
pub(super) fn read_fully(
    file: &str,
    offset: u64,
    buffer: &mut [u8],
    mut read_some: impl FnMut(u64, *mut c_char, usize, &mut usize) -> Result<()>,
) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        let (mut read, room) = (0, rest.len());
        read_some(offset.saturating_add(filled as u64), rest.as_mut_ptr().cast(), room, &mut read)?;
        if read > room {
            return Err(Error::io(format!("{file} returned more than was asked for")));
        }
        if read == 0 {
            break;
        }
        filled += read;
    }
    Ok(filled)
}
