//! An iterator over a run of files: a level, or the inputs of a compaction.
//!
//! Creating one reads nothing, and copies only a reference to the level. A file is opened when the iterator
//! reaches it. The iterator keeps the files alive, on disk too.
//!
//! Used by one thread at a time; may move between threads.

use super::file_metadata::TableRef;
use super::level::Level;
use crate::error::Result;
use crate::format::internal_key::{InternalKeyComparator, user_key};
use crate::iterator::FastIterator;
use crate::iterator::two_level::{FastParts, Parts, TwoLevelIterator};
use crate::table::TableReadOptions;
use crate::table::cache::TableCache;
use crate::table::iterator::TableIterator;
use std::sync::Arc;

/// The tables of a run of files. Each table is one part of a two-level iterator.
pub struct Tables {
    comparator: InternalKeyComparator,
    files: Level,
    cache: Arc<TableCache>,
    read: TableReadOptions,
}

impl Tables {
    /// The tables of `files`: a level of a version (`version.levels[n].clone()` shares it), or a `Vec` of
    /// files in order.
    pub fn new(
        comparator: InternalKeyComparator,
        files: impl Into<Level>,
        cache: Arc<TableCache>,
        read: TableReadOptions,
    ) -> Self {
        Tables { comparator, files: files.into(), cache, read }
    }

    /// How blocks are read.
    pub fn read_options(&self) -> TableReadOptions {
        self.read
    }

    /// The table `index`.
    pub fn table(&self, index: usize) -> Result<TableRef<'_>> {
        self.files[index].table(&self.cache)
    }
}

impl Parts for Tables {
    type Iter = TableIterator;

    fn count(&self) -> usize {
        self.files.len()
    }

    fn find(&self, target: &[u8]) -> usize {
        self.files.find_file(&self.comparator, target)
    }

    fn open(&self, index: usize) -> Result<TableIterator> {
        Ok(self.table(index)?.iter(self.read))
    }

    fn reopen(&self, index: usize, part: &mut TableIterator) -> Result<()> {
        part.release_blocks();
        part.change_table(self.table(index)?.clone());
        Ok(())
    }
}

impl FastParts for Tables {
    fn definitely_lacks(&self, target: &[u8]) -> bool {
        let Some(found) = self.files.candidate(&self.comparator, user_key(target), || target) else {
            return true;
        };
        let index = found.index;
        if found.may_be_split && self.files.is_split_after(index, &self.comparator, user_key(target)) {
            return false;
        }
        self.table(index).is_ok_and(|table| table.definitely_lacks(target))
    }

    fn may_stay_open(&self, index: usize) -> bool {
        // An unpinned table would stay open in addition to the tables that the cache may keep open.
        self.files[index].is_pinned()
    }
}

/// A position in a run of files that are ordered and do not overlap. Opens a file only when it reaches it.
pub type LevelIterator = TwoLevelIterator<Tables>;

impl LevelIterator {
    /// Iterates over `files`, as for [`Tables::new`].
    pub fn new(
        comparator: InternalKeyComparator,
        files: impl Into<Level>,
        cache: Arc<TableCache>,
        read: TableReadOptions,
    ) -> Self {
        TwoLevelIterator::over(Tables::new(comparator, files, cache, read))
    }
}

#[cfg(test)]
mod tests;
