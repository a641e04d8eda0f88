//! The real system: files, the clock and threads of a Linux machine.
//!
//! Every descriptor is close-on-exec, every call but close is repeated when a signal interrupts it, short reads and
//! writes are gone on with, a write of nothing is an error, and every error names its path. `sys`, `mapping` and `fork` are
//! all the unsafe code there is.
//!
//! Thread rule: `PosixEnv` has no state; the registry of held locks is behind its own mutex.

pub mod descriptors;
pub mod fork;
mod lock;
mod log;
mod mapping;
mod mapping_limits;
mod read;
mod sys;
#[cfg(test)]
mod tests;
mod write;

use super::{
    CreateMode, Env, FileLock, LogFileOptions, RandomAccessFile, ReadMode, SequentialFile, WritableFile,
};
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use sys::{LocalTime, local_time};

/// The real system.
pub struct PosixEnv;

impl PosixEnv {
    /// The one instance.
    pub fn shared() -> Arc<dyn Env> {
        static SHARED: OnceLock<Arc<dyn Env>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(PosixEnv)).clone()
    }
}

/// How files are created: readable by all, writable by their owner, as LevelDB's (std adds O_CLOEXEC).
fn create_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o644);
    options
}

/// Runs `call` again while signals interrupt it, and names `path` in its error.
fn on_path<T>(path: &Path, call: impl FnMut() -> io::Result<T>) -> Result<T> {
    sys::retry(call).map_err(|error| Error::from_os(path, &error))
}

impl Env for PosixEnv {
    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>> {
        read::open_sequential(path)
    }

    fn open_random_access(&self, path: &Path, mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
        read::open_random_access(path, mode)
    }

    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
        write::create(path, mode)
    }

    fn create_log(&self, path: &Path, options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
        log::create(path, options)
    }

    fn exists(&self, path: &Path) -> bool {
        on_path(path, || fs::metadata(path)).is_ok()
    }

    fn children(&self, dir: &Path) -> Result<Vec<OsString>> {
        let list =
            || descriptors::with_room(|| fs::read_dir(dir))?.map(|entry| Ok(entry?.file_name())).collect();
        on_path(dir, list)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        on_path(path, || fs::remove_file(path))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let created = on_path(path, || fs::DirBuilder::new().mode(0o755).create(path));
        match created {
            Err(error) if error.errno() == Some(libc::EEXIST) && path.is_dir() => Ok(()),
            outcome => outcome,
        }
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        on_path(path, || fs::remove_dir(path))
    }

    fn file_size(&self, path: &Path) -> Result<u64> {
        Ok(on_path(path, || fs::metadata(path))?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        on_path(from, || fs::rename(from, to))
    }

    /// The parent of a relative name of one component is empty, and means the current directory.
    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let opened = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_DIRECTORY);
        let directory = on_path(dir, || descriptors::with_room(|| options.open(opened)))?;
        match on_path(dir, || directory.sync_all()) {
            // File systems that keep directories durable by themselves may say that there is nothing to sync.
            Err(error) if error.errno() == Some(libc::EINVAL) => Ok(()),
            outcome => outcome,
        }
    }

    fn lock_file(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        lock::lock(path)
    }

    fn now_micros(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as u64)
    }

    fn sleep_micros(&self, micros: u64) {
        std::thread::sleep(Duration::from_micros(micros));
    }

    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<std::thread::JoinHandle<()>> {
        if name.contains('\0') {
            return Err(Error::invalid_argument("a thread's name holds a zero byte"));
        }
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(|error| Error::from_os(Path::new(name), &error).context("cannot start a thread"))
    }
}
