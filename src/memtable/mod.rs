//! What is mutable lives in memory.
pub mod list;
pub mod memtable;
pub mod skiplist;
