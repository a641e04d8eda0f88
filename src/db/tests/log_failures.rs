//! What a failure in the WAL costs: the write that met it, if none of it is in the WAL. Never more than what
//! the WAL may have of it.

use super::{TestDb, under_all_options_with_crashes, under_all_options_with_faults};
use crate::batch::write_batch::WriteBatch;
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::mem::CrashChoice;
use crate::options::{Options, WriteOptions};
use crate::util::random::Random;
use std::collections::BTreeMap;

/// A value that does not compress.
fn noise(random: &mut Random, length: usize) -> String {
    (0..length).map(|_| char::from(b' ' + random.uniform(90) as u8)).collect()
}

fn check(test: &TestDb, model: &BTreeMap<String, String>) {
    let contents: BTreeMap<_, _> = test.contents().into_iter().collect();
    assert!(contents == *model, "{} entries of {}", contents.len(), model.len());
}

/// Files of this process may not become larger than a fraction of a memtable, as a shell, a container or a
/// mail server may demand.
#[test]
fn a_limit_on_file_sizes_below_that_of_a_log_or_a_table_costs_no_write() {
    for limit in [20_000, 200_000] {
        let options = Options { write_buffer_size: 1 << 20, ..Options::default() };
        under_all_options_with_faults(&options, |mut test| {
            let (mut random, mut model) = (Random::new(18), BTreeMap::new());
            test.faults().limit_file_size(limit);
            for i in 0..1500 {
                let (key, value) = (format!("key{:05}", random.uniform(5000)), noise(&mut random, 1000));
                if i % 10 == 0 {
                    test.put_synced(&key, &value).unwrap();
                } else {
                    test.put(&key, &value);
                }
                model.insert(key, value);
            }
            assert!(test.db().background_error().is_none());
            check(&test, &model);
            test.flush();
            test.compact_all();
            check(&test, &model);
            test.reopen();
            check(&test, &model);
            let sizes = test.files_but_info_log().iter().map(|path| test.file_size(path)).max();
            assert!(sizes <= Some(limit));
        });
    }
}

#[test]
fn a_record_that_no_log_can_hold_is_refused_and_nothing_else() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        test.put("before", "value");
        test.faults().limit_file_size(100_000);
        for _ in 0..3 {
            let error = test.try_put("huge", "v".repeat(200_000)).unwrap_err();
            assert!(error.is_file_too_large(), "{error}");
            assert!(test.db().background_error().is_none());
        }
        assert!(test.logs().len() <= 2, "a new log for each try");
        test.put("after", "value");
        test.reopen();
        assert_eq!(test.contents().len(), 2);
    });
}

/// An error of a single append fails only that write, whatever part of it has reached the file.
#[test]
fn a_write_that_was_refused_leaves_the_database_as_it_was() {
    for errno in [libc::ENOMEM, libc::EAGAIN, libc::EINTR] {
        for written in [0, 3, 7, 20, 40_000] {
            under_all_options_with_crashes(&Options::default(), |mut test| {
                test.put_synced("before", "value").unwrap();
                for (value, nth) in
                    [("short".to_owned(), 1), ("short".to_owned(), 2), ("x".repeat(100_000), 1)]
                {
                    let rule = FaultRule::new([FaultKind::Append]).path_suffix(".log").nth(nth).once();
                    let failing = test.faults().add(rule.errno(errno).short_write(written));
                    let mut batch = WriteBatch::new();
                    batch.put(b"failed", value.as_bytes());
                    batch.put(b"failed too", &[b'y'; 40_000]);
                    let error = test.db().write(&WriteOptions::default(), &batch).unwrap_err();
                    assert_eq!((error.errno(), failing.hits()), (Some(errno), 1));
                    assert!(test.db().background_error().is_none());
                }
                test.put_synced("after", "value").unwrap();
                for choice in [CrashChoice::OnlySynced, CrashChoice::Everything] {
                    test.crash(choice);
                    let keys: Vec<_> = test.contents().into_iter().map(|(key, _)| key).collect();
                    assert_eq!(keys, ["after", "before"], "{choice:?}");
                }
            });
        }
    }
}

