//! An iterator over a sequence of sorted parts, each of which is opened only when it is reached.
//!
//! Every key of a part is less than every key of the next part. At most one part is open at a time, and it
//! stays open while moves and seeks stay inside of it. A part that cannot be opened, or that fails, ends the
//! iteration with its error; nothing is skipped, unless damage is to be tolerated.
//!
//! Invariant: `open` is `None` or holds the part `index`.
//!
//! Thread rule: one thread at a time uses an iterator.

use super::{Failure, FastIterator, InternalIterator};
use crate::error::Result;
use crate::format::internal_key::KeyPrefix;

/// The parts of the sequence, in order.
pub trait Parts {
    /// The iterator over one part.
    type Iter: InternalIterator;

    /// The number of parts.
    fn count(&self) -> usize;

    /// The first part whose last key is not less than `target` (an internal key); `count()` if there is none.
    fn find(&self, target: &[u8]) -> usize;

    /// Opens the part `index`.
    fn open(&self, index: usize) -> Result<Self::Iter>;

    /// As `open`, reusing the memory of `part`, an iterator over another part. Releases the blocks of `part`
    /// before others are read.
    fn reopen(&self, index: usize, part: &mut Self::Iter) -> Result<()> {
        *part = self.open(index)?;
        Ok(())
    }
}

/// Parts whose iterators have fast paths, and so has the iterator over them.
pub trait FastParts: Parts<Iter: FastIterator> {
    /// True only if it is certain that no part has an entry with the user key of `target`.
    fn definitely_lacks(&self, _target: &[u8]) -> bool {
        false
    }

    /// True if a pooled iterator may keep this part open.
    fn may_stay_open(&self, _index: usize) -> bool {
        false
    }
}

/// A position in a sequence of parts.
pub struct TwoLevelIterator<P: Parts> {
    parts: P,
    index: usize,
    open: Option<P::Iter>,
    /// True if the part `index` could not be opened and is skipped.
    is_unreadable: bool,
    failure: Failure,
}

impl<P: Parts> TwoLevelIterator<P> {
    /// An iterator over `parts`. Opens nothing yet.
    pub fn over(parts: P) -> Self {
        TwoLevelIterator { parts, index: 0, open: None, is_unreadable: false, failure: Failure::default() }
    }

    /// Makes the iterator skip damage, including a part that cannot be read at all; `status` returns the
    /// first damage.
    pub fn tolerating_damage(mut self, yes: bool) -> Self {
        self.failure.tolerates_damage = yes;
        self
    }

    /// The part that stands on the current entry.
    #[inline]
    pub(super) fn open_part(&self) -> Option<&P::Iter> {
        self.open.as_ref()
    }

    /// Opens the part `index`, if it is not open already, and positions it by `position`. If there is no such
    /// part, the iterator becomes invalid.
    fn enter(&mut self, index: usize, position: impl FnOnce(&mut P::Iter)) {
        self.is_unreadable = false;
        if index >= self.parts.count() {
            self.open = None;
            return;
        }
        if self.open.is_none() || self.index != index {
            self.index = index;
            let opened = match &mut self.open {
                Some(part) => self.parts.reopen(index, part),
                None => self.parts.open(index).map(|part| self.open = Some(part)),
            };
            if let Err(error) = opened {
                self.open = None;
                self.is_unreadable = self.failure.skips(error);
                return;
            }
        }
        if let Some(part) = &mut self.open {
            position(part);
        }
    }

    /// True if the open part is at its end, and not because of an error that ends the iteration.
    fn is_at_end_of_part(&mut self) -> bool {
        let Some(part) = &self.open else { return self.is_unreadable };
        if part.valid() {
            return false;
        }
        if let Err(error) = part.status()
            && !self.failure.skips(error)
        {
            self.open = None;
            return false;
        }
        true
    }

    /// Moves to the first entry of the following parts, while the open part is at its end.
    fn skip_ended_parts_forward(&mut self) {
        while self.is_at_end_of_part() {
            self.enter(self.index + 1, P::Iter::seek_to_first);
        }
    }

    /// Moves to the last entry of the preceding parts, while the open part is at its beginning.
    fn skip_ended_parts_backward(&mut self) {
        while self.is_at_end_of_part() {
            match self.index.checked_sub(1) {
                Some(previous) => self.enter(previous, P::Iter::seek_to_last),
                None => {
                    self.open = None;
                    self.is_unreadable = false;
                }
            }
        }
    }
}

impl<P: Parts> InternalIterator for TwoLevelIterator<P> {
    #[inline]
    fn valid(&self) -> bool {
        self.open.as_ref().is_some_and(P::Iter::valid)
    }

    fn seek_to_first(&mut self) {
        self.failure.clear();
        self.enter(0, P::Iter::seek_to_first);
        self.skip_ended_parts_forward();
    }

    fn seek_to_last(&mut self) {
        self.failure.clear();
        self.enter(self.parts.count().saturating_sub(1), P::Iter::seek_to_last);
        self.skip_ended_parts_backward();
    }

    fn seek(&mut self, target: &[u8]) {
        self.failure.clear();
        self.enter(self.parts.find(target), |part| part.seek(target));
        self.skip_ended_parts_forward();
    }

    #[inline]
    fn next(&mut self) {
        debug_assert!(self.valid());
        if let Some(part) = &mut self.open {
            part.next();
            if !part.valid() {
                self.skip_ended_parts_forward();
            }
        }
    }

    #[inline]
    fn prev(&mut self) {
        debug_assert!(self.valid());
        if let Some(part) = &mut self.open {
            part.prev();
            if !part.valid() {
                self.skip_ended_parts_backward();
            }
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.open.as_ref().map_or(&[], P::Iter::key)
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.open.as_ref().map_or(&[], P::Iter::value)
    }

    #[inline(always)]
    fn entry(&self) -> (&[u8], &[u8]) {
        self.open.as_ref().map_or((&[], &[]), P::Iter::entry)
    }

    fn status(&self) -> Result<()> {
        match (&self.failure.error, &self.open) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(part)) => part.status(),
            (None, None) => Ok(()),
        }
    }
}

impl<P: FastParts> FastIterator for TwoLevelIterator<P> {
    #[inline]
    fn definitely_lacks(&self, target: &[u8]) -> bool {
        self.parts.definitely_lacks(target)
    }

    #[inline]
    fn try_next_user_key(&mut self) -> Option<u64> {
        self.open.as_mut()?.try_next_user_key()
    }

    #[inline(always)]
    fn try_next_user_key_without_prefix(&mut self) -> Option<u64> {
        self.open.as_mut()?.try_next_user_key_without_prefix()
    }

    #[inline]
    fn key_prefix(&self) -> KeyPrefix {
        self.open.as_ref().map_or_else(KeyPrefix::default, P::Iter::key_prefix)
    }

    fn release_blocks(&mut self) {
        self.failure.clear();
        self.is_unreadable = false;
        match &mut self.open {
            Some(part) if self.parts.may_stay_open(self.index) => part.release_blocks(),
            open => *open = None,
        }
    }
}

#[cfg(test)]
mod tests;
