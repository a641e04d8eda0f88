//! Every read is a composition of one trait.
//!
//! Iterators own what they read from (a table, a memtable, a version), so they are `'static` and may be moved between
//! threads; one iterator is used by one thread at a time. On hot paths they are composed by generics and enums, never boxed.

pub mod compaction_iterator;
pub mod merging;
#[cfg(test)]
pub(crate) mod testing;
pub mod two_level;

use crate::error::{Error, Result};
use crate::format::internal_key::KeyPrefix;

/// A position in a sorted sequence of (internal key, value).
///
/// A new iterator is not valid until positioned. `key`, `value`, `next` and `prev` are called only while `valid()`. An error
/// ends the iteration, and stays in `status()` until the next seek; but for damage that an iterator was told to tolerate: it
/// is passed over, and stays in `status()` while the iteration goes on.
pub trait InternalIterator {
    /// Does it stand on an entry?
    fn valid(&self) -> bool;
    /// Moves to the first entry.
    fn seek_to_first(&mut self);
    /// Moves to the last entry.
    fn seek_to_last(&mut self);
    /// Moves to the first entry whose key is at or after `target` (an internal key).
    fn seek(&mut self, target: &[u8]);
    /// Is it plain, without reading entries, that there is none of the user key of `target` (an internal key)?
    #[inline]
    fn lacks(&self, _target: &[u8]) -> bool {
        false
    }
    /// Moves to the next entry.
    fn next(&mut self);
    /// Moves to the next entry if that is plainly one of a later user key in the bytewise order, and returns its trailer;
    /// else does not move at all. `None` says nothing: the next entry may be another version of the key, lie in another
    /// block, be damaged, or not be there. It is a shortcut for scans, which so need not keep the key they stand on.
    #[inline]
    fn next_if_plain(&mut self) -> Option<u64> {
        None
    }
    /// As `next_if_plain`, for whoever has no use for the `key_prefix` of the key it comes to.
    #[inline]
    fn next_if_plain_alone(&mut self) -> Option<u64> {
        self.next_if_plain()
    }
    /// Moves to the previous entry.
    fn prev(&mut self);
    /// The internal key it stands on; holds until the next move.
    fn key(&self) -> &[u8];
    /// The prefix of the key it stands on.
    #[inline]
    fn key_prefix(&self) -> KeyPrefix {
        KeyPrefix::of(self.key())
    }
    /// The value it stands on; holds until the next move.
    fn value(&self) -> &[u8];
    /// `Some` where `value` is not the value, but the block of a table that has this entry alone, as that is stored, with its trailer:
    /// then this is the length of the value. Only of iterators that were told to leave such blocks as they are.
    #[inline]
    fn stored_value_length(&self) -> Option<u32> {
        None
    }
    /// Key and value.
    #[inline]
    fn entry(&self) -> (&[u8], &[u8]) {
        (self.key(), self.value())
    }
    /// Lets go of what its place needs. It is positioned before it is used again.
    fn rest(&mut self) {}
    /// What ended the iteration since the last seek, if an error did; else the first damage that was passed over.
    fn status(&self) -> Result<()>;
}

/// What composed iterators do when a part of them fails, and the error they keep.
#[derive(Default)]
struct Failure {
    /// Pass over what is damaged, as LevelDB's reads do. Never where what is read takes the place of what was read.
    tolerates_damage: bool,
    error: Option<Error>,
    /// It ended the iteration.
    is_final: bool,
}

impl Failure {
    /// Notes an error. True: the iteration goes on behind what is damaged.
    #[cold]
    fn passes_over(&mut self, error: Error) -> bool {
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