#[test]
fn a_part_of_a_record_that_cannot_be_taken_back_has_the_log_replaced() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        test.put("before", "value");
        let failing = test.faults().add(
            FaultRule::new([FaultKind::Append]).path_suffix(".log").once().errno(libc::ENOMEM).short_write(9),
        );
        let stuck = test.faults().add(FaultRule::new([FaultKind::TakeBack]));
        test.try_put("failed", "value").unwrap_err();
        assert_eq!((failing.hits(), stuck.hits()), (1, 1));
        test.recover();
        test.put("after", "value");
        test.reopen();
        let keys: Vec<_> = test.contents().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["after", "before"]);
    });
}

/// No descriptor is left for opening the directory: no step that could lose anything was tried.
#[test]
fn a_synced_write_that_found_no_descriptor_fails_alone() {
    under_all_options_with_crashes(&Options::default(), |mut test| {
        test.put("before", "value");
        let failing = test.faults().add(FaultRule::new([FaultKind::SyncDir]).errno(libc::EMFILE));
        for _ in 0..3 {
            assert_eq!(test.put_synced("failed", "value").unwrap_err().errno(), Some(libc::EMFILE));
            assert!(test.db().background_error().is_none());
        }
        assert_eq!(failing.hits(), 3);
        test.put("meanwhile", "value");
        drop(failing);
        test.put_synced("after", "value").unwrap();
        test.crash(CrashChoice::OnlySynced);
        let keys: Vec<_> = test.contents().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["after", "before", "meanwhile"]);
    });
}

type Contents = BTreeMap<String, String>;

/// Writes, refusals of all kinds and crashes, in any order. A crash leaves a state that the database was in,
/// not older than the last write that was acknowledged as synced. A refused write is not in it, or is the
/// last one in it.
#[test]
fn whatever_is_refused_a_crash_finds_a_state_that_there_was() {
    for seed in 1..=6 {
        let options = Options { write_buffer_size: 64 << 10, ..Options::default() };
        under_all_options_with_crashes(&options, |mut test| {
            let mut random = Random::new(seed);
            for _ in 0..4 {
                let states = refused_and_written(&test, &mut random);
                let choice = match random.uniform(4) {
                    0 => CrashChoice::OnlySynced,
                    1 => CrashChoice::Everything,
                    _ => CrashChoice::Random { seed: random.next_u64(), garbage: false },
                };
                test.crash(choice);
                let found: Contents = test.contents().into_iter().collect();
                let keys: Vec<_> = found.keys().map(String::as_str).collect();
                assert!(states.contains(&found), "seed {seed}, {choice:?}: {} keys: {keys:?}", keys.len());
            }
        });
    }
}

/// Makes writes, some of which are refused. Returns the states that a crash may leave.
fn refused_and_written(test: &TestDb, random: &mut Random) -> Vec<Contents> {
    let mut now: Contents = test.contents().into_iter().collect();
    let mut states = vec![now.clone()];
    for number in 0..60 {
        let errno = [libc::ENOMEM, libc::EMFILE][random.uniform(2) as usize];
        let rule = match random.uniform(6) {
            0 => Some(FaultRule::new([FaultKind::SyncDir]).errno(libc::EMFILE)),
            1 => Some(FaultRule::new([FaultKind::Append]).path_suffix(".log").errno(errno).short_write(9)),
            2 => {
                test.faults().limit_file_size(30_000 + random.uniform(100_000));
                None
            }
            3 => {
                test.faults().limit_file_size(u64::MAX);
                None
            }
            _ => None,
        };
        let failing = rule.map(|rule| test.faults().add(rule.once()));
        let mut batch = WriteBatch::new();
        let mut next = now.clone();
        for _ in 0..=random.uniform(3) {
            let (key, length) = (format!("{:02}", random.uniform(30)), [5, 900, 9_000, 50_000]);
            let length = length[random.uniform(4) as usize];
            let value = noise(random, length);
            if random.uniform(4) == 0 {
                batch.delete(key.as_bytes());
                next.remove(&key);
            } else {
                batch.put(key.as_bytes(), value.as_bytes());
                next.insert(key, value);
            }
        }
        let sync = random.uniform(4) == 0;
        let outcome = test.db().write(&WriteOptions { sync }, &batch);
        drop(failing);
        states.push(next.clone());
        if outcome.is_ok() {
            now = next;
            if sync {
                states = vec![now.clone()];
            }
        } else {
            assert!(test.contents().into_iter().eq(now.clone()), "write {number}");
        }
    }
    test.faults().limit_file_size(u64::MAX);
    states
}
