//! Damaged files: what is lost, what is reported, and what must not be changed.
//!
//! The databases are those of LevelDB's corruption test: keys `0000000000000000`, ..., and values of a
//! kilobyte that depend on the key and do not compress.

use super::foreign_tables::recoded;
use super::{TestDb, random_bytes, under_all_options, under_all_options_with_faults};
use crate::db::Severity;
use crate::db::repair;
use crate::env::fault::{FaultKind, FaultRule};
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::file_name;
use crate::options::Options;
use crate::util::random::Random;
use crate::wal::marker::MARKER_SIZE;
use std::ops::RangeInclusive;
use std::path::PathBuf;

const VALUE_SIZE: usize = 1000;

fn key(i: usize) -> String {
    format!("{i:016}")
}

fn value(i: usize) -> Vec<u8> {
    random_bytes(&mut Random::new(i as u64), VALUE_SIZE)
}

fn build(test: &TestDb, count: usize) {
    for i in 0..count {
        test.put(key(i), value(i));
    }
}

/// Scans everything. Returns how many entries were found and how the scan ended. Checks that the entries are
/// right and in order.
fn scan(test: &TestDb) -> (usize, Result<()>) {
    let mut iterator = test.iter();
    let mut previous = None;
    let mut correct = 0;
    iterator.seek_to_first();
    while iterator.valid() {
        let i: usize = std::str::from_utf8(iterator.key()).unwrap().parse().unwrap();
        assert!(previous < Some(i), "{i} after {previous:?}");
        assert!(iterator.value() == value(i), "the value of {i} is wrong");
        previous = Some(i);
        correct += 1;
        iterator.next();
    }
    let forward = iterator.status();
    let mut backward = 0;
    iterator.seek_to_last();
    while iterator.valid() {
        backward += 1;
        iterator.prev();
    }
    assert_eq!(iterator.status().is_ok(), forward.is_ok());
    assert!(test.options.paranoid_checks || backward == correct, "{backward} backward, {correct} forward");
    (correct, forward)
}

/// Scans everything, and expects this many entries and a Corruption.
fn check_damaged(test: &TestDb, expected: RangeInclusive<usize>) -> Error {
    let (correct, status) = scan(test);
    assert!(expected.contains(&correct), "{correct} entries are left, not {expected:?}");
    let error = status.expect_err("a scan that misses entries without a word");
    assert!(error.is_corruption(), "{error}");
    error
}

/// Scans everything, and expects exactly this many entries and no error.
fn check_whole(test: &TestDb, expected: usize) {
    let (correct, status) = scan(test);
    assert_eq!(correct, expected);
    status.unwrap();
}

fn last_table(test: &TestDb) -> PathBuf {
    test.tables().pop().expect("a table")
}

fn repaired(test: &mut TestDb) {
    test.close();
    repair(&test.options, &test.path()).unwrap();
    test.reopen();
}

#[test]
fn damage_in_a_log_costs_the_rest_of_its_blocks() {
    under_all_options(&Options::default(), |mut test| {
        build(&test, 100);
        check_whole(&test, 100);
        test.close();
        let log = test.logs().pop().unwrap();
        test.corrupt(&log, 19 + MARKER_SIZE as i64, 1); // the tag of the first record
        test.corrupt(&log, 32768 + 1000, 1); // somewhere in the second block
        let files = test.files_but_info_log();
        let before: Vec<_> = files.iter().map(|file| test.read_file(file)).collect();
        test.options.paranoid_checks = true;
        assert!(test.try_reopen().unwrap_err().is_corruption());
        assert_eq!(test.files_but_info_log(), files);
        for (file, contents) in files.iter().zip(before) {
            assert!(test.read_file(file) == contents, "{} was changed", file.display());
        }
        // The 64 records of the first two blocks are lost.
        test.options.paranoid_checks = false;
        test.reopen();
        check_whole(&test, 36);
        let damage = test.property("terrace.recovery-damage");
        // In each block, the end of a record that began earlier is reported too; and where the WAL is now.
        assert_eq!(damage.lines().count(), 5, "{damage}");
        assert!(damage.contains(&*log.to_string_lossy()), "{damage}");
        let lost = test.path().join("lost").join(log.file_name().unwrap());
        for _ in 0..2 {
            test.reopen();
            check_whole(&test, 36);
            let damage = test.property("terrace.recovery-damage");
            assert_eq!(damage.lines().count(), 1, "{damage}");
            assert!(damage.contains(&*lost.to_string_lossy()), "{damage}");
        }
        test.options.env.remove_file(&lost).unwrap();
        test.reopen();
        assert_eq!(test.property("terrace.recovery-damage"), "");
    });
}

