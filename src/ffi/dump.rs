//! `terrace_dump_file`: a file of a database as text.
#![allow(unsafe_code)]

use super::boundary::guard;
use super::callback::outcome;
use super::env::files::env_of;
use super::env::leveldb_env_t;
use super::{bytes, handle};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// Prints a file of a database (a WAL, a MANIFEST or a table, recognised by its name) as text, in the form of
/// LevelDB's DumpFile. Each item is passed to `line` with `state`, ends with a line feed, and is not
/// NUL-terminated.
///
/// `line` returns TERRACE_OK to continue. To stop, it returns another value of `terrace_error_t` and puts a
/// malloc()ed, NUL-terminated message, which the library frees, into `*message`; the call then fails with
/// that message.
///
/// # Safety
/// `env` is NULL (the default one) or not destroyed; `path` is NULL or NUL-terminated; `line` is NULL (which
/// fails) or as above; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_dump_file(
    env: *const leveldb_env_t,
    path: *const c_char,
    state: *mut c_void,
    line: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            text: *const c_char,
            length: usize,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    errptr: *mut *mut c_char,
) {
    // SAFETY: as the caller promises; the text lives during the callback.
    unsafe {
        guard(errptr, (), || {
            let Some(line) = line else { return Err(handle::is_null("line")) };
            let (env, path) = (env_of(env), bytes::path(path, "path")?);
            crate::db::dump_file(&*env, path, &mut |text| {
                let mut message = ptr::null_mut();
                let code = line(state, bytes::pointer_to(text.as_bytes()), text.len(), &mut message);
                outcome(code, message)
            })
        });
    }
}
