//! The entries of a flush or a compaction that a reader can still see.
//!
//! Reads a sorted input once, from the first entry to the last, and skips the entries that no reader needs
//! any more:
//! 1. An entry `e` that a newer entry `n` of the same user key hides. A reader at sequence number `s` sees
//!    `e` if `e.sequence <= s < n.sequence`. So `e` is dropped if no snapshot lies in that interval. A
//!    snapshot that is taken while the job runs lies at or after the newest sequence number listed, so
//!    entries above that one are never hidden. `n` is the entry directly before `e`, whether it was kept or
//!    not: dropping one entry never makes an older one visible.
//! 2. A tombstone that every snapshot sees, of a key that no deeper level can hold. By rule 1 all older
//!    entries of its key in the input are dropped with it. That there are none outside the input is the
//!    picker's duty (inputs hold whole user keys).
//! 3. A repetition of the same internal key, which remains after a WAL was replayed twice.
//!
//! An entry whose key cannot be parsed is an error if `paranoid` is set. Otherwise it is passed on unchanged,
//! as LevelDB does: it hides nothing, and an entry after it is still hidden by the newer entries before it.
//! An input out of order is always an error, because a table made of it could not be searched.
//!
//! Keys and values are borrowed from the input. Only the user key is copied, once per key, into one reused
//! buffer, because the input does not keep it when it moves on. Used by one thread.

use crate::error::{Error, Result};
use crate::format::internal_key::{
    self, InternalKeyComparator, LookupKey, MAX_SEQUENCE, ParsedInternalKey, SequenceNumber, ValueType,
};
use crate::iterator::InternalIterator;
use crate::iterator::compaction_input::{CompactionInput, Payload};
use std::cmp::Ordering;
use std::sync::atomic::{self, AtomicBool};

/// The rules for which entries are kept.
#[derive(Clone)]
pub struct CompactionIteratorOptions<'a> {
    /// The order of the input.
    pub comparator: InternalKeyComparator,
    /// The states that must stay readable, as ascending sequence numbers. The last one is that of the newest
    /// state when the job began. If the slice is empty, any state may be read later, and all entries are
    /// kept.
    pub snapshots: &'a [SequenceNumber],
    /// Fail on an entry that cannot be parsed, instead of passing it on.
    pub paranoid: bool,
    /// If the flag becomes set, `advance` soon ends with an error.
    pub shutting_down: Option<&'a AtomicBool>,
}

/// The position of the iterator.
enum State {
    /// Before the first entry (of this user key, if one is given).
    Start(Option<Box<[u8]>>),
    /// On an entry of the input.
    Entry,
    /// At the end of the input, or after an error.
    End,
}

/// What to do with an entry of the input.
enum Verdict {
    Keep,
    Drop,
}

/// How many entries are judged between two checks of `shutting_down`; a power of two.
const ENTRIES_BETWEEN_CHECKS: u64 = 1024;

/// An error if the flag, that the database closes, is set.
pub(super) fn check_shutdown(flag: &AtomicBool) -> Result<()> {
    if flag.load(atomic::Ordering::Acquire) { Err(Error::io("database is closing")) } else { Ok(()) }
}

/// Iterates over the entries of `input` that any reader can still see.
pub struct CompactionIterator<'a, I, F> {
    input: I,
    is_base_level_for_key: F,
    options: CompactionIteratorOptions<'a>,
    oldest_snapshot: SequenceNumber,
    newest_snapshot: SequenceNumber,
    state: State,
    /// The number of input entries judged so far.
    entries_read: u64,
    /// The user key of the entry judged last. Valid if `entries_read` > 0.
    user_key: Vec<u8>,
    /// The trailer of the entry judged last.
    trailer: u64,
    /// The sequence number of the last entry of `user_key` that could be parsed. It hides older entries.
    newer: Option<SequenceNumber>,
    /// Was an entry of `user_key` kept before the current one?
    key_has_kept_entry: bool,
    first_of_user_key: bool,
    error: Option<Error>,
}

