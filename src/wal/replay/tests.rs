//! Tests of replay with WALs that were closed, torn, damaged, or have holes.

use super::*;
use crate::batch::write_batch::WriteBatch;
use crate::env::{CreateMode, WritableFile};
use crate::format::internal_key::MAX_SEQUENCE;
use crate::record::BLOCK_SIZE;
use crate::record::test_support::FakeEnv;
use crate::record::writer::RecordWriter;

const PATH: &str = "/db/000003.log";

/// A batch with `count` puts whose first sequence number is `sequence`.
fn batch(sequence: u64, count: u64, value_length: usize) -> Vec<u8> {
    let mut batch = WriteBatch::new();
    for entry in 0..count {
        batch.put(&(sequence + entry).to_be_bytes(), &vec![b'v'; value_length]);
    }
    batch.set_sequence(sequence);
    batch.rep().to_vec()
}

/// A WAL as LevelDB writes it.
fn log(records: &[Vec<u8>]) -> Vec<u8> {
    written(records, |file| RecordWriter::new(file, 0))
}

/// A WAL of ours that follows WALs ending with `logged_before`.
fn our_log(logged_before: u64, records: &[Vec<u8>]) -> Vec<u8> {
    written(records, |file| RecordWriter::with_prologue(file, marker::encode(logged_before + 1)))
}

fn written(records: &[Vec<u8>], writer: impl FnOnce(Box<dyn WritableFile>) -> RecordWriter) -> Vec<u8> {
    let env = FakeEnv::default();
    let file = env.create_writable(Path::new(PATH), CreateMode::New).unwrap();
    let mut writer = writer(file);
    for record in records {
        writer.add_record(record).unwrap();
    }
    env.contents(PATH)
}

fn replayed(file: &[u8], options: ReplayOptions) -> (Result<ReplaySummary>, Vec<Vec<u8>>) {
    let env = FakeEnv::default();
    env.write(PATH, file);
    let mut batches = Vec::new();
    let summary = replay(&env.shared(), Path::new(PATH), options, &mut |rep| {
        batches.push(rep.to_vec());
        Ok(())
    });
    (summary, batches)
}

fn lenient(file: &[u8]) -> (ReplaySummary, Vec<Vec<u8>>) {
    let (summary, batches) = replayed(file, ReplayOptions::default());
    let summary = summary.unwrap();
    assert_eq!((summary.batches, summary.file_size), (batches.len() as u64, file.len() as u64));
    (summary, batches)
}

fn strict(file: &[u8]) -> (Result<ReplaySummary>, Vec<Vec<u8>>) {
    replayed(
        file,
        ReplayOptions { strict: true, before: ExpectedFirstSequence::Unknown, ..Default::default() },
    )
}

#[test]
fn a_clean_log_comes_back_whole() {
    let (summary, batches) = lenient(b"");
    assert!(summary.is_clean() && batches.is_empty() && summary.last_sequence == 0);
    let records = vec![batch(7, 3, 10), batch(10, 0, 0), batch(10, 1, 70_000), batch(11, 2, 0)];
    let file = log(&records);
    for (summary, batches) in [lenient(&file), (strict(&file).0.unwrap(), strict(&file).1)] {
        assert_eq!(batches, records);
        assert_eq!((summary.last_sequence, summary.damage_count), (12, 0));
        assert!(summary.is_clean());
    }
    // An empty batch with the first sequence number of all.
    assert_eq!(lenient(&log(&[batch(0, 0, 0)])).0.last_sequence, 0);
}

#[test]
fn a_torn_log_is_no_damage_and_not_clean() {
    let records = vec![batch(1, 2, 10), batch(3, 1, 100)];
    let file = log(&records);
    let first = log(&records[..1]).len();
    for cut in first + 1..file.len() {
        let (summary, batches) = strict(&file[..cut]);
        let summary = summary.unwrap();
        assert_eq!((batches.len(), summary.last_sequence), (1, 2));
        assert!(!summary.is_clean());
        assert_eq!((summary.end_of_last_record, summary.stopped_at), (first as u64, None));
    }
    let preallocated = [&file[..], &[0; 100_000]].concat();
    let summary = strict(&preallocated).0.unwrap();
    assert_eq!((summary.batches, summary.is_clean()), (2, false));
}

