//! For tests of flushes and compactions: a directory with everything that a job needs.

use crate::column_family::found_compression::FoundCompression;
use crate::env::info_log::Logger;
use crate::env::posix::PosixEnv;
use crate::env::{
    CreateMode, Env, FileLock, LogFileOptions, RandomAccessFile, ReadMode, SequentialFile, WritableFile,
};
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::file_name;
use crate::format::internal_key::{InternalKey, ParsedInternalKey, ValueType};
use crate::iterator::InternalIterator;
use crate::job::context::JobContext;
use crate::job::table_output::PendingTables;
use crate::language::Language;
use crate::options::{DEFAULT_TABLE_METADATA_BUDGET, Options};
use crate::table::cache::TableCache;
use crate::table::open_tables::OpenTables;
use crate::table::{TableOptions, TableReadOptions};
use crate::util::lock::Mutex;
use crate::version::file_metadata::FileMetaData;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// User key, sequence number, value (`None`: a tombstone).
pub(crate) type Entry = (&'static str, u64, Option<&'static str>);

/// An `Entry` that was read back.
pub(crate) type OwnedEntry = (String, u64, Option<String>);

/// Keeps the lines that are logged.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl Logger for Lines {
    fn log(&self, line: fmt::Arguments<'_>) {
        self.0.lock().push(line.to_string());
    }
}

/// The real system, but tests can make its disk full or its directory impossible to sync.
pub(crate) struct FailingEnv {
    inner: Arc<dyn Env>,
    /// The number of files that may still be created.
    pub creations_left: AtomicU64,
    pub fails_to_sync_directory: AtomicBool,
    pub directory_syncs: AtomicU64,
}

