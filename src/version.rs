//! Which files make up each column family. Knows no memtables and no WALs.
//!
//! A [`Version`] is immutable: the files of each level at one moment. `version_edit` is a change of it,
//! `builder` applies edits, `version_set` keeps the current version, `manifest` writes edits to the MANIFEST
//! and reads them back. `get` and `level_iterator` read from a version.

pub mod builder;
pub mod file_metadata;
mod files;
pub mod get;
pub mod key_range;
pub mod level;
pub mod level_iterator;
pub mod manifest;
#[cfg(test)]
pub(crate) mod test_support;
pub mod version_edit;
pub mod version_set;

pub use files::{MAX_GRANDPARENT_OUTPUTS, Version};
