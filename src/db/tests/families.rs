//! Column families: what one database with several of them shows.

use super::*;
use crate::batch::write_batch::{HEADER_SIZE, WriteBatch};
use crate::db::ColumnFamilyHandle;
use crate::db::write::group::Members;
use crate::env::fault::{FaultKind, FaultRule};
use crate::iterator::test_support::CaselessReverse;
use crate::language::Language;

/// A database on files in memory with the families `index` and `log`.
struct Families {
    test: TestDb,
    index: ColumnFamilyHandle,
    log: ColumnFamilyHandle,
}

impl Families {
    fn new(options: Options) -> Self {
        let test = TestDb::crashable(options);
        let index = test.db().create_column_family("index", &test.options).unwrap();
        let log = test.db().create_column_family("log", &test.options).unwrap();
        Families { test, index, log }
    }

    fn db(&self) -> &Db {
        self.test.db()
    }

    fn put(&self, family: &ColumnFamilyHandle, key: &str, value: &str) {
        self.db().put_cf(family, &WriteOptions::default(), key.as_bytes(), value.as_bytes()).unwrap();
    }

    fn get(&self, family: &ColumnFamilyHandle, key: &str) -> Option<String> {
        let value = self.db().get_cf(family, &ReadOptions::default(), key.as_bytes()).unwrap();
        value.map(|value| String::from_utf8(value).unwrap())
    }

    /// Puts a key into all three families, in one batch.
    fn put_everywhere(&self, key: &str, value: &str) {
        let mut batch = WriteBatch::new();
        batch.put(key.as_bytes(), value.as_bytes());
        batch.put_cf(&self.index, key.as_bytes(), value.as_bytes());
        batch.put_cf(&self.log, key.as_bytes(), value.as_bytes());
        self.db().write(&WriteOptions::default(), &batch).unwrap();
    }

    /// The value of a key in the default family, in `index` and in `log`.
    fn everywhere(&self, key: &str) -> [Option<String>; 3] {
        let default_family = self.db().default_column_family();
        [&default_family, &self.index, &self.log].map(|family| self.get(family, key))
    }

    fn contents(&self, family: &ColumnFamilyHandle) -> Vec<(String, String)> {
        collect_forward(&mut self.db().iter_cf(family, &ReadOptions::default()))
    }

    fn reopen(&mut self) {
        self.test.close();
        self.open().unwrap();
    }

    fn open(&mut self) -> Result<()> {
        let options = &self.test.options;
        let named = [("index", options), ("log", options)];
        let (db, handles) = Db::open_with_families(options, &self.test.path(), &named)?;
        self.test.db = Some(db);
        let [index, log] = handles.try_into().unwrap();
        (self.index, self.log) = (index, log);
        Ok(())
    }

    fn crash(&mut self, choice: CrashChoice) {
        let disk = self.test.disk().crash_clone(choice);
        self.test.abandon();
        self.test.set_disk(disk);
        self.open().unwrap();
    }

    fn files(&self, kind: impl Fn(FileType) -> bool) -> Vec<PathBuf> {
        self.test.files(kind)
    }
}

/// Waits for a condition that background work leads to.
pub(super) fn eventually(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "the condition never holds");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn all(value: &str) -> [Option<String>; 3] {
    [value; 3].map(|value| Some(value.to_string()))
}

#[test]
fn families_have_their_own_entries_and_survive_flush_compaction_and_reopening() {
    under_all_options(&Options::default(), |test| {
        let mut families = Families::new(test.options.clone());
        drop(test);
        families.put(&families.index, "key", "of the index");
        families.put(&families.log, "key", "of the log");
        families.test.put("key", "of the default family");
        let check = |families: &Families| {
            assert_eq!(families.get(&families.index, "key").as_deref(), Some("of the index"));
            assert_eq!(families.get(&families.log, "key").as_deref(), Some("of the log"));
            assert_eq!(families.test.get("key").as_deref(), Some("of the default family"));
            assert_eq!(families.contents(&families.log), [("key".to_string(), "of the log".to_string())]);
        };
        check(&families);
        families.reopen();
        check(&families);
        families.db().flush_cf(&families.index).unwrap();
        check(&families);
        families.reopen();
        check(&families);
        families.test.flush();
        check(&families);
        families.db().compact_range_cf(&families.log, None, None).unwrap();
        families.reopen();
        check(&families);
        assert_eq!(families.test.property("terrace.language"), "rocksdb");
        families.db().delete_cf(&families.index, &WriteOptions::default(), b"key").unwrap();
        assert_eq!(families.everywhere("key")[1], None);
        families.reopen();
        assert_eq!(families.everywhere("key")[1], None);
        assert!(families.everywhere("key")[2].is_some());
    });
}

