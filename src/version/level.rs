//! The files of one level, and an index to find the file that may have a key.
//!
//! Every look-up searches the level, which may have thousands of files, so the search should touch few cache
//! lines. With the bytewise comparator a level keeps, in two flat arrays, 8 bytes of each file's smallest and
//! largest user key: the 8 that follow the prefix that all keys of the level share (without that, tables of
//! `user:0000001234` would look alike in their first 8 bytes). Comparing integers decides nearly every step
//! of the search. Whole keys are compared only if the 8 bytes are equal.
//!
//! A level never changes, and is shared by all versions in which it is the same. There are two kinds:
//! - a *run* (levels 1 to 6): files ascend and are disjoint in internal keys. In old directories neighbours
//!   may share a user key, whose versions are then split over them;
//! - *level 0*: newest file (highest epoch, which is usually the file number) first; files may overlap.

use super::file_metadata::FileMetaData;
use crate::format::common_prefix::{CommonPrefix, Place, common_prefix_length, first_eight};
use crate::format::internal_key::{InternalKeyComparator, user_key};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The files of one level. Cheap to clone; any thread may read it.
#[derive(Clone)]
pub struct Level(Arc<Inner>);

struct Inner {
    files: Vec<Arc<FileMetaData>>,
    /// The file numbers, in the order of the files: a search for a number does not touch the files.
    numbers: Vec<u64>,
    bytes: u64,
    /// Present with the bytewise comparator, except in a run made from a `Vec`.
    bounds: Option<Bounds>,
}

#[cfg_attr(test, derive(PartialEq, Debug))]
/// The index: of each user key, the 8 bytes that follow `common`, big-endian, padded with zeros after a
/// shorter key.
struct Bounds {
    /// The common prefix of all smallest and largest user keys of the level.
    common: CommonPrefix,
    smallest: Vec<u64>,
    largest: Vec<u64>,
}

/// The file of a run in which a look-up starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The index of the file in the run.
    pub index: usize,
    /// Must [`Level::is_split_after`] be asked? If not, the next file has no version of the key.
    pub may_be_split: bool,
}

impl Bounds {
    /// The index of `files`, whose user keys all begin with `common`.
    fn new(files: &[Arc<FileMetaData>], common: &[u8]) -> Self {
        let bound = |user_key: &[u8]| first_eight(user_key, common.len());
        Bounds {
            common: CommonPrefix::new(common),
            smallest: files.iter().map(|file| bound(file.smallest.user_key())).collect(),
            largest: files.iter().map(|file| bound(file.largest.user_key())).collect(),
        }
    }

    /// In a run: the files whose largest key has the 8 bytes `eight`. Files before these end below, files
    /// after these above.
    #[inline]
    fn ties(&self, eight: u64) -> Range<usize> {
        let start = self.largest.partition_point(|&largest| largest < eight);
        match self.largest.get(start) {
            Some(&largest) if largest == eight => {
                start..start + self.largest[start..].partition_point(|&largest| largest == eight)
            }
            _ => start..start,
        }
    }
}

/// The longest common prefix of all `keys`.
fn common_prefix<'a>(keys: impl Iterator<Item = &'a [u8]>) -> &'a [u8] {
    keys.reduce(|common, key| &common[..common_prefix_length(common, key)]).unwrap_or_default()
}

impl Level {
    /// Level 0 with these files. They are sorted here, newest first.
    pub fn overlapping(comparator: &InternalKeyComparator, mut files: Vec<Arc<FileMetaData>>) -> Self {
        files.sort_unstable_by_key(|file| {
            let sequences = file.sequence_range().map(|(lowest, highest)| (highest, lowest));
            std::cmp::Reverse((file.epoch(), sequences, file.number)) // two of RocksDB's may have one epoch
        });
        let keys = files.iter().flat_map(|file| [file.smallest.user_key(), file.largest.user_key()]);
        let bounds = comparator.is_bytewise().then(|| Bounds::new(&files, common_prefix(keys)));
        Self::assemble(files, bounds)
    }

    /// A run of these files, which must be in order and disjoint.
    pub fn run(comparator: &InternalKeyComparator, files: Vec<Arc<FileMetaData>>) -> Self {
        debug_assert!(files.windows(2).all(|pair| {
            comparator.compare(pair[0].largest.encoded(), pair[1].smallest.encoded()).is_lt()
        }));
        let bounds = comparator.is_bytewise().then(|| Bounds::new(&files, run_prefix(&files)));
        Self::assemble(files, bounds)
    }

