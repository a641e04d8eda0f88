//! What failures at unfavourable moments must not cause: an error that nothing cures, a caller that waits
//! permanently, one job's failure taken for another's, files that are left over or removed too early.

use crate::db::Db;
use crate::db::ReadOptions;
use crate::env::fault::{FaultEnv, FaultKind, FaultRule};
use crate::env::mem::MemEnv;
use crate::error::Result;
use crate::format::column_family_id::ColumnFamilyId;
use crate::options::{Options, WriteOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A database in memory, in an environment that fails on request.
pub(super) struct Faulty {
    pub faults: FaultEnv,
    pub mem: MemEnv,
    pub options: Options,
    db: Option<Arc<Db>>,
}

impl Faulty {
    pub fn new(options: Options) -> Self {
        Self::on(MemEnv::new(), options)
    }

    pub fn on(mem: MemEnv, options: Options) -> Self {
        let faults = FaultEnv::new(mem.shared());
        let options = Options {
            idle_compaction: false,
            env: faults.shared(),
            create_if_missing: true,
            info_log: options.info_log.clone().or_else(|| Some(crate::env::info_log::null())),
            ..options
        };
        let mut faulty = Faulty { faults, mem, options, db: None };
        faulty.reopen();
        faulty
    }

    pub fn reopen(&mut self) {
        self.close();
        self.db = Some(Arc::new(Db::open(&self.options, Path::new("/db")).expect("open")));
    }

    pub fn close(&mut self) {
        if let Some(db) = self.db.take() {
            drop(Arc::into_inner(db).expect("nobody else uses the database").close());
        }
    }

    pub fn db(&self) -> &Arc<Db> {
        self.db.as_ref().expect("an open database")
    }

    pub fn put(&self, key: &str, value: &str) -> Result<()> {
        self.db().put(&WriteOptions::default(), key.as_bytes(), value.as_bytes())
    }

    pub fn get(&self, key: &str) -> Option<String> {
        let value = self.db().get(&ReadOptions::default(), key.as_bytes()).expect("get");
        value.map(|value| String::from_utf8(value).expect("text"))
    }

    /// Adds a table whose keys span the key space; its level is the database's choice.
    pub fn add_table(&self, value: &str) {
        self.put("a", value).expect("put");
        self.put("z", value).expect("put");
        self.db().flush().expect("flush");
    }

    pub fn tables_on_disk(&self) -> usize {
        self.mem.files().iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "ldb")).count()
    }

    pub fn live_tables(&self) -> usize {
        let state = self.db().inner.state.lock();
        state.versions.current(ColumnFamilyId::DEFAULT).levels.iter().map(|level| level.len()).sum()
    }

    pub fn level0_files(&self) -> usize {
        self.db().inner.state.lock().versions.current(ColumnFamilyId::DEFAULT).num_files(0)
    }
}

/// Returns what `call` returns, and panics if it takes too long.
pub(super) fn returns<R: Send + 'static>(what: &str, call: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} does not return"))
}

/// Waits for something that happens on another thread.
pub(super) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_manifest_that_a_manual_compaction_could_not_write_is_written_anew() {
    let test = Faulty::new(Options::default());
    (0..3).for_each(|i| test.add_table(&i.to_string()));
    let fault = test.faults.add(FaultRule::manifest_write_error());
    assert!(test.db().compact_range(None, None).is_err());
    assert!(test.put("b", "refused").is_err());
    drop(fault);
    let db = test.db().clone();
    returns("resume", move || db.resume()).unwrap();
    test.put("b", "taken").unwrap();
    assert!(test.db().background_error().is_none());
}

#[test]
fn a_failed_manifest_is_cured_without_being_asked() {
    let test = Faulty::new(Options::default());
    (0..3).for_each(|i| test.add_table(&i.to_string()));
    let fault = test.faults.add(FaultRule::manifest_sync_error());
    assert!(test.db().compact_range(None, None).is_err());
    drop(fault);
    until("writes are taken again", || test.put("b", "taken").is_ok());
}

#[test]
fn tables_of_edits_that_failed_are_removed_once_a_new_manifest_is_durable() {
    let mut test = Faulty::new(Options::default());
    (0..3).for_each(|i| test.add_table(&i.to_string()));
    let fault = test.faults.add(FaultRule::manifest_sync_error());
    assert!(test.db().compact_range(None, None).is_err());
    // It is unknown whether the MANIFEST on disk names the new table or the old ones.
    assert!(test.tables_on_disk() > test.live_tables());
    drop(fault);
    test.db().resume().unwrap();
    test.put("b", "flushed").unwrap();
    test.db().flush().unwrap();
    until("unreferenced outputs are gone", || test.tables_on_disk() == test.live_tables());
    test.db().compact_range(None, None).unwrap();
    until("inputs are gone", || test.tables_on_disk() == test.live_tables());
    test.reopen();
    assert_eq!(test.get("a").as_deref(), Some("2"));
    assert_eq!(test.get("b").as_deref(), Some("flushed"));
}

