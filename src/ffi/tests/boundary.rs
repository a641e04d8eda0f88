//! The errptr protocol, panics, the last error, and lengths.

use super::super::boundary::{contain, guard, guard_quietly};
use super::super::bytes;
use super::super::failure::terrace_error_t;
use super::super::last_error::*;
use super::take_message;
use crate::error::{Error, Result};
use std::ffi::{CStr, c_char, c_int};
use std::path::Path;
use std::ptr;

const OK: c_int = terrace_error_t::TERRACE_OK as c_int;

fn guarded<R>(errptr: *mut *mut c_char, otherwise: R, body: impl FnOnce() -> Result<R>) -> R {
    // SAFETY: the tests pass NULL, or a message of `bytes::malloc_string` or of an earlier failure.
    unsafe { guard(errptr, otherwise, body) }
}

#[test]
fn success_leaves_the_message_and_failure_replaces_it() {
    let mut message = ptr::null_mut();
    assert_eq!(guarded(&mut message, 0, || Ok(5)), 5);
    assert!(message.is_null());

    message = bytes::malloc_string(b"stale");
    let stale = message;
    guarded(&mut message, (), || Ok(()));
    assert_eq!(message, stale);

    assert_eq!(guarded(&mut message, 7, || Err::<i32, _>(Error::corruption("bad"))), 7);
    assert_eq!(take_message(&mut message).as_deref(), Some("Corruption: bad"));
}

#[test]
fn a_failure_has_a_message_without_memory_for_one() {
    bytes::make_spare_messages();
    let mut message = bytes::spare_message();
    assert_eq!(take_message(&mut message).as_deref(), Some("IO error: Cannot allocate memory"));
    bytes::make_spare_messages();
    let mut messages: Vec<_> = (0..64).map(|_| bytes::spare_message()).collect();
    messages.iter_mut().for_each(|message| assert!(take_message(message).is_some()));
}

#[test]
fn a_null_errptr_is_fine() {
    guarded(ptr::null_mut(), (), || Err(Error::io("lost")));
    assert_eq!(terrace_last_error_code(), terrace_error_t::TERRACE_IO_ERROR as c_int);
    guarded(ptr::null_mut(), (), || Ok(()));
    assert_eq!(terrace_last_error_code(), OK);
}

#[test]
fn a_panic_is_an_internal_error() {
    let mut message = ptr::null_mut();
    let result: i32 = guarded(&mut message, -1, || panic!("number {}", 3));
    assert_eq!(result, -1);
    let text = take_message(&mut message).expect("a message");
    assert!(text.starts_with("IO error: internal error") && text.ends_with("number 3"), "{text}");
    assert_eq!(terrace_last_error_code(), terrace_error_t::TERRACE_INTERNAL_ERROR as c_int);
    assert_eq!(contain(-2, || panic!("plain")), -2);
    assert_eq!(contain(-3, || std::panic::panic_any(5)), -3);
    assert_eq!(terrace_last_error_code(), terrace_error_t::TERRACE_INTERNAL_ERROR as c_int);
}

#[test]
fn the_last_error_tells_all_about_a_failure() {
    let full = || Err(Error::from_errno(Path::new("/db/000003.log"), libc::ENOSPC));
    guard_quietly((), full);
    assert_eq!(terrace_last_error_code(), terrace_error_t::TERRACE_IO_ERROR as c_int);
    assert_eq!(terrace_last_error_errno(), libc::ENOSPC);
    assert_eq!(terrace_last_error_retryable(), 1);
    let (mut text, mut path) = (terrace_last_error_message(), terrace_last_error_path());
    assert_eq!(take_message(&mut text).as_deref(), Some("IO error: /db/000003.log: No space left on device"));
    assert_eq!(take_message(&mut path).as_deref(), Some("/db/000003.log"));

    guard_quietly((), || Err(Error::not_supported("x")));
    assert_eq!(terrace_last_error_code(), terrace_error_t::TERRACE_NOT_SUPPORTED as c_int);
    assert_eq!((terrace_last_error_errno(), terrace_last_error_retryable()), (0, 0));
    assert!(terrace_last_error_path().is_null());

    guard_quietly((), || Ok(()));
    assert_ne!(terrace_last_error_code(), OK, "a success without an errptr leaves it alone");
    guarded(ptr::null_mut(), (), || Ok(()));
    assert_eq!(terrace_last_error_code(), OK);
    assert!(terrace_last_error_message().is_null());
}

#[test]
fn each_thread_has_its_own_last_error() {
    guard_quietly((), || Err(Error::corruption("mine")));
    std::thread::spawn(|| {
        assert_eq!(terrace_last_error_code(), OK);
        guard_quietly((), || Err(Error::not_found("theirs")));
        // The thread ends with its error set.
    })
    .join()
    .expect("a thread without a panic");
    assert_eq!(terrace_last_error_code(), terrace_error_t::TERRACE_CORRUPTION as c_int);
    guarded(ptr::null_mut(), (), || Ok(()));
    assert_eq!(terrace_last_error_code(), OK);
}

#[test]
fn lengths_are_judged_before_anything_is_read() {
    let nowhere = ptr::without_provenance::<c_char>(16);
    let input = |pointer, length| {
        // SAFETY: every length here is 0, too long, or that of a literal.
        unsafe { bytes::input(pointer, length, "key") }
    };
    assert_eq!(input(ptr::null(), 0).expect("empty"), b"");
    assert_eq!(input(nowhere, 0).expect("empty"), b"");
    assert_eq!(input(c"abc".as_ptr(), 3).expect("bytes"), b"abc");
    for length in [bytes::MAX_LENGTH + 1, isize::MAX as usize, isize::MAX as usize + 1, usize::MAX] {
        let error = input(nowhere, length).expect_err("too long").to_string();
        assert!(error.starts_with("Invalid argument: key of "), "{error}");
        assert!(input(ptr::null(), length).is_err());
    }
    let error = input(ptr::null(), 5).expect_err("NULL").to_string();
    assert_eq!(error, "Invalid argument: key is NULL, but its length is 5");
    // SAFETY: NULL, or literals with their lengths.
    unsafe {
        assert_eq!(bytes::bound(ptr::null(), 5, "start").expect("no bound"), None);
        assert_eq!(bytes::bound(c"".as_ptr(), 0, "start").expect("the empty key"), Some(&b""[..]));
    }
}

#[test]
fn an_empty_slice_is_lent_at_a_real_address() {
    let empty: Vec<u8> = Vec::new();
    assert!(bytes::pointer_to(&empty).addr() > 4096);
    assert!(bytes::pointer_to(b"").addr() > 4096);
    let full = [1u8, 2];
    assert_eq!(bytes::pointer_to(&full).addr(), full.as_ptr().addr());
}

#[test]
fn copies_are_malloced_and_never_null() {
    let (empty, copy) = (bytes::malloc_copy(b""), bytes::malloc_copy(b"a\0b"));
    let text = bytes::malloc_string(b"text");
    assert!(!empty.is_null());
    // SAFETY: three malloc()ed blocks of the lengths above.
    unsafe {
        assert_eq!(std::slice::from_raw_parts(copy.cast::<u8>(), 3), b"a\0b");
        assert_eq!(CStr::from_ptr(text).to_bytes(), b"text");
        for block in [empty, copy, text] {
            libc::free(block.cast());
        }
    }
}