#[test]
fn a_flipped_bit_in_a_table_loses_one_block_and_is_told() {
    under_all_options(&Options::default(), |mut test| {
        build(&test, 100);
        test.rewrite_all();
        test.close();
        let table = last_table(&test);
        let data = 100 * VALUE_SIZE as i64 * 9 / 10;
        for offset in [0, 100, 5000, 30_000, 66_000, data] {
            test.corrupt(&table, offset, 1);
            test.reopen();
            // A block of 4 KiB has four or five values.
            let error = check_damaged(&test, 95..=99);
            assert!(error.to_string().contains(&*table.to_string_lossy()), "{error}");
            let unread = (0..100).filter(|&i| test.try_get(key(i)).is_err()).count();
            assert!((1..=5).contains(&unread), "{unread} of the keys can't be read");
            test.close();
            // With `paranoid_checks` the scan ends there.
            test.options.paranoid_checks = true;
            test.reopen();
            let (seen, status) = scan(&test);
            assert!(seen < 96 && status.unwrap_err().is_corruption());
            test.close();
            test.options.paranoid_checks = false;
            test.corrupt(&table, offset, 1); // flipped back
        }
        test.reopen();
        check_whole(&test, 100);
    });
}

#[test]
fn an_unreadable_table_costs_its_own_entries() {
    under_all_options(&Options::default(), |mut test| {
        // Three tables at level 2, and one above that overlaps them.
        for tens in 0..3 {
            for i in tens * 10..tens * 10 + 10 {
                test.put(key(i), value(i));
            }
            test.flush();
        }
        assert_eq!(test.files_per_level(), [0, 0, 3]);
        test.put(key(25), value(25));
        test.put(key(12), value(12));
        test.flush();
        test.close();
        let middle = test.tables()[1].clone();
        test.corrupt(&middle, -1, 1); // the magic number
        test.reopen();
        let error = check_damaged(&test, 21..=21);
        assert!(error.to_string().contains(&*middle.to_string_lossy()), "{error}");
        assert!(test.try_get(key(12)).unwrap().is_some());
        assert!(test.try_get(key(11)).is_err());
        let mut iterator = test.iter();
        iterator.seek(key(13).as_bytes());
        assert_eq!(iterator.key(), key(20).as_bytes());
        assert!(iterator.status().is_err());
        iterator.seek(key(20).as_bytes());
        assert!(iterator.valid());
        iterator.status().unwrap();
    });
}

/// Skipping damage must not become skipping I/O errors.
#[test]
fn an_io_error_ends_a_scan_that_passes_over_damage() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        build(&test, 100);
        test.rewrite_all();
        test.close();
        let table = last_table(&test);
        test.corrupt(&table, 30_000, 1);
        for nth in [1, 5, 15] {
            test.reopen();
            check_damaged(&test, 95..=99);
            test.reopen(); // empties the cache
            assert_eq!(test.try_get(key(99)).unwrap().map(|value| value.len()), Some(VALUE_SIZE));
            let failing = test.faults().add(FaultRule::new([FaultKind::Read]).path_suffix(".ldb").nth(nth));
            let mut iterator = test.iter();
            iterator.seek_to_first();
            let mut seen = 0;
            while iterator.valid() {
                seen += 1;
                iterator.next();
            }
            assert_eq!(failing.hits(), 1, "one error ends it");
            assert_eq!(iterator.status().unwrap_err().errno(), Some(libc::EIO));
            assert!(seen < 95);
            drop(failing);
            // Backward, the key before an error is not shown: its newest value may be in the unread block.
            let failing = test.faults().add(FaultRule::new([FaultKind::Read]).path_suffix(".ldb"));
            iterator.seek_to_last();
            while iterator.valid() {
                iterator.prev();
            }
            assert_eq!(iterator.status().unwrap_err().errno(), Some(libc::EIO));
            drop(failing);
            test.close();
        }
    });
}

