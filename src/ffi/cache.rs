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
    /// Another owner of the cache.
    pub(super) fn share(&self) -> Arc<BlockCache> {
        Arc::clone(&self.cache)
    }
}

/// Creates a cache of about `capacity` bytes of blocks, to be shared by any number of databases; 0 caches nothing. It
/// keeps what is used, not strictly what was used last. Destroy it with leveldb_cache_destroy(); databases and options
/// that use it keep what they need.
#[unsafe(no_mangle)]
pub extern "C" fn leveldb_cache_create_lru(capacity: usize) -> *mut leveldb_cache_t {
    contain(ptr::null_mut(), || handle::give(leveldb_cache_t { cache: Arc::new(BlockCache::new(capacity)) }))
}

/// Destroys a cache. Its memory is freed when the last database and options that use it are gone.
///
/// # Safety
/// `cache` is NULL or a cache whose handle is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_cache_destroy(cache: *mut leveldb_cache_t) {
    // SAFETY: the caller gives up a handle that came from leveldb_cache_create_lru.
    contain((), || drop(unsafe { handle::take_back(cache) }));
}

/// About how many bytes the blocks in a cache take; 0 for NULL.
///
/// # Safety
/// `cache` is NULL or a cache that is not destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn terrace_cache_usage(cache: *const leveldb_cache_t) -> usize {
    // SAFETY: as the caller promises.
    contain(0, || unsafe { handle::lend(cache) }.map_or(0, |handle| handle.cache.total_charge()))
}

/// Forgets the blocks in a cache. Those in use are freed when they are not any more.
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
