//! Decodes batches without trusting any byte.
//!
//! Thread rule: pure functions.

use super::HEADER_SIZE;
use crate::error::{Error, Result};
use crate::format::internal_key::{MAX_SEQUENCE, SequenceNumber, ValueType};
use crate::util::coding::{fixed32_at, fixed64_at, get_bytes};

/// One entry of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BatchEntry<'a> {
    /// Sets the value of the key.
    Put(&'a [u8], &'a [u8]),
    /// Deletes the key.
    Delete(&'a [u8]),
}

impl<'a> BatchEntry<'a> {
    /// The key, and the value, which is empty for a delete.
    pub fn key_and_value(&self) -> (&'a [u8], &'a [u8]) {
        match *self {
            BatchEntry::Put(key, value) => (key, value),
            BatchEntry::Delete(key) => (key, &[]),
        }
    }
}

/// The entries of a batch, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct BatchIter<'a> {
    rest: &'a [u8],
}

impl<'a> BatchIter<'a> {
    /// Decodes `entries`, the bytes after the header.
    #[inline]
    pub(crate) fn new(entries: &'a [u8]) -> Self {
        BatchIter { rest: entries }
    }

    #[cold]
    fn fail(&mut self, message: &str) -> Option<Result<BatchEntry<'a>>> {
        self.rest = &[];
        Some(Err(Error::corruption(message)))
    }
}

impl<'a> Iterator for BatchIter<'a> {
    type Item = Result<BatchEntry<'a>>;

    // Inlined and without references: an entry is put together in registers. In memory, loading a slice as a
    // whole would wait for the separate stores of its two halves.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        const VALUE: u8 = ValueType::Value as u8;
        const DELETION: u8 = ValueType::Deletion as u8;
        let (&tag, rest) = self.rest.split_first()?;
        match tag {
            VALUE => {
                let Some((key, rest)) = take_bytes(rest) else { return self.fail("bad WriteBatch Put") };
                let Some((value, rest)) = take_bytes(rest) else { return self.fail("bad WriteBatch Put") };
                self.rest = rest;
                Some(Ok(BatchEntry::Put(key, value)))
            }
            DELETION => {
                let Some((key, rest)) = take_bytes(rest) else { return self.fail("bad WriteBatch Delete") };
                self.rest = rest;
                Some(Ok(BatchEntry::Delete(key)))
            }
            _ => self.fail("unknown WriteBatch tag"),
        }
    }
}

/// Splits off a varint32 length and that many bytes. Lengths below 128 need no call.
#[inline(always)]
fn take_bytes(src: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = src.split_first()?;
    if length < 0x80 { rest.split_at_checked(usize::from(length)) } else { take_long_bytes(src) }
}

#[inline(never)]
fn take_long_bytes(mut src: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = get_bytes(&mut src)?;
    Some((bytes, src))
}

/// The sequence number of the first entry and the number of entries, as the header says. Corruption if the
/// header is not whole.
#[inline]
pub fn header(rep: &[u8]) -> Result<(SequenceNumber, u32)> {
    match (fixed64_at(rep, 0), fixed32_at(rep, 8)) {
        (Some(sequence), Some(count)) => Ok((sequence, count)),
        _ => Err(Error::corruption("malformed WriteBatch (too small)")),
    }
}

/// Checks a whole representation: the header is there, the entries are whole, their number equals the count,
/// and sequence + count is within 2^56 - 1. Returns (sequence, count).
pub fn validate(rep: &[u8]) -> Result<(SequenceNumber, u32)> {
    let (sequence, count) = header(rep)?;
    if sequence.checked_add(u64::from(count)).is_none_or(|end| end > MAX_SEQUENCE) {
        return Err(Error::corruption("WriteBatch has a sequence number of more than 56 bits"));
    }
    let mut found = 0u64;
    for entry in BatchIter::new(&rep[HEADER_SIZE..]) {
        entry?;
        found += 1;
    }
    if found != u64::from(count) {
        return Err(Error::corruption("WriteBatch has wrong count"));
    }
    Ok((sequence, count))
}
