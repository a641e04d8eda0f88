//! stub: interface only

use std::sync::Arc;

/// What a cached value is known by: its table and its offset there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CacheKey {
    /// From `BlockCache::new_id`.
    pub id: u64,
    /// Of the block in its file.
    pub offset: u64,
}

/// A sharded, scan-resistant cache bounded by the sum of its entries' charges.
pub struct Cache<V> {
    _marker: std::marker::PhantomData<V>,
}

/// The cache of uncompressed blocks.
pub type BlockCache = Cache<Arc<[u8]>>;

impl<V: Clone> Cache<V> {
    /// A cache of about `capacity` bytes (0 keeps nothing).
    pub fn new(capacity: usize) -> Self {
        todo!()
    }
    /// A number no other user of this cache has.
    pub fn new_id(&self) -> u64 {
        todo!()
    }
    /// The value, if it is cached.
    pub fn get(&self, key: CacheKey) -> Option<V> {
        todo!()
    }
    /// Keeps a value that takes `charge` bytes; a value under the same key is replaced.
    pub fn insert(&self, key: CacheKey, value: V, charge: usize) {
        todo!()
    }
    /// Forgets a value.
    pub fn remove(&self, key: CacheKey) {
        todo!()
    }
    /// Charges of all that is cached.
    pub fn total_charge(&self) -> usize {
        todo!()
    }
    /// Forgets everything.
    pub fn clear(&self) {
        todo!()
    }
}
