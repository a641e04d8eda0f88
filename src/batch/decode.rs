//! Decodes batches without trusting any byte.
//!
//! Thread rule: pure functions.

use super::HEADER_SIZE;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::{MAX_SEQUENCE, SequenceNumber, ValueType};
use crate::language::Language;
use crate::util::coding::{fixed32_at, fixed64_at, get_bytes, get_varint32};

/// One entry of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BatchEntry<'a> {
    /// Sets the value of the key.
    Put(&'a [u8], &'a [u8]),
    /// Deletes the key.
    Delete(&'a [u8]),
    /// Sets the value of the key in the column family with this number.
    PutCf(u32, &'a [u8], &'a [u8]),
    /// Deletes the key in the column family with this number.
    DeleteCf(u32, &'a [u8]),
}

impl<'a> BatchEntry<'a> {
    /// The key, and the value, which is empty for a delete.
    pub fn key_and_value(&self) -> (&'a [u8], &'a [u8]) {
        match *self {
            BatchEntry::Put(key, value) | BatchEntry::PutCf(_, key, value) => (key, value),
            BatchEntry::Delete(key) | BatchEntry::DeleteCf(_, key) => (key, &[]),
        }
    }

    /// The column family of the entry; 0 is the default one.
    pub fn column_family_id(&self) -> u32 {
        match *self {
            BatchEntry::Put(..) | BatchEntry::Delete(_) => ColumnFamilyId::DEFAULT.0,
            BatchEntry::PutCf(id, ..) | BatchEntry::DeleteCf(id, _) => id,
        }
    }

    /// The entry as the C interface shows it: its family, whether it is a put, key and value.
    pub(crate) fn shown(&self) -> (u32, bool, &'a [u8], &'a [u8]) {
        let (family, value_type, key, value) = self.parts();
        (family.0, value_type == ValueType::Value, key, value)
    }

    /// The entry as a memtable keeps it: its family, its type, key and value.
    #[inline]
    pub(crate) fn parts(&self) -> (ColumnFamilyId, ValueType, &'a [u8], &'a [u8]) {
        let (key, value) = self.key_and_value();
        let value_type = match self {
            BatchEntry::Put(..) | BatchEntry::PutCf(..) => ValueType::Value,
            BatchEntry::Delete(_) | BatchEntry::DeleteCf(..) => ValueType::Deletion,
        };
        (ColumnFamilyId(self.column_family_id()), value_type, key, value)
    }
}

/// The types of entries that only RocksDB writes.
pub(super) const CF_DELETION: u8 = 4;
pub(super) const CF_VALUE: u8 = 5;
/// Data for readers of the WAL. It is no entry: the count does not include it, and it takes no number.
const LOG_DATA: u8 = 3;
/// Nothing; also not counted.
const NO_OPERATION: u8 = 13;

/// The feature of RocksDB to which an entry of this type belongs, if the type is known and not supported.
fn unsupported_feature(tag: u8) -> Option<&'static str> {
    Some(match tag {
        2 | 6 => "a merge operand",
        7 | 8 => "a single delete",
        9..=12 | 18 | 19 => "a two-phase commit",
        14 | 15 => "a range deletion",
        16 | 17 => "a reference to a blob file",
        22 | 23 => "a wide-column entity",
        24 | 25 => "a put with a preferred sequence number",
        _ => return None,
    })
}

/// The entries of a batch, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct BatchIter<'a> {
    rest: &'a [u8],
    /// Was anything met that LevelDB's language does not have?
    is_beyond_leveldb: bool,
    /// Was anything passed over that is no entry?
    pub(super) has_passed_over: bool,
}

impl<'a> BatchIter<'a> {
    /// Decodes `entries`, the bytes after the header.
    #[inline]
    pub(crate) fn new(entries: &'a [u8]) -> Self {
        BatchIter { rest: entries, is_beyond_leveldb: false, has_passed_over: false }
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
            _ => self.next_beyond(),
        }
    }
}

impl<'a> BatchIter<'a> {
    /// The next entry, if its type is not one of LevelDB's. What is no entry is passed over.
    #[cold]
    #[inline(never)]
    fn next_beyond(&mut self) -> Option<Result<BatchEntry<'a>>> {
        self.is_beyond_leveldb = true;
        while let Some((&tag, rest)) = self.rest.split_first() {
            let at_tag = std::mem::replace(&mut self.rest, rest);
            match tag {
                NO_OPERATION => self.has_passed_over = true,
                LOG_DATA if get_bytes(&mut self.rest).is_some() => self.has_passed_over = true,
                LOG_DATA => return self.fail("bad WriteBatch log data"),
                CF_VALUE | CF_DELETION => {
                    return match self.take_of_family(tag) {
                        Some(entry) => Some(Ok(entry)),
                        None => self.fail("bad WriteBatch column family"),
                    };
                }
                _ if tag <= ValueType::Value as u8 => {
                    self.rest = at_tag;
                    return self.next();
                }
                _ => return Some(Err(self.refuse(tag))),
            }
        }
        None
    }

    fn take_of_family(&mut self, tag: u8) -> Option<BatchEntry<'a>> {
        let id = get_varint32(&mut self.rest)?;
        let key = get_bytes(&mut self.rest)?;
        Some(match tag {
            CF_DELETION => BatchEntry::DeleteCf(id, key),
            _ => BatchEntry::PutCf(id, key, get_bytes(&mut self.rest)?),
        })
    }

    fn refuse(&mut self, tag: u8) -> Error {
        self.rest = &[];
        match unsupported_feature(tag) {
            Some(feature) => {
                Error::not_supported(format!("WriteBatch with {feature} of RocksDB (type {tag})"))
            }
            None => Error::corruption("unknown WriteBatch tag"),
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

/// Checks a whole representation: the header is there, the entries are whole and of the language, their
/// number equals the count, and sequence + count is within 2^56 - 1. Returns (sequence, count). NotSupported
/// if an entry belongs to a feature of RocksDB that is not supported.
pub fn validate(rep: &[u8], language: Language) -> Result<(SequenceNumber, u32)> {
    let (sequence, count) = header(rep)?;
    if sequence.checked_add(u64::from(count)).is_none_or(|end| end > MAX_SEQUENCE) {
        return Err(Error::corruption("WriteBatch has a sequence number of more than 56 bits"));
    }
    let mut found = 0u64;
    let mut entries = BatchIter::new(&rep[HEADER_SIZE..]);
    while let Some(entry) = entries.next() {
        if entries.is_beyond_leveldb && language == Language::LevelDb {
            return Err(Error::corruption("unknown WriteBatch tag"));
        }
        entry?;
        found += 1;
    }
    if entries.is_beyond_leveldb && language == Language::LevelDb {
        return Err(Error::corruption("unknown WriteBatch tag")); // data that is no entry, at the end
    }
    if found != u64::from(count) {
        return Err(Error::corruption("WriteBatch has wrong count"));
    }
    Ok((sequence, count))
}
