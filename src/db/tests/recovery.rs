//! The contents after a clean close, with all kinds of files.

use super::{TestDb, under_all_options};
use crate::batch::write_batch::WriteBatch;
use crate::env::{CreateMode, LogFileOptions};
use crate::format::file_name;
use crate::language::Language;
use crate::options::Options;
use crate::record::writer::RecordWriter;
use crate::version::manifest;
use crate::wal::writer::WalWriter;
use std::path::PathBuf;

#[test]
fn what_was_written_is_there_however_often_it_is_reopened() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "v1");
        test.put("baz", "v5");
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("v1"));
        assert_eq!(test.get("baz").as_deref(), Some("v5"));
        test.put("bar", "v2");
        test.put("foo", "v3");
        for round in 4..8 {
            test.reopen();
            assert_eq!(test.get("bar").as_deref(), Some("v2"));
            assert_eq!(test.get("baz").as_deref(), Some("v5"));
            assert_eq!(test.get("foo"), Some(format!("v{}", round - 1)));
            test.put("foo", format!("v{round}"));
            assert_eq!(test.get("foo"), Some(format!("v{round}")));
        }
    });
}

#[test]
fn an_empty_log_takes_nothing_away() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "v1");
        test.put("foo", "v2");
        test.reopen();
        test.reopen();
        test.put("foo", "v3");
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("v3"));
    });
}

#[test]
fn a_log_larger_than_the_buffer_becomes_several_tables() {
    under_all_options(&Options::default(), |mut test| {
        let values = [("big1", 200_000), ("big2", 200_000), ("small3", 10), ("small4", 10)];
        for (key, length) in values {
            test.put(key, key.repeat(length));
        }
        assert_eq!(test.files_per_level(), [0; 0]);
        test.options.write_buffer_size = 100_000;
        test.reopen();
        // One for each big value, and one for the rest if the WAL is not reused.
        assert_eq!(test.files_at(0), 3);
        for (key, length) in values {
            assert!(test.get(key) == Some(key.repeat(length)));
        }
    });
}

#[test]
fn the_manifest_goes_on_where_logs_are_reused_or_nothing_was_written() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.close();
        let mut before = test.manifests();
        assert_eq!(before.len(), 1);
        for has_log in [true, false, false] {
            test.reopen();
            test.settle();
            assert_eq!(test.manifests() == before, test.options.reuse_logs || !has_log);
            before = test.manifests();
            assert_eq!(before.len(), 1);
            assert_eq!(test.get("foo").as_deref(), Some("bar"));
        }
    });
}

/// At open, LevelDB gives the next file number of the MANIFEST to a new MANIFEST. When that number was once
/// the MANIFEST's own, LevelDB overwrote the MANIFEST that CURRENT named, and a kill at that moment left
/// none.
#[test]
fn the_next_file_number_is_above_that_of_the_manifest() {
    under_all_options(&Options::default(), |mut test| {
        for round in 0..8 {
            test.put("foo", "bar");
            match round % 4 {
                0 | 1 => test.flush(),
                2 => test.db().compact_range(None, None).expect("a compaction"),
                _ => {}
            }
            test.settle();
            let mut last = None;
            let recovered = manifest::recover(&test.options.env, &test.path, &mut |edit| {
                last = edit.next_file_number.or(last);
                Ok(())
            });
            let recovered = recovered.expect("a MANIFEST");
            assert!(last > Some(recovered.number), "{last:?} in MANIFEST {}", recovered.number);
            test.reopen();
        }
    });
}

#[test]
fn an_oversized_manifest_is_replaced_by_a_small_one() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.close();
        let old = test.manifests().pop().unwrap();
        // Space that was never written, as a preallocated file has after its end.
        let mut contents = test.read_file(&old);
        contents.resize(3 << 20, 0);
        test.write_file(&old, &contents);
        test.reopen();
        test.settle();
        let new = test.manifests().pop().unwrap();
        assert_ne!(new, old);
        assert_eq!(test.manifests().len(), 1);
        assert!(test.file_size(&new) < 10_000);
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
        test.reopen();
        assert_eq!(test.manifests(), [new]);
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
    });
}

#[test]
fn without_its_logs_a_database_opens_as_its_tables_say() {
    under_all_options(&Options::default(), |mut test| {
        test.put("kept", "in a table");
        test.flush();
        test.put("foo", "bar");
        test.close();
        assert_eq!(test.logs().len(), 1);
        for log in test.logs() {
            std::fs::remove_file(log).unwrap();
        }
        for _ in 0..2 {
            test.reopen();
            assert_eq!(test.get("foo"), None);
            assert_eq!(test.get("kept").as_deref(), Some("in a table"));
        }
    });
}

