//! Moves over a table of user keys. A block is decoded whole when it is reached, so that a caller may keep
//! keys and values until the next move.
//!
//! An iterator is used by one thread at a time.

use super::reader::UserKeyTable;
use crate::error::{Error, Result};
use crate::format::limits::MAX_BLOCK_SIZE;
use crate::options::ReadAt;
use crate::table::block::Block;
use crate::table::footer::BlockHandle;
use crate::util::cache::CachedBlock;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// The entries of one block, with their keys built.
struct LoadedBlock {
    bytes: CachedBlock,
    keys: Vec<u8>,
    /// Where the key of each entry is in `keys`, and its value in `bytes`.
    entries: Vec<(Range<usize>, Range<usize>)>,
}

impl LoadedBlock {
    fn key(&self, at: usize) -> &[u8] {
        &self.keys[self.entries[at].0.clone()]
    }
}

impl UserKeyTable {
    /// An iterator over the table, on no entry.
    pub fn iter(self: &Arc<Self>, read: ReadAt) -> UserKeyTableIterator {
        UserKeyTableIterator { table: self.clone(), read, block: 0, loaded: None, at: 0, error: None }
    }
}

/// A position in a table of user keys. A block that cannot be read is skipped, and the error kept.
pub struct UserKeyTableIterator {
    table: Arc<UserKeyTable>,
    read: ReadAt,
    /// The block that is loaded. The iterator is valid while one is, and stands on its entry `at`.
    block: usize,
    loaded: Option<LoadedBlock>,
    at: usize,
    error: Option<Error>,
}

impl UserKeyTableIterator {
    /// Does the iterator stand on an entry?
    pub fn valid(&self) -> bool {
        self.loaded.is_some()
    }

    /// The current key; empty if the iterator is not valid.
    pub fn key(&self) -> &[u8] {
        self.loaded.as_ref().map_or(&[], |block| block.key(self.at))
    }

    /// The current value; empty if the iterator is not valid.
    pub fn value(&self) -> &[u8] {
        self.loaded.as_ref().map_or(&[], |block| &block.bytes.block()[block.entries[self.at].1.clone()])
    }

    /// The first error since the last seek.
    pub fn status(&self) -> Result<()> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// Moves to the first entry of the table.
    pub fn seek_to_first(&mut self) {
        self.error = None;
        self.forward_from(0);
    }

    /// Moves to the last entry of the table.
    pub fn seek_to_last(&mut self) {
        self.error = None;
        self.backward_from(self.table.index.len());
    }

    /// Moves to the first entry at or after `target`.
    pub fn seek(&mut self, target: &[u8]) {
        self.error = None;
        let block = self.table.find_block(target);
        if !self.load(block) {
            return self.forward_from(block + 1);
        }
        let comparator = self.table.comparator.clone();
        let Some(loaded) = &self.loaded else { return };
        let before = |entry: &(Range<usize>, Range<usize>)| {
            comparator.compare(&loaded.keys[entry.0.clone()], target) == Ordering::Less
        };
        self.at = loaded.entries.partition_point(before);
        if self.at == loaded.entries.len() {
            self.forward_from(block + 1);
        }
    }

    /// Moves to the next entry. Call only while valid.
    pub fn next(&mut self) {
        let Some(loaded) = &self.loaded else { return };
        self.at += 1;
        if self.at >= loaded.entries.len() {
            self.forward_from(self.block + 1);
        }
    }

    /// Moves to the previous entry. Call only while valid.
    pub fn prev(&mut self) {
        if self.loaded.is_none() {
            return;
        }
        match self.at.checked_sub(1) {
            Some(before) => self.at = before,
            None => self.backward_from(self.block),
        }
    }

    /// Moves to the first entry of the first block at or after `first` that has entries.
    fn forward_from(&mut self, first: usize) {
        self.loaded = None;
        for block in first..self.table.index.len() {
            if self.load(block) {
                self.at = 0;
                return;
            }
        }
    }

    /// Moves to the last entry of the last block before `end` that has entries.
    fn backward_from(&mut self, end: usize) {
        self.loaded = None;
        for block in (0..end).rev() {
            if self.load(block) {
                self.at = self.loaded.as_ref().map_or(0, |loaded| loaded.entries.len() - 1);
                return;
            }
        }
    }

    /// Loads a block. Returns false if it has no entries or cannot be read; the error is kept.
    fn load(&mut self, block: usize) -> bool {
        self.loaded = None;
        // A user comparator may panic before the position is set. Entry 0 exists in every block that is kept.
        (self.block, self.at) = (block, 0);
        let table = self.table.clone();
        let Some((_, handle)) = table.index.get(block) else { return false };
        let loaded = table.load(*handle, &self.read).and_then(|bytes| decode(&table, *handle, bytes));
        match loaded {
            Ok(loaded) if !loaded.entries.is_empty() => self.loaded = Some(loaded),
            Ok(_) => {}
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self.loaded.is_some()
    }
}

/// Builds the keys of a block.
fn decode(table: &UserKeyTable, handle: BlockHandle, bytes: CachedBlock) -> Result<LoadedBlock> {
    let (mut keys, mut ranges) = (Vec::new(), Vec::new());
    {
        let bad = |bad| table.file.bad_block(handle, bad);
        let mut entries = Block::parse(bytes.block()).map_err(bad)?.entries();
        while let Some((key, value)) = entries.next().map_err(bad)? {
            // Prefixes are shared, so a small damaged block could ask for any amount of memory.
            if keys.len() + key.len() > MAX_BLOCK_SIZE {
                return Err(table.file.bad_block(handle, "bad block: more than 1 GiB of keys"));
            }
            if keys.try_reserve(key.len()).is_err() {
                return Err(Error::io("no memory for the keys of a block"));
            }
            let start = keys.len();
            keys.extend_from_slice(key);
            // The value is a slice of the block.
            let offset = value.as_ptr() as usize - bytes.block().as_ptr() as usize;
            ranges.push((start..keys.len(), offset..offset + value.len()));
        }
    }
    Ok(LoadedBlock { bytes, keys, entries: ranges })
}
