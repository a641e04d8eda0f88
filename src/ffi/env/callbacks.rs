//! An environment that is implemented in C: callbacks provide files, locks and time.
//!
//! Lifetime: databases, and iterators that outlive them, own a reference. The destructor runs when the handle
//! and the last reference are gone, as for a comparator.
//!
//! Threads are not part of such an environment: the database creates its own. There is no callback that syncs
//! a directory: `writable_file_sync` and `rename_file` must make names durable.
#![allow(unsafe_code)]

use super::leveldb_env_t;
use crate::env::posix::PosixEnv;
use crate::env::{
    CreateMode, Env, FileLock, LogFileOptions, RandomAccessFile, ReadMode, SequentialFile, WritableFile,
};
use crate::error::{Error, Result};
use crate::ffi::boundary::{contain, guard};
use crate::ffi::callback::{outcome, read_fully};
use crate::ffi::failure::terrace_error_t;
use crate::ffi::{bytes, handle};
use std::ffi::{CString, OsStr, OsString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// The callbacks of an environment; see terrace_env_create(). `state` is the one passed there.
///
/// A callback that returns an `int` returns TERRACE_OK on success. On failure it returns another value of
/// `terrace_error_t` and puts a malloc()ed, NUL-terminated message, which the library frees, into `*message`;
/// `*message` is NULL before the call. A missing file or directory is TERRACE_NOT_FOUND. Paths are
/// NUL-terminated.
///
/// A sequential or writable file is used by one thread at a time. All other callbacks run on any thread,
/// several at the same time.
#[allow(non_camel_case_types, clippy::type_complexity)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct terrace_env_callbacks_t {
    /// Called once, when nothing uses the environment any more. May be NULL, unlike all other callbacks.
    pub destructor: Option<unsafe extern "C" fn(state: *mut c_void)>,

    /// Opens a file to be read from its beginning.
    pub new_sequential_file: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            file: *mut *mut c_void,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Reads up to `length` bytes and puts the number of bytes read into `*read`; 0 at the end of the file.
    pub sequential_file_read: Option<
        unsafe extern "C" fn(
            file: *mut c_void,
            buffer: *mut c_char,
            length: usize,
            read: *mut usize,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Skips `length` bytes. Skipping past the end of the file is not an error.
    pub sequential_file_skip:
        Option<unsafe extern "C" fn(file: *mut c_void, length: u64, message: *mut *mut c_char) -> c_int>,
    /// Closes and frees the file.
    pub sequential_file_destroy: Option<unsafe extern "C" fn(file: *mut c_void)>,

    /// Opens a file to be read at any offset.
    pub new_random_access_file: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            file: *mut *mut c_void,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Reads up to `length` bytes at `offset` and puts the number of bytes read into `*read`; 0 at the end of
    /// the file.
    pub random_access_file_read: Option<
        unsafe extern "C" fn(
            file: *mut c_void,
            offset: u64,
            buffer: *mut c_char,
            length: usize,
            read: *mut usize,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Closes and frees the file.
    pub random_access_file_destroy: Option<unsafe extern "C" fn(file: *mut c_void)>,

    /// Opens a file to be written, and creates it if it is missing. If `append` is not 0, writing continues
    /// at the end of the file; else the file is truncated.
    pub new_writable_file: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            append: u8,
            file: *mut *mut c_void,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Appends `length` bytes. They may stay in a buffer of the environment.
    pub writable_file_append: Option<
        unsafe extern "C" fn(
            file: *mut c_void,
            data: *const c_char,
            length: usize,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Passes all appended bytes to the operating system, so that they survive the death of the process.
    pub writable_file_flush:
        Option<unsafe extern "C" fn(file: *mut c_void, message: *mut *mut c_char) -> c_int>,
    /// Makes all appended bytes durable, and the name of a new file: both survive a power loss.
    pub writable_file_sync:
        Option<unsafe extern "C" fn(file: *mut c_void, message: *mut *mut c_char) -> c_int>,
    /// Flushes and closes the file.
    pub writable_file_close:
        Option<unsafe extern "C" fn(file: *mut c_void, message: *mut *mut c_char) -> c_int>,
    /// Frees the file, after `writable_file_close`.
    pub writable_file_destroy: Option<unsafe extern "C" fn(file: *mut c_void)>,

    /// Returns 1 if there is a file or directory of that name, else 0.
    pub file_exists: Option<unsafe extern "C" fn(state: *mut c_void, path: *const c_char) -> u8>,
    /// Calls `child` with `sink` and the name of each entry of a directory. The name has no directory part.
    pub get_children: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            sink: *mut c_void,
            child: unsafe extern "C" fn(sink: *mut c_void, name: *const c_char, length: usize),
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Removes a file.
    pub remove_file: Option<
        unsafe extern "C" fn(state: *mut c_void, path: *const c_char, message: *mut *mut c_char) -> c_int,
    >,
    /// Creates a directory. Its result is ignored if the directory exists afterwards.
    pub create_dir: Option<
        unsafe extern "C" fn(state: *mut c_void, path: *const c_char, message: *mut *mut c_char) -> c_int,
    >,
    /// Removes an empty directory.
    pub remove_dir: Option<
        unsafe extern "C" fn(state: *mut c_void, path: *const c_char, message: *mut *mut c_char) -> c_int,
    >,
    /// Puts the size of a file, in bytes, into `*size`.
    pub get_file_size: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            size: *mut u64,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Renames a file atomically, replacing a file that has the new name, and makes the rename durable.
    pub rename_file: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            from: *const c_char,
            to: *const c_char,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Locks a file against other processes and other databases. Never waits: a lock that is held is a
    /// failure.
    pub lock_file: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            lock: *mut *mut c_void,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Unlocks a file and frees the lock.
    pub unlock_file: Option<unsafe extern "C" fn(state: *mut c_void, lock: *mut c_void)>,
    /// Returns microseconds since some fixed time.
    pub now_micros: Option<unsafe extern "C" fn(state: *mut c_void) -> u64>,
    /// Blocks the calling thread for `micros` microseconds.
    pub sleep_micros: Option<unsafe extern "C" fn(state: *mut c_void, micros: u64)>,
}

/// Creates an environment from callbacks, each of which gets `state`, or a file that another callback has
/// returned. The table of callbacks is copied. Returns NULL on failure. Destroy the environment with
/// leveldb_env_destroy(); databases that use it keep it until they are closed.
///
/// # Safety
/// `callbacks` is NULL or a table of functions that behave as described there and as in (8); `errptr` as
/// in (3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_env_create(
    state: *mut c_void,
    callbacks: *const terrace_env_callbacks_t,
    errptr: *mut *mut c_char,
) -> *mut leveldb_env_t {
    // SAFETY: as the caller promises.
    unsafe {
        guard(errptr, ptr::null_mut(), || {
            let callbacks = *handle::required(callbacks, "callbacks")?;
            callbacks.check()?;
            let shared = Arc::new(Foreign { state, callbacks });
            Ok(leveldb_env_t::create(Arc::new(ForeignEnv(shared))))
        })
    }
}

macro_rules! all_set {
    ($callbacks:expr, $($name:ident)+) => {
        $(if $callbacks.$name.is_none() {
            return Err(Error::invalid_argument(concat!("the callback ", stringify!($name), " is NULL")));
        })+
    };
}

impl terrace_env_callbacks_t {
    fn check(&self) -> Result<()> {
        all_set!(self, new_sequential_file sequential_file_read sequential_file_skip sequential_file_destroy);
        all_set!(self, new_random_access_file random_access_file_read random_access_file_destroy);
        all_set!(self, new_writable_file writable_file_append writable_file_flush writable_file_sync);
        all_set!(self, writable_file_close writable_file_destroy file_exists get_children remove_file);
        all_set!(self, create_dir remove_dir get_file_size rename_file lock_file unlock_file);
        all_set!(self, now_micros sleep_micros);
        Ok(())
    }
}

/// The state and callbacks that the environment and its files share. Dropping it runs the destructor.
struct Foreign {
    state: *mut c_void,
    callbacks: terrace_env_callbacks_t,
}

// SAFETY: convention (8) obliges the caller to make the callbacks callable from any thread; `state` is only
// passed to them.
unsafe impl Send for Foreign {}
// SAFETY: as above, and from several threads at the same time.
unsafe impl Sync for Foreign {}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(destructor) = self.callbacks.destructor {
            // SAFETY: the caller's callback with its state, once.
            unsafe { destructor(self.state) };
        }
    }
}

