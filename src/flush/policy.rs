//! When immutable memtables are flushed: several in one flush, if they fill quickly.
//!
//! A load of random writes mostly costs the merging of level 0 into level 1: each merge rewrites all of
//! level 1. The more entries each table of level 0 holds, the more entries share that cost. And an entry that
//! is soon overwritten is never written to a table at all. So a full memtable waits for others, as many as
//! the memory limit allows, for twice the time that it took to fill: if no other has filled by then, the load
//! has ended. It does not wait if that time is too long, or if somebody waits for the flush.
//!
//! Guarded by the state mutex. The clock is passed in.

use std::time::{Duration, Instant};

/// A memtable that took longer than this to fill does not wait for another.
const MAX_FILL_TIME: Duration = Duration::from_millis(250);

/// A memtable that filled faster counts as having taken this long, because the load may pause for that long.
const MIN_FILL_TIME: Duration = Duration::from_millis(10);

/// The memory of flushed memtables is kept this long for the next ones, then freed.
const MAX_IDLE_TIME: Duration = Duration::from_secs(1);

/// What the decision depends on; guarded by the state mutex.
pub struct FlushPolicy {
    /// When the active memtable became the active one.
    active_since: Instant,
    /// The time until which the immutable memtables wait for others.
    until: Instant,
    /// Must all memtables that are immutable now be flushed at once?
    at_once: bool,
}

impl FlushPolicy {
    /// No memtable is immutable, and the active one is new.
    pub fn new(now: Instant) -> Self {
        FlushPolicy { active_since: now, until: now, at_once: false }
    }

    /// A memtable switch has happened: the active memtable became immutable, and an empty one took its place.
    pub fn memtable_switched(&mut self, now: Instant) {
        let fill_time = now.saturating_duration_since(self.active_since).max(MIN_FILL_TIME);
        self.active_since = now;
        self.until = if fill_time > MAX_FILL_TIME { now } else { now + fill_time * 2 };
    }

    /// The time of the last memtable switch, or of the open.
    pub fn last_switch(&self) -> Instant {
        self.active_since
    }

    /// How much longer the memory of flushed memtables is kept for the next ones. Zero: free it now.
    pub fn time_to_keep_memory(&self, now: Instant) -> Duration {
        (self.active_since + MAX_IDLE_TIME).saturating_duration_since(now)
    }

    /// Somebody waits for the flush of the memtables that are immutable now: do not delay it.
    pub fn flush_at_once(&mut self) {
        self.at_once = true;
    }

    /// A flush has ended. `is_more`: are there immutable memtables left?
    pub fn flushed(&mut self, is_more: bool) {
        self.at_once &= is_more;
    }

    /// How long the flush of `waiting` immutable memtables may still be delayed, if `max_number` memtables
    /// may be in memory. Zero: flush now. `None`: there are none.
    pub fn time_until_flush(&self, waiting: usize, max_number: usize, now: Instant) -> Option<Duration> {
        if waiting == 0 {
            return None;
        }
        let is_due = self.at_once || waiting + 2 >= max_number; // the active one, and one to fill meanwhile
        Some(if is_due { Duration::ZERO } else { self.until.saturating_duration_since(now) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIS: Duration = Duration::from_millis(1);

    #[test]
    fn a_memtable_waits_twice_as_long_as_it_took_to_fill() {
        let start = Instant::now();
        let mut due = FlushPolicy::new(start);
        assert_eq!(due.time_until_flush(0, 5, start), None);
        due.memtable_switched(start + 30 * MILLIS);
        assert_eq!(due.time_until_flush(1, 5, start + 30 * MILLIS), Some(60 * MILLIS));
        assert_eq!(due.time_until_flush(1, 5, start + 80 * MILLIS), Some(10 * MILLIS));
        assert_eq!(due.time_until_flush(1, 5, start + 90 * MILLIS), Some(Duration::ZERO));
        // Another memtable has filled in the meantime, and both wait for the next one.
        due.memtable_switched(start + 70 * MILLIS);
        assert_eq!(due.time_until_flush(2, 5, start + 90 * MILLIS), Some(60 * MILLIS));
    }

    #[test]
    fn memory_is_kept_as_long_as_memtables_fill() {
        let start = Instant::now();
        let mut due = FlushPolicy::new(start);
        assert_eq!(due.time_to_keep_memory(start), MAX_IDLE_TIME);
        due.memtable_switched(start + 30 * MILLIS);
        assert_eq!(due.time_to_keep_memory(start + 130 * MILLIS), MAX_IDLE_TIME - 100 * MILLIS);
        assert!(due.time_to_keep_memory(start + 30 * MILLIS + MAX_IDLE_TIME).is_zero());
    }

    #[test]
    fn all_but_two_memtables_are_flushed_at_once() {
        let start = Instant::now();
        let mut due = FlushPolicy::new(start);
        due.memtable_switched(start + 30 * MILLIS);
        for (max_number, enough) in [(2, 1), (3, 1), (4, 2), (5, 3)] {
            let left = |waiting| due.time_until_flush(waiting, max_number, start + 30 * MILLIS).unwrap();
            assert!(left(enough).is_zero(), "{enough} of {max_number}");
            assert_eq!(left(1).is_zero(), enough == 1, "1 of {max_number}");
        }
    }

    #[test]
    fn a_memtable_that_filled_slowly_or_is_waited_for_does_not_wait() {
        let start = Instant::now();
        let mut due = FlushPolicy::new(start);
        due.memtable_switched(start + 300 * MILLIS);
        assert_eq!(due.time_until_flush(1, 5, start + 300 * MILLIS), Some(Duration::ZERO));
        due.flushed(false);
        due.memtable_switched(start + 301 * MILLIS);
        assert_eq!(
            due.time_until_flush(1, 5, start + 301 * MILLIS),
            Some(20 * MILLIS),
            "as if it had taken 10 ms"
        );
        due.flush_at_once();
        assert_eq!(due.time_until_flush(1, 5, start + 301 * MILLIS), Some(Duration::ZERO));
        due.flushed(true);
        assert_eq!(
            due.time_until_flush(1, 5, start + 301 * MILLIS),
            Some(Duration::ZERO),
            "the rest hurries too"
        );
        due.flushed(false);
        due.memtable_switched(start + 311 * MILLIS);
        assert_eq!(due.time_until_flush(1, 5, start + 311 * MILLIS), Some(20 * MILLIS));
    }
}
