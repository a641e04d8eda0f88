//! An environment that lives in C: files, locks and time are what callbacks say they are.
//!
//! Lifetime: databases, and iterators that outlive them, own a reference; the destructor runs when the handle and the last of
//! them are gone, as a comparator's does.
//!
//! The threads of a database are its own also here: an environment of C has no say in them. Names become durable as its files and
//! renames see to: there is no callback that syncs a directory.
#![allow(unsafe_code)]

use super::boundary::guard;
use super::env::leveldb_env_t;
use super::{bytes, handle};
use crate::env::posix::PosixEnv;
use crate::env::{
    CreateMode, Env, FileLock, LogFileOptions, RandomAccessFile, ReadMode, SequentialFile, WritableFile,
};
use crate::error::{Error, ErrorKind, Result};
use std::ffi::{CString, OsStr, OsString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// What an environment of C does; see terrace_env_create(). `state` is that of the environment.
///
/// A callback that returns an `int` returns TERRACE_OK, or another value of `terrace_error_t` and, in `*message`, a malloc()ed and
/// NUL-terminated message, which the library frees; `*message` is NULL before. What is not there is TERRACE_NOT_FOUND. Paths are
/// NUL-terminated. A file is used by one thread at a time, but for the random access files; everything else by any thread, at
/// once.
#[allow(non_camel_case_types, clippy::type_complexity)]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct terrace_env_callbacks_t {
    /// Called once, when nothing uses the environment any more. May be NULL; no other callback may.
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
    /// Reads up to `length` bytes, and puts how many into `*read`; 0 at the end of the file.
    pub sequential_file_read: Option<
        unsafe extern "C" fn(
            file: *mut c_void,
            buffer: *mut c_char,
            length: usize,
            read: *mut usize,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Passes over bytes; past the end is fine.
    pub sequential_file_skip:
        Option<unsafe extern "C" fn(file: *mut c_void, length: u64, message: *mut *mut c_char) -> c_int>,
    /// Closes the file.
    pub sequential_file_destroy: Option<unsafe extern "C" fn(file: *mut c_void)>,

    /// Opens a file to be read anywhere.
    pub new_random_access_file: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            file: *mut *mut c_void,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Reads up to `length` bytes from `offset`, and puts how many into `*read`; 0 at the end of the file.
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
    /// Closes the file.
    pub random_access_file_destroy: Option<unsafe extern "C" fn(file: *mut c_void)>,

    /// Opens a file to be written: behind what it has if `append` is set, else emptied; created if it is missing.
    pub new_writable_file: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            append: u8,
            file: *mut *mut c_void,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Appends bytes.
    pub writable_file_append: Option<
        unsafe extern "C" fn(
            file: *mut c_void,
            data: *const c_char,
            length: usize,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Hands what was appended to the system: it survives the end of the process.
    pub writable_file_flush:
        Option<unsafe extern "C" fn(file: *mut c_void, message: *mut *mut c_char) -> c_int>,
    /// Makes what was appended, and the name of a new file, durable.
    pub writable_file_sync:
        Option<unsafe extern "C" fn(file: *mut c_void, message: *mut *mut c_char) -> c_int>,
    /// Flushes and closes the file.
    pub writable_file_close:
        Option<unsafe extern "C" fn(file: *mut c_void, message: *mut *mut c_char) -> c_int>,
    /// Frees the file, after it was closed.
    pub writable_file_destroy: Option<unsafe extern "C" fn(file: *mut c_void)>,

    /// Is there a file or directory of that name?
    pub file_exists: Option<unsafe extern "C" fn(state: *mut c_void, path: *const c_char) -> u8>,
    /// Calls `child` with `sink` and each name in a directory, which is no path.
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
    /// Creates a directory. What it returns counts for nothing if the directory exists.
    pub create_dir: Option<
        unsafe extern "C" fn(state: *mut c_void, path: *const c_char, message: *mut *mut c_char) -> c_int,
    >,
    /// Removes an empty directory.
    pub remove_dir: Option<
        unsafe extern "C" fn(state: *mut c_void, path: *const c_char, message: *mut *mut c_char) -> c_int,
    >,
    /// Puts how long a file is, in bytes, into `*size`.
    pub get_file_size: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            size: *mut u64,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Renames a file, replacing what has the new name, and makes that durable.
    pub rename_file: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            from: *const c_char,
            to: *const c_char,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Locks a file against other processes and other databases; never waits.
    pub lock_file: Option<
        unsafe extern "C" fn(
            state: *mut c_void,
            path: *const c_char,
            lock: *mut *mut c_void,
            message: *mut *mut c_char,
        ) -> c_int,
    >,
    /// Unlocks it.
    pub unlock_file: Option<unsafe extern "C" fn(state: *mut c_void, lock: *mut c_void)>,
    /// Microseconds since some fixed time.
    pub now_micros: Option<unsafe extern "C" fn(state: *mut c_void) -> u64>,
    /// Sleeps.
    pub sleep_micros: Option<unsafe extern "C" fn(state: *mut c_void, micros: u64)>,
}

/// Creates an environment from callbacks, each of which gets `state` or what another has returned. The table is copied. NULL on
/// failure. Destroy it with leveldb_env_destroy(); databases that use it go on using it.
///
/// # Safety
/// `callbacks` is NULL or a table whose functions do as it says, as in (8); `errptr` as in (3).
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

/// What the environment and its files share. Dropping it runs the destructor.
struct Foreign {
    state: *mut c_void,
    callbacks: terrace_env_callbacks_t,
}

// SAFETY: convention (8) has the caller make the callbacks callable from any thread; `state` is only handed to them.
unsafe impl Send for Foreign {}
// SAFETY: as above, and at once.
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
            // SAFETY: a callback of the caller with its state, or with what another of its callbacks returned; what it gets lives
            // during the call.
            Some(callback) => unsafe { callback($($argument,)* &mut message) },
            None => ErrorKind::NotSupported as c_int, // never: all were there when the environment was made
        };
        outcome(code, message)
    }};
}

