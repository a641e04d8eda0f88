//! Cases where LevelDB loses acknowledged writes, or lets a second process in: what happens here instead.

use crate::db::Db;
use crate::db::repair;
use crate::db::tests::{
    TestDb, under_all_options, under_all_options_with_crashes, under_all_options_with_faults,
};
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::mem::CrashChoice;
use crate::options::Options;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn choices() -> [CrashChoice; 5] {
    [
        CrashChoice::OnlySynced,
        CrashChoice::Everything,
        CrashChoice::Random { seed: 1, garbage: false },
        CrashChoice::Random { seed: 2, garbage: false },
        CrashChoice::Random { seed: 3, garbage: false },
    ]
}

/// Opens the state that each kind of crash would leave now, and checks it.
fn after_each_crash(test: &TestDb, check: impl Fn(&Db, CrashChoice)) {
    for choice in choices() {
        let disk = test.disk().crash_clone(choice);
        let options = Options { env: disk.shared(), ..test.options.clone() };
        check(&Db::open(&options, &test.path()).expect("open after a crash"), choice);
    }
}

fn get(db: &Db, key: &str) -> Option<String> {
    let value = db.get(&Default::default(), key.as_bytes()).expect("get");
    value.map(|value| String::from_utf8(value).expect("UTF-8"))
}

/// LevelDB keeps appending to a WAL after a failed append. The framing after that point is lost, and synced
/// records with it.
#[test]
fn nothing_is_acknowledged_behind_a_failed_append_that_a_recovery_would_not_find() {
    for errno in [libc::EIO, libc::ENOSPC, libc::ENOMEM, libc::EFBIG] {
        for written in [0, 3, 7, 20] {
            under_all_options_with_crashes(&Options::default(), |test| {
                let mut synced = BTreeMap::new();
                let mut put = |key: &str| {
                    let outcome = test.put_synced(key, format!("value of {key}"));
                    if outcome.is_ok() {
                        synced.insert(key.to_owned(), format!("value of {key}"));
                    }
                    outcome
                };
                put("before").unwrap();
                let rule = FaultRule::new([FaultKind::Append]).path_suffix(".log").once();
                let failing = test.faults().add(rule.errno(errno).short_write(written));
                // If a WAL may not become larger, another one is started, which takes the write.
                assert_eq!(put("failed").is_ok(), errno == libc::EFBIG);
                assert_eq!(failing.hits(), 1);
                // Retries until the error is cured.
                let deadline = Instant::now() + Duration::from_secs(60);
                while put("retried").is_err() {
                    assert!(Instant::now() < deadline, "a new log is never begun");
                }
                for i in 0..20 {
                    put(&format!("behind {i}")).unwrap();
                }
                after_each_crash(&test, |db, choice| {
                    for (key, value) in &synced {
                        assert_eq!(get(db, key).as_ref(), Some(value), "{choice:?}");
                    }
                });
                assert!(synced.iter().all(|(key, value)| test.get(key).as_ref() == Some(value)));
            });
        }
    }
}

/// In LevelDB a second open opens and closes LOCK, which drops the first one's lock. Then another process can
/// open the database.
#[test]
fn a_failed_second_opening_does_not_drop_the_lock() {
    under_all_options(&Options::default(), |mut test| {
        let lock = std::fs::OpenOptions::new().write(true).open(test.path().join("LOCK")).unwrap();
        let linked = test.path().with_file_name("the same by another name");
        std::os::unix::fs::symlink(test.path(), &linked).unwrap();
        for path in [test.path(), linked] {
            Db::open(&test.options, &path).unwrap_err();
            crate::db::destroy(&test.options, &path).unwrap_err();
            repair(&test.options, &path).unwrap_err();
            assert!(lock.try_lock().is_err(), "another process would get in");
        }
        test.close();
        lock.try_lock().unwrap();
    });
}

/// In LevelDB with create_if_missing, a lost CURRENT means a new database, whose clean-up removes every table
/// of the old one.
#[test]
fn without_current_nothing_is_created_and_nothing_removed() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.flush();
        test.put("late", "in the log");
        test.close();
        let current = test.path().join("CURRENT");
        let contents = test.read_file(&current);
        std::fs::remove_file(&current).unwrap();
        let before = test.files_but_info_log();
        assert!(test.options.create_if_missing);
        for _ in 0..2 {
            let error = test.try_reopen().unwrap_err();
            assert!(error.is_corruption() && error.to_string().contains("repair"), "{error}");
        }
        assert_eq!(test.files_but_info_log(), before);
        test.write_file(&current, &contents);
        test.reopen();
        assert_eq!(test.contents().len(), 2);
    });
}

