//! When immutable memtables are flushed: several at once, where they come quickly.
//!
//! What a load of random writes costs is mostly the merging of level 0 into level 1: each time all of level 1 is rewritten. The
//! more each table of level 0 holds, the more new entries share that cost; and an entry that is overwritten soon is never
//! written to a table at all. So a full memtable waits for others, as many as the memory for them allows: for about as long
//! as it has taken to fill, twice, since after that the load has ended. Not at all if that is too long, or if somebody waits
//! for the flush.

use std::time::{Duration, Instant};

/// A memtable that has taken longer than this to fill does not wait for another.
const MAX_FILL_TIME: Duration = Duration::from_millis(250);

/// Where memtables fill faster than this, the load may still pause for as long.
const MIN_FILL_TIME: Duration = Duration::from_millis(10);

/// Memory of flushed memtables that no other has taken for this long is given back.
const MAX_IDLE_TIME: Duration = Duration::from_secs(1);

/// What is known of the immutable memtables; under the state mutex.
pub struct FlushDue {
    /// Since when the active memtable is the active one.
    active_since: Instant,
    /// Until when the immutable ones wait for others.
    until: Instant,
    /// All there are now are to be flushed at once.
    at_once: bool,
}

impl FlushDue {
    /// Nothing is immutable, and the active memtable is new.
    pub fn new(now: Instant) -> Self {
        FlushDue { active_since: now, until: now, at_once: false }
    }

    /// The active memtable has become immutable, and another takes its place.
    pub fn rotated(&mut self, now: Instant) {
        let fill_time = now.saturating_duration_since(self.active_since).max(MIN_FILL_TIME);
        self.active_since = now;
        self.until = if fill_time > MAX_FILL_TIME { now } else { now + fill_time * 2 };
    }

    /// When the active memtable took the place of a full one, or the database was opened.
    pub fn last_rotation(&self) -> Instant {
        self.active_since
    }

    /// How long what flushed memtables left is still kept for the next ones; zero: no longer.
    pub fn time_to_keep_memory(&self, now: Instant) -> Duration {
        (self.active_since + MAX_IDLE_TIME).saturating_duration_since(now)
    }

    /// Somebody waits for the flush of what is immutable now.
    pub fn hurry(&mut self) {
        self.at_once = true;
    }

    /// A flush has ended; is there anything left to flush?
    pub fn flushed(&mut self, is_more: bool) {
        self.at_once &= is_more;
    }

    /// How long the flush of `waiting` immutable memtables may still be put off, where `max_number` memtables may be in
    /// memory; zero: it is due. `None`: there are none.
    pub fn time_left(&self, waiting: usize, max_number: usize, now: Instant) -> Option<Duration> {
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
        let mut due = FlushDue::new(start);
        assert_eq!(due.time_left(0, 5, start), None);
        due.rotated(start + 30 * MILLIS);
        assert_eq!(due.time_left(1, 5, start + 30 * MILLIS), Some(60 * MILLIS));
        assert_eq!(due.time_left(1, 5, start + 80 * MILLIS), Some(10 * MILLIS));
        assert_eq!(due.time_left(1, 5, start + 90 * MILLIS), Some(Duration::ZERO));
        // The next one has come meanwhile, and is waited with.
        due.rotated(start + 70 * MILLIS);
        assert_eq!(due.time_left(2, 5, start + 90 * MILLIS), Some(60 * MILLIS));
    }

    #[test]
    fn memory_is_kept_as_long_as_memtables_fill() {
        let start = Instant::now();
        let mut due = FlushDue::new(start);
        assert_eq!(due.time_to_keep_memory(start), MAX_IDLE_TIME);
        due.rotated(start + 30 * MILLIS);
        assert_eq!(due.time_to_keep_memory(start + 130 * MILLIS), MAX_IDLE_TIME - 100 * MILLIS);
        assert!(due.time_to_keep_memory(start + 30 * MILLIS + MAX_IDLE_TIME).is_zero());
    }

    #[test]
    fn all_but_two_memtables_are_flushed_at_once() {
        let start = Instant::now();
        let mut due = FlushDue::new(start);
        due.rotated(start + 30 * MILLIS);
        for (max_number, enough) in [(2, 1), (3, 1), (4, 2), (5, 3)] {
            let left = |waiting| due.time_left(waiting, max_number, start + 30 * MILLIS).unwrap();
            assert!(left(enough).is_zero(), "{enough} of {max_number}");
            assert_eq!(left(1).is_zero(), enough == 1, "1 of {max_number}");
        }
    }

    #[test]
    fn a_memtable_that_filled_slowly_or_is_waited_for_does_not_wait() {
        let start = Instant::now();
        let mut due = FlushDue::new(start);
        due.rotated(start + 300 * MILLIS);
        assert_eq!(due.time_left(1, 5, start + 300 * MILLIS), Some(Duration::ZERO));
        due.flushed(false);
        due.rotated(start + 301 * MILLIS);
        assert_eq!(due.time_left(1, 5, start + 301 * MILLIS), Some(20 * MILLIS), "as if it had taken 10 ms");
        due.hurry();
        assert_eq!(due.time_left(1, 5, start + 301 * MILLIS), Some(Duration::ZERO));
        due.flushed(true);
        assert_eq!(due.time_left(1, 5, start + 301 * MILLIS), Some(Duration::ZERO), "the rest hurries too");
        due.flushed(false);
        due.rotated(start + 311 * MILLIS);
        assert_eq!(due.time_left(1, 5, start + 311 * MILLIS), Some(20 * MILLIS));
    }
}
