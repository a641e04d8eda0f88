//! Tests of behaviours that only a whole database can show.
//!
//! One module per theme. `behaviours` lists which test shows each of the behaviours that LevelDB's own tests
//! require, here or in the modules below. No test sleeps: tests wait for conditions, with a time limit that
//! only a defect reaches.

mod background_errors;
mod basics;
mod behaviours;
mod compactions;
mod corruption;
mod damaged_files;
mod error_recovery;
mod families;
mod faults;
mod foreign_logs;
mod foreign_tables;
mod idle;
mod leveldb_defects;
mod log_failures;
mod long_entries;
mod model;
mod numbers;
mod obsolete_files;
mod opening;
mod queues;
mod reads;
mod recovery;
mod recovery_debt;
mod repair_order;
mod snapshots;
mod stalls;
mod tables;
mod transfer;
mod upgrades;

use super::state::DbState;
use crate::compaction::picker;
use crate::compression::Compression;
use crate::db::ReadOptions;
use crate::db::destroy;
use crate::db::{Db, DbIterator};
use crate::env::fault::FaultEnv;
use crate::env::mem::{CrashChoice, MemEnv};
use crate::env::{CreateMode, read_file};
use crate::error::Result;
use crate::filter_policy::BloomFilterPolicy;
use crate::format::NUM_LEVELS;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::file_name::{self, FileType};
use crate::format::internal_key::{LookupKey, MAX_SEQUENCE, ParsedInternalKey, ValueType};
use crate::iterator::InternalIterator;
use crate::options::{Options, ReadAt, WriteOptions};
use crate::table::TableReadOptions;
use crate::util::random::Random;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a test waits for a condition before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The four sets of options under which every behaviour must hold.
fn option_sets(base: &Options) -> [(&'static str, Options); 4] {
    let with = |change: fn(&mut Options)| {
        let mut options = base.clone();
        change(&mut options);
        options
    };
    [
        ("default", base.clone()),
        ("reuse_logs", with(|options| options.reuse_logs = true)),
        ("bloom", with(|options| options.filter_policy = Some(Arc::new(BloomFilterPolicy::new(10))))),
        ("uncompressed", with(|options| options.compression = Compression::None)),
    ]
}

/// Prints the set of options under which a test has failed.
struct NameOnPanic(&'static str);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("under the options '{}'", self.0);
        }
    }
}

fn with_each(base: &Options, make: fn(Options) -> TestDb, test: impl Fn(TestDb)) {
    for (name, options) in option_sets(base) {
        let _name = NameOnPanic(name);
        test(make(options));
    }
}

/// Runs a test under each set of options, on real files.
pub(super) fn under_all_options(base: &Options, test: impl Fn(TestDb)) {
    with_each(base, TestDb::new, test);
}

/// Runs a test under each set of options, on files in memory whose operations can be made to fail.
pub(super) fn under_all_options_with_faults(base: &Options, test: impl Fn(TestDb)) {
    with_each(base, TestDb::in_memory, test);
}

/// Runs a test under each set of options, on files in memory with a journal, from which the states after a
/// crash can be made.
pub(super) fn under_all_options_with_crashes(base: &Options, test: impl Fn(TestDb)) {
    with_each(base, TestDb::crashable, test);
}

/// A database for one test. Dropping it removes the files.
pub(super) struct TestDb {
    directory: Option<tempfile::TempDir>,
    memory: Option<(MemEnv, FaultEnv)>,
    path: PathBuf,
    pub options: Options,
    db: Option<Db>,
}

