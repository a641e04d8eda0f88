//! An environment around another one that fails, delays, holds and counts operations on request.
//!
//! Rules say what it does; they are added and removed at run time. A rule matches operations by kind and
//! path, lets some pass, and then acts: it fails them, delays them, holds them until they are released, or
//! only counts them.
//!
//! ```
//! use std::path::Path;
//! use terrace::env::fault::{FaultEnv, FaultKind, FaultRule};
//! use terrace::env::mem::MemEnv;
//! use terrace::env::{CreateMode, Env};
//!
//! let faults = FaultEnv::new(MemEnv::new().shared());
//! let env = faults.shared(); // Given to the database as `Options::env`.
//!
//! // Run the workload once to count its operations, then once per operation with that one failing.
//! let workload = || -> terrace::Result<()> {
//!     let mut file = env.create_writable(Path::new("/file"), CreateMode::Truncate)?;
//!     file.append(b"data")?;
//!     file.sync()?;
//!     file.close()
//! };
//! workload()?;
//! for nth in 1..=faults.operations() {
//!     let rule = faults.add(FaultRule::any().nth(nth).once().errno(libc::ENOSPC));
//!     assert!(workload().is_err_and(|error| error.is_no_space()), "{:?}", rule.last_hit());
//! } // Dropping the handle removes the rule.
//!
//! // A disk that is full for a time; a flush that is held while the test examines the database.
//! let full = faults.add(FaultRule::no_space());
//! full.set_enabled(false);
//! let held = faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").hold());
//! // ... held.wait_for_hits(1) ... held.release() ...
//! # Ok::<(), terrace::Error>(())
//! ```
//!
//! As with real files, a writable file that has failed returns that failure until `take_back` succeeds; the
//! bytes of a failed sync are written but not durable; a failed close has closed the file. Mappings are not
//! passed on, so that the rules see every read.
//!
//! Thread rule: any thread. Rules are tried in the order in which they were added. No lock is held while a
//! rule waits.

mod file;
mod rule;
#[cfg(test)]
mod tests;

pub use rule::{FaultHandle, FaultKind, FaultRule};

use super::{
    CreateMode, Env, FileLock, LogFileOptions, RandomAccessFile, ReadMode, SequentialFile, WritableFile,
};
use crate::error::Result;
use crate::util::lock::Mutex;
use file::{FaultRandomAccessFile, FaultSequentialFile, FaultWritableFile};
use rule::{Failure, RuleState};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// An environment around another one. A handle: clones are the same environment.
#[derive(Clone)]
pub struct FaultEnv {
    inner: Arc<dyn Env>,
    shared: Arc<Shared>,
}

/// Shared with the environments that hold a directory of this one.
struct Shared {
    rules: Mutex<Vec<Arc<RuleState>>>,
    counts: [AtomicU64; FaultKind::ALL.len()],
    file_size_limit: AtomicU64,
    advanced_micros: AtomicU64,
    written: Mutex<Written>,
}

/// The files that are open for writing.
#[derive(Default)]
struct Written {
    open: BTreeMap<PathBuf, usize>,
    removed: Vec<PathBuf>,
}

impl FaultEnv {
    /// Passes every operation to `inner` until there are rules.
    pub fn new(inner: Arc<dyn Env>) -> Self {
        FaultEnv {
            inner,
            shared: Arc::new(Shared {
                rules: Mutex::default(),
                counts: [const { AtomicU64::new(0) }; FaultKind::ALL.len()],
                file_size_limit: AtomicU64::new(u64::MAX),
                advanced_micros: AtomicU64::new(0),
                written: Mutex::default(),
            }),
        }
    }

    /// This environment as an `Env`.
    pub fn shared(&self) -> Arc<dyn Env> {
        Arc::new(self.clone())
    }

    /// Adds a rule, which is in effect until the handle is dropped.
    pub fn add(&self, rule: FaultRule) -> FaultHandle {
        let state = Arc::new(RuleState::new(rule));
        let mut rules = self.shared.rules.lock();
        rules.retain(|rule| !rule.is_removed());
        rules.push(state.clone());
        FaultHandle::new(state)
    }

    /// Limits the size of files, in bytes, as RLIMIT_FSIZE does: an append beyond the limit writes what fits,
    /// and fails with EFBIG. `u64::MAX`: no limit.
    pub fn limit_file_size(&self, bytes: u64) {
        self.shared.file_size_limit.store(bytes, Ordering::SeqCst);
    }

    /// Advances the monotonic clock, so that delays which end within `time` end without waiting.
    pub fn advance_clock(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.shared.advanced_micros.fetch_add(micros, Ordering::SeqCst);
    }

    /// The files that were removed or renamed while they were open for writing, which not every environment
    /// of a host program supports.
    pub fn removed_while_written(&self) -> Vec<PathBuf> {
        self.shared.written.lock().removed.clone()
    }

    fn note_opened(&self, path: &Path) {
        *self.shared.written.lock().open.entry(path.to_path_buf()).or_default() += 1;
    }

    fn note_closed(&self, path: &Path) {
        let mut written = self.shared.written.lock();
        if let Some(count) = written.open.get_mut(path) {
            *count -= 1;
            if *count == 0 {
                written.open.remove(path);
            }
        }
    }

    fn note_removal(&self, path: &Path) {
        let mut written = self.shared.written.lock();
        if written.open.contains_key(path) {
            written.removed.push(path.to_path_buf());
        }
    }