#[test]
fn a_batch_over_families_is_seen_whole_or_not_at_all_after_every_crash() {
    for flushed in 0..3 {
        let families = Families::new(Options::default());
        for round in 0..20 {
            families.put_everywhere(&format!("{round}"), "value");
            if round == 10 {
                let family =
                    [families.db().default_column_family(), families.index.clone(), families.log.clone()];
                families.db().flush_cf(&family[flushed]).unwrap();
            }
        }
        for seed in 0..20 {
            let crashed =
                families.test.disk().crash_clone(CrashChoice::Random { seed, garbage: seed % 2 == 0 });
            let options = Options { env: crashed.shared(), ..families.test.options.clone() };
            let named = [("index", &options), ("log", &options)];
            let (db, handles) = Db::open_with_families(&options, &families.test.path(), &named).unwrap();
            for round in 0..20 {
                let key = format!("{round}");
                let read = ReadOptions::default();
                let found = [
                    db.get(&read, key.as_bytes()).unwrap().is_some(),
                    db.get_cf(&handles[0], &read, key.as_bytes()).unwrap().is_some(),
                    db.get_cf(&handles[1], &read, key.as_bytes()).unwrap().is_some(),
                ];
                assert!(
                    found == [true; 3] || found == [false; 3],
                    "{key}: {found:?}, flushed {flushed}, seed {seed}"
                );
                assert!(round > 10 || found[flushed], "what was flushed is there: {key}");
            }
        }
    }
}

#[test]
fn every_family_must_be_named_to_open() {
    let mut families = Families::new(Options::default());
    families.put_everywhere("key", "value");
    families.test.close();
    let error = Db::open(&families.test.options, &families.test.path()).unwrap_err();
    assert!(error.message().contains("index, log"), "{error}");
    let options = &families.test.options;
    let open = |named: &[(&str, &Options)]| {
        Db::open_with_families(options, &families.test.path(), named).map(drop).unwrap_err().to_string()
    };
    assert!(open(&[("log", options)]).contains("not opened: index;"));
    assert!(open(&[("index", options), ("log", options), ("more", options)]).contains("not found: more"));
    assert!(open(&[("index", options), ("index", options)]).contains("named twice"));
    assert!(open(&[("", options)]).contains("is empty"));
    let names = Db::list_column_families(options, &families.test.path()).unwrap();
    assert_eq!(names, [&b"default"[..], b"index", b"log"]);
    families.open().unwrap();
    assert_eq!(families.everywhere("key"), all("value"));
}

#[test]
fn a_missing_family_is_created_if_asked_for() {
    let test = TestDb::in_memory(Options::default());
    let options = Options { create_missing_column_families: true, ..test.options.clone() };
    let path = Path::new("/other");
    let (db, handles) =
        Db::open_with_families(&options, path, &[("default", &options), ("new", &options)]).unwrap();
    assert_eq!((handles[0].id(), handles[1].id(), handles[1].name()), (0, 1, &b"new"[..]));
    db.put_cf(&handles[1], &WriteOptions::default(), b"a", b"b").unwrap();
    drop((db, handles));
    assert_eq!(Db::list_column_families(&options, path).unwrap().len(), 2);
}

