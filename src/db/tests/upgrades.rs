//! The upgrade of tables after the switch of a directory: in the background and on request, beside
//! everything else, through crashes and failures.

use super::*;
use crate::db::ColumnFamilyHandle;
use crate::env::fault::{FaultHandle, FaultKind, FaultRule};
use crate::error::{Error, ErrorKind};
use crate::language::Language;
use std::sync::atomic::{AtomicBool, Ordering};

const FAMILY: &str = "more";

/// Internal keys and values.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// A database that was filled in LevelDB's language and has been switched since.
struct Upgraded {
    test: TestDb,
    family: Option<ColumnFamilyHandle>,
}

impl Upgraded {
    /// Fills a database and switches it. Until `held` is released no table is upgraded.
    fn new(options: Options) -> (Self, FaultHandle) {
        Self::of(TestDb::crashable(options), fill)
    }

    fn of(test: TestDb, fill: impl Fn(&TestDb)) -> (Self, FaultHandle) {
        fill(&test);
        test.wait_until_idle();
        let held = test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".sst").hold());
        let mut upgraded = Upgraded { test, family: None };
        assert_eq!(upgraded.left(), 0, "in LevelDB's language");
        upgraded.switch();
        (upgraded, held)
    }

    fn switch(&mut self) {
        self.family = Some(self.db().create_column_family(FAMILY, &self.test.options).unwrap());
    }

    fn db(&self) -> &Db {
        self.test.db()
    }

    fn open(&mut self) -> Result<()> {
        let options = &self.test.options;
        let (db, handles) = Db::open_with_families(options, &self.test.path(), &[(FAMILY, options)])?;
        self.test.db = Some(db);
        self.family = handles.into_iter().next();
        Ok(())
    }

    fn reopen(&mut self) {
        self.family = None;
        self.test.close();
        self.open().unwrap();
    }

    /// The number of tables that wait for their upgrade.
    fn left(&self) -> usize {
        self.test.property("terrace.tables-to-upgrade").parse().unwrap()
    }

    fn upgrade(&self) {
        self.db().upgrade_tables().unwrap();
        assert_eq!(self.left(), 0);
    }

    /// The entries of the tables of each level as they are stored, hidden ones and tombstones included.
    fn stored(&self) -> Vec<Vec<(u64, Entries)>> {
        let inner = &self.db().inner;
        let version = inner.state.lock().versions.current(ColumnFamilyId::DEFAULT).clone();
        let entries = |file: &Arc<crate::version::file_metadata::FileMetaData>| {
            let table = file.table(&inner.default_family.table_cache).unwrap().clone();
            (file.epoch(), table.all_entries())
        };
        version.levels.iter().map(|files| files.iter().map(entries).collect()).collect()
    }

    /// Checks that every table is in RocksDB's language, and no file is left over.
    fn check_files(&self) {
        self.test.wait_until("replaced tables to be removed", |state| {
            self.test.tables().len() == state.versions.live_files().count()
        });
        for path in self.test.tables() {
            assert_eq!(path.extension().unwrap(), "sst", "{}", path.display());
            let footer = crate::table::footer::Footer::decode(&self.test.read_file(&path)).unwrap();
            assert_eq!(footer.language, Language::RocksDb);
        }
    }
}

/// Several levels; tables of level 0 that overlap and have the same keys; tombstones; empty keys and values.
fn fill(test: &TestDb) {
    let mut random = Random::new(11);
    for i in 0..400 {
        let length = random.uniform(200) as usize;
        test.put(format!("key{i:05}"), random_bytes(&mut random, length));
    }
    test.put("", "the empty key");
    test.put("empty value", "");
    test.compact_all();
    for i in (0..400).step_by(3) {
        test.put(format!("key{i:05}"), "of level 1".repeat(i % 20));
    }
    test.flush();
    for round in 0..3 {
        for i in (round..400).step_by(11) {
            test.put(format!("key{i:05}"), format!("round {round}"));
        }
        test.put("same", format!("{round}"));
        test.delete(format!("key{:05}", 7 * round));
        test.flush();
    }
    assert!(test.files_at(0) >= 2, "{:?}", test.files_per_level());
}

