//! Applies version edits to a version, which gives the next version.
//!
//! Every edit is checked when it is applied: a MANIFEST is a file like any other, and not trusted. The cost
//! of an edit depends on what it changes. Levels that it does not change are shared with the base; a changed
//! level is merged from runs of the old one, and only new files and their neighbours are compared.
//!
//! A file that an edit deletes at one level and adds at another (a move) stays the same object. So a number
//! is queued for removal only when no version has the file at any level.
//!
//! One builder is used by one thread.

use super::file_metadata::FileMetaData;
use super::level::Level;
use super::version_edit::VersionEdit;
use crate::error::{Error, Result};
use crate::format::NUM_LEVELS;
use crate::version::Version;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Collects edits to a base version and makes the next version.
pub struct VersionBuilder {
    base: Arc<Version>,
    /// The highest file number in the base; most added files have a higher one.
    highest_base_number: u64,
    /// Files of the base that edits deleted, by number. The same file may be in `added` again.
    deleted: HashMap<u64, Arc<FileMetaData>>,
    /// Files that edits added and that no later edit deleted, with their level, by number.
    added: HashMap<u64, (usize, Arc<FileMetaData>)>,
    /// The levels that `deleted` or `added` concern.
    changed: [bool; NUM_LEVELS],
}

impl VersionBuilder {
    /// A builder that starts from `base`, without edits.
    pub fn new(base: Arc<Version>) -> Self {
        let highest_base_number = base.levels.iter().filter_map(Level::highest_number).max().unwrap_or(0);
        VersionBuilder {
            base,
            highest_base_number,
            deleted: HashMap::new(),
            added: HashMap::new(),
            changed: [false; NUM_LEVELS],
        }
    }

    /// Applies an edit: its deletions, then its new files. Corruption if a level is out of range, a number to
    /// add exists already, a file to delete is unknown, or a smallest key is above the largest (see
    /// `checks_bounds`). After an error the builder must not be used any more.
    pub fn apply(&mut self, edit: &VersionEdit) -> Result<()> {
        let mut moving = HashMap::new();
        for &(level, number) in &edit.deleted_files {
            let file = self.delete(level, number)?;
            if !edit.new_files.is_empty() {
                moving.insert(number, file);
            }
        }
        for (level, file) in &edit.new_files {
            let moved = moving.get(&file.number).filter(|moved| moved.describes_the_same(file));
            self.add(*level, moved.unwrap_or(file))?;
        }
        Ok(())
    }

    fn delete(&mut self, level: usize, number: u64) -> Result<Arc<FileMetaData>> {
        check_level(level, number)?;
        self.changed[level] = true;
        if let Entry::Occupied(added) = self.added.entry(number)
            && added.get().0 == level
        {
            return Ok(added.remove().1);
        }
        let files = &self.base.levels[level];
        match files.position(number) {
            Some(position) if !self.deleted.contains_key(&number) => {
                let file = files[position].clone();
                self.deleted.insert(number, file.clone());
                Ok(file)
            }
            _ => Err(Error::corruption(format!(
                "version edit deletes table file {number} from level {level}, where it is not"
            ))),
        }
    }

    fn add(&mut self, level: usize, file: &Arc<FileMetaData>) -> Result<()> {
        let number = file.number;
        check_level(level, number)?;
        if self.checks_bounds() {
            file.check_bounds(&self.base.comparator)?;
        }
        if let Some(there) = self.level_of(number) {
            return Err(Error::corruption(format!(
                "version edit adds table file {number} to level {level}, but level {there} has it already"
            )));
        }
        self.changed[level] = true;
        self.added.insert(number, (level, file.clone()));
        Ok(())
    }

    /// Is each file's smallest key compared with its largest when the file is added? During open, a user
    /// comparator is called only where LevelDB calls it, which is to compare files with each other. The keys
    /// of a single file are then compared when its table is first opened.
    fn checks_bounds(&self) -> bool {
        self.base.comparator.is_bytewise() || self.base.table_cache.options().paranoid_checks
    }

    /// The level of file `number` after the edits so far.
    fn level_of(&self, number: u64) -> Option<usize> {
        if let Some((level, _)) = self.added.get(&number) {
            return Some(*level);
        }
        if number > self.highest_base_number || self.deleted.contains_key(&number) {
            return None;
        }
        self.base.levels.iter().position(|files| files.position(number).is_some())
    }

    /// The files of the base that are at no level after the edits so far, by number. Once the edits are
    /// durable, these are marked as deleted. A moved file is not among them.
    pub fn removed_files(&self) -> Vec<Arc<FileMetaData>> {
        let removed = self.deleted.values().filter(|file| !self.added.contains_key(&file.number));
        let mut removed: Vec<_> = removed.cloned().collect();
        removed.sort_unstable_by_key(|file| file.number);
        removed
    }

