//! Entries in memory, sorted by internal key: what was written and is not in a table yet.
//!
//! Invariant: entries are only added, each with a sequence number of its own, so that a reader at sequence `s` sees the
//! same from the moment `s` is published until the memtable is gone. Thread rule: one [`MemtableWriter`], any number of
//! readers, no locks.

use super::skiplist::{SkipList, SkipListIterator, SkipListWriter};
use crate::batch::decode::{BatchEntry, BatchIter};
use crate::error::Result;
use crate::format::internal_key::{
    self, InternalKeyComparator, KeyPrefix, LookupKey, SequenceNumber, ValueType,
};
use crate::iterator::InternalIterator;
use crate::util::arena::blocks::BlockStore;
use std::cmp::Ordering;
use std::sync::Arc;

/// What a memtable says of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemtableGet<'a> {
    /// It has this value.
    Value(&'a [u8]),
    /// It was deleted.
    Deleted,
    /// Nothing: look further.
    Missing,
}

/// Entries in memory, sorted; any number of readers without locks, one writer.
pub struct Memtable {
    list: Arc<SkipList>,
}

/// The right to insert into a memtable; there is one for each.
pub struct MemtableWriter {
    memtable: Arc<Memtable>,
    list: SkipListWriter,
}

impl Memtable {
    /// An empty memtable and the right to write to it. It is expected to grow to `expected_size` bytes, which decides
    /// how finely it sets memory aside, and nothing else. ENOMEM: there is no memory for it.
    pub fn new(
        comparator: InternalKeyComparator,
        expected_size: usize,
    ) -> Result<(Arc<Memtable>, MemtableWriter)> {
        SkipList::new(comparator, expected_size, None).map(Self::of)
    }

    /// The same, of memory that earlier memtables left in `store`; its own goes there too.
    pub fn with_store(
        comparator: InternalKeyComparator,
        expected_size: usize,
        store: &Arc<BlockStore>,
    ) -> Result<(Arc<Memtable>, MemtableWriter)> {
        SkipList::new(comparator, expected_size, Some(store.clone())).map(Self::of)
    }

    fn of((list, writer): (Arc<SkipList>, SkipListWriter)) -> (Arc<Memtable>, MemtableWriter) {
        let memtable = Arc::new(Memtable { list });
        (memtable.clone(), MemtableWriter { memtable, list: writer })
    }

    /// The newest entry of the key that is not newer than the look-up's sequence.
    #[inline]
    pub fn get(&self, key: &LookupKey) -> MemtableGet<'_> {
        let Some(entry) = self.list.newest_of(key.internal_key()) else { return MemtableGet::Missing };
        match ValueType::from_u8(internal_key::trailer(entry.key) as u8) {
            Some(ValueType::Value) => MemtableGet::Value(entry.value),
            Some(ValueType::Deletion) => MemtableGet::Deleted,
            None => unreachable!("the writer takes a ValueType"),
        }
    }

    /// Iterates; sees entries inserted later too.
    pub fn iter(self: &Arc<Self>) -> MemtableIterator {
        MemtableIterator { list: SkipListIterator::new(self.list.clone()) }
    }

    /// Bytes taken, overhead included (as LevelDB counts: what is allocated for nodes, keys and values). The index for
    /// look-ups is not in it, so that a memtable is full when it would be in LevelDB.
    #[inline]
    pub fn approximate_memory_usage(&self) -> usize {
        self.list.memory_usage()
    }

    /// About how many bytes the entries take, keys and values, that come before an internal key: exact where they are few,
    /// else from a sample. It never falls as the key rises, and costs as much however many entries there are.
    pub fn approximate_bytes_before(&self, internal_key: &[u8]) -> u64 {
        self.list.approximate_bytes_before(internal_key)
    }

    /// Bytes taken by the index for look-ups.
    pub fn index_memory_usage(&self) -> usize {
        self.list.index_memory_usage()
    }

    /// Has nothing been inserted?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Entries inserted.
    pub fn num_entries(&self) -> u64 {
        self.list.len()
    }
}