/// LevelDB does not sync the directory after it creates a WAL, so a synced write may be in a file that has no
/// durable name.
#[test]
fn a_synced_write_to_a_new_log_has_a_log_with_a_name() {
    under_all_options_with_crashes(&Options::default(), |test| {
        test.put_synced("first", "of a new database").unwrap();
        after_each_crash(&test, |db, choice| {
            assert_eq!(get(db, "first").as_deref(), Some("of a new database"), "{choice:?}");
        });
        let blocked = test.faults().add(FaultRule::new([FaultKind::Sync]).path_suffix(".ldb").hold());
        test.db().rotate_memtable().unwrap();
        test.put_synced("second", "of a rotated log").unwrap();
        after_each_crash(&test, |db, choice| {
            assert_eq!(get(db, "second").as_deref(), Some("of a rotated log"), "{choice:?}");
        });
        blocked.release();
    });
}

/// LevelDB syncs the current WAL only. An unsynced record of the previous WAL may be lost although a later,
/// synced write is not.
#[test]
fn a_synced_write_makes_what_is_in_older_logs_durable() {
    under_all_options_with_crashes(&Options::default(), |test| {
        let blocked = test.faults().add(FaultRule::new([FaultKind::Sync]).path_suffix(".ldb").hold());
        test.put("older", "not synced");
        test.db().rotate_memtable().unwrap();
        test.put("newer", "not synced either");
        test.put_synced("synced", "").unwrap();
        assert_eq!(test.logs().len(), 2);
        after_each_crash(&test, |db, choice| {
            for key in ["older", "newer", "synced"] {
                assert!(get(db, key).is_some(), "{key} is lost: {choice:?}");
            }
        });
        blocked.release();
    });
}

/// LevelDB with reuse_logs appends after a torn record. The next recovery drops that block with all the
/// synced records in it.
#[test]
fn nothing_is_written_behind_a_torn_record() {
    for torn in [1, 6, 7, 8, 30, 100] {
        under_all_options(&Options::default(), |mut test| {
            test.put_synced("before", "b").unwrap();
            test.close();
            // The rest of a record of 200 bytes whose writer was killed.
            let log = test.logs().pop().unwrap();
            let mut contents = test.read_file(&log);
            let record = [[0x12, 0x34, 0x56, 0x78, 200, 0, 1].as_slice(), &[b'x'; 200]].concat();
            contents.extend(&record[..torn]);
            test.write_file(&log, &contents);
            for round in 0..3 {
                test.reopen();
                assert_eq!(test.contents().len(), 1 + round, "{torn} bytes");
                test.put_synced(format!("behind {round}"), "").unwrap();
            }
            test.options.paranoid_checks = true;
            test.reopen();
            assert_eq!(test.contents().len(), 4);
        });
    }
}

/// LevelDB's repair takes over the records of a WAL without verifying their checksums.
#[test]
fn a_repair_does_not_take_over_damaged_records() {
    under_all_options(&Options::default(), |mut test| {
        for i in 0..100 {
            test.put(format!("k{i:03}"), format!("value {i}").repeat(100));
        }
        let whole = test.contents();
        test.close();
        let log = test.logs().pop().unwrap();
        let size = test.file_size(&log) as i64;
        for offset in (40_000..size).step_by(15_000) {
            test.corrupt(&log, offset, 1);
        }
        repair(&test.options, &test.path()).unwrap();
        test.reopen();
        let saved = test.contents();
        assert!(saved.len() > 30 && saved.len() < 100, "{}", saved.len());
        assert!(saved.iter().all(|entry| whole.contains(entry)), "a damaged record was taken over");
        let lost = test.path().join("lost").join(log.file_name().unwrap());
        assert_eq!(test.file_size(&lost) as i64, size, "the damaged log is kept aside");
    });
}

/// After a failed change of CURRENT, LevelDB removes the new MANIFEST, which CURRENT may name nevertheless.
#[test]
fn a_switch_of_manifests_that_fails_removes_neither() {
    let failures = [
        FaultRule::new([FaultKind::Rename]).path_suffix("CURRENT"),
        FaultRule::new([FaultKind::Rename]).path_suffix("CURRENT").after(),
        FaultRule::new([FaultKind::SyncDir]).nth(2), // after that of the table's name
        FaultRule::new([FaultKind::SyncDir]).nth(3),
        FaultRule::new([FaultKind::SyncDir]).nth(3).after(),
    ];
    for rule in failures {
        under_all_options_with_faults(&Options::default(), |mut test| {
            test.options.reuse_logs = false; // otherwise CURRENT would not change
            test.put("foo", "bar");
            test.flush();
            test.put("late", "in the log");
            test.close();
            let failing = test.faults().add(rule.clone());
            let confirmed = test.try_reopen().and_then(|()| test.db().flush());
            assert!(failing.hits() > 0 && confirmed.is_err());
            test.abandon();
            drop(failing);
            let current = String::from_utf8(test.read_file(&test.path().join("CURRENT"))).unwrap();
            let named = test.path().join(current.trim_end());
            assert!(test.manifests().contains(&named), "{current} is gone");
            for _ in 0..2 {
                test.reopen();
                assert_eq!(test.contents().len(), 2);
                test.settle();
                assert_eq!(test.manifests().len(), 1);
            }
        });
    }
}