fn small() -> Options {
    Options { write_buffer_size: 64 << 10, max_file_size: 1 << 20, block_size: 1 << 10, ..Options::default() }
}

#[test]
fn an_upgrade_changes_no_entry_no_level_and_no_order() {
    let mut sets = option_sets(&small()).map(|(_, options)| options).to_vec();
    sets.push(Options { whole_table_filter: false, block_restart_interval: 1, ..small() });
    for compression in [Compression::Zstd, Compression::Zlib, Compression::RawDeflate] {
        if compression.check().is_ok() {
            sets.push(Options { compression, ..small() });
        }
    }
    for options in sets {
        let (mut upgraded, held) = Upgraded::new(options);
        let tables = upgraded.left();
        assert_eq!(tables, upgraded.test.files_per_level().iter().sum::<usize>());
        let (contents, levels, stored) =
            (upgraded.test.contents(), upgraded.test.files_per_level(), upgraded.stored());
        let mut opened_before = upgraded.test.iter();
        opened_before.seek_to_first();
        let snapshot = upgraded.db().inner.last_sequence.load(Ordering::Acquire);
        held.release();
        upgraded.upgrade();
        assert!(upgraded.stored() == stored, "the same entries at the same places");
        assert_eq!(collect_forward(&mut opened_before), contents);
        drop(opened_before);
        upgraded.check_files();
        for _ in 0..2 {
            assert_eq!(upgraded.test.contents(), contents);
            assert_eq!(upgraded.test.files_per_level(), levels);
            assert_eq!(upgraded.test.get("same").as_deref(), Some("2"));
            assert_eq!(upgraded.test.get_at("same", Some(snapshot)).as_deref(), Some("2"));
            assert_eq!(upgraded.left(), 0);
            upgraded.reopen();
        }
        upgraded.test.compact_all();
        assert_eq!(upgraded.test.contents(), contents);
    }
}

#[test]
fn zstd_stays_zstd_and_codecs_of_minecraft_become_the_usual_one() {
    let name_of = |compression: Compression| {
        let (upgraded, held) = Upgraded::new(Options { compression, ..small() });
        held.release();
        upgraded.upgrade();
        upgraded.check_files();
        let table = upgraded.test.read_file(&upgraded.test.tables()[0]);
        let names = ["Snappy", "ZSTD", "Zlib", "NoCompression"];
        let is_in = |name: &&str| table.windows(name.len()).any(|window| window == name.as_bytes());
        names.into_iter().filter(is_in).collect::<Vec<_>>()
    };
    assert_eq!(name_of(Compression::None), ["NoCompression"]);
    assert_eq!(name_of(Compression::Auto), ["Snappy"]);
    if Compression::Zstd.check().is_ok() {
        assert_eq!(name_of(Compression::Zstd), ["ZSTD"]);
    }
    if Compression::Zlib.check().is_ok() {
        let mut test = TestDb::crashable(Options { compression: Compression::Zlib, ..small() });
        test.options.compression = Compression::Auto;
        fill(&test);
        test.reopen();
        let (upgraded, held) = Upgraded::of(test, |_| {});
        held.release();
        upgraded.upgrade();
        upgraded.check_files();
        let table = upgraded.test.read_file(&upgraded.test.tables()[0]);
        assert!(table.windows(6).any(|window| window == b"Snappy"));
    }
}

#[test]
fn tables_of_many_megabytes_are_upgraded() {
    let options = Options { write_buffer_size: 8 << 20, max_file_size: 16 << 20, ..Options::default() };
    let (upgraded, held) = Upgraded::of(TestDb::crashable(options), |test| {
        let mut random = Random::new(5);
        for i in 0..3000 {
            let length = if i % 100 == 0 { 100_000 } else { 2_000 };
            test.put(format!("key{i:06}"), random_bytes(&mut random, length));
        }
        test.flush();
    });
    let contents = upgraded.test.contents();
    held.release();
    upgraded.upgrade();
    assert!(upgraded.test.contents() == contents);
    upgraded.check_files();
}

