//! The entries of a flush or a compaction that someone can still see.
//!
//! Reads a sorted input once, from front to back, and passes over what no reader needs any more:
//! 1. An entry `e` that a newer entry `n` of its user key hides. A reader at sequence `s` sees `e` when
//!    `e.sequence <= s < n.sequence`, so `e` goes where no snapshot lies in that interval. Snapshots taken while the job runs
//!    lie at or after the newest sequence listed: entries above that one are never hidden. `n` is the entry just before `e`, whether
//!    it was kept or not: dropping one entry never makes an older one visible.
//! 2. A deletion that every snapshot sees, of a key that nothing deeper can hold. By rule 1 it takes all older entries of its key
//!    in the input with it; that there are none beside the input is the picker's duty (inputs hold whole user keys).
//! 3. The same internal key again, which a log that was replayed twice leaves behind.
//!
//! An entry whose key can't be parsed is an error when `paranoid`. Otherwise it is passed on as it is, as LevelDB does; it hides
//! nothing, and what was hidden before stays hidden behind it. An input out of order is always an error: the table made of it
//! could not be searched.
//!
//! Keys and values are lent from the input. What is copied is each user key, once, into one reused buffer, because the input
//! forgets it when it moves on. Used by one thread.

use super::InternalIterator;
use crate::error::{Error, Result};
use crate::format::internal_key::{
    self, InternalKeyComparator, LookupKey, MAX_SEQUENCE, ParsedInternalKey, SequenceNumber, ValueType,
};
use std::cmp::Ordering;
use std::sync::atomic::{self, AtomicBool};

/// What decides which entries are kept.
#[derive(Clone)]
pub struct CompactionIteratorOptions<'a> {
    /// The order of the input.
    pub comparator: InternalKeyComparator,
    /// The states that must stay readable: sequence numbers, ascending, the last one that of the newest state when the job began. Empty
    /// means that any state may be asked for, and all entries are kept.
    pub snapshots: &'a [SequenceNumber],
    /// Fail on an entry that can't be parsed, instead of passing it on.
    pub paranoid: bool,
    /// When set, `advance` soon ends with an error.
    pub shutting_down: Option<&'a AtomicBool>,
}

/// Where the iterator stands.
enum State {
    /// Before the first entry (of this user key, if one is given).
    Start(Option<Box<[u8]>>),
    /// On an entry.
    Entry,
    /// At the end of the input, or behind an error.
    End,
}

/// What to do with an entry.
enum Verdict {
    Keep,
    Drop,
}

/// Entries looked at between two glances at `shutting_down`; a power of two.
const ENTRIES_BETWEEN_CHECKS: u64 = 1024;

/// The entries of `input` that anyone can still see.
pub struct CompactionIterator<'a, I, F> {
    input: I,
    is_base_level_for_key: F,
    options: CompactionIteratorOptions<'a>,
    oldest_snapshot: SequenceNumber,
    newest_snapshot: SequenceNumber,
    state: State,
    /// Entries looked at.
    entries_read: u64,
    /// The user key of the entry looked at last, once there is one (`entries_read` > 0).
    user_key: Vec<u8>,
    /// The trailer of the entry looked at last.
    trailer: u64,
    /// The sequence of the last entry of `user_key` that could be parsed: it hides older ones.
    newer: Option<SequenceNumber>,
    /// Was an entry of `user_key` kept before the one it stands on?
    key_has_kept_entry: bool,
    first_of_user_key: bool,
    error: Option<Error>,
}

impl<'a, I, F> CompactionIterator<'a, I, F>
where
    I: InternalIterator,
    F: FnMut(&[u8]) -> bool,
{
    /// Passes on what is to be kept of `input`, which the first `advance` positions. `is_base_level_for_key(user key)`: nothing
    /// deeper than the output can hold that key; called with ascending keys, and only for deletions.
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

    /// Begins at `user_key` instead of the first entry of the input: the lower end of a part of a compaction.
    pub fn starting_at(mut self, user_key: &[u8]) -> Self {
        self.state = State::Start(Some(user_key.into()));
        self
    }

    /// Moves to the next entry kept; false at the end, and on an error, which `status` tells.
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

    /// The internal key (only after `advance` returned true; holds until the next one).
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.input.key()
    }

    /// The value (as `key`).
    #[inline]
    pub fn value(&self) -> &[u8] {
        self.input.value()
    }

    /// Of what `value` returns, if that is a stored block: see `InternalIterator::stored_value_length`.
    #[inline]
    pub fn stored_value_length(&self) -> Option<u32> {
        self.input.stored_value_length()
    }

    /// The user key (as `key`).
    #[inline]
    pub fn user_key(&self) -> &[u8] {
        &self.user_key
    }

    /// Was no entry of this user key passed on before? A new output may begin only here, so that no user key is split over
    /// files.
    #[inline]
    pub fn is_first_of_user_key(&self) -> bool {
        self.first_of_user_key
    }

    /// Entries read, kept or not.
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

    /// Is the entry that the input stands on needed?
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

    /// Is an entry at `sequence` hidden from every snapshot, there already or still to come, by one of its key at `newer`?
    #[inline]
    fn is_hidden(&self, sequence: SequenceNumber, newer: SequenceNumber) -> bool {
        if newer <= self.oldest_snapshot {
            return true;
        }
        if newer > self.newest_snapshot {
            return sequence == newer; // a snapshot to come may lie between
        }
        let below_newer = self.options.snapshots.partition_point(|&snapshot| snapshot < newer);
        // There is a snapshot below `newer`: the oldest.
        self.options.snapshots[below_newer - 1] < sequence
    }

    fn check_shutdown(&self) -> Result<()> {
        match self.options.shutting_down {
            Some(flag) if flag.load(atomic::Ordering::Acquire) => Err(Error::io("database is closing")),
            _ => Ok(()),
        }
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

/// The order of two user keys; most neighbours of a bytewise order differ in, or have equal, first words.
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