#[test]
fn a_compaction_that_waits_for_its_turn_is_told_when_the_database_fails() {
    let test = Faulty::new(Options::default());
    (0..3).for_each(|i| test.add_table(&i.to_string()));
    let held = test.faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").hold());
    let calls = [0, 1].map(|_| {
        let db = test.db().clone();
        std::thread::spawn(move || returns("compact_range", move || db.compact_range(None, None)))
    });
    until("both wait", || test.db().inner.state.lock().manual.len() == 2);
    assert!(held.wait_for_hits(1));
    let fault = test.faults.add(FaultRule::log_sync_error());
    assert!(test.db().put(&WriteOptions { sync: true }, b"k", b"v").is_err());
    held.release();
    let results = calls.map(|call| call.join().unwrap());
    assert!(results.iter().any(Result::is_err), "{results:?}");
    drop(fault);
}

#[test]
fn a_flush_that_was_under_way_does_not_hide_that_the_log_is_full() {
    let test = Faulty::new(Options::default());
    let held = test.faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").hold());
    test.put("a", "flushed").unwrap();
    test.db().rotate_memtable().unwrap();
    assert!(held.wait_for_hits(1));
    let full = test
        .faults
        .add(FaultRule::new([FaultKind::Append, FaultKind::Flush]).path_suffix(".log").errno(libc::ENOSPC));
    assert!(test.put("b", "no room").unwrap_err().is_no_space());
    drop(full);
    held.release();
    until("the flush is installed", || test.live_tables() == 1);
    // At whatever moment this comes, the WAL is replaced; its failure is not taken for one that only a reopen
    // cures.
    let db = test.db().clone();
    let _ = db.rotate_memtable();
    returns("resume", move || db.resume()).unwrap();
    test.put("c", "room again").unwrap();
    test.db().flush().unwrap();
    assert_eq!(test.get("a").as_deref(), Some("flushed"));
    assert_eq!(test.get("b"), None);
}

#[test]
fn a_panic_in_one_worker_does_not_open_the_manifest_to_a_second_writer() {
    let mut test = Faulty::new(Options { level0_file_num_compaction_trigger: 2, ..Options::default() });
    let (panic_now, wait) = mpsc::channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let hook = move |_: FaultKind, _: &Path| {
        if std::thread::current().name().is_some_and(|name| name.contains("compact")) {
            let _ = wait.lock().recv();
            panic!("on purpose");
        }
    };
    let running =
        test.faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").on_hit(hook).count_only());
    (0..4).for_each(|i| test.add_table(&i.to_string())); // levels 2, 1, 0, 0
    assert!(running.wait_for_hits(5), "four flushes and a compaction");
    let held = test.faults.add(FaultRule::new([FaultKind::Append]).path_contains("MANIFEST").hold());
    test.put("m", "value").unwrap();
    test.db().rotate_memtable().unwrap();
    assert!(held.wait_for_hits(1), "the flush writes its edit");
    panic_now.send(()).unwrap();
    until("the panic is noted", || test.db().background_error().is_some());
    assert!(test.db().inner.state.lock().manifest.is_busy());
    held.release();
    drop(held);
    until("the flush is installed", || test.live_tables() == 5);
    assert!(test.put("n", "refused").is_err());
    drop(running);
    test.reopen();
    assert_eq!(test.get("m").as_deref(), Some("value"));
    assert_eq!(test.get("a").as_deref(), Some("3"));
}

/// Makes `files` files at level 0, of which the due compaction cannot read the oldest.
fn with_failing_compaction(test: &Faulty, files: usize) -> crate::env::fault::FaultHandle {
    (0..3).for_each(|i| test.add_table(&i.to_string())); // levels 2, 1, 0
    let oldest = test.db().inner.state.lock().versions.current(ColumnFamilyId::DEFAULT).levels[0][0].number;
    let fault =
        test.faults.add(FaultRule::new([FaultKind::Read]).path_contains(&format!("/{oldest:06}.ldb")));
    (1..files).for_each(|i| test.add_table(&i.to_string()));
    assert_eq!(test.level0_files(), files);
    fault
}

#[test]
fn a_compaction_that_fails_does_not_fail_a_flush() {
    let test = Faulty::new(Options::default());
    let fault = with_failing_compaction(&test, 4);
    until("the compaction fails", || test.db().background_error().is_some());
    for i in 0..4 {
        test.put("k", &i.to_string()).unwrap();
        test.db().rotate_memtable().unwrap(); // waits for the previous flush
    }
    test.db().flush().unwrap();
    assert!(test.db().background_error().is_some(), "a flush does not cure a compaction");
    drop(fault);
    let db = test.db().clone();
    returns("resume", move || db.resume()).unwrap();
    assert_eq!(test.level0_files(), 0);
}

