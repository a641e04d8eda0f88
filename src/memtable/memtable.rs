//! stub
use crate::error::Result;
use crate::format::internal_key::{InternalKeyComparator, LookupKey, SequenceNumber, ValueType};
use crate::iterator::InternalIterator;
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
pub struct Memtable {}

/// The right to insert into a memtable; there is one for each.
pub struct MemtableWriter {}

impl Memtable {
    /// An empty memtable and the right to write to it.
    pub fn new(comparator: InternalKeyComparator) -> (Arc<Memtable>, MemtableWriter) {
        todo!()
    }
    /// The newest entry of the key that is not newer than the look-up's sequence.
    #[inline]
    pub fn get(&self, key: &LookupKey) -> MemtableGet<'_> {
        todo!()
    }
    /// Iterates; sees entries inserted later too.
    pub fn iter(self: &Arc<Self>) -> MemtableIterator {
        todo!()
    }
    /// Bytes taken, overhead included (as LevelDB counts: what is allocated for nodes, keys and values).
    #[inline]
    pub fn approximate_memory_usage(&self) -> usize {
        todo!()
    }
    /// Has nothing been inserted?
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    /// Entries inserted.
    pub fn num_entries(&self) -> u64 {
        todo!()
    }
}

impl MemtableWriter {
    /// Inserts an entry. Sequence numbers only grow; readers see it at once (they filter by sequence).
    #[inline]
    pub fn insert(&mut self, sequence: SequenceNumber, value_type: ValueType, key: &[u8], value: &[u8]) {
        todo!()
    }
    /// The memtable it writes to.
    #[inline]
    pub fn memtable(&self) -> &Arc<Memtable> {
        todo!()
    }
}

/// A position in a memtable, which it keeps alive.
pub struct MemtableIterator {}

impl InternalIterator for MemtableIterator {
    fn valid(&self) -> bool {
        todo!()
    }
    fn seek_to_first(&mut self) {
        todo!()
    }
    fn seek_to_last(&mut self) {
        todo!()
    }
    fn seek(&mut self, target: &[u8]) {
        todo!()
    }
    fn next(&mut self) {
        todo!()
    }
    fn prev(&mut self) {
        todo!()
    }
    fn key(&self) -> &[u8] {
        todo!()
    }
    fn value(&self) -> &[u8] {
        todo!()
    }
    fn status(&self) -> Result<()> {
        Ok(())
    }
}
