//! The environment: all access to files, clocks and threads, so that a test can see and fail every operation.
//!
//! Everything above this floor reaches the system through an [`Env`]. `posix` is the real system; `mem` keeps
//! files in memory and knows which bytes were synced; `fault`, which only tests have, wraps another
//! environment, and fails, delays and counts its operations.
//!
//! Paths are byte-exact. Every error names its file.
//!
//! Thread rule: all methods of an [`Env`] may be called from any thread at any time.

#[cfg(any(test, feature = "test-support"))]
#[doc(hidden)]
pub mod fault;
pub mod info_log;
pub mod mem;
pub(crate) mod on_demand;
mod parallel;
pub mod posix;

pub(crate) use parallel::run_in_parallel;

use crate::error::{Error, Result};
use std::ffi::OsString;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::thread::{JoinHandle, Scope};
use std::time::Instant;

/// What `Env::create_writable` does if the file exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CreateMode {
    /// The file must not exist (O_EXCL). WALs, tables and MANIFESTs are created in this mode: a file number
    /// is never used twice.
    New,
    /// An existing file is truncated to 0 bytes; a missing one is created.
    Truncate,
    /// An existing file is appended to; a missing one is created.
    Append,
}

/// How a file opened by `Env::open_random_access` is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReadMode {
    /// Through a memory mapping if the system allows one (a read error of the disk then raises SIGBUS), else
    /// by `pread`.
    Mapped,
    /// By `pread` only.
    Positioned,
}

/// How a WAL file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LogFileOptions {
    /// Append through a mapping of preallocated space, on file systems known to be safe for it.
    pub mapped: bool,
    /// The expected length of the file, in bytes. A hint for preallocation.
    pub expected_size: u64,
}

/// The system, as the engine sees it: LevelDB's `Env`, with positioned and mapped reads, WAL files and
/// directory syncs.
pub trait Env: Send + Sync + 'static {
    /// This environment with the directory `dir` held open: paths that begin with `dir` refer to the
    /// directory that has this name now, even if it is renamed, another directory takes its name, or the
    /// current directory changes later. `None` if the environment knows directories by name only.
    fn hold_dir(&self, dir: &Path) -> Result<Option<Arc<dyn Env>>> {
        let _ = dir;
        Ok(None)
    }
    /// Opens a file for reading from its beginning to its end. `NotFound` if there is none.
    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>>;
    /// Opens a file for reading at any offset, from many threads. `NotFound` if there is none.
    fn open_random_access(&self, path: &Path, mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>>;
    /// Opens a file for buffered appending. Bytes reach the system in `flush`, `sync` and `close`, and when
    /// the buffer is full.
    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>>;
    /// Creates a WAL file, which must not exist. Each of its `append_record` calls hands the record to the
    /// system before it returns, so that the record survives `kill -9`.
    fn create_log(&self, path: &Path, options: LogFileOptions) -> Result<Box<dyn WritableFile>>;
    /// True if there is a file or directory of that name.
    fn exists(&self, path: &Path) -> bool;
    /// The names (not paths) in a directory, without `.` and `..`.
    fn children(&self, dir: &Path) -> Result<Vec<OsString>>;
    /// Removes a file's name.
    fn remove_file(&self, path: &Path) -> Result<()>;
    /// Creates one directory, whose parent must exist. Succeeds if the directory exists already.
    fn create_dir(&self, path: &Path) -> Result<()>;
    /// Checks, without creating anything, whether `create_dir` would create this directory. The error says
    /// why not.
    fn may_create_dir(&self, path: &Path) -> Result<()> {
        let parent = parent_of(path);
        if self.exists(parent) { Ok(()) } else { Err(Error::from_errno(path, libc::ENOENT)) }
    }
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> Result<()>;
    /// The largest size that a file may have, in bytes. An append beyond it fails with EFBIG, and may raise a
    /// signal (SIGXFSZ).
    fn file_size_limit(&self) -> u64 {
        u64::MAX
    }
    /// The length of a file in bytes.
    fn file_size(&self, path: &Path) -> Result<u64>;
    /// Renames a file or directory. What had the new name is replaced atomically.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Makes the names in a directory durable (fsync of the directory): creations, renames and removals.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// Takes the lock file without waiting, creating the file if it is missing. Dropping the returned object
    /// releases the lock. While this process holds the lock (compared by device and inode, before the file is
    /// opened), the error is `IO error: lock <path>: already held by process`; while another process holds
    /// it, the error is the system's.
    fn lock_file(&self, path: &Path) -> Result<Box<dyn FileLock>>;
    /// Microseconds since a fixed point in time (in the real environment: since the Unix epoch). The clock
    /// may be set back.
    fn now_micros(&self) -> u64;
    /// The time of a monotonic clock, for delays and timeouts.
    fn now(&self) -> Instant {
        Instant::now()
    }
    /// Blocks the calling thread for that many microseconds.
    fn sleep_micros(&self, micros: u64);
    /// Starts a thread. Returns an error, and does not panic, if the system refuses one.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>>;
    /// As `spawn`, for a thread that may borrow from its caller: the end of `scope` waits for the thread.
    fn spawn_scoped<'scope>(
        &self,
        name: &str,
        scope: &'scope Scope<'scope, '_>,
        body: Box<dyn FnOnce() + Send + 'scope>,
    ) -> Result<()> {
        let builder = std::thread::Builder::new().name(name.to_owned());
        let started = builder.spawn_scoped(scope, body);
        started.map(drop).map_err(|error| Error::from_os(Path::new(name), &error))
    }
}

