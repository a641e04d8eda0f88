//! stub
use super::file_metadata::FileMetaData;
use crate::format::NUM_LEVELS;
use crate::format::internal_key::InternalKeyComparator;
use crate::table::cache::TableCache;
use std::sync::Arc;

/// A set of files that is a whole state of one family; never changes.
/// Level 0: newest (highest number) first; its files may overlap. Deeper levels: by smallest key, disjoint in internal keys (one user
/// key may be split over neighbours in old directories).
pub struct Version {
    /// Files by level.
    pub levels: [Vec<Arc<FileMetaData>>; NUM_LEVELS],
    /// The order.
    pub comparator: InternalKeyComparator,
    /// Open tables.
    pub table_cache: Arc<TableCache>,
}

impl Version {
    /// A version without files.
    pub fn empty(comparator: InternalKeyComparator, table_cache: Arc<TableCache>) -> Self {
        todo!()
    }
    /// Files of a level.
    pub fn num_files(&self, level: usize) -> usize {
        self.levels[level].len()
    }
    /// Bytes of a level.
    pub fn level_bytes(&self, level: usize) -> u64 {
        todo!()
    }
    /// The index of the first file of a level >= 1 whose largest key is at or after `internal_key` (the length, if none).
    pub fn find_file(&self, level: usize, internal_key: &[u8]) -> usize {
        todo!()
    }
    /// Does any file of the level overlap the user keys [smallest, largest] (None = unbounded)?
    pub fn overlaps(&self, level: usize, smallest: Option<&[u8]>, largest: Option<&[u8]>) -> bool {
        todo!()
    }
    /// The files of the level that overlap the user keys [begin, end] (None = unbounded). At level 0 the range is widened until no further file overlaps it.
    pub fn overlapping_files(
        &self,
        level: usize,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> Vec<Arc<FileMetaData>> {
        todo!()
    }
    /// The level a flushed memtable with these user keys may be placed at: 0, or down to level 2 where nothing overlaps and the
    /// overlap with the grandparents is at most 10 * max_file_size.
    pub fn level_for_flush(&self, smallest: &[u8], largest: &[u8], max_file_size: u64) -> usize {
        todo!()
    }
    /// About how many bytes of the files come before the internal key.
    pub fn approximate_offset_of(&self, internal_key: &[u8]) -> u64 {
        todo!()
    }
    /// One line a file, as LevelDB's `leveldb.sstables`.
    pub fn debug_string(&self) -> String {
        todo!()
    }
}
