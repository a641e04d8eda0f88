//! Tests of the MANIFEST: the order of operations when CURRENT changes, what is left after each of them
//! fails, and malformed MANIFESTs.

use super::*;
use crate::language::Language;
use crate::record::test_support::FakeEnv;

const DB: &str = "/db";
const MANIFEST: &str = "/db/MANIFEST-000004";

fn edit(log_number: u64) -> VersionEdit {
    VersionEdit { log_number: Some(log_number), ..VersionEdit::default() }
}

/// An edit of about `length` bytes.
fn long_edit(length: usize) -> VersionEdit {
    VersionEdit { comparator: Some(vec![b'c'; length]), ..VersionEdit::default() }
}

fn create(env: &FakeEnv, number: u64, snapshot: &[VersionEdit]) -> Result<ManifestWriter> {
    ManifestWriter::create(&env.shared(), Path::new(DB), number, Language::LevelDb, snapshot)
}

fn recovered(env: &FakeEnv) -> Result<RecoveredManifest> {
    recover(&env.shared(), Path::new(DB), &mut |_| Ok(()))
}

fn log_numbers(env: &FakeEnv) -> Vec<u64> {
    let mut numbers = Vec::new();
    recover(&env.shared(), Path::new(DB), &mut |edit| {
        numbers.push(edit.log_number.unwrap_or(0));
        Ok(())
    })
    .unwrap();
    numbers
}

fn corruption(env: &FakeEnv) -> String {
    let error = recovered(env).unwrap_err();
    assert!(error.is_corruption(), "{error}");
    error.message().to_string()
}

#[test]
fn a_switch_makes_everything_durable_in_order() {
    let env = FakeEnv::default();
    let mut manifest = create(&env, 4, &[edit(1), edit(2)]).unwrap();
    manifest.append(&[edit(3)]).unwrap();
    assert_eq!(
        env.take_operations(),
        [
            "create MANIFEST-000004",
            "append MANIFEST-000004",
            "append MANIFEST-000004",
            "sync MANIFEST-000004",
            "sync directory db",
            "create 000004.dbtmp",
            "append 000004.dbtmp",
            "sync 000004.dbtmp",
            "close 000004.dbtmp",
            "rename CURRENT",
            "sync directory db",
            "append MANIFEST-000004",
            "sync MANIFEST-000004",
        ]
    );
    assert_eq!(env.contents("/db/CURRENT"), b"MANIFEST-000004\n");
    let size = env.contents(MANIFEST).len() as u64;
    assert_eq!((manifest.number(), manifest.file_size()), (4, size));
    assert_eq!(log_numbers(&env), [1, 2, 3]);
    let found = recovered(&env).unwrap();
    assert_eq!((found.number, found.file_size, found.clean_end), (4, size, true));
    manifest.close().unwrap();
    assert_eq!(env.take_operations(), ["close MANIFEST-000004"]);
}

#[test]
fn a_switch_that_fails_before_the_rename_leaves_the_old_one_alone() {
    for operation in [
        "create MANIFEST-000007",
        "append MANIFEST-000007",
        "sync MANIFEST-000007",
        "sync directory",
        "create 000007.dbtmp",
        "append 000007.dbtmp",
        "sync 000007.dbtmp",
        "close 000007.dbtmp",
    ] {
        let env = FakeEnv::default();
        create(&env, 4, &[edit(1)]).unwrap();
        env.fail_once(operation, 28);
        let failure = create(&env, 7, &[edit(2)]).err().unwrap();
        assert!(failure.is_no_space(), "{operation}");
        let names = env.children(Path::new(DB)).unwrap();
        assert_eq!(names, ["CURRENT", "MANIFEST-000004"], "{operation}");
        assert_eq!(log_numbers(&env), [1]);
        create(&env, 7, &[edit(2)]).unwrap();
        assert_eq!(log_numbers(&env), [2]);
    }
}

#[test]
fn a_switch_that_fails_at_the_rename_or_later_leaves_both() {
    for operation in ["rename", "sync directory db"] {
        let env = FakeEnv::default();
        create(&env, 4, &[edit(1)]).unwrap();
        if operation == "rename" {
            env.fail_once("rename", 5);
        } else {
            env.fail_once_after("rename", "sync directory", 5);
        }
        let failure = create(&env, 7, &[edit(2)]).err().unwrap();
        assert_eq!(failure.errno(), Some(5));
        assert!(env.exists(Path::new("/db/MANIFEST-000004")) && env.exists(Path::new("/db/MANIFEST-000007")));
    }
}

