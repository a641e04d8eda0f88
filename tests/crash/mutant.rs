//! Mutants of the engine: one step of its order of writes, syncs, renames and unlinks is left out, or out of
//! order.
//!
//! A disk sees of the engine only its calls of the environment, so a wrapping environment can leave out
//! steps. The purpose of a directory sync is recognised by the previous operation of the same thread.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::ThreadId;
use terrace::Result;
use terrace::env::{
    CreateMode, Env, FileLock, LogFileOptions, RandomAccessFile, ReadMode, SequentialFile, WritableFile,
};
use terrace::internals::format::file_name::{self, FileType};
use terrace::internals::language::Language;
use terrace::internals::record;
use terrace::internals::record::reader::{ReadOutcome, RecordReader};
use terrace::internals::version::version_edit::VersionEdit;

/// The changed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// No change.
    None,
    /// No change, but all calls go through the wrapping environment.
    Watched,
    /// A synced write does not make older WALs durable.
    NoSyncOfOlderLogs,
    /// A synced write does not make the name of a new WAL durable.
    NoSyncOfLogNames,
    /// A synced write does not make its WAL durable.
    NoSyncOfLogs,
    /// Tables are not made durable.
    NoSyncOfTables,
    /// Names of tables are not made durable.
    NoSyncOfTableNames,
    /// Edits of the MANIFEST are not made durable.
    NoSyncOfManifests,
    /// CURRENT names a MANIFEST whose own name is not durable.
    NoSyncOfManifestNames,
    /// The file that becomes CURRENT is not made durable.
    NoSyncOfTemporaryFiles,
    /// The rename to CURRENT is not made durable.
    NoSyncAfterRename,
    /// Files that an edit of the MANIFEST makes obsolete are removed before the edit is durable.
    UnlinkBeforeManifestSync,
    /// A WAL is appended to again after a failed append.
    AppendAfterFailedAppend,
    /// A WAL with a torn tail is treated as cleanly closed.
    ReuseOfTornLog,
    /// A synced write returns before its WAL is durable.
    AcknowledgedBeforeSync,
    /// The edits of several families count one by one.
    SplitGroup,
    /// The first record that only RocksDB's language has precedes the switch to that language.
    SwitchAfterRecord,
    /// A flush of one of several families does not make their WALs durable.
    NoSyncOfLogsBeforeFlush,
}

/// The last operation of a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Log,
    Table,
    Manifest,
    Rename,
    Other,
}

type SharedFile = Arc<Mutex<Box<dyn WritableFile>>>;

/// The wrapping environment.
#[derive(Clone)]
pub struct MutantEnv {
    mutant: Mutant,
    inner: Arc<dyn Env>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    last_steps: HashMap<ThreadId, Step>,
    /// The threads that have written a table since they wrote to a WAL.
    flushing: HashSet<ThreadId>,
    /// The rename to CURRENT that waits for a record of the WAL.
    deferred_rename: Option<(PathBuf, PathBuf)>,
    newest_log: u64,
    /// MANIFESTs whose sync is delayed until a file is removed.
    unsynced_manifests: Vec<SharedFile>,
    /// The WAL whose last append failed.
    failed_log: Option<PathBuf>,
}

fn file_type(path: &Path) -> Option<FileType> {
    file_name::parse(path.file_name()?)
}