    /// Operations of one kind so far, failed ones included.
    pub fn count(&self, kind: FaultKind) -> u64 {
        self.shared.counts[kind as usize].load(Ordering::SeqCst)
    }

    /// Operations of all kinds so far.
    pub fn operations(&self) -> u64 {
        FaultKind::ALL.iter().map(|&kind| self.count(kind)).sum()
    }

    /// Counts an operation and applies the rules. Waits if a rule says so.
    fn meet(&self, kind: FaultKind, path: &Path) -> Option<Failure> {
        self.meet_either(kind, path, None)
    }

    fn meet_either(&self, kind: FaultKind, path: &Path, other: Option<&Path>) -> Option<Failure> {
        self.shared.counts[kind as usize].fetch_add(1, Ordering::SeqCst);
        let rules = self.shared.rules.lock().clone();
        rules.iter().find_map(|rule| rule.meet(&*self.inner, kind, path, other))
    }

    /// Runs an operation that happens completely or not at all.
    fn run<T>(&self, kind: FaultKind, path: &Path, call: impl FnOnce(&dyn Env) -> Result<T>) -> Result<T> {
        self.finish(self.meet(kind, path), path, call)
    }

    fn finish<T>(
        &self,
        failure: Option<Failure>,
        path: &Path,
        call: impl FnOnce(&dyn Env) -> Result<T>,
    ) -> Result<T> {
        match failure {
            None => call(&*self.inner),
            Some(failure) => {
                if failure.after {
                    drop(call(&*self.inner)?);
                }
                Err(failure.error(path))
            }
        }
    }
}

impl Env for FaultEnv {
    fn hold_dir(&self, dir: &Path) -> Result<Option<Arc<dyn Env>>> {
        let held = self.inner.hold_dir(dir)?;
        Ok(held.map(|inner| FaultEnv { inner, shared: self.shared.clone() }.shared()))
    }

    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>> {
        let file = self.run(FaultKind::Open, path, |env| env.open_sequential(path))?;
        Ok(Box::new(FaultSequentialFile::new(self.clone(), path, file)))
    }

    fn open_random_access(&self, path: &Path, mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
        let file = self.run(FaultKind::Open, path, |env| env.open_random_access(path, mode))?;
        Ok(Arc::new(FaultRandomAccessFile::new(self.clone(), path, file)))
    }

    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
        let file = self.run(FaultKind::Create, path, |env| env.create_writable(path, mode))?;
        let length = match mode {
            CreateMode::Append => self.inner.file_size(path)?,
            CreateMode::New | CreateMode::Truncate => 0,
        };
        Ok(Box::new(FaultWritableFile::new(self.clone(), path, file, length)))
    }

    fn create_log(&self, path: &Path, options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
        let file = self.run(FaultKind::Create, path, |env| env.create_log(path, options))?;
        Ok(Box::new(FaultWritableFile::new(self.clone(), path, file, 0)))
    }

    fn exists(&self, path: &Path) -> bool {
        self.inner.exists(path)
    }

    fn children(&self, dir: &Path) -> Result<Vec<OsString>> {
        self.run(FaultKind::Children, dir, |env| env.children(dir))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.note_removal(path);
        self.run(FaultKind::Remove, path, |env| env.remove_file(path))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.run(FaultKind::CreateDir, path, |env| env.create_dir(path))
    }

    fn may_create_dir(&self, path: &Path) -> Result<()> {
        self.inner.may_create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.run(FaultKind::RemoveDir, path, |env| env.remove_dir(path))
    }

    fn file_size_limit(&self) -> u64 {
        self.shared.file_size_limit.load(Ordering::SeqCst)
    }

    fn file_size(&self, path: &Path) -> Result<u64> {
        self.run(FaultKind::FileSize, path, |env| env.file_size(path))
    }

    /// A rule matches if the old or the new path does.
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.note_removal(from);
        let failure = self.meet_either(FaultKind::Rename, from, Some(to));
        self.finish(failure, from, |env| env.rename(from, to))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.run(FaultKind::SyncDir, dir, |env| env.sync_dir(dir))
    }

    fn lock_file(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.run(FaultKind::Lock, path, |env| env.lock_file(path))
    }

    fn now_micros(&self) -> u64 {
        self.inner.now_micros()
    }

    fn now(&self) -> Instant {
        self.inner.now() + Duration::from_micros(self.shared.advanced_micros.load(Ordering::SeqCst))
    }

    fn sleep_micros(&self, micros: u64) {
        self.inner.sleep_micros(micros);
    }

    /// The path of this operation is the name of the thread. A failure always comes before the thread starts.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<std::thread::JoinHandle<()>> {
        match self.meet(FaultKind::Spawn, Path::new(name)) {
            Some(failure) => Err(failure.error(Path::new(name))),
            None => self.inner.spawn(name, body),
        }
    }

    fn spawn_scoped<'scope>(
        &self,
        name: &str,
        scope: &'scope Scope<'scope, '_>,
        body: Box<dyn FnOnce() + Send + 'scope>,
    ) -> Result<()> {
        match self.meet(FaultKind::Spawn, Path::new(name)) {
            Some(failure) => Err(failure.error(Path::new(name))),
            None => self.inner.spawn_scoped(name, scope, body),
        }
    }
}
