//! Exports: what they have, what is refused, crashes, and failures.

use super::*;

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
