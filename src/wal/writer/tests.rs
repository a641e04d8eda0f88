//! Tests of the order of operations, and of the state after each of them failed.

use super::*;
use crate::language::Language;
use crate::record::BLOCK_SIZE;
use crate::record::test_support::FakeEnv;
use crate::wal::marker::MARKER_SIZE;
use crate::wal::replay::{ExpectedFirstSequence, ReplayOptions, ReplaySummary, replay};

const OPTIONS: LogFileOptions = LogFileOptions { mapped: true, expected_size: 1 << 20 };
const STRICT: ReplayOptions =
    ReplayOptions { strict: true, before: ExpectedFirstSequence::Unknown, language: Language::LevelDb };
const EIO: i32 = 5;

fn create(env: &FakeEnv, number: u64) -> WalWriter {
    WalWriter::create(&env.shared(), Path::new("/db"), number, OPTIONS, 0).unwrap()
}

/// The WALs 3 and 4, both with unsynced records, and the empty WAL 5.
fn three_logs(env: &FakeEnv) -> WalWriter {
    let mut wal = create(env, 3);
    wal.add_record(b"three").unwrap();
    wal.rotate(4, 0).unwrap();
    wal.add_record(b"four").unwrap();
    wal.rotate(5, 0).unwrap();
    env.take_operations();
    wal
}

#[test]
fn the_first_sync_of_a_log_makes_its_name_durable_before_its_records() {
    let env = FakeEnv::default();
    let mut wal = create(&env, 3);
    wal.add_record(b"one").unwrap();
    assert!(wal.has_unsynced_records());
    wal.sync().unwrap();
    assert!(!wal.has_unsynced_records());
    wal.add_record(b"two").unwrap();
    wal.sync().unwrap();
    wal.sync().unwrap(); // nothing to do
    assert_eq!(
        env.take_operations(),
        [
            "create 000003.log",
            "append 000003.log",
            "sync directory db",
            "sync 000003.log",
            "append 000003.log",
            "sync 000003.log",
        ]
    );
    assert_eq!((wal.number(), wal.file_size()), (3, 20 + MARKER_SIZE as u64));
}

#[test]
fn a_sync_makes_older_logs_durable_first() {
    let env = FakeEnv::default();
    let mut wal = three_logs(&env);
    wal.add_record(b"five").unwrap();
    wal.sync().unwrap();
    wal.sync().unwrap();
    assert_eq!(
        env.take_operations(),
        [
            "append 000005.log",
            "sync 000003.log",
            "sync 000004.log",
            "sync directory db",
            "sync 000005.log",
            "close 000003.log",
            "close 000004.log",
        ]
    );
}

#[test]
fn records_of_an_older_log_are_made_durable_even_if_the_current_one_is_empty() {
    let env = FakeEnv::default();
    let mut wal = three_logs(&env);
    wal.sync().unwrap();
    let operations = env.take_operations();
    assert_eq!(operations[..3], ["sync 000003.log", "sync 000004.log", "sync directory db"]);
}

#[test]
fn a_log_without_unsynced_records_is_closed_when_it_is_replaced() {
    let env = FakeEnv::default();
    let mut wal = create(&env, 3);
    wal.add_record(b"three").unwrap();
    wal.sync().unwrap();
    env.take_operations();
    wal.rotate(4, 0).unwrap();
    assert_eq!(env.take_operations(), ["create 000004.log", "close 000003.log"]);
    wal.add_record(b"four").unwrap();
    wal.sync().unwrap();
    assert_eq!(env.take_operations(), ["append 000004.log", "sync directory db", "sync 000004.log"]);
}

#[test]
fn released_logs_are_closed_and_no_longer_synced() {
    let env = FakeEnv::default();
    let mut wal = three_logs(&env);
    wal.release_older(4);
    assert_eq!(env.take_operations(), ["close 000003.log"]);
    wal.add_record(b"five").unwrap();
    wal.release_older(100); // never the current one
    wal.sync().unwrap();
    let expected = ["append 000005.log", "close 000004.log", "sync directory db", "sync 000005.log"];
    assert_eq!(env.take_operations(), expected);
}

/// The lock of a log is free between the look at the list and the sync.
#[test]
fn a_log_that_is_released_before_a_sync_gets_to_it_is_not_synced() {
    let env = FakeEnv::default();
    let mut wal = three_logs(&env);
    let logs = wal.older().below(u64::MAX);
    wal.release_older(100);
    wal.older().sync_each(&logs).unwrap();
    assert_eq!(env.take_operations(), ["close 000003.log", "close 000004.log"]);
}

