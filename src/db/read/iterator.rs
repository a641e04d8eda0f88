//! The user's view of the entries: the input has internal entries; the output has one live value per user
//! key, at one sequence number.
//!
//! Forward, the internal iterator stands on the entry shown, and key and value are read in place. Backward,
//! it stands before all versions of the key shown, and key and value are copies. The view never changes. Once
//! the database is closed, every move ends with an error.

use crate::column_family::ColumnFamily;
use crate::column_family::dead_spans::{LOOK_AFTER, NOTE_AFTER};
use crate::column_family::read_iterator::ReadIterator;
use crate::column_family::super_version::{IteratorKind, SuperVersion};
use crate::db::family::FamilyRef;
use crate::db::read::options::foreign_snapshot;
use crate::db::shared::DbShared;
use crate::error::{Error, Result};
use crate::format::internal_key::{LookupKey, ParsedInternalKey, SequenceNumber, ValueType, user_key};
use crate::iterator::merging::MergingIterator;
use crate::iterator::{FastIterator, InternalIterator};
use crate::options::ReadAt;
use crate::util::fork::leak_in_child;
use crate::util::random::Random;
use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A larger buffer, which a value shown backward has needed, is freed by the next seek. In bytes.
const MAX_KEPT_VALUE_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// A position in the user's view of the database. Used by one thread at a time. It may outlive the database,
/// and a child process may inherit it; then every move ends with an error. Dropping it releases the files
/// that it keeps alive.
///
/// ```
/// # use terrace::{Db, Options, ReadOptions, WriteOptions};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("db");
/// # let options = Options { create_if_missing: true, ..Options::default() };
/// # let db = Db::open(&options, &path)?;
/// for name in ["fig", "apple", "pear"] {
///     db.put(&WriteOptions::default(), name.as_bytes(), b"fruit")?;
/// }
///
/// let mut iterator = db.iter(&ReadOptions::default());
/// let mut found = Vec::new();
/// iterator.seek(b"b"); // the first key at or after "b"
/// while let Some((key, value)) = iterator.entry() {
///     assert_eq!(value, b"fruit");
///     found.push(String::from_utf8(key.to_vec())?);
///     iterator.next();
/// }
/// iterator.status()?; // a scan that ends is complete only if this is no error
/// assert_eq!(found, ["fig", "pear"]);
///
/// iterator.seek_to_last();
/// assert_eq!(iterator.key(), b"pear");
/// iterator.prev();
/// assert_eq!(iterator.key(), b"fig");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DbIterator {
    input: MergingIterator<ReadIterator>,
    sequence: SequenceNumber,
    valid: bool,
    direction: Direction,
    /// Forward: the user key that is being skipped. Backward: the user key shown.
    saved_key: Vec<u8>,
    /// Backward: the value shown.
    saved_value: Vec<u8>,
    error: Option<Error>,
    /// During a move over many hidden entries: the key from which on nothing live was found.
    dead_from: Vec<u8>,
    /// During such a move: the number of hidden entries up to the last leap.
    stepped_before_leap: u32,
    /// Samples reads for seek compaction; `None` if that is off.
    sampler: Option<ReadSampler>,
    /// Has a move panicked? Then its components are not reused.
    is_broken: bool,
    /// The super version, for what it keeps alive. `None` if there is nothing to read, and after the drop has
    /// begun.
    view: Option<(Arc<SuperVersion>, IteratorKind)>,
    family: FamilyRef,
    /// Why there is nothing to read, if that is not the snapshot.
    refusal: Option<Error>,
    db: WakerAtEnd,
}

/// The database of an iterator or of a handle. Must be the field that is dropped last.
pub(in crate::db) struct WakerAtEnd(pub Arc<DbShared>);

impl Deref for WakerAtEnd {
    type Target = Arc<DbShared>;
    #[inline]
    fn deref(&self) -> &Arc<DbShared> {
        &self.0
    }
}

impl Drop for WakerAtEnd {
    /// If files wait to be removed that only this object kept alive, wakes the flush worker, which wakes
    /// the worker that removes them. The caller's thread removes nothing.
    fn drop(&mut self) {
        if self.process.is_current() && !self.file_gc.tables.is_empty() && !self.is_closed() {
            self.flush_waker.wake();
        }
    }
}

