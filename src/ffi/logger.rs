//! `leveldb_logger_t`: the receiver of the info log. LevelDB's C interface has the type, but no function that
//! creates one.
//!
//! Lifetime: as for a filter policy. Destroying a logger revokes its callback at once, even while databases
//! use it; the lines that they log afterwards are dropped.
#![allow(unsafe_code)]

use super::boundary::contain;
use super::revocable_callbacks::Revocable;
use super::{bytes, handle};
use crate::env::info_log::Logger;
use std::ffi::{c_char, c_void};
use std::fmt::Arguments;
use std::sync::Arc;

/// The receiver of the info log; see terrace_logger_create().
#[allow(non_camel_case_types)]
pub struct leveldb_logger_t {
    logger: Arc<ForeignLogger>,
}

type Destructor = unsafe extern "C" fn(*mut c_void);
type Log = unsafe extern "C" fn(*mut c_void, *const c_char, usize);

/// The callbacks of the caller, with their state.
struct Callbacks {
    state: *mut c_void,
    destructor: Option<Destructor>,
    log: Option<Log>,
}

// SAFETY: convention (8) obliges the caller to make the callbacks callable from any thread; `state` is only
// passed to them.
unsafe impl Send for Callbacks {}
// SAFETY: as above, and from several threads at the same time.
unsafe impl Sync for Callbacks {}

/// A logger that is implemented in C, until it is revoked.
pub(super) struct ForeignLogger(Revocable<Callbacks>);

impl Logger for ForeignLogger {
    fn log(&self, line: Arguments<'_>) {
        self.0.with(|callbacks| {
            if let Some(log) = callbacks.log {
                let line = line.to_string();
                // SAFETY: the caller's callback with its state, and bytes that live during the call.
                unsafe { log(callbacks.state, bytes::pointer_to(line.as_bytes()), line.len()) };
            }
        });
    }
}

impl leveldb_logger_t {
    pub(super) fn reference(&self) -> LoggerReference {
        LoggerReference(Arc::clone(&self.logger))
    }
}

/// A logger that may be destroyed before it is used.
pub(super) struct LoggerReference(Arc<ForeignLogger>);

impl LoggerReference {
    /// The logger that a database uses; `None` (the file LOG) if the logger was destroyed.
    pub(super) fn resolve(&self) -> Option<Arc<dyn Logger>> {
        self.0.0.with(|_| ()).map(|()| Arc::clone(&self.0) as Arc<dyn Logger>)
    }
}

/// Creates a logger for leveldb_options_set_info_log(). `log` is called with `state` and each line, on any
/// thread, by several threads at the same time. The line has no line feed and is not NUL-terminated.
/// `destructor` is called once, by terrace_logger_destroy(); it may be NULL. A NULL `log` drops every line.
///
/// # Safety
/// The callbacks are NULL, or callable as described above until terrace_logger_destroy() returns; they return
/// normally.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_logger_create(
    state: *mut c_void,
    destructor: Option<unsafe extern "C" fn(state: *mut c_void)>,
    log: Option<unsafe extern "C" fn(state: *mut c_void, line: *const c_char, length: usize)>,
) -> *mut leveldb_logger_t {
    let logger = Arc::new(ForeignLogger(Revocable::new(Callbacks { state, destructor, log })));
    handle::give(leveldb_logger_t { logger })
}

/// Destroys a logger. When the call returns, its callback does not run any more, and the destructor has run.
/// Databases that still use the logger log nothing from then on. Must not be called from its callback.
///
/// # Safety
/// `logger` is NULL or a logger whose handle is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_logger_destroy(logger: *mut leveldb_logger_t) {
    contain((), || {
        // SAFETY: the caller gives up a handle that came from terrace_logger_create.
        let Some(handle) = (unsafe { handle::take_back(logger) }) else { return };
        if let Some(callbacks) = handle.logger.0.revoke()
            && let Some(destructor) = callbacks.destructor
        {
            // SAFETY: the caller's callback with its state, once: `revoke` gives the callbacks once.
            unsafe { destructor(callbacks.state) };
        }
    });
}
