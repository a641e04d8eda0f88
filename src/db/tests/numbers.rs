//! Numbers at the ends of their ranges: file numbers, in names and in MANIFESTs, and sequence numbers.

use super::TestDb;
use crate::db::repair;
use crate::error::ErrorKind;
use crate::format::file_name::FileType;
use crate::format::internal_key::MAX_SEQUENCE;
use crate::language::Language;
use crate::options::{Options, WriteOptions};
use crate::version::manifest::{self, ManifestWriter};
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::FILE_NUMBER_LIMIT;
use std::path::PathBuf;

/// Appends an edit to the MANIFEST of the closed database.
fn append_edit(test: &TestDb, edit: &VersionEdit) {
    let env = &test.options.env;
    let found = manifest::recover(env, &test.path, &mut |_| Ok(())).expect("a MANIFEST");
    let writer = ManifestWriter::reopen(env, &test.path, found.number, found.file_size, Language::LevelDb);
    writer
        .and_then(|mut writer| writer.append(std::slice::from_ref(edit)).and_then(|()| writer.close()))
        .expect("an edit");
}

/// The contents of every file except the info logs.
fn files(test: &TestDb) -> Vec<(PathBuf, Vec<u8>)> {
    let files = test.disk().files().into_iter();
    files
        .filter(|(path, _)| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"LOG")))
        .collect()
}

#[test]
fn a_stray_file_with_a_huge_number_never_makes_an_opening_fail() {
    let numbers =
        [u64::MAX.to_string(), (u128::from(u64::MAX) + 1).to_string(), "9".repeat(30)].into_iter().chain(
            [48, 61, 62, 63].into_iter().flat_map(|bits| {
                (-3..=3i64).map(move |by| (1u64 << bits).wrapping_add_signed(by).to_string())
            }),
        );
    for number in numbers {
        for name in [
            format!("{number}.ldb"),
            format!("{number}.sst"),
            format!("{number}.log"),
            format!("{number}.dbtmp"),
            format!("MANIFEST-{number}"),
        ] {
            for reuse_logs in [false, true] {
                let mut test = TestDb::in_memory(Options { reuse_logs, ..Options::default() });
                test.put("before", "1");
                test.close();
                test.write_file(&test.path.join(&name), b"");
                for round in 0..5 {
                    test.try_reopen().unwrap_or_else(|error| panic!("{name}, opening {round}: {error}"));
                    assert_eq!(test.get("before").as_deref(), Some("1"), "{name}");
                    test.put(format!("{round}"), "2");
                    test.flush();
                    test.put(format!("{round} in the log"), "3");
                    test.close();
                }
                test.reopen();
                assert_eq!(test.contents().len(), 11, "{name}");
            }
        }
    }
}

#[test]
fn a_log_with_a_stray_number_is_replayed_once() {
    for reuse_logs in [false, true] {
        let mut test = TestDb::in_memory(Options { reuse_logs, ..Options::default() });
        test.put("key", "old");
        test.close();
        let log = test.logs().pop().expect("a log");
        let contents = test.read_file(&log);
        test.options.env.remove_file(&log).expect("removed");
        test.write_file(&test.path.join("4611686018427387905.log"), &contents);
        test.reopen();
        assert_eq!(test.get("key").as_deref(), Some("old"));
        test.put("key", "new");
        test.rewrite_all();
        for _ in 0..2 {
            test.reopen();
            assert_eq!(test.get("key").as_deref(), Some("new"));
            assert!(test.logs().iter().all(|log| log.as_os_str().len() < 30), "{:?}", test.logs());
        }
    }
}

#[test]
fn a_log_whose_name_has_other_zeros_is_left_alone() {
    let mut test = TestDb::in_memory(Options::default());
    test.put("key", "value");
    test.close();
    for name in ["77.log", "00000000077.log"] {
        test.write_file(&test.path.join(name), b"something");
    }
    test.reopen();
    assert_eq!(test.get("key").as_deref(), Some("value"));
}

#[test]
fn a_log_number_above_the_next_file_number_hides_no_later_log() {
    let mut test = TestDb::in_memory(Options::default());
    test.put("key", "value");
    test.flush();
    test.close();
    append_edit(&test, &VersionEdit { log_number: Some(1000), ..VersionEdit::default() });
    for round in 0..3 {
        test.reopen();
        test.put_synced(format!("{round}"), "value").expect("a put");
        test.close();
    }
    test.reopen();
    assert_eq!(test.contents().len(), 4);
}

