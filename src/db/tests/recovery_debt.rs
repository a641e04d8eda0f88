//! Recovery debt: what an open leaves for later, and what must not be relied on until then.

use super::{TestDb, under_all_options, under_all_options_with_crashes, under_all_options_with_faults};
use crate::env::CreateMode;
use crate::env::fault::{FaultKind, FaultRule};
use crate::env::mem::CrashChoice;
use crate::format::file_name::FileType;
use crate::options::Options;
use std::path::PathBuf;

/// Options with which earlier versions wrote tables and MANIFESTs at open.
fn without_reuse() -> Options {
    Options { reuse_logs: false, ..Options::default() }
}

#[test]
fn an_opening_waits_for_no_disk() {
    let mut test = TestDb::in_memory(without_reuse());
    for has_log in [true, false] {
        if has_log {
            test.put("foo", "bar");
        }
        test.close();
        // The workers block at these operations too.
        let kinds = [FaultKind::Sync, FaultKind::SyncDir, FaultKind::Rename];
        let blocked = test.faults().add(FaultRule::new(kinds).path_contains("/db/0").hold());
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
        test.put("unsynced", "written all the same");
        assert_eq!(test.contents().len(), 2);
        blocked.release();
        drop(blocked);
        test.flush();
        test.reopen();
        assert_eq!(test.contents().len(), 2);
    }
}

#[test]
fn opening_again_and_again_leaves_the_manifest_and_no_logs_behind() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.flush();
        test.settle();
        let (manifests, tables) = (test.manifests(), test.tables());
        for _ in 0..5 {
            test.reopen();
            assert_eq!(test.get("foo").as_deref(), Some("bar"));
        }
        test.close();
        assert_eq!((test.manifests(), test.tables()), (manifests, tables));
        assert_eq!(test.logs().len(), 1);
    });
}

#[test]
fn what_a_log_held_is_in_a_table_when_the_next_life_ends() {
    under_all_options(&without_reuse(), |mut test| {
        if test.options.reuse_logs {
            return; // the WAL itself is appended to
        }
        test.put("foo", "bar");
        test.close();
        assert!(test.tables().is_empty());
        test.reopen();
        test.close(); // at once
        assert_eq!(test.tables().len(), 1);
        assert!(test.logs().iter().all(|log| test.file_size(log) == 0));
        test.reopen();
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
        assert_eq!(test.tables().len(), 1);
    });
}

#[test]
fn files_of_the_last_life_are_removed_though_nothing_is_written() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.flush();
        test.close();
        let strays: Vec<PathBuf> =
            ["000900.ldb", "000901.sst", "000902.dbtmp", "000001.log", "MANIFEST-000001"]
                .map(|name| test.path().join(name))
                .into();
        strays.iter().for_each(|stray| test.write_file(stray, b"left behind"));
        test.reopen();
        test.settle();
        for stray in &strays {
            assert!(!test.options.env.exists(stray), "{} is there", stray.display());
        }
        for _ in 0..2 {
            assert_eq!(test.get("foo").as_deref(), Some("bar"));
            test.reopen();
        }
    });
}

#[test]
fn nothing_is_removed_before_a_manifest_of_this_life_is_durable() {
    let mut test = TestDb::in_memory(without_reuse());
    test.put("foo", "bar");
    test.flush();
    test.close();
    let stray = test.path().join("000900.ldb");
    test.write_file(&stray, b"a table that an edit which was not synced has made unneeded");
    let failing = test.faults().add(FaultRule::manifest_sync_error());
    test.reopen();
    test.wait_until("two failures", |state| state.errors.count() >= 2);
    test.db().inner.remove_obsolete_files();
    assert!(test.options.env.exists(&stray));
    drop(failing);
    test.recover();
    test.settle();
    assert!(!test.options.env.exists(&stray));
}

/// The WAL of the previous open was never synced. The WAL of this open is, and continues where that one
/// ended.
#[test]
fn a_synced_write_makes_durable_what_the_last_life_wrote() {
    under_all_options_with_crashes(&Options::default(), |mut test| {
        for i in 0..100 {
            test.put(format!("before{i}"), "not synced");
        }
        test.reopen();
        test.put("between", "not synced");
        test.put_synced("synced", "v").unwrap();
        test.put("behind", "not synced");
        test.crash(CrashChoice::OnlySynced);
        assert_eq!(test.contents().len(), 102);
    });
}