/// Calls a callback that reports by a code and a message: `call!(foreign, name, arguments...)`; `Result<()>`.
macro_rules! call {
    ($foreign:expr, $name:ident $(, $argument:expr)*) => {{
        let mut message = ptr::null_mut();
        let code = match $foreign.callbacks.$name {
            // SAFETY: a callback of the caller with its state, or with a file that another of its callbacks
            // returned; all arguments live during the call.
            Some(callback) => unsafe { callback($($argument,)* &mut message) },
            None => terrace_error_t::TERRACE_NOT_SUPPORTED as c_int, // unreachable: `check` refused it
        };
        outcome(code, message)
    }};
}

/// A path as a C string; `InvalidArgument` if it contains a NUL.
fn c_path(path: &Path) -> Result<CString> {
    let refused = |_| Error::invalid_argument(format!("{}: a NUL in a path", path.display()));
    CString::new(path.as_os_str().as_bytes()).map_err(refused)
}

/// A file or lock that a callback has returned. It is only passed to other callbacks.
struct Object(*mut c_void);

// SAFETY: convention (8): a result of one callback may be passed to the others on any thread.
unsafe impl Send for Object {}
// SAFETY: as above; only random access files are used by several threads at the same time, which their
// callbacks allow.
unsafe impl Sync for Object {}