#[test]
fn damage_is_skipped_or_an_error() {
    let mut records = vec![batch(1, 1, 100), batch(2, 1, 100), batch(3, 1, BLOCK_SIZE), batch(4, 1, 5)];
    let mut file = log(&records);
    file[200] ^= 1; // in the value of the second batch
    let (summary, batches) = lenient(&file);
    records.drain(1..3);
    assert_eq!(batches, records);
    assert_eq!((summary.last_sequence, summary.damage_count, summary.stopped_at), (4, 2, None));
    assert!(summary.damage[0].to_string().starts_with("Corruption: /db/000003.log: checksum mismatch"));
    assert!(!summary.is_clean() && summary.end_of_last_record == summary.file_size);
    let (result, batches) = strict(&file);
    assert_eq!(batches, records[..1]);
    assert!(result.unwrap_err().message().contains("checksum mismatch"));
}

#[test]
fn a_batch_that_is_not_valid_is_damage_and_none_of_it_is_handed_over() {
    let good = [batch(1, 1, 3), batch(2, 2, 3)];
    let mut wrong_count = batch(2, 2, 3);
    wrong_count[8] = 3;
    let mut cut_short = batch(2, 2, 3);
    cut_short.pop();
    let mut unknown_tag = batch(2, 2, 3);
    unknown_tag[12 + 1 + 9 + 4] = 15;
    for (bad, what) in [
        (vec![0; 11], "log record too small"),
        (vec![], "log record too small"),
        (wrong_count, "WriteBatch has wrong count"),
        (cut_short, "bad WriteBatch Put"),
        (unknown_tag, "unknown WriteBatch tag"),
        (batch(MAX_SEQUENCE, 1, 3), "more than 56 bits"),
        (batch(1, 1, 3), "sequence number that was used before"),
    ] {
        let file = our_log(0, &[good[0].clone(), bad, good[1].clone()]);
        let (summary, batches) = lenient(&file);
        assert_eq!(batches, good, "{what}");
        assert_eq!((summary.last_sequence, summary.damage_count), (3, 1));
        assert!(summary.damage[0].message().contains(what), "{}", summary.damage[0]);
        let (result, batches) = strict(&file);
        assert!(result.unwrap_err().message().contains(what));
        assert_eq!(batches, good[..1]);
    }
}

#[test]
fn nothing_behind_a_hole_is_handed_over() {
    let records: Vec<_> = (0..100).map(|n| batch(1 + n * 2, 2, 400)).collect();
    let file = log(&records);
    for hole in (0..file.len() - 2048).step_by(512) {
        let mut holed = file.clone();
        holed[hole..hole + 512].fill(0);
        let (summary, batches) = lenient(&holed);
        assert_eq!(batches, records[..batches.len()]);
        assert!(batches.len() < records.len());
        assert_eq!(summary.last_sequence, 2 * batches.len() as u64);
        assert!(summary.stopped_at.is_some_and(|offset| offset.abs_diff(hole as u64) < 512));
        assert_eq!(summary.damage_count, 1);
        assert!(summary.damage[0].message().contains("stopped at zeroed space"));
        assert!(strict(&holed).0.unwrap_err().is_corruption());
    }
}

#[test]
fn records_behind_zeros_that_miss_nothing_are_good() {
    // A WAL with a preallocated tail to which LevelDB appended (reuse_logs).
    let mut file = log(&[batch(1, 2, 10)]);
    file.resize(BLOCK_SIZE, 0);
    let appended = |sequence| [&file[..], &log(&[batch(sequence, 1, 5), batch(sequence + 1, 1, 5)])].concat();
    for (summary, batches) in
        [lenient(&appended(3)), (strict(&appended(3)).0.unwrap(), strict(&appended(3)).1)]
    {
        assert_eq!((batches.len(), summary.last_sequence, summary.stopped_at), (3, 4, None));
        assert_eq!(summary.damage_count, 0);
    }
    let (summary, batches) = lenient(&appended(4));
    assert_eq!((batches.len(), summary.last_sequence), (1, 2));
    assert!(summary.stopped_at.is_some());
}

