//! stub
use crate::error::Result;
use crate::format::internal_key::SequenceNumber;

/// Bytes before the entries: sequence u64, count u32.
pub const HEADER_SIZE: usize = 12;

/// Puts and deletes that are written all or none.
#[derive(Clone)]
pub struct WriteBatch {
    rep: Vec<u8>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        todo!()
    }
    /// Forgets all entries, keeping the memory.
    pub fn clear(&mut self) {
        todo!()
    }
    /// Adds a put. A key or value of 4 GiB or more, or a batch that would pass 4 GiB or 2^32 - 1 entries, is remembered, and
    /// `status` (and a write of the batch) returns InvalidArgument.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        todo!()
    }
    /// Adds a delete.
    pub fn delete(&mut self, key: &[u8]) {
        todo!()
    }
    /// Adds the entries of `other` behind its own.
    pub fn append(&mut self, other: &WriteBatch) {
        todo!()
    }
    /// Adds its own entries once more: what `append(b, b)` means.
    pub fn append_self(&mut self) {
        todo!()
    }
    /// Entries.
    pub fn count(&self) -> u32 {
        todo!()
    }
    /// Bytes of the representation, header included.
    pub fn approximate_size(&self) -> usize {
        todo!()
    }
    /// What a put or delete could not take.
    pub fn status(&self) -> Result<()> {
        todo!()
    }
    /// Remembers the first error that a put could not report.
    pub fn poison(&mut self, error: crate::error::Error) {
        todo!()
    }
    /// The whole representation.
    pub fn rep(&self) -> &[u8] {
        todo!()
    }
    /// A batch from a representation, fully validated (Corruption otherwise).
    pub fn from_rep(rep: Vec<u8>) -> Result<Self> {
        todo!()
    }
    /// Sets the sequence number of the first entry.
    pub fn set_sequence(&mut self, sequence: SequenceNumber) {
        todo!()
    }
    /// The entries in order.
    pub fn iter(&self) -> super::decode::BatchIter<'_> {
        todo!()
    }
}
