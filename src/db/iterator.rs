//! The user's view: internal entries in, one live value a key out, at one sequence number.
//!
//! Forward, the internal iterator stands on the entry shown, and key and value are read in place. Backward, it stands before
//! all versions of the key shown, and key and value are copies. A view is consistent for life; once the database is
//! closed every move ends with an error.

use super::dead_spans::{LOOK_AFTER, NOTE_AFTER};
use super::state::DbInner;
use crate::column_family::super_version::{IteratorKind, ReadIterator, SuperVersion};
use crate::error::{Error, Result};
use crate::format::internal_key::{LookupKey, ParsedInternalKey, SequenceNumber, ValueType, user_key};
use crate::iterator::InternalIterator;
use crate::iterator::merging::MergingIterator;
use crate::options::ReadOptions;
use crate::util::fork::keep_for_ever;
use crate::util::random::Random;
use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A larger buffer, once needed for a value shown backward, does not stay with the iterator for good.
const MAX_KEPT_VALUE_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// A position in the user's view of the database. Used by one thread at a time; may outlive the database, and be inherited by a
/// child process; then every move ends with an error. Dropping it lets go of the files it holds.
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
    /// Of a move that steps over many hidden entries: a key from which on there was nothing else...
    dead_from: Vec<u8>,
    /// ...and how many there were up to the last leap.
    stepped_before_leap: u32,
    /// Where reads make compactions due.
    sampler: Option<ReadSampler>,
    /// Something went wrong within: its parts are not used again.
    is_broken: bool,
    /// Kept for what it keeps alive; taken when the iterator is dropped.
    view: Option<(Arc<SuperVersion>, IteratorKind)>,
    db: WakerAtEnd,
}

/// The database of an iterator; the last of its fields to go.
struct WakerAtEnd(Arc<DbInner>);

impl Deref for WakerAtEnd {
    type Target = Arc<DbInner>;
    #[inline]
    fn deref(&self) -> &Arc<DbInner> {
        &self.0
    }
}

impl Drop for WakerAtEnd {
    /// Files that only this iterator kept are removed by the flush worker, not by the caller's thread.
    fn drop(&mut self) {
        if self.process.is_current() && !self.obsolete.is_empty() && !self.is_closed() {
            self.flush_waker.wake();
        }
    }
}

impl DbIterator {
    pub(super) fn new(db: &Arc<DbInner>, options: &ReadOptions) -> Self {
        let comparator = &db.family.comparator;
        let (view, sequence, input) = if db.process.is_current() {
            // The super version first, the sequence number after it: see `column_family/super_version.rs`.
            let view = db.family.super_version.take();
            let sequence = options.snapshot.unwrap_or_else(|| db.last_sequence.load(Ordering::Acquire));
            let (input, kind) = view.iter(comparator, options.into());
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
            sampler: db.options.seek_compaction.then(|| ReadSampler::new(sequence)),
            db: WakerAtEnd(db.clone()),
        }
    }

    /// Does it stand on an entry?
    #[inline]
    pub fn valid(&self) -> bool {
        self.valid
    }

    /// The user key; only while valid. Holds until the next move.
    #[inline]
    pub fn key(&self) -> &[u8] {
        debug_assert!(self.valid);
        match self.direction {
            Direction::Forward => user_key(self.input.key()),
            Direction::Backward => &self.saved_key,
        }
    }

    /// The value; only while valid. Holds until the next move.
    #[inline]
    pub fn value(&self) -> &[u8] {
        debug_assert!(self.valid);
        match self.direction {
            Direction::Forward => self.input.value(),
            Direction::Backward => &self.saved_value,
        }
    }

    /// Key and value, if it stands on an entry. Both hold until the next move.
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

    /// Notes that a move panicked. The iterator, which may be in any state, is only dropped from now on.
    pub fn break_down(&mut self) {
        self.is_broken = true;
    }

    /// The order of the database: that of its comparator.
    #[inline]
    pub fn compare_keys(&self, a: &[u8], b: &[u8]) -> std::cmp::Ordering {
        self.db.family.comparator.compare_user_keys(a, b)
    }