#[test]
fn a_log_of_ours_follows_those_before_only_without_a_gap() {
    let records = [batch(5, 2, 10), batch(7, 1, 10)];
    let file = our_log(4, &records);
    for (before, is_lost) in [
        (ExpectedFirstSequence::Unknown, false),
        (ExpectedFirstSequence::Logged(3), true),
        (ExpectedFirstSequence::Logged(4), false),
        (ExpectedFirstSequence::Logged(5), false), // of the failed append to a replaced WAL
        (ExpectedFirstSequence::Logged(0), true),
        (ExpectedFirstSequence::Counted(3), true),
        (ExpectedFirstSequence::Counted(4), false),
        (ExpectedFirstSequence::Counted(MAX_SEQUENCE), false),
    ] {
        for strict in [false, true] {
            let (result, found) = replayed(&file, ReplayOptions { strict, before, ..Default::default() });
            assert_eq!(found.len(), if is_lost { 0 } else { 2 }, "{before:?}");
            match result {
                Ok(summary) => {
                    assert_eq!(summary.stopped_at, is_lost.then_some(0));
                    assert_eq!((summary.marker, summary.is_whole()), (Some(5), !is_lost));
                    assert_eq!(summary.logged, (!is_lost).then_some(7), "{before:?}");
                    assert!(summary.oddities.is_empty());
                }
                Err(error) => assert!(strict && is_lost && error.is_corruption()),
            }
        }
    }
    // Numbers that no record has are not missing.
    let (result, found) = replayed(
        &our_log(4, &[batch(9, 1, 1)]),
        ReplayOptions { strict: true, before: ExpectedFirstSequence::Logged(4), ..Default::default() },
    );
    assert_eq!((result.unwrap().logged, found.len()), (Some(9), 1));
    // A WAL without a record still says where the WALs before it end.
    let marker_alone = &our_log(4, &records)[..marker::MARKER_SIZE];
    for (before, logged) in
        [(ExpectedFirstSequence::Logged(4), Some(4)), (ExpectedFirstSequence::Logged(3), None)]
    {
        let summary =
            replayed(marker_alone, ReplayOptions { strict: false, before, ..Default::default() }).0.unwrap();
        assert_eq!((summary.logged, summary.is_whole(), summary.batches), (logged, logged.is_some(), 0));
    }
    // An empty WAL may follow any WAL.
    let (result, _) = replayed(
        b"",
        ReplayOptions { strict: true, before: ExpectedFirstSequence::Logged(8), ..Default::default() },
    );
    assert_eq!(result.unwrap().stopped_at, None);
}

/// A power failure removes the unsynced end of LevelDB's older WAL, and keeps the younger WAL, which was
/// synced.
#[test]
fn a_log_of_leveldbs_is_replayed_whatever_was_lost_before() {
    let records = vec![batch(5, 2, 10), batch(7, 1, 10)];
    // An empty batch that a user wrote is not a marker.
    let with_empty_batch = [&[batch(5, 0, 0)], &records[..]].concat();
    for records in [records, with_empty_batch] {
        let file = log(&records);
        for (before, is_odd) in [
            (ExpectedFirstSequence::Unknown, false),
            (ExpectedFirstSequence::Logged(4), false),
            (ExpectedFirstSequence::Logged(2), true),
            (ExpectedFirstSequence::Logged(5), true),
            (ExpectedFirstSequence::Counted(2), true),
            (ExpectedFirstSequence::Counted(4), false),
            (ExpectedFirstSequence::Counted(6), false),
        ] {
            let (summary, found) =
                replayed(&file, ReplayOptions { strict: false, before, ..Default::default() });
            let summary = summary.unwrap();
            assert_eq!(found, records, "{before:?}");
            assert!(summary.is_whole() && summary.logged == Some(7) && summary.marker.is_none());
            assert_eq!(summary.oddities.len(), usize::from(is_odd), "{before:?}: {:?}", summary.oddities);
            assert_eq!(summary.is_clean(), !is_odd);
            let (result, found) =
                replayed(&file, ReplayOptions { strict: true, before, ..Default::default() });
            assert_eq!((result.is_err(), found.is_empty()), (is_odd, is_odd), "{before:?}");
        }
    }
}