#[test]
fn a_flush_makes_durable_what_the_last_life_wrote() {
    under_all_options_with_crashes(&Options::default(), |mut test| {
        test.put("before", "not synced");
        test.reopen();
        test.flush();
        test.crash(CrashChoice::OnlySynced);
        assert_eq!(test.contents().len(), 1);
    });
}

/// The last edit of the previous open is in the MANIFEST, but it was not synced, and the end was not marked
/// torn.
#[test]
fn a_synced_write_does_not_rely_on_an_edit_that_was_not_synced() {
    under_all_options_with_crashes(&without_reuse(), |mut test| {
        if test.options.reuse_logs {
            return; // reuse_logs is used at the user's risk
        }
        test.put("before", "not synced");
        let failing = [
            test.faults().add(FaultRule::manifest_sync_error()),
            test.faults().add(FaultRule::new([FaultKind::Create]).path_contains("MANIFEST")),
        ];
        test.db().flush().unwrap_err();
        test.abandon();
        drop(failing);
        test.reopen();
        assert_eq!(test.get("before").as_deref(), Some("not synced"));
        test.put_synced("synced", "v").unwrap();
        test.crash(CrashChoice::OnlySynced);
        assert_eq!(test.contents().len(), 2);
    });
}

#[test]
fn a_synced_write_that_cannot_rely_on_what_was_read_fails_and_leaves_nothing() {
    under_all_options_with_faults(&without_reuse(), |mut test| {
        if test.options.reuse_logs {
            return;
        }
        test.put("foo", "bar");
        test.close();
        let failing = test.faults().add(FaultRule::no_space().path_suffix(".ldb"));
        test.reopen();
        let error = test.put_synced("refused", "v").unwrap_err();
        assert!(error.is_no_space(), "{error}");
        assert_eq!(test.get("refused"), None);
        test.put("unsynced", "v");
        drop(failing);
        test.recover();
        test.put_synced("synced", "v").unwrap();
        for _ in 0..2 {
            assert_eq!(test.contents().len(), 3);
            test.reopen();
        }
    });
}

#[test]
fn logs_of_several_memtables_are_kept_until_they_are_in_one_table() {
    let mut test = TestDb::in_memory(Options { write_buffer_size: 1 << 20, ..without_reuse() });
    let blocked = test.faults().add(FaultRule::no_space().path_suffix(".ldb"));
    for (i, key) in ["a", "b", "c"].iter().enumerate() {
        test.put("same", i.to_string());
        test.put(key, key.repeat(100_000));
        test.put(format!("{key}2"), key.repeat(100_000));
        test.db().rotate_memtable().unwrap();
    }
    assert!(test.logs().len() >= 3);
    test.abandon();
    drop(blocked);
    let check = |test: &TestDb| {
        assert_eq!(test.get("same").as_deref(), Some("2"));
        assert_eq!(test.contents().len(), 7);
    };
    let blocked = test.faults().add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").hold());
    test.reopen();
    check(&test);
    blocked.release();
    drop(blocked);
    test.settle();
    assert_eq!((test.logs().len(), test.tables().len()), (1, 1));
    check(&test);
    test.reopen();
    check(&test);
}

#[test]
fn a_manifest_with_a_torn_end_is_replaced_at_once() {
    under_all_options(&Options::default(), |mut test| {
        test.put("foo", "bar");
        test.flush();
        test.close();
        let torn = test.manifests().pop().unwrap();
        let mut file = test.options.env.create_writable(&torn, CreateMode::Append).unwrap();
        file.append(&[0]).and_then(|()| file.close()).unwrap();
        test.reopen();
        assert!(test.manifests().pop().unwrap() > torn);
        test.settle();
        assert_eq!(test.files(|file| matches!(file, FileType::Manifest(_))).len(), 1);
        assert_eq!(test.get("foo").as_deref(), Some("bar"));
    });
}

/// Found by mutating directories: the memtable of such a WAL was once ordered before those with lower
/// numbers.
#[test]
fn a_log_whose_number_is_above_all_limits_is_flushed_by_the_opening() {
    let mut test = TestDb::in_memory(without_reuse());
    test.put("foo", "bar");
    test.close();
    let log = test.logs().pop().expect("a log");
    let renamed = log.with_file_name("18446744073709551615.log");
    test.options.env.rename(&log, &renamed).expect("a renamed log");
    test.reopen();
    assert_eq!(test.tables().len(), 1);
    for value in ["baz", "qux"] {
        assert!(test.get("foo").is_some());
        test.put("foo", value);
        test.flush();
        assert_eq!(test.get("foo").as_deref(), Some(value));
    }
}
