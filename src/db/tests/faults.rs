//! A disk that is full, read-only or failing: acknowledged writes stay, reads work, and errors that can be
//! cured are cured.

use super::{TestDb, under_all_options_with_crashes, under_all_options_with_faults};
use crate::db::Severity;
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::mem::CrashChoice;
use crate::format::NUM_LEVELS;
use crate::options::Options;
use crate::util::random::Random;

fn severity(test: &TestDb) -> Option<Severity> {
    test.db().background_error().map(|error| error.severity)
}

#[test]
fn a_full_disk_leaks_no_files_and_is_cured_by_space() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        test.put("foo", "v1");
        test.compact("a", "z");
        // CURRENT, LOCK, LOG, a MANIFEST, a WAL and a table. Obsolete WALs and tables are removed a little
        // later.
        let settled = 6;
        test.wait_until("files out of use to be removed", |_| test.files(|_| true).len() == settled);
        test.put("kept", "in memory");
        let full = test.faults().add(FaultRule::no_space());
        for round in 0..10 {
            for level in 0..NUM_LEVELS - 1 {
                let _ = test.db().inner.compact_level(level, None, None);
            }
            assert!(test.try_put("bar", "v2").unwrap_err().is_no_space());
            assert!(test.db().flush().unwrap_err().is_no_space());
            assert!(test.db().resume().is_err());
            assert_eq!(test.get("foo").as_deref(), Some("v1"));
            assert_eq!(test.get("bar"), None);
            let files = test.files(|_| true);
            assert!(files.len() < settled + 3, "round {round}: {files:?}");
        }
        drop(full);
        test.recover();
        assert_eq!(severity(&test), None);
        test.put("bar", "v3");
        test.rewrite_all(); // into one table
        test.wait_until("the files to be removed", |_| test.files(|_| true).len() == settled);
        for _ in 0..2 {
            assert_eq!(test.get("foo").as_deref(), Some("v1"));
            assert_eq!(test.get("bar").as_deref(), Some("v3"));
            assert_eq!(test.get("kept").as_deref(), Some("in memory"));
            test.reopen();
        }
    });
}

#[test]
fn a_disk_that_fills_up_during_a_flush_costs_nothing() {
    under_all_options_with_faults(&Options::default(), |test| {
        test.put("foo", "v1");
        let full = test.faults().add(
            FaultRule::new([FaultKind::Append, FaultKind::Flush, FaultKind::Sync])
                .path_suffix(".ldb")
                .errno(libc::ENOSPC),
        );
        assert!(test.db().flush().unwrap_err().is_no_space());
        assert_eq!(severity(&test), Some(Severity::Retrying));
        assert!(test.tables().is_empty(), "a partial table is left behind");
        test.put("bar", "v2"); // memory has space
        drop(full);
        test.recover();
        test.flush();
        assert_eq!(test.tables().len(), test.files_per_level().iter().sum::<usize>());
        assert_eq!(test.contents().len(), 2);
    });
}

#[test]
fn a_read_only_file_system_fails_writes_that_need_a_file_and_no_others() {
    under_all_options_with_faults(
        &Options { write_buffer_size: 64 << 10, ..Options::default() },
        |mut test| {
            test.put("foo", "v1");
            let read_only = test.faults().add(FaultRule::non_writable());
            let big = |i: usize| format!("{i}").repeat(100_000);
            let mut acknowledged = None;
            let mut errors = 0;
            for i in 0..20 {
                match test.try_put("big", big(i)) {
                    Ok(()) => acknowledged = Some(i),
                    Err(error) => {
                        assert_eq!(error.errno(), Some(libc::EROFS), "{error}");
                        errors += 1;
                    }
                }
                assert!(test.get("big") == acknowledged.map(big));
                assert_eq!(test.get("foo").as_deref(), Some("v1"));
            }
            assert!(errors > 0);
            drop(read_only);
            test.put("big", "small");
            for _ in 0..2 {
                assert_eq!(test.get("big").as_deref(), Some("small"));
                assert_eq!(test.get("foo").as_deref(), Some("v1"));
                test.reopen();
            }
        },
    );
}

