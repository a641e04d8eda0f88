//! When to run idle compactions: merges of level 0 into level 1 while nothing is written.
//!
//! A database may become idle with a few files at level 0, fewer than the trigger. From then on every read
//! would probe each of them. (LevelDB's seek compactions end that, and rewrite whole databases under reads.)
//! So when nothing has been written for a while, and there is no other work, those files are merged into
//! level 1.
//!
//! A write load that pauses repeatedly pays for this: entries that would have been merged once, with more
//! files, are merged twice. So idle compactions may write as many bytes as a few memtables hold, and beyond
//! that a thirty-second of what flushes and other compactions have written.
//!
//! There is no timer. An idle compaction worker blocks with a timeout that ends when the quiet period does;
//! without mergeable level-0 files it blocks indefinitely.
//!
//! Thread rule: guarded by the state mutex. The clock is passed in.

use crate::compaction::Compaction;
use std::time::{Duration, Instant};

/// The quiet period: how long nothing must have been written.
pub(in crate::db) const QUIET: Duration = Duration::from_millis(100);

/// Idle compactions may always write as many bytes as this many memtables hold.
const FREE_MEMTABLES: u64 = 8;

/// Beyond that they may write one part in this many of all bytes written.
const SHARE: u64 = 32;

/// Since when a family is idle, and how much idle compactions have written.
#[derive(Default)]
pub struct IdlePolicy {
    /// When the quiet period began, and the last sequence number at that time. `None`: there is no candidate,
    /// or other work.
    since: Option<(Instant, u64)>,
    bytes_written: u64,
}

impl IdlePolicy {
    /// Decides on the idle compaction `candidate` (`None`: there is none, or there is other work). Returns it
    /// if nothing has been written during the quiet period. `last_sequence` is the sequence number of the
    /// newest write.
    pub fn pick(
        &mut self,
        candidate: Option<Compaction>,
        last_sequence: u64,
        now: Instant,
    ) -> Option<Compaction> {
        let since = self.since.take();
        let compaction = candidate?;
        let quiet_since = match since {
            Some((since, sequence)) if sequence == last_sequence => since,
            _ => now,
        };
        if now >= quiet_since + QUIET {
            return Some(compaction);
        }
        self.since = Some((quiet_since, last_sequence));
        None
    }

    /// The time until `pick` may return a compaction; `None`: not without a change of the state.
    pub fn time_left(&self, now: Instant) -> Option<Duration> {
        let (since, _) = self.since?;
        Some((since + QUIET).saturating_duration_since(now))
    }

    /// May an idle compaction read `bytes`, if flushes and compactions have written `written_by_all` bytes
    /// and a memtable holds `write_buffer_size` bytes?
    pub fn may_write(&self, bytes: u64, written_by_all: u64, write_buffer_size: u64) -> bool {
        let allowed = FREE_MEMTABLES * write_buffer_size + written_by_all / SHARE;
        self.bytes_written.saturating_add(bytes) <= allowed
    }

    /// An idle compaction has written `bytes`.
    pub fn note_written(&mut self, bytes: u64) {
        self.bytes_written += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compaction::test_support::{compaction_of, file, version};

    const MILLIS: Duration = Duration::from_millis(1);

    #[test]
    fn a_compaction_waits_until_nothing_was_written_for_100_ms() {
        let files = vec![(0, vec![file(2, "a", "c"), file(1, "a", "c")])];
        let candidate = || Some(compaction_of(&version(&files), 0, &[1, 2]));
        let start = Instant::now();
        let mut idle = IdlePolicy::default();
        assert_eq!(idle.time_left(start), None);
        assert!(idle.pick(candidate(), 5, start).is_none());
        assert_eq!(idle.time_left(start + 30 * MILLIS), Some(70 * MILLIS));
        assert!(idle.pick(candidate(), 5, start + 99 * MILLIS).is_none());
        // A write restarts the quiet period.
        assert!(idle.pick(candidate(), 6, start + 100 * MILLIS).is_none());
        assert!(idle.pick(candidate(), 6, start + 199 * MILLIS).is_none());
        assert!(idle.pick(candidate(), 6, start + 200 * MILLIS).is_some());
        // Other work restarts it too.
        assert!(idle.pick(candidate(), 6, start + 201 * MILLIS).is_none());
        assert!(idle.pick(None, 6, start + 250 * MILLIS).is_none());
        assert_eq!(idle.time_left(start + 250 * MILLIS), None);
        assert!(idle.pick(candidate(), 6, start + 302 * MILLIS).is_none());
    }

    #[test]
    fn idle_compactions_write_eight_memtables_and_a_thirty_second_of_all() {
        let mut idle = IdlePolicy::default();
        assert!(idle.may_write(800, 0, 100));
        assert!(!idle.may_write(801, 31, 100));
        assert!(idle.may_write(801, 32, 100));
        idle.note_written(800);
        assert!(!idle.may_write(1, 0, 100));
    }
}
