//! Cases 14 to 17: the WAL of a database has false contents, or has lost its end.

use super::support::{Kind, WRITE, assert_refused_when, database, log, offer, open, open_with, scan};
use crate::fuzz::archive::{Files, disk, files};
use crate::fuzz::mend;
use terrace::internals::format::internal_key::MAX_SEQUENCE;
use terrace::internals::record::BLOCK_SIZE;
use terrace::{Db, ReadOptions, WriteBatch};

/// The number of batches in the WAL.
const BATCHES: u32 = 20;

/// A database that has only a WAL. Batch `n` puts two keys of its own, and sets the key `last` to `n`.
fn logged() -> Files {
    database(|_| (), |db| (0..BATCHES).for_each(|number| write_batch(db, number)))
}

fn write_batch(db: &Db, number: u32) {
    let mut batch = WriteBatch::new();
    for half in ['a', 'b'] {
        batch.put(format!("{number:03}{half}").as_bytes(), b"value");
    }
    batch.put(b"last", format!("{number:03}").as_bytes());
    db.write(&WRITE, &batch).expect("a write");
}

/// The batches whose keys are there, in order. Checks that each is complete.
fn found(db: &Db) -> Vec<u32> {
    let mut numbers = Vec::new();
    for number in 0..BATCHES {
        let has = |half: char| {
            let key = format!("{number:03}{half}");
            db.get(&ReadOptions::default(), key.as_bytes()).expect("a get").is_some()
        };
        assert_eq!(has('a'), has('b'), "batch {number} is there by half");
        numbers.extend(has('a').then_some(number));
    }
    let last = db.get(&ReadOptions::default(), b"last").expect("a get");
    let expected = numbers.last().map(|number| format!("{number:03}").into_bytes());
    assert_eq!(last, expected, "an old value of a key, or one of a batch that is not there");
    numbers
}

/// The files with a changed WAL.
fn with_log(files: &Files, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Files {
    let mut files = files.clone();
    let log = log(&mut files);
    log.1 = change(&log.1);
    files
}

/// Opens twice, with or without paranoid checks, and reads.
fn opened(case: &str, files: &Files, paranoid: bool) -> Vec<u32> {
    let env = disk(files, false);
    let db = open(&env, paranoid).unwrap_or_else(|error| panic!("{case}, paranoid {paranoid}: {error}"));
    let numbers = found(&db);
    if !paranoid {
        offer(case, files, Kind::Log(numbers.clone()));
    }
    drop(db);
    let db = open(&env, paranoid).unwrap_or_else(|error| panic!("{case}, again: {error}"));
    assert_eq!(found(&db), numbers, "{case}: the second opening differs");
    numbers
}

#[test]
pub(super) fn a_batch_that_lies_is_skipped_and_the_counter_goes_on_as_if_it_had_not_been() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 11] = [
        ("a sequence number of 57 bits", |batch| {
            batch[..8].copy_from_slice(&(MAX_SEQUENCE + 1).to_le_bytes())
        }),
        ("the highest sequence number", |batch| batch[..8].copy_from_slice(&MAX_SEQUENCE.to_le_bytes())),
        ("a sequence number that wraps", |batch| batch[..8].fill(0xff)),
        ("one entry more", |batch| batch[8] += 1),
        ("one entry less", |batch| batch[8] -= 1),
        ("no entry", |batch| batch[8] = 0),
        ("4 billion entries", |batch| batch[8..12].fill(0xff)),
        ("an unknown tag", |batch| batch[12] = 7),
        ("a length past the end", |batch| batch[13] = 100),
        ("a header alone", |batch| batch.truncate(11)),
        ("nothing", Vec::clear),
    ];
    let files = logged();
    for (case, change) in changes {
        let name = log(&mut files.clone()).0.clone();
        let damaged = with_log(&files, |log| {
            let mut batches = mend::parse_records(log);
            change(&mut batches[1 + 7]); // 1: the marker
            mend::frame_records(&batches)
        });
        let others: Vec<u32> = (0..BATCHES).filter(|&number| number != 7).collect();
        assert_eq!(opened(case, &damaged, false), others, "{case}");
        let env = disk(&damaged, false);
        let db = open(&env, false).expect("open");
        let damage = db.property(b"terrace.recovery-damage").expect("a property");
        assert!(
            damage.contains(&format!("/db/{name}: ")) && damage.contains(" at offset "),
            "{case}: {damage}"
        );
        assert_eq!(damage.lines().count(), 2, "{case}: {damage}"); // the second names the kept WAL
        assert!(db.snapshot().sequence() <= u64::from(BATCHES) * 3, "{case}: {}", db.snapshot().sequence());
        db.put(&WRITE, b"new", b"v").expect("a put");
        drop(db);
        let db = open(&env, true).expect("what was skipped is gone");
        assert!(db.get(&ReadOptions::default(), b"new").expect("a get").is_some());
        assert_eq!(found(&db), others, "{case}");

        assert_refused_when(case, &damaged, true, &[&name, " at offset "]);
    }
}

