//! Which calls wait for background work, and what happens to them when it fails.

use super::{TestDb, under_all_options_with_faults};
use crate::db::Severity;
use crate::env::fault::{FaultKind, FaultRule};
use crate::options::Options;

fn severity(test: &TestDb) -> Option<Severity> {
    test.db().background_error().map(|error| error.severity)
}

/// Makes compactions fail to read their inputs.
fn unreadable_tables() -> FaultRule {
    FaultRule::new([FaultKind::Open, FaultKind::Read]).path_suffix(".ldb")
}

#[test]
fn writers_do_not_wait_for_a_compaction_that_keeps_failing() {
    let base = Options {
        level0_file_num_compaction_trigger: 5,
        level0_slowdown_writes_trigger: 5,
        level0_stop_writes_trigger: 5,
        write_buffer_size: 64 << 10,
        ..Options::default()
    };
    under_all_options_with_faults(&base, |test| {
        test.make_tables(2 + 4, "a", "z");
        assert_eq!(test.files_at(0), 4);
        // From here on compactions fail, and flushes do not.
        let failing = test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").nth(2));
        test.make_tables(1, "a", "z");
        test.wait_until("the compaction to fail", |state| state.errors.compaction().is_some());
        assert_eq!(severity(&test), Some(Severity::Retrying));
        let value = "v".repeat(1000);
        let mut written = 0;
        let error = loop {
            match test.try_put(format!("k{written:04}"), &value) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 1000, "level 0 has no room for a flush");
        };
        assert_eq!(error.errno(), Some(libc::EIO));
        assert!(written > 0, "there was room in memory");
        assert_eq!(test.contents().len(), written + 2);
        drop(failing);
        test.recover();
        test.put("last", &value);
        test.wait_until_idle();
        assert_eq!(severity(&test), None);
        assert_eq!(test.contents().len(), written + 3);
    });
}

#[test]
fn writers_do_not_wait_for_a_flush_that_keeps_failing() {
    under_all_options_with_faults(
        &Options { write_buffer_size: 64 << 10, ..Options::default() },
        |mut test| {
            let failing = test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb"));
            let value = "v".repeat(1000);
            let mut written = 0;
            let error = loop {
                match test.try_put(format!("k{written:04}"), &value) {
                    Ok(()) => written += 1,
                    Err(error) => break error,
                }
                assert!(written < 1000, "there is no room in memory");
            };
            assert_eq!(error.errno(), Some(libc::EIO));
            assert_eq!(severity(&test), Some(Severity::Retrying));
            drop(failing);
            test.recover();
            assert_eq!(severity(&test), None);
            test.put("last", &value);
            for _ in 0..2 {
                assert_eq!(test.contents().len(), written + 1);
                test.reopen();
            }
        },
    );
}

/// A failing compaction must not fail calls that wait for a flush that succeeds.
#[test]
fn a_failing_compaction_fails_no_flush() {
    let base = Options { level0_file_num_compaction_trigger: 2, ..Options::default() };
    under_all_options_with_faults(&base, |test| {
        test.make_tables(3, "a", "z");
        let failing = test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").nth(2));
        test.make_tables(1, "a", "z");
        test.wait_until("the compaction to fail", |state| state.errors.compaction().is_some());
        failing.set_enabled(false);
        let failing_reads = test.faults().add(unreadable_tables());
        test.put("foo", "bar");
        let flushed = test.db().flush();
        drop((failing, failing_reads));
        // The new table is opened once as a check. Only that may have failed.
        if let Err(error) = flushed {
            assert!(error.to_string().contains("flush to table"), "{error}");
        }
        test.recover();
        test.flush();
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
    });
}

fn with_compactable_level2(test: &TestDb) {
    test.put("foo", "bar");
    test.flush();
    assert_eq!(test.files_per_level(), [0, 0, 1]);
}

/// Even if writing a MANIFEST is all that is left to do, it is done, and writes are accepted again.
#[test]
fn a_manifest_that_failed_is_written_again_though_there_is_nothing_else_to_do() {
    under_all_options_with_faults(&Options::default(), |test| {
        with_compactable_level2(&test);
        let failing = test.faults().add(FaultRule::manifest_sync_error().once());
        assert!(test.db().inner.compact_level(2, None, None).is_err());
        test.wait_until("the MANIFEST to be written", |state| state.errors.worst().is_none());
        assert_eq!(failing.hits(), 1);
        test.put("foo", "baz");
        test.compact_level(2, None, None);
        assert_eq!(test.get("foo").as_deref(), Some("baz"));
    });
}

#[test]
fn an_error_is_over_when_nothing_is_left_to_be_retried() {
    under_all_options_with_faults(&Options::default(), |test| {
        with_compactable_level2(&test);
        let failing = test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").once());
        assert!(test.db().inner.compact_level(2, None, None).is_err());
        assert_eq!(failing.hits(), 1);
        test.wait_until("the error to go", |state| state.errors.worst().is_none());
        test.db().resume().unwrap();
    });
}

#[test]
fn resuming_tries_at_once_and_tells_how_it_went() {
    under_all_options_with_faults(&Options::default(), |test| {
        test.db().resume().unwrap();
        test.put("foo", "bar");
        let failing = test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb"));
        assert!(test.db().flush().is_err());
        let hits = failing.hits();
        // Each call returns the result of an attempt. An attempt that was running when the call came counts
        // too.
        for _ in 0..10 {
            assert_eq!(test.db().resume().unwrap_err().errno(), Some(libc::EIO));
        }
        assert!(failing.hits() > hits + 1);
        drop(failing);
        // The worker may be in the middle of another attempt that fails.
        assert!((0..2).any(|_| test.db().resume().is_ok()));
        assert_eq!(severity(&test), None);
        test.flush();
        assert_eq!(test.files_per_level(), [0, 0, 1]);
    });
}
