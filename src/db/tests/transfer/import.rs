//! Imports: what they have, what is refused, crashes, and failures.

use super::*;

const SOURCE: &str = "/source";

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

/// The files of the source and their contents, without LOCK.
fn source_files(test: &TestDb) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = test.disk().files();
    files.retain(|(path, _)| path.starts_with(SOURCE) && !path.ends_with("LOCK"));
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
            |result| {
                match result {
                    Ok(index) => {
                        assert_eq!(contents_of(test.db(), &index), large_entries());
                        test.db().drop_column_family(&index).unwrap();
                    }
                    Err(_) => assert_eq!(test.db().inner.state.lock().versions.families().count(), 1),
                }
                // Before the next fault: a file whose removal fails stays until the next opening.
                eventually(|| test.tables().is_empty());
            },
        );
        assert!(failed > 8, "{failed} operations of {part}");
        test.recover();
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