impl DbIterator {
    /// `None`: the options name a snapshot of another database. Then the iterator never becomes valid, and
    /// `status` is the error.
    pub(in crate::db) fn new(db: &Arc<DbShared>, family: FamilyRef, read: Option<ReadAt>) -> Self {
        let view = read.filter(|_| db.process.is_current()).map(|read| {
            // The super version first, the sequence number after it: see `column_family/super_version.rs`.
            let view = family.or(&db.default_family).super_version.take();
            let sequence = read.sequence.unwrap_or_else(|| db.last_sequence.load(Ordering::Acquire));
            (view, read, sequence)
        });
        Self::over(db, family, view)
    }

    /// An iterator that never becomes valid, and whose status is an error.
    pub(in crate::db) fn of_error(db: &Arc<DbShared>, error: Error) -> Self {
        let mut iterator = Self::over(db, FamilyRef::Default, None);
        iterator.refusal = Some(error);
        iterator
    }

    /// An iterator over a view, which is of a moment at or after the sequence number.
    pub(in crate::db) fn over(
        db: &Arc<DbShared>,
        family: FamilyRef,
        view: Option<(Arc<SuperVersion>, ReadAt, SequenceNumber)>,
    ) -> Self {
        let comparator = &family.or(&db.default_family).comparator;
        let (view, sequence, input) = if let Some((view, read, sequence)) = view {
            let (input, kind) = view.iter(comparator, (&read).into());
            (Some((view, kind)), sequence, input)
        } else {
            (None, 0, MergingIterator::new(comparator.clone(), Vec::new()))
        };
        DbIterator {
            input,
            sequence,
            valid: false,
            direction: Direction::Forward,
            saved_key: Vec::new(),
            saved_value: Vec::new(),
            error: None,
            dead_from: Vec::new(),
            stepped_before_leap: 0,
            is_broken: false,
            view,
            sampler: family
                .or(&db.default_family)
                .options
                .seek_compaction
                .then(|| ReadSampler::new(sequence)),
            family,
            refusal: None,
            db: WakerAtEnd(db.clone()),
        }
    }

    #[inline]
    fn family(&self) -> &ColumnFamily {
        self.family.or(&self.db.default_family)
    }

    /// Does the iterator stand on an entry?
    #[inline]
    pub fn valid(&self) -> bool {
        self.valid
    }

    /// The user key. Call only while valid; it holds until the next move.
    #[inline]
    pub fn key(&self) -> &[u8] {
        debug_assert!(self.valid);
        match self.direction {
            Direction::Forward => user_key(self.input.key()),
            Direction::Backward => &self.saved_key,
        }
    }

    /// The value. Call only while valid; it holds until the next move.
    #[inline]
    pub fn value(&self) -> &[u8] {
        debug_assert!(self.valid);
        match self.direction {
            Direction::Forward => self.input.value(),
            Direction::Backward => &self.saved_value,
        }
    }

    /// The key and the value, if the iterator stands on an entry. Both hold until the next move.
    #[inline(always)]
    pub fn entry(&self) -> Option<(&[u8], &[u8])> {
        if !self.valid {
            return None;
        }
        Some(match self.direction {
            Direction::Forward => {
                let (key, value) = self.input.entry();
                (user_key(key), value)
            }
            Direction::Backward => (&self.saved_key, &self.saved_value),
        })
    }

    /// Records that a move panicked. The iterator may be in any state, and must only be dropped from now on.
    pub(crate) fn break_down(&mut self) {
        self.is_broken = true;
    }

    /// Compares two user keys by the database's comparator.
    #[inline]
    pub(crate) fn compare_keys(&self, a: &[u8], b: &[u8]) -> std::cmp::Ordering {
        self.family().comparator.compare_user_keys(a, b)
    }

