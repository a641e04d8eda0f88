//! Export of a family to a directory of LevelDB's, and import of one.

use super::families::eventually;
use super::*;
use crate::db::ColumnFamilyHandle;
use crate::env::Env;
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::mem::CrashPoint;
use crate::error::{Error, ErrorKind};
use crate::iterator::test_support::CaselessReverse;
use crate::options::LanguagePolicy;

const EXPORT: &str = "/export";
const SOURCE: &str = "/source";

/// More than one table, at the smallest limit of a table's size.
fn large_entries() -> Vec<(String, String)> {
    let mut random = Random::new(17);
    let value = |random: &mut Random| String::from_utf8(random_bytes(random, 100 << 10)).unwrap();
    (0..12).map(|number| (format!("key {number:03}"), value(&mut random))).collect()
}

fn small_entries() -> Vec<(String, String)> {
    (0..50).map(|number| (format!("key {number:03}"), format!("value {number}"))).collect()
}

fn put_all(db: &Db, family: &ColumnFamilyHandle, entries: &[(String, String)]) {
    for (key, value) in entries {
        db.put_cf(family, &WriteOptions::default(), key.as_bytes(), value.as_bytes()).unwrap();
    }
}

fn contents_of(db: &Db, family: &ColumnFamilyHandle) -> Vec<(String, String)> {
    collect_forward(&mut db.iter_cf(family, &ReadOptions::default()))
}

/// The contents of the database in a directory, which has no families.
fn contents_at(options: &Options, path: &Path) -> Result<Vec<(String, String)>> {
    let options = Options { create_if_missing: false, paranoid_checks: true, ..options.clone() };
    let db = Db::open(&options, path)?;
    Ok(contents_of(&db, &db.default_column_family()))
}

/// The names in a directory, sorted; `None`: there is no such directory.
fn names(env: &Arc<dyn Env>, path: &Path) -> Option<Vec<String>> {
    let mut names: Vec<String> =
        env.children(path).ok()?.into_iter().map(|name| name.into_string().unwrap()).collect();
    names.sort();
    Some(names)
}

fn export(test: &TestDb, family: &ColumnFamilyHandle) -> Result<()> {
    test.db().export_leveldb(family, Path::new(EXPORT))
}

/// A database with these entries in the family `index`: old ones in tables, new ones in the WAL, with
/// overwritten keys and tombstones.
fn with_family(options: Options, entries: &[(String, String)]) -> (TestDb, ColumnFamilyHandle) {
    let test = TestDb::crashable(options);
    let index = test.db().create_column_family("index", &test.options).unwrap();
    fill(&test, &index, entries);
    (test, index)
}

fn fill(test: &TestDb, family: &ColumnFamilyHandle, entries: &[(String, String)]) {
    let old: Vec<_> = entries.iter().map(|(key, _)| (key.clone(), "old".to_owned())).collect();
    put_all(test.db(), family, &old);
    let deleted = [("key 000a".to_owned(), "gone".to_owned()), ("z".to_owned(), "gone".to_owned())];
    put_all(test.db(), family, &deleted);
    test.flush();
    put_all(test.db(), family, entries);
    for (key, _) in deleted {
        test.db().delete_cf(family, &WriteOptions::default(), key.as_bytes()).unwrap();
    }
}

