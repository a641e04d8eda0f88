//! Obsolete files: removed when the call returns that made them obsolete, and closed before.

use super::{TestDb, under_all_options, under_all_options_with_faults};
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::mem::CrashChoice;
use crate::options::Options;
use std::path::PathBuf;

/// Makes removals slow, as on a disk that discards blocks. A test that does not wait for them finds the
/// files.
fn slow_removals(test: &TestDb) -> crate::env::fault::FaultHandle {
    test.faults().add(FaultRule::new([FaultKind::Remove]).delay_micros(20_000))
}

#[test]
fn what_a_flush_or_a_compaction_makes_obsolete_is_gone_when_it_returns() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        let _slow = slow_removals(&test);
        for round in 0..3 {
            test.put("foo", format!("v{round}"));
            test.flush();
            assert_eq!((test.logs().len(), test.tables().len()), (1, if round == 0 { 1 } else { 2 }));
            test.compact_all();
            assert_eq!((test.logs().len(), test.tables().len(), test.manifests().len()), (1, 1, 1));
        }
        test.put("foo", "in the log");
        test.close();
        assert_eq!((test.logs().len(), test.tables().len()), (1, 1));
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("in the log"));
        test.compact_all();
        assert_eq!((test.logs().len(), test.tables().len()), (1, 1));
    });
}

#[test]
fn what_a_life_that_was_killed_left_is_gone_when_the_next_opening_returns() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        test.put("foo", "v");
        test.compact_all();
        test.close();
        let (needed, dir) = (test.files_but_info_log(), test.path());
        let strays: Vec<PathBuf> =
            ["000001.log", "000001.ldb", "000009.dbtmp", "000001.sst"].map(|name| dir.join(name)).into();
        for stray in &strays {
            test.write_file(stray, &vec![b'x'; 2 << 20]);
        }
        let _slow = slow_removals(&test);
        test.reopen();
        let there = test.files_but_info_log();
        assert!(strays.iter().all(|stray| !there.contains(stray)), "{there:?}");
        assert!(
            needed
                .iter()
                .filter(|path| path.extension().is_some_and(|e| e == "ldb"))
                .all(|path| there.contains(path))
        );
        assert_eq!(test.contents(), [("foo".to_owned(), "v".to_owned())]);
    });
}

/// Recovered state is not durable until a MANIFEST of this open is: after a crash an older MANIFEST may need
/// the files.
#[test]
fn where_no_manifest_can_be_written_an_opening_removes_nothing() {
    under_all_options_with_faults(&Options::default(), |mut test| {
        if test.options.reuse_logs {
            return; // the open appends to the MANIFEST, and syncs it before it returns
        }
        test.put("foo", "v");
        test.compact_all();
        test.close();
        let stray = test.path().join("000001.ldb");
        test.write_file(&stray, b"x");
        let failing = test.faults().add(FaultRule::new([FaultKind::Sync]).path_contains("MANIFEST"));
        test.reopen();
        assert!(failing.hits() > 0 && test.tables().contains(&stray));
        drop(failing);
        test.recover();
        test.settle();
        assert!(!test.tables().contains(&stray));
    });
}

/// WAL switches of all kinds: unsynced older WALs, several immutable memtables, flushes that fail, a WAL that
/// is replaced.
#[test]
fn a_log_is_closed_before_it_is_removed() {
    let options = Options { write_buffer_size: 64 << 10, max_write_buffer_number: 4, ..Options::default() };
    under_all_options_with_faults(&options, |mut test| {
        for round in 0..6 {
            let failing = match round % 3 {
                0 => None,
                1 => Some(test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").once())),
                _ => Some(test.faults().add(FaultRule::no_space().path_suffix(".log").nth(60).once())),
            };
            for i in 0..120 {
                let key = format!("{round}-{i:03}");
                let value = vec![b'v'; 5000];
                let outcome =
                    if i % 50 == 49 { test.put_synced(&key, &value) } else { test.try_put(&key, &value) };
                if outcome.is_err() {
                    test.recover();
                }
            }
            drop(failing);
            let _ = test.db().flush();
            test.recover();
            if round % 2 == 1 {
                test.reopen();
            }
        }
        assert!(test.faults().count(FaultKind::Remove) > 20);
        test.close();
    });
    super::under_all_options_with_crashes(&options, |mut test| {
        (0..100).for_each(|i| test.put(format!("{i:03}"), vec![b'v'; 5000]));
        test.crash(CrashChoice::Everything);
        test.close();
    });
    under_all_options(&options, |test| {
        (0..100).for_each(|i| test.put(format!("{i:03}"), vec![b'v'; 5000]));
        test.flush();
        assert_eq!(test.logs().len(), 1);
    });
}