    /// The first error since the last seek. A scan that ends is complete only if this is `Ok`. At an I/O
    /// error, or at any error with `paranoid_checks`, the iterator ends. Without `paranoid_checks` it skips
    /// damaged blocks and continues, as LevelDB does: it may then be valid while this is an error, and may
    /// show an old value of a key whose newest value was in the damage. InvalidArgument if the iterator was
    /// created with a snapshot of another database.
    pub fn status(&self) -> Result<()> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.view.is_none() && self.db.process.is_current() => {
                Err(self.refusal.clone().unwrap_or_else(foreign_snapshot))
            }
            None => self.input.status(),
        }
    }

    /// Moves to the first key.
    pub fn seek_to_first(&mut self) {
        if self.begin(Direction::Forward) {
            self.input.seek_to_first();
            self.find_next_user_entry(false);
        }
    }

    /// Moves to the last key.
    pub fn seek_to_last(&mut self) {
        if self.begin(Direction::Backward) {
            self.input.seek_to_last();
            self.find_previous_user_entry();
        }
    }

    /// Moves to the first key at or after `target`.
    pub fn seek(&mut self, target: &[u8]) {
        if self.begin(Direction::Forward) {
            let target = LookupKey::new(target, self.sequence);
            self.input.seek(target.internal_key());
            if let Some(sampler) = &mut self.sampler {
                sampler.count_seek();
            }
            self.find_next_user_entry(false);
        }
    }

    /// Moves to the next key. Does nothing if the iterator is not valid.
    #[inline]
    pub fn next(&mut self) {
        if self.valid && !self.refused() && !self.is_next_plain() {
            self.next_with_care();
        }
    }

    /// The fast path of `next`. Moves to the next entry of the input if that is provably an entry of a later
    /// user key, then on to the first entry that can be shown. Returns false, without moving, in every other
    /// case.
    #[inline(always)]
    fn is_next_plain(&mut self) -> bool {
        if self.direction == Direction::Backward {
            return false;
        }
        let Some(trailer) = self.input.try_next_user_key() else { return false };
        // It is a later key, so no version needs to be skipped.
        if trailer >> 8 <= self.sequence && trailer as u8 == ValueType::Value as u8 {
            self.sample();
        } else {
            self.find_next_user_entry(false);
        }
        true
    }

    #[inline(never)]
    fn next_with_care(&mut self) {
        if self.direction == Direction::Backward {
            self.turn_forward();
        } else {
            self.saved_key.clear();
            self.saved_key.extend_from_slice(user_key(self.input.key()));
            self.input.next();
        }
        self.find_next_user_entry(true);
    }

    /// Moves to the previous key. Does nothing if the iterator is not valid.
    pub fn prev(&mut self) {
        if !self.valid || self.refused() {
            return;
        }
        if self.direction == Direction::Forward {
            // Moves back over all versions of the key shown.
            self.saved_key.clear();
            self.saved_key.extend_from_slice(user_key(self.input.key()));
            self.direction = Direction::Backward;
            loop {
                self.input.prev();
                if !self.input.valid() {
                    break;
                }
                let before =
                    self.family().comparator.compare_user_keys(user_key(self.input.key()), &self.saved_key);
                if before.is_lt() {
                    break;
                }
            }
        }
        self.find_previous_user_entry();
    }

    /// The common part of all seeks. Returns false if the database cannot be read.
    fn begin(&mut self, direction: Direction) -> bool {
        self.direction = direction;
        self.saved_key.clear();
        self.saved_value.clear();
        if self.saved_value.capacity() > MAX_KEPT_VALUE_BYTES {
            self.saved_value = Vec::new();
        }
        self.valid = false;
        self.error = None;
        !self.refused()
    }

    /// If the database is closed, or the process is another, ends the iteration with an error and returns
    /// true.
    #[inline]
    fn refused(&mut self) -> bool {
        let is_usable = self.db.process.is_current() && !self.db.is_closed();
        if !is_usable {
            self.refuse();
        }
        !is_usable
    }

    #[cold]
    fn refuse(&mut self) {
        self.valid = false;
        self.error.get_or_insert_with(|| match self.db.check_process() {
            Ok(()) => self.db.closed_error(),
            Err(error) => error,
        });
    }

    /// Turns from a backward position (before all versions of the key shown) to the first version of the key.
    fn turn_forward(&mut self) {
        self.direction = Direction::Forward;
        if self.input.valid() {
            self.input.next();
        } else {
            if let Err(damage) = self.input.status() {
                self.error.get_or_insert(damage); // the seek clears it
            }
            self.input.seek_to_first();
        }
        // `saved_key` is the key shown: all of its versions are skipped next.
    }

    /// Finds the first entry at or after the input's position that is live at the sequence number. With
    /// `skipping`, entries of user keys up to `saved_key` are skipped.
    #[inline]
    fn find_next_user_entry(&mut self, mut skipping: bool) {
        // Older versions of the key shown do not count as hidden entries.
        let (mut counts, mut stepped_over) = (!skipping, 0);
        while self.input.valid() {
            self.sample();
            let Some(entry) = ParsedInternalKey::parse(self.input.key()) else {
                self.damaged();
                return;
            };
            if entry.sequence <= self.sequence
                && !(skipping
                    && self.family().comparator.compare_user_keys(entry.user_key, &self.saved_key).is_le())
            {
                match entry.value_type {
                    ValueType::Value => {
                        self.valid = true;
                        if stepped_over >= LOOK_AFTER {
                            self.note_stepped_over(stepped_over);
                        }
                        return;
                    }
                    ValueType::Deletion => {
                        self.saved_key.clear();
                        self.saved_key.extend_from_slice(entry.user_key);
                        (skipping, counts) = (true, true);
                    }
                }
            }
            if counts {
                stepped_over += 1;
                if stepped_over % LOOK_AFTER == 0 && self.leap(stepped_over) {
                    continue;
                }
            }
            self.input.next();
        }
        self.valid = false;
        if stepped_over >= LOOK_AFTER {
            self.note_stepped_over(stepped_over);
        }
        self.saved_key.clear();
    }

    /// Seeks to the end of the dead span that the input has come into, if one is known. `stepped_over`: the
    /// hidden entries of this move so far, the current one included.
    #[cold]
    #[inline(never)]
    fn leap(&mut self, stepped_over: u32) -> bool {
        if !self.family().comparator.is_bytewise() {
            return false;
        }
        let key = user_key(self.input.key());
        if stepped_over == LOOK_AFTER {
            self.dead_from.clear();
            self.dead_from.extend_from_slice(key);
            self.stepped_before_leap = 0;
        }
        let Some((start, end)) = self.family().dead_spans.find(key, self.sequence) else {
            return false;
        };
        if let Err(damage) = self.input.status() {
            self.error.get_or_insert(damage); // the seek clears it
        }
        if start < self.dead_from {
            self.dead_from = start;
        }
        self.stepped_before_leap = stepped_over;
        self.input.seek(LookupKey::new(&end, self.sequence).internal_key());
        true
    }

    /// Called after a move over this many hidden entries, up to the input's position. If there were many
    /// since the last leap, notes a dead span for later iterators.
    #[cold]
    #[inline(never)]
    fn note_stepped_over(&mut self, stepped_over: u32) {
        self.family().dead_spans.count(stepped_over);
        let is_many = self.family().comparator.is_bytewise()
            && stepped_over - self.stepped_before_leap >= NOTE_AFTER
            && self.status().is_ok();
        // If the writer's turn is not free, a later iterator will note the span.
        if is_many && let Some(writer) = self.db.writer.try_alone() {
            let end = if self.valid { user_key(self.input.key()) } else { &self.saved_key };
            self.family().dead_spans.note(&self.dead_from, end, self.sequence, writer.last_sequence);
        }
    }

    /// Finds the last live user key at or before the input's position, and leaves the input before all its
    /// versions.
    fn find_previous_user_entry(&mut self) {
        let mut is_live = false;
        while self.input.valid() {
            self.sample();
            let Some(entry) = ParsedInternalKey::parse(self.input.key()) else {
                self.damaged();
                return;
            };
            if entry.sequence <= self.sequence {
                if is_live
                    && self.family().comparator.compare_user_keys(entry.user_key, &self.saved_key).is_lt()
                {
                    break; // an earlier key: the saved one is the answer
                }
                // Backward, versions come oldest first: the last one seen decides.
                match entry.value_type {
                    ValueType::Deletion => {
                        is_live = false;
                        self.saved_key.clear();
                        self.saved_value.clear();
                    }
                    ValueType::Value => {
                        is_live = true;
                        self.saved_key.clear();
                        self.saved_key.extend_from_slice(entry.user_key);
                        let value = self.input.value();
                        self.saved_value.clear();
                        self.saved_value.extend_from_slice(value);
                    }
                }
            }
            self.input.prev();
        }
        // If the input ended early, it has not shown every version of the key.
        self.valid = is_live && !self.input.was_cut_short();
        if !self.valid {
            self.saved_key.clear();
            self.saved_value.clear();
            self.direction = Direction::Forward;
        }
    }

    /// If reads are sampled, counts the entry that the input stands on, and charges the file that it may have
    /// been read from.
    #[inline]
    fn sample(&mut self) {
        if let Some(sampler) = &mut self.sampler {
            let key = self.input.key();
            if sampler.is_due(key.len() + self.input.value().len())
                && let Some((level, file)) =
                    self.view.as_ref().and_then(|(view, _)| view.version.sample_read(key))
            {
                self.db.charge_seek(self.family.or(&self.db.default_family).id, level, file);
            }
        }
    }

    #[cold]
    fn damaged(&mut self) {
        self.valid = false;
        self.error = Some(Error::corruption("corrupted internal key in DbIterator; repair the database"));
    }
}