impl MemtableWriter {
    /// Inserts the entries of a batch (its representation behind the header), the first at `first_sequence`. Returns the sequence
    /// number behind the last. Corruption: an entry is malformed; those before it are in.
    pub fn insert_entries(
        &mut self,
        first_sequence: SequenceNumber,
        entries: &[u8],
    ) -> Result<SequenceNumber> {
        let result = self.insert_each(first_sequence, entries);
        self.list.settle();
        result
    }

    /// The same, but for look-ups, which see the entries later.
    #[inline]
    fn insert_each(&mut self, first_sequence: SequenceNumber, entries: &[u8]) -> Result<SequenceNumber> {
        let mut sequence = first_sequence;
        for entry in BatchIter::new(entries) {
            match entry? {
                BatchEntry::Put(key, value) => self.list.insert(sequence, ValueType::Value, key, value),
                BatchEntry::Delete(key) => self.list.insert(sequence, ValueType::Deletion, key, &[]),
            }
            sequence = sequence.wrapping_add(1);
        }
        Ok(sequence)
    }

    /// Inserts an entry. Sequence numbers only grow; readers see it at once (they filter by sequence). Key and value
    /// are shorter than 4 GiB, which a write batch makes sure of.
    #[inline]
    pub fn insert(&mut self, sequence: SequenceNumber, value_type: ValueType, key: &[u8], value: &[u8]) {
        self.list.insert(sequence, value_type, key, value);
        self.list.settle();
    }

    /// Will so many insertions, with keys and values of `bytes` in total, take no more memory than there is at hand?
    #[inline]
    pub fn has_room(&self, entries: usize, bytes: usize) -> bool {
        self.list.has_room(entries, bytes)
    }

    /// Sees to it that `entries` insertions with keys and values of `bytes` in total can't fail. To be asked before they go to the
    /// log: without, a want of memory ends the process in `insert`.
    #[inline]
    pub fn prepare(&mut self, entries: usize, bytes: usize) -> Result<()> {
        self.list.prepare(entries, bytes)
    }

    /// The same, of a batch that is large (a megabyte): it gets a block of its own.
    pub fn reserve(&mut self, entries: usize, bytes: usize) -> Result<()> {
        self.list.reserve(entries, bytes)
    }

    /// The memtable it writes to.
    #[inline]
    pub fn memtable(&self) -> &Arc<Memtable> {
        &self.memtable
    }
}

/// A position in a memtable, whose entries it keeps alive.
pub struct MemtableIterator {
    list: SkipListIterator,
}

impl InternalIterator for MemtableIterator {
    #[inline]
    fn valid(&self) -> bool {
        self.list.valid()
    }

    fn seek_to_first(&mut self) {
        self.list.seek_to_first();
    }

    fn seek_to_last(&mut self) {
        self.list.seek_to_last();
    }

    #[inline]
    fn seek(&mut self, target: &[u8]) {
        self.list.seek(target);
    }

    #[inline]
    fn next(&mut self) {
        self.list.next();
    }

    #[inline]
    fn next_if_plain(&mut self) -> Option<u64> {
        self.list.next_if(|here, next| {
            let is_later = match KeyPrefix::of(here.key).order(KeyPrefix::of(next.key)) {
                Ordering::Equal => internal_key::user_key(here.key) < internal_key::user_key(next.key),
                order => order.is_lt(),
            };
            is_later.then(|| internal_key::trailer(next.key))
        })
    }

    fn prev(&mut self) {
        self.list.prev();
    }

    #[inline]
    fn key(&self) -> &[u8] {
        debug_assert!(self.valid());
        self.list.entry().map_or(&[], |entry| entry.key)
    }

    #[inline]
    fn value(&self) -> &[u8] {
        debug_assert!(self.valid());
        self.list.entry().map_or(&[], |entry| entry.value)
    }

    fn status(&self) -> Result<()> {
        Ok(())
    }
}