#[test]
fn a_dropped_family_can_be_read_until_its_last_handle_goes_and_then_its_files_go() {
    let families = Families::new(Options::default());
    families.put(&families.index, "a", "1");
    families.db().flush_cf(&families.index).unwrap();
    families.put(&families.index, "b", "2");
    let tables = |families: &Families| families.files(|kind| matches!(kind, FileType::Table(_))).len();
    assert_eq!(tables(&families), 1);
    let iterator = families.db().iter_cf(&families.index, &ReadOptions::default());
    families.db().drop_column_family(&families.index).unwrap();
    assert!(families.db().column_family("index").is_none());
    assert_eq!(families.get(&families.index, "a").as_deref(), Some("1"));
    assert_eq!(families.get(&families.index, "b").as_deref(), Some("2"));
    let put = families.db().put_cf(&families.index, &WriteOptions::default(), b"c", b"3");
    assert!(put.unwrap_err().message().contains("'index' was dropped"));
    let mut batch = WriteBatch::new();
    batch.put_cf(&families.index, b"c", b"3");
    batch.put(b"c", b"3");
    assert!(families.db().write(&WriteOptions::default(), &batch).is_err());
    assert_eq!(families.test.get("c"), None, "nothing of the batch");
    assert!(families.db().drop_column_family(&families.index).is_err());
    assert!(families.db().flush_cf(&families.index).is_ok());
    assert!(families.db().compact_range_cf(&families.index, None, None).is_err());
    let Families { test, index, log } = families;
    drop(index);
    let mut iterator = iterator;
    assert_eq!(collect_forward(&mut iterator).len(), 2, "the iterator keeps the family");
    drop(iterator);
    eventually(|| test.files(|kind| matches!(kind, FileType::Table(_))).is_empty());
    // The name can be used again, for another family.
    let again = test.db().create_column_family("index", &test.options).unwrap();
    assert_eq!(again.id(), log.id() + 1);
    assert_eq!(test.db().get_cf(&again, &ReadOptions::default(), b"a").unwrap(), None);
}

#[test]
fn a_dropped_family_is_gone_after_reopening_and_after_a_crash() {
    for crash in [false, true] {
        let mut families = Families::new(Options::default());
        families.put_everywhere("key", "value");
        families.db().drop_column_family(&families.index).unwrap();
        families.put(&families.log, "later", "value");
        let disk = families.test.disk().crash_clone(CrashChoice::Everything);
        match crash {
            true => families.test.set_disk(disk),
            false => families.test.close(),
        }
        families.test.db.take();
        let options = &families.test.options;
        let (db, handles) =
            Db::open_with_families(options, &families.test.path(), &[("log", options)]).unwrap();
        let read = ReadOptions::default();
        assert_eq!(db.get(&read, b"key").unwrap().as_deref(), Some(&b"value"[..]));
        assert_eq!(db.get_cf(&handles[0], &read, b"later").unwrap().as_deref(), Some(&b"value"[..]));
    }
}

#[test]
fn a_handle_of_another_database_is_refused() {
    let families = Families::new(Options::default());
    let other = Families::new(Options::default());
    let (read, write) = (ReadOptions::default(), WriteOptions::default());
    let invalid = |result: Result<()>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::InvalidArgument, "{error}");
    };
    invalid(families.db().put_cf(&other.index, &write, b"a", b"b"));
    invalid(families.db().delete_cf(&other.index, &write, b"a"));
    invalid(families.db().get_cf(&other.index, &read, b"a").map(drop));
    invalid(families.db().flush_cf(&other.index));
    invalid(families.db().compact_range_cf(&other.index, None, None));
    invalid(families.db().approximate_sizes_cf(&other.index, &[]).map(drop));
    invalid(families.db().drop_column_family(&other.index));
    invalid(families.db().iter_cf(&other.index, &read).status());
    invalid(families.db().iter_cfs(&[&families.log, &other.index], &read).map(drop));
    let mut batch = WriteBatch::new();
    batch.put_cf(&other.index, b"a", b"b");
    invalid(families.db().write(&write, &batch));
    batch.put_cf(&families.index, b"a", b"b");
    invalid(batch.status());
    invalid(families.db().write(&write, &batch));
    batch.clear();
    batch.put_cf(&families.index, b"a", b"b");
    families.db().write(&write, &batch).unwrap();
}

#[test]
fn handles_outlive_the_database() {
    let mut families = Families::new(Options::default());
    families.put(&families.index, "a", "1");
    let iterator = families.db().iter_cf(&families.index, &ReadOptions::default());
    families.test.close();
    assert_eq!((families.index.id(), families.index.name()), (1, &b"index"[..]));
    let clone = families.index.clone();
    drop((families, iterator));
    assert_eq!(clone.name(), b"index");
}