/// The batches whose records are complete in the first `length` bytes of the WAL.
fn whole_records(log: &[u8], length: usize) -> Vec<u32> {
    let records = mend::parse_records(&log[..length]).len() as u32;
    (0..records.saturating_sub(1)).collect() // the first is the marker
}

#[test]
pub(super) fn a_log_torn_at_any_byte_keeps_what_came_before() {
    let files = logged();
    let length = log(&mut files.clone()).1.len();
    for cut in 0..=length {
        let torn = with_log(&files, |log| log[..cut].to_vec());
        let expected = with_log(&files, <[u8]>::to_vec);
        let expected =
            whole_records(&expected.iter().find(|(name, _)| name.ends_with(".log")).expect("a log").1, cut);
        for paranoid in [false, true] {
            assert_eq!(opened(&format!("torn at {cut}"), &torn, paranoid), expected, "torn at {cut}");
        }
    }
}

#[test]
pub(super) fn a_log_that_ends_in_zeros_is_a_torn_one() {
    let files = logged();
    let length = log(&mut files.clone()).1.len();
    for cut in (0..=length).step_by(3) {
        for zeros in [600, BLOCK_SIZE, 2 * BLOCK_SIZE + 5] {
            let torn = with_log(&files, |log| [&log[..cut], &vec![0; zeros]].concat());
            let case = format!("{zeros} zeros from {cut} on");
            let numbers = opened(&case, &torn, true);
            let whole = numbers.len();
            assert_eq!(numbers, (0..whole as u32).collect::<Vec<_>>(), "{case}");
            assert_eq!(opened(&case, &torn, false), numbers, "{case}");
        }
    }
}

/// A record of several blocks, which ends after its first fragment or within a later one.
#[test]
pub(super) fn a_long_record_torn_or_zeroed_in_any_fragment_costs_itself_alone() {
    let mut files = database(
        |_| (),
        |db| {
            write_batch(db, 0);
            db.put(&WRITE, b"long", &vec![b'l'; 3 * BLOCK_SIZE]).expect("a put");
        },
    );
    let whole = log(&mut files).1.clone();
    let first = whole.len() - 3 * BLOCK_SIZE;
    let torn_and = |cut: usize, zeros: usize| {
        let torn = with_log(&files, |log| [&log[..cut], &vec![0; zeros]].concat());
        for paranoid in [false, true] {
            let case = format!("{zeros} zeros from {cut} on");
            assert_eq!(opened(&case, &torn, paranoid), [0], "{case}");
        }
    };
    for cut in (first..whole.len()).step_by(1009) {
        torn_and(cut, 0);
    }
    // Cut at sector boundaries, which a disk may keep of a write, and at the ends and beginnings of
    // fragments.
    let sectors = (1..whole.len() / 512).map(|sector| sector * 512);
    let fragments = (1..4).map(|block| block * BLOCK_SIZE + 7);
    for cut in sectors.chain(fragments) {
        [3, 700, 40_000].iter().for_each(|&zeros| torn_and(cut, zeros));
    }
}

#[test]
pub(super) fn a_torn_log_is_not_written_on() {
    let files = logged();
    let length = log(&mut files.clone()).1.len();
    for cut in (0..length).step_by(11) {
        for zeros in [0, 100] {
            let torn = with_log(&files, |log| [&log[..cut], &vec![0; zeros]].concat());
            let env = disk(&torn, false);
            let db = open_with(&env, |options| options.reuse_logs = true).expect("open");
            let before = found(&db);
            db.put(&WRITE, b"new", b"v").expect("a put");
            // The process is killed now.
            let left = self::files(&env);
            let env = disk(&left, false);
            let db = open(&env, true).unwrap_or_else(|error| panic!("torn at {cut}: {error}"));
            assert_eq!(found(&db), before, "torn at {cut}");
            assert!(db.get(&ReadOptions::default(), b"new").expect("a get").is_some(), "torn at {cut}");
        }
    }
}

/// The old contents of a WAL whose space is reused: complete records with old sequence numbers.
#[test]
pub(super) fn old_records_behind_a_torn_tail_do_not_come_back() {
    let files = logged();
    let length = log(&mut files.clone()).1.len();
    for cut in (length / 2..length).step_by(7) {
        for gap in [0, 512, BLOCK_SIZE] {
            let stale = with_log(&files, |log| {
                let mut bytes = log[..cut].to_vec();
                bytes.resize(bytes.len().next_multiple_of(gap.max(1)), 0);
                [&bytes, log].concat()
            });
            let case = format!("records of the past {gap} bytes behind {cut}");
            let numbers = opened(&case, &stale, false);
            assert!(numbers.len() >= BATCHES as usize / 2 - 1, "{case}: {numbers:?}");
            assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{case}: {numbers:?}");
            // An open with paranoid checks finds the same, or refuses; `open` checks that nothing changed.
            let env = disk(&stale, false);
            if let Ok(db) = open(&env, true) {
                assert_eq!(found(&db), numbers, "{case}");
                assert!(scan(&db).1.is_ok());
            }
        }
    }
}
