//! Fast paths of the iterators that reads are composed of.
//!
//! Each has a default that is right for any iterator: `impl FastIterator for X {}` is enough. The composed
//! iterators pass them on to what they are made of.
//!
//! Thread rule: one thread at a time uses an iterator.

use super::InternalIterator;
use crate::format::internal_key::KeyPrefix;

/// An iterator with fast paths.
pub trait FastIterator: InternalIterator {
    /// True only if it is certain, without reading entries, that there is no entry with the user key of
    /// `target` (an internal key).
    #[inline]
    fn definitely_lacks(&self, _target: &[u8]) -> bool {
        false
    }

    /// Fast path of `next` for scans, which then need not keep the current key. If the next entry can be
    /// proven, without rebuilding keys, to have a greater user key (bytewise order), moves there and returns
    /// its trailer. Returns `None` and does not move in every other case: the next entry may be another
    /// version of the key, be in another block, be damaged, or not exist. Call only while valid.
    #[inline]
    fn try_next_user_key(&mut self) -> Option<u64> {
        None
    }

    /// As `try_next_user_key`, for callers that do not need the `key_prefix` of the new entry.
    #[inline]
    fn try_next_user_key_without_prefix(&mut self) -> Option<u64> {
        self.try_next_user_key()
    }

    /// The prefix of the current key. Call only while valid.
    #[inline]
    fn key_prefix(&self) -> KeyPrefix {
        KeyPrefix::of(self.key())
    }

    /// Releases the blocks of the current position. The iterator must be positioned before it is used again.
    fn release_blocks(&mut self) {}
}