#[test]
fn names_and_options_that_cannot_be_are_refused() {
    let families = Families::new(Options::default());
    let create = |name: &[u8]| {
        families.db().create_column_family(name, &families.test.options).unwrap_err().to_string()
    };
    assert!(create(b"").contains("empty"));
    assert!(create(b"a\0b").contains("NUL"));
    assert!(create(&[b'x'; 4097]).contains("4096"));
    assert!(create(b"index").contains("exists already"));
    assert!(create(b"default").contains("exists already"));
    families.db().create_column_family([b'x'; 4096], &families.test.options).unwrap();
    let error = families.db().drop_column_family(&families.db().default_column_family()).unwrap_err();
    assert!(error.message().contains("cannot be dropped"), "{error}");
}

#[test]
fn a_database_can_forbid_the_switch() {
    let options = Options { language: crate::options::LanguagePolicy::LevelDb, ..Options::default() };
    let test = TestDb::in_memory(options);
    test.put("key", "value");
    let error = test.db().create_column_family("index", &test.options).unwrap_err();
    assert!(error.is_not_supported() && error.message().contains("language"), "{error}");
    assert_eq!(test.property("terrace.language"), "leveldb");
    test.put("key", "later");
}

#[test]
fn an_idle_family_keeps_no_wal() {
    let mut families = Families::new(Options { write_buffer_size: 64 << 10, ..Options::default() });
    let wals = |families: &Families| families.files(|kind| matches!(kind, FileType::Log(_))).len();
    families.put(&families.index, "idle", "value");
    families.db().flush_cf(&families.index).unwrap();
    for round in 0..20 {
        families.put(&families.log, "busy", &"x".repeat(70 << 10));
        families.test.put(format!("{round}"), "y".repeat(70 << 10));
    }
    families.test.flush();
    eventually(|| wals(&families) == 1);
    families.reopen();
    assert_eq!(families.get(&families.index, "idle").as_deref(), Some("value"));
}

#[test]
fn a_family_that_keeps_the_wals_above_their_limit_is_flushed() {
    let options = Options { write_buffer_size: 64 << 10, max_total_wal_size: 1 << 20, ..Options::default() };
    let families = Families::new(options);
    families.put(&families.index, "rarely written", "value");
    assert_eq!(families.test.property("terrace.wal-pinned-by"), "default");
    for round in 0..40 {
        families.put(&families.log, &format!("{round}"), &"x".repeat(70 << 10));
    }
    eventually(|| {
        let wals = families.files(|kind| matches!(kind, FileType::Log(_)));
        let size = |path: &PathBuf| families.test.options.env.file_size(path).unwrap_or(0);
        wals.iter().map(size).sum::<u64>() < 2 << 20
    });
    let level0 = families.db().property_cf(&families.index, b"leveldb.num-files-at-level2").unwrap();
    assert_eq!(level0, "1", "the family was flushed");
    assert_eq!(families.get(&families.index, "rarely written").as_deref(), Some("value"));
}

/// The lister has read CURRENT, but not yet the MANIFEST, when the next opening replaces it.
#[test]
fn families_are_listed_while_the_database_replaces_its_manifest() {
    let mut families = Families::new(Options::default());
    let (options, path) = (families.test.options.clone(), families.test.path());
    let open = FaultRule::new([FaultKind::Open]).path_contains("MANIFEST").nth(1).once();
    let held = families.test.faults().add(open.hold());
    std::thread::scope(|scope| {
        let lister = scope.spawn(|| Db::list_column_families(&options, &path).unwrap());
        assert!(held.wait_for_hits(1));
        let before = families.files(|kind| matches!(kind, FileType::Manifest(_)));
        families.reopen();
        // What the WALs hold stays in memory; its flush begins a new MANIFEST.
        families.test.flush();
        eventually(|| !families.files(|kind| matches!(kind, FileType::Manifest(_))).contains(&before[0]));
        held.release();
        assert_eq!(lister.join().unwrap(), [&b"default"[..], b"index", b"log"]);
    });
}

