//! The trait that every read composes.
//!
//! Iterators own what they read from (a table, a memtable, a version), so they are `'static` and may be moved
//! between threads. On hot paths they are composed by generics and enums, never boxed.
//!
//! Thread rule: one thread at a time uses an iterator.

pub mod compaction_input;
pub mod merging;
#[cfg(test)]
pub(crate) mod test_support;
pub mod two_level;

use crate::error::{Error, Result};
use crate::format::internal_key::KeyPrefix;

/// A position in a sorted sequence of (internal key, value) entries, as LevelDB's `Iterator`.
///
/// A new iterator is not valid until it is positioned. `key`, `value`, `next` and `prev` may be called only
/// while `valid()`. An error ends the iteration, and `status()` returns it until the next seek. Exception: an
/// iterator that tolerates damage skips it, continues, and `status()` returns the first damage.
pub trait InternalIterator {
    /// True if the iterator is positioned on an entry.
    fn valid(&self) -> bool;
    /// Moves to the first entry.
    fn seek_to_first(&mut self);
    /// Moves to the last entry.
    fn seek_to_last(&mut self);
    /// Moves to the first entry whose key is not less than `target` (an internal key).
    fn seek(&mut self, target: &[u8]);
    /// True only if it is certain, without reading entries, that there is no entry with the user key of
    /// `target` (an internal key).
    #[inline]
    fn definitely_lacks(&self, _target: &[u8]) -> bool {
        false
    }
    /// Moves to the next entry.
    fn next(&mut self);
    /// Fast path of `next` for scans, which then need not keep the current key. If the next entry can be
    /// proven, without rebuilding keys, to have a greater user key (bytewise order), moves there and returns
    /// its trailer. Returns `None` and does not move in every other case: the next entry may be another
    /// version of the key, be in another block, be damaged, or not exist.
    #[inline]
    fn try_next_user_key(&mut self) -> Option<u64> {
        None
    }
    /// As `try_next_user_key`, for callers that do not need the `key_prefix` of the new entry.
    #[inline]
    fn try_next_user_key_without_prefix(&mut self) -> Option<u64> {
        self.try_next_user_key()
    }
    /// Moves to the previous entry.
    fn prev(&mut self);
    /// The internal key of the current entry. Valid until the next move.
    fn key(&self) -> &[u8];
    /// The prefix of the current key.
    #[inline]
    fn key_prefix(&self) -> KeyPrefix {
        KeyPrefix::of(self.key())
    }
    /// The value of the current entry. Valid until the next move.
    fn value(&self) -> &[u8];
    /// The current key and value.
    #[inline]
    fn entry(&self) -> (&[u8], &[u8]) {
        (self.key(), self.value())
    }
    /// Releases the blocks of the current position. The iterator must be positioned before it is used again.
    fn release_blocks(&mut self) {}
    /// The error that ended the iteration since the last seek, if one did; else the first damage that was
    /// skipped.
    fn status(&self) -> Result<()>;
}

/// The error of a composed iterator, and what to do when one of its children fails.
#[derive(Default)]
struct Failure {
    /// Skip damage, as LevelDB's reads do. Never set where the entries read replace the files they were read
    /// from (compactions).
    tolerates_damage: bool,
    error: Option<Error>,
    /// True if `error` ended the iteration.
    is_final: bool,
}

impl Failure {
    /// Records an error. True: the error is damage, and the iteration continues after it.
    #[cold]
    fn skips(&mut self, error: Error) -> bool {
        if self.tolerates_damage && error.is_corruption() {
            self.error.get_or_insert(error);
            return true;
        }
        if !self.is_final {
            self.error = Some(error);
            self.is_final = true;
        }
        false
    }

    fn clear(&mut self) {
        self.error = None;
        self.is_final = false;
    }
}
