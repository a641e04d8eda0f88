//! Which calls wait when background work fails, and what ends an error.

use super::*;
use crate::env::fault::{FaultEnv, FaultKind, FaultRule};
use crate::env::info_log;
use crate::env::mem::MemEnv;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

const DB: &str = "/db";

/// A database whose every operation on files can be made to fail. It compacts only on request.
fn database() -> (FaultEnv, Arc<Db>) {
    let faults = FaultEnv::new(MemEnv::new().shared());
    let options = Options {
        env: faults.shared(),
        create_if_missing: true,
        info_log: Some(info_log::null()),
        ..Options::default()
    };
    (faults, Arc::new(Db::open(&options, Path::new(DB)).unwrap()))
}

/// Starts a call on a thread of its own. The call might never return if there is a defect.
fn start<T: Send + 'static>(
    db: &Arc<Db>,
    call: impl FnOnce(&Db) -> T + Send + 'static,
) -> impl FnOnce() -> T {
    let (sender, receiver) = channel();
    let db = db.clone();
    std::thread::spawn(move || sender.send(call(&db)));
    move || receiver.recv_timeout(Duration::from_secs(60)).expect("an answer within a minute")
}

fn put(db: &Db, key: &str, sync: bool) -> Result<()> {
    db.put(&WriteOptions { sync }, key.as_bytes(), b"value")
}

/// Writes two overlapping tables, which only a request compacts.
fn write_two_tables(db: &Db) {
    for _ in 0..2 {
        put(db, "a", false).unwrap();
        put(db, "z", false).unwrap();
        db.flush().unwrap();
    }
}

#[test]
fn resume_does_not_wait_for_a_failed_request_that_nobody_repeats() {
    let (faults, db) = database();
    write_two_tables(&db);
    let failing = faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").once());
    assert!(start(&db, |db| db.compact_range(None, None))().is_err());
    assert_eq!(failing.hits(), 1);
    start(&db, Db::resume)().unwrap();
    assert!(db.background_error().is_none());
    start(&db, |db| db.compact_range(None, None))().unwrap();
}

#[test]
fn writes_are_taken_again_after_a_request_that_nobody_repeats_could_not_write_the_manifest() {
    let (faults, db) = database();
    write_two_tables(&db);
    let failing = faults.add(FaultRule::manifest_sync_error().once());
    assert!(start(&db, |db| db.compact_range(None, None))().is_err());
    assert_eq!(failing.hits(), 1);
    start(&db, Db::resume)().unwrap();
    put(&db, "k", true).unwrap();
}

#[test]
fn a_compaction_that_waits_its_turn_is_answered_when_the_log_fails() {
    let (faults, db) = database();
    write_two_tables(&db);
    let held = faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").hold());
    let first = start(&db, |db| db.compact_range(None, None));
    assert!(held.wait_for_hits(1));
    let second = start(&db, |db| db.compact_range(Some(b"a"), Some(b"b")));
    while db.inner.state.lock().manual.len() < 2 {
        std::thread::yield_now();
    }
    let failing = faults.add(FaultRule::log_sync_error());
    put(&db, "k", true).unwrap_err();
    drop((failing, held));
    let _ = first();
    assert!(second().unwrap_err().message().contains("until the database is reopened"));
}

#[test]
fn a_log_that_fails_during_a_flush_is_replaced_before_writes_go_on() {
    let (faults, db) = database();
    put(&db, "a", false).unwrap();
    let held = faults.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").hold());
    db.rotate_memtable().unwrap();
    assert!(held.wait_for_hits(1));
    let full = faults.add(FaultRule::no_space().path_suffix(".log"));
    assert!(put(&db, "b", false).unwrap_err().is_no_space());
    drop((full, held));
    start(&db, Db::resume)().unwrap();
    put(&db, "c", true).unwrap();
    for (key, is_there) in [("a", true), ("b", false), ("c", true)] {
        assert_eq!(db.get(&ReadOptions::default(), key.as_bytes()).unwrap().is_some(), is_there, "{key}");
    }
}