impl<'a, I, F> CompactionIterator<'a, I, F>
where
    I: InternalIterator,
    F: FnMut(&[u8]) -> bool,
{
    /// Iterates over the entries of `input` that must be kept. The first `advance` positions the input.
    /// `is_base_level_for_key(user key)`: can no level deeper than the output hold that key? It is called
    /// with ascending keys, and only for tombstones.
    pub fn new(options: CompactionIteratorOptions<'a>, input: I, is_base_level_for_key: F) -> Self {
        debug_assert!(options.snapshots.is_sorted());
        CompactionIterator {
            input,
            is_base_level_for_key,
            oldest_snapshot: options.snapshots.first().copied().unwrap_or(0),
            newest_snapshot: options.snapshots.last().copied().unwrap_or(0),
            options,
            state: State::Start(None),
            entries_read: 0,
            user_key: Vec::new(),
            trailer: 0,
            newer: None,
            key_has_kept_entry: false,
            first_of_user_key: false,
            error: None,
        }
    }

    /// Begins at `user_key` instead of the first entry of the input: the lower end of a subcompaction.
    pub fn starting_at(mut self, user_key: &[u8]) -> Self {
        self.state = State::Start(Some(user_key.into()));
        self
    }

    /// Moves to the next entry that is kept. Returns false at the end, and on an error, which `status`
    /// reports.
    pub fn advance(&mut self) -> bool {
        match &self.state {
            State::Entry => self.input.next(),
            State::Start(None) => self.input.seek_to_first(),
            State::Start(Some(begin)) => {
                self.input.seek(LookupKey::new(begin, MAX_SEQUENCE).internal_key());
            }
            State::End => return false,
        }
        while self.input.valid() {
            match self.judge() {
                Ok(Verdict::Keep) => {
                    self.state = State::Entry;
                    return true;
                }
                Ok(Verdict::Drop) => self.input.next(),
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
        }
        self.state = State::End;
        false
    }

    /// The internal key. Call only after `advance` returned true; valid until the next `advance`.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.input.key()
    }

    /// The value. As for `key`. An input that passes blocks on has `payload` instead.
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.input.value()
    }

    /// The user key. As for `key`.
    #[inline]
    pub fn user_key(&self) -> &[u8] {
        &self.user_key
    }

    /// Is the current entry the first of its user key that was kept? A new output may begin only there, so
    /// that no user key is split over files.
    #[inline]
    pub fn is_first_of_user_key(&self) -> bool {
        self.first_of_user_key
    }

    /// The number of entries read, kept or not.
    #[cfg(test)]
    pub fn entries_read(&self) -> u64 {
        self.entries_read
    }

    /// The first error.
    pub fn status(&self) -> Result<()> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None => self.input.status(),
        }
    }

    /// Must the entry at which the input stands be kept?
    #[inline]
    fn judge(&mut self) -> Result<Verdict> {
        if self.entries_read.is_multiple_of(ENTRIES_BETWEEN_CHECKS) {
            self.check_shutdown()?;
        }
        let key = self.input.key();
        let (user_key, trailer) = (internal_key::user_key(key), internal_key::trailer(key));
        let order = match self.entries_read {
            0 => Ordering::Less,
            _ => compare_user_keys(&self.options.comparator, &self.user_key, user_key),
        };
        self.entries_read += 1;
        match order {
            Ordering::Less => {
                self.user_key.clear();
                self.user_key.extend_from_slice(user_key);
                self.newer = None;
                self.key_has_kept_entry = false;
            }
            Ordering::Equal if trailer < self.trailer => {}
            Ordering::Equal if trailer == self.trailer => return Ok(Verdict::Drop),
            _ => return Err(self.out_of_order()),
        }
        self.trailer = trailer;

        match ParsedInternalKey::parse(key) {
            Some(entry) => {
                let newer = self.newer.replace(entry.sequence);
                if newer.is_some_and(|newer| self.is_hidden(entry.sequence, newer)) {
                    return Ok(Verdict::Drop);
                }
                if entry.value_type == ValueType::Deletion
                    && entry.sequence <= self.oldest_snapshot
                    && !self.options.snapshots.is_empty()
                    && (self.is_base_level_for_key)(&self.user_key)
                {
                    return Ok(Verdict::Drop);
                }
            }
            None if self.options.paranoid => return Err(unparsable(key)),
            None => {}
        }
        self.first_of_user_key = !self.key_has_kept_entry;
        self.key_has_kept_entry = true;
        Ok(Verdict::Keep)
    }

    /// Is an entry at `sequence` hidden from every snapshot, existing or future, by an entry of its key at
    /// `newer`?
    #[inline]
    fn is_hidden(&self, sequence: SequenceNumber, newer: SequenceNumber) -> bool {
        if newer <= self.oldest_snapshot {
            return true;
        }
        if newer > self.newest_snapshot {
            return sequence == newer; // a future snapshot may lie between
        }
        let below_newer = self.options.snapshots.partition_point(|&snapshot| snapshot < newer);
        // A snapshot below `newer` exists: the oldest one.
        self.options.snapshots[below_newer - 1] < sequence
    }

    fn check_shutdown(&self) -> Result<()> {
        self.options.shutting_down.map_or(Ok(()), check_shutdown)
    }

    #[cold]
    fn out_of_order(&self) -> Error {
        let key = self.input.key();
        Error::corruption(format!(
            "entries out of order: '{}' @ {} comes after '{}' @ {}",
            internal_key::user_key(key).escape_ascii(),
            internal_key::sequence(key),
            self.user_key.escape_ascii(),
            self.trailer >> 8,
        ))
    }
}

impl<I: CompactionInput, F> CompactionIterator<'_, I, F> {
    /// The value, or the block that holds the entry. As for `key`.
    #[inline]
    pub fn payload(&self) -> Payload<'_> {
        self.input.payload()
    }
}

/// Compares two user keys. Most neighbours in bytewise order differ in their first eight bytes, or have these
/// equal.
#[inline]
fn compare_user_keys(comparator: &InternalKeyComparator, a: &[u8], b: &[u8]) -> Ordering {
    if !comparator.is_bytewise() {
        return comparator.compare_user_keys(a, b);
    }
    match (a.split_first_chunk::<8>(), b.split_first_chunk::<8>()) {
        (Some((a_word, a_rest)), Some((b_word, b_rest))) => {
            u64::from_be_bytes(*a_word).cmp(&u64::from_be_bytes(*b_word)).then_with(|| a_rest.cmp(b_rest))
        }
        _ => a.cmp(b),
    }
}

#[cold]
fn unparsable(key: &[u8]) -> Error {
    if key.len() < internal_key::TRAILER_SIZE {
        return Error::corruption(format!("internal key '{}' is shorter than 8 bytes", key.escape_ascii()));
    }
    Error::corruption(format!(
        "unknown entry type {} of key '{}' @ {}",
        internal_key::trailer(key) as u8,
        internal_key::user_key(key).escape_ascii(),
        internal_key::sequence(key),
    ))
}

#[cfg(test)]
mod tests;