#[test]
fn a_compaction_that_fails_is_not_tried_at_every_write() {
    let test = Faulty::new(Options { level0_slowdown_writes_trigger: 4, ..Options::default() });
    let begun = Instant::now();
    let _fault = with_failing_compaction(&test, 4);
    until("the compaction fails", || test.db().background_error().is_some());
    for i in 0..100 {
        test.put("k", &i.to_string()).unwrap();
    }
    // The first retry comes 10 ms after the failure, and each delay is twice the one before. So this many
    // retries take this long, on any machine.
    let retries = test.db().background_error().expect("it still fails").retries;
    let least = Duration::from_millis((0..retries).map(|retry| (10 << retry.min(9)).min(5_000)).sum());
    assert!(begun.elapsed() >= least, "{retries} retries within {:?}", begun.elapsed());
}

#[test]
fn writes_that_wait_for_a_compaction_fail_with_its_error() {
    let test = Faulty::new(Options { level0_stop_writes_trigger: 5, ..Options::default() });
    let _fault = with_failing_compaction(&test, 5);
    until("the compaction fails", || test.db().background_error().is_some());
    test.put("k", "there is room in the memtable").unwrap();
    let error = test.db().rotate_memtable().unwrap_err();
    assert!(error.to_string().contains("compaction"), "{error}");
    assert_eq!(test.get("a").as_deref(), Some("4"));
}

#[test]
fn a_logger_may_ask_the_database() {
    use crate::env::info_log::FnLogger;
    use std::sync::{OnceLock, Weak};
    let db: Arc<OnceLock<Weak<Db>>> = Arc::default();
    let asked = db.clone();
    let logger = Arc::new(FnLogger(move |_: std::fmt::Arguments<'_>| {
        if let Some(db) = asked.get().and_then(Weak::upgrade) {
            let _ = db.property(b"leveldb.stats");
        }
    }));
    let test = Faulty::new(Options { info_log: Some(logger), ..Options::default() });
    db.set(Arc::downgrade(test.db())).ok().unwrap();
    let fault = test.faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb"));
    test.put("a", "1").unwrap();
    let asking = test.db().clone();
    assert!(returns("flush", move || asking.flush()).is_err());
    drop(fault);
    let asking = test.db().clone();
    returns("resume", move || asking.resume()).unwrap();
    let _fault = test.faults.add(FaultRule::log_sync_error());
    let asking = test.db().clone();
    assert!(returns("put", move || asking.put(&WriteOptions { sync: true }, b"b", b"2")).is_err());
}

#[test]
fn a_closed_database_leaves_no_table_that_it_does_not_need() {
    let mut test = Faulty::new(Options::default());
    for round in 0..20 {
        (0..3).for_each(|i| test.add_table(&i.to_string()));
        let mut iterator = test.db().iter(&ReadOptions::default());
        iterator.seek_to_first();
        test.db().compact_range(None, None).unwrap();
        drop(iterator);
        let live = test.live_tables();
        test.close();
        assert_eq!(test.tables_on_disk(), live, "round {round}");
        test.reopen();
    }
}

#[test]
fn a_reused_manifest_is_the_current_one_after_a_crash_too() {
    let mem = MemEnv::with_journal();
    let options = Options { reuse_logs: true, mmap_wal: false, ..Options::default() };
    let mut test = Faulty::on(mem.clone(), Options { reuse_logs: false, ..options.clone() });
    test.put("a", "1").unwrap();
    test.db().flush().unwrap();
    test.close();
    // The rename of CURRENT is done, but not known to be durable.
    let rule = FaultRule::new([FaultKind::SyncDir]).nth(3);
    let options = Options { reuse_logs: true, ..test.options.clone() };
    for nth in 1..4 {
        let fault = test.faults.add(rule.clone().nth(nth));
        let opened = Db::open(&test.options, Path::new("/db"));
        drop(fault);
        drop(opened);
        let db = Db::open(&options, Path::new("/db")).unwrap();
        for seed in 0..50 {
            let choice = crate::env::mem::CrashChoice::Random { seed, garbage: false };
            let crashed = mem.crash_clone(choice);
            let options = Options { env: crashed.shared(), ..options.clone() };
            let after = Db::open(&options, Path::new("/db")).unwrap_or_else(|error| {
                panic!("sync {nth}, seed {seed}: {error}");
            });
            assert!(after.get(&ReadOptions::default(), b"a").unwrap().is_some());
        }
        db.close().unwrap();
    }
}