#[test]
fn numbers_of_a_manifest_that_leave_no_higher_ones_are_refused_and_nothing_changes() {
    let limit = FILE_NUMBER_LIMIT;
    let next = |number| VersionEdit { next_file_number: Some(number), ..VersionEdit::default() };
    let log = |number| VersionEdit { log_number: Some(number), ..VersionEdit::default() };
    let previous = |number| VersionEdit { prev_log_number: Some(number), ..VersionEdit::default() };
    for (edit, what) in [
        (next(limit + 1), "next file number"),
        (next(limit), "used up its file numbers"),
        (next(limit - 1), "used up its file numbers"),
        (log(limit), "log number"),
        (log(limit - 1), "used up its file numbers"),
        (log(i64::MAX as u64), "log number"),
        (previous(limit), "previous log number"),
    ] {
        let mut test = TestDb::in_memory(Options::default());
        test.put("key", "value");
        test.flush();
        test.close();
        append_edit(&test, &edit);
        let before = files(&test);
        let error = test.try_reopen().unwrap_err();
        assert!(error.message().contains(what) && error.message().contains("repair"), "{error}");
        assert!(files(&test) == before, "{what}: files have changed");
        repair(&test.options, &test.path).expect("a repair");
        for _ in 0..3 {
            test.reopen();
            assert_eq!(test.get("key").as_deref(), Some("value"), "{what}");
            test.put("other", "value");
            test.flush();
        }
    }
}

#[test]
fn when_file_numbers_are_used_up_nothing_is_lost_and_a_repair_counts_anew() {
    let mut test = TestDb::in_memory(Options::default());
    test.put("key", "value");
    test.flush();
    test.close();
    append_edit(
        &test,
        &VersionEdit { next_file_number: Some(FILE_NUMBER_LIMIT - 20), ..VersionEdit::default() },
    );
    let mut written = 1;
    'used_up: loop {
        if let Err(error) = test.try_reopen() {
            assert!(error.message().contains("used up its file numbers"), "{error}");
            break;
        }
        assert_eq!(test.contents().len(), written);
        for _ in 0..3 {
            assert!(written < 200, "the numbers are never used up");
            if test.try_put(format!("{written}"), "value").is_err() {
                test.close();
                continue 'used_up;
            }
            written += 1;
            if test.db().flush().is_err() {
                break;
            }
        }
        test.close();
    }
    repair(&test.options, &test.path).expect("a repair");
    test.reopen();
    assert_eq!(test.contents().len(), written);
    let is_small = |kind| matches!(kind, FileType::Table(number) | FileType::Log(number) if number < 1000);
    assert_eq!(test.files(is_small).len(), test.tables().len() + test.logs().len());
}

#[test]
fn without_sequence_numbers_writes_are_refused_before_the_log_is_touched_and_reads_work() {
    for left in 0..4 {
        let mut test = TestDb::in_memory(Options::default());
        test.put("key", "value");
        test.flush();
        test.close();
        append_edit(
            &test,
            &VersionEdit { last_sequence: Some(MAX_SEQUENCE - left), ..VersionEdit::default() },
        );
        let mut written = 0;
        for round in 0..3 {
            test.reopen();
            loop {
                let log = test.logs().pop().expect("a log");
                let before = test.read_file(&log);
                let Err(error) = test.try_put(format!("{written}"), "value") else {
                    written += 1;
                    continue;
                };
                assert_eq!(error.kind(), ErrorKind::NotSupported);
                assert!(error.message().contains("sequence numbers") && error.message().contains("copy it"));
                assert!(test.read_file(&log) == before, "the log has changed");
                break;
            }
            // An empty batch needs a sequence number too. Whatever the result, the WAL stays readable.
            let empty = crate::batch::write_batch::WriteBatch::new();
            let result = test.db().write(&WriteOptions { sync: true }, &empty);
            assert_eq!(result.is_err(), left == 0, "{result:?}");
            assert_eq!(written, left.saturating_sub(1), "{left} left, opening {round}");
            assert_eq!(test.contents().len() as u64, written + 1);
            assert_eq!(test.get("key").as_deref(), Some("value"));
            test.db().compact_range(None, None).expect("a compaction");
            test.options.paranoid_checks = round == 1;
        }
    }
}
