//! One source of a merged read. An enum, and not a boxed trait: a scan calls it for every entry.

use crate::error::Result;
use crate::format::internal_key::KeyPrefix;
use crate::iterator::{FastIterator, InternalIterator};
use crate::memtable::MemtableIterator;
use crate::table::iterator::TableIterator;
use crate::version::level_iterator::LevelIterator;

/// One source of a merged read.
pub enum ReadIterator {
    /// A memtable, active or immutable.
    Memtable(MemtableIterator),
    /// One file of level 0.
    Table(TableIterator),
    /// The files of a deeper level, or one unpinned file of level 0.
    Level(LevelIterator),
}

macro_rules! each {
    ($self:ident, $iterator:ident => $body:expr) => {
        match $self {
            ReadIterator::Memtable($iterator) => $body,
            ReadIterator::Table($iterator) => $body,
            ReadIterator::Level($iterator) => $body,
        }
    };
}

impl InternalIterator for ReadIterator {
    #[inline]
    fn valid(&self) -> bool {
        each!(self, iterator => iterator.valid())
    }
    fn seek_to_first(&mut self) {
        each!(self, iterator => iterator.seek_to_first())
    }
    fn seek_to_last(&mut self) {
        each!(self, iterator => iterator.seek_to_last())
    }
    fn seek(&mut self, target: &[u8]) {
        each!(self, iterator => iterator.seek(target))
    }
    #[inline]
    fn next(&mut self) {
        each!(self, iterator => iterator.next())
    }
    #[inline]
    fn prev(&mut self) {
        each!(self, iterator => iterator.prev())
    }
    #[inline]
    fn key(&self) -> &[u8] {
        each!(self, iterator => iterator.key())
    }
    #[inline]
    fn value(&self) -> &[u8] {
        each!(self, iterator => iterator.value())
    }
    #[inline(always)]
    fn entry(&self) -> (&[u8], &[u8]) {
        each!(self, iterator => iterator.entry())
    }
    fn status(&self) -> Result<()> {
        each!(self, iterator => iterator.status())
    }
}

impl FastIterator for ReadIterator {
    #[inline]
    fn definitely_lacks(&self, target: &[u8]) -> bool {
        each!(self, iterator => iterator.definitely_lacks(target))
    }
    #[inline]
    fn try_next_user_key(&mut self) -> Option<u64> {
        each!(self, iterator => iterator.try_next_user_key())
    }
    #[inline(always)]
    fn try_next_user_key_without_prefix(&mut self) -> Option<u64> {
        each!(self, iterator => iterator.try_next_user_key_without_prefix())
    }
    #[inline]
    fn key_prefix(&self) -> KeyPrefix {
        each!(self, iterator => iterator.key_prefix())
    }
    fn release_blocks(&mut self) {
        each!(self, iterator => iterator.release_blocks())
    }
}