#[test]
fn an_export_is_a_leveldb_database_with_the_contents_of_the_family() {
    under_all_options_with_crashes(&Options::default(), |test| {
        let index = test.db().create_column_family("index", &test.options).unwrap();
        fill(&test, &index, &small_entries());
        test.put("other", "family");
        export(&test, &index).unwrap();
        let found = names(&test.options.env, Path::new(EXPORT)).unwrap();
        assert_eq!(found, ["000001.ldb", "CURRENT", "LOCK", "MANIFEST-000003"]);
        let options = Options { paranoid_checks: true, ..test.options.clone() };
        let db = Db::open(&options, Path::new(EXPORT)).unwrap();
        assert_eq!(db.property(b"terrace.language").unwrap(), "leveldb");
        assert_eq!(db.property(b"leveldb.num-files-at-level1").unwrap(), "1");
        assert_eq!(contents_of(&db, &db.default_column_family()), small_entries());
        let entries = {
            let view = db.inner.default_family.super_version.load();
            let read = TableReadOptions { verify_checksums: true, fill_cache: false };
            let (mut entries, _) = view.iter(&db.inner.default_family.comparator, read);
            entries.seek_to_first();
            std::iter::from_fn(|| {
                let sequence =
                    entries.valid().then(|| ParsedInternalKey::parse(entries.key()).unwrap().sequence);
                entries.valid().then(|| entries.next());
                sequence
            })
            .collect::<Vec<_>>()
        };
        assert_eq!(entries, [0; 50], "neither tombstones nor old versions");
        // It can be written, and what is written comes before what was exported.
        db.put(&WriteOptions::default(), b"key 000", b"later").unwrap();
        db.delete(&WriteOptions::default(), b"key 001").unwrap();
        for _ in 0..2 {
            let read = ReadOptions::default();
            assert_eq!(db.get(&read, b"key 000").unwrap().as_deref(), Some(&b"later"[..]));
            assert_eq!(db.get(&read, b"key 001").unwrap(), None);
            db.compact_range(None, None).unwrap();
        }
    });
}

#[test]
fn the_default_family_is_exported_too_and_an_empty_family_becomes_an_empty_database() {
    let test = TestDb::crashable(Options::default());
    let default_family = test.db().default_column_family();
    export(&test, &default_family).unwrap();
    assert_eq!(contents_at(&test.options, Path::new(EXPORT)).unwrap(), []);
    put_all(test.db(), &default_family, &small_entries());
    test.db().export_leveldb(&default_family, Path::new("/second")).unwrap();
    assert_eq!(contents_at(&test.options, Path::new("/second")).unwrap(), small_entries());
    assert_eq!(test.property("terrace.language"), "leveldb", "an export switches nothing");
}

#[test]
fn an_export_of_much_data_has_several_tables_below_level_0() {
    let options = Options { max_file_size: 1 << 20, ..Options::default() };
    let (test, index) = with_family(options, &large_entries());
    export(&test, &index).unwrap();
    let options = Options { create_if_missing: false, ..test.options.clone() };
    let db = Db::open(&options, Path::new(EXPORT)).unwrap();
    assert_eq!(db.property(b"leveldb.num-files-at-level1").unwrap(), "2");
    assert_eq!(contents_of(&db, &db.default_column_family()), large_entries());
}

#[test]
fn an_export_has_the_order_of_its_family() {
    let options = Options { comparator: Arc::new(CaselessReverse), ..Options::default() };
    let (test, index) = with_family(options, &small_entries());
    export(&test, &index).unwrap();
    let mut expected = small_entries();
    expected.reverse();
    assert_eq!(contents_at(&test.options, Path::new(EXPORT)).unwrap(), expected);
    let bytewise = Options { comparator: Options::default().comparator, ..test.options.clone() };
    assert!(contents_at(&bytewise, Path::new(EXPORT)).is_err());
}

#[test]
fn an_export_shows_one_moment_while_others_write() {
    let (test, index) = with_family(Options::default(), &small_entries());
    let hold = FaultRule::new([FaultKind::Create]).path_suffix("000001.ldb").hold();
    let held = test.faults().add(hold);
    std::thread::scope(|scope| {
        let export = scope.spawn(|| export(&test, &index));
        assert!(held.wait_for_hits(1));
        let write = WriteOptions::default();
        test.db().put_cf(&index, &write, b"key 007", b"later").unwrap();
        test.db().delete_cf(&index, &write, b"key 040").unwrap();
        test.db().put_cf(&index, &write, b"new", b"later").unwrap();
        test.flush();
        test.db().compact_range_cf(&index, None, None).unwrap();
        held.release();
        export.join().unwrap().unwrap();
    });
    assert_eq!(contents_at(&test.options, Path::new(EXPORT)).unwrap(), small_entries());
}

