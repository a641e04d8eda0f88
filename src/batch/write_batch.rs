//! A batch of puts and deletes that are written all or none, in the format of the WAL.
//!
//! The functions on byte vectors are for the write path, which encodes a single put, or a group of batches,
//! into a buffer of its own.
//!
//! Thread rule: one thread at a time changes a batch.

use super::decode::{BatchEntry, BatchIter, CF_DELETION, CF_VALUE, validate};
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::{SequenceNumber, ValueType};
use crate::format::limits::{MAX_BATCH_ENTRY_OVERHEAD, MAX_BATCH_SIZE, MAX_ENTRY_SIZE, check_entry};
use crate::language::Language;
use crate::util::coding::put_varint32;
use std::fmt;

pub use super::HEADER_SIZE;

/// Reserves memory for an entry with a key and a value of these lengths, which `check_entry` has accepted, so
/// that encoding it does not allocate. Returns an error instead of aborting if there is no memory.
#[inline]
pub fn reserve_entry(dst: &mut Vec<u8>, key_length: usize, value_length: usize) -> Result<()> {
    reserve(dst, MAX_BATCH_ENTRY_OVERHEAD + key_length + value_length)
}

#[inline]
fn reserve(dst: &mut Vec<u8>, bytes: usize) -> Result<()> {
    match dst.try_reserve(bytes) {
        Ok(()) => Ok(()),
        Err(_) => Err(no_memory(bytes)),
    }
}

#[cold]
fn no_memory(bytes: usize) -> Error {
    Error::io(format!("no memory for {bytes} bytes more of a write batch"))
}

#[cold]
fn batch_is_full() -> Error {
    Error::invalid_argument("write batch is full: it holds at most 4 GiB and 2^32 - 1 entries")
}

/// Appends the entry of a put. The lengths have been checked.
#[inline]
pub fn encode_put(dst: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    encode_put_without_value(dst, key, value.len());
    dst.extend_from_slice(value);
}

/// Appends the entry of a put into a column family that is not the default one.
#[inline]
pub fn encode_put_cf(dst: &mut Vec<u8>, family: ColumnFamilyId, key: &[u8], value: &[u8]) {
    encode_put_cf_without_value(dst, family, key, value.len());
    dst.extend_from_slice(value);
}

/// Appends the part of the entry of such a put before the value.
#[inline]
pub fn encode_put_cf_without_value(
    dst: &mut Vec<u8>,
    family: ColumnFamilyId,
    key: &[u8],
    value_length: usize,
) {
    encode_cf_head(dst, CF_VALUE, family, key);
    put_length(dst, value_length);
}

/// Appends the entry of a delete from a column family that is not the default one.
#[inline]
pub fn encode_delete_cf(dst: &mut Vec<u8>, family: ColumnFamilyId, key: &[u8]) {
    encode_cf_head(dst, CF_DELETION, family, key);
}

#[inline]
fn encode_cf_head(dst: &mut Vec<u8>, tag: u8, family: ColumnFamilyId, key: &[u8]) {
    if family.0 < 0x80 && key.len() < 0x80 {
        dst.extend_from_slice(&[tag, family.0 as u8, key.len() as u8]);
    } else {
        dst.push(tag);
        put_varint32(dst, family.0);
        put_length(dst, key.len());
    }
    dst.extend_from_slice(key);
}

#[inline]
fn put_length(dst: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        dst.push(length as u8);
    } else {
        put_long_length(dst, length);
    }
}

/// Appends the part of a put's entry before the value.
#[inline]
pub fn encode_put_without_value(dst: &mut Vec<u8>, key: &[u8], value_length: usize) {
    encode_head(dst, ValueType::Value, key.len());
    dst.extend_from_slice(key);
    put_length(dst, value_length);
}

/// Appends the entry of a delete. The length has been checked.
#[inline]
pub fn encode_delete(dst: &mut Vec<u8>, key: &[u8]) {
    encode_head(dst, ValueType::Deletion, key.len());
    dst.extend_from_slice(key);
}