#[test]
fn a_repair_saves_what_a_damaged_table_still_has() {
    // Blocks of two values, to limit how many entries one flipped bit costs.
    let base = Options { block_size: 2 * VALUE_SIZE, paranoid_checks: true, ..Options::default() };
    under_all_options(&base, |mut test| {
        build(&test, 100);
        test.rewrite_all();
        test.close();
        test.corrupt(&last_table(&test), 100, 1);
        repaired(&mut test);
        let (correct, status) = scan(&test);
        assert!((95..=99).contains(&correct), "{correct}");
        status.unwrap();
        check_whole(&test, correct);
        test.rewrite_all();
        check_whole(&test, correct);
        let lost = test.options.env.children(&test.path().join("lost")).unwrap();
        assert!(!lost.is_empty(), "the damaged table is not kept");
    });
}

#[test]
fn a_damaged_index_keeps_more_than_half() {
    // One table per memtable.
    under_all_options(&Options { max_write_buffer_number: 2, ..Options::default() }, |mut test| {
        build(&test, 10_000);
        test.flush();
        assert!(test.tables().len() > 1);
        test.close();
        test.corrupt(&last_table(&test), -2000, 500);
        test.reopen();
        check_damaged(&test, 5000..=9999);
        repaired(&mut test);
        let (correct, status) = scan(&test);
        assert!((5000..=9999).contains(&correct), "{correct}");
        status.unwrap();
    });
}

#[test]
fn a_database_without_manifest_is_repaired_whole() {
    under_all_options(&Options::default(), |mut test| {
        build(&test, 500);
        test.flush();
        build(&test, 1000);
        test.close();
        for file in test.manifests().into_iter().chain([file_name::current(&test.path())]) {
            std::fs::remove_file(file).unwrap();
        }
        assert!(test.try_reopen().is_err());
        repaired(&mut test);
        check_whole(&test, 1000);
        test.reopen();
        check_whole(&test, 1000);
    });
}

#[test]
fn a_repair_goes_on_behind_the_last_sequence_number() {
    under_all_options(&Options::default(), |mut test| {
        for version in 1..=5 {
            test.put("foo", format!("v{version}"));
            if version == 3 {
                test.flush();
            }
        }
        test.delete("gone");
        repaired(&mut test);
        assert_eq!(test.get("foo").as_deref(), Some("v5"));
        // With a sequence number that is too low, an existing entry would hide this one.
        test.put("foo", "v6");
        for _ in 0..3 {
            assert_eq!(test.get("foo").as_deref(), Some("v6"));
            test.reopen();
        }
        assert_eq!(test.contents().len(), 1);
    });
}

#[test]
fn a_bad_manifest_is_refused_and_repaired() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "hello");
        test.flush();
        test.compact_level(2, None, None);
        test.close();
        test.corrupt(&test.manifests().pop().unwrap(), 0, 1000);
        let before = test.files_but_info_log();
        for _ in 0..2 {
            let error = test.try_reopen().unwrap_err();
            assert!(error.is_corruption() && error.to_string().contains("MANIFEST"), "{error}");
        }
        assert_eq!(test.files_but_info_log(), before);
        repaired(&mut test);
        assert_eq!(test.get("foo").as_deref(), Some("hello"));
    });
}

#[test]
fn a_compaction_of_a_damaged_table_fails_and_leaves_it_where_it_is() {
    under_all_options(&Options::default(), |mut test| {
        build(&test, 10);
        test.flush();
        assert_eq!(test.files_per_level(), [0, 0, 1]);
        test.close();
        let table = last_table(&test);
        test.corrupt(&table, 100, 1);
        test.reopen();
        check_damaged(&test, 5..=9);
        let error = test.db().inner.compact_level(2, None, None).unwrap_err();
        assert!(error.is_corruption() && error.to_string().contains(&*table.to_string_lossy()), "{error}");
        assert_eq!(test.files_per_level(), [0, 0, 1]);
        assert_eq!(test.tables(), std::slice::from_ref(&table));
        check_damaged(&test, 5..=9);
        // Writes continue, and new values hide the damaged ones.
        build(&test, 10_000);
        let (correct, _) = scan(&test);
        assert_eq!(correct, 10_000);
        test.flush();
        assert!(test.tables().contains(&table));
        test.reopen();
        assert_eq!(scan(&test).0, 10_000);
    });
}

#[test]
fn a_damaged_table_of_level_0_is_not_compacted_away_either() {
    under_all_options(&Options::default(), |mut test| {
        test.make_tables(2, &key(0), &key(99));
        for _ in 0..2 {
            build(&test, 100);
            test.flush();
        }
        assert_eq!(test.files_per_level(), [2, 1, 1]);
        test.close();
        let table = last_table(&test);
        test.corrupt(&table, 30_000, 1);
        test.reopen();
        let before = test.tables();
        assert!(test.db().compact_range(None, None).unwrap_err().is_corruption());
        assert_eq!(test.tables(), before);
        assert_eq!(test.files_per_level(), [2, 1, 1]);
    });
}

