//! A version: which table files a column family has at one moment, level by level.
//!
//! A version never changes. All readers share it. It keeps the metadata of its files alive, and so the files
//! themselves. The next version shares the levels that an edit does not change (see `builder`).
//!
//! Invariants, which the constructors and the builder establish:
//! - level 0: newest file (highest number) first; files may overlap;
//! - deeper levels: files ascend and are disjoint in internal keys. In old directories one user key may be
//!   split over neighbours;
//! - a file number is in one level only.

use super::file_metadata::FileMetaData;
use super::key_range::total_bytes;
use super::level::Level;
use crate::format::NUM_LEVELS;
use crate::format::display_key::DisplayKey;
use crate::format::internal_key::InternalKeyComparator;
use crate::table::cache::TableCache;
use std::fmt::Write;
use std::sync::Arc;

/// The deepest level that a flush may write to. Writing deeper than level 0 saves the merge from level 0 to 1
/// if nothing overlaps. Still deeper, obsolete versions of a key that is overwritten repeatedly would take
/// space for a long time.
const MAX_FLUSH_LEVEL: usize = 2;

/// A table should overlap no more bytes of the level after its own than this many output files have:
/// otherwise its own compaction would be large.
pub const MAX_GRANDPARENT_OUTPUTS: u64 = 10;

/// The complete set of files of one column family; never changes. Only its constructors and `VersionBuilder`
/// make one.
pub struct Version {
    /// The files of each level, as slices of `Arc<FileMetaData>`.
    pub levels: [Level; NUM_LEVELS],
    /// The order of internal keys.
    pub comparator: InternalKeyComparator,
    /// The cache of open tables.
    pub table_cache: Arc<TableCache>,
    /// One more than the deepest level that has files; 0 if there are none.
    pub(super) depth: usize,
}

impl Version {
    /// A version without files.
    pub fn empty(comparator: InternalKeyComparator, table_cache: Arc<TableCache>) -> Self {
        let levels = std::array::from_fn(|_| Level::default());
        Version { levels, comparator, table_cache, depth: 0 }
    }

    /// A version of these files: level 0 in any order; deeper levels ascending and disjoint.
    #[cfg(any(test, feature = "test-support"))]
    pub fn from_levels(
        levels: [Vec<Arc<FileMetaData>>; NUM_LEVELS],
        comparator: InternalKeyComparator,
        table_cache: Arc<TableCache>,
    ) -> Self {
        let mut level = 0..NUM_LEVELS;
        let levels = levels.map(|files| match level.next() {
            Some(0) => Level::overlapping(&comparator, files),
            _ => Level::run(&comparator, files),
        });
        Self::of(levels, comparator, table_cache)
    }

    /// A version of levels that already have the form of their place.
    pub(super) fn of(
        levels: [Level; NUM_LEVELS],
        comparator: InternalKeyComparator,
        table_cache: Arc<TableCache>,
    ) -> Self {
        let depth = levels.iter().rposition(|level| !level.is_empty()).map_or(0, |deepest| deepest + 1);
        Version { levels, comparator, table_cache, depth }
    }

    /// All files with their levels: what an edit adds that makes this version of an empty one.
    pub fn new_files(&self) -> Vec<(usize, Arc<FileMetaData>)> {
        let levels = self.levels.iter().enumerate();
        levels.flat_map(|(level, files)| files.iter().map(move |file| (level, file.clone()))).collect()
    }

    /// The number of files of a level.
    pub fn num_files(&self, level: usize) -> usize {
        self.levels[level].len()
    }

    /// The bytes of a level's files.
    pub fn level_bytes(&self, level: usize) -> u64 {
        self.levels[level].bytes()
    }

    /// The index of the first file of a level >= 1 whose largest key is at or after `internal_key`; the
    /// number of files if there is none.
    #[inline]
    #[cfg(any(test, feature = "test-support"))]
    pub fn find_file(&self, level: usize, internal_key: &[u8]) -> usize {
        debug_assert!(level > 0);
        self.levels[level].find_file(&self.comparator, internal_key)
    }

    /// Does any file of the level overlap the user keys [smallest, largest]? `None`: unbounded.
    pub fn overlaps(&self, level: usize, smallest: Option<&[u8]>, largest: Option<&[u8]>) -> bool {
        if level == 0 {
            self.levels[0].iter().any(|file| self.file_overlaps(file, smallest, largest))
        } else {
            !self.levels[level].overlap(&self.comparator, smallest, largest).is_empty()
        }
    }

