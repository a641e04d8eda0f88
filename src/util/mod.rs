//! What knows nothing about databases: integers, checksums, hashes, memory, caches.

pub mod arena;
pub mod cache;
pub mod coding;
pub mod crc32c;
pub mod fork;
pub mod hash;
pub mod histogram;
pub mod lock;
pub mod random;
pub mod shared_budget;
pub mod sync;
