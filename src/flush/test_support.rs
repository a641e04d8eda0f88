//! A directory with everything a job needs, for tests of flushes and compactions.

use super::job::JobContext;
use super::output::PendingTables;
use crate::env::info_log::Logger;
use crate::env::posix::PosixEnv;
use crate::env::{Env, ReadMode};
use crate::format::file_name;
use crate::format::internal_key::{InternalKey, ParsedInternalKey, ValueType};
use crate::iterator::InternalIterator;
use crate::options::Options;
use crate::table::cache::TableCache;
use crate::table::{TableOptions, TableReadOptions};
use crate::version::file_metadata::FileMetaData;
use parking_lot::Mutex;
use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// User key, sequence, value (`None`: a deletion).
pub(crate) type Entry = (&'static str, u64, Option<&'static str>);

/// As `Entry`, read back.
pub(crate) type OwnedEntry = (String, u64, Option<String>);

/// Keeps what is logged.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl Logger for Lines {
    fn log(&self, line: fmt::Arguments<'_>) {
        self.0.lock().push(line.to_string());
    }
}

/// A directory of real files, and what a database lends to its jobs.
pub(crate) struct JobFixture {
    directory: tempfile::TempDir,
    env: Arc<dyn Env>,
    pub table_cache: Arc<TableCache>,
    pub next_file_number: AtomicU64,
    pub shutting_down: AtomicBool,
    pub paranoid_checks: bool,
    lines: Arc<Lines>,
    info_log: Arc<dyn Logger>,
}

impl JobFixture {
    /// An empty directory; the next file number is 100.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let env = PosixEnv::shared();
        let table_cache = TableCache::new(
            env.clone(),
            directory.path().to_path_buf(),
            Arc::new(TableOptions::new(&Options::default())),
            ReadMode::Positioned,
            100,
        );
        let lines = Arc::new(Lines::default());
        JobFixture {
            directory,
            env,
            table_cache,
            next_file_number: AtomicU64::new(100),
            shutting_down: AtomicBool::new(false),
            paranoid_checks: true,
            info_log: lines.clone(),
            lines,
        }
    }

    /// What a job of now borrows.
    pub fn context(&self, snapshots: &[u64]) -> JobContext<'_> {
        JobContext {
            env: &self.env,
            db: self.directory.path(),
            table_cache: &self.table_cache,
            next_file_number: &self.next_file_number,
            snapshots: snapshots.to_vec(),
            shutting_down: &self.shutting_down,
            paranoid_checks: self.paranoid_checks,
            info_log: &self.info_log,
        }
    }

    /// A table of these entries, which are in order.
    pub fn table(&self, entries: &[Entry]) -> Arc<FileMetaData> {
        let entries: Vec<OwnedEntry> = entries.iter().map(own).collect();
        self.table_of(&entries)
    }

    /// As `table`.
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

    /// What was logged.
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
