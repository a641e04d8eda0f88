//! MANIFESTs and WALs whose end a crash or a failing disk has damaged.

use crate::db::tests::*;
use crate::env::fault::{FaultEnv, FaultKind, FaultRule};
use crate::env::mem::{CrashChoice, MemEnv};
use crate::env::{CreateMode, Env, info_log, read_file};
use std::ffi::OsStr;

const DB: &str = "/db";

fn options(env: &MemEnv) -> Options {
    Options {
        env: env.shared(),
        create_if_missing: true,
        info_log: Some(info_log::null()),
        ..Options::default()
    }
}

/// A database with a table and a WAL, and the path of its MANIFEST.
fn database() -> (MemEnv, PathBuf) {
    let env = MemEnv::new();
    let db = Db::open(&options(&env), Path::new(DB)).unwrap();
    db.put(&WriteOptions::default(), b"in a table", b"1").unwrap();
    db.flush().unwrap();
    db.put(&WriteOptions::default(), b"in the log", b"2").unwrap();
    db.close().unwrap();
    let current = read_file(&env, &Path::new(DB).join("CURRENT"), 100).unwrap();
    let name = String::from_utf8(current).unwrap();
    (env, Path::new(DB).join(name.trim_end()))
}

fn write(env: &MemEnv, path: &Path, mode: CreateMode, bytes: &[u8]) {
    let mut file = env.create_writable(path, mode).unwrap();
    file.append(bytes).unwrap();
    file.close().unwrap();
}

/// Checks that an open fails with a Corruption that names the MANIFEST, and changes nothing.
fn refuses(env: &MemEnv, options: &Options) {
    let files = |env: &MemEnv| {
        let mut files = env.files();
        files.retain(|(path, _)| path.file_name() != Some(OsStr::new("LOCK")));
        files
    };
    let before = files(env);
    let error = Db::open(options, Path::new(DB)).unwrap_err();
    assert!(error.is_corruption() && error.message().contains("/db/MANIFEST-"), "{error}");
    assert_eq!(files(env), before);
}

#[test]
fn an_edit_that_a_crash_made_garbage_of_before_it_was_synced_is_done_without() {
    let (env, manifest) = database();
    let garbage: Vec<u8> = (0..700).map(|i| if i % 7 == 5 { 0 } else { 0x30 + (i % 11) as u8 }).collect();
    write(&env, &manifest, CreateMode::Append, &garbage);
    refuses(&env, &Options { paranoid_checks: true, ..options(&env) });
    for _ in 0..2 {
        let db = Db::open(&options(&env), Path::new(DB)).unwrap();
        for (key, value) in [("in a table", "1"), ("in the log", "2")] {
            let found = db.get(&ReadOptions::default(), key.as_bytes()).unwrap();
            assert_eq!(found.as_deref(), Some(value.as_bytes()), "{key}");
        }
        db.close().unwrap();
    }
}

#[test]
fn a_rotten_edit_that_was_synced_is_not_taken_for_one_that_was_not() {
    let (env, manifest) = database();
    let mut bytes = read_file(&env, &manifest, 1 << 20).unwrap();
    *bytes.last_mut().unwrap() ^= 1; // the flush: its WAL is gone, its table would be removed
    write(&env, &manifest, CreateMode::Truncate, &bytes);
    refuses(&env, &options(&env));
}

#[test]
fn a_log_that_is_reused_behind_a_damaged_one_is_read_again() {
    let disk = MemEnv::with_journal();
    let faults = FaultEnv::new(disk.shared());
    let options = Options { env: faults.shared(), reuse_logs: true, mmap_wal: false, ..options(&disk) };
    let db = Db::open(&options, Path::new(DB)).unwrap();
    let held = faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").hold());
    db.put(&WriteOptions::default(), b"in the first log", &[1; 100]).unwrap();
    db.rotate_memtable().unwrap();
    db.put(&WriteOptions::default(), b"in the second log", b"2").unwrap();
    assert!(held.wait_for_hits(1));
    let crashed = disk.crash_clone(CrashChoice::Everything);
    drop(held);
    db.close().unwrap();

    let logs: Vec<_> =
        crashed.files().into_iter().filter(|(path, _)| path.extension() == Some(OsStr::new("log"))).collect();
    let [(first, bytes), _] = &logs[..] else { panic!("two logs, not {}", logs.len()) };
    let mut bytes = bytes.clone();
    bytes[50] ^= 1;
    write(&crashed, first, CreateMode::Truncate, &bytes);

    let options = Options { env: crashed.shared(), ..options };
    for life in 0..3u8 {
        let db = Db::open(&options, Path::new(DB)).unwrap();
        let get = |key: &[u8]| db.get(&ReadOptions::default(), key).unwrap();
        assert_eq!(get(b"in the second log").as_deref(), Some(&b"2"[..]), "life {life}");
        for earlier in 0..life {
            assert_eq!(get(&[earlier]).as_deref(), Some(&b"synced"[..]), "{earlier} in life {life}");
        }
        db.put(&WriteOptions { sync: true }, &[life], b"synced").unwrap();
    }
}

#[test]
fn the_name_of_the_directory_is_durable_though_its_first_creation_failed() {
    let disk = MemEnv::with_journal();
    let faults = FaultEnv::new(disk.shared());
    let options = Options { env: faults.shared(), ..options(&disk) };
    let failing = faults.add(FaultRule::new([FaultKind::SyncDir]).once());
    Db::open(&options, Path::new(DB)).unwrap_err();
    assert_eq!(failing.hits(), 1);
    let db = Db::open(&options, Path::new(DB)).unwrap();
    db.put(&WriteOptions { sync: true }, b"key", b"value").unwrap();
    let crashed = disk.crash_clone(CrashChoice::OnlySynced);
    let db = Db::open(&Options { env: crashed.shared(), ..options }, Path::new(DB)).unwrap();
    assert_eq!(db.get(&ReadOptions::default(), b"key").unwrap().as_deref(), Some(&b"value"[..]));
}