/// Bytes of entries between two samples, on average: an iterator that continues through a file reads all of
/// it at the price of a few seeks.
const BYTES_BETWEEN_SAMPLES: u64 = 1 << 20;

/// A seek counts as this many bytes read: it reads a block of every level, and no filter excludes any. On a
/// disk it would cost as much as reading a megabyte; but most blocks come from memory.
const BYTES_PER_SEEK: u64 = 64 << 10;

/// Decides which entries of an iterator are sampled.
struct ReadSampler {
    random: Random,
    bytes_left: u64,
}

impl ReadSampler {
    fn new(seed: u64) -> Self {
        thread_local! {
            /// The number of iterators that this thread has created, so that two at one sequence number
            /// differ.
            static CREATED: Cell<u64> = const { Cell::new(0) };
        }
        let number = CREATED.get();
        CREATED.set(number.wrapping_add(1));
        let mut sampler =
            ReadSampler { random: Random::new(seed.wrapping_add(number << 32 | number)), bytes_left: 0 };
        sampler.bytes_left = sampler.period();
        sampler
    }

    /// Counts a seek, so that the entry it finds may be a sample.
    #[inline]
    fn count_seek(&mut self) {
        self.bytes_left = self.bytes_left.saturating_sub(BYTES_PER_SEEK);
    }