#[inline]
fn encode_head(dst: &mut Vec<u8>, value_type: ValueType, key_length: usize) {
    if key_length < 0x80 {
        dst.extend_from_slice(&[value_type as u8, key_length as u8]);
    } else {
        dst.push(value_type as u8);
        put_long_length(dst, key_length);
    }
}

/// Appends a varint32 of two bytes or more at once.
#[inline]
fn put_long_length(dst: &mut Vec<u8>, length: usize) {
    debug_assert!((0x80..=MAX_ENTRY_SIZE).contains(&length));
    if length < 0x4000 {
        dst.extend_from_slice(&[length as u8 | 0x80, (length >> 7) as u8]);
    } else {
        put_varint32(dst, length as u32);
    }
}

/// Writes the header into a representation of at least `HEADER_SIZE` bytes.
#[inline]
pub fn set_header(rep: &mut [u8], sequence: SequenceNumber, count: u32) {
    rep[..8].copy_from_slice(&sequence.to_le_bytes());
    rep[8..HEADER_SIZE].copy_from_slice(&count.to_le_bytes());
}

/// A batch of puts and deletes that are written all or none (LevelDB's `WriteBatch`).
///
/// ```
/// use terrace::{BatchEntry, WriteBatch};
/// # use terrace::{Db, Options, ReadOptions, WriteOptions};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("db");
/// # let options = Options { create_if_missing: true, ..Options::default() };
/// # let db = Db::open(&options, &path)?;
///
/// let mut batch = WriteBatch::new();
/// batch.put(b"account 1", b"90");
/// batch.put(b"account 2", b"10");
/// batch.delete(b"transfer");
/// db.write(&WriteOptions::default(), &batch)?; // an entry that was refused makes this fail
///
/// let entries = batch.iter().collect::<terrace::Result<Vec<_>>>()?;
/// assert_eq!(entries[2], BatchEntry::Delete(b"transfer"));
/// batch.clear(); // to be filled again, with the same memory
/// # assert_eq!(db.get(&ReadOptions::default(), b"account 2")?.as_deref(), Some(&b"10"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct WriteBatch {
    /// At least the header.
    rep: Vec<u8>,
    /// The first failure of a put, delete or append. A batch with a failure is never written.
    failure: Option<Error>,
    /// Which families the entries may be for.
    families: BatchFamilies,
}

/// The families that the entries of a batch are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum BatchFamilies {
    /// Only the default one. Such a batch can be written to any database.
    #[default]
    Default,
    /// Any, and it is not known of which database: the batch was made from a representation.
    Unknown,
    /// Families of the database with this identity, the default one among them.
    Of(u64),
}

