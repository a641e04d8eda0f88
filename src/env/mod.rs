//! All contact with files, clocks and threads, so that a crash test sees every byte.
//!
//! Everything above this floor reaches the system through an [`Env`]. `posix` is the real one; `mem` keeps files in memory
//! and knows what was synced; `fault` wraps another and fails, delays and counts operations.
//!
//! Paths are byte-exact. Every error names its file. All methods may be called from any thread at once.

pub mod fault;
pub mod info_log;
pub mod mem;
pub mod on_demand;
pub mod posix;
pub mod rate_limiter;
mod together;

pub use together::run_together;

use crate::error::{Error, Result};
use std::ffi::OsString;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

/// How `Env::create_writable` treats a file of that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CreateMode {
    /// It must not exist (O_EXCL). Logs, tables and MANIFESTs are created so: a number is never used twice.
    New,
    /// It is emptied, or created.
    Truncate,
    /// It is appended to, or created.
    Append,
}

/// How `Env::open_random_access` reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadMode {
    /// Through a mapping where the system can (a failing disk is then SIGBUS), else by `pread`.
    Mapped,
    /// By `pread` only.
    Positioned,
}

/// How a log file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogFileOptions {
    /// Append through a mapping of preallocated space where the file system is known to be safe for it.
    pub mapped: bool,
    /// How long the log is expected to become, in bytes; a hint for preallocation.
    pub expected_size: u64,
}

/// The system, as the engine sees it.
pub trait Env: Send + Sync + 'static {
    /// This environment with the directory `dir` held: paths that begin with `dir` lead into the very directory that has this
    /// name now, whatever is renamed, takes its place, or becomes the current directory later. `None` where the environment
    /// knows directories by their names only.
    fn hold_dir(&self, dir: &Path) -> Result<Option<Arc<dyn Env>>> {
        let _ = dir;
        Ok(None)
    }
    /// Opens a file that is read from its beginning to its end.
    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>>;
    /// Opens a file that is read anywhere, from many threads.
    fn open_random_access(&self, path: &Path, mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>>;
    /// Opens a file for appending, buffered: bytes reach the system at `flush`, `sync`, `close`, or when the buffer is full.
    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>>;
    /// Creates a log file (which must not exist) whose `append_record` reaches the system (survives `kill -9`) by itself.
    fn create_log(&self, path: &Path, options: LogFileOptions) -> Result<Box<dyn WritableFile>>;
    /// Is there a file or directory of that name?
    fn exists(&self, path: &Path) -> bool;
    /// The names (not paths) in a directory, `.` and `..` left out.
    fn children(&self, dir: &Path) -> Result<Vec<OsString>>;
    /// Unlinks a file.
    fn remove_file(&self, path: &Path) -> Result<()>;
    /// Creates one directory; its parent must exist. It is fine if it exists as a directory already.
    fn create_dir(&self, path: &Path) -> Result<()>;
    /// Would `create_dir` create this one, and if not, why?
    fn may_create_dir(&self, path: &Path) -> Result<()> {
        let parent = parent_of(path);
        if self.exists(parent) { Ok(()) } else { Err(Error::from_errno(path, libc::ENOENT)) }
    }
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> Result<()>;
    /// How long a file may become. Beyond it appends fail with EFBIG, and perhaps a signal.
    fn file_size_limit(&self) -> u64 {
        u64::MAX
    }
    /// The length of a file in bytes.
    fn file_size(&self, path: &Path) -> Result<u64>;
    /// Renames, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Makes the names in a directory durable (fsync of the directory).
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// Takes the lock file, without waiting; it is released when the returned object is dropped. Refused with
    /// `IO error: lock <path>: already held by process` while this process holds it (by device and inode, checked
    /// before the file is opened), and with the system's error while another does.
    fn lock_file(&self, path: &Path) -> Result<Box<dyn FileLock>>;
    /// Microseconds since some fixed point in time (the Unix epoch, for the real one).
    fn now_micros(&self) -> u64;
    /// Sleeps.
    fn sleep_micros(&self, micros: u64);
    /// Starts a thread. Fails, rather than panics, where the system refuses.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<std::thread::JoinHandle<()>>;
}

/// A file read from beginning to end, by one thread.
pub trait SequentialFile: Send {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file; 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
    /// Skips bytes; past the end is fine.
    fn skip(&mut self, bytes: u64) -> Result<()>;
}

/// Which file it is: two that are open at the same time and of which this is equal are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileIdentity {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// A file read anywhere, from many threads at once.
pub trait RandomAccessFile: Send + Sync {
    /// Fills `buffer` from `offset`; returns how many bytes there were (fewer only at the end of the file).
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;
    /// The whole file, where it is mapped. The slice lives as long as the file object.
    fn mapping(&self) -> Option<&[u8]> {
        None
    }
    /// A hint that `[offset, offset + length)` will be read soon.
    fn will_need(&self, offset: u64, length: u64) {
        let _ = (offset, length);
    }
    /// Which file it is, where the system can tell.
    fn identity(&self) -> Option<FileIdentity> {
        None
    }
}

/// A file appended to by one thread at a time. After a failed operation the file is poisoned: every later operation fails
/// with the first error, until `take_back`.
pub trait WritableFile: Send {
    /// Appends to the buffer, and to the file when the buffer is full.
    fn append(&mut self, data: &[u8]) -> Result<()>;
    /// Appends one framed record of a log and hands it to the system before returning. Whoever sees the header sees the
    /// payload too.
    fn append_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        self.append(header)?;
        self.append(payload)?;
        self.flush()
    }
    /// The same of a record that comes in pieces: a payload longer than a block, with further headers in it. Whoever sees the
    /// first header sees all the pieces too. The slices are used up.
    fn append_record_in_pieces(&mut self, header: &[u8; 7], pieces: &mut [IoSlice<'_>]) -> Result<()> {
        self.append(header)?;
        pieces.iter().try_for_each(|piece| self.append(piece))?;
        self.flush()
    }
    /// Hands buffered bytes to the system.
    fn flush(&mut self) -> Result<()>;
    /// After a failed append: cuts the file to its first `length` bytes, so that it is as it was when it was so long, and may be
    /// appended to again. An error, and nothing changes, where that can't be done, or where a sync has failed.
    fn take_back(&mut self, length: u64) -> Result<()> {
        Err(Error::not_supported(format!("files of this kind can't be cut to {length} bytes")))
    }
    /// `flush`, then makes content and size durable (fdatasync). The file's name is made durable by `Env::sync_dir`.
    fn sync(&mut self) -> Result<()>;
    /// `flush`, cuts preallocated space off, closes. Dropping without closing does the same and ignores errors.
    fn close(&mut self) -> Result<()>;
    /// `close` of a file that nobody reads any more: preallocated space may stay, until the file is removed.
    fn close_unneeded(&mut self) -> Result<()> {
        self.close()
    }
}

/// A held lock file; dropping it releases the lock.
pub trait FileLock: Send + Sync {}

/// Reads a whole file, refusing (Corruption) one longer than `limit` bytes.
pub fn read_file(env: &dyn Env, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut file = env.open_sequential(path)?;
    let mut contents = Vec::new();
    let mut chunk = vec![0u8; 8192]; // not on a stack that may be small
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

/// `env` with `dir` held, where it can do that.
pub fn holding(env: &Arc<dyn Env>, dir: &Path) -> Result<Arc<dyn Env>> {
    Ok(env.hold_dir(dir)?.unwrap_or_else(|| env.clone()))
}

/// The directory whose entry `path` is.
pub fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}
