//! stub
use super::version::Version;
use super::version_edit::VersionEdit;
use crate::error::Result;
use std::sync::Arc;

/// A version and edits make the next version.
pub struct VersionBuilder {}

impl VersionBuilder {
    /// Starts from `base`.
    pub fn new(base: Arc<Version>) -> Self {
        todo!()
    }
    /// Adds an edit. Corruption: level out of range, duplicate number, deletion of an unknown file, smallest > largest.
    pub fn apply(&mut self, edit: &VersionEdit) -> Result<()> {
        todo!()
    }
    /// The new version. Corruption: overlap at a level >= 1.
    pub fn finish(self) -> Result<Version> {
        todo!()
    }
}
