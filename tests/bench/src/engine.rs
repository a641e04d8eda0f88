//! What an engine must be able to do to be measured.
//!
//! A peer with another interface (goleveldb or RocksDB through a C shim, fjall as a crate) is another implementation of
//! [`Engine`] and a kind of engine that `child` tells apart. The workloads are generic: each engine gets its own copy of the
//! measured loops, with its calls in them and nothing in between.
//!
//! An operation that fails ends the child with the engine's message: a benchmark has no use for going on.

use crate::plan::Profile;
use std::path::Path;

/// Opens stores.
pub trait Engine {
    /// What it opens.
    type Store: Store;

    /// Opens the store in this directory, and makes it if it is missing.
    fn open(&self, path: &Path, profile: &Profile) -> Self::Store;
}

/// An open store; dropping it closes it.
pub trait Store: Sync {
    /// Writes to be applied together.
    type Batch: Batch;
    /// An iterator.
    type Cursor<'s>: Cursor
    where
        Self: 's;

    /// Stores a value; `sync` waits until it is durable.
    fn put(&self, key: &[u8], value: &[u8], sync: bool);
    /// Removes a key.
    fn delete(&self, key: &[u8]);
    /// Whether the key is there; its value is produced and freed.
    fn get(&self, key: &[u8]) -> bool;
    /// An empty batch.
    fn batch(&self) -> Self::Batch;
    /// Applies a batch.
    fn write(&self, batch: &mut Self::Batch);
    /// An iterator over the present.
    fn cursor(&self) -> Self::Cursor<'_>;
    /// Compacts everything.
    fn compact(&self);
}

/// Writes to be applied together.
pub trait Batch {
    /// Adds a value to store.
    fn put(&mut self, key: &[u8], value: &[u8]);
    /// Takes everything out.
    fn clear(&mut self);
}

/// An iterator.
pub trait Cursor {
    /// To the first entry.
    fn seek_to_first(&mut self);
    /// To the last entry.
    fn seek_to_last(&mut self);
    /// To the first entry at or after the key.
    fn seek(&mut self, key: &[u8]);
    /// On.
    fn next(&mut self);
    /// Back.
    fn prev(&mut self);
    /// Whether it stands on an entry.
    fn valid(&self) -> bool;
    /// Asks for key and value, and returns their lengths' sum.
    fn entry(&self) -> usize;
}
