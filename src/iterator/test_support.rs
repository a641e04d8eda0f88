//! Iterators over vectors, for tests of composed iterators.
//!
//! Thread rule: one thread at a time.

use crate::comparator::Comparator;
use crate::error::{Error, Result};
use crate::format::internal_key::{InternalKeyComparator, trailer, user_key};
use crate::iterator::{FastIterator, InternalIterator};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

/// (internal key, value)
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// A xorshift generator: the same seed gives the same test.
pub(crate) struct TestRandom(u64);

impl TestRandom {
    pub(crate) fn new(seed: u64) -> Self {
        TestRandom(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound.max(1) as u64) as usize
    }

    /// True once in `n` calls on average.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A user key of up to `length` bytes of few different values, zeros among them, so that prefixes are
    /// shared and tied.
    pub(crate) fn user_key(&mut self, length: usize) -> Vec<u8> {
        let length = self.below(length + 1);
        (0..length).map(|_| [0u8, b'a', b'A', b'b', 0xff][self.below(5)]).collect()
    }
}

/// An order in which keys may compare equal without being the same bytes: letters without case, descending.
pub(crate) struct CaselessReverse;

impl Comparator for CaselessReverse {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        b.to_ascii_lowercase().cmp(&a.to_ascii_lowercase())
    }

    fn name(&self) -> Vec<u8> {
        b"test.CaselessReverse".to_vec()
    }
}

/// The internal orders over the default comparator and over [`CaselessReverse`].
pub(crate) fn comparators() -> [InternalKeyComparator; 2] {
    [
        InternalKeyComparator::new(crate::comparator::bytewise()),
        InternalKeyComparator::new(Arc::new(CaselessReverse)),
    ]
}

/// An iterator over sorted entries. Can be told to fail.
pub(crate) struct VecIterator {
    comparator: InternalKeyComparator,
    entries: Vec<Entry>,
    position: Option<usize>,
    pub(crate) fails_at: Option<usize>,
    fails_with: Error,
    error: Option<Error>,
}

impl VecIterator {
    pub(crate) fn new(comparator: InternalKeyComparator, entries: Vec<Entry>) -> Self {
        assert!(entries.windows(2).all(|pair| comparator.compare(&pair[0].0, &pair[1].0).is_lt()));
        let fails_with = Error::corruption("damaged entry");
        VecIterator { comparator, entries, position: None, fails_at: None, fails_with, error: None }
    }

    /// Makes the iterator fail with this error whenever it reaches the entry `index`.
    pub(crate) fn failing_with(mut self, index: usize, error: Error) -> Self {
        (self.fails_at, self.fails_with) = (Some(index), error);
        self
    }

    fn go(&mut self, position: Option<usize>) {
        self.position = position.filter(|&index| index < self.entries.len());
        self.error = None;
        if self.position.is_some() && self.position == self.fails_at {
            self.position = None;
            self.error = Some(self.fails_with.clone());
        }
    }

    fn here(&self) -> usize {
        self.position.expect("moved or read while not valid")
    }
}

impl InternalIterator for VecIterator {
    fn valid(&self) -> bool {
        self.position.is_some()
    }
    fn seek_to_first(&mut self) {
        self.go(Some(0));
    }
    fn seek_to_last(&mut self) {
        self.go(self.entries.len().checked_sub(1));
    }
    fn seek(&mut self, target: &[u8]) {
        self.go(Some(
            self.entries.partition_point(|entry| self.comparator.compare(&entry.0, target).is_lt()),
        ));
    }
    fn next(&mut self) {
        self.go(Some(self.here() + 1));
    }
    fn prev(&mut self) {
        self.go(self.here().checked_sub(1));
    }
    fn key(&self) -> &[u8] {
        &self.entries[self.here()].0
    }
    fn value(&self) -> &[u8] {
        &self.entries[self.here()].1
    }
    fn status(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }
}

impl FastIterator for VecIterator {
    fn definitely_lacks(&self, target: &[u8]) -> bool {
        // Answers as a filter does, which reports some keys as present that are not.
        let seems = |key: &[u8]| user_key(key).iter().fold(7u8, |sum, byte| sum.wrapping_mul(3) ^ byte) & 15;
        self.comparator.is_bytewise() && self.entries.iter().all(|entry| seems(&entry.0) != seems(target))
    }
    fn try_next_user_key(&mut self) -> Option<u64> {
        let after = self.here() + 1;
        let (key, next) = (&self.entries[after - 1].0, &self.entries.get(after)?.0);
        if !self.comparator.is_bytewise() || self.fails_at == Some(after) || user_key(next) <= user_key(key) {
            return None;
        }
        let trailer = trailer(next);
        self.go(Some(after));
        Some(trailer)
    }
}

/// An iterator over sorted entries to which others may be added meanwhile, as to a memtable.
pub(crate) struct GrowingIterator {
    pub(crate) comparator: InternalKeyComparator,
    pub(crate) entries: Rc<RefCell<Vec<Entry>>>,
    pub(crate) current: Option<Entry>,
}

impl GrowingIterator {
    fn go(&mut self, find: impl FnOnce(&[Entry]) -> Option<usize>) {
        let entries = self.entries.borrow();
        self.current = find(&entries).and_then(|index| entries.get(index)).cloned();
    }

    /// The number of entries before `key`.
    fn rank(&self, key: &[u8]) -> usize {
        self.entries.borrow().partition_point(|entry| self.comparator.compare(&entry.0, key).is_lt())
    }
}

impl InternalIterator for GrowingIterator {
    fn valid(&self) -> bool {
        self.current.is_some()
    }
    fn seek_to_first(&mut self) {
        self.go(|_| Some(0));
    }
    fn seek_to_last(&mut self) {
        self.go(|entries| entries.len().checked_sub(1));
    }
    fn seek(&mut self, target: &[u8]) {
        let rank = self.rank(target);
        self.go(|_| Some(rank));
    }
    fn next(&mut self) {
        let rank = self.rank(self.key());
        self.go(|_| Some(rank + 1));
    }
    fn prev(&mut self) {
        let rank = self.rank(self.key());
        self.go(|_| rank.checked_sub(1));
    }
    fn key(&self) -> &[u8] {
        &self.current.as_ref().expect("valid").0
    }
    fn value(&self) -> &[u8] {
        &self.current.as_ref().expect("valid").1
    }
    fn status(&self) -> Result<()> {
        Ok(())
    }
}

impl FastIterator for GrowingIterator {}