/// Writes go on in the memtable that the export reads.
#[test]
fn an_export_leaves_out_what_is_written_while_it_reads() {
    let options = Options { max_file_size: 1 << 20, write_buffer_size: 64 << 20, ..Options::default() };
    let test = TestDb::crashable(options);
    let family = test.db().default_column_family();
    put_all(test.db(), &family, &large_entries());
    let second = FaultRule::new([FaultKind::Create]).path_suffix("000002.ldb").hold();
    let held = test.faults().add(second);
    std::thread::scope(|scope| {
        let export = scope.spawn(|| export(&test, &family));
        assert!(held.wait_for_hits(1));
        for (key, _) in large_entries() {
            test.put(&key, "later");
            test.put(format!("{key} new"), "later");
        }
        test.delete("key 011");
        held.release();
        export.join().unwrap().unwrap();
    });
    assert_eq!(contents_at(&test.options, Path::new(EXPORT)).unwrap(), large_entries());
}

#[test]
fn a_dropped_family_can_be_exported_as_long_as_there_is_a_handle() {
    let (test, index) = with_family(Options::default(), &small_entries());
    test.db().drop_column_family(&index).unwrap();
    export(&test, &index).unwrap();
    assert_eq!(contents_at(&test.options, Path::new(EXPORT)).unwrap(), small_entries());
}

/// The kind and the text of an error.
fn refused(result: Result<()>, kind: ErrorKind, text: &str) {
    let error = result.unwrap_err();
    assert!(error.kind() == kind && error.to_string().contains(text), "{error}");
}

#[test]
fn an_export_that_cannot_be_is_refused_and_nothing_changes() {
    let (test, index) = with_family(Options::default(), &small_entries());
    let other = TestDb::in_memory(Options::default());
    let env = &test.options.env;
    let foreign = other.db().default_column_family();
    refused(export(&test, &foreign), ErrorKind::InvalidArgument, "of another database");
    let to = |path: &str| test.db().export_leveldb(&index, Path::new(path));
    refused(to("/db"), ErrorKind::InvalidArgument, "its own directory");
    refused(to("/db/"), ErrorKind::InvalidArgument, "its own directory");
    refused(to(""), ErrorKind::InvalidArgument, "path of the directory is empty");
    refused(to("/missing/export"), ErrorKind::NotFound, "/missing/export");
    assert_eq!(names(env, Path::new(EXPORT)), None);
    for name in ["CURRENT", "LOCK", "LOG", "000017.log", "000017.sst", "MANIFEST-000001", "IDENTITY"] {
        env.create_dir(Path::new(EXPORT)).unwrap();
        test.write_file(&Path::new(EXPORT).join(name), b"theirs");
        refused(to(EXPORT), ErrorKind::InvalidArgument, "already");
        assert_eq!(names(env, Path::new(EXPORT)).unwrap(), [name]);
        assert_eq!(test.read_file(&Path::new(EXPORT).join(name)), b"theirs");
        env.remove_file(&Path::new(EXPORT).join(name)).unwrap();
    }
    // Files of others are left alone.
    test.write_file(&Path::new(EXPORT).join("README"), b"theirs");
    to(EXPORT).unwrap();
    assert_eq!(test.read_file(&Path::new(EXPORT).join("README")), b"theirs");
    refused(to(EXPORT), ErrorKind::InvalidArgument, "already");
    assert_eq!(contents_at(&test.options, Path::new(EXPORT)).unwrap(), small_entries());
    test.db().inner.close().unwrap();
    refused(to("/second"), ErrorKind::IoError, "is closed");
    assert_eq!(names(env, Path::new("/second")), None);
}