impl TestDb {
    /// An open database on real files.
    pub fn new(options: Options) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("db");
        Self::opened(TestDb { directory: Some(directory), memory: None, path, options, db: None })
    }

    /// An open database on files in memory, through a `FaultEnv`.
    pub fn in_memory(options: Options) -> Self {
        Self::on(MemEnv::new(), options)
    }

    /// As `in_memory`, with a journal of all changes to files.
    pub fn crashable(options: Options) -> Self {
        Self::on(MemEnv::with_journal(), options)
    }

    fn on(disk: MemEnv, options: Options) -> Self {
        let mut test =
            TestDb { directory: None, memory: None, path: PathBuf::from("/db"), options, db: None };
        test.set_disk(disk);
        Self::opened(test)
    }

    fn opened(mut test: Self) -> Self {
        test.options.create_if_missing = true;
        test.options.idle_compaction = false; // it would change the files that tests look at
        test.reopen();
        test
    }

    fn set_disk(&mut self, disk: MemEnv) {
        let faults = FaultEnv::new(disk.shared());
        self.options.env = faults.shared();
        self.memory = Some((disk, faults));
    }

    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub fn db(&self) -> &Db {
        self.db.as_ref().expect("an open database")
    }

    pub fn faults(&self) -> &FaultEnv {
        &self.memory.as_ref().expect("files in memory").1
    }

    pub fn disk(&self) -> &MemEnv {
        &self.memory.as_ref().expect("files in memory").0
    }

    pub fn close(&mut self) {
        if let Some(db) = self.db.take() {
            db.close().expect("close");
        }
        self.check_removals();
    }

    /// Checks, in every test, that files were closed before they were removed.
    fn check_removals(&self) {
        if let Some((_, faults)) = &self.memory {
            let mut removed = faults.removed_while_written();
            // What outlives a database (a handle, an iterator) keeps its LOG open.
            removed.retain(|path| path.file_name().and_then(file_name::parse) != Some(FileType::InfoLog));
            assert_eq!(removed, Vec::<PathBuf>::new(), "open for writing when removed");
        }
    }

    /// Closes the database and ignores the result: for use after injected faults.
    pub fn abandon(&mut self) {
        drop(self.db.take());
        self.check_removals();
    }

    pub fn try_reopen(&mut self) -> Result<()> {
        self.close();
        self.db = Some(Db::open(&self.options, &self.path())?);
        Ok(())
    }

    pub fn reopen(&mut self) {
        self.try_reopen().expect("open");
    }

    /// Simulates a crash, opens what is left on the disk, and continues with that.
    pub fn crash(&mut self, choice: CrashChoice) {
        let disk = self.disk().crash_clone(choice);
        self.abandon();
        self.set_disk(disk);
        self.reopen();
    }

    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.try_put(key, value).expect("put");
    }

    pub fn try_put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.db().put(&WriteOptions::default(), key.as_ref(), value.as_ref())
    }

    pub fn put_synced(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.db().put(&WriteOptions { sync: true }, key.as_ref(), value.as_ref())
    }

    pub fn delete(&self, key: impl AsRef<[u8]>) {
        self.db().delete(&WriteOptions::default(), key.as_ref()).expect("delete");
    }

    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<String> {
        self.get_at(key, None)
    }

    pub fn get_at(&self, key: impl AsRef<[u8]>, snapshot: Option<u64>) -> Option<String> {
        self.try_get_at(key, snapshot).expect("get")
    }

    pub fn try_get(&self, key: impl AsRef<[u8]>) -> Result<Option<String>> {
        self.try_get_at(key, None)
    }

    fn try_get_at(&self, key: impl AsRef<[u8]>, snapshot: Option<u64>) -> Result<Option<String>> {
        let read = ReadAt { sequence: snapshot, ..ReadAt::default() };
        self.db().get_at(&read, key.as_ref(), |value| String::from_utf8_lossy(value).into_owned())
    }

    pub fn flush(&self) {
        self.db().flush().expect("flush");
    }

    /// Compacts a range of keys down to the deepest level that has any of them.
    pub fn compact(&self, begin: &str, end: &str) {
        self.db().compact_range(Some(begin.as_bytes()), Some(end.as_bytes())).expect("compact");
    }

    pub fn compact_all(&self) {
        self.db().compact_range(None, None).expect("compact");
    }

    /// Compacts one level into the next.
    pub fn compact_level(&self, level: usize, begin: Option<&str>, end: Option<&str>) {
        let (begin, end) = (begin.map(str::as_bytes), end.map(str::as_bytes));
        self.db().inner.compact_level(level, begin, end).expect("compact");
    }

    /// Rewrites all tables, those of the deepest level included.
    pub fn rewrite_all(&self) {
        self.flush();
        (0..NUM_LEVELS).for_each(|level| self.compact_level(level, None, None));
    }

    /// Compacts everything down to level `deepest`, so that the levels above it are empty.
    pub fn rewrite_levels_above(&self, deepest: usize) {
        self.flush();
        (0..deepest).for_each(|level| self.compact_level(level, None, None));
    }

    /// Makes `tables` tables of the same two keys. The first goes to level 2, the second to level 1, the
    /// others to level 0.
    pub fn make_tables(&self, tables: usize, smallest: &str, largest: &str) {
        for _ in 0..tables {
            self.put(smallest, "begin");
            self.put(largest, "end");
            self.flush();
        }
    }

    pub fn property(&self, name: &str) -> String {
        self.db().property(name.as_bytes()).expect("a property")
    }

    pub fn files_at(&self, level: usize) -> usize {
        self.property(&format!("leveldb.num-files-at-level{level}")).parse().unwrap()
    }

    pub fn files_per_level(&self) -> Vec<usize> {
        let mut files: Vec<usize> = (0..NUM_LEVELS).map(|level| self.files_at(level)).collect();
        while files.last() == Some(&0) {
            files.pop();
        }
        files
    }

    /// The approximate number of table bytes that hold the keys [start, limit).
    pub fn size(&self, start: impl AsRef<[u8]>, limit: impl AsRef<[u8]>) -> u64 {
        self.db().approximate_sizes(&[(start.as_ref(), limit.as_ref())]).expect("sizes")[0]
    }

    pub fn contents(&self) -> Vec<(String, String)> {
        let mut iterator = self.iter();
        let forward = collect_forward(&mut iterator);
        let mut backward = collect_backward(&mut iterator);
        backward.reverse();
        assert_eq!(forward, backward);
        forward
    }

    pub fn iter(&self) -> DbIterator {
        self.db().iter(&ReadOptions::default())
    }

    pub fn iter_at(&self, sequence: u64) -> DbIterator {
        self.db().iter_at(ReadAt { sequence: Some(sequence), ..ReadAt::default() })
    }

    /// Every entry of a key, newest first, hidden ones and tombstones included.
    pub fn all_entries_for(&self, user_key: &str) -> Vec<String> {
        let inner = &self.db().inner;
        let read = TableReadOptions { verify_checksums: true, fill_cache: false };
        let (mut entries, _) =
            inner.default_family.super_version.load().iter(&inner.default_family.comparator, read);
        entries.seek(LookupKey::new(user_key.as_bytes(), MAX_SEQUENCE).internal_key());
        let mut found = Vec::new();
        while entries.valid() {
            let entry = ParsedInternalKey::parse(entries.key()).expect("an internal key");
            if entry.user_key != user_key.as_bytes() {
                break;
            }
            found.push(match entry.value_type {
                ValueType::Value => String::from_utf8_lossy(entries.value()).into_owned(),
                ValueType::Deletion => "DEL".to_owned(),
            });
            entries.next();
        }
        entries.status().expect("entries");
        found
    }

    /// Checks reads from memory, from a new table, from a compacted table, and after the database was
    /// reopened.
    pub fn at_every_stage(&mut self, check: impl Fn(&TestDb)) {
        check(self);
        self.flush();
        check(self);
        self.reopen();
        check(self);
        self.compact_all();
        check(self);
        self.reopen();
        check(self);
    }

    /// Waits until `condition` holds. It is checked whenever the state of the database changes, and every few
    /// milliseconds.
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut(&DbState) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let inner = &self.db().inner;
        let mut state = inner.state.lock();
        while !condition(&state) {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            inner.state_changed.wait_for(&mut state, Duration::from_millis(5));
        }
    }

    /// Makes background workers retry what failed at once, and waits until no error is left.
    pub fn recover(&self) {
        let inner = &self.db().inner;
        inner.state.lock().errors.retry_now(inner.env.now());
        inner.flush_waker.wake();
        inner.compaction_waker.wake();
        self.wait_until("the errors to be cured", |state| state.errors.worst().is_none());
    }

    /// Waits until the background workers have nothing to do.
    pub fn wait_until_idle(&self) {
        let inner = &self.db().inner;
        self.wait_until("background work to end", |state| {
            !state.has_immutables()
                && !state.is_compacting()
                && !state.families.default_family().seeks.has_candidate()
                && !picker::needs_compaction(
                    state.versions.current(ColumnFamilyId::DEFAULT),
                    &inner.picker_options(ColumnFamilyId::DEFAULT, state),
                )
        });
    }

    /// Waits until the workers have done what the open left to them: recovered WALs are in tables, and
    /// obsolete files are removed.
    pub fn settle(&self) {
        self.wait_until("the flush of what was in logs", |state| {
            !state.has_immutables() && !state.has_leftovers_in_debt()
        });
        self.db().inner.remove_obsolete_files();
    }

    /// The database's files of a kind, sorted by name.
    pub fn files(&self, is_wanted: impl Fn(FileType) -> bool) -> Vec<PathBuf> {
        let children = self.options.env.children(&self.path).expect("the directory");
        let mut files: Vec<PathBuf> = children
            .iter()
            .filter(|name| file_name::parse(name).is_some_and(&is_wanted))
            .map(|name| self.path.join(name))
            .collect();
        files.sort();
        files
    }

    /// All files except `LOG` and `LOG.old`.
    pub fn files_but_info_log(&self) -> Vec<PathBuf> {
        self.files(|kind| kind != FileType::InfoLog)
    }

    pub fn logs(&self) -> Vec<PathBuf> {
        self.files(|kind| matches!(kind, FileType::Log(_)))
    }

    pub fn tables(&self) -> Vec<PathBuf> {
        self.files(|kind| matches!(kind, FileType::Table(_)))
    }

    pub fn manifests(&self) -> Vec<PathBuf> {
        self.files(|kind| matches!(kind, FileType::Manifest(_)))
    }

    pub fn file_size(&self, path: &Path) -> u64 {
        self.options.env.file_size(path).expect("a file")
    }

    pub fn read_file(&self, path: &Path) -> Vec<u8> {
        read_file(&*self.options.env, path, 1 << 30).expect("a file")
    }

    /// Replaces the contents of a file. The open database must not have mapped it.
    pub fn write_file(&self, path: &Path, contents: &[u8]) {
        let mut file = self.options.env.create_writable(path, CreateMode::Truncate).expect("a file");
        file.append(contents).and_then(|()| file.close()).expect("a written file");
    }

    /// Flips a bit in each of `count` bytes of a file of the closed database. A negative offset counts from
    /// the end.
    pub fn corrupt(&self, path: &Path, offset: i64, count: usize) {
        assert!(self.db.is_none(), "tables may be mapped");
        let mut contents = self.read_file(path);
        let length = contents.len();
        let begin = if offset < 0 {
            length.saturating_sub(offset.unsigned_abs() as usize)
        } else {
            length.min(offset as usize)
        };
        for byte in contents.iter_mut().skip(begin).take(count) {
            *byte ^= 0x80;
        }
        self.write_file(path, &contents);
    }
}

