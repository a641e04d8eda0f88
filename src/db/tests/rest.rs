//! A database at rest: what it still does, once, and that it then does nothing.

use super::review::{Faulty, until};
use crate::background::worker::Next;
use crate::options::Options;
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

/// Two files at level 0, which overlap, and nobody who merges them by himself before an hour has passed.
fn at_rest(options: Options) -> Faulty {
    let test = Faulty::new(Options { idle_compaction_millis: HOUR.as_millis() as u64, ..options });
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
fn files_of_level_0_are_merged_when_nobody_writes() {
    let test = Faulty::new(Options { idle_compaction_millis: 1, ..Options::default() });
    (0..4).for_each(|i| test.add_table(&i.to_string()));
    until("level 0 is merged", || test.level0_files() == 0);
    assert_eq!(test.get("a").as_deref(), Some("3"));
}

#[test]
fn a_write_starts_the_rest_anew() {
    let test = at_rest(Options::default());
    let start = Instant::now();
    is_due(&test, start);
    test.put("b", "a write").unwrap();
    assert!(!is_due(&test, start + 2 * HOUR), "an hour is to pass without a write");
    assert!(!is_due(&test, start + 2 * HOUR + HOUR / 2));
    assert!(is_due(&test, start + 3 * HOUR));
}

#[test]
fn idle_compactions_write_a_small_part_of_what_the_others_do() {
    let test = at_rest(Options::default());
    let set_written = |idle: u64, others: u64| {
        let mut state = test.db().inner.state.lock();
        state.idle.bytes_written = idle;
        state.stats[1].bytes_written = others;
    };
    let due = || {
        let now = Instant::now();
        is_due(&test, now);
        is_due(&test, now + HOUR)
    };
    set_written(40 << 20, 0);
    assert!(!due());
    set_written(40 << 20, 512 << 20);
    assert!(due());
}

#[test]
fn level_1_is_not_rewritten_for_a_trifle() {
    let test = Faulty::new(Options { idle_compaction_millis: 0, ..Options::default() });
    let value = "0123456789".repeat(100);
    for round in 0..2 {
        for i in 0..3000 {
            test.put(&format!("k{i:05}"), &format!("{round}{i}{value}")).unwrap();
        }
        test.db().flush().unwrap();
    }
    (0..2).for_each(|i| {
        test.put("k00000", &i.to_string()).unwrap();
        test.put("k02999", &i.to_string()).unwrap();
        test.db().flush().unwrap();
    });
    assert_eq!(test.level0_files(), 2);
    let state = test.db().inner.state.lock();
    let options = test.db().inner.picker_options(&state.running);
    assert!(crate::compaction::picker::pick_idle(state.versions.current(), &options).is_none());
}

#[test]
fn a_snapshot_that_goes_lets_deletions_go_that_waited_for_it() {
    let test = Faulty::new(Options { idle_compaction_millis: 0, ..Options::default() });
    let key = |i: u32| format!("key-{i:06}");
    (0..2000).for_each(|i| test.put(&key(i), "value").unwrap());
    test.db().flush().unwrap();
    let snapshots = [test.db().snapshot(), test.db().snapshot()];
    (0..2000).for_each(|i| test.db().delete(&Default::default(), key(i).as_bytes()).unwrap());
    test.db().flush().unwrap();
    assert_eq!(test.live_tables(), 2);
    drop(snapshots);
    until("all is gone", || test.live_tables() == 0);
}

#[test]
fn the_release_of_a_snapshot_wakes_nobody_where_nothing_waits_for_it() {
    let test = at_rest(Options::default());
    until("the worker has nothing to do", || test.db().inner.state.lock().idle.since.is_some());
    let before = test.db().inner.state.lock().idle.since;
    for _ in 0..100 {
        test.put("c", "d").unwrap();
        drop(test.db().snapshot());
    }
    // A worker that had been woken would have seen the writes.
    assert_eq!(test.db().inner.state.lock().idle.since, before);
}

#[test]
fn workers_of_a_database_at_rest_wait_without_an_end() {
    let test = at_rest(Options::default());
    let inner = &test.db().inner;
    assert!(
        matches!(inner.compaction_step(), Next::WaitAtMost(_)),
        "there is something to be merged, in an hour"
    );
    test.db().compact_range(None, None).unwrap();
    assert_eq!(inner.compaction_step(), Next::Wait);
    assert_eq!(inner.flush_step(), Next::Wait);
}