#[test]
fn an_export_of_a_damaged_table_fails_and_leaves_nothing() {
    for paranoid_checks in [false, true] {
        let options = Options { paranoid_checks, mmap_reads: false, ..Options::default() };
        let mut test = TestDb::crashable(options);
        put_all(test.db(), &test.db().default_column_family(), &large_entries());
        test.flush();
        test.close();
        let table = test.tables()[0].clone();
        test.corrupt(&table, 1000, 1);
        test.reopen();
        let default_family = test.db().default_column_family();
        refused(export(&test, &default_family), ErrorKind::Corruption, "export to /export");
        assert_eq!(names(&test.options.env, Path::new(EXPORT)), None);
    }
}

/// Disks that a crash at this point may leave.
fn choices(point: &CrashPoint) -> Vec<CrashChoice> {
    let mut choices = vec![CrashChoice::OnlySynced, CrashChoice::Everything];
    choices.extend((0..4).map(|seed| CrashChoice::Random { seed, garbage: true }));
    choices.extend(point.unsynced().into_iter().map(CrashChoice::DropOne));
    choices
}

#[test]
fn after_a_crash_an_export_is_whole_or_there_is_no_database() {
    let options = Options { max_file_size: 1 << 20, ..Options::default() };
    let (test, index) = with_family(options, &large_entries());
    let begin = test.disk().operation_count();
    export(&test, &index).unwrap();
    let end = test.disk().operation_count();
    let (mut whole, mut point) = (0, test.disk().crash_point(begin));
    for operations in begin..=end {
        point.advance_to(operations);
        for choice in choices(&point) {
            let disk = point.disk(choice);
            let options = Options { env: disk.shared(), ..test.options.clone() };
            let has_current = disk.shared().exists(&file_name::current(Path::new(EXPORT)));
            match contents_at(&options, Path::new(EXPORT)) {
                Ok(contents) => {
                    assert!(contents == large_entries(), "{choice:?} after {operations}");
                    whole += 1;
                }
                Err(error) => {
                    assert!(!has_current && operations < end, "{choice:?} after {operations}: {error}")
                }
            }
        }
    }
    assert!(whole > 2, "the last crashes leave the database");
}

/// Makes each operation in turn fail, among those of `run` whose path has `part`. `check` looks at what is
/// there afterwards. Returns the number of operations.
fn with_every_fault<T>(
    test: &TestDb,
    part: &str,
    mut run: impl FnMut(u64) -> Result<T>,
    mut check: impl FnMut(Result<T>),
) -> u64 {
    for nth in 1.. {
        let rule = FaultRule::any().path_contains(part).nth(nth).once().errno(libc::ENOSPC);
        let fault = test.faults().add(rule);
        let result = run(nth);
        let hit = fault.last_hit();
        drop(fault);
        test.recover();
        if let Err(error) = &result {
            assert!(hit.is_some() && error.is_no_space(), "{nth}: {error}, {hit:?}");
        }
        check(result);
        if hit.is_none() {
            return nth - 1;
        }
    }
    0
}

#[test]
fn after_every_error_of_an_export_everything_that_was_made_is_gone() {
    let options = Options { max_file_size: 1 << 20, ..Options::default() };
    let (test, index) = with_family(options, &large_entries());
    let disk = Options { env: test.disk().shared(), ..test.options.clone() };
    for exists in [false, true] {
        let prepare = || {
            if exists {
                disk.env.create_dir(Path::new(EXPORT)).unwrap();
            }
        };
        prepare();
        let failed = with_every_fault(
            &test,
            EXPORT,
            |_| export(&test, &index),
            |result| {
                let found = names(&disk.env, Path::new(EXPORT));
                match result {
                    Ok(()) => {
                        assert_eq!(contents_at(&disk, Path::new(EXPORT)).unwrap(), large_entries());
                        destroy(&disk, Path::new(EXPORT)).unwrap();
                        prepare();
                    }
                    Err(_) if exists => assert_eq!(found, Some(Vec::new())),
                    Err(error) => assert_eq!(found, None, "{error}"),
                }
            },
        );
        assert!(failed > 20, "{failed} operations");
    }
}