#[test]
fn a_log_that_cannot_be_created_changes_nothing() {
    let env = FakeEnv::default();
    let mut wal = create(&env, 3);
    wal.add_record(b"one").unwrap();
    env.fail_once("create", 28);
    assert!(wal.rotate(4, 0).unwrap_err().is_no_space());
    assert!(wal.poisoned().is_none());
    wal.add_record(b"two").unwrap();
    assert_eq!(wal.number(), 3);
    wal.rotate(5, 0).unwrap();
    assert_eq!(wal.number(), 5);
    env.write("/db/000006.log", b"somebody else's");
    assert_eq!(wal.rotate(6, 0).unwrap_err().errno(), Some(17));
    assert_eq!(env.contents("/db/000006.log"), b"somebody else's");
}

#[test]
fn after_a_failed_append_or_sync_nothing_is_written_any_more() {
    for operation in ["append 000005", "sync 000003", "sync 000004", "sync directory", "sync 000005"] {
        let env = FakeEnv::default();
        let mut wal = three_logs(&env);
        env.fail_once(operation, EIO);
        let error = wal.add_record(b"five").and_then(|()| wal.sync()).unwrap_err();
        let mut operations = env.take_operations();
        let failed = operations.iter().rposition(|line| line.starts_with(operation)).unwrap();
        let is_sync = operation.starts_with("sync");
        // Except the mark on a WAL that could not be synced.
        let mark = ["create 000005.log", "append 000005.log", "close 000005.log"];
        assert_eq!(operations.split_off(failed + 1), if is_sync { &mark[..] } else { &[] });
        for result in [wal.add_record(b"x"), wal.sync(), wal.rotate(6, 0), wal.close(), wal.sync()] {
            assert_eq!(result.unwrap_err().to_string(), error.to_string());
        }
        let mut operations = env.take_operations();
        assert_eq!(operations.split_off(3), if is_sync { &mark[..] } else { &[] });
        assert!(operations.iter().all(|line| line.starts_with("close")), "{operations:?}");
        assert_eq!(wal.poisoned().unwrap().to_string(), error.to_string());
    }
}

