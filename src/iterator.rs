//! The trait that every read composes.
//!
//! Iterators own what they read from (a table, a memtable, a version), so they are `'static` and may be moved
//! between threads. On hot paths they are composed by generics and enums, never boxed.
//!
//! Thread rule: one thread at a time uses an iterator.

pub mod compaction_input;
mod fast;
pub mod merging;
#[cfg(test)]
pub(crate) mod test_support;
pub mod two_level;

pub use fast::FastIterator;

use crate::error::{Error, Result};

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
    /// Moves to the next entry.
    fn next(&mut self);
    /// Moves to the previous entry.
    fn prev(&mut self);
    /// The internal key of the current entry. Valid until the next move.
    fn key(&self) -> &[u8];
    /// The value of the current entry. Valid until the next move.
    fn value(&self) -> &[u8];
    /// The current key and value.
    #[inline]
    fn entry(&self) -> (&[u8], &[u8]) {
        (self.key(), self.value())
    }
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
