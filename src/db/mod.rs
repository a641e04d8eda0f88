//! stub: the public interface of a database
use crate::batch::write_batch::WriteBatch;
use crate::error::Result;
use crate::options::{Options, ReadOptions, WriteOptions};
use std::path::Path;

/// An open database. All methods may be called from any thread at once. Dropping it closes it.
pub struct Db {}

/// A state of the database that stays readable; may outlive the database. Dropping it releases it.
pub struct Snapshot {}

/// A position in the user's view of the database: consistent for life, may outlive the database (every move then ends with an error).
pub struct DbIterator {}

impl Db {
    /// Opens the database in the directory `path`.
    pub fn open(options: &Options, path: &Path) -> Result<Db> {
        todo!()
    }
    /// Sets a key.
    pub fn put(&self, options: &WriteOptions, key: &[u8], value: &[u8]) -> Result<()> {
        todo!()
    }
    /// Deletes a key, which need not exist.
    pub fn delete(&self, options: &WriteOptions, key: &[u8]) -> Result<()> {
        todo!()
    }
    /// Writes a batch: all or nothing.
    pub fn write(&self, options: &WriteOptions, batch: &WriteBatch) -> Result<()> {
        todo!()
    }
    /// Starts a new memtable and log, flushing the old one in the background: what LevelDB does on a write of NULL.
    pub fn rotate_memtable(&self) -> Result<()> {
        todo!()
    }
    /// The value of a key.
    pub fn get(&self, options: &ReadOptions, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get_with(options, key, |value| value.to_vec())
    }
    /// Hands the value of a key to `found`, uncopied.
    pub fn get_with<R>(
        &self,
        options: &ReadOptions,
        key: &[u8],
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        todo!()
    }
    /// An iterator over the state now, or at `options.snapshot`.
    pub fn iter(&self, options: &ReadOptions) -> DbIterator {
        todo!()
    }
    /// The state now.
    pub fn snapshot(&self) -> Snapshot {
        todo!()
    }
    /// A property by LevelDB's name (`leveldb.stats`); `None` for an unknown one.
    pub fn property(&self, name: &[u8]) -> Option<String> {
        todo!()
    }
    /// About how many bytes of table files each range [start, limit) takes.
    pub fn approximate_sizes(&self, ranges: &[(&[u8], &[u8])]) -> Vec<u64> {
        todo!()
    }
    /// Flushes, then compacts the user keys [begin, end] (None = unbounded), level by level; returns when that is done.
    pub fn compact_range(&self, begin: Option<&[u8]>, end: Option<&[u8]>) -> Result<()> {
        todo!()
    }
    /// Flushes the memtable and waits for it.
    pub fn flush(&self) -> Result<()> {
        todo!()
    }
    /// Closes: waits for background work, joins the threads, releases the lock. Dropping does the same without telling errors.
    pub fn close(self) -> Result<()> {
        todo!()
    }
}

impl Snapshot {
    /// For `ReadOptions::snapshot`.
    pub fn sequence(&self) -> u64 {
        todo!()
    }
}

impl DbIterator {
    /// Does it stand on an entry?
    pub fn valid(&self) -> bool {
        todo!()
    }
    /// Moves to the first key.
    pub fn seek_to_first(&mut self) {
        todo!()
    }
    /// Moves to the last key.
    pub fn seek_to_last(&mut self) {
        todo!()
    }
    /// Moves to the first key at or after `target`.
    pub fn seek(&mut self, target: &[u8]) {
        todo!()
    }
    /// Moves on (only while valid).
    pub fn next(&mut self) {
        todo!()
    }
    /// Moves back (only while valid).
    pub fn prev(&mut self) {
        todo!()
    }
    /// The user key (only while valid; holds until the next move).
    pub fn key(&self) -> &[u8] {
        todo!()
    }
    /// The value (only while valid; holds until the next move).
    pub fn value(&self) -> &[u8] {
        todo!()
    }
    /// The first error since the last seek.
    pub fn status(&self) -> Result<()> {
        todo!()
    }
}

/// Removes a database: its files, then the directory if nothing else is in it. A missing directory is fine.
pub fn destroy(options: &Options, path: &Path) -> Result<()> {
    todo!()
}

/// Makes a database that won't open openable again, saving what can be read.
pub fn repair(options: &Options, path: &Path) -> Result<()> {
    todo!()
}