impl Default for WriteBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WriteBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBatch")
            .field("sequence", &self.sequence())
            .field("count", &self.count())
            .field("bytes", &self.rep.len())
            .field("failure", &self.failure)
            .finish()
    }
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        WriteBatch { rep: vec![0; HEADER_SIZE], failure: None, families: BatchFamilies::Default }
    }

    /// Removes all entries and the failure, and keeps the memory.
    pub fn clear(&mut self) {
        self.rep.truncate(HEADER_SIZE);
        self.rep.fill(0);
        self.failure = None;
        self.families = BatchFamilies::Default;
    }

    /// Adds a put. An entry longer than `limits::MAX_ENTRY_SIZE`, or one that would take the batch beyond 4
    /// GiB or 2^32 - 1 entries, is not added; `status`, and a write of the batch, then return
    /// InvalidArgument.
    #[inline]
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        if self.make_room(key.len(), value.len()) {
            encode_put(&mut self.rep, key, value);
        }
    }

    /// Adds a delete. Limits and failures are those of `put`.
    #[inline]
    pub fn delete(&mut self, key: &[u8]) {
        if self.make_room(key.len(), 0) {
            encode_delete(&mut self.rep, key);
        }
    }

    /// Adds a put into a family of the database with this identity.
    pub(crate) fn put_to(&mut self, database: u64, family: ColumnFamilyId, key: &[u8], value: &[u8]) {
        if family == ColumnFamilyId::DEFAULT && self.join(BatchFamilies::Of(database)) {
            self.put(key, value);
        } else if family != ColumnFamilyId::DEFAULT
            && self.join(BatchFamilies::Of(database))
            && self.make_room(key.len(), value.len())
        {
            encode_put_cf(&mut self.rep, family, key, value);
        }
    }

    /// Adds a delete from a family of the database with this identity.
    pub(crate) fn delete_from(&mut self, database: u64, family: ColumnFamilyId, key: &[u8]) {
        if family == ColumnFamilyId::DEFAULT && self.join(BatchFamilies::Of(database)) {
            self.delete(key);
        } else if family != ColumnFamilyId::DEFAULT
            && self.join(BatchFamilies::Of(database))
            && self.make_room(key.len(), 0)
        {
            encode_delete_cf(&mut self.rep, family, key);
        }
    }

    /// The families that the entries may be for.
    #[inline]
    pub(crate) fn families(&self) -> BatchFamilies {
        self.families
    }

    /// Entries of these families are added to the batch. False if they are of another database than those
    /// that it has; the failure is then recorded.
    fn join(&mut self, families: BatchFamilies) -> bool {
        match (self.families, families) {
            (_, BatchFamilies::Default) => {}
            (BatchFamilies::Of(here), BatchFamilies::Of(there)) if here != there => {
                self.poison(Error::invalid_argument("a write batch with column families of two databases"));
                return false;
            }
            (BatchFamilies::Of(_), _) => {}
            (_, families) => self.families = families,
        }
        true
    }

    /// Counts one more entry and reserves its memory. False if that is impossible; the failure is then
    /// recorded.
    #[inline]
    fn make_room(&mut self, key_length: usize, value_length: usize) -> bool {
        let size = self.rep.len().saturating_add(key_length).saturating_add(value_length);
        let count = self.count();
        // The batch always has a header, so this also refuses an entry that is too long by itself.
        if size > MAX_ENTRY_SIZE + HEADER_SIZE || count == u32::MAX {
            self.refuse(key_length, value_length);
            return false;
        }
        if let Err(error) = reserve_entry(&mut self.rep, key_length, value_length) {
            self.poison(error);
            return false;
        }
        self.set_count(count + 1);
        true
    }

    #[cold]
    fn refuse(&mut self, key_length: usize, value_length: usize) {
        self.poison(check_entry(key_length, value_length).err().unwrap_or_else(batch_is_full));
    }

    /// Adds the entries of `other` after the existing ones. A failure of `other` becomes a failure of this
    /// batch.
    pub fn append(&mut self, other: &WriteBatch) {
        if let Some(error) = &other.failure {
            self.poison(error.clone());
        }
        if self.join(other.families) && self.make_room_for_entries(other.entries().len(), other.count()) {
            self.rep.extend_from_slice(other.entries());
        }
    }

    /// Adds its own entries once more: the meaning of `append(b, b)` in C.
    pub(crate) fn append_self(&mut self) {
        let end = self.rep.len();
        if self.make_room_for_entries(end - HEADER_SIZE, self.count()) {
            self.rep.extend_from_within(HEADER_SIZE..end);
        }
    }

    fn make_room_for_entries(&mut self, bytes: usize, entries: u32) -> bool {
        let count = self.count().checked_add(entries);
        let (Some(count), true) = (count, bytes <= MAX_BATCH_SIZE.saturating_sub(self.rep.len())) else {
            self.refuse(0, 0);
            return false;
        };
        if let Err(error) = reserve(&mut self.rep, bytes) {
            self.poison(error);
            return false;
        }
        self.set_count(count);
        true
    }

    /// The number of entries.
    #[inline]
    pub fn count(&self) -> u32 {
        match self.rep.first_chunk::<HEADER_SIZE>() {
            Some(&[.., a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            None => 0, // impossible: there always is a header
        }
    }

    #[inline]
    fn set_count(&mut self, count: u32) {
        self.rep[8..HEADER_SIZE].copy_from_slice(&count.to_le_bytes());
    }

    /// The sequence number of the first entry; 0 until the batch is written.
    pub(crate) fn sequence(&self) -> SequenceNumber {
        crate::util::coding::fixed64_at(&self.rep, 0).unwrap_or(0)
    }

    /// The size of the representation in bytes, including the header.
    #[inline]
    pub fn approximate_size(&self) -> usize {
        self.rep.len()
    }

    /// The first failure of a put, delete or append, if there was one.
    #[inline]
    pub fn status(&self) -> Result<()> {
        match &self.failure {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// Records an error that a put could not report, unless one is recorded already.
    #[cold]
    pub(crate) fn poison(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// The whole representation, including the header.
    #[inline]
    pub fn rep(&self) -> &[u8] {
        &self.rep
    }

    /// The encoded entries, without the header.
    #[inline]
    pub(crate) fn entries(&self) -> &[u8] {
        &self.rep[HEADER_SIZE..]
    }

    /// A batch from a representation, which is validated completely. Corruption if it is malformed;
    /// InvalidArgument if an entry, or the whole, is too long.
    pub fn from_rep(rep: Vec<u8>) -> Result<Self> {
        let families = check_rep(&rep)?;
        Ok(WriteBatch { rep, failure: None, families })
    }

    /// As `from_rep`, from a copy, which is made only of a valid representation.
    pub(crate) fn copy_of_rep(rep: &[u8]) -> Result<Self> {
        let families = check_rep(rep)?;
        let mut copy = Vec::new();
        reserve(&mut copy, rep.len())?;
        copy.extend_from_slice(rep);
        Ok(WriteBatch { rep: copy, failure: None, families })
    }

    /// Sets the sequence number of the first entry.
    #[inline]
    #[doc(hidden)]
    #[cfg(any(test, feature = "test-support"))]
    pub fn set_sequence(&mut self, sequence: SequenceNumber) {
        self.rep[..8].copy_from_slice(&sequence.to_le_bytes());
    }

    /// The entries, in order.
    #[inline]
    pub fn iter(&self) -> BatchIter<'_> {
        BatchIter::new(self.entries())
    }
}

impl<'a> IntoIterator for &'a WriteBatch {
    type Item = Result<super::decode::BatchEntry<'a>>;
    type IntoIter = BatchIter<'a>;

    fn into_iter(self) -> BatchIter<'a> {
        self.iter()
    }
}

/// Checks a representation. Returns which families its entries may be for.
fn check_rep(rep: &[u8]) -> Result<BatchFamilies> {
    let is_leveldbs = validate(rep, Language::LevelDb).is_ok();
    if !is_leveldbs {
        validate(rep, Language::RocksDb)?;
    }
    if rep.len() > MAX_BATCH_SIZE {
        return Err(batch_is_full());
    }
    // If an entry is too long, the batch is longer than an entry may be.
    if rep.len() > MAX_ENTRY_SIZE {
        for entry in BatchIter::new(&rep[HEADER_SIZE..]) {
            let (key, value) = entry?.key_and_value();
            check_entry(key.len(), value.len())?;
        }
    }
    if is_leveldbs {
        return Ok(BatchFamilies::Default);
    }
    let is_default = |entry: Result<BatchEntry<'_>>| {
        matches!(entry, Ok(BatchEntry::PutCf(0, ..) | BatchEntry::DeleteCf(0, _)))
    };
    let mut entries = BatchIter::new(&rep[HEADER_SIZE..]);
    if entries.any(is_default) || entries.has_passed_over {
        return Err(Error::corruption("unknown WriteBatch tag")); // what we write does not have it
    }
    Ok(BatchFamilies::Unknown)
}

#[cfg(test)]
mod tests;
