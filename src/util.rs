//! Utilities that know nothing about databases: integers, checksums, hashes, memory, locks, caches.

pub mod arena;
pub mod cache;
pub mod coding;
pub mod crc32c;
pub mod fork;
pub mod hash;
pub mod lock;
pub mod random;
pub mod shared_budget;
pub mod sync;
#[cfg(test)]
pub(crate) mod test_support;
