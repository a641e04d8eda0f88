//! stub
use super::compaction::Compaction;
use crate::error::Result;
use crate::flush::job::JobContext;
use crate::version::version_edit::VersionEdit;

/// What a compaction did.
pub struct CompactionOutcome {
    /// Deletes the inputs, adds the outputs, sets the compact pointer.
    pub edit: VersionEdit,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Microseconds.
    pub micros: u64,
}

/// Merges the inputs into new files. The outputs are synced and the directory is synced; nothing is installed. On an error every
/// output is removed.
pub fn run(compaction: &Compaction, context: &JobContext<'_>) -> Result<CompactionOutcome> {
    todo!()
}