    /// The files of the level that overlap the user keys [begin, end] (`None`: unbounded). At level 0 the
    /// range is widened by the files found, until no further file overlaps it.
    pub fn overlapping_files(
        &self,
        level: usize,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> Vec<Arc<FileMetaData>> {
        let files = &self.levels[level];
        if level > 0 {
            return files[files.overlap(&self.comparator, begin, end)].to_vec();
        }
        let mut taken = vec![false; files.len()];
        let (mut begin, mut end) = (begin, end);
        // Each file that is taken may widen the range so that it reaches files that were skipped. Repeats
        // until a round takes none.
        let mut widened = true;
        while widened {
            widened = false;
            for (file, taken) in files.iter().zip(&mut taken) {
                if *taken || !self.file_overlaps(file, begin, end) {
                    continue;
                }
                *taken = true;
                widened = true;
                let (smallest, largest) = (file.smallest.user_key(), file.largest.user_key());
                begin = begin.map(|key| if self.is_below(smallest, key) { smallest } else { key });
                end = end.map(|key| if self.is_below(key, largest) { largest } else { key });
            }
        }
        files.iter().zip(taken).filter(|&(_, taken)| taken).map(|(file, _)| file.clone()).collect()
    }

    fn file_overlaps(&self, file: &FileMetaData, begin: Option<&[u8]>, end: Option<&[u8]>) -> bool {
        !begin.is_some_and(|key| self.is_below(file.largest.user_key(), key))
            && !end.is_some_and(|key| self.is_below(key, file.smallest.user_key()))
    }

    fn is_below(&self, a: &[u8], b: &[u8]) -> bool {
        self.comparator.compare_user_keys(a, b).is_lt()
    }

    /// The level where a flushed memtable with these user keys may be placed: 0, or as deep as level 2 if no
    /// file overlaps and the overlap with the grandparents is at most 10 * max_file_size.
    pub fn level_for_flush(&self, smallest: &[u8], largest: &[u8], max_file_size: u64) -> usize {
        let (smallest, largest) = (Some(smallest), Some(largest));
        let max_overlap = max_file_size.saturating_mul(MAX_GRANDPARENT_OUTPUTS);
        let mut level = 0;
        if self.overlaps(0, smallest, largest) {
            return level;
        }
        while level < MAX_FLUSH_LEVEL && !self.overlaps(level + 1, smallest, largest) {
            let grandparents = &self.levels[level + 2];
            let overlap = grandparents.overlap(&self.comparator, smallest, largest);
            if total_bytes(&grandparents[overlap]) > max_overlap {
                break;
            }
            level += 1;
        }
        level
    }

    /// The approximate number of bytes that the files have before the internal key. A file that cannot be
    /// opened counts as 0.
    pub fn approximate_offset_of(&self, internal_key: &[u8]) -> u64 {
        let mut offset = 0u64;
        for (level, files) in self.levels.iter().enumerate() {
            let first = if level == 0 { 0 } else { files.find_file(&self.comparator, internal_key) };
            let (before, rest) = files.split_at(first);
            offset = before.iter().fold(offset, |sum, file| sum.saturating_add(file.file_size));
            // At a deeper level only the first of the rest can contain the key.
            let straddling = if level == 0 { rest } else { &rest[..rest.len().min(1)] };
            for file in straddling {
                offset = offset.saturating_add(self.offset_in_file(file, internal_key));
            }
        }
        offset
    }

    fn offset_in_file(&self, file: &FileMetaData, internal_key: &[u8]) -> u64 {
        if self.comparator.compare(file.largest.encoded(), internal_key).is_le() {
            file.file_size
        } else if self.comparator.compare(file.smallest.encoded(), internal_key).is_gt() {
            0
        } else {
            file.table(&self.table_cache).map_or(0, |table| table.approximate_offset_of(internal_key))
        }
    }

    /// One line per file, as in LevelDB's `leveldb.sstables`: `number:size[smallest .. largest]`, by smallest
    /// key in every level.
    pub fn debug_string(&self) -> String {
        let mut text = String::new();
        for (level, files) in self.levels.iter().enumerate() {
            let mut files: Vec<_> = files.iter().collect();
            if level == 0 {
                files.sort_by(|a, b| {
                    let order = self.comparator.compare(a.smallest.encoded(), b.smallest.encoded());
                    order.then(a.number.cmp(&b.number))
                });
            }
            // Writing to a string cannot fail.
            let _ = writeln!(text, "--- level {level} ---");
            for file in files {
                let (smallest, largest) =
                    (DisplayKey(file.smallest.encoded()), DisplayKey(file.largest.encoded()));
                let _ = writeln!(text, " {}:{}[{smallest} .. {largest}]", file.number, file.file_size);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
