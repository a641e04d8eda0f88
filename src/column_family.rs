//! Column families. A column family joins memtables and a version; no module of a lower floor knows both.
//!
//! A database has a set of column families. Each has its own order, options, memtables, version and super
//! version. Every database has the default one, with number 0; puts and gets do not search for it.

pub mod dead_spans;
mod family;
pub mod found_compression;
mod iterator_pool;
pub mod read_iterator;
pub mod super_version;

pub use family::{ColumnFamily, FamilyMemtables};
