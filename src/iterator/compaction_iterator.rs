//! stub
use super::InternalIterator;
use crate::error::Result;
use crate::format::internal_key::InternalKeyComparator;

/// The entries of `input` that anyone can still see.
pub struct CompactionIterator<I, F> {
    input: I,
    is_base_level_for_key: F,
}

impl<I: InternalIterator, F: FnMut(&[u8]) -> bool> CompactionIterator<I, F> {
    /// `snapshots`: ascending sequence numbers, the last one the newest state that must be kept (the last sequence when the job began).
    /// `is_base_level_for_key(user key)`: nothing deeper can hold it (called with ascending keys). `input` is positioned by this.
    /// An entry hidden from every snapshot by a newer one of its key is dropped; so is a deletion visible to the oldest snapshot
    /// with nothing deeper. An entry that can't be parsed is Corruption when `paranoid`, else passed on as it is.
    pub fn new(
        comparator: InternalKeyComparator,
        input: I,
        snapshots: Vec<u64>,
        is_base_level_for_key: F,
    ) -> Self {
        todo!()
    }
    /// Moves to the next entry kept; false at the end or on an error.
    pub fn advance(&mut self) -> bool {
        todo!()
    }
    /// The internal key.
    pub fn key(&self) -> &[u8] {
        todo!()
    }
    /// The value.
    pub fn value(&self) -> &[u8] {
        todo!()
    }
    /// The first error of the input.
    pub fn status(&self) -> Result<()> {
        todo!()
    }
}
