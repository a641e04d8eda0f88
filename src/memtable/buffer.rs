//! A memtable: entries in memory, sorted by internal key, that are not in a table yet.
//!
//! Invariant: entries are only added, each with a sequence number of its own. So a reader at sequence number
//! `s` sees the same entries from the publication of `s` until the memtable is dropped.
//!
//! Thread rule: one [`MemtableWriter`], any number of readers, no locks.

use super::skiplist::{SkipList, SkipListIterator, SkipListWriter};
use crate::batch::decode::{BatchEntry, BatchIter};
use crate::error::{Error, Result};
use crate::format::internal_key::{
    self, InternalKeyComparator, KeyPrefix, LookupKey, SequenceNumber, ValueType,
};
use crate::iterator::{FastIterator, InternalIterator};
use crate::util::arena::blocks::BlockStore;
use std::cmp::Ordering;
use std::sync::Arc;

/// The result of a lookup in a memtable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemtableGet<'a> {
    /// The key has this value.
    Value(&'a [u8]),
    /// The key has a tombstone.
    Deleted,
    /// The memtable has no entry of the key: look in older memtables and in tables.
    Missing,
}

/// A memtable. Readers share it without locks; its [`MemtableWriter`] inserts.
pub struct Memtable {
    list: Arc<SkipList>,
}

/// The right to insert into a memtable. There is one per memtable.
pub struct MemtableWriter {
    memtable: Arc<Memtable>,
    list: SkipListWriter,
}

impl Memtable {
    /// An empty memtable and the right to insert into it. `expected_size`, in bytes, determines only how
    /// memory is allocated ahead. With a `store` the memtable takes the memory that earlier ones left there,
    /// and leaves its own. ENOMEM if there is no memory.
    pub fn new(
        comparator: InternalKeyComparator,
        expected_size: usize,
        store: Option<Arc<BlockStore>>,
    ) -> Result<(Arc<Memtable>, MemtableWriter)> {
        let (list, writer) = SkipList::new(comparator, expected_size, store)?;
        let memtable = Arc::new(Memtable { list });
        Ok((memtable.clone(), MemtableWriter { memtable, list: writer }))
    }

    /// The newest entry of the key that is not newer than the sequence number of the lookup.
    #[inline]
    pub fn get(&self, key: &LookupKey) -> MemtableGet<'_> {
        let Some(entry) = self.list.newest_of(key.internal_key()) else { return MemtableGet::Missing };
        match ValueType::from_u8(internal_key::trailer(entry.key) as u8) {
            Some(ValueType::Value) => MemtableGet::Value(entry.value),
            Some(ValueType::Deletion) => MemtableGet::Deleted,
            None => unreachable!("the writer takes a ValueType"),
        }
    }

    /// An iterator that also sees entries inserted later.
    pub fn iter(self: &Arc<Self>) -> MemtableIterator {
        MemtableIterator { list: SkipListIterator::new(self.list.clone()) }
    }

    /// Bytes allocated for nodes, keys and values, as LevelDB counts them. The hash index is not included, so
    /// that a memtable is full when it would be full in LevelDB.
    #[inline]
    pub fn approximate_memory_usage(&self) -> usize {
        self.list.memory_usage()
    }

    /// The approximate number of bytes of keys and values before an internal key: exact if there are few
    /// entries, else from a sample. It never decreases as the key increases, and its cost does not depend on
    /// the number of entries.
    pub fn approximate_bytes_before(&self, internal_key: &[u8]) -> u64 {
        self.list.approximate_bytes_before(internal_key)
    }

    /// Bytes of the hash index.
    pub fn index_memory_usage(&self) -> usize {
        self.list.index_memory_usage()
    }

    /// True if nothing was inserted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of entries.
    #[cfg(test)]
    pub fn num_entries(&self) -> u64 {
        self.list.len()
    }
}

impl MemtableWriter {
    /// Inserts the entries of a batch (its representation without the header), the first one with
    /// `first_sequence`. Returns the sequence number after the last one. Corruption if an entry is malformed;
    /// the entries before it are inserted.
    pub fn insert_entries(
        &mut self,
        first_sequence: SequenceNumber,
        entries: &[u8],
    ) -> Result<SequenceNumber> {
        let result = self.insert_each(first_sequence, entries);
        self.list.settle();
        result
    }

    /// Links the entries into the skiplist but does not yet add them to the hash index: `get` sees them only
    /// after `settle`.
    #[inline]
    fn insert_each(&mut self, first_sequence: SequenceNumber, entries: &[u8]) -> Result<SequenceNumber> {
        let mut sequence = first_sequence;
        for entry in BatchIter::new(entries) {
            match entry? {
                BatchEntry::Put(key, value) => self.list.insert(sequence, ValueType::Value, key, value),
                BatchEntry::Delete(key) => self.list.insert(sequence, ValueType::Deletion, key, &[]),
                BatchEntry::PutCf(..) | BatchEntry::DeleteCf(..) => {
                    return Err(Error::corruption("WriteBatch with an entry for another column family"));
                }
            }
            sequence = sequence.wrapping_add(1);
        }
        Ok(sequence)
    }

    /// Inserts an entry. Sequence numbers must increase; readers see the entry at once and filter by sequence
    /// number. Key and value are shorter than 4 GiB, which write batches ensure.
    #[inline]
    pub fn insert(&mut self, sequence: SequenceNumber, value_type: ValueType, key: &[u8], value: &[u8]) {
        self.list.insert(sequence, value_type, key, value);
        self.list.settle();
    }

    /// True if the current block has room for that many insertions, with keys and values of `bytes` in total.
    #[inline]
    pub fn has_room(&self, entries: usize, bytes: usize) -> bool {
        self.list.has_room(entries, bytes)
    }

    /// Ensures that `entries` insertions with keys and values of `bytes` in total cannot fail. Must be called
    /// before the entries are appended to the WAL: without it, a lack of memory ends the process in `insert`.
    #[inline]
    pub fn prepare(&mut self, entries: usize, bytes: usize) -> Result<()> {
        self.list.prepare(entries, bytes)
    }

    /// As `prepare`, for a large batch (a megabyte), which gets a block of its own.
    pub fn reserve(&mut self, entries: usize, bytes: usize) -> Result<()> {
        self.list.reserve(entries, bytes)
    }

    /// The memtable that this writer inserts into.
    #[inline]
    pub fn memtable(&self) -> &Arc<Memtable> {
        &self.memtable
    }
}

/// A position in a memtable, whose memory it keeps alive.
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

impl FastIterator for MemtableIterator {
    #[inline]
    fn try_next_user_key(&mut self) -> Option<u64> {
        self.list.next_if(|here, next| {
            let is_later = match KeyPrefix::of(here.key).order(KeyPrefix::of(next.key)) {
                Ordering::Equal => internal_key::user_key(here.key) < internal_key::user_key(next.key),
                order => order.is_lt(),
            };
            is_later.then(|| internal_key::trailer(next.key))
        })
    }
}