#[test]
fn tables_are_upgraded_in_the_background_also_after_reopening() {
    let (mut upgraded, held) = Upgraded::new(small());
    let contents = upgraded.test.contents();
    let tables = upgraded.left();
    assert!(tables > 2);
    // The MANIFEST says which tables wait.
    let disk = upgraded.test.disk().crash_clone(CrashChoice::Everything);
    held.release();
    drop(held);
    upgraded.test.wait_until("the upgrade", |state| state.versions.old_tables().next().is_none());
    assert_eq!(upgraded.left(), 0);
    assert_eq!(upgraded.test.contents(), contents);
    upgraded.check_files();
    let background_error = upgraded.test.property("terrace.background-error");
    assert_eq!(background_error, "");

    upgraded.family = None;
    upgraded.test.abandon();
    upgraded.test.set_disk(disk);
    let held = upgraded.test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".sst").hold());
    upgraded.open().unwrap();
    assert_eq!(upgraded.left(), tables);
    drop(held);
    upgraded.test.wait_until("the upgrade", |state| state.versions.old_tables().next().is_none());
    assert_eq!(upgraded.test.contents(), contents);
    upgraded.check_files();
    upgraded.reopen();
    assert_eq!(upgraded.left(), 0);
    let opens = upgraded.test.faults().count(FaultKind::Open);
    upgraded.test.wait_until("the worker to find nothing", |state| !state.versions.may_have_old_tables());
    assert_eq!(upgraded.test.faults().count(FaultKind::Open), opens, "no table is opened for that");
}

#[test]
fn a_directory_in_leveldbs_language_has_nothing_to_upgrade() {
    let test = TestDb::in_memory(small());
    fill(&test);
    assert_eq!(test.property("terrace.tables-to-upgrade"), "0");
    let error = test.db().upgrade_tables().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("create a column family"), "{error}");
    assert!(test.tables().iter().all(|path| path.extension().unwrap() == "ldb"));
    assert_eq!(test.property("terrace.language"), "leveldb");
}

#[test]
fn a_crash_at_any_operation_of_the_upgrade_loses_nothing() {
    for compression in [Compression::None, Compression::Zstd] {
        if compression.check().is_err() {
            continue;
        }
        let (upgraded, held) = Upgraded::new(Options { compression, ..small() });
        let (contents, levels) = (upgraded.test.contents(), upgraded.test.files_per_level());
        let before = upgraded.test.disk().operation_count();
        held.release();
        upgraded.upgrade();
        let after = upgraded.test.disk().operation_count();
        assert!(after - before > 20);
        for operation in before..=after {
            let random = CrashChoice::Random { seed: operation as u64, garbage: operation % 2 == 0 };
            for choice in [CrashChoice::OnlySynced, CrashChoice::Everything, random] {
                let disk = upgraded.test.disk().disk_at(operation, choice);
                let options = Options { env: disk.shared(), ..upgraded.test.options.clone() };
                let (db, _) =
                    Db::open_with_families(&options, &upgraded.test.path(), &[(FAMILY, &options)]).unwrap();
                let found = collect_forward(&mut db.iter(&ReadOptions::default()));
                assert!(found == contents, "operation {operation}, {choice:?}");
                let per_level: usize = (0..NUM_LEVELS)
                    .map(|level| {
                        db.property(format!("leveldb.num-files-at-level{level}").as_bytes()).unwrap()
                    })
                    .map(|files| files.parse::<usize>().unwrap())
                    .sum();
                assert_eq!(per_level, levels.iter().sum::<usize>());
                if operation % 16 == 0 {
                    db.upgrade_tables().unwrap();
                    assert!(collect_forward(&mut db.iter(&ReadOptions::default())) == contents);
                }
            }
        }
    }
}