#[test]
fn after_a_failed_log_sync_writes_are_refused_and_reads_work() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        let failing = test.faults().add(FaultRule::log_sync_error());
        test.put("k1", "v1");
        assert_eq!(test.get("k1").as_deref(), Some("v1"));
        assert!(test.put_synced("k2", "v2").is_err());
        drop(failing);
        // A later sync that succeeds would not report the pages that the failed sync lost.
        for _ in 0..2 {
            let error = test.try_put("k3", "v3").unwrap_err();
            assert!(error.to_string().contains("until the database is reopened"), "{error}");
            assert!(test.put_synced("k3", "v3").is_err());
            assert!(test.db().resume().is_err());
            assert!(test.db().compact_range(None, None).is_err());
        }
        assert_eq!(severity(&test), Some(Severity::UntilReopened));
        assert!(test.property("terrace.background-error").contains("Input/output error"));
        assert_eq!(test.get("k1").as_deref(), Some("v1"));
        assert_eq!((test.get("k2"), test.get("k3")), (None, None));
        assert_eq!(test.contents().len(), 1);
        test.abandon();
        test.reopen();
        assert_eq!(test.get("k1").as_deref(), Some("v1"));
        assert_eq!(test.get("k3"), None);
        test.put_synced("k4", "v4").unwrap();
    });
}

/// The ways in which the MANIFEST may fail: the edit is missing; it is there but not durable; or it is
/// durable although the system reports an error.
fn manifest_failures() -> [FaultRule; 4] {
    [
        FaultRule::manifest_write_error(),
        FaultRule::manifest_sync_error(),
        FaultRule::manifest_sync_error().after(),
        FaultRule::manifest_write_error().after(),
    ]
}

#[test]
fn a_manifest_that_cannot_be_written_loses_nothing() {
    for rule in manifest_failures() {
        under_all_options_with_crashes(&Options::default(), |mut test| {
            test.put("foo", "bar");
            test.flush();
            assert_eq!(test.files_per_level(), [0, 0, 1]);
            let failing = test.faults().add(rule.clone());
            assert!(test.db().inner.compact_level(2, None, None).is_err());
            assert_eq!(test.files_per_level(), [0, 0, 1]);
            assert_eq!(test.get("foo").as_deref(), Some("bar"));
            assert!(test.try_put("foo", "refused").is_err());
            assert!(test.db().resume().is_err());
            // Every state of the MANIFEST that the disk may keep.
            for choice in [
                CrashChoice::OnlySynced,
                CrashChoice::Everything,
                CrashChoice::Random { seed: 1, garbage: true },
                CrashChoice::Random { seed: 2, garbage: false },
            ] {
                let disk = test.disk().crash_clone(choice);
                let options = Options { env: disk.shared(), ..test.options.clone() };
                let db = crate::db::Db::open(&options, &test.path()).unwrap();
                let value = db.get(&Default::default(), b"foo").unwrap();
                assert_eq!(value.as_deref(), Some(b"bar".as_slice()), "{choice:?}");
            }
            drop(failing);
            test.abandon();
            test.reopen();
            assert_eq!(test.get("foo").as_deref(), Some("bar"));
        });
    }
}

#[test]
fn a_manifest_is_written_anew_and_what_it_does_not_name_is_removed() {
    for rule in manifest_failures() {
        under_all_options_with_faults(&Options::default(), |mut test| {
            test.put("foo", "bar");
            test.flush();
            let failing = test.faults().add(rule.clone());
            assert!(test.db().inner.compact_level(2, None, None).is_err());
            assert_eq!(severity(&test), Some(Severity::Manifest));
            assert!(test.tables().len() > 1, "its output may be named by the MANIFEST, and must stay");
            let manifests = test.manifests();
            drop(failing);
            test.recover();
            assert!(test.manifests().len() == 1 && test.manifests() > manifests);
            test.put("foo", "baz");
            test.wait_until("the output to be removed", |_| test.tables().len() == 1);
            test.compact_level(2, None, None);
            for _ in 0..2 {
                assert_eq!(test.get("foo").as_deref(), Some("baz"));
                test.reopen();
            }
        });
    }
}