/// The database is closed before its directory is removed.
impl Drop for TestDb {
    fn drop(&mut self) {
        self.abandon();
        drop(self.directory.take());
    }
}

/// Formats the current entry as `key->value`, or `(invalid)`.
pub(super) fn position(iterator: &DbIterator) -> String {
    match iterator.valid() {
        true => {
            let (key, value) = entry(iterator);
            format!("{key}->{value}")
        }
        false => "(invalid)".to_owned(),
    }
}

/// Bytes that no codec compresses.
pub(super) fn random_bytes(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| b' ' + random.uniform(95) as u8).collect()
}

fn entry(iterator: &DbIterator) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(iterator.key()), text(iterator.value()))
}

pub(super) fn collect_forward(iterator: &mut DbIterator) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    iterator.seek_to_first();
    while iterator.valid() {
        entries.push(entry(iterator));
        iterator.next();
    }
    iterator.status().expect("iterator");
    entries
}

pub(super) fn collect_backward(iterator: &mut DbIterator) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    iterator.seek_to_last();
    while iterator.valid() {
        entries.push(entry(iterator));
        iterator.prev();
    }
    iterator.status().expect("iterator");
    entries
}

pub(super) fn remove(path: &Path) {
    destroy(&Options::default(), path).expect("destroy");
}