#[test]
fn with_paranoid_checks_a_damaged_compaction_refuses_writes() {
    let base = Options { paranoid_checks: true, write_buffer_size: 512 << 10, ..Options::default() };
    under_all_options(&base, |mut test| {
        for _ in 0..2 {
            build(&test, 10);
            test.flush();
            test.close();
            test.corrupt(&last_table(&test), 100, 1);
            test.reopen();
        }
        assert!(test.db().compact_range(None, None).unwrap_err().is_corruption());
        let error = test.try_put(key(5), value(5)).unwrap_err();
        assert!(error.is_corruption(), "{error}");
        assert_eq!(test.db().background_error().unwrap().severity, Severity::UntilReopened);
        assert!(test.try_get(key(9)).unwrap().is_some(), "what is not damaged is read");
    });
}

#[test]
fn keys_beside_the_damage_are_fine() {
    under_all_options(&Options::default(), |mut test| {
        build(&test, 10);
        test.flush();
        test.close();
        test.corrupt(&last_table(&test), 100, 1);
        test.reopen();
        test.put(key(1000), value(1000));
        for _ in 0..2 {
            assert!(test.get(key(1000)).unwrap().as_bytes() == value(1000));
            test.flush();
        }
    });
}

/// The failed compaction was once retried every five seconds, and nothing else was compacted in between.
#[test]
fn a_damaged_table_keeps_no_others_from_being_compacted() {
    keeps_no_others_from_being_compacted(|table| table[2] ^= 1, |error| error.is_corruption());
}

#[test]
fn a_table_that_is_not_understood_keeps_no_others_from_being_compacted() {
    keeps_no_others_from_being_compacted(
        |table| *table = recoded(table, &mut |block| Some((block.to_vec(), 9)), false),
        |error| error.is_not_supported(),
    );
}

fn keeps_no_others_from_being_compacted(spoil: fn(&mut Vec<u8>), is_told: fn(&Error) -> bool) {
    let base = Options {
        level0_file_num_compaction_trigger: 2,
        level0_slowdown_writes_trigger: 4,
        level0_stop_writes_trigger: 4,
        ..Options::default()
    };
    under_all_options(&base, |mut test| {
        for (smallest, largest) in [("a", "b"), ("x", "z")] {
            test.make_tables(1, smallest, largest); // at level 2, with nothing in the way
            test.make_tables(1, smallest, largest); // at level 1
        }
        assert_eq!(test.files_per_level(), [0, 2, 2]);
        let (damaged, contents) = {
            let table = test.tables().swap_remove(1);
            (table.clone(), test.read_file(&table))
        };
        test.close();
        let mut spoilt = contents.clone();
        spoil(&mut spoilt);
        test.write_file(&damaged, &spoilt);
        test.reopen();
        test.make_tables(2, "a", "b");
        test.wait_until("the damage to be found", |state| state.errors.compaction().is_some());
        let error = test.db().background_error().unwrap();
        assert!(is_told(&error.error) && error.error.path() == Some(&*damaged), "{}", error.error);
        assert_eq!((error.severity, error.retries), (Severity::Retrying, 0));

        // Compactions of other files continue, however often.
        for round in 0..6 {
            test.make_tables(2, "x", "z");
            test.wait_until("level 0 to be compacted", |state| {
                state.versions.current(ColumnFamilyId::DEFAULT).num_files(0) == 2
            });
            assert_eq!(test.db().background_error().unwrap().retries, 0, "round {round}");
        }
        assert_eq!(test.get("z").as_deref(), Some("end"));
        // Writes to the damaged range fail instead of waiting permanently.
        let refused = (0..10).find_map(|_| {
            test.put("a", "begin");
            test.put("b", "end");
            test.db().flush().err()
        });
        assert!(is_told(&refused.expect("level 0 is full")));
        assert!(is_told(&test.db().compact_range(Some(b"a"), Some(b"b")).unwrap_err()));
        assert!(is_told(&test.db().resume().unwrap_err()));

        // When the file is restored from a copy, it is compacted with the others.
        test.close();
        test.write_file(&damaged, &contents);
        test.reopen();
        test.wait_until_idle();
        assert!(test.files_at(0) < 2, "but for what the log held");
        assert!(test.db().background_error().is_none());
        assert_eq!(test.contents().len(), 4);
    });
}