/// A file that one thread reads from beginning to end.
pub trait SequentialFile: Send {
    /// Reads up to `buffer.len()` bytes and returns how many. Fewer are returned only at the end of the file,
    /// and 0 means the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
    /// Skips that many bytes. Skipping past the end is no error: later reads return 0.
    fn skip(&mut self, bytes: u64) -> Result<()>;
}

/// The identity of a file: two files that are open at the same time and compare equal are the same file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileIdentity {
    /// The number of the file system (`st_dev`).
    pub device: u64,
    /// The number of the file in its file system (`st_ino`).
    pub inode: u64,
    /// The length of the file in bytes.
    pub size: u64,
}

/// A file that any number of threads read at any offset, at the same time.
pub trait RandomAccessFile: Send + Sync {
    /// Fills `buffer` with the bytes from `offset` on, and returns how many there were. Fewer than
    /// `buffer.len()` only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;
    /// The contents of the whole file if it is mapped. The slice is valid as long as the file object.
    fn mapping(&self) -> Option<&[u8]> {
        None
    }
    /// A hint that `[offset, offset + length)`, in bytes, will be read soon.
    fn will_need(&self, offset: u64, length: u64) {
        let _ = (offset, length);
    }
    /// The file's identity, if the system can tell it.
    fn identity(&self) -> Option<FileIdentity> {
        None
    }
}

/// A file that is appended to, by one thread at a time. A failed operation poisons the file: every later
/// operation returns the first error, until `take_back` succeeds.
pub trait WritableFile: Send {
    /// Appends to the buffer, and hands the buffer to the system when it is full.
    fn append(&mut self, data: &[u8]) -> Result<()>;
    /// Appends one framed WAL record and hands it to the system before returning. A reader that sees the
    /// header, in the same or another process or after a kill, sees the payload too.
    fn append_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        self.append(header)?;
        self.append(payload)?;
        self.flush()
    }
    /// As `append_record`, for a record in pieces: a payload longer than a WAL block, with further headers in
    /// it. A reader that sees the first header sees all pieces too. The slices are consumed.
    fn append_record_in_pieces(&mut self, header: &[u8; 7], pieces: &mut [IoSlice<'_>]) -> Result<()> {
        self.append(header)?;
        pieces.iter().try_for_each(|piece| self.append(piece))?;
        self.flush()
    }
    /// Makes the first bytes of `source` the first bytes of this file, which is empty: by reference, where
    /// the file system can (XFS, Btrfs and others). Returns how many, at most `length`; 0 if nothing was
    /// done, which is no error. The next append follows them. A sync makes them durable as what was appended.
    fn share_beginning(&mut self, source: &Path, length: u64) -> Result<u64> {
        let _ = (source, length); // names for the documentation
        Ok(0)
    }
    /// Hands buffered bytes to the system, after which they survive `kill -9`.
    fn flush(&mut self) -> Result<()>;
    /// Called after a failed append: durably truncates the file to its first `length` bytes, which removes
    /// what the append may have left. Afterwards the file may be appended to again. Returns an error and
    /// changes nothing if the file cannot be truncated, or if a sync has failed.
    fn take_back(&mut self, length: u64) -> Result<()> {
        Err(Error::not_supported(format!("files of this kind can't be cut to {length} bytes")))
    }
    /// Flushes, then makes content and size durable (fdatasync). `Env::sync_dir` makes the file's name
    /// durable.
    fn sync(&mut self) -> Result<()>;
    /// Flushes, truncates preallocated space, and closes the file. Dropping the file without closing it does
    /// the same and ignores errors.
    fn close(&mut self) -> Result<()>;
    /// As `close`, for a file that nobody will read: preallocated space may stay until the file is removed.
    fn close_unneeded(&mut self) -> Result<()> {
        self.close()
    }
}

/// A held lock file. Dropping it releases the lock.
pub trait FileLock: Send + Sync {}

/// Reads a whole file. A file longer than `limit` bytes is a Corruption error.
pub(crate) fn read_file(env: &dyn Env, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut file = env.open_sequential(path)?;
    let mut contents = Vec::new();
    let mut chunk = vec![0u8; 8192]; // on the heap: the caller's stack may be small
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(contents);
        }
        contents.extend_from_slice(&chunk[..read]);
        if contents.len() as u64 > limit {
            return Err(Error::corruption_in(path, format_args!("longer than {limit} bytes")));
        }
    }
}

/// `env` with `dir` held ([`Env::hold_dir`]), or `env` itself if it cannot hold directories.
pub(crate) fn holding(env: &Arc<dyn Env>, dir: &Path) -> Result<Arc<dyn Env>> {
    Ok(env.hold_dir(dir)?.unwrap_or_else(|| env.clone()))
}

/// The directory that contains the entry `path`: `.` for a relative path of one component, the path itself
/// for `/`.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}
