//! The immutable memtables of a column family that wait for their flush, oldest first.
//!
//! Flushes install in the order of the list, so memtables are removed from its front.
//!
//! Thread rule: a list is guarded by the database's mutex; readers get a snapshot of it.

use crate::memtable::Memtable;
use std::sync::Arc;

/// An immutable memtable and the WAL that holds its entries.
#[derive(Clone)]
pub struct ImmutableMemtable {
    /// The entries. No writer inserts any more.
    pub memtable: Arc<Memtable>,
    /// WALs with lower numbers hold no entry of this memtable.
    pub log_number: u64,
}

/// The immutable memtables of a column family, oldest first.
#[derive(Clone, Default)]
pub struct MemtableList {
    list: Vec<ImmutableMemtable>,
}

impl MemtableList {
    /// Adds a memtable, which is newer than all others.
    pub fn push(&mut self, immutable: ImmutableMemtable) {
        debug_assert!(self.list.last().is_none_or(|newest| newest.log_number <= immutable.log_number));
        self.list.push(immutable);
    }

    /// The number of memtables.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True if there are no memtables.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All memtables, oldest first: the order of flushing.
    pub fn oldest_first(&self) -> impl ExactSizeIterator<Item = &ImmutableMemtable> {
        self.list.iter()
    }

    /// All memtables, newest first: the order of reading.
    pub fn newest_first(&self) -> impl ExactSizeIterator<Item = &ImmutableMemtable> {
        self.list.iter().rev()
    }

    /// Removes the `count` oldest memtables (or all) and returns them. The caller drops them without the
    /// mutex, since freeing a memtable takes a while.
    #[must_use = "dropping memtables takes a while: do it without the mutex"]
    pub fn remove_oldest(&mut self, count: usize) -> Vec<ImmutableMemtable> {
        self.list.drain(..count.min(self.list.len())).collect()
    }

    /// The oldest memtable, and those after it that together with it take at most `bytes`; oldest first.
    pub fn oldest_within(&self, bytes: usize) -> Vec<Arc<Memtable>> {
        let mut sum = 0usize;
        let fits = |(index, immutable): &(usize, &ImmutableMemtable)| {
            sum = sum.saturating_add(immutable.memtable.approximate_memory_usage());
            *index == 0 || sum <= bytes
        };
        let fitting = self.list.iter().enumerate().take_while(fits);
        fitting.map(|(_, immutable)| immutable.memtable.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparator::bytewise;
    use crate::format::internal_key::{InternalKeyComparator, ValueType};

    /// A memtable of that many entries.
    fn immutable(log_number: u64, entries: u64) -> ImmutableMemtable {
        let (memtable, mut writer) =
            Memtable::new(InternalKeyComparator::new(bytewise()), 1 << 20, None).unwrap();
        (1..=entries).for_each(|sequence| writer.insert(sequence, ValueType::Value, b"key", b"value"));
        ImmutableMemtable { memtable, log_number }
    }

    #[test]
    fn memtables_leave_in_the_order_they_came() {
        let mut list = MemtableList::default();
        assert!(list.is_empty());
        for log_number in [3, 5, 9] {
            list.push(immutable(log_number, log_number));
        }
        let numbers = |list: &MemtableList| list.oldest_first().map(|one| one.log_number).collect::<Vec<_>>();
        assert_eq!(numbers(&list), [3, 5, 9]);
        assert_eq!(list.newest_first().map(|one| one.log_number).collect::<Vec<_>>(), [9, 5, 3]);
        assert_eq!(list.len(), 3);
        let removed = list.remove_oldest(2);
        assert_eq!(removed.iter().map(|one| one.log_number).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(numbers(&list), [9]);
        assert_eq!(list.remove_oldest(7).len(), 1);
        assert!(list.is_empty());
    }

    #[test]
    fn as_many_memtables_are_flushed_together_as_fit() {
        let mut list = MemtableList::default();
        assert!(list.oldest_within(usize::MAX).is_empty());
        (1..=3).for_each(|log_number| list.push(immutable(log_number, 10)));
        let each = list.oldest_first().next().unwrap().memtable.approximate_memory_usage();
        let count = |bytes| list.oldest_within(bytes).len();
        assert_eq!([0, each, 2 * each - 1, 2 * each, 3 * each, usize::MAX].map(count), [1, 1, 1, 2, 3, 3]);
    }
}