#[test]
fn a_crash_after_a_failed_export_finds_no_half_of_it() {
    let (test, index) = with_family(Options::default(), &small_entries());
    let begin = test.disk().operation_count();
    let sync = FaultRule::new([FaultKind::SyncDir]).path_suffix(EXPORT).nth(3).once().errno(libc::EIO);
    let fault = test.faults().add(sync);
    export(&test, &index).unwrap_err();
    assert_eq!(fault.hits(), 1, "the sync after the rename of CURRENT");
    let end = test.disk().operation_count();
    let mut point = test.disk().crash_point(begin);
    for operations in begin..=end {
        point.advance_to(operations);
        for choice in (0..30).map(|seed| CrashChoice::Random { seed, garbage: false }) {
            let disk = point.disk(choice);
            if disk.shared().exists(&file_name::current(Path::new(EXPORT))) {
                let options = Options { env: disk.shared(), ..test.options.clone() };
                let found = contents_at(&options, Path::new(EXPORT));
                assert_eq!(found.unwrap(), small_entries(), "{choice:?} after {operations}");
            }
        }
    }
}

/// A closed database at `SOURCE`, with tables and a WAL.
fn make_source(test: &TestDb, options: &Options, entries: &[(String, String)]) {
    let options = Options { env: test.disk().shared(), create_if_missing: true, ..options.clone() };
    let db = Db::open(&options, Path::new(SOURCE)).unwrap();
    let default_family = db.default_column_family();
    put_all(&db, &default_family, &[("key 000a".to_owned(), "gone".to_owned())]);
    let (in_tables, in_wal) = entries.split_at(entries.len() / 2);
    put_all(&db, &default_family, in_tables);
    db.flush().unwrap();
    put_all(&db, &default_family, in_wal);
    db.delete(&WriteOptions { sync: true }, b"key 000a").unwrap();
}

fn import(test: &TestDb, name: &str) -> Result<ColumnFamilyHandle> {
    test.db().import_leveldb(name, &test.options, Path::new(SOURCE))
}

/// The files of the source and their contents, without LOCK, LOG and LOG.old.
fn source_files(test: &TestDb) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = test.disk().files();
    let is_free = |path: &Path| {
        let kind = path.file_name().and_then(file_name::parse);
        matches!(kind, Some(FileType::Lock))
    };
    files.retain(|(path, _)| path.starts_with(SOURCE) && !is_free(path));
    files
}

fn open_with(test: &TestDb, options: &Options, name: &str) -> Result<(Db, ColumnFamilyHandle)> {
    let (db, mut handles) = Db::open_with_families(options, &test.path(), &[(name, options)])?;
    Ok((db, handles.remove(0)))
}

