//! The memtables of a family that wait to be flushed, oldest first.
//!
//! Flushes install in the order of the list, so memtables leave at its front. Thread rule: a list belongs to whoever
//! holds the database's mutex; readers get a snapshot of it.

use super::memtable::Memtable;
use std::sync::Arc;

/// A memtable that is no longer written to, and the log that holds it.
#[derive(Clone)]
pub struct ImmutableMemtable {
    /// The entries.
    pub memtable: Arc<Memtable>,
    /// Logs below this number hold nothing of it.
    pub log_number: u64,
}

/// The immutable memtables of a family, oldest first.
#[derive(Clone, Default)]
pub struct MemtableList {
    list: Vec<ImmutableMemtable>,
}

impl MemtableList {
    /// Adds one that is newer than all.
    pub fn push(&mut self, immutable: ImmutableMemtable) {
        debug_assert!(self.list.last().is_none_or(|newest| newest.log_number <= immutable.log_number));
        self.list.push(immutable);
    }

    /// The oldest.
    pub fn oldest(&self) -> Option<&ImmutableMemtable> {
        self.list.first()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All, the oldest first: the order of flushing.
    pub fn oldest_first(&self) -> impl ExactSizeIterator<Item = &ImmutableMemtable> {
        self.list.iter()
    }

    /// All, the newest first: the order of reading.
    pub fn newest_first(&self) -> impl ExactSizeIterator<Item = &ImmutableMemtable> {
        self.list.iter().rev()
    }

    /// Removes the `count` oldest (or all there are) and returns them, to be dropped where that suits: freeing a
    /// memtable takes a while.
    #[must_use = "dropping memtables takes a while: do it without the mutex"]
    pub fn remove_oldest(&mut self, count: usize) -> Vec<ImmutableMemtable> {
        self.list.drain(..count.min(self.list.len())).collect()
    }

    /// The memtables, the newest first, for a reader.
    pub fn snapshot(&self) -> Vec<Arc<Memtable>> {
        self.newest_first().map(|immutable| immutable.memtable.clone()).collect()
    }

    /// The smallest log number: logs below hold nothing of any. `None` where the list is empty.
    pub fn smallest_log_number(&self) -> Option<u64> {
        self.list.iter().map(|immutable| immutable.log_number).min()
    }

    /// The oldest one, and those after it that take no more than `bytes` with it, the oldest first.
    pub fn oldest_within(&self, bytes: usize) -> Vec<Arc<Memtable>> {
        let mut sum = 0usize;
        let fits = |(index, immutable): &(usize, &ImmutableMemtable)| {
            sum = sum.saturating_add(immutable.memtable.approximate_memory_usage());
            *index == 0 || sum <= bytes
        };
        let fitting = self.list.iter().enumerate().take_while(fits);
        fitting.map(|(_, immutable)| immutable.memtable.clone()).collect()
    }

    /// Bytes taken by all.
    pub fn approximate_memory_usage(&self) -> usize {
        self.list.iter().map(|immutable| immutable.memtable.approximate_memory_usage()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparator::bytewise;
    use crate::format::internal_key::{InternalKeyComparator, ValueType};

    /// A memtable of `entries` entries.
    fn immutable(log_number: u64, entries: u64) -> ImmutableMemtable {
        let (memtable, mut writer) = Memtable::new(InternalKeyComparator::new(bytewise()), 1 << 20).unwrap();
        (1..=entries).for_each(|sequence| writer.insert(sequence, ValueType::Value, b"key", b"value"));
        ImmutableMemtable { memtable, log_number }
    }

    #[test]
    fn memtables_leave_in_the_order_they_came() {
        let mut list = MemtableList::default();
        assert!(list.is_empty() && list.oldest().is_none() && list.smallest_log_number().is_none());
        for log_number in [3, 5, 9] {
            list.push(immutable(log_number, log_number));
        }
        let numbers = |list: &MemtableList| list.oldest_first().map(|one| one.log_number).collect::<Vec<_>>();
        assert_eq!(numbers(&list), [3, 5, 9]);
        assert_eq!(list.newest_first().map(|one| one.log_number).collect::<Vec<_>>(), [9, 5, 3]);
        assert_eq!((list.smallest_log_number(), list.len()), (Some(3), 3));
        let removed = list.remove_oldest(2);
        assert_eq!(removed.iter().map(|one| one.log_number).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(list.oldest().map(|one| one.log_number), Some(9));
        assert_eq!(list.remove_oldest(7).len(), 1);
        assert!(list.is_empty());
    }

    #[test]
    fn as_many_memtables_are_flushed_together_as_fit() {
        let mut list = MemtableList::default();
        assert!(list.oldest_within(usize::MAX).is_empty());
        (1..=3).for_each(|log_number| list.push(immutable(log_number, 10)));
        let each = list.approximate_memory_usage() / 3;
        let count = |bytes| list.oldest_within(bytes).len();
        assert_eq!([0, each, 2 * each - 1, 2 * each, 3 * each, usize::MAX].map(count), [1, 1, 1, 2, 3, 3]);
    }

    #[test]
    fn a_snapshot_is_newest_first_and_outlives_the_list() {
        let mut list = MemtableList::default();
        list.push(immutable(1, 1));
        list.push(immutable(2, 2));
        assert_eq!(
            list.approximate_memory_usage(),
            list.oldest_first().map(|one| one.memtable.approximate_memory_usage()).sum()
        );
        let snapshot = list.snapshot();
        drop(list.remove_oldest(2));
        assert_eq!(snapshot.iter().map(|memtable| memtable.num_entries()).collect::<Vec<_>>(), [2, 1]);
    }
}