#[test]
fn a_manifest_that_exists_is_not_touched() {
    let env = FakeEnv::default();
    env.write(MANIFEST, b"somebody else's");
    let failure = create(&env, 4, &[edit(1)]).err().unwrap();
    assert_eq!(failure.errno(), Some(17));
    assert_eq!(env.contents(MANIFEST), b"somebody else's");
}

#[test]
fn after_a_failed_append_or_sync_no_edit_is_written() {
    for operation in ["append", "sync"] {
        let env = FakeEnv::default();
        let mut manifest = create(&env, 4, &[edit(1)]).unwrap();
        env.fail_once(operation, 5);
        assert!(manifest.append(&[edit(2)]).is_err());
        env.take_operations();
        assert_eq!(manifest.append(&[edit(3)]).unwrap_err().errno(), Some(5));
        assert!(env.take_operations().is_empty());
    }
}

#[test]
fn a_manifest_that_could_not_be_synced_is_not_gone_on_with() {
    let env = FakeEnv::default();
    let mut manifest = create(&env, 4, &[edit(1)]).unwrap();
    env.fail_once("sync", 5);
    assert!(manifest.append(&[edit(2)]).is_err());
    assert_eq!(log_numbers(&env), [1, 2]);
    let found = recovered(&env).unwrap();
    assert!(!found.clean_end && found.damaged_tail.is_none());
}

#[test]
fn a_cleanly_ended_manifest_goes_on() {
    let env = FakeEnv::default();
    let size = create(&env, 4, &[edit(1)]).unwrap().file_size();
    let reopen = |size| ManifestWriter::reopen(&env.shared(), Path::new(DB), 4, size, Language::LevelDb);
    assert!(reopen(size + 1).is_err_and(|error| error.is_corruption()));
    let mut manifest = reopen(size).unwrap();
    manifest.append(&[edit(2)]).unwrap();
    assert_eq!(log_numbers(&env), [1, 2]);
    assert_eq!(manifest.file_size(), env.contents(MANIFEST).len() as u64);
}

#[test]
fn a_missing_current_is_not_found_and_a_long_one_is_refused() {
    let env = FakeEnv::default();
    assert!(recovered(&env).unwrap_err().is_not_found());
    env.write("/db/CURRENT", &[b'0'; 5000]);
    let message = corruption(&env);
    assert!(message.contains("longer than") && message.contains("/db/CURRENT"), "{message}");
}

#[test]
fn a_torn_manifest_ends_at_its_last_whole_edit() {
    let env = FakeEnv::default();
    let mut manifest = create(&env, 4, &[edit(1), edit(2)]).unwrap();
    let whole = manifest.file_size() as usize;
    manifest.append(&[long_edit(3000)]).unwrap();
    let file = env.contents(MANIFEST);
    for cut in whole..file.len() {
        env.write(MANIFEST, &file[..cut]);
        assert_eq!(log_numbers(&env), [1, 2]);
        assert_eq!(recovered(&env).unwrap().clean_end, cut == whole);
    }
    // Blocks whose data was not written before the file's size was.
    for sector in 1..file.len().div_ceil(512) {
        let mut torn = file.clone();
        torn[sector * 512..file.len().min(sector * 512 + 512)].fill(0);
        env.write(MANIFEST, &torn);
        assert_eq!(log_numbers(&env), [1, 2]);
        assert!(!recovered(&env).unwrap().clean_end);
    }
}

#[test]
fn damage_inside_a_manifest_is_corruption() {
    let env = FakeEnv::default();
    create(&env, 4, &[long_edit(600), long_edit(600), edit(3)]).unwrap();
    let file = env.contents(MANIFEST);
    for position in 0..file.len() - 9 {
        if position % 610 >= 20 && position % 19 != 0 {
            continue;
        }
        let mut changed = file.clone();
        changed[position] ^= 0x20;
        env.write(MANIFEST, &changed);
        let message = corruption(&env);
        assert!(message.starts_with(MANIFEST) && message.contains("at offset"), "{message}");
    }
    let mut holed = file.clone();
    holed[512..1024].fill(0);
    env.write(MANIFEST, &holed);
    assert!(corruption(&env).contains("zeroed space"));
}

#[test]
fn what_refuses_an_edit_ends_the_recovery() {
    let env = FakeEnv::default();
    create(&env, 4, &[edit(1), edit(2)]).unwrap();
    let mut calls = 0;
    let result = recover(&env.shared(), Path::new(DB), &mut |_| {
        calls += 1;
        Err(Error::corruption("no such file"))
    });
    assert_eq!((result.unwrap_err().message(), calls), (format!("{MANIFEST}: no such file").as_str(), 1));
}