#[test]
fn a_flush_whose_edit_failed_is_repeated() {
    for rule in manifest_failures() {
        under_all_options_with_faults(&Options::default(), |mut test| {
            test.put("foo", "bar");
            let failing = test.faults().add(rule.clone());
            assert!(test.db().flush().is_err());
            assert_eq!(test.get("foo").as_deref(), Some("bar"));
            drop(failing);
            test.recover();
            test.flush();
            test.wait_until("one table and one log to be left", |_| {
                test.tables().len() == 1 && test.logs().len() == 1
            });
            for _ in 0..2 {
                assert_eq!(test.contents().len(), 1);
                test.reopen();
            }
        });
    }
}

#[test]
fn a_log_that_cannot_be_closed_refuses_writes_from_then_on() {
    under_all_options_with_faults(
        &Options { write_buffer_size: 100_000, ..Options::default() },
        |mut test| {
            let failing = test.faults().add(FaultRule::new([FaultKind::Close]).path_suffix(".log"));
            let value = "x".repeat(20_000);
            let mut written = 0;
            let error = loop {
                match test.try_put(format!("k{written:03}"), &value) {
                    Ok(()) => written += 1,
                    Err(error) => break error,
                }
                assert!(written < 50, "the failed close was passed over");
            };
            assert_eq!(error.errno(), Some(libc::EIO));
            assert!(test.try_put("hello", "world").is_err());
            drop(failing);
            assert!(test.try_put("hello", "world").is_err());
            assert_eq!(test.contents().len(), written);
            test.abandon();
            test.reopen();
            assert_eq!(test.contents().len(), written);
        },
    );
}

fn fault_key(i: usize) -> String {
    format!("{i:016}")
}

/// The workload of LevelDB's fault injection test: `compacted` keys that were compacted, then `unsynced` keys
/// that were only written.
fn for_random_workloads(test: impl Fn(TestDb, usize, usize)) {
    let base = Options { paranoid_checks: true, ..Options::default() };
    let mut random = Random::new(54);
    for _ in 0..3 {
        let (compacted, unsynced) = (random.uniform(300) as usize, 1 + random.uniform(300) as usize);
        under_all_options_with_crashes(&base, |db| {
            for i in 0..compacted {
                db.put(fault_key(i), vec![b'v'; 500]);
            }
            db.compact_all();
            for i in compacted..compacted + unsynced {
                db.put(fault_key(i), vec![b'w'; 500]);
            }
            test(db, compacted, unsynced);
        });
    }
}

#[test]
fn what_was_compacted_survives_a_crash_that_drops_what_was_not_synced() {
    for_random_workloads(|mut test, compacted, _| {
        for _ in 0..2 {
            test.crash(CrashChoice::OnlySynced);
            let keys = test.contents().into_iter().map(|(key, _)| key);
            assert!(keys.eq((0..compacted).map(fault_key)));
        }
    });
}

#[test]
fn what_was_not_synced_vanishes_from_its_end_and_cleanly() {
    for_random_workloads(|mut test, compacted, unsynced| {
        for seed in 0..6 {
            let disk = test.disk().crash_clone(CrashChoice::Random { seed, garbage: false });
            let options = Options { env: disk.shared(), ..test.options.clone() };
            let opened = crate::db::Db::open(&options, &test.path());
            let Ok(db) = opened else {
                assert!(opened.unwrap_err().is_corruption()); // a hole, which paranoid_checks reports
                continue;
            };
            let found = |i| db.get(&Default::default(), fault_key(i).as_bytes()).unwrap().is_some();
            let count = (0..compacted + unsynced).take_while(|&i| found(i)).count();
            assert!(count >= compacted);
            assert!(!(count..compacted + unsynced).any(found), "seed {seed}: a gap behind {count}");
        }
        test.crash(CrashChoice::OnlySynced);
        assert_eq!(test.contents().len(), compacted);
        test.put("more", "");
        test.crash(CrashChoice::Everything);
        assert_eq!(test.contents().len(), compacted + 1);
    });
}

