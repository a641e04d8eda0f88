//! What a compaction reads: entries, some of which are passed on as they are stored.
//!
//! Only the iterators over the inputs of a compaction implement [`CompactionInput`], and the two composed
//! ones if what they are made of does. No other iterator knows of stored blocks.
//!
//! Thread rule: one thread at a time uses an iterator.

use super::merging::MergingIterator;
use super::two_level::{Parts, TwoLevelIterator};
use super::{FastIterator, InternalIterator};

/// The value of an entry, or the block that holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload<'a> {
    /// The value.
    Value(&'a [u8]),
    /// The single-entry block that holds the entry, in its stored form: compressed, and not decoded.
    RawBlock {
        /// The block with its 5-byte trailer. Its checksum is right.
        stored: &'a [u8],
        /// The length of the value, in bytes.
        value_length: u32,
    },
}

/// An iterator over an input of a compaction.
pub trait CompactionInput: InternalIterator {
    /// What the current entry has besides its key. Valid until the next move. `value` may be called only
    /// while this is a `Payload::Value`.
    fn payload(&self) -> Payload<'_>;
}

impl<I: FastIterator + CompactionInput> CompactionInput for MergingIterator<I> {
    #[inline]
    fn payload(&self) -> Payload<'_> {
        self.current_child().payload()
    }
}

impl<P: Parts<Iter: CompactionInput>> CompactionInput for TwoLevelIterator<P> {
    #[inline]
    fn payload(&self) -> Payload<'_> {
        self.open_part().map_or(Payload::Value(&[]), P::Iter::payload)
    }
}