#[test]
fn numbers_that_go_back_in_a_log_of_leveldbs_are_handed_over() {
    let records = [batch(6, 1, 1), batch(7, 1, 1), batch(6, 1, 2), batch(6, 1, 3)];
    let (summary, found) = lenient(&log(&records));
    assert_eq!(found, records);
    assert_eq!((summary.last_sequence, summary.logged, summary.damage_count), (7, Some(7), 0));
    assert!(summary.is_whole() && !summary.is_clean());
    assert_eq!(summary.oddities.len(), 1);
    assert!(strict(&log(&records)).0.unwrap_err().message().contains("used before"));
    // After damage, these are old contents of the space.
    let mut file = log(&records);
    file[20] ^= 1;
    let (summary, _) = lenient(&file);
    assert!(!summary.is_whole());
    let zeros = batch(0, 1, 1);
    let (summary, found) = lenient(&log(&[zeros.clone(), zeros.clone()]));
    assert_eq!((found.len(), summary.last_sequence, summary.is_whole()), (2, 0, true));
}

/// Space that a killed process of ours had preallocated, to which LevelDB then appended (reuse_logs).
#[test]
fn records_behind_zeros_alone_are_good_if_nothing_before_them_is_missing() {
    let file = [vec![0; 4 * BLOCK_SIZE], log(&[batch(5, 2, 10), batch(7, 1, 10)])].concat();
    for (before, batches) in [
        (ExpectedFirstSequence::Logged(4), 2),
        (ExpectedFirstSequence::Logged(3), 0),
        (ExpectedFirstSequence::Logged(5), 0),
        (ExpectedFirstSequence::Counted(4), 2),
        (ExpectedFirstSequence::Counted(9), 2),
        (ExpectedFirstSequence::Counted(3), 0),
        (ExpectedFirstSequence::Unknown, 0),
    ] {
        let (result, found) = replayed(&file, ReplayOptions { strict: false, before, ..Default::default() });
        assert_eq!(found.len(), batches, "{before:?}");
        assert_eq!(result.unwrap().is_whole(), batches > 0);
    }
}

#[test]
fn nothing_behind_a_hole_in_a_log_of_ours_is_handed_over_and_its_end_is_not_taken_for_that_of_the_log() {
    let records: Vec<_> = (0..100).map(|n| batch(1 + n * 2, 2, 400)).collect();
    let file = our_log(0, &records);
    for hole in (0..file.len() - 2048).step_by(512) {
        let mut holed = file.clone();
        holed[hole..hole + 512].fill(0);
        for before in [
            ExpectedFirstSequence::Logged(0),
            ExpectedFirstSequence::Counted(0),
            ExpectedFirstSequence::Unknown,
        ] {
            let (summary, batches) =
                replayed(&holed, ReplayOptions { strict: false, before, ..Default::default() });
            let summary = summary.unwrap();
            assert_eq!(batches, records[..batches.len()]);
            assert!(batches.len() < records.len() && summary.stopped_at.is_some());
            assert!(summary.logged.unwrap_or(0) == 2 * batches.len() as u64);
        }
    }
}

#[test]
fn damage_at_the_beginning_explains_a_gap_behind_it() {
    for file in [our_log(4, &[batch(5, 2, 10)]), log(&[batch(5, 2, 10)])] {
        let mut damaged = file.clone();
        damaged[10] ^= 1;
        damaged.resize(BLOCK_SIZE, 0);
        damaged.extend(log(&[batch(50, 1, 10)]));
        let options =
            ReplayOptions { strict: false, before: ExpectedFirstSequence::Logged(4), ..Default::default() };
        let (result, found) = replayed(&damaged, options);
        let summary = result.unwrap();
        assert_eq!((summary.stopped_at, found.len(), summary.is_whole()), (None, 1, false));
    }
}

#[test]
fn only_the_first_damages_are_described() {
    let records: Vec<_> = (0..500).map(|_| vec![]).collect();
    let (summary, _) = lenient(&log(&records));
    assert_eq!((summary.damage_count, summary.damage.len()), (500, MAX_DAMAGE_DESCRIBED));
}

#[test]
fn what_fails_while_a_log_is_replayed_is_returned() {
    let env = FakeEnv::default();
    let env_object = env.shared();
    let path = Path::new(PATH);
    let missing = replay(&env_object, path, ReplayOptions::default(), &mut |_| Ok(()));
    assert!(missing.unwrap_err().is_not_found());
    env.write(PATH, &log(&[batch(1, 1, 1), batch(2, 1, 1)]));
    let mut calls = 0;
    let result = replay(&env_object, path, ReplayOptions::default(), &mut |_| {
        calls += 1;
        Err(Error::io("the memtable is full"))
    });
    assert_eq!((result.unwrap_err().message(), calls), ("the memtable is full", 1));
}
