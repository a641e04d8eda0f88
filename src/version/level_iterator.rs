//! An iterator over a run of files: a level, or the inputs of a compaction.
//!
//! Creating one reads nothing, and copies only a reference to the level. A file is opened when the iterator
//! reaches it. The iterator keeps the files alive, on disk too.
//!
//! Used by one thread at a time; may move between threads.

use super::file_metadata::FileMetaData;
use super::level::Level;
use crate::error::Result;
use crate::format::internal_key::{InternalKeyComparator, user_key};
use crate::iterator::two_level::{Parts, TwoLevelIterator};
use crate::table::TableReadOptions;
use crate::table::cache::TableCache;
use crate::table::iterator::TableIterator;
use std::sync::Arc;

/// The tables of a run of files. Each table is one part of the two-level iterator.
pub struct Tables {
    comparator: InternalKeyComparator,
    files: Level,
    cache: Arc<TableCache>,
    read: TableReadOptions,
}

impl Parts for Tables {
    type Iter = TableIterator;

    fn count(&self) -> usize {
        self.files.len()
    }

    fn find(&self, target: &[u8]) -> usize {
        self.files.find_file(&self.comparator, target)
    }

    fn definitely_lacks(&self, target: &[u8]) -> bool {
        let Some(found) = self.files.candidate(&self.comparator, user_key(target), || target) else {
            return true;
        };
        let index = found.index;
        if found.may_be_split && self.files.is_split_after(index, &self.comparator, user_key(target)) {
            return false;
        }
        self.files[index].table(&self.cache).is_ok_and(|table| table.definitely_lacks(target))
    }

    fn open(&self, index: usize) -> Result<TableIterator> {
        let file: &FileMetaData = &self.files[index];
        Ok(file.table(&self.cache)?.iter(self.read))
    }

    fn reopen(&self, index: usize, part: &mut TableIterator) -> Result<()> {
        part.change_table(self.files[index].table(&self.cache)?.clone());
        Ok(())
    }

    fn may_stay_open(&self, index: usize) -> bool {
        // An unpinned table would stay open in addition to the tables that the cache may keep open.
        self.files[index].is_pinned()
    }
}

/// A position in a run of files that are ordered and do not overlap. Opens a file only when it reaches it.
pub type LevelIterator = TwoLevelIterator<Tables>;

impl LevelIterator {
    /// Iterates over `files`: a level of a version (`version.levels[n].clone()` shares it), or a `Vec` of
    /// files in order.
    pub fn new(
        comparator: InternalKeyComparator,
        files: impl Into<Level>,
        cache: Arc<TableCache>,
        read: TableReadOptions,
    ) -> Self {
        TwoLevelIterator::over(Tables { comparator, files: files.into(), cache, read })
    }
}

#[cfg(test)]
mod tests;