#[test]
fn a_log_that_could_not_be_synced_does_not_look_cleanly_closed() {
    for operation in ["sync 000003", "close 000003"] {
        let env = FakeEnv::default();
        let mut wal = create(&env, 3);
        wal.add_record(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap(); // an empty batch
        env.fail_once(operation, EIO);
        wal.sync().and_then(|()| wal.close()).unwrap_err();
        let _ = wal.close();
        let path = Path::new("/db/000003.log");
        let summary = replay(&env.shared(), path, STRICT, &mut |_| Ok(())).unwrap();
        assert!(!summary.is_clean() && summary.damage_count == 0, "{operation}: {summary:?}");
        assert!(env.file_size(path).unwrap() < summary.end_of_last_record + 7, "less than a header");
    }
}

#[test]
fn a_failed_close_of_an_unsynced_log_shows_in_the_next_append() {
    let env = FakeEnv::default();
    let mut wal = three_logs(&env);
    env.fail_once("close 000003.log", EIO);
    wal.release_older(4);
    for result in [wal.add_record(b"x"), wal.sync(), wal.close()] {
        assert_eq!(result.unwrap_err().errno(), Some(EIO));
    }
}

#[test]
fn a_failed_close_of_a_synced_log_loses_nothing() {
    let env = FakeEnv::default();
    let mut wal = three_logs(&env);
    env.fail_once("close 000003.log", EIO);
    wal.sync().unwrap();
    wal.add_record(b"x").unwrap();
}

#[test]
fn closing_closes_every_log_once() {
    let env = FakeEnv::default();
    let mut wal = three_logs(&env);
    env.fail_once("close 000004.log", EIO);
    assert_eq!(wal.close().unwrap_err().errno(), Some(EIO));
    assert_eq!(env.take_operations(), ["close 000003.log", "close 000004.log", "close 000005.log"]);
    assert!(wal.close().is_err());
    assert!(wal.add_record(b"x").is_err());
    assert!(env.take_operations().is_empty());
}

#[test]
fn a_reopened_log_goes_on_where_it_ended_and_is_not_trusted_to_be_durable() {
    let env = FakeEnv::default();
    let mut wal = create(&env, 3);
    wal.add_record(b"one").unwrap();
    let size = wal.file_size();
    wal.close().unwrap();
    let db = Path::new("/db");
    for wrong in [0, size - 1, size + 1] {
        assert!(WalWriter::reopen(&env.shared(), db, 3, wrong, OPTIONS, 0).is_err_and(|e| e.is_corruption()));
    }
    let mut wal = WalWriter::reopen(&env.shared(), db, 3, size, OPTIONS, 0).unwrap();
    assert!(wal.has_unsynced_records());
    env.take_operations();
    wal.sync().unwrap();
    assert_eq!(env.take_operations(), ["sync directory db", "sync 000003.log"]);
    wal.add_record(b"two").unwrap();
    assert_eq!(wal.file_size(), 20 + MARKER_SIZE as u64);
    let contents = env.contents("/db/000003.log").split_off(MARKER_SIZE);
    assert_eq!((&contents[7..10], &contents[17..20]), (&b"one"[..], &b"two"[..]));
    wal.rotate(9, 0).unwrap();
    assert_eq!(wal.number(), 9);
    assert!(WalWriter::reopen(&env.shared(), db, 77, 0, OPTIONS, 0).is_err_and(|e| e.is_not_found()));
}

/// An empty WAL has no marker: opening a database writes nothing.
#[test]
fn a_log_begins_with_a_marker_which_is_written_with_the_first_record_and_never_alone() {
    let env = FakeEnv::default();
    let mut wal = WalWriter::create(&env.shared(), Path::new("/db"), 3, OPTIONS, 41).unwrap();
    wal.sync().unwrap();
    assert_eq!((wal.file_size(), env.contents("/db/000003.log").len()), (0, 0));
    env.take_operations();
    wal.add_record(b"the first").unwrap();
    wal.add_record(b"the second").unwrap();
    assert_eq!(env.take_operations(), ["append 000003.log"; 2]);
    let contents = env.contents("/db/000003.log");
    assert_eq!(contents[..MARKER_SIZE], marker::encode(42));
    assert_eq!(contents[7..15], 42u64.to_le_bytes());
    assert_eq!(wal.file_size(), contents.len() as u64);
}

fn replayed(env: &FakeEnv, number: u64) -> (ReplaySummary, Vec<Vec<u8>>) {
    let mut batches = Vec::new();
    let path = file_name::log(Path::new("/db"), number);
    let summary = replay(&env.shared(), &path, STRICT, &mut |batch| {
        batches.push(batch.to_vec());
        Ok(())
    });
    (summary.unwrap(), batches)
}

/// A batch of one put with the number `sequence`, of `length` bytes.
fn batch(sequence: u64, length: usize) -> Vec<u8> {
    let mut batch = crate::batch::write_batch::WriteBatch::new();
    batch.put(b"key", &vec![b'v'; length]);
    batch.set_sequence(sequence);
    batch.rep().to_vec()
}

#[test]
fn a_first_record_of_any_length_comes_back_behind_the_marker() {
    let around_blocks = (1..=3).flat_map(|blocks| (0..80).map(move |less| blocks * BLOCK_SIZE - less));
    for length in [0, 1, 100, 5_000].into_iter().chain(around_blocks).chain([40 * BLOCK_SIZE]) {
        for head in [0, 12, 30] {
            let env = FakeEnv::default();
            let mut wal = WalWriter::create(&env.shared(), Path::new("/db"), 3, OPTIONS, 6).unwrap();
            let batches = [batch(7, length), batch(8, 10)];
            let (head, tail) = batches[0].split_at(head.min(batches[0].len()));
            wal.add_record_in_two(head, tail).unwrap();
            wal.add_record(&batches[1]).unwrap();
            let (summary, found) = replayed(&env, 3);
            assert!(found == batches, "{length} bytes");
            assert_eq!((summary.marker, summary.logged, summary.is_clean()), (Some(7), Some(8), true));
            assert_eq!(wal.file_size(), summary.file_size);
        }
    }
}

#[test]
fn the_marker_says_what_was_logged_before_also_where_empty_logs_are_between() {
    let env = FakeEnv::default();
    let mut wal = WalWriter::create(&env.shared(), Path::new("/db"), 3, OPTIONS, 6).unwrap();
    wal.rotate(4, 50).unwrap(); // LevelDB's MANIFEST counts up to 50; no WAL goes beyond 6
    wal.add_record(&batch(51, 10)).unwrap();
    wal.rotate(5, 51).unwrap();
    wal.add_record(&batch(52, 10)).unwrap();
    wal.close().unwrap();
    assert!(env.contents("/db/000003.log").is_empty());
    assert_eq!(replayed(&env, 4).0.marker, Some(7));
    assert_eq!(replayed(&env, 5).0.marker, Some(52));
}

#[test]
fn a_log_that_is_reopened_gets_a_marker_only_if_it_is_empty() {
    let env = FakeEnv::default();
    let db = Path::new("/db");
    WalWriter::create(&env.shared(), db, 3, OPTIONS, 6).unwrap().close().unwrap();
    for (sequence, logged_before) in [(9, 8), (10, 9)] {
        let size = env.contents("/db/000003.log").len() as u64;
        let mut wal = WalWriter::reopen(&env.shared(), db, 3, size, OPTIONS, logged_before).unwrap();
        wal.add_record(&batch(sequence, 10)).unwrap();
        wal.close().unwrap();
    }
    let (summary, batches) = replayed(&env, 3);
    assert_eq!((summary.marker, batches.len(), summary.logged), (Some(9), 2, Some(10)));
}

#[test]
fn a_marker_that_could_not_be_written_leaves_the_log_refused() {
    let env = FakeEnv::default();
    let mut wal = create(&env, 3);
    env.fail_once("append", 28);
    assert!(wal.add_record(b"x").unwrap_err().is_no_space());
    assert!(wal.add_record(b"y").unwrap_err().is_no_space());
    assert!(env.contents("/db/000003.log").is_empty());
}
