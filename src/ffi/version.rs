//! The version functions, and `leveldb_free`.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};

/// The library's version as a C string.
static VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// Frees memory that a function of this library returned as malloc()ed, and messages in `*errptr`. It calls
/// free() of the C library that this library is linked to. NULL is allowed.
///
/// # Safety
/// `ptr` is NULL or malloc()ed, and not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_free(ptr: *mut c_void) {
    // SAFETY: the caller gives up malloc()ed memory.
    unsafe { libc::free(ptr) };
}

/// The major version of LevelDB whose C interface this library implements: 1.
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_major_version() -> c_int {
    1
}

/// The minor version of LevelDB whose C interface this library implements: 23.
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_minor_version() -> c_int {
    23
}

/// The version of this library, `"0.1.0"`. The string is static and must not be freed.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

/// The version of this library as a number: major * 10000 + minor * 100 + patch.
#[unsafe(no_mangle)]
pub extern "C" fn terrace_version_number() -> c_int {
    const NUMBER: c_int = number(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
        + number(env!("CARGO_PKG_VERSION_MINOR")) * 100
        + number(env!("CARGO_PKG_VERSION_PATCH"));
    NUMBER
}

/// Parses a decimal number at compile time.
const fn number(text: &str) -> c_int {
    let digits = text.as_bytes();
    let mut value = 0;
    let mut index = 0;
    while index < digits.len() {
        value = value * 10 + (digits[index] - b'0') as c_int;
        index += 1;
    }
    value
}
