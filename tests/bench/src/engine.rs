//! The interface of an engine that is measured.
//!
//! A peer with another interface (RocksDB, fjall as a crate) is another implementation of [`Engine`] and
//! another kind of engine in `child`. The workloads are generic: each engine gets its own copy of the
//! measured loops, which calls the engine directly.
//!
//! A failed operation ends the child with the engine's message: the figures of such a run would be useless.

use crate::plan::Profile;
use std::path::Path;

/// Opens stores.
pub trait Engine {
    type Store: Store;
    /// Opens the store in this directory, and creates it if it is missing.
    fn open(&self, path: &Path, profile: &Profile) -> Self::Store;
}

/// An open store; dropping it closes it.
pub trait Store: Sync {
    type Batch: Batch;
    type Cursor<'s>: Cursor
    where
        Self: 's;

    /// Stores a value; `sync` waits until it is durable.
    fn put(&self, key: &[u8], value: &[u8], sync: bool);
    /// Removes a key.
    fn delete(&self, key: &[u8]);
    /// Returns whether the key is present. The engine produces the value, and it is freed.
    fn get(&self, key: &[u8]) -> bool;
    /// Creates an empty batch.
    fn batch(&self) -> Self::Batch;
    /// Writes a batch.
    fn write(&self, batch: &mut Self::Batch);
    /// Creates an iterator over the current state.
    fn cursor(&self) -> Self::Cursor<'_>;
    /// Compacts everything.
    fn compact(&self);
}

/// Writes that are applied atomically.
pub trait Batch {
    /// Adds a put.
    fn put(&mut self, key: &[u8], value: &[u8]);
    /// Removes all writes.
    fn clear(&mut self);
}

/// An iterator.
pub trait Cursor {
    fn seek_to_first(&mut self);
    fn seek_to_last(&mut self);
    /// Moves to the first entry at or after the key.
    fn seek(&mut self, key: &[u8]);
    fn next(&mut self);
    fn prev(&mut self);
    /// Does the cursor stand on an entry?
    fn valid(&self) -> bool;
    /// Reads the key and the value, and returns the sum of their lengths.
    fn entry(&self) -> usize;
}