#[test]
fn an_import_makes_a_family_of_tables_and_wal_of_another_directory() {
    under_all_options_with_crashes(&Options::default(), |mut test| {
        make_source(&test, &test.options, &small_entries());
        let before = source_files(&test);
        test.put("key 003", "of the default family");
        let snapshot = test.db().snapshot();
        let index = import(&test, "index").unwrap();
        assert!(source_files(&test) == before, "the source does not change");
        assert_eq!((index.name(), index.id()), (&b"index"[..], 1));
        assert_eq!(contents_of(test.db(), &index), small_entries());
        let old = ReadOptions { snapshot: Some(&snapshot), ..ReadOptions::default() };
        let shown = test.db().get_cf(&index, &old, b"key 003").unwrap();
        assert_eq!(shown.as_deref(), Some(&b"value 3"[..]), "at the state before it too");
        drop(snapshot);
        assert_eq!(test.get("key 003").as_deref(), Some("of the default family"));
        assert_eq!(test.property("terrace.language"), "rocksdb");
        let level1 = test.db().property_cf(&index, b"leveldb.num-files-at-level1").unwrap();
        assert_eq!(level1, "1");
        assert!(test.tables().iter().any(|path| path.extension().unwrap() == "sst"));
        // It is written like any other.
        let write = WriteOptions::default();
        test.db().put_cf(&index, &write, b"key 003", b"later").unwrap();
        test.db().delete_cf(&index, &write, b"key 004").unwrap();
        drop(index);
        test.close();
        let (db, index) = open_with(&test, &test.options, "index").unwrap();
        let check = |db: &Db, index: &ColumnFamilyHandle| {
            let read = ReadOptions::default();
            assert_eq!(db.get_cf(index, &read, b"key 003").unwrap().as_deref(), Some(&b"later"[..]));
            assert_eq!(db.get_cf(index, &read, b"key 004").unwrap(), None);
            assert_eq!(contents_of(db, index).len(), 49);
        };
        check(&db, &index);
        db.flush().unwrap();
        check(&db, &index);
        db.compact_range_cf(&index, None, None).unwrap();
        check(&db, &index);
        db.drop_column_family(&index).unwrap();
        drop(index);
        eventually(|| test.tables().len() == 1); // that of the default family
        // The source is as good as before.
        assert_eq!(contents_at(&test.options, Path::new(SOURCE)).unwrap(), small_entries());
    });
}

#[test]
fn an_import_of_an_empty_database_makes_an_empty_family() {
    let test = TestDb::crashable(Options::default());
    drop(Db::open(&test.options, Path::new(SOURCE)).unwrap());
    let index = import(&test, "index").unwrap();
    assert_eq!(contents_of(test.db(), &index), []);
    assert!(test.tables().is_empty());
}

#[test]
fn an_import_of_much_data_has_several_tables_below_level_0() {
    // Also its WAL is larger than a memtable, and it has more WALs than an open keeps.
    let options = Options { max_file_size: 1 << 20, write_buffer_size: 64 << 10, ..Options::default() };
    let test = TestDb::crashable(options);
    let large = Options { write_buffer_size: 16 << 20, env: test.disk().shared(), ..test.options.clone() };
    let mut wals = 0;
    for part in large_entries().chunks(2) {
        let db = Db::open(&large, Path::new(SOURCE)).unwrap();
        put_all(&db, &db.default_column_family(), part);
        let disk = test.disk().crash_clone(CrashChoice::Everything);
        drop(db);
        // The WALs of all processes stay, as if each had been killed.
        for (path, contents) in disk.files().into_iter().filter(|(path, _)| path.starts_with(SOURCE)) {
            test.write_file(&path, &contents);
            wals += usize::from(path.extension().is_some_and(|end| end == "log"));
        }
    }
    assert!(wals > 4);
    let before = source_files(&test);
    let index = import(&test, "index").unwrap();
    assert!(source_files(&test) == before);
    assert_eq!(contents_of(test.db(), &index), large_entries());
    assert_eq!(test.db().property_cf(&index, b"leveldb.num-files-at-level1").unwrap(), "2");
}

#[test]
fn an_import_keeps_the_order_of_its_source() {
    let test = TestDb::crashable(Options::default());
    let reverse = Options { comparator: Arc::new(CaselessReverse), ..test.options.clone() };
    make_source(&test, &reverse, &small_entries());
    let before = source_files(&test);
    let with_another = import(&test, "index").map(drop);
    refused(with_another, ErrorKind::InvalidArgument, "does not match existing comparator");
    assert!(test.db().column_family("index").is_none());
    let index = test.db().import_leveldb("index", &reverse, Path::new(SOURCE)).unwrap();
    let mut expected = small_entries();
    expected.reverse();
    assert_eq!(contents_of(test.db(), &index), expected);
    assert!(source_files(&test) == before);
}

