//! fjall, an LSM store in Rust: called as a crate, without a C interface in between.
//!
//! Some of its defaults differ from LevelDB's and are kept: LZ4 for compression (off if the profile says so),
//! a filter for every table, at most four compaction workers. The write buffer and the cache are set to those
//! of the profile.

use crate::engine::{Batch, Cursor, Engine, Store};
use crate::plan::Profile;
use fjall::config::CompressionPolicy;
use fjall::{
    Database, Iter, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch as WriteBatch, PersistMode, UserKey,
    UserValue,
};
use std::path::Path;

/// The size of the block cache if the profile has none, in bytes: LevelDB's default.
const DEFAULT_CACHE_BYTES: usize = 8 << 20;

pub struct Fjall;

impl Engine for Fjall {
    type Store = FjallStore;

    fn open(&self, path: &Path, profile: &Profile) -> FjallStore {
        let cache = profile.cache_bytes.unwrap_or(DEFAULT_CACHE_BYTES) as u64;
        let database = Database::builder(path).cache_size(cache).open().unwrap_or_else(|error| fail(error));
        let options = || {
            let options =
                KeyspaceCreateOptions::default().max_memtable_size(profile.write_buffer_size as u64);
            match profile.compressed {
                true => options,
                false => options.data_block_compression_policy(CompressionPolicy::disabled()),
            }
        };
        let keys = database.keyspace("keys", options).unwrap_or_else(|error| fail(error));
        FjallStore { keys, database }
    }
}

/// Ends the child after a failed operation.
#[cold]
fn fail(error: fjall::Error) -> ! {
    panic!("fjall: {error}");
}

/// An open database and its one keyspace.
pub struct FjallStore {
    keys: Keyspace,
    database: Database,
}

impl Store for FjallStore {
    type Batch = FjallBatch;
    type Cursor<'s> = FjallCursor<'s>;

    #[inline]
    fn put(&self, key: &[u8], value: &[u8], sync: bool) {
        self.keys.insert(key, value).unwrap_or_else(|error| fail(error));
        if sync {
            self.database.persist(PersistMode::SyncData).unwrap_or_else(|error| fail(error));
        }
    }

    #[inline]
    fn delete(&self, key: &[u8]) {
        self.keys.remove(key).unwrap_or_else(|error| fail(error));
    }

    #[inline]
    fn get(&self, key: &[u8]) -> bool {
        self.keys.get(key).unwrap_or_else(|error| fail(error)).is_some()
    }

    fn batch(&self) -> FjallBatch {
        FjallBatch { keys: self.keys.clone(), database: self.database.clone(), writes: self.database.batch() }
    }

    #[inline]
    fn write(&self, batch: &mut FjallBatch) {
        let writes = std::mem::replace(&mut batch.writes, self.database.batch());
        writes.commit().unwrap_or_else(|error| fail(error));
    }

    #[inline]
    fn cursor(&self) -> FjallCursor<'_> {
        FjallCursor { store: self, rest: None, current: None }
    }

    fn compact(&self) {
        self.keys.rotate_memtable_and_wait().unwrap_or_else(|error| fail(error));
        self.keys.major_compact().unwrap_or_else(|error| fail(error));
    }
}

/// A batch. Committing it consumes it.
pub struct FjallBatch {
    keys: Keyspace,
    database: Database,
    writes: WriteBatch,
}

impl Batch for FjallBatch {
    #[inline]
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.writes.insert(&self.keys, key, value);
    }

    fn clear(&mut self) {
        if !self.writes.is_empty() {
            self.writes = self.database.batch();
        }
    }
}

/// A range iterator and its current entry. A seek creates a new range, as the crate has no other way.
pub struct FjallCursor<'s> {
    store: &'s FjallStore,
    rest: Option<Iter>,
    current: Option<(UserKey, UserValue)>,
}

impl FjallCursor<'_> {
    #[inline]
    fn take(&mut self, guard: Option<fjall::Guard>) {
        self.current = guard.map(|guard| guard.into_inner().unwrap_or_else(|error| fail(error)));
    }
}

impl Cursor for FjallCursor<'_> {
    fn seek_to_first(&mut self) {
        self.rest = Some(self.store.keys.iter());
        self.next();
    }

    fn seek_to_last(&mut self) {
        self.rest = Some(self.store.keys.iter());
        self.prev();
    }

    #[inline]
    fn seek(&mut self, key: &[u8]) {
        self.rest = Some(self.store.keys.range(key..));
        self.next();
    }

    #[inline]
    fn next(&mut self) {
        let guard = self.rest.as_mut().and_then(Iterator::next);
        self.take(guard);
    }

    #[inline]
    fn prev(&mut self) {
        let guard = self.rest.as_mut().and_then(DoubleEndedIterator::next_back);
        self.take(guard);
    }

    #[inline]
    fn valid(&self) -> bool {
        self.current.is_some()
    }

    #[inline]
    fn entry(&self) -> usize {
        let (key, value) = self.current.as_ref().expect("the workloads ask valid cursors");
        std::hint::black_box((key, value));
        key.len() + value.len()
    }
}