impl Env for FailingEnv {
    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
        const ENOSPC: i32 = 28;
        let left = self.creations_left.load(Ordering::Relaxed);
        self.creations_left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 0 { Err(Error::from_errno(path, ENOSPC)) } else { self.inner.create_writable(path, mode) }
    }
    fn sync_dir(&self, dir: &Path) -> Result<()> {
        const EIO: i32 = 5;
        self.directory_syncs.fetch_add(1, Ordering::Relaxed);
        if self.fails_to_sync_directory.load(Ordering::Relaxed) {
            return Err(Error::from_errno(dir, EIO));
        }
        self.inner.sync_dir(dir)
    }
    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>> {
        self.inner.open_sequential(path)
    }
    fn open_random_access(&self, path: &Path, mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
        self.inner.open_random_access(path, mode)
    }
    fn create_log(&self, path: &Path, options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
        self.inner.create_log(path, options)
    }
    fn exists(&self, path: &Path) -> bool {
        self.inner.exists(path)
    }
    fn children(&self, dir: &Path) -> Result<Vec<OsString>> {
        self.inner.children(dir)
    }
    fn remove_file(&self, path: &Path) -> Result<()> {
        self.inner.remove_file(path)
    }
    fn create_dir(&self, path: &Path) -> Result<()> {
        self.inner.create_dir(path)
    }
    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.inner.remove_dir(path)
    }
    fn file_size(&self, path: &Path) -> Result<u64> {
        self.inner.file_size(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.inner.rename(from, to)
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
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>> {
        self.inner.spawn(name, body)
    }
}

/// A directory of real files, and what a database lends to its jobs.
pub(crate) struct JobFixture {
    directory: tempfile::TempDir,
    pub failing_env: Arc<FailingEnv>,
    env: Arc<dyn Env>,
    pub table_cache: Arc<TableCache>,
    pub next_file_number: AtomicU64,
    pub shutting_down: AtomicBool,
    pub paranoid_checks: bool,
    pub found_compression: FoundCompression,
    lines: Arc<Lines>,
    info_log: Arc<dyn Logger>,
}

impl JobFixture {
    /// An empty directory; the next file number is 100.
    pub fn new() -> Self {
        Self::with_table_options(|_| ())
    }

    /// As `new`, with table options that `change` has modified.
    pub fn with_table_options(change: impl FnOnce(&mut TableOptions)) -> Self {
        let mut table_options = TableOptions::new(&Options::default());
        change(&mut table_options);
        let directory = tempfile::tempdir().unwrap();
        let failing_env = Arc::new(FailingEnv {
            inner: PosixEnv::shared(),
            creations_left: AtomicU64::new(u64::MAX),
            fails_to_sync_directory: AtomicBool::new(false),
            directory_syncs: AtomicU64::new(0),
        });
        let env: Arc<dyn Env> = failing_env.clone();
        let table_cache = TableCache::new(
            OpenTables::new(env.clone(), 100, DEFAULT_TABLE_METADATA_BUDGET),
            directory.path().to_path_buf(),
            Arc::new(table_options),
            ReadMode::Mapped,
        );
        let lines = Arc::new(Lines::default());
        JobFixture {
            directory,
            failing_env,
            env,
            table_cache,
            next_file_number: AtomicU64::new(100),
            shutting_down: AtomicBool::new(false),
            paranoid_checks: true,
            found_compression: FoundCompression::default(),
            info_log: lines.clone(),
            lines,
        }
    }

    /// What a job borrows that starts now.
    pub fn context(&self, snapshots: &[u64]) -> JobContext<'_> {
        JobContext {
            language: Language::LevelDb,
            family: ColumnFamilyId::DEFAULT,
            env: &self.env,
            db: self.directory.path(),
            table_cache: &self.table_cache,
            next_file_number: &self.next_file_number,
            snapshots: snapshots.to_vec(),
            shutting_down: &self.shutting_down,
            paranoid_checks: self.paranoid_checks,
            max_subcompactions: 1,
            found_compression: &self.found_compression,
            info_log: &self.info_log,
        }
    }

    /// Writes a table of these entries, which must be in order.
    pub fn table(&self, entries: &[Entry]) -> Arc<FileMetaData> {
        let entries: Vec<OwnedEntry> = entries.iter().map(own).collect();
        self.table_of(&entries)
    }

    /// As `table`, for owned entries.
    pub fn table_of(&self, entries: &[OwnedEntry]) -> Arc<FileMetaData> {
        let context = self.context(&[]);
        let mut pending = PendingTables::new(&context);
        let number = self.next_file_number.fetch_add(1, Ordering::Relaxed);
        let mut output = pending.create(number).unwrap();
        for (user_key, sequence, value) in entries {
            let value_type = if value.is_some() { ValueType::Value } else { ValueType::Deletion };
            let key = InternalKey::new(user_key.as_bytes(), *sequence, value_type);
            output.add(key.encoded(), value.as_deref().unwrap_or_default().as_bytes()).unwrap();
        }
        let file = output.finish(&context).unwrap();
        pending.keep();
        file
    }

    /// All entries of a table.
    pub fn entries(&self, file: &FileMetaData) -> Vec<OwnedEntry> {
        let read = TableReadOptions { verify_checksums: true, fill_cache: false };
        let mut iterator = file.table(&self.table_cache).unwrap().iter(read);
        let mut entries = Vec::new();
        iterator.seek_to_first();
        while iterator.valid() {
            let key = ParsedInternalKey::parse(iterator.key()).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let value = (key.value_type == ValueType::Value).then(|| text(iterator.value()));
            entries.push((text(key.user_key), key.sequence, value));
            iterator.next();
        }
        iterator.status().unwrap();
        entries
    }

    /// The numbers of the table files in the directory, ascending.
    pub fn tables_on_disk(&self) -> Vec<u64> {
        let names = self.env.children(self.directory.path()).unwrap();
        let mut numbers: Vec<u64> = names
            .iter()
            .filter_map(|name| match file_name::parse(OsStr::new(name)) {
                Some(file_name::FileType::Table(number)) => Some(number),
                _ => None,
            })
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// The path of a table file.
    pub fn table_path(&self, number: u64) -> PathBuf {
        file_name::table(self.directory.path(), number)
    }

    /// The lines that were logged.
    pub fn log_lines(&self) -> Vec<String> {
        self.lines.0.lock().clone()
    }
}

pub(crate) fn own(&(user_key, sequence, value): &Entry) -> OwnedEntry {
    (user_key.to_string(), sequence, value.map(str::to_string))
}

pub(crate) fn owned(entries: &[Entry]) -> Vec<OwnedEntry> {
    entries.iter().map(own).collect()
}