/// What a callback came to; frees its message.
pub(super) fn outcome(code: c_int, message: *mut c_char) -> Result<()> {
    // SAFETY: NULL, or a NUL-terminated string of the callback's.
    let text = unsafe { bytes::c_string(message, "message") };
    let text = text.map_or_else(|_| String::new(), |text| String::from_utf8_lossy(text).into_owned());
    // SAFETY: NULL or malloc()ed, ours to free, and not used any more.
    unsafe { libc::free(message.cast()) };
    let kind = match code {
        0 => return Ok(()),
        1 => ErrorKind::NotFound,
        2 => ErrorKind::Corruption,
        3 => ErrorKind::NotSupported,
        4 => ErrorKind::InvalidArgument,
        _ => ErrorKind::IoError,
    };
    Err(Error::new(kind, text))
}

/// A path for C.
fn c_path(path: &Path) -> Result<CString> {
    let refused = |_| Error::invalid_argument(format!("{}: a NUL in a path", path.display()));
    CString::new(path.as_os_str().as_bytes()).map_err(refused)
}

/// A file or lock of C. It is only handed to its callbacks.
struct Object(*mut c_void);

// SAFETY: convention (8): what callbacks return may be handed to others on any thread.
unsafe impl Send for Object {}
// SAFETY: as above; only random access files are used by several threads at once, which their callbacks allow.
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
            super::boundary::contain((), || {
                // SAFETY: `sink` is the list below, which nobody else uses; the name has its length.
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
        Ok(()) // by the files and renames themselves
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

struct ForeignSequential {
    env: Arc<Foreign>,
    file: Object,
}

impl SequentialFile for ForeignSequential {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        fill(buffer, |rest, read| {
            let (data, length) = (rest.as_mut_ptr().cast(), rest.len());
            call!(self.env, sequential_file_read, self.file.0, data, length, read)
        })
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        call!(self.env, sequential_file_skip, self.file.0, bytes)
    }
}

impl Drop for ForeignSequential {
    fn drop(&mut self) {
        if let Some(destroy) = self.env.callbacks.sequential_file_destroy {
            // SAFETY: what the callback that opens returned, for the last time.
            unsafe { destroy(self.file.0) };
        }
    }
}

/// Reads until the buffer is full or nothing comes any more: a callback may return less than there is.
fn fill(buffer: &mut [u8], mut read_some: impl FnMut(&mut [u8], &mut usize) -> Result<()>) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let mut read = 0;
        let rest = &mut buffer[filled..];
        let room = rest.len();
        read_some(rest, &mut read)?;
        if read > room {
            return Err(Error::io("a file of the environment returned more than was asked for"));
        }
        if read == 0 {
            break;
        }
        filled += read;
    }
    Ok(filled)
}

struct ForeignRandomAccess {
    env: Arc<Foreign>,
    file: Object,
}

impl RandomAccessFile for ForeignRandomAccess {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let length = buffer.len();
        fill(buffer, |rest, read| {
            let at = offset.saturating_add((length - rest.len()) as u64);
            let (data, length) = (rest.as_mut_ptr().cast(), rest.len());
            call!(self.env, random_access_file_read, self.file.0, at, data, length, read)
        })
    }
}

impl Drop for ForeignRandomAccess {
    fn drop(&mut self) {
        if let Some(destroy) = self.env.callbacks.random_access_file_destroy {
            // SAFETY: what the callback that opens returned, for the last time.
            unsafe { destroy(self.file.0) };
        }
    }
}

struct ForeignWritable {
    env: Arc<Foreign>,
    file: Object,
    /// The first one; every later operation fails with it.
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
            // SAFETY: what the callback that opens returned, for the last time.
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
            // SAFETY: what the callback that locks returned, for the last time, and the state of its environment.
            unsafe { unlock(self.env.state, self.lock.0) };
        }
    }
}
