//! Tables of user keys, in the order of a user comparator: LevelDB's `Table` and `TableBuilder` classes for
//! programs. (Unrelated to RocksDB's PlainTable.) The tables of a database have internal keys, and readers of
//! their own in this folder.
//!
//! The bytes are LevelDB's: no properties, no whole-table filter. A database's table can be read from its
//! first entry to its last with a comparator that treats internal keys as bytes.
//!
//! A builder is used by one thread, a table by any number of threads, an iterator by one thread at a time.

mod builder;
mod iterator;
mod reader;

pub use builder::UserKeyTableBuilder;
pub use iterator::UserKeyTableIterator;
pub use reader::UserKeyTable;

#[cfg(test)]
mod tests;