#[test]
fn a_log_is_written_on_where_logs_are_reused() {
    under_all_options(&Options::default(), |mut test| {
        for flushed in [true, false] {
            test.put("foo", format!("flushed: {flushed}"));
            if flushed {
                test.flush();
            }
            test.close();
            let before = test.logs();
            assert_eq!(before.len(), 1);
            let size = test.file_size(&before[0]);
            assert_eq!(size == 0, flushed);
            for _ in 0..2 {
                test.reopen();
                test.settle();
                assert_eq!(test.logs().len(), 1);
                if test.options.reuse_logs {
                    assert_eq!(test.logs(), before);
                    assert_eq!(test.file_size(&before[0]), size);
                } else {
                    assert!(test.logs()[0] > before[0]);
                }
                assert_eq!(test.get("foo"), Some(format!("flushed: {flushed}")));
            }
        }
        // Appended records are recovered together with the earlier ones.
        test.put("more", "v");
        test.reopen();
        assert_eq!(test.contents().len(), 2);
    });
}

#[test]
fn one_log_that_fills_several_memtables_becomes_several_tables() {
    const COUNT: usize = 3000;
    under_all_options(&Options::default(), |mut test| {
        let key = |i| format!("{i:050}");
        for i in 0..COUNT {
            test.put(key(i), key(i));
        }
        assert!(test.tables().is_empty());
        test.close();
        assert!(test.tables().is_empty());
        let old = test.logs();
        assert_eq!(old.len(), 1);
        test.options.write_buffer_size = COUNT * 100 / 2;
        test.reopen();
        test.settle();
        assert!(test.tables().len() >= 2);
        assert_eq!(test.logs().len(), 1);
        assert_ne!(test.logs(), old, "a log whose beginning is in tables is not written on");
        for i in 0..COUNT {
            assert_eq!(test.get(key(i)), Some(key(i)));
        }
    });
}

/// Makes a WAL of one batch, as a killed process leaves it.
fn make_log(test: &TestDb, number: u64, sequence: u64, key: &str, value: &str) {
    let env = &test.options.env;
    let options = LogFileOptions { mapped: false, expected_size: 0 };
    let mut batch = WriteBatch::new();
    batch.put(key.as_bytes(), value.as_bytes());
    batch.set_sequence(sequence);
    let mut log = WalWriter::create(env, &test.path(), number, options, sequence - 1).unwrap();
    log.add_record(batch.rep()).unwrap();
    log.close().unwrap();
}

fn number_of(log: &std::path::Path) -> u64 {
    log.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn several_logs_are_replayed_in_order_and_stale_ones_are_not() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.close();
        let old = number_of(&test.logs()[0]);
        make_log(&test, old + 1, 2, "hello", "world");
        make_log(&test, old + 2, 3, "hi", "there");
        make_log(&test, old + 3, 4, "foo", "bar2");
        let check = |test: &TestDb| {
            for (key, value) in [("foo", "bar2"), ("hello", "world"), ("hi", "there")] {
                assert_eq!(test.get(key).as_deref(), Some(value));
            }
            test.settle();
            assert_eq!(test.logs().len(), 1);
            assert!(!test.tables().is_empty());
        };
        test.reopen();
        check(&test);
        assert!(number_of(&test.logs()[0]) >= old + 3);
        test.reopen();
        check(&test);
        // An older WAL that a crash restored is not replayed again.
        test.close();
        make_log(&test, old + 1, 2000, "hello", "stale write");
        test.reopen();
        check(&test);
    });
}

#[test]
fn a_missing_manifest_is_corruption() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.close();
        let manifest = test.manifests().pop().unwrap();
        let contents = test.read_file(&manifest);
        std::fs::remove_file(&manifest).unwrap();
        let error = test.try_reopen().unwrap_err();
        assert!(error.is_corruption(), "{error}");
        assert!(error.to_string().contains("CURRENT points to a non-existent file"), "{error}");
        test.write_file(&manifest, &contents);
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
    });
}

/// LevelDB before 2011 named a second WAL that is still needed.
#[test]
fn the_previous_log_that_an_old_manifest_names_is_replayed() {
    use crate::version::version_edit::VersionEdit;
    let mut test = TestDb::new(Options::default());
    test.put("old", "from the previous log");
    test.close();
    let previous = number_of(&test.logs()[0]);
    let edit = VersionEdit {
        log_number: Some(previous + 10),
        prev_log_number: Some(previous),
        next_file_number: Some(previous + 11),
        last_sequence: Some(0),
        ..VersionEdit::default()
    };
    let manifest: PathBuf = test.manifests().pop().unwrap();
    let size = test.file_size(&manifest);
    let file = test.options.env.create_writable(&manifest, CreateMode::Append).unwrap();
    let mut writer = RecordWriter::new(file, size);
    let mut record = Vec::new();
    edit.encode(Language::LevelDb, &mut record);
    writer.add_record(&record).unwrap();
    writer.close().unwrap();
    test.reopen();
    assert_eq!(test.get("old").as_deref(), Some("from the previous log"));
    test.settle();
    assert!(!test.options.env.exists(&file_name::log(&test.path(), previous)));
}