    /// A random period, so that no regular pattern of reads is missed.
    fn period(&mut self) -> u64 {
        self.random.uniform(2 * BYTES_BETWEEN_SAMPLES)
    }

    /// Counts an entry of this size. Is it a sample?
    fn is_due(&mut self, bytes: usize) -> bool {
        match self.bytes_left.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes_left = left;
                false
            }
            None => {
                self.bytes_left = self.period();
                true
            }
        }
    }
}

impl Drop for DbIterator {
    fn drop(&mut self) {
        if !self.db.process.is_current() {
            // A child releases nothing: see `Db`'s drop.
            let nothing = MergingIterator::new(self.family().comparator.clone(), Vec::new());
            let input = std::mem::replace(&mut self.input, nothing);
            leak_in_child((input, self.view.take(), self.family.clone(), self.db.clone()));
        } else if let Some((view, kind)) = self.view.take() {
            if !self.is_broken && !std::thread::panicking() {
                view.take_back(&mut self.input, kind);
            }
            self.family().super_version.put(view);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeks_of_iterators_created_at_one_state_are_sampled_now_and_then() {
        let due = (0..10_000).filter(|_| {
            let mut sampler = ReadSampler::new(77);
            sampler.count_seek();
            sampler.is_due(100)
        });
        // One in 32: a seek counts 64 KiB, and a period has at most 2 MiB.
        let due = due.count();
        assert!((200..430).contains(&due), "{due} of 10000");
    }
}