#[test]
fn whatever_fails_nothing_is_lost_or_left_over_and_the_upgrade_is_repeated() {
    let mut failed = 0;
    for nth in 1.. {
        let (upgraded, held) = Upgraded::new(small());
        let contents = upgraded.test.contents();
        let tables = upgraded.left();
        let kinds = [
            FaultKind::Open,
            FaultKind::Create,
            FaultKind::Append,
            FaultKind::Flush,
            FaultKind::Sync,
            FaultKind::Close,
            FaultKind::SyncDir,
            FaultKind::Rename,
        ];
        let rule = FaultRule::new(kinds).nth(nth).once().errno(libc::ENOSPC);
        let fault = upgraded.test.faults().add(rule);
        held.release();
        let result = upgraded.db().upgrade_tables();
        if fault.hits() == 0 {
            result.unwrap();
            assert!(failed > 20, "{failed} operations failed an upgrade");
            return;
        }
        if let Err(error) = result {
            failed += 1;
            assert_eq!(error.errno(), Some(libc::ENOSPC), "{error}");
        }
        assert_eq!(upgraded.test.contents(), contents, "operation {nth}");
        assert!(upgraded.left() <= tables);
        upgraded.test.recover();
        upgraded.upgrade();
        assert_eq!(upgraded.test.contents(), contents, "operation {nth}");
        upgraded.test.db().inner.remove_obsolete_files();
        upgraded.check_files();
    }
}

#[test]
fn a_failed_upgrade_in_the_background_is_retried() {
    let (upgraded, held) = Upgraded::new(small());
    let full = upgraded
        .test
        .faults()
        .add(FaultRule::new([FaultKind::Append, FaultKind::Sync]).path_suffix(".sst").errno(libc::ENOSPC));
    drop(held);
    upgraded.test.wait_until("a failure", |state| state.errors.compaction().is_some_and(|it| it.retries > 1));
    assert!(upgraded.left() > 0);
    drop(full);
    upgraded.test.wait_until("the upgrade", |state| {
        state.versions.old_tables().next().is_none() && state.errors.worst().is_none()
    });
    upgraded.check_files();
}

#[test]
fn a_damaged_table_stays_and_the_others_are_upgraded() {
    for in_background in [false, true] {
        let mut test = TestDb::crashable(small());
        fill(&test);
        let tables = test.tables();
        test.close();
        test.corrupt(&tables[1], 20, 1);
        test.reopen();
        let (upgraded, held) = Upgraded::of(test, |_| {});
        let damaged = tables[1].file_name().unwrap().to_string_lossy().into_owned();
        let names_it = |error: &Error| error.is_corruption() && error.to_string().contains(&damaged);
        held.release();
        drop(held);
        if in_background {
            upgraded.test.wait_until("the others", |state| state.versions.old_tables().count() == 1);
            upgraded.test.wait_until("the error", |state| {
                state.errors.compaction().is_some_and(|failure| names_it(&failure.error))
            });
        }
        for _ in 0..2 {
            let error = upgraded.db().upgrade_tables().unwrap_err();
            assert!(names_it(&error), "{error}");
            assert_eq!(upgraded.left(), 1);
            assert!(upgraded.test.tables().contains(&tables[1]), "it is where it was");
        }
        upgraded.test.put("later", "value");
        upgraded.test.flush();
        assert_eq!(upgraded.test.get("later").as_deref(), Some("value"));
    }
}

#[test]
fn threads_compactions_writes_and_a_drop_do_not_disturb_an_upgrade() {
    let (mut upgraded, held) = Upgraded::new(Options { max_background_compactions: 3, ..small() });
    let dropped = upgraded.family.take().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (upgraded, done) = (&upgraded, &done);
        let upgrades: Vec<_> = (0..4).map(|_| scope.spawn(|| upgraded.db().upgrade_tables())).collect();
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                upgraded.test.compact("key00100", "key00200");
                upgraded.test.put("key00150", "x".repeat(1000));
                let inside = upgraded.db().create_column_family("inside", &upgraded.test.options).unwrap();
                upgraded.db().put_cf(&inside, &WriteOptions::default(), b"a", b"b").unwrap();
                upgraded.db().flush_cf(&inside).unwrap();
                upgraded.db().drop_column_family(&inside).unwrap();
            }
        });
        upgraded.db().drop_column_family(&dropped).unwrap();
        held.release();
        let results: Vec<_> = upgrades.into_iter().map(|upgrade| upgrade.join().unwrap()).collect();
        done.store(true, Ordering::Release);
        results.into_iter().for_each(|result| result.unwrap());
    });
    assert_eq!(upgraded.left(), 0);
    assert_eq!(upgraded.test.get("same").as_deref(), Some("2"));
    upgraded.check_files();
}