struct ForeignEnv(Arc<Foreign>);

impl ForeignEnv {
    fn open(&self, path: &Path, append: bool) -> Result<Box<dyn WritableFile>> {
        let mut file = ptr::null_mut();
        let path = c_path(path)?;
        call!(self.0, new_writable_file, self.0.state, path.as_ptr(), u8::from(append), &mut file)?;
        let env = self.0.clone();
        Ok(Box::new(ForeignWritable { env, file: Object(file), failure: None, closed: false }))
    }
}

impl Env for ForeignEnv {
    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>> {
        let mut file = ptr::null_mut();
        call!(self.0, new_sequential_file, self.0.state, c_path(path)?.as_ptr(), &mut file)?;
        Ok(Box::new(ForeignSequential { env: self.0.clone(), file: Object(file) }))
    }

    fn open_random_access(&self, path: &Path, _: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
        let mut file = ptr::null_mut();
        call!(self.0, new_random_access_file, self.0.state, c_path(path)?.as_ptr(), &mut file)?;
        Ok(Arc::new(ForeignRandomAccess { env: self.0.clone(), file: Object(file) }))
    }

    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
        if mode == CreateMode::New && self.exists(path) {
            return Err(Error::from_errno(path, libc::EEXIST));
        }
        self.open(path, mode == CreateMode::Append)
    }

    fn create_log(&self, path: &Path, _: LogFileOptions) -> Result<Box<dyn WritableFile>> {
        self.create_writable(path, CreateMode::New)
    }

    fn exists(&self, path: &Path) -> bool {
        let (Ok(path), Some(exists)) = (c_path(path), self.0.callbacks.file_exists) else { return false };
        // SAFETY: a callback of the caller with its state, and a path that lives during the call.
        unsafe { exists(self.0.state, path.as_ptr()) != 0 }
    }

    fn children(&self, dir: &Path) -> Result<Vec<OsString>> {
        unsafe extern "C" fn add(sink: *mut c_void, name: *const c_char, length: usize) {
            contain((), || {
                // SAFETY: `sink` is `names` below, which nobody else uses; the name has its length.
                unsafe {
                    if let (Some(names), Ok(name)) =
                        (handle::lend_mut(sink.cast::<Vec<OsString>>()), bytes::input(name, length, "name"))
                    {
                        names.push(OsStr::from_bytes(name).to_os_string());
                    }
                }
            });
        }
        let mut names: Vec<OsString> = Vec::new();
        let sink = (&raw mut names).cast::<c_void>();
        call!(self.0, get_children, self.0.state, c_path(dir)?.as_ptr(), sink, add)?;
        names.retain(|name| name != "." && name != "..");
        Ok(names)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        call!(self.0, remove_file, self.0.state, c_path(path)?.as_ptr())
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let created = call!(self.0, create_dir, self.0.state, c_path(path)?.as_ptr());
        if self.exists(path) { Ok(()) } else { created }
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        call!(self.0, remove_dir, self.0.state, c_path(path)?.as_ptr())
    }

    fn file_size(&self, path: &Path) -> Result<u64> {
        let mut size = 0;
        call!(self.0, get_file_size, self.0.state, c_path(path)?.as_ptr(), &mut size)?;
        Ok(size)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        call!(self.0, rename_file, self.0.state, c_path(from)?.as_ptr(), c_path(to)?.as_ptr())
    }

    fn sync_dir(&self, _: &Path) -> Result<()> {
        Ok(()) // `writable_file_sync` and `rename_file` make names durable themselves
    }

    fn lock_file(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        let mut lock = ptr::null_mut();
        call!(self.0, lock_file, self.0.state, c_path(path)?.as_ptr(), &mut lock)?;
        Ok(Box::new(ForeignLock { env: self.0.clone(), lock: Object(lock) }))
    }

    fn now_micros(&self) -> u64 {
        // SAFETY: a callback of the caller with its state.
        self.0.callbacks.now_micros.map_or(0, |now| unsafe { now(self.0.state) })
    }

    fn sleep_micros(&self, micros: u64) {
        if let Some(sleep) = self.0.callbacks.sleep_micros {
            // SAFETY: a callback of the caller with its state.
            unsafe { sleep(self.0.state, micros) };
        }
    }

    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<std::thread::JoinHandle<()>> {
        PosixEnv::default().spawn(name, body)
    }
}

