//! `leveldb_env_t`: the operating system as the database sees it: files, locks, clock, threads. `files` has
//! its operations, `callbacks` an environment that is implemented in C.
#![allow(unsafe_code)]

pub mod callbacks;
pub mod files;

use super::boundary::{contain, guard_quietly};
use super::{bytes, handle};
use crate::env::Env;
use crate::env::posix::PosixEnv;
use std::ffi::{OsString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// The operating system as the database sees it: files, locks, clock, threads. See
/// leveldb_create_default_env().
#[allow(non_camel_case_types)]
pub struct leveldb_env_t {
    env: Arc<dyn Env>,
}

impl leveldb_env_t {
    /// Creates a handle to an environment.
    fn create(env: Arc<dyn Env>) -> *mut leveldb_env_t {
        handle::give(leveldb_env_t { env })
    }

    /// Adds an owner of the environment.
    pub(super) fn share(&self) -> Arc<dyn Env> {
        Arc::clone(&self.env)
    }
}

/// Returns a handle to the default environment: the real file system, clock and threads. Destroy it with
/// leveldb_env_destroy().
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_create_default_env() -> *mut leveldb_env_t {
    contain(ptr::null_mut(), || handle::give(leveldb_env_t { env: PosixEnv::shared() }))
}

/// Destroys a handle to an environment. The environment itself stays until its last user is gone.
///
/// # Safety
/// `env` is NULL or an environment whose handle is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_env_destroy(env: *mut leveldb_env_t) {
    // SAFETY: the caller gives up a handle that came from leveldb_create_default_env.
    contain((), || drop(unsafe { handle::take_back(env) }));
}

/// Returns the path of a directory for tests, malloc()ed and NUL-terminated: `$TEST_TMPDIR` if that is set,
/// else `/tmp/leveldbtest-<effective user id>`. The directory is created if possible. A NULL `env` is the
/// default environment. Returns NULL only if memory ran out.
///
/// # Safety
/// `env` is NULL or an environment that is not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_env_get_test_directory(env: *mut leveldb_env_t) -> *mut c_char {
    guard_quietly(ptr::null_mut(), || {
        // SAFETY: as the caller promises.
        let env = unsafe { handle::lend(env) }.map_or_else(PosixEnv::shared, leveldb_env_t::share);
        let directory = match std::env::var_os("TEST_TMPDIR") {
            Some(directory) if !directory.is_empty() => directory,
            // SAFETY: geteuid has no preconditions.
            _ => OsString::from(format!("/tmp/leveldbtest-{}", unsafe { libc::geteuid() })),
        };
        // A failure shows when a database is opened there.
        let _ = env.create_dir(Path::new(&directory));
        bytes::checked(bytes::malloc_string(directory.as_bytes()))
    })
}
