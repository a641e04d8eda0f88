//! `terrace_background_error_t`: why background work or writes have stopped, and going on once the cause is gone.
#![allow(unsafe_code)]

use super::boundary::{contain, guard, guard_quietly};
use super::bytes;
use super::db::leveldb_t;
use super::handle;
use super::last_error::terrace_error_t;
use crate::db::{BackgroundError, Db, Severity};
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// What terrace_background_error_severity() returns. The numbers never change.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum terrace_severity_t {
    /// A flush or a compaction failed and is tried again by itself, ever less often. Writes go on until they would have to
    /// wait for it; then they fail with this error. A table in which a compaction finds damage (TERRACE_CORRUPTION) is left
    /// where it is, and tried again after a minute, at most once an hour later on; the others go on being compacted.
    TERRACE_SEVERITY_RETRYING = 1,
    /// Writes are refused until the MANIFEST, or a new log, can be written, which is tried by itself, ever less often: after
    /// a full disk has space again, say.
    TERRACE_SEVERITY_WRITES_REFUSED = 2,
    /// Writes are refused until the database is closed and opened again: a sync of the log failed, say.
    TERRACE_SEVERITY_UNTIL_REOPENED = 3,
}

/// Why background work or writes of a database have stopped; see terrace_background_error().
#[allow(non_camel_case_types)]
pub struct terrace_background_error_t {
    error: BackgroundError,
}

/// Why background work or writes have stopped; NULL if they have not (or `db` is NULL). Reads go on in any case. The result is a
/// copy, to be destroyed with terrace_background_error_destroy(); the database may be closed before.
///
/// # Safety
/// `db` is NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error(db: *mut leveldb_t) -> *mut terrace_background_error_t {
    guard_quietly(ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let db = unsafe { handle::required(db, "db") }?;
        let error = db.run(|db| db.check_process().map(|()| db.background_error()))?;
        Ok(error.map_or(ptr::null_mut(), |error| handle::give(terrace_background_error_t { error })))
    })
}

/// Destroys what terrace_background_error() returned. NULL is fine.
///
/// # Safety
/// `error` is NULL or not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error_destroy(error: *mut terrace_background_error_t) {
    // SAFETY: the caller gives up a handle that came from terrace_background_error.
    contain((), || drop(unsafe { handle::take_back(error) }));
}

/// Reads one field; `otherwise` for NULL.
///
/// # Safety
/// `error` is NULL or not destroyed.
unsafe fn field<R>(
    error: *const terrace_background_error_t,
    otherwise: R,
    read: impl FnOnce(&BackgroundError) -> R,
) -> R {
    // SAFETY: as the caller promises.
    match unsafe { handle::lend(error) } {
        Some(handle) => contain(otherwise, || read(&handle.error)),
        None => otherwise,
    }
}

/// What kind of failure it is: a value of `terrace_error_t`; TERRACE_OK for NULL.
///
/// # Safety
/// `error` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error_code(error: *const terrace_background_error_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { field(error, 0, |error| terrace_error_t::from(error.error.kind()) as c_int) }
}

/// The system's error number (`errno`) behind it; 0 if there is none, or for NULL.
///
/// # Safety
/// `error` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error_errno(error: *const terrace_background_error_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { field(error, 0, |error| error.error.errno().unwrap_or(0)) }
}

/// What has stopped, and what ends it: a value of `terrace_severity_t`; 0 for NULL.
///
/// # Safety
/// `error` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error_severity(
    error: *const terrace_background_error_t,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe {
        field(error, 0, |error| match error.severity {
            Severity::Retrying => terrace_severity_t::TERRACE_SEVERITY_RETRYING as c_int,
            Severity::Manifest | Severity::ReplaceLog => {
                terrace_severity_t::TERRACE_SEVERITY_WRITES_REFUSED as c_int
            }
            Severity::UntilReopened => terrace_severity_t::TERRACE_SEVERITY_UNTIL_REOPENED as c_int,
        })
    }
}

/// Since when, in microseconds since the Unix epoch; 0 for NULL.
///
/// # Safety
/// `error` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error_since_micros(
    error: *const terrace_background_error_t,
) -> u64 {
    // SAFETY: as the caller promises.
    unsafe { field(error, 0, |error| error.since_micros) }
}

/// The message, malloc()ed and NUL-terminated, as an `*errptr` would have it; NULL for NULL.
///
/// # Safety
/// `error` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error_message(
    error: *const terrace_background_error_t,
) -> *mut c_char {
    // SAFETY: as the caller promises.
    unsafe { field(error, ptr::null_mut(), |error| bytes::malloc_string(error.error.to_string().as_bytes())) }
}

/// The file or directory it is about, malloc()ed and NUL-terminated; NULL if it is not about one, or for NULL.
///
/// # Safety
/// `error` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error_path(
    error: *const terrace_background_error_t,
) -> *mut c_char {
    // SAFETY: as the caller promises.
    unsafe {
        field(error, ptr::null_mut(), |error| match error.error.path() {
            Some(path) => bytes::malloc_string(path.as_os_str().as_bytes()),
            None => ptr::null_mut(),
        })
    }
}

/// Tries at once, instead of at the next retry, what background work has failed at, and waits for the outcome. Succeeds where
/// nothing is wrong (any more); otherwise `*errptr` is what remains: the disk is still full, or only closing the database and
/// opening it again will help.
///
/// # Safety
/// `db` is NULL or open; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_resume(db: *mut leveldb_t, errptr: *mut *mut c_char) {
    // SAFETY: as the caller promises.
    unsafe { guard(errptr, (), || handle::required(db, "db")?.run(Db::resume)) };
}