/// What errors call a file of such an environment.
const A_FILE: &str = "a file of the environment";

struct ForeignSequential {
    env: Arc<Foreign>,
    file: Object,
}

impl SequentialFile for ForeignSequential {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        read_fully(A_FILE, 0, buffer, |_, data, room, read| {
            call!(self.env, sequential_file_read, self.file.0, data, room, read)
        })
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        call!(self.env, sequential_file_skip, self.file.0, bytes)
    }
}

impl Drop for ForeignSequential {
    fn drop(&mut self) {
        if let Some(destroy) = self.env.callbacks.sequential_file_destroy {
            // SAFETY: a file that the opening callback returned, for the last time.
            unsafe { destroy(self.file.0) };
        }
    }
}

struct ForeignRandomAccess {
    env: Arc<Foreign>,
    file: Object,
}

impl RandomAccessFile for ForeignRandomAccess {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        read_fully(A_FILE, offset, buffer, |at, data, room, read| {
            call!(self.env, random_access_file_read, self.file.0, at, data, room, read)
        })
    }
}

impl Drop for ForeignRandomAccess {
    fn drop(&mut self) {
        if let Some(destroy) = self.env.callbacks.random_access_file_destroy {
            // SAFETY: a file that the opening callback returned, for the last time.
            unsafe { destroy(self.file.0) };
        }
    }
}

struct ForeignWritable {
    env: Arc<Foreign>,
    file: Object,
    /// The first failure; every later operation fails with it.
    failure: Option<Error>,
    closed: bool,
}

impl ForeignWritable {
    fn run(&mut self, body: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let result = body(self);
        self.failure = result.as_ref().err().cloned();
        result
    }
}

impl WritableFile for ForeignWritable {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        self.run(|this| {
            call!(this.env, writable_file_append, this.file.0, bytes::pointer_to(data), data.len())
        })
    }

    fn flush(&mut self) -> Result<()> {
        self.run(|this| call!(this.env, writable_file_flush, this.file.0))
    }

    fn sync(&mut self) -> Result<()> {
        self.run(|this| call!(this.env, writable_file_sync, this.file.0))
    }

    fn close(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        let earlier = self.failure.clone();
        let closed = call!(self.env, writable_file_close, self.file.0);
        earlier.map_or(closed, Err)
    }
}

impl Drop for ForeignWritable {
    fn drop(&mut self) {
        let _ = self.close();
        if let Some(destroy) = self.env.callbacks.writable_file_destroy {
            // SAFETY: a file that the opening callback returned, for the last time.
            unsafe { destroy(self.file.0) };
        }
    }
}

struct ForeignLock {
    env: Arc<Foreign>,
    lock: Object,
}

impl FileLock for ForeignLock {}

impl Drop for ForeignLock {
    fn drop(&mut self) {
        if let Some(unlock) = self.env.callbacks.unlock_file {
            // SAFETY: a lock that the locking callback returned, for the last time, and the state of its
            // environment.
            unsafe { unlock(self.env.state, self.lock.0) };
        }
    }
}