#[test]
fn an_import_that_cannot_be_is_refused_and_nothing_changes() {
    let mut test = TestDb::crashable(Options::default());
    let (env, options) = (test.disk().shared(), test.options.clone());
    let count = |test: &TestDb| (test.tables().len(), test.files(|_| true).len());
    let before = count(&test);
    let into = |test: &TestDb, name: &str| import(test, name).map(drop);
    refused(into(&test, "index"), ErrorKind::InvalidArgument, "import of /source: there is no database");
    assert_eq!(names(&env, Path::new(SOURCE)), None, "it is not created");
    env.create_dir(Path::new(SOURCE)).unwrap();
    refused(into(&test, "index"), ErrorKind::InvalidArgument, "there is no database");
    assert_eq!(names(&env, Path::new(SOURCE)).unwrap(), Vec::<String>::new());

    make_source(&test, &options, &small_entries());
    refused(into(&test, ""), ErrorKind::InvalidArgument, "is empty");
    refused(into(&test, "default"), ErrorKind::InvalidArgument, "exists already");
    let itself = test.db().import_leveldb("index", &options, &test.path()).map(drop);
    refused(itself, ErrorKind::IoError, "already held");
    let open = Db::open(&Options { env: env.clone(), ..options.clone() }, Path::new(SOURCE)).unwrap();
    refused(into(&test, "index"), ErrorKind::IoError, "already held");
    drop(open.create_column_family("more", &options).unwrap());
    drop(open);
    refused(into(&test, "index"), ErrorKind::NotSupported, "it has: more");
    assert_eq!(count(&test), before);
    assert_eq!(test.property("terrace.language"), "leveldb");
    assert!(test.db().column_family("index").is_none());

    let forbidding = Options { language: LanguagePolicy::LevelDb, ..options.clone() };
    test.close();
    let db = Db::open(&forbidding, &test.path()).unwrap();
    let error = db.import_leveldb("index", &options, Path::new(SOURCE)).map(drop);
    refused(error, ErrorKind::NotSupported, "language");
    db.inner.close().unwrap();
    let error = db.import_leveldb("index", &options, Path::new(SOURCE)).map(drop);
    refused(error, ErrorKind::IoError, "is closed");
}

#[test]
fn a_directory_in_rocksdbs_language_with_one_family_is_imported() {
    let test = TestDb::crashable(Options::default());
    let options = Options { language: LanguagePolicy::RocksDb, ..test.options.clone() };
    make_source(&test, &options, &small_entries());
    let index = import(&test, "index").unwrap();
    assert_eq!(contents_of(test.db(), &index), small_entries());
}

#[test]
fn an_import_of_anything_damaged_fails_and_leaves_nothing() {
    let mut test = TestDb::crashable(Options { mmap_reads: false, ..Options::default() });
    make_source(&test, &test.options, &small_entries());
    let files = source_files(&test);
    let tables = test.files(|_| true);
    for (path, contents) in files {
        let is_damaged = |kind| matches!(kind, FileType::Table(_) | FileType::Log(_) | FileType::Manifest(_));
        if !file_name::parse(path.file_name().unwrap()).is_some_and(is_damaged) {
            continue;
        }
        let mut damaged = contents.clone();
        damaged[20] ^= 0x55;
        test.write_file(&path, &damaged);
        let before = source_files(&test);
        let error = import(&test, "index").map(drop);
        refused(error, ErrorKind::Corruption, "import of /source");
        assert!(source_files(&test) == before);
        assert_eq!(test.files(|_| true), tables, "{}", path.display());
        test.write_file(&path, &contents);
    }
    let index = import(&test, "index").unwrap();
    assert_eq!(contents_of(test.db(), &index), small_entries());
    drop(index);
    test.close();
}

