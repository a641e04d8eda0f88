//! `terrace_background_error_t`: why background work or writes have stopped; `terrace_resume`: retrying at
//! once.
#![allow(unsafe_code)]

use super::boundary::{contain, guard, guard_quietly};
use super::bytes;
use super::db::leveldb_t;
use super::failure::terrace_error_t;
use super::handle;
use crate::db::{BackgroundError, Db, Severity};
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// What has stopped and what cures it, as terrace_background_error_severity() returns it. The numbers never
/// change.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum terrace_severity_t {
    /// A flush or a compaction failed and is retried with exponential backoff (10 ms to 5 s). Writes continue
    /// until they would have to wait for it; then they fail with this error. A table in which a compaction
    /// finds damage (TERRACE_CORRUPTION) stays in the database and is retried after a minute, later at
    /// intervals of up to an hour; the other tables continue to be compacted.
    TERRACE_SEVERITY_RETRYING = 1,
    /// Writes are refused until a new MANIFEST, or a new WAL, could be written (on a full disk: until it has
    /// space again). The database retries with exponential backoff.
    TERRACE_SEVERITY_WRITES_REFUSED = 2,
    /// Writes are refused until the database is closed and opened again, for example because a sync of the
    /// WAL failed.
    TERRACE_SEVERITY_UNTIL_REOPENED = 3,
}

/// Why background work or writes of a database have stopped; see terrace_background_error().
#[allow(non_camel_case_types)]
pub struct terrace_background_error_t {
    error: BackgroundError,
}

/// Returns why background work or writes have stopped; NULL if they have not, and if `db` is NULL. Reads
/// continue in any case. The result is a copy, which outlives the database; destroy it with
/// terrace_background_error_destroy().
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

/// Destroys what terrace_background_error() returned. NULL is allowed.
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

/// The kind of the failure, a value of `terrace_error_t`; TERRACE_OK for NULL.
///
/// # Safety
/// `error` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error_code(error: *const terrace_background_error_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { field(error, 0, |error| terrace_error_t::from(error.error.kind()) as c_int) }
}

/// The system's error number (`errno`) that caused the failure; 0 if there is none, or for NULL.
///
/// # Safety
/// `error` is NULL or not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_background_error_errno(error: *const terrace_background_error_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { field(error, 0, |error| error.error.errno().unwrap_or(0)) }
}

/// What has stopped and what cures it, a value of `terrace_severity_t`; 0 for NULL.
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

/// When the failure happened, in microseconds since the Unix epoch; 0 for NULL.
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

/// The message, malloc()ed and NUL-terminated, in the form of an `*errptr`; NULL for NULL.
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

/// The file or directory that the failure concerns, malloc()ed and NUL-terminated; NULL if there is none, or
/// for NULL.
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

/// Retries failed background work at once, without waiting for the next scheduled retry, and returns when the
/// outcome is known. Succeeds if no failure is left. Otherwise `*errptr` is the failure that remains: for
/// example, the disk is still full, or only closing the database and opening it again helps.
///
/// # Safety
/// `db` is NULL or open; `errptr` as in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_resume(db: *mut leveldb_t, errptr: *mut *mut c_char) {
    // SAFETY: as the caller promises.
    unsafe { guard(errptr, (), || handle::required(db, "db")?.run(Db::resume)) };
}
