//! Snapshots: sequence numbers that must stay readable.
//!
//! The list has its own mutex, innermost of all. A snapshot takes its number under it, and a job reads the list and the last
//! sequence number under it, so that no job drops what a snapshot taken meanwhile could see.

use super::state::DbInner;
use crate::util::fork::keep_for_ever;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Live snapshots: how many there are of each sequence number.
#[derive(Default)]
pub struct SnapshotList {
    counts: BTreeMap<u64, usize>,
}

impl SnapshotList {
    /// The oldest, if any.
    pub fn oldest(&self) -> Option<u64> {
        self.counts.first_key_value().map(|(&sequence, _)| sequence)
    }

    /// Ascending, each once.
    pub fn sequences(&self) -> Vec<u64> {
        self.counts.keys().copied().collect()
    }

    fn acquire(&mut self, sequence: u64) {
        *self.counts.entry(sequence).or_insert(0) += 1;
    }

    /// Returns whether this was the last snapshot of the oldest sequence number.
    fn release(&mut self, sequence: u64) -> bool {
        let was_oldest = self.oldest() == Some(sequence);
        if let Some(count) = self.counts.get_mut(&sequence) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&sequence);
                return was_oldest;
            }
        }
        false
    }
}

/// A state of the database that stays readable. May be used from any thread, and may outlive the database. Dropping it
/// releases it.
pub struct Snapshot {
    db: Arc<DbInner>,
    sequence: u64,
}

impl Snapshot {
    pub(super) fn new(db: &Arc<DbInner>) -> Self {
        if !db.process.is_current() {
            // A child of the process that opened the database can't read at it anyway.
            return Snapshot { db: db.clone(), sequence: 0 };
        }
        let mut snapshots = db.snapshots.lock();
        let sequence = db.last_sequence.load(Ordering::Acquire);
        snapshots.acquire(sequence);
        Snapshot { db: db.clone(), sequence }
    }

    /// The sequence number of the state, for `ReadOptions::snapshot`.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if !self.db.process.is_current() {
            keep_for_ever(self.db.clone()); // see `Db`'s drop
            return;
        }
        let was_oldest = self.db.snapshots.lock().release(self.sequence);
        // Are there deletions that only this snapshot needed? (They are noted before the list is looked at once more.)
        let waiting = || self.db.deletions_wait_for.load(Ordering::SeqCst) <= self.db.oldest_snapshot();
        if was_oldest && !self.db.is_closed() && waiting() {
            self.db.compaction_waker.wake();
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({})", self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identical_snapshots_are_released_in_any_order() {
        let mut list = SnapshotList::default();
        for sequence in [5, 3, 5, 9] {
            list.acquire(sequence);
        }
        assert_eq!(list.sequences(), [3, 5, 9]);
        assert!(!list.release(5));
        assert!(list.release(3));
        assert_eq!(list.oldest(), Some(5));
        assert!(!list.release(9));
        assert!(list.release(5));
        assert_eq!(list.oldest(), None);
        assert!(!list.release(5));
    }
}