    /// The first error since the last seek: a scan that ends is complete only if this is `Ok`. With `paranoid_checks`, and at an
    /// I/O error, the iterator ends there. Without, it passes over damaged blocks and goes on, as LevelDB does: it may then be
    /// valid while this is an error, and show an old value of a key whose newest was in the damage.
    pub fn status(&self) -> Result<()> {
        match &self.error {
            Some(error) => Err(error.clone()),
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

    /// Moves to the next key. Not valid: stays so.
    #[inline]
    pub fn next(&mut self) {
        if self.valid && !self.refused() && !self.is_next_plain() {
            self.next_with_care();
        }
    }

    /// Moves to the next entry of the input, if that is plainly the next to be shown; else does not move, or notes that what it has
    /// come to must be looked at.
    #[inline(always)]
    fn is_next_plain(&mut self) -> bool {
        if self.direction == Direction::Backward {
            return false;
        }
        let Some(trailer) = self.input.next_if_plain() else { return false };
        // A later key: nothing needs to be skipped.
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

    /// Moves to the previous key. Not valid: stays so.
    pub fn prev(&mut self) {
        if !self.valid || self.refused() {
            return;
        }
        if self.direction == Direction::Forward {
            // Back over all versions of the key shown.
            self.saved_key.clear();
            self.saved_key.extend_from_slice(user_key(self.input.key()));
            self.direction = Direction::Backward;
            loop {
                self.input.prev();
                if !self.input.valid() {
                    break;
                }
                let before =
                    self.db.family.comparator.compare_user_keys(user_key(self.input.key()), &self.saved_key);
                if before.is_lt() {
                    break;
                }
            }
        }
        self.find_previous_user_entry();
    }

    /// Common to all seeks; false if the database cannot be read.
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

    /// Is the database closed, or its process another? Then the iterator ends here, with an error.
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

    /// From a backward position (before all versions of the key shown) to its first version.
    fn turn_forward(&mut self) {
        self.direction = Direction::Forward;
        if self.input.valid() {
            self.input.next();
        } else {
            if let Err(damage) = self.input.status() {
                self.error.get_or_insert(damage); // the seek forgets it
            }
            self.input.seek_to_first();
        }
        // `saved_key` is the key shown: all of its versions are skipped.
    }

    /// Finds the first entry at or behind the input's position that is live at the sequence number. With `skipping`, entries of user
    /// keys up to `saved_key` are passed over.
    #[inline]
    fn find_next_user_entry(&mut self, mut skipping: bool) {
        // Older versions of the key shown are not dead entries.
        let (mut counts, mut stepped_over) = (!skipping, 0);
        while self.input.valid() {
            self.sample();
            let Some(entry) = ParsedInternalKey::parse(self.input.key()) else {
                self.damaged();
                return;
            };
            if entry.sequence <= self.sequence
                && !(skipping
                    && self.db.family.comparator.compare_user_keys(entry.user_key, &self.saved_key).is_le())
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

    /// Seeks to the end of the span of dead keys that the input has come into, if that is known. `stepped_over`: hidden entries
    /// of this move so far, the one it stands on included.
    #[cold]
    #[inline(never)]
    fn leap(&mut self, stepped_over: u32) -> bool {
        if !self.db.family.comparator.is_bytewise() {
            return false;
        }
        let key = user_key(self.input.key());
        if stepped_over == LOOK_AFTER {
            self.dead_from.clear();
            self.dead_from.extend_from_slice(key);
            self.stepped_before_leap = 0;
        }
        let Some((start, end)) = self.db.dead_spans.find(key, self.sequence) else { return false };
        if let Err(damage) = self.input.status() {
            self.error.get_or_insert(damage); // the seek forgets it
        }
        if start < self.dead_from {
            self.dead_from = start;
        }
        self.stepped_before_leap = stepped_over;
        self.input.seek(LookupKey::new(&end, self.sequence).internal_key());
        true
    }

    /// A move has gone past so many hidden entries, to where the input stands. Where they were many since the last leap, the next
    /// iterators need not.
    #[cold]
    #[inline(never)]
    fn note_stepped_over(&mut self, stepped_over: u32) {
        self.db.dead_spans.count(stepped_over);
        let is_many = self.db.family.comparator.is_bytewise()
            && stepped_over - self.stepped_before_leap >= NOTE_AFTER
            && self.status().is_ok();
        // Who can't have the turn at once leaves it to the next one.
        if is_many && let Some(writer) = self.db.writer.try_alone() {
            let end = if self.valid { user_key(self.input.key()) } else { &self.saved_key };
            self.db.dead_spans.note(&self.dead_from, end, self.sequence, writer.last_sequence);
        }
    }

    /// Finds the last user key at or before the input's position that is live, and leaves the input before all its versions.
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
                    && self.db.family.comparator.compare_user_keys(entry.user_key, &self.saved_key).is_lt()
                {
                    break; // an earlier key: the one saved is the answer
                }
                // Versions come oldest first now: the last one seen decides.
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
        // An input that was cut short has not shown every version of the key.
        self.valid = is_live && !self.input.was_cut_short();
        if !self.valid {
            self.saved_key.clear();
            self.saved_value.clear();
            self.direction = Direction::Forward;
        }
    }

    /// Counts the entry that the input stands on, where reads are sampled, and charges the file it may have been read from.
    #[inline]
    fn sample(&mut self) {
        if let Some(sampler) = &mut self.sampler {
            let key = self.input.key();
            if sampler.is_due(key.len() + self.input.value().len())
                && let Some((level, file)) =
                    self.view.as_ref().and_then(|(view, _)| view.version.sample_read(key))
            {
                self.db.charge_seek(level, file);
            }
        }
    }

    #[cold]
    fn damaged(&mut self) {
        self.valid = false;
        self.error = Some(Error::corruption("corrupted internal key in DbIterator; repair the database"));
    }
}

/// Bytes of entries between two samples, on average: an iterator that reads on through a file reads it whole for the
/// price of a few seeks.
const BYTES_BETWEEN_SAMPLES: u64 = 1 << 20;

/// A seek counts as reading so much: it looks into a block of every level, and no filter spares it that. On a disk it would cost as
/// much as reading a megabyte; but most blocks come from memory.
const BYTES_PER_SEEK: u64 = 64 << 10;

/// Which of the entries that an iterator comes by are sampled.
struct ReadSampler {
    random: Random,
    bytes_left: u64,
}

impl ReadSampler {
    fn new(seed: u64) -> Self {
        thread_local! {
            /// Iterators of this thread, so that two at one sequence number differ.
            static CREATED: Cell<u64> = const { Cell::new(0) };
        }
        let number = CREATED.get();
        CREATED.set(number.wrapping_add(1));
        let mut sampler =
            ReadSampler { random: Random::new(seed.wrapping_add(number << 32 | number)), bytes_left: 0 };
        sampler.bytes_left = sampler.period();
        sampler
    }

    /// Counts a seek, so that the entry it comes to may be a sample.
    #[inline]
    fn count_seek(&mut self) {
        self.bytes_left = self.bytes_left.saturating_sub(BYTES_PER_SEEK);
    }

    /// At random, so that no regular pattern of reads is missed.
    fn period(&mut self) -> u64 {
        self.random.uniform(2 * BYTES_BETWEEN_SAMPLES)
    }

    /// Counts an entry of this size; is it a sample?
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
            // Nothing is let go of in a child: see `Db`'s drop.
            let nothing = MergingIterator::new(self.db.family.comparator.clone(), Vec::new());
            let input = std::mem::replace(&mut self.input, nothing);
            keep_for_ever((input, self.view.take(), self.db.clone()));
        } else if let Some((view, kind)) = self.view.take() {
            if !self.is_broken && !std::thread::panicking() {
                view.take_back(&mut self.input, kind);
            }
            self.db.family.super_version.put(view);
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
        // One in 32, since 64 KiB of 2 MiB at most are counted.
        let due = due.count();
        assert!((200..430).contains(&due), "{due} of 10000");
    }
}
