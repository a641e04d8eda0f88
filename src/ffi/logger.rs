//! `leveldb_logger_t`: where the engine tells what it does. LevelDB's interface has the type and no way to make one.
//!
//! Lifetime: as a filter policy's: destroying a logger ends its callback at once, also while databases use it; what they
//! log afterwards is dropped.
#![allow(unsafe_code)]

use super::boundary::contain;
use super::revocable::Revocable;
use super::{bytes, handle};
use crate::env::info_log::Logger;
use std::ffi::{c_char, c_void};
use std::fmt::Arguments;
use std::sync::Arc;

/// Where a database tells what it does; see terrace_logger_create().
#[allow(non_camel_case_types)]
pub struct leveldb_logger_t {
    logger: Arc<ForeignLogger>,
}

type Destructor = unsafe extern "C" fn(*mut c_void);
type Log = unsafe extern "C" fn(*mut c_void, *const c_char, usize);

/// What the caller gave.
struct Callbacks {
    state: *mut c_void,
    destructor: Option<Destructor>,
    log: Option<Log>,
}

// SAFETY: convention (8) has the caller make the callbacks callable from any thread; `state` is only handed to them.
unsafe impl Send for Callbacks {}
// SAFETY: as above, and at once.
unsafe impl Sync for Callbacks {}

/// A logger that lives in C until it is revoked.
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
    /// What options keep of it.
    pub(super) fn reference(&self) -> LoggerReference {
        LoggerReference(Arc::clone(&self.logger))
    }
}

/// A logger that may be destroyed before it is used.
pub(super) struct LoggerReference(Arc<ForeignLogger>);

impl LoggerReference {
    /// The logger a database uses; none (its own file) if it was destroyed.
    pub(super) fn resolve(&self) -> Option<Arc<dyn Logger>> {
        self.0.0.with(|_| ()).map(|()| Arc::clone(&self.0) as Arc<dyn Logger>)
    }
}

/// Creates a logger for leveldb_options_set_info_log(). `log` is called with `state` and each line, which has no line feed
/// and is not NUL-terminated, on any thread, also at once. `destructor` is called once, by terrace_logger_destroy(); it
/// may be NULL. A NULL `log` drops every line.
///
/// # Safety
/// The callbacks are NULL or callable as above, until terrace_logger_destroy() returns; they return normally.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_logger_create(
    state: *mut c_void,
    destructor: Option<unsafe extern "C" fn(state: *mut c_void)>,
    log: Option<unsafe extern "C" fn(state: *mut c_void, line: *const c_char, length: usize)>,
) -> *mut leveldb_logger_t {
    let logger = Arc::new(ForeignLogger(Revocable::new(Callbacks { state, destructor, log })));
    handle::give(leveldb_logger_t { logger })
}

/// Destroys a logger. Its callback does not run afterwards, and the destructor has run. Databases that still use it log
/// nothing from then on. Not to be called from its callback.
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
