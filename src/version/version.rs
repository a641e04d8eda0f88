//! One state of a family's files: which tables there are, level by level.
//!
//! A version never changes. It is shared by whoever reads from it, and keeps the metadata of its files, and so the files
//! themselves, alive. The next version shares the levels that an edit left alone (see `builder`).
//!
//! Invariants, which the constructors and the builder establish:
//! - level 0: newest (highest number) first; files may overlap;
//! - deeper levels: ascending, disjoint in internal keys. One user key may be split over neighbours in old directories;
//! - a file number stands in one level only.

use super::file_metadata::FileMetaData;
use super::level::Level;
use crate::format::NUM_LEVELS;
use crate::format::internal_key::{InternalKeyComparator, ParsedInternalKey};
use crate::table::cache::TableCache;
use std::fmt::Write;
use std::sync::Arc;

/// The deepest level a flush may write to: it spares the merge from level 0 to 1 where nothing overlaps, and doesn't go
/// deeper, where a key that is overwritten again and again would take space for long.
const MAX_FLUSH_LEVEL: usize = 2;

/// A file may overlap this many output files' worth of bytes two levels down.
const MAX_GRANDPARENT_OVERLAP_FACTOR: u64 = 10;

/// A set of files that is a whole state of one family; never changes.
/// Level 0: newest (highest number) first; its files may overlap. Deeper levels: by smallest key, disjoint in internal keys
/// (one user key may be split over neighbours in old directories). Made by its constructors and by `VersionBuilder` only.
pub struct Version {
    /// Files by level; each a slice of `Arc<FileMetaData>`.
    pub levels: [Level; NUM_LEVELS],
    /// The order.
    pub comparator: InternalKeyComparator,
    /// Open tables.
    pub table_cache: Arc<TableCache>,
    /// One more than the deepest level that has files.
    pub(super) depth: usize,
}

impl Version {
    /// A version without files.
    pub fn empty(comparator: InternalKeyComparator, table_cache: Arc<TableCache>) -> Self {
        let levels = std::array::from_fn(|_| Level::default());
        Version { levels, comparator, table_cache, depth: 0 }
    }

    /// A version of these files: level 0 in any order; deeper levels ascending and disjoint.
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

    /// A version of levels made for their places.
    pub(super) fn of(
        levels: [Level; NUM_LEVELS],
        comparator: InternalKeyComparator,
        table_cache: Arc<TableCache>,
    ) -> Self {
        let depth = levels.iter().rposition(|level| !level.is_empty()).map_or(0, |deepest| deepest + 1);
        Version { levels, comparator, table_cache, depth }
    }

    /// Files of a level.
    pub fn num_files(&self, level: usize) -> usize {
        self.levels[level].len()
    }

    /// Bytes of a level.
    pub fn level_bytes(&self, level: usize) -> u64 {
        self.levels[level].bytes()
    }

    /// The index of the first file of a level >= 1 whose largest key is at or after `internal_key` (the length, if none).
    #[inline]
    pub fn find_file(&self, level: usize, internal_key: &[u8]) -> usize {
        debug_assert!(level > 0);
        self.levels[level].find_file(&self.comparator, internal_key)
    }

    /// Does any file of the level overlap the user keys [smallest, largest] (None = unbounded)?
    pub fn overlaps(&self, level: usize, smallest: Option<&[u8]>, largest: Option<&[u8]>) -> bool {
        if level == 0 {
            self.levels[0].iter().any(|file| self.file_overlaps(file, smallest, largest))
        } else {
            !self.overlapping_run(level, smallest, largest).is_empty()
        }
    }

    /// The files of the level that overlap the user keys [begin, end] (None = unbounded). At level 0 the range is widened
    /// until no further file overlaps it.
    pub fn overlapping_files(
        &self,
        level: usize,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> Vec<Arc<FileMetaData>> {
        if level > 0 {
            return self.overlapping_run(level, begin, end).to_vec();
        }
        let files = &self.levels[0];
        let mut taken = vec![false; files.len()];
        let (mut begin, mut end) = (begin, end);
        // Each file taken may widen the range to files that were passed over before, until a round takes none.
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

    /// The files of a level >= 1 that overlap the user keys [begin, end]: they are neighbours.
    fn overlapping_run(
        &self,
        level: usize,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> &[Arc<FileMetaData>] {
        let files = &self.levels[level];
        let first = begin.map_or(0, |key| files.find_user_key(&self.comparator, key));
        let rest = &files[first..];
        let count = end.map_or(rest.len(), |key| {
            rest.partition_point(|file| !self.is_below(key, file.smallest.user_key()))
        });
        &rest[..count]
    }

    fn file_overlaps(&self, file: &FileMetaData, begin: Option<&[u8]>, end: Option<&[u8]>) -> bool {
        !begin.is_some_and(|key| self.is_below(file.largest.user_key(), key))
            && !end.is_some_and(|key| self.is_below(key, file.smallest.user_key()))
    }

    fn is_below(&self, a: &[u8], b: &[u8]) -> bool {
        self.comparator.compare_user_keys(a, b).is_lt()
    }

    /// The level a flushed memtable with these user keys may be placed at: 0, or down to level 2 where nothing overlaps and
    /// the overlap with the grandparents is at most 10 * max_file_size.
    pub fn level_for_flush(&self, smallest: &[u8], largest: &[u8], max_file_size: u64) -> usize {
        let (smallest, largest) = (Some(smallest), Some(largest));
        let max_overlap = max_file_size.saturating_mul(MAX_GRANDPARENT_OVERLAP_FACTOR);
        let mut level = 0;
        if self.overlaps(0, smallest, largest) {
            return level;
        }
        while level < MAX_FLUSH_LEVEL && !self.overlaps(level + 1, smallest, largest) {
            let grandparents = self.overlapping_run(level + 2, smallest, largest);
            let overlap = grandparents.iter().fold(0, |sum: u64, file| sum.saturating_add(file.file_size));
            if overlap > max_overlap {
                break;
            }
            level += 1;
        }
        level
    }

    /// About how many bytes of the files come before the internal key. A file that can't be opened counts for nothing.
    pub fn approximate_offset_of(&self, internal_key: &[u8]) -> u64 {
        let mut offset = 0u64;
        for (level, files) in self.levels.iter().enumerate() {
            let first = if level == 0 { 0 } else { files.find_file(&self.comparator, internal_key) };
            let (before, rest) = files.split_at(first);
            offset = before.iter().fold(offset, |sum, file| sum.saturating_add(file.file_size));
            // At a deeper level only the first of the rest can have the key inside it.
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

    /// One line a file, as LevelDB's `leveldb.sstables`: `number:size[smallest .. largest]`, by smallest key in every
    /// level.
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
                let _ = write!(text, " {}:{}[", file.number, file.file_size);
                write_key(&mut text, file.smallest.encoded());
                text.push_str(" .. ");
                write_key(&mut text, file.largest.encoded());
                text.push_str("]\n");
            }
        }
        text
    }
}

/// An internal key as LevelDB prints it: `'user key' @ sequence : type`, unprintable bytes as `\xNN` (and a backslash as
/// itself); a key of an unknown type whole, with `(bad)` before it.
fn write_key(text: &mut String, internal_key: &[u8]) {
    match ParsedInternalKey::parse(internal_key) {
        Some(key) => {
            text.push('\'');
            write_escaped(text, key.user_key);
            let _ = write!(text, "' @ {} : {}", key.sequence, key.value_type as u8);
        }
        None => {
            text.push_str("(bad)");
            write_escaped(text, internal_key);
        }
    }
}

fn write_escaped(text: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if matches!(byte, b' '..=b'~') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
