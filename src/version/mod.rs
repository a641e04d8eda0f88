//! Which files make up each column family; knows no memtables.
pub mod builder;
pub mod file_metadata;
pub mod get;
pub mod level;
pub mod level_iterator;
pub mod manifest;
#[cfg(test)]
mod testing;
#[allow(clippy::module_inception)]
pub mod version;
pub mod version_edit;
pub mod version_set;
