//! stub
use crate::error::Result;
use crate::format::internal_key::SequenceNumber;

/// One entry of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchEntry<'a> {
    /// The key gets the value.
    Put(&'a [u8], &'a [u8]),
    /// The key is deleted.
    Delete(&'a [u8]),
}

/// The entries of a batch, in order; ends after the first error.
pub struct BatchIter<'a> {
    rest: &'a [u8],
}

impl<'a> BatchIter<'a> {
    /// The entries behind the header.
    pub fn new(entries: &'a [u8]) -> Self {
        todo!()
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = Result<BatchEntry<'a>>;
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// Checks a whole representation: header there, entries whole, their number equal to count, sequence + count within 2^56 - 1.
/// Returns (sequence, count).
pub fn validate(rep: &[u8]) -> Result<(SequenceNumber, u32)> {
    todo!()
}
