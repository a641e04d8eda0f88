//! A sorted run of sorted parts, each opened only when it is reached.
//!
//! The parts follow each other: every key of a part is below every key of the next. At most one part is open at a time,
//! and it stays open while moves and seeks stay inside it. A part that can't be opened, or that fails, ends the iteration
//! with its error: nothing is skipped, unless damage is to be tolerated.
//!
//! Invariant: `open` is `None` or holds the part `index`. One iterator is used by one thread at a time.

use super::{Failure, InternalIterator};
use crate::error::Result;
use crate::format::internal_key::KeyPrefix;

/// The parts of a run, in order.
pub trait Parts {
    /// A position in one part.
    type Iter: InternalIterator;

    /// How many there are.
    fn count(&self) -> usize;

    /// The first part whose last key is at or after `target` (an internal key); `count()`, if none.
    fn find(&self, target: &[u8]) -> usize;

    /// Is it plain that no part has an entry of the user key of `target`?
    fn lacks(&self, _target: &[u8]) -> bool {
        false
    }

    /// Opens a part.
    fn open(&self, index: usize) -> Result<Self::Iter>;

    /// As `open`, making use of what `part`, an iterator over another part, has allocated.
    fn reopen(&self, index: usize, part: &mut Self::Iter) -> Result<()> {
        *part = self.open(index)?;
        Ok(())
    }

    /// May an iterator that is not in use keep this part open?
    fn may_rest(&self, _index: usize) -> bool {
        false
    }
}

/// A position in a run of parts.
pub struct TwoLevelIterator<P: Parts> {
    parts: P,
    index: usize,
    open: Option<P::Iter>,
    /// Part `index` could not be opened and is passed over.
    is_unreadable: bool,
    failure: Failure,
}

impl<P: Parts> TwoLevelIterator<P> {
    /// An iterator over `parts`; opens nothing yet.
    pub fn over(parts: P) -> Self {
        TwoLevelIterator { parts, index: 0, open: None, is_unreadable: false, failure: Failure::default() }
    }

    /// Passes over damage, a part that can't be read at all included, and keeps the first in `status`.
    pub fn tolerating_damage(mut self, yes: bool) -> Self {
        self.failure.tolerates_damage = yes;
        self
    }

    /// Opens part `index`, if it is not the open one, and positions it by `position`. Where there is no such part the
    /// iterator is left invalid.
    fn enter(&mut self, index: usize, position: impl FnOnce(&mut P::Iter)) {
        self.is_unreadable = false;
        if index >= self.parts.count() {
            self.open = None;
            return;
        }
        if self.open.is_none() || self.index != index {
            self.index = index;
            let opened = match &mut self.open {
                Some(part) => {
                    part.rest(); // what it holds is let go of before more is taken
                    self.parts.reopen(index, part)
                }
                None => self.parts.open(index).map(|part| self.open = Some(part)),
            };
            if let Err(error) = opened {
                self.open = None;
                self.is_unreadable = self.failure.passes_over(error);
                return;
            }
        }
        if let Some(part) = &mut self.open {
            position(part);
        }
    }

    /// Has the open part come to its end (and not to an error that ends all)?
    fn is_at_end_of_part(&mut self) -> bool {
        let Some(part) = &self.open else { return self.is_unreadable };
        if part.valid() {
            return false;
        }
        if let Err(error) = part.status()
            && !self.failure.passes_over(error)
        {
            self.open = None;
            return false;
        }
        true
    }

    /// On to the first entry of the parts that follow, while the open part is at its end.
    fn skip_ended_parts_forward(&mut self) {
        while self.is_at_end_of_part() {
            self.enter(self.index + 1, P::Iter::seek_to_first);
        }
    }

    /// Back to the last entry of the parts before, while the open part is at its beginning.
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
    fn lacks(&self, target: &[u8]) -> bool {
        self.parts.lacks(target)
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
    fn next_if_plain(&mut self) -> Option<u64> {
        self.open.as_mut()?.next_if_plain()
    }

    #[inline(always)]
    fn next_if_plain_alone(&mut self) -> Option<u64> {
        self.open.as_mut()?.next_if_plain_alone()
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
    fn key_prefix(&self) -> KeyPrefix {
        self.open.as_ref().map_or_else(KeyPrefix::default, P::Iter::key_prefix)
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.open.as_ref().map_or(&[], P::Iter::value)
    }

    #[inline]
    fn stored_value_length(&self) -> Option<u32> {
        self.open.as_ref()?.stored_value_length()
    }

    #[inline(always)]
    fn entry(&self) -> (&[u8], &[u8]) {
        self.open.as_ref().map_or((&[], &[]), P::Iter::entry)
    }

    fn rest(&mut self) {
        self.failure.clear();
        self.is_unreadable = false;
        match &mut self.open {
            Some(part) if self.parts.may_rest(self.index) => part.rest(),
            open => *open = None,
        }
    }

    fn status(&self) -> Result<()> {
        match (&self.failure.error, &self.open) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(part)) => part.status(),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
