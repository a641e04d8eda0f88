//! Snapshots: sequence numbers whose state must stay readable.
//!
//! The list has its own mutex, the innermost of all. A snapshot takes its number under it. A job reads the
//! list and the last sequence number under it. So no job drops an entry that a snapshot taken in the meantime
//! could see.

use std::collections::BTreeMap;

/// The live snapshots: the number of snapshots at each sequence number.
#[derive(Default)]
pub struct SnapshotList {
    counts: BTreeMap<u64, usize>,
}

impl SnapshotList {
    /// The oldest sequence number that has a snapshot.
    pub fn oldest(&self) -> Option<u64> {
        self.counts.first_key_value().map(|(&sequence, _)| sequence)
    }

    /// The sequence numbers that have snapshots, ascending, each once.
    pub fn sequences(&self) -> Vec<u64> {
        self.counts.keys().copied().collect()
    }

    /// Adds one.
    pub fn acquire(&mut self, sequence: u64) {
        *self.counts.entry(sequence).or_insert(0) += 1;
    }

    /// Returns true if this was the last snapshot of the oldest sequence number.
    pub fn release(&mut self, sequence: u64) -> bool {
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
