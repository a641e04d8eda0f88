//! WALs that another library wrote, and what a power cut leaves of them. LevelDB syncs each WAL separately,
//! so a younger WAL may be complete although an older one has lost its end. A file that is not understood is
//! never removed.

use super::TestDb;
use crate::batch::write_batch::WriteBatch;
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::mem::CrashChoice;
use crate::env::{CreateMode, WritableFile};
use crate::format::file_name::{self, FileType};
use crate::language::Language;
use crate::options::Options;
use crate::record::BLOCK_SIZE;
use crate::record::writer::RecordWriter;
use crate::version::manifest::ManifestWriter;
use crate::version::version_edit::VersionEdit;
use crate::wal::marker;
use std::path::PathBuf;

type Batch<'a> = (u64, &'a [(&'a str, &'a str)]);

fn written(
    test: &TestDb,
    batches: &[Batch<'_>],
    writer: fn(Box<dyn WritableFile>) -> RecordWriter,
) -> Vec<u8> {
    let path = test.path().join("forged");
    let mut writer = writer(test.options.env.create_writable(&path, CreateMode::New).unwrap());
    for (sequence, entries) in batches {
        let mut batch = WriteBatch::new();
        entries.iter().for_each(|(key, value)| batch.put(key.as_bytes(), value.as_bytes()));
        batch.set_sequence(*sequence);
        writer.add_record(batch.rep()).unwrap();
    }
    writer.close().unwrap();
    let bytes = test.read_file(&path);
    test.options.env.remove_file(&path).unwrap();
    bytes
}

/// A WAL as LevelDB writes it.
fn theirs(test: &TestDb, batches: &[Batch<'_>]) -> Vec<u8> {
    written(test, batches, |file| RecordWriter::new(file, 0))
}

/// A WAL of ours, whose marker says that 10 was the last sequence number written before it.
fn ours_after_10(test: &TestDb, batches: &[Batch<'_>]) -> Vec<u8> {
    written(test, batches, |file| RecordWriter::with_prologue(file, marker::encode(11)))
}

/// A closed database whose MANIFEST has these counters, and that has no other files.
fn forged(last_sequence: u64, prev_log_number: u64, log_number: u64) -> TestDb {
    let mut test = TestDb::in_memory(Options { reuse_logs: false, ..Options::default() });
    test.close();
    for file in test.files_but_info_log() {
        test.options.env.remove_file(&file).unwrap();
    }
    let edit = VersionEdit {
        comparator: Some(test.options.comparator.name()),
        log_number: Some(log_number),
        prev_log_number: Some(prev_log_number),
        next_file_number: Some(100),
        last_sequence: Some(last_sequence),
        ..VersionEdit::default()
    };
    assert!(ManifestWriter::create(&test.options.env, &test.path(), 2, Language::LevelDb, &[edit]).is_ok());
    test
}

fn put_log(test: &TestDb, number: u64, bytes: &[u8]) -> PathBuf {
    let path = file_name::log(&test.path(), number);
    test.write_file(&path, bytes);
    path
}

fn keys(test: &TestDb) -> String {
    test.contents().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(" ")
}

fn lost_logs(test: &TestDb) -> Vec<String> {
    let mut names = test.options.env.children(&test.path().join("lost")).unwrap_or_default();
    names.sort();
    names.iter().map(|name| name.to_string_lossy().into_owned()).collect()
}

const OLD: [Batch<'static>; 3] = [(1, &[("old1", "v")]), (2, &[("old2", "v")]), (3, &[("old3", "v")])];
const SYNCED: [Batch<'static>; 2] = [(4, &[("synced4", "v")]), (5, &[("synced5", "v")])];

/// What a power cut may make of a WAL that was not synced: its first `kept` records, followed by nothing,
/// zeros or garbage.
fn damaged(whole: &[u8], kept: &[u8]) -> [Vec<u8>; 6] {
    let end = kept.len();
    let mut garbage = whole.to_vec();
    garbage[end..].iter_mut().for_each(|byte| *byte ^= 0xa5);
    [
        kept.to_vec(),
        whole[..end + 9].to_vec(),
        [kept, &[0; 20]].concat(),
        [&whole[..end + 9], &[0; BLOCK_SIZE]].concat(),
        [kept, &vec![0; 3 * BLOCK_SIZE]].concat(),
        garbage,
    ]
}

#[test]
fn a_synced_log_of_leveldbs_is_found_though_the_older_one_lost_its_end() {
    for kept in [0, 1, 2] {
        for case in 0..6 {
            let mut test = forged(0, 0, 3);
            let (whole, part) = (theirs(&test, &OLD), theirs(&test, &OLD[..kept]));
            let old = &damaged(&whole, &part)[case];
            put_log(&test, 3, old);
            put_log(&test, 5, &theirs(&test, &SYNCED));
            put_log(&test, 7, &theirs(&test, &[(6, &[("synced6", "v")])]));
            let mut expected: Vec<_> = ["old1", "old2", "old3"][..kept].to_vec();
            expected.extend(["synced4", "synced5", "synced6"]);
            for _ in 0..3 {
                test.reopen();
                assert_eq!(keys(&test), expected.join(" "), "{kept} records kept, case {case}");
                test.settle();
            }
            // Garbage may look like a torn end, or not.
            assert!(lost_logs(&test).is_empty() || (case == 5 && lost_logs(&test) == ["000003.log"]));
        }
    }
}

#[test]
fn paranoid_checks_refuse_a_gap_before_a_log_and_change_nothing() {
    let mut test = forged(0, 0, 3);
    put_log(&test, 3, &theirs(&test, &OLD[..1]));
    put_log(&test, 5, &theirs(&test, &SYNCED));
    let all = |test: &TestDb| -> Vec<_> {
        let mut files = test.files(|file| !matches!(file, FileType::InfoLog | FileType::Lock));
        files.sort();
        files.into_iter().map(|file| (test.read_file(&file), file)).collect()
    };
    let before = all(&test);
    test.options.paranoid_checks = true;
    let error = test.try_reopen().unwrap_err();
    assert!(error.is_corruption() && error.to_string().contains("000005.log"), "{error}");
    assert!(all(&test) == before);
    test.options.paranoid_checks = false;
    test.reopen();
    assert_eq!(keys(&test), "old1 synced4 synced5");
    assert!(test.property("terrace.recovery-damage").contains("entries are missing before this log"));
}

/// The answers are LevelDB's, for each of the shapes that its WALs were reported to have.
#[test]
fn logs_of_leveldbs_with_gaps_and_numbers_that_go_back_are_replayed() {
    let one = |sequence, key| (sequence, vec![(key, "v")]);
    type Log<'a> = Vec<(u64, Vec<(&'a str, &'a str)>)>;
    let cases: [(&str, u64, Vec<Log<'_>>, &str); 9] = [
        ("a gap within a log", 5, vec![vec![one(6, "a"), one(11, "d"), one(12, "e")]], "a d e"),
        ("the MANIFEST counts into the log", 8, vec![vec![one(6, "a"), one(9, "d")]], "a d"),
        ("the MANIFEST counts beyond the log", 50, vec![vec![one(6, "a"), one(9, "d")]], "a d"),
        ("a gap before the log", 5, vec![vec![one(20, "a"), one(21, "b")]], "a b"),
        ("a gap between logs", 5, vec![vec![one(6, "a")], vec![one(10, "b")]], "a b"),
        ("numbers go back between logs", 5, vec![vec![one(6, "a"), one(7, "x")], vec![one(6, "b")]], "a b x"),
        ("numbers go back within a log", 5, vec![vec![one(6, "a"), one(7, "x"), one(6, "b")]], "a b x"),
        ("all at 0", 0, vec![vec![one(0, "a"), one(0, "b")], vec![one(0, "c")]], "a b c"),
        ("empty batches", 5, vec![vec![one(6, "a")], vec![(9, vec![]), one(9, "b")]], "a b"),
    ];
    for (case, last_sequence, logs, expected) in cases {
        let mut test = forged(last_sequence, 0, 3);
        for (number, batches) in (3..).zip(&logs) {
            let batches: Vec<Batch<'_>> =
                batches.iter().map(|(number, entries)| (*number, &entries[..])).collect();
            put_log(&test, number, &theirs(&test, &batches));
        }
        for _ in 0..2 {
            test.reopen();
            assert_eq!(keys(&test), expected, "{case}");
            test.put("written", "since");
            assert_eq!(test.get("written").as_deref(), Some("since"), "{case}");
            test.delete("written");
        }
        test.settle();
        assert!(lost_logs(&test).is_empty(), "{case}");
        assert!(test.logs().len() <= 2, "{case}");
    }
}

#[test]
fn of_entries_with_the_same_number_the_one_written_last_is_seen() {
    let cases: [(&[&[Batch<'_>]], &str); 4] = [
        (&[&[(6, &[("a", "1")]), (6, &[("a", "2")])]], "2"),
        (&[&[(6, &[("a", "1")])], &[(6, &[("a", "2")])]], "2"),
        (&[&[(6, &[("a", "1")]), (7, &[("a", "2")]), (6, &[("a", "3")])]], "2"), // the higher number
        (&[&[(6, &[("a", "1")]), (7, &[("a", "2")])], &[(6, &[("a", "1")])]], "2"),
    ];
    for (logs, expected) in cases {
        let mut test = forged(5, 0, 3);
        for (number, batches) in (3..).zip(logs) {
            put_log(&test, number, &theirs(&test, batches));
        }
        for _ in 0..2 {
            test.reopen();
            assert_eq!(test.get("a").as_deref(), Some(expected));
            assert_eq!(test.contents(), [("a".to_owned(), expected.to_owned())]);
            test.compact_all();
            assert_eq!(test.get("a").as_deref(), Some(expected));
        }
    }
}

#[test]
fn what_stands_behind_a_hole_in_a_log_is_set_aside_and_told_until_it_is_removed() {
    let mut test = forged(0, 0, 3);
    let mut old = theirs(&test, &[OLD[0], (2, &[("old2", &"v".repeat(2000))]), OLD[2]]);
    old[512..1024].fill(0);
    put_log(&test, 3, &old);
    put_log(&test, 5, &theirs(&test, &SYNCED));
    for opening in 0..3 {
        test.reopen();
        assert_eq!(keys(&test), "old1 synced4 synced5");
        assert_eq!(lost_logs(&test), ["000003.log"]);
        assert!(test.read_file(&test.path().join("lost/000003.log")) == old);
        let damage = test.property("terrace.recovery-damage");
        assert!(damage.contains("lost/000003.log"), "opening {opening}: {damage}");
        test.settle();
    }
    test.options.env.remove_file(&test.path().join("lost/000003.log")).unwrap();
    test.reopen();
    assert_eq!(test.property("terrace.recovery-damage"), "");
}

/// Entries of our WAL after a lost end were never acknowledged as synced. They are not shown, and the file is
/// not removed.
#[test]
fn a_log_of_ours_behind_a_lost_end_is_set_aside_under_a_name_that_is_free() {
    for (end, is_lost) in [(10, false), (9, true)] {
        let mut test = forged(8, 0, 3);
        let entries: [Batch<'_>; 2] = [(9, &[("a", "v")]), (10, &[("b", "v")])];
        put_log(&test, 3, &theirs(&test, &entries[..end - 8]));
        let ours = ours_after_10(&test, &[(11, &[("c", "v")]), (12, &[("d", "v")])]);
        put_log(&test, 5, &ours);
        put_log(&test, 7, &ours); // as the marker of a WAL says if no record lies between
        test.options.env.create_dir(&test.path().join("lost")).unwrap();
        test.write_file(&test.path().join("lost/000005.log"), b"of an earlier time");
        for _ in 0..2 {
            test.reopen();
            assert_eq!(keys(&test), if is_lost { "a" } else { "a b c d" });
            test.settle();
        }
        let expected: &[&str] = match is_lost {
            true => &["000005.log", "000005.log.2", "000007.log"],
            false => &["000005.log"],
        };
        assert_eq!(lost_logs(&test), expected);
        assert_eq!(test.read_file(&test.path().join("lost/000005.log")), b"of an earlier time");
        assert!(!is_lost || test.read_file(&test.path().join("lost/000005.log.2")) == ours);
        assert_eq!(test.logs().len(), 1);
    }
}

#[test]
fn a_log_of_leveldbs_behind_one_of_ours_that_was_set_aside_is_replayed() {
    let mut test = forged(8, 0, 3);
    put_log(&test, 3, &theirs(&test, &[(9, &[("a", "v")])]));
    put_log(&test, 5, &ours_after_10(&test, &[(11, &[("lost", "v")])]));
    put_log(&test, 7, &theirs(&test, &[(12, &[("d", "v")])]));
    for _ in 0..2 {
        test.reopen();
        assert_eq!(keys(&test), "a d");
        test.settle();
    }
    assert_eq!(lost_logs(&test), ["000005.log"]);
}

/// With reuse_logs LevelDB appends to a WAL of ours, after the space that a killed process had preallocated.
#[test]
fn a_log_of_ours_that_leveldb_appended_to_is_replayed_whole() {
    for records in [0, 1] {
        let mut test = forged(10, 0, 3);
        let mut log = match records {
            0 => Vec::new(),
            _ => ours_after_10(&test, &[(11, &[("ours", "v")])]),
        };
        log.resize(4 * BLOCK_SIZE, 0);
        log.extend(theirs(&test, &[(11 + records, &[("theirs", "v")]), (12 + records, &[("theirs2", "v")])]));
        put_log(&test, 3, &log);
        for _ in 0..2 {
            test.reopen();
            assert_eq!(keys(&test), if records == 0 { "theirs theirs2" } else { "ours theirs theirs2" });
        }
        assert!(lost_logs(&test).is_empty());
    }
}

/// LevelDB's MANIFEST may count entries that a power cut has lost. Then our writes have higher sequence
/// numbers than its WALs end with.
#[test]
fn what_is_written_after_a_manifest_that_counts_lost_entries_is_found_again() {
    let mut test = forged(50, 0, 3);
    put_log(&test, 3, &theirs(&test, &OLD));
    let blocked = test.faults().add(FaultRule::no_space().path_suffix(".ldb"));
    test.reopen();
    test.db().rotate_memtable().unwrap(); // the first WAL of this open has no record
    test.put("ours", "v");
    test.db().rotate_memtable().unwrap();
    test.put("ours2", "v");
    test.abandon();
    drop(blocked);
    for _ in 0..2 {
        test.reopen();
        assert_eq!(keys(&test), "old1 old2 old3 ours ours2");
        test.settle();
    }
    assert!(lost_logs(&test).is_empty());
}

#[test]
fn a_previous_log_that_is_damaged_is_set_aside() {
    let mut test = forged(0, 3, 9);
    let mut old = theirs(&test, &OLD);
    let length = old.len();
    old[length - 1] ^= 1;
    put_log(&test, 3, &old);
    put_log(&test, 5, b"stale: it is in tables");
    put_log(&test, 9, &theirs(&test, &SYNCED));
    for _ in 0..2 {
        test.reopen();
        assert_eq!(keys(&test), "old1 old2 synced4 synced5");
        test.settle();
    }
    assert_eq!(lost_logs(&test), ["000003.log"]);
    assert_eq!(test.logs().len(), 1);
}

/// Whatever operation fails, the next open finds the same state.
#[test]
fn an_error_while_logs_are_set_aside_loses_nothing() {
    for kind in
        [FaultKind::Rename, FaultKind::CreateDir, FaultKind::SyncDir, FaultKind::Sync, FaultKind::Append]
    {
        for nth in 1..9 {
            let mut test = forged(8, 0, 3);
            let mut first = theirs(&test, &[(9, &[("a", "v")]), (10, &[("damaged", "v")])]);
            *first.last_mut().unwrap() ^= 1;
            put_log(&test, 3, &first);
            put_log(&test, 5, &theirs(&test, &[(11, &[("synced", "v")])]));
            let failing = test.faults().add(FaultRule::new([kind]).nth(nth));
            let _ = test.try_reopen();
            test.abandon();
            drop(failing);
            for _ in 0..2 {
                test.reopen();
                assert_eq!(keys(&test), "a synced", "{kind:?} {nth}");
                test.settle();
            }
            assert_eq!(lost_logs(&test)[0], "000003.log", "{kind:?} {nth}");
        }
    }
}

/// Otherwise each attempt on a full disk would leave less space.
#[test]
fn an_opening_that_could_not_set_a_log_aside_leaves_neither_tables_nor_half_a_copy() {
    let failures = [
        FaultRule::new([FaultKind::CreateDir]),
        FaultRule::new([FaultKind::Append, FaultKind::Sync]).path_contains("lost/"),
    ];
    for failure in failures {
        let mut test = forged(8, 0, 3);
        let mut damaged = theirs(&test, &[(9, &[("a", "v")]), (10, &[("damaged", "v")])]);
        *damaged.last_mut().unwrap() ^= 1;
        put_log(&test, 3, &damaged);
        let failing = test.faults().add(failure);
        assert!(test.try_reopen().is_err());
        test.abandon();
        assert_eq!((test.tables(), lost_logs(&test)), (vec![], vec![]));
        drop(failing);
        test.reopen();
        assert_eq!((keys(&test).as_str(), lost_logs(&test).len()), ("a", 1));
    }
}

#[test]
fn a_log_whose_number_no_manifest_can_pass_is_replayed_once() {
    let mut test = forged(8, 0, 3);
    put_log(&test, u64::MAX, &theirs(&test, &[(9, &[("a", "old")])]));
    for value in ["old", "new"] {
        test.reopen();
        assert_eq!(test.get("a").as_deref(), Some(value));
        test.put("a", "new");
        test.flush();
    }
    assert!(lost_logs(&test).is_empty());
    assert!(!test.options.env.exists(&file_name::log(&test.path(), u64::MAX)));
}

#[test]
fn a_file_that_is_not_named_as_a_databases_is_neither_opened_nor_removed() {
    let mut test = TestDb::in_memory(Options::default());
    test.put("foo", "bar");
    test.flush();
    test.close();
    let strays: Vec<_> = ["1.log", "0000001.log", "900.ldb", "MANIFEST-1", "7.dbtmp"]
        .map(|name| test.path().join(name))
        .into();
    strays.iter().for_each(|stray| test.write_file(stray, b"somebody else's"));
    for _ in 0..2 {
        test.reopen();
        test.put("foo", "bar");
        test.flush();
        test.settle();
    }
    for stray in &strays {
        assert_eq!(test.read_file(stray), b"somebody else's");
    }
}

/// Opens a database with WALs that dead processes left. Returns the name of the thread that makes the first
/// table, and how many entries there are.
fn who_flushes(logs: u64, write_buffer_size: usize) -> (String, usize) {
    let mut test = forged(0, 0, 3);
    for number in 0..logs {
        let value = "v".repeat(20_000);
        put_log(&test, 3 + number, &theirs(&test, &[(1 + number, &[(&format!("key{number}"), &value)])]));
    }
    test.options.write_buffer_size = write_buffer_size;
    let (sender, receiver) = std::sync::mpsc::channel();
    let name = move |_: FaultKind, _: &std::path::Path| {
        let _ = sender.send(std::thread::current().name().unwrap_or_default().to_owned());
    };
    let watched = FaultRule::new([FaultKind::Create]).path_suffix(".ldb").on_hit(name).count_only();
    let watching = test.faults().add(watched);
    test.reopen();
    test.flush();
    drop(watching);
    (receiver.recv().unwrap(), test.contents().len())
}

/// Processes that open a database, write and die at once leave a few WALs, not one more each, although no
/// worker gets to run.
#[test]
fn an_opening_that_would_keep_many_logs_or_large_ones_flushes_them_itself() {
    const ROOM: usize = 4 << 20;
    assert_eq!(who_flushes(4, ROOM), ("terrace-flush".to_owned(), 4));
    for (logs, write_buffer_size) in [(5, ROOM), (30, ROOM), (4, 70_000)] {
        let (thread, entries) = who_flushes(logs, write_buffer_size);
        assert_ne!(thread, "terrace-flush", "{logs} logs");
        assert_eq!(entries as u64, logs);
    }
}

#[test]
fn many_logs_are_gone_when_the_opening_returns() {
    for is_empty in [false, true] {
        let mut test = forged(0, 0, 3);
        for number in 0..20 {
            let log = if is_empty { Vec::new() } else { theirs(&test, &[(1 + number, &[("key", "v")])]) };
            put_log(&test, 3 + number, &log);
        }
        // No worker removes any of them.
        let (sender, receiver) = std::sync::mpsc::channel();
        let name = move |_: FaultKind, _: &std::path::Path| {
            let _ = sender.send(std::thread::current().name().unwrap_or_default().to_owned());
        };
        let watched = FaultRule::new([FaultKind::Remove]).path_suffix(".log").on_hit(name).count_only();
        let watching = test.faults().add(watched);
        test.reopen();
        assert_eq!(test.logs().len(), 1);
        drop(watching);
        assert!(receiver.try_iter().all(|thread| thread != "terrace-remove"));
    }
}

/// A WAL was once moved to `lost/` before a MANIFEST that no longer needs it was written. After a crash in
/// between, the older WAL was replayed on top of tables that had newer entries from the moved one.
#[test]
fn a_crash_while_logs_are_set_aside_shows_no_old_value() {
    let mut test = TestDb::crashable(Options { reuse_logs: true, ..Options::default() });
    test.put("key", "old");
    test.close();
    let first = test.logs().pop().unwrap();
    let number: u64 = first.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let mut log =
        theirs(&test, &[(2, &[("key", "new")]), (3, &[("torn", &"v".repeat(2000))]), (4, &[("x", "v")])]);
    log[512..1536].fill(0);
    put_log(&test, number + 1, &log);
    test.options.env.sync_dir(&test.path()).unwrap();
    let disk = test.disk().crash_clone(CrashChoice::Everything);
    let opened = disk.clone();
    test.set_disk(disk);
    test.reopen();
    let operations = opened.operation_count();
    test.abandon();
    for operations in 0..=operations {
        for choice in [CrashChoice::OnlySynced, CrashChoice::Everything] {
            let mut point = opened.crash_point(0);
            point.advance_to(operations);
            test.set_disk(point.disk(choice));
            for _ in 0..2 {
                test.reopen();
                assert_eq!(test.get("key").as_deref(), Some("new"), "after {operations} changes, {choice:?}");
                assert_eq!(keys(&test), "key");
                assert_eq!(lost_logs(&test)[0], format!("{:06}.log", number + 1));
            }
            assert_eq!(lost_logs(&test).len(), 1, "after {operations} changes, {choice:?}");
            test.abandon();
        }
    }
}