/// The default limit here: 3 families of five memtables of 64 KiB each, four times, are 3.75 MiB.
#[test]
fn the_wals_beside_an_idle_family_never_exceed_twice_their_limit() {
    for given in [0, 4 << 20, 8 << 20] {
        let options =
            Options { write_buffer_size: 64 << 10, max_total_wal_size: given, ..Options::default() };
        let families = Families::new(options);
        let inner = &families.db().inner;
        let limit = inner.max_total_wal_size(&inner.state.lock());
        assert!(limit == given || given == 0);
        families.put(&families.index, "idle", "value");
        let (mut most, value) = (0, "x".repeat(9 << 10));
        for round in 0..2_500 {
            families.put(&families.log, &format!("{}", round % 97), &value);
            let wals = families.files(|kind| matches!(kind, FileType::Log(_)));
            let size = |path: &PathBuf| families.test.options.env.file_size(path).unwrap_or(0);
            most = most.max(wals.iter().map(size).sum::<u64>());
        }
        assert!(most <= 2 * limit, "{most} bytes of WALs with a limit of {limit}");
        assert!(most > limit / 2, "{most} bytes of WALs say nothing about a limit of {limit}");
        assert_eq!(families.get(&families.index, "idle").as_deref(), Some("value"));
    }
}

#[test]
fn iterators_over_families_show_one_state() {
    let families = Families::new(Options { write_buffer_size: 64 << 10, ..Options::default() });
    families.put_everywhere("counter", "0");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 1..2000 {
                families.put_everywhere("counter", &format!("{round}"));
            }
        });
        while !writer.is_finished() {
            let default_family = families.db().default_column_family();
            let handles = [&families.log, &default_family, &families.index];
            let iterators = families.db().iter_cfs(&handles, &ReadOptions::default()).unwrap();
            let values: Vec<_> =
                iterators.into_iter().map(|mut iterator| collect_forward(&mut iterator)).collect();
            assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "{values:?}");
        }
    });
}

#[test]
fn families_have_their_own_order() {
    let test = TestDb::in_memory(Options::default());
    let reverse = Options { comparator: Arc::new(CaselessReverse), ..test.options.clone() };
    let family = test.db().create_column_family("reverse", &reverse).unwrap();
    for key in ["a", "c", "b"] {
        test.put(key, "1");
        test.db().put_cf(&family, &WriteOptions::default(), key.as_bytes(), b"2").unwrap();
    }
    let keys = |mut iterator: DbIterator| -> String {
        collect_forward(&mut iterator).into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(test.iter()), "abc");
    assert_eq!(keys(test.db().iter_cf(&family, &ReadOptions::default())), "cba");
    test.flush();
    assert_eq!(keys(test.db().iter_cf(&family, &ReadOptions::default())), "cba");
    let path = test.path();
    let options = test.options.clone();
    let mut test = test;
    test.close();
    let error = Db::open_with_families(&options, &path, &[("reverse", &options)]).map(drop).unwrap_err();
    assert!(error.message().contains("column family 'reverse'"), "{error}");
    let (db, handles) = Db::open_with_families(&options, &path, &[("reverse", &reverse)]).unwrap();
    assert_eq!(keys(db.iter_cf(&handles[0], &ReadOptions::default())), "cba");
}

#[test]
fn several_threads_write_to_several_families() {
    let mut families = Families::new(Options { write_buffer_size: 64 << 10, ..Options::default() });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let families = &families;
            scope.spawn(move || {
                for round in 0..500 {
                    let key = format!("{thread}-{round:04}");
                    match round % 3 {
                        0 => families.put(&families.index, &key, &"x".repeat(300)),
                        1 => families.put(&families.log, &key, &"x".repeat(300)),
                        _ => families.put_everywhere(&key, &"x".repeat(300)),
                    }
                }
            });
        }
    });
    let count = |families: &Families| {
        let default_family = families.db().default_column_family();
        [&default_family, &families.index, &families.log].map(|family| families.contents(family).len())
    };
    let expected = [4 * 166, 4 * (167 + 166), 4 * (167 + 166)];
    assert_eq!(count(&families), expected);
    families.reopen();
    assert_eq!(count(&families), expected);
    families.crash(CrashChoice::Everything);
    assert_eq!(count(&families), expected);
    assert_eq!(families.db().inner.state.lock().versions.language(), Language::RocksDb);
}