#[test]
fn after_a_crash_an_imported_family_is_there_whole_or_not_at_all() {
    for is_switched in [false, true] {
        let test = TestDb::crashable(Options { max_file_size: 1 << 20, ..Options::default() });
        make_source(&test, &test.options, &large_entries());
        if is_switched {
            let other = test.db().create_column_family("other", &test.options).unwrap();
            test.db().drop_column_family(&other).unwrap();
        }
        test.put_synced("key", "value").unwrap();
        let before = source_files(&test);
        let begin = test.disk().operation_count();
        drop(import(&test, "index").unwrap());
        let end = test.disk().operation_count();
        let mut found = [0, 0];
        let mut point = test.disk().crash_point(begin);
        for operations in begin..=end {
            point.advance_to(operations);
            for choice in choices(&point) {
                let disk = point.disk(choice);
                let is_there = check_after_crash(&test, &disk, &format!("{choice:?} after {operations}"));
                assert!(is_there || operations < end, "{choice:?} after {operations}");
                found[usize::from(is_there)] += 1;
            }
        }
        assert!(found[0] > 10 && found[1] > 2, "{found:?}");
        assert!(source_files(&test) == before);
    }
}

/// Opens what a crash has left. Returns whether the family is there; then it is whole. No table is left that
/// no family has.
fn check_after_crash(test: &TestDb, disk: &MemEnv, when: &str) -> bool {
    let options = Options { env: disk.shared(), paranoid_checks: true, ..test.options.clone() };
    let listed = Db::list_column_families(&options, &test.path()).unwrap();
    let is_there = listed.iter().any(|name| name == b"index");
    let (db, live) = match is_there {
        true => {
            let (db, index) = open_with(test, &options, "index").unwrap();
            assert!(contents_of(&db, &index) == large_entries(), "{when}");
            (db, 2)
        }
        false => (Db::open(&options, &test.path()).unwrap_or_else(|error| panic!("{when}: {error}")), 0),
    };
    let value = db.get(&ReadOptions::default(), b"key").unwrap();
    assert_eq!(value.as_deref(), Some(&b"value"[..]), "{when}");
    db.flush().unwrap(); // what the open has found to be obsolete is removed
    db.inner.remove_obsolete_files();
    let children = options.env.children(&test.path()).unwrap();
    let tables = children.iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "sst"));
    let of_default = usize::from(db.property(b"terrace.language").unwrap() == "rocksdb");
    let tables = tables.count();
    assert!(tables <= live + of_default, "{when}: {tables} tables");
    is_there
}

#[test]
fn after_every_error_of_an_import_no_table_is_left_behind() {
    for part in [SOURCE, "/db"] {
        let test = TestDb::crashable(Options { max_file_size: 1 << 20, ..Options::default() });
        make_source(&test, &test.options, &large_entries());
        let before = source_files(&test);
        // Switched already: the failure of a switch is that of a creation.
        let other = test.db().create_column_family("other", &test.options).unwrap();
        test.db().drop_column_family(&other).unwrap();
        drop(other);
        let failed = with_every_fault(
            &test,
            part,
            |nth| import(&test, &format!("index {nth}")),
            |result| match result {
                Ok(index) => {
                    assert_eq!(contents_of(test.db(), &index), large_entries());
                    test.db().drop_column_family(&index).unwrap();
                }
                Err(_) => assert_eq!(test.db().inner.state.lock().versions.families().count(), 1),
            },
        );
        assert!(failed > 8, "{failed} operations of {part}");
        test.recover();
        eventually(|| test.tables().is_empty());
        assert!(source_files(&test) == before);
        let index = import(&test, "index").unwrap();
        assert_eq!(contents_of(test.db(), &index), large_entries());
    }
}

#[test]
fn an_export_is_imported_again() {
    let (test, index) = with_family(Options::default(), &small_entries());
    export(&test, &index).unwrap();
    let again = test.db().import_leveldb("again", &test.options, Path::new(EXPORT)).unwrap();
    assert_eq!(contents_of(test.db(), &again), small_entries());
    let _: Error = export(&test, &again).unwrap_err(); // it exists
}
