//! What an idle database still does once, and that it does nothing afterwards.

use crate::background::pool::Next;
use crate::compaction::CompactionReason;
use crate::db::background::idle_policy::IdlePolicy;
use crate::db::background::seek_policy::SeekPolicy;
use crate::db::tests::error_recovery::{Faulty, until};
use crate::format::column_family_id::ColumnFamilyId;
use crate::options::Options;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const QUIET: Duration = Duration::from_millis(100);

/// Two overlapping files at level 0, and no worker that merges them by itself.
fn when_idle() -> Faulty {
    let test = Faulty::new(Options::default());
    (0..4).for_each(|i| test.add_table(&i.to_string()));
    assert_eq!(test.level0_files(), 2);
    test
}

/// Would an idle compaction begin if the time were `now`?
fn is_due(test: &Faulty, now: Instant) -> bool {
    let inner = &test.db().inner;
    inner.pick_idle(&mut inner.state.lock(), ColumnFamilyId::DEFAULT, now).is_some()
}

#[test]
fn a_write_starts_the_rest_anew() {
    let test = when_idle();
    let start = Instant::now();
    is_due(&test, start);
    test.put("b", "a write").unwrap();
    assert!(!is_due(&test, start + 2 * QUIET), "the time is to pass without a write");
    assert!(!is_due(&test, start + 2 * QUIET + QUIET / 2));
    assert!(is_due(&test, start + 3 * QUIET));
}

#[test]
fn idle_compactions_write_a_small_part_of_what_the_others_do() {
    let test = when_idle();
    let set_written = |idle: u64, others: u64| {
        let mut state = test.db().inner.state.lock();
        let family = state.families.default_family_mut();
        family.idle = IdlePolicy::default();
        family.idle.note_written(idle);
        family.stats[1].bytes_written = others;
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
    let wait_for = || test.db().inner.tombstones_droppable_at.load(Ordering::SeqCst);
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
    let test = when_idle();
    let inner = &test.db().inner;
    is_due(&test, Instant::now());
    assert!(matches!(inner.compaction_step(), Next::WaitAtMost(_)), "there is something to be merged");
    test.db().compact_range(None, None).unwrap();
    is_due(&test, Instant::now());
    assert_eq!(inner.compaction_step(), Next::Wait);
    assert_eq!(inner.flush_step(), Next::Wait);
}

/// Charges the older file of level 0 more seeks than allowed, and returns it.
fn read_in_vain(test: &Faulty) -> Arc<FileMetaData> {
    let mut state = test.db().inner.state.lock();
    let file = state.versions.current(ColumnFamilyId::DEFAULT).levels[0].last().unwrap().clone();
    for _ in 0..1000 {
        file.charge_seek();
    }
    assert!(state.families.default_family_mut().seeks.suggest(0, &file));
    file
}

#[test]
fn a_file_read_in_vain_waits_while_memtables_fill_quickly() {
    let test = when_idle();
    let file = read_in_vain(&test);
    let inner = &test.db().inner;
    let mut state = inner.state.lock();
    let switched = state.families.default_family().flush_policy.last_switch();
    let mut pick = |millis| {
        inner.pick_seek(&mut state, ColumnFamilyId::DEFAULT, switched + Duration::from_millis(millis))
    };
    assert!(pick(499).is_none() && file.has_wasted_half_its_seeks());
    assert_eq!(pick(500).unwrap().reason, CompactionReason::Seek);
    assert!(!state.families.default_family().seeks.has_candidate());
}

#[test]
fn compactions_for_reads_write_what_the_database_has_and_then_as_much_as_the_others() {
    let test = when_idle();
    let inner = &test.db().inner;
    let is_picked = |by_seeks: u64, in_all: u64| {
        let file = read_in_vain(&test);
        let mut state = inner.state.lock();
        let family = state.families.default_family_mut();
        family.seeks = SeekPolicy::default();
        family.seeks.note_written(by_seeks);
        family.seeks.suggest(0, &file);
        family.stats.iter_mut().for_each(|level| level.bytes_written = 0);
        family.stats[1].bytes_written = in_all;
        let now = family.flush_policy.last_switch() + Duration::from_secs(1);
        let is_picked = inner.pick_seek(&mut state, ColumnFamilyId::DEFAULT, now).is_some();
        assert!(!state.families.default_family().seeks.has_candidate());
        assert_eq!(file.has_wasted_half_its_seeks(), is_picked, "what is not picked begins anew");
        is_picked
    };
    let size = test.db().inner.state.lock().versions.current(ColumnFamilyId::DEFAULT).level_bytes(0);
    assert!(is_picked(0, 0));
    assert!(!is_picked(size, size));
    assert!(is_picked(size, 2 * size));
    assert!(!is_picked(2 * size, 3 * size));
}