    /// Gives the files of level 0 new epoch numbers, if any has none: RocksDB orders the files of its
    /// versions that knew no epochs by their sequence numbers. A compaction within level 0 gives old entries
    /// a high file number. For directories in RocksDB's language, before `finish`; the base must be empty.
    pub fn infer_epochs(&mut self) {
        let added = self.added.values().filter(|(level, _)| *level == 0).map(|(_, file)| file);
        let mut files: Vec<Arc<FileMetaData>> = added.cloned().collect();
        if files.iter().all(|file| file.has_epoch()) {
            return;
        }
        files.sort_unstable_by_key(|file| {
            (file.sequence_range().map(|(lowest, highest)| (highest, lowest)), file.number)
        });
        for (file, epoch) in files.iter().zip(1..) {
            self.added.insert(file.number, (0, Arc::new(file.with_other_epoch(epoch))));
        }
    }

    /// The new version. Corruption if files overlap at a level >= 1.
    pub fn finish(self) -> Result<Version> {
        let mut added: [Vec<Arc<FileMetaData>>; NUM_LEVELS] = Default::default();
        for (level, file) in self.added.into_values() {
            added[level].push(file);
        }
        let mut levels = self.base.levels.clone();
        for (level, (files, added)) in levels.iter_mut().zip(added).enumerate() {
            if !self.changed[level] {
                continue;
            }
            let change = LevelChange { base: &self.base, level, deleted: &self.deleted, files: Vec::new() };
            *files = if level == 0 { change.into_overlapping(added) } else { change.into_run(added)? };
        }
        Ok(Version::of(levels, self.base.comparator.clone(), self.base.table_cache.clone()))
    }
}

fn check_level(level: usize, number: u64) -> Result<()> {
    if level < NUM_LEVELS {
        return Ok(());
    }
    let deepest = NUM_LEVELS - 1;
    Err(Error::corruption(format!(
        "version edit puts table file {number} at level {level}; the deepest there is is {deepest}"
    )))
}

/// One level while its next state is built.
struct LevelChange<'a> {
    base: &'a Version,
    level: usize,
    deleted: &'a HashMap<u64, Arc<FileMetaData>>,
    /// The files of the new state so far.
    files: Vec<Arc<FileMetaData>>,
}

/// The origin of a file that is not from the base.
const NEW: usize = usize::MAX;

impl LevelChange<'_> {
    fn into_overlapping(mut self, added: Vec<Arc<FileMetaData>>) -> Level {
        self.files = added;
        let kept =
            self.base.levels[self.level].iter().filter(|file| !self.deleted.contains_key(&file.number));
        self.files.extend(kept.cloned());
        Level::overlapping(&self.base.comparator, self.files)
    }

    fn into_run(mut self, mut added: Vec<Arc<FileMetaData>>) -> Result<Level> {
        let comparator = &self.base.comparator;
        let base = &self.base.levels[self.level];
        added.sort_unstable_by(|a, b| {
            let order = comparator.compare(a.smallest.encoded(), b.smallest.encoded());
            order.then(a.number.cmp(&b.number))
        });
        let mut origins = Vec::with_capacity(base.len() + added.len());
        self.files.reserve_exact(base.len() + added.len());
        let mut next = 0;
        for file in added {
            let before = |old: &Arc<FileMetaData>| {
                comparator.compare(old.smallest.encoded(), file.smallest.encoded()).is_lt()
            };
            let position = next + base[next..].partition_point(before);
            self.keep(base, next..position, &mut origins)?;
            next = position;
            self.push(file, NEW, &mut origins)?;
        }
        self.keep(base, next..base.len(), &mut origins)?;
        Ok(base.changed_run(comparator, self.files, &origins))
    }

    /// Takes over a range of the base's files, except the deleted ones.
    fn keep(&mut self, base: &Level, range: std::ops::Range<usize>, origins: &mut Vec<usize>) -> Result<()> {
        for index in range {
            if !self.deleted.contains_key(&base.numbers()[index]) {
                self.push(base[index].clone(), index, origins)?;
            }
        }
        Ok(())
    }

    /// Appends a file. Neighbours that both come from the base are known to be disjoint; others are compared.
    fn push(&mut self, file: Arc<FileMetaData>, origin: usize, origins: &mut Vec<usize>) -> Result<()> {
        if let (Some(last), Some(&last_origin)) = (self.files.last(), origins.last()) {
            let is_new = origin == NEW || last_origin == NEW;
            if is_new && self.base.comparator.compare(last.largest.encoded(), file.smallest.encoded()).is_ge()
            {
                return Err(Error::corruption(format!(
                    "table files {} and {} overlap at level {}: {:?} is not below {:?}",
                    last.number, file.number, self.level, last.largest, file.smallest
                )));
            }
        }
        self.files.push(file);
        origins.push(origin);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