    /// As [`Level::run`], for files most of which are in `self`: `origins` has the index in `self` of each of
    /// those, and `usize::MAX` for the others. Their entries of the index are copied.
    pub(super) fn changed_run(
        &self,
        comparator: &InternalKeyComparator,
        files: Vec<Arc<FileMetaData>>,
        origins: &[usize],
    ) -> Self {
        let common = run_prefix(&files);
        let Some(old) = self.0.bounds.as_ref().filter(|old| old.common.bytes() == common) else {
            return Self::run(comparator, files);
        };
        let mut bounds = Bounds { common: old.common.clone(), smallest: Vec::new(), largest: Vec::new() };
        for (file, &origin) in files.iter().zip(origins) {
            let (smallest, largest) = match (old.smallest.get(origin), old.largest.get(origin)) {
                (Some(&smallest), Some(&largest)) => (smallest, largest),
                _ => {
                    let new = Bounds::new(std::slice::from_ref(file), common);
                    (new.smallest[0], new.largest[0])
                }
            };
            bounds.smallest.push(smallest);
            bounds.largest.push(largest);
        }
        Self::assemble(files, Some(bounds))
    }

    fn assemble(files: Vec<Arc<FileMetaData>>, bounds: Option<Bounds>) -> Self {
        let numbers = files.iter().map(|file| file.number).collect();
        let bytes = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.file_size));
        Level(Arc::new(Inner { files, numbers, bytes, bounds }))
    }

    /// The sum of its files' sizes, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Are both the same object, and so the same files?
    #[cfg(test)]
    pub(super) fn is_shared_with(&self, other: &Level) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The highest file number in the level.
    pub(super) fn highest_number(&self) -> Option<u64> {
        self.0.numbers.iter().copied().max()
    }

    /// The file numbers, in the order of the files.
    pub(super) fn numbers(&self) -> &[u64] {
        &self.0.numbers
    }

    /// The index of file `number`, if the level has it.
    pub fn position(&self, number: u64) -> Option<usize> {
        self.0.numbers.iter().position(|&here| here == number)
    }

    /// Where the user key lies relative to the common prefix. `None` if there is no index.
    #[inline]
    fn place(&self, user_key: &[u8]) -> Option<Place> {
        self.0.bounds.as_ref().map(|bounds| bounds.common.place(user_key))
    }

    /// In a run: the index of the first file whose largest key is at or after `internal_key`; the number of
    /// files if there is none.
    #[inline]
    pub fn find_file(&self, comparator: &InternalKeyComparator, internal_key: &[u8]) -> usize {
        self.find_file_from(self.place(user_key(internal_key)), comparator, internal_key)
    }

    #[inline]
    fn find_file_from(
        &self,
        place: Option<Place>,
        comparator: &InternalKeyComparator,
        internal_key: &[u8],
    ) -> usize {
        self.first_not(place, |file| comparator.compare(file.largest.encoded(), internal_key).is_lt())
    }

    /// In a run: the index of the first file whose largest user key is at or after `user_key`; the number of
    /// files if there is none.
    fn find_user_key(&self, comparator: &InternalKeyComparator, user_key: &[u8]) -> usize {
        self.first_not(self.place(user_key), |file| {
            comparator.compare_user_keys(file.largest.user_key(), user_key).is_lt()
        })
    }

    /// In a run: the files that overlap the user keys [begin, end] (`None`: unbounded). They are neighbours.
    pub fn overlap(
        &self,
        comparator: &InternalKeyComparator,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> Range<usize> {
        let first = begin.map_or(0, |key| self.find_user_key(comparator, key));
        let rest = &self.0.files[first..];
        let count = end.map_or(rest.len(), |key| {
            rest.partition_point(|file| comparator.compare_user_keys(file.smallest.user_key(), key).is_le())
        });
        first..first + count
    }

    /// In a run: the index of the first file that is not `before` the target, by largest keys. `place` is the
    /// target's place in the index.
    #[inline]
    fn first_not(&self, place: Option<Place>, before: impl Fn(&FileMetaData) -> bool) -> usize {
        let files = &self.0.files;
        let ties = match (&self.0.bounds, place) {
            (Some(bounds), Some(Place::Inside(eight))) => bounds.ties(eight),
            (_, Some(Place::Before)) => return 0,
            (_, Some(Place::After)) => return files.len(),
            _ => 0..files.len(),
        };
        ties.start + files[ties].partition_point(|file| before(file))
    }

    /// In a run: the index of the one file that may have the first entry at or after `internal_key`, provided
    /// that entry has the same user key; and whether the next file may have versions of it too. `user_key` is
    /// that of `internal_key`, which is only built if the index does not decide.
    #[inline]
    pub fn candidate<'k>(
        &self,
        comparator: &InternalKeyComparator,
        user_key: &[u8],
        internal_key: impl FnOnce() -> &'k [u8],
    ) -> Option<Candidate> {
        if let Some(bounds) = &self.0.bounds {
            let Place::Inside(eight) = bounds.common.place(user_key) else { return None };
            let index = bounds.largest.partition_point(|&largest| largest < eight);
            let (&smallest, &largest) = (bounds.smallest.get(index)?, bounds.largest.get(index)?);
            if smallest < eight && eight < largest {
                return Some(Candidate { index, may_be_split: false });
            }
            if eight < smallest {
                return None;
            }
        }
        self.candidate_by_keys(comparator, user_key, internal_key())
    }

    /// As `candidate`, by comparing whole keys.
    #[inline(never)]
    fn candidate_by_keys(
        &self,
        comparator: &InternalKeyComparator,
        user_key: &[u8],
        internal_key: &[u8],
    ) -> Option<Candidate> {
        let index = self.find_file_from(self.place(user_key), comparator, internal_key);
        let file = self.0.files.get(index)?;
        let begins_by = comparator.compare_user_keys(file.smallest.user_key(), user_key).is_le();
        begins_by.then_some(Candidate { index, may_be_split: true })
    }

    /// In a run: do file `index` and the next one both have `user_key` as their boundary, so that its
    /// versions are split over them?
    pub fn is_split_after(&self, index: usize, comparator: &InternalKeyComparator, user_key: &[u8]) -> bool {
        let [file, next, ..] = &self.0.files[index..] else { return false };
        comparator.compare_user_keys(file.largest.user_key(), user_key).is_eq()
            && comparator.compare_user_keys(next.smallest.user_key(), user_key).is_eq()
    }

    /// The files, in their order, whose range of user keys contains `user_key`.
    #[inline]
    pub fn covering<'a>(
        &'a self,
        comparator: &'a InternalKeyComparator,
        user_key: &'a [u8],
    ) -> impl Iterator<Item = &'a Arc<FileMetaData>> {
        let bounds = self.0.bounds.as_ref().map(|bounds| (bounds, bounds.common.place(user_key)));
        self.0.files.iter().enumerate().filter_map(move |(index, file)| {
            if let Some((bounds, place)) = bounds {
                let Place::Inside(eight) = place else { return None };
                let (smallest, largest) = (bounds.smallest[index], bounds.largest[index]);
                if eight < smallest || largest < eight {
                    return None;
                }
                if smallest < eight && eight < largest {
                    return Some(file);
                }
            }
            let covers = comparator.compare_user_keys(file.smallest.user_key(), user_key).is_le()
                && comparator.compare_user_keys(user_key, file.largest.user_key()).is_le();
            covers.then_some(file)
        })
    }
}

/// The common prefix of all keys of a run. In bytewise order, keys between the first and the last share what
/// those two share.
fn run_prefix(files: &[Arc<FileMetaData>]) -> &[u8] {
    match files {
        [] => &[],
        [first, ..] => {
            let last = files.last().unwrap_or(first);
            common_prefix([first.smallest.user_key(), last.largest.user_key()].into_iter())
        }
    }
}

/// A run without an index. A scan from one end to the other needs none.
impl From<Vec<Arc<FileMetaData>>> for Level {
    fn from(files: Vec<Arc<FileMetaData>>) -> Self {
        Self::assemble(files, None)
    }
}

impl Default for Level {
    fn default() -> Self {
        Self::assemble(Vec::new(), None)
    }
}

impl Deref for Level {
    type Target = [Arc<FileMetaData>];
    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0.files
    }
}

impl<'a> IntoIterator for &'a Level {
    type Item = &'a Arc<FileMetaData>;
    type IntoIter = std::slice::Iter<'a, Arc<FileMetaData>>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
