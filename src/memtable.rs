//! The part of a database in memory: a skiplist in an arena, the memtable on top of it, and the list of
//! immutable memtables that wait for their flush.

mod buffer;
pub mod list;
pub mod skiplist;

pub use buffer::{Memtable, MemtableGet, MemtableIterator, MemtableWriter};

#[cfg(test)]
mod tests;
