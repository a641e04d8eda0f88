//! `leveldb_cache_t`: the cache of uncompressed blocks, which databases may share.
#![allow(unsafe_code)]

use super::boundary::contain;
use super::handle;
use crate::util::cache::BlockCache;
use std::ptr;
use std::sync::Arc;

/// A cache of uncompressed blocks; see leveldb_cache_create_lru().
#[allow(non_camel_case_types)]
pub struct leveldb_cache_t {
    cache: Arc<BlockCache>,
}

impl leveldb_cache_t {
    /// Adds an owner of the cache.
    pub(super) fn share(&self) -> Arc<BlockCache> {
        Arc::clone(&self.cache)
    }
}

/// Creates a cache for about `capacity` bytes of blocks; 0 caches nothing. Any number of databases may share
/// it. Blocks are evicted by S3-FIFO, not in strict LRU order. Destroy it with leveldb_cache_destroy();
/// databases and options that use it hold references of their own.
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_cache_create_lru(capacity: usize) -> *mut leveldb_cache_t {
    contain(ptr::null_mut(), || handle::give(leveldb_cache_t { cache: Arc::new(BlockCache::new(capacity)) }))
}

/// Destroys the handle of a cache. Its memory is freed when the last database and the last options that use
/// it are gone.
///
/// # Safety
/// `cache` is NULL or a cache whose handle is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_cache_destroy(cache: *mut leveldb_cache_t) {
    // SAFETY: the caller gives up a handle that came from leveldb_cache_create_lru.
    contain((), || drop(unsafe { handle::take_back(cache) }));
}

/// The approximate size of the blocks in a cache, in bytes; 0 for NULL.
///
/// # Safety
/// `cache` is NULL or a cache that is not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_cache_usage(cache: *const leveldb_cache_t) -> usize {
    // SAFETY: as the caller promises.
    contain(0, || unsafe { handle::lend(cache) }.map_or(0, |handle| handle.cache.total_charge()))
}

/// Removes all blocks from a cache. Blocks in use are freed when their last user releases them.
///
/// # Safety
/// `cache` is NULL or a cache that is not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_cache_prune(cache: *mut leveldb_cache_t) {
    contain((), || {
        // SAFETY: as the caller promises.
        if let Some(handle) = unsafe { handle::lend(cache) } {
            handle.cache.clear();
        }
    });
}