/// A family that was created after a memtable switch needs only WALs from the new one on. If a crash loses
/// that WAL, `reuse_logs` must not give the family the older one: the next opening would skip its entries.
#[test]
fn what_is_written_after_a_crash_with_reused_logs_is_found_by_the_next_opening() {
    let options = Options { reuse_logs: true, write_buffer_size: 64 << 10, ..Options::default() };
    let mut families = Families::new(options);
    families.reopen(); // one WAL, and a MANIFEST that is appended to
    let held = families.test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".sst").hold());
    families.test.put("a", "x".repeat(70 << 10));
    families.test.put_synced("b", "1").unwrap();
    let options = &families.test.options;
    drop(families.db().create_column_family("late", options).unwrap());
    let disk = families.test.disk().crash_clone(CrashChoice::Everything);
    held.release();
    families.test.abandon();
    let newest = families.files(|kind| matches!(kind, FileType::Log(_))).into_iter().max().unwrap();
    let names = disk.files().into_iter().map(|(path, _)| path);
    let wals: Vec<_> = names.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    assert!(wals.len() == 2 && wals.iter().any(|wal| *wal <= newest), "{wals:?}");
    disk.shared().remove_file(wals.iter().max().unwrap()).unwrap();
    families.test.set_disk(disk);
    families.test.options.write_buffer_size = 1 << 20; // the replay makes no table

    let options = &families.test.options;
    let named = [("index", options), ("log", options), ("late", options)];
    let (db, handles) = Db::open_with_families(options, &families.test.path(), &named).unwrap();
    db.put_cf(&handles[2], &WriteOptions { sync: true }, b"key", b"value").unwrap();
    let disk = families.test.disk().crash_clone(CrashChoice::Everything);
    drop((db, handles));
    families.test.set_disk(disk);
    let options = &families.test.options;
    let named = [("index", options), ("log", options), ("late", options)];
    let (db, handles) = Db::open_with_families(options, &families.test.path(), &named).unwrap();
    let found = db.get_cf(&handles[2], &ReadOptions::default(), b"key").unwrap();
    assert_eq!(found.as_deref(), Some(&b"value"[..]));
}

#[test]
fn a_write_to_a_dropped_family_fails_also_if_it_would_join_others() {
    let families = Families::new(Options::default());
    let index = families.index.clone();
    families.db().drop_column_family(&index).unwrap();
    let turn = families.db().inner.writer.lock(); // who writes now waits for its turn, or joins a group
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let options = WriteOptions::default();
            let put = families.db().put_cf(&index, &options, b"key", b"value");
            let delete = families.db().delete_cf(&index, &options, b"key");
            sender.send([put, delete]).unwrap();
        });
        let results = receiver.recv_timeout(Duration::from_secs(2));
        drop(turn);
        for result in results.expect("an answer without a turn") {
            assert!(result.unwrap_err().message().contains("was dropped"));
        }
    });
}

#[test]
fn a_drop_that_writes_meet_fails_no_write_and_no_flush_of_other_families() {
    let families = Families::new(Options::default());
    families.put_everywhere("key", "value");
    // As while a drop is being installed: the writer still has the family.
    let index = families.index.of(&families.db().inner).unwrap();
    index.is_dropped.store(true, std::sync::atomic::Ordering::Release);
    families.db().flush().unwrap();
    let tables = families.files(|kind| matches!(kind, FileType::Table(_)));
    assert_eq!(tables.len(), 2, "of the default family and of `log`");
    let mut entries = WriteBatch::new();
    entries.put(b"other", b"value");
    entries.put_cf(&families.index, b"key", b"lost");
    let mut writer = families.db().inner.writer.lock();
    let record = [&[0; HEADER_SIZE], entries.entries()].concat();
    let mut members = Members { record, count: 2, sync: false, is_spread: true };
    families.db().inner.write_group(&mut writer, &mut members).unwrap();
    drop(writer);
    assert_eq!(families.test.get("other").as_deref(), Some("value"));
}

#[test]
fn a_family_that_could_not_be_flushed_takes_its_error_with_it() {
    let families = Families::new(Options { write_buffer_size: 64 << 10, ..Options::default() });
    let full = FaultRule::new([FaultKind::Create]).path_suffix(".sst").errno(libc::ENOSPC);
    let full = families.test.faults().add(full);
    families.put(&families.index, "a", &"x".repeat(70 << 10));
    families.put(&families.index, "b", "1");
    eventually(|| families.db().background_error().is_some());
    families.db().drop_column_family(&families.index).unwrap();
    assert!(families.db().background_error().is_none());
    drop(full);
    families.db().resume().unwrap();
    families.test.put("key", "value");
    families.test.flush();
}