#[test]
fn an_upgrade_that_close_meets_ends_soon_and_leaves_nothing_behind() {
    let (mut upgraded, held) = Upgraded::new(small());
    let (contents, tables) = (upgraded.test.contents(), upgraded.test.tables());
    assert!(held.wait_for_hits(1));
    let inner = upgraded.db().inner.clone();
    upgraded.family = None;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !inner.is_closed() {
                std::thread::yield_now();
            }
            held.release();
        });
        upgraded.test.close();
    });
    assert_eq!(upgraded.test.tables(), tables);
    upgraded.open().unwrap();
    assert_eq!(upgraded.test.contents(), contents);
    upgraded.upgrade();
    upgraded.check_files();
}

/// By its epoch: a manual compaction moves files that it has written itself, and must rewrite this one.
#[test]
fn an_upgraded_table_is_as_old_as_the_one_it_came_from() {
    let next_number = std::cell::Cell::new(0);
    let (upgraded, held) = Upgraded::of(TestDb::crashable(small()), |test| {
        fill(test);
        next_number.set(test.db().inner.next_file_number.load(Ordering::Relaxed));
    });
    held.release();
    upgraded.upgrade();
    let state = upgraded.db().inner.state.lock();
    let version = state.versions.current(ColumnFamilyId::DEFAULT);
    for file in version.levels.iter().flatten() {
        assert!(file.number >= next_number.get() && file.epoch() < next_number.get());
    }
}

#[test]
fn writes_are_refused_after_an_error_and_so_are_upgrades() {
    let (upgraded, held) = Upgraded::new(small());
    let failing = upgraded.test.faults().add(FaultRule::log_sync_error());
    assert!(upgraded.test.put_synced("key", "value").is_err());
    let error = upgraded.db().upgrade_tables().unwrap_err();
    assert!(error.message().contains("until the database is reopened"), "{error}");
    drop((failing, held));
}

#[test]
fn a_flush_that_began_before_the_switch_is_upgraded_too() {
    let test = TestDb::crashable(small());
    let held = test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").hold());
    test.put("key", "value");
    std::thread::scope(|scope| {
        let test = &test;
        let flush = scope.spawn(|| test.db().flush());
        assert!(held.wait_for_hits(1));
        let family = test.db().create_column_family(FAMILY, &test.options).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        scope.spawn(move || sender.send(test.db().upgrade_tables()).unwrap());
        let early = receiver.recv_timeout(Duration::from_millis(200));
        held.release();
        assert!(early.is_err(), "it waits for the flush");
        receiver.recv_timeout(PATIENCE).unwrap().unwrap();
        flush.join().unwrap().unwrap();
        drop(family);
    });
    assert_eq!(test.property("terrace.tables-to-upgrade"), "0");
    assert!(test.tables().iter().all(|path| path.extension().unwrap() == "sst"));
    assert_eq!(test.get("key").as_deref(), Some("value"));
}

/// RocksDB writes a MANIFEST of its own, which does not say which tables are LevelDB's.
#[test]
fn a_table_of_unknown_language_waits_until_it_is_looked_at() {
    let (upgraded, held) = Upgraded::new(small());
    held.release();
    upgraded.upgrade();
    upgraded.test.wait_until("the worker to find nothing", |state| !state.versions.may_have_old_tables());
    upgraded.check_files();
    let tables = upgraded.test.tables();
    {
        let mut state = upgraded.db().inner.state.lock();
        state.versions.live_files().for_each(|file| file.note_language(Language::LevelDb));
        let last_sequence = state.wals.flushed_sequence();
        state.versions.speak_rocksdb(last_sequence);
    }
    assert_eq!(upgraded.left(), tables.len());
    upgraded.upgrade();
    assert_eq!(upgraded.test.tables(), tables, "they were in RocksDB's language, and no file was written");
}
