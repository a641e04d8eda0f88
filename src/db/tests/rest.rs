//! A database at rest: what it still does, once, and that it then does nothing.

use super::review::{Faulty, until};
use crate::background::pool::Next;
use crate::compaction::compaction::CompactionReason;
use crate::options::Options;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const QUIET: Duration = Duration::from_millis(100);

/// Two files at level 0, which overlap, and nobody who merges them by himself.
fn at_rest() -> Faulty {
    let test = Faulty::new(Options::default());
    (0..4).for_each(|i| test.add_table(&i.to_string()));
    assert_eq!(test.level0_files(), 2);
    test
}

/// Would a compaction begin if it were so late?
fn is_due(test: &Faulty, now: Instant) -> bool {
    let inner = &test.db().inner;
    inner.pick_idle(&mut inner.state.lock(), now).is_some()
}

#[test]
fn a_write_starts_the_rest_anew() {
    let test = at_rest();
    let start = Instant::now();
    is_due(&test, start);
    test.put("b", "a write").unwrap();
    assert!(!is_due(&test, start + 2 * QUIET), "the time is to pass without a write");
    assert!(!is_due(&test, start + 2 * QUIET + QUIET / 2));
    assert!(is_due(&test, start + 3 * QUIET));
}

#[test]
fn idle_compactions_write_a_small_part_of_what_the_others_do() {
    let test = at_rest();
    let set_written = |idle: u64, others: u64| {
        let mut state = test.db().inner.state.lock();
        state.idle.bytes_written = idle;
        state.stats[1].bytes_written = others;
    };
    let due = || {
        let now = Instant::now();
        is_due(&test, now);
        is_due(&test, now + QUIET)
    };
    set_written(40 << 20, 0);
    assert!(!due());
    set_written(40 << 20, 512 << 20);
    assert!(due());
}

#[test]
fn a_snapshot_that_goes_lets_deletions_go_that_waited_for_it() {
    let test = Faulty::new(Options::default());
    let wait_for = || test.db().inner.deletions_wait_for.load(Ordering::SeqCst);
    let key = |i: u32| format!("key-{i:06}");
    (0..2000).for_each(|i| test.put(&key(i), "value").unwrap());
    test.db().flush().unwrap();
    let snapshots = [test.db().snapshot(), test.db().snapshot()];
    (0..2000).for_each(|i| test.db().delete(&Default::default(), key(i).as_bytes()).unwrap());
    test.db().flush().unwrap();
    assert_eq!(test.live_tables(), 2);
    until("the deletions wait", || wait_for() == 4000);
    drop(snapshots);
    until("all is gone", || test.live_tables() == 0);
    until("nothing waits", || wait_for() == u64::MAX);
}

#[test]
fn workers_of_a_database_at_rest_wait_without_an_end() {
    let test = at_rest();
    let inner = &test.db().inner;
    is_due(&test, Instant::now());
    assert!(matches!(inner.compaction_step(), Next::WaitAtMost(_)), "there is something to be merged");
    test.db().compact_range(None, None).unwrap();
    is_due(&test, Instant::now());
    assert_eq!(inner.compaction_step(), Next::Wait);
    assert_eq!(inner.flush_step(), Next::Wait);
}

/// Makes the older file of level 0 one that was read in vain too often; returns it.
fn read_in_vain(test: &Faulty) -> Arc<FileMetaData> {
    let mut state = test.db().inner.state.lock();
    let file = state.versions.current().levels[0].last().unwrap().clone();
    for _ in 0..1000 {
        file.charge_seek();
    }
    state.seeks.candidate = Some((0, file.clone()));
    file
}

#[test]
fn a_file_read_in_vain_waits_while_memtables_fill_quickly() {
    let test = at_rest();
    let file = read_in_vain(&test);
    let inner = &test.db().inner;
    let mut state = inner.state.lock();
    let rotated = state.flush_due.last_rotation();
    assert!(inner.pick_seek(&mut state, rotated + Duration::from_millis(499)).is_none());
    assert!(state.seeks.candidate.is_some() && file.has_wasted_half_its_seeks());
    let left = inner.time_to_seek_compaction(&state, rotated + Duration::from_millis(400));
    assert_eq!(left, Some(Duration::from_millis(100)));
    let compaction = inner.pick_seek(&mut state, rotated + Duration::from_millis(500));
    assert_eq!(compaction.unwrap().reason, CompactionReason::Seek);
    assert!(state.seeks.candidate.is_none());
    assert_eq!(inner.time_to_seek_compaction(&state, rotated), None);
}

#[test]
fn compactions_for_reads_write_what_the_database_has_and_then_as_much_as_the_others() {
    let test = at_rest();
    let inner = &test.db().inner;
    let is_picked = |by_seeks: u64, in_all: u64| {
        let file = read_in_vain(&test);
        let mut state = inner.state.lock();
        state.stats.iter_mut().for_each(|level| level.bytes_written = 0);
        state.stats[1].bytes_written = in_all;
        state.seeks.bytes_written = by_seeks;
        let now = state.flush_due.last_rotation() + Duration::from_secs(1);
        let is_picked = inner.pick_seek(&mut state, now).is_some();
        assert!(state.seeks.candidate.is_none());
        assert_eq!(file.has_wasted_half_its_seeks(), is_picked, "what is not picked begins anew");
        is_picked
    };
    let size = test.db().inner.state.lock().versions.current().level_bytes(0);
    assert!(is_picked(0, 0));
    assert!(!is_picked(size, size));
    assert!(is_picked(size, 2 * size));
    assert!(!is_picked(2 * size, 3 * size));
}