#[test]
fn losing_files_that_are_newer_than_the_last_directory_sync_is_harmless() {
    for_random_workloads(|mut test, compacted, unsynced| {
        let point = test.disk().crash_point(test.disk().operation_count());
        let changes = point.unsynced();
        for &dropped in changes.iter().step_by(1 + changes.len() / 10) {
            let disk = point.disk(CrashChoice::DropOne(dropped));
            let options = Options { env: disk.shared(), paranoid_checks: false, ..test.options.clone() };
            let db = crate::db::Db::open(&options, &test.path()).unwrap();
            for i in (0..compacted).step_by(7) {
                assert!(db.get(&Default::default(), fault_key(i).as_bytes()).unwrap().is_some());
            }
        }
        // A synced write makes all earlier writes durable, and the name of the WAL: now nothing can be lost.
        test.put_synced("last", "").unwrap();
        for choice in [CrashChoice::OnlySynced, CrashChoice::Random { seed: 7, garbage: true }] {
            test.crash(choice);
            assert_eq!(test.contents().len(), compacted + unsynced + 1);
        }
    });
}

#[test]
fn a_file_that_cannot_be_made_fails_the_opening_and_nothing_is_lost() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.close();
        for kind in
            [FaultKind::Create, FaultKind::Append, FaultKind::Sync, FaultKind::Rename, FaultKind::SyncDir]
        {
            // At each place where it can fail, except for LOG and LOCK.
            for nth in 1.. {
                let rule = FaultRule::new([kind]).path_contains("/db").nth(nth).once();
                let failing = test.faults().add(rule);
                let outcome = test.try_reopen().and_then(|()| test.db().flush());
                let hit = failing.last_hit();
                drop(failing);
                // A worker may have met the error, and may have succeeded since.
                let is_told = outcome.is_err() || test.db().inner.state.lock().errors.count() > 0;
                test.abandon();
                match hit {
                    Some((_, path)) => {
                        let path = path.to_string_lossy();
                        // The database can do without the info log, and without appending to a MANIFEST,
                        // since it can write a new one.
                        let is_dispensable = path.contains("LOG")
                            || (test.options.reuse_logs
                                && kind == FaultKind::Create
                                && path.contains("MANIFEST"));
                        assert!(is_told || is_dispensable, "{kind:?} of {path} passed over");
                    }
                    None => {
                        outcome.unwrap();
                        break;
                    }
                }
            }
            test.reopen();
            assert_eq!(test.get("foo").as_deref(), Some("bar"));
            test.close();
        }
    });
}

#[test]
fn a_log_that_cannot_be_made_is_told_by_the_write_that_needs_it() {
    under_all_options_with_faults(
        &Options { write_buffer_size: 64 << 10, ..Options::default() },
        |mut test| {
            let failing = test.faults().add(FaultRule::new([FaultKind::Create]));
            let mut written = 0;
            let error = loop {
                match test.try_put(format!("a{written:05}"), "v".repeat(100)) {
                    Ok(()) => written += 1,
                    Err(error) => break error,
                }
                assert!(written < 10_000, "no file was needed");
            };
            assert!(failing.hits() >= 1);
            assert_eq!(error.errno(), Some(libc::EIO));
            drop(failing);
            test.put("z", "");
            test.reopen();
            assert_eq!(test.contents().len(), written + 1);
        },
    );
}
