//! Every read is a composition of one trait.
//!
//! Iterators own what they read from (a table, a memtable, a version), so they are `'static` and may be moved between
//! threads; one iterator is used by one thread at a time. On hot paths they are composed by generics and enums, never boxed.

pub mod compaction_iterator;
pub mod merging;
#[cfg(test)]
pub(crate) mod testing;
pub mod two_level;

use crate::error::Result;

/// A position in a sorted sequence of (internal key, value).
///
/// A new iterator is not valid until positioned. `key`, `value`, `next` and `prev` are called only while `valid()`. An error
/// makes the iterator invalid and stays in `status()` until the next seek.
pub trait InternalIterator {
    /// Does it stand on an entry?
    fn valid(&self) -> bool;
    /// Moves to the first entry.
    fn seek_to_first(&mut self);
    /// Moves to the last entry.
    fn seek_to_last(&mut self);
    /// Moves to the first entry whose key is at or after `target` (an internal key).
    fn seek(&mut self, target: &[u8]);
    /// Moves to the next entry.
    fn next(&mut self);
    /// Moves to the previous entry.
    fn prev(&mut self);
    /// The internal key it stands on; holds until the next move.
    fn key(&self) -> &[u8];
    /// The value it stands on; holds until the next move.
    fn value(&self) -> &[u8];
    /// The first error met since the last seek.
    fn status(&self) -> Result<()>;
}
