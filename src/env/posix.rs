//! The real system: files, the clock and threads of Linux.
//!
//! `place` opens every file. Every call except close is repeated when a signal interrupts it; short reads and
//! writes are continued; a write of 0 bytes is an error; every error names its path. All unsafe code of this
//! folder is in `sys`, `place`, `record_lock`, `mapping` and `fork`.
//!
//! Thread rule: a `PosixEnv` never changes. The registry of held locks has its own mutex.

pub(crate) mod descriptors;
pub(crate) mod fork;
mod lock;
mod log;
mod mapping;
mod mapping_limits;
mod place;
mod read;
mod record_lock;
mod sys;
#[cfg(test)]
mod tests;
mod write;

use super::{
    CreateMode, Env, FileLock, LogFileOptions, RandomAccessFile, ReadMode, SequentialFile, WritableFile,
    parent_of,
};
use crate::error::{Error, Result};
use place::{HeldDirectory, Place};
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use sys::local_time;

/// The real system, with or without a held directory.
#[derive(Default)]
pub struct PosixEnv {
    held: Option<HeldDirectory>,
}

impl PosixEnv {
    /// The shared instance without a held directory.
    pub fn shared() -> Arc<dyn Env> {
        static SHARED: OnceLock<Arc<dyn Env>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(PosixEnv::default())).clone()
    }

    fn place<'a>(&'a self, path: &'a Path) -> Place<'a> {
        self.held.as_ref().map_or_else(|| Place::of(path), |held| held.place(path))
    }
}

impl Env for PosixEnv {
    fn hold_dir(&self, dir: &Path) -> Result<Option<Arc<dyn Env>>> {
        Ok(Some(Arc::new(PosixEnv { held: Some(HeldDirectory::open(dir)?) })))
    }

    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>> {
        read::open_sequential(self.place(path))
    }

    fn open_random_access(&self, path: &Path, mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
        read::open_random_access(self.place(path), mode)
    }

    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
        write::create(self.place(path), mode)
    }

    fn create_log(&self, path: &Path, options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
        log::create(self.place(path), options)
    }

    fn exists(&self, path: &Path) -> bool {
        self.place(path).status().is_ok()
    }

    fn children(&self, dir: &Path) -> Result<Vec<OsString>> {
        let place = self.place(dir);
        place.named(place.children())
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        let place = self.place(path);
        place.named(place.remove_file())
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let place = self.place(path);
        match place.named(place.create_directory()) {
            Err(error)
                if error.errno() == Some(libc::EEXIST)
                    && place.status().is_ok_and(|status| status.is_directory()) =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn may_create_dir(&self, path: &Path) -> Result<()> {
        let place = self.place(path);
        place.named(place.must_be_free())?;
        place.named(self.place(parent_of(path)).is_writable_directory())
    }

    /// A held directory is not removed through its descriptor but by its path, which must still lead to it.
    fn remove_dir(&self, path: &Path) -> Result<()> {
        let place = match &self.held {
            Some(held) if held.has_name(path) => Place::of(path),
            _ => self.place(path),
        };
        place.named(place.remove_directory())
    }

    fn file_size_limit(&self) -> u64 {
        sys::file_size_limit()
    }

    fn file_size(&self, path: &Path) -> Result<u64> {
        let place = self.place(path);
        Ok(place.named(place.status())?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let place = self.place(from);
        place.named(place.rename_to(&self.place(to)))
    }

    /// The parent of a relative path of one component is empty. It stands for the current directory.
    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let opened = self.place(if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
        let with_path = |error: std::io::Error| Error::from_os(dir, &error);
        let directory = opened.open_directory().map_err(with_path)?;
        match sys::retry(|| directory.sync_all()).map_err(with_path) {
            // File systems that keep directories durable by themselves may return EINVAL for a directory.
            Err(error) if error.errno() == Some(libc::EINVAL) => Ok(()),
            outcome => outcome,
        }
    }

    fn lock_file(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        lock::lock(self.place(path))
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