fn step_of(path: &Path) -> Step {
    match file_type(path) {
        Some(FileType::Log(_)) => Step::Log,
        Some(FileType::Table(_)) => Step::Table,
        Some(FileType::Manifest(_)) => Step::Manifest,
        _ => Step::Other,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl MutantEnv {
    /// Wraps `inner`, and passes on the steps that the mutant does not leave out.
    pub fn new(mutant: Mutant, inner: Arc<dyn Env>) -> MutantEnv {
        MutantEnv { mutant, inner, shared: Arc::default() }
    }

    fn note(&self, step: Step) {
        let (thread, mut shared) = (std::thread::current().id(), lock(&self.shared));
        shared.last_steps.insert(thread, step);
        if step == Step::Table {
            shared.flushing.insert(thread);
        }
    }

    /// A record is in the WAL: what was put off until then is done.
    fn record_written(&self) -> Result<()> {
        let mut shared = lock(&self.shared);
        shared.flushing.remove(&std::thread::current().id());
        let Some((from, to)) = shared.deferred_rename.take() else { return Ok(()) };
        drop(shared);
        self.inner.rename(&from, &to)?;
        self.inner.sync_dir(to.parent().expect("the database's directory"))
    }

    fn file(&self, path: &Path, inner: Box<dyn WritableFile>) -> Box<dyn WritableFile> {
        self.note(step_of(path));
        let inner = Arc::new(Mutex::new(inner));
        let path = path.to_path_buf();
        Box::new(MutantFile { env: self.clone(), path, inner, owes_sync: false, was_synced: false })
    }
}

impl Env for MutantEnv {
    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>> {
        self.inner.open_sequential(path)
    }

    fn open_random_access(&self, path: &Path, mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
        self.inner.open_random_access(path, mode)
    }

    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
        Ok(self.file(path, self.inner.create_writable(path, mode)?))
    }

    fn create_log(&self, path: &Path, options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
        let failed = lock(&self.shared).failed_log.take();
        let file = match failed {
            Some(failed) => {
                self.inner.rename(&failed, path)?;
                self.inner.create_writable(path, CreateMode::Append)?
            }
            None => self.inner.create_log(path, options)?,
        };
        if let Some(FileType::Log(number)) = file_type(path) {
            lock(&self.shared).newest_log = number;
        }
        Ok(self.file(path, file))
    }

    fn exists(&self, path: &Path) -> bool {
        self.inner.exists(path)
    }

    fn children(&self, dir: &Path) -> Result<Vec<OsString>> {
        self.inner.children(dir)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        let result = self.inner.remove_file(path);
        let waiting = std::mem::take(&mut lock(&self.shared).unsynced_manifests);
        waiting.iter().try_for_each(|manifest| lock(manifest).sync())?;
        result
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.note(Step::Other);
        self.inner.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.inner.remove_dir(path)
    }

    fn file_size(&self, path: &Path) -> Result<u64> {
        if self.mutant == Mutant::ReuseOfTornLog && step_of(path) == Step::Log {
            return end_of_last_record(&*self.inner, path);
        }
        self.inner.file_size(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.note(Step::Rename);
        // The first MANIFEST that is not that of the creation is the one of the switch.
        let is_switch = file_type(to) == Some(FileType::Current) && self.inner.exists(to);
        if self.mutant == Mutant::SwitchAfterRecord && is_switch {
            lock(&self.shared).deferred_rename = Some((from.to_path_buf(), to.to_path_buf()));
            return Ok(());
        }
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let last = lock(&self.shared).last_steps.insert(std::thread::current().id(), Step::Other);
        let left_out = match self.mutant {
            Mutant::NoSyncOfLogNames => Some(Step::Log),
            Mutant::NoSyncOfTableNames => Some(Step::Table),
            Mutant::NoSyncOfManifestNames => Some(Step::Manifest),
            Mutant::NoSyncAfterRename => Some(Step::Rename),
            _ => None,
        };
        if last.is_some() && last == left_out { Ok(()) } else { self.inner.sync_dir(dir) }
    }

    fn lock_file(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.inner.lock_file(path)
    }

    fn now_micros(&self) -> u64 {
        self.inner.now_micros()
    }

    fn sleep_micros(&self, micros: u64) {
        self.inner.sleep_micros(micros);
    }

    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<std::thread::JoinHandle<()>> {
        self.inner.spawn(name, body)
    }
}

fn end_of_last_record(env: &dyn Env, path: &Path) -> Result<u64> {
    let mut reader = RecordReader::new(env.open_sequential(path)?, path.to_path_buf());
    let mut record = Vec::new();
    while !matches!(reader.read_record(&mut record)?, ReadOutcome::End) {}
    Ok(reader.end_of_last_record())
}

struct MutantFile {
    env: MutantEnv,
    path: PathBuf,
    inner: SharedFile,
    /// A sync was acknowledged but not executed.
    owes_sync: bool,
    /// The file was synced before.
    was_synced: bool,
}

impl MutantFile {
    /// Executes the steps that the mutant has deferred.
    fn catch_up(&mut self) -> Result<()> {
        self.env.note(step_of(&self.path));
        if std::mem::take(&mut self.owes_sync) { lock(&self.inner).sync() } else { Ok(()) }
    }

    fn append_with(&mut self, append: impl FnOnce(&mut dyn WritableFile) -> Result<()>) -> Result<()> {
        self.catch_up()?;
        let result = append(&mut **lock(&self.inner));
        if result.is_ok() && step_of(&self.path) == Step::Log {
            self.env.record_written()?;
        }
        if result.is_err()
            && self.env.mutant == Mutant::AppendAfterFailedAppend
            && step_of(&self.path) == Step::Log
        {
            lock(&self.env.shared).failed_log = Some(self.path.clone());
        }
        result
    }
}

impl WritableFile for MutantFile {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        self.append_with(|file| file.append(data))
    }

    fn append_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        if self.env.mutant == Mutant::SplitGroup
            && step_of(&self.path) == Step::Manifest
            && let Some((header, payload)) = alone(header, payload)
        {
            return self.append_with(|file| file.append_record(&header, &payload));
        }
        self.append_with(|file| file.append_record(header, payload))
    }

    fn append_record_in_pieces(&mut self, header: &[u8; 7], pieces: &mut [IoSlice<'_>]) -> Result<()> {
        self.append_with(|file| file.append_record_in_pieces(header, pieces))
    }

    fn flush(&mut self) -> Result<()> {
        self.catch_up()?;
        lock(&self.inner).flush()
    }

    fn sync(&mut self) -> Result<()> {
        self.catch_up()?;
        let shared = &self.env.shared;
        let was_synced = std::mem::replace(&mut self.was_synced, true);
        let left_out = match (self.env.mutant, file_type(&self.path)) {
            (Mutant::NoSyncOfOlderLogs, Some(FileType::Log(number))) => number < lock(shared).newest_log,
            (Mutant::NoSyncOfLogs, Some(FileType::Log(_))) => true,
            (Mutant::NoSyncOfLogsBeforeFlush, Some(FileType::Log(number))) => {
                let shared = lock(shared);
                number < shared.newest_log && shared.flushing.contains(&std::thread::current().id())
            }
            (Mutant::NoSyncOfTables, Some(FileType::Table(_))) => true,
            (Mutant::NoSyncOfManifests, Some(FileType::Manifest(_))) => true,
            (Mutant::NoSyncOfTemporaryFiles, Some(FileType::Temp(_))) => true,
            (Mutant::UnlinkBeforeManifestSync, Some(FileType::Manifest(_))) if was_synced => {
                lock(shared).unsynced_manifests.push(self.inner.clone());
                true
            }
            (Mutant::AcknowledgedBeforeSync, Some(FileType::Log(_))) => {
                self.owes_sync = true;
                true
            }
            _ => false,
        };
        let mut file = lock(&self.inner);
        if left_out { file.flush() } else { file.sync() }
    }

    fn close(&mut self) -> Result<()> {
        self.catch_up()?;
        lock(&self.inner).close()
    }
}

/// The record of an edit that is one of a group, changed so that it counts by itself. `None` for other
/// records.
fn alone(header: &[u8; 7], payload: &[u8]) -> Option<([u8; 7], Vec<u8>)> {
    let mut edit = VersionEdit::decode(payload).ok()?;
    edit.beyond.group_remaining.replace(0)?;
    let mut changed = Vec::new();
    edit.encode(Language::RocksDb, &mut changed);
    let framed = record::writer::fragment(header[6], &changed);
    let header = *framed.first_chunk()?;
    (changed.len() == payload.len()).then_some((header, changed))
}
