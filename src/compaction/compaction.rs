//! stub
use crate::format::internal_key::InternalKey;
use crate::version::file_metadata::FileMetaData;
use crate::version::version::Version;
use std::sync::Arc;

/// Why a compaction was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompactionReason {
    /// A range the user asked for.
    Manual,
    /// Too many files or bytes, or too many deletions, in a level.
    Size,
    /// Too many reads in vain.
    Seek,
}

/// Files of one level and the next that are to be merged into the next.
pub struct Compaction {
    /// Why.
    pub reason: CompactionReason,
    /// The level compacted.
    pub level: usize,
    /// Where the outputs go: `level + 1` (a manual compaction of the last level that has data may rewrite it in place).
    pub output_level: usize,
    /// Files of `level` and of `output_level`.
    pub inputs: [Vec<Arc<FileMetaData>>; 2],
    /// Files of the level behind, that the inputs overlap.
    pub grandparents: Vec<Arc<FileMetaData>>,
    /// Bytes after which another output is started.
    pub max_output_file_size: u64,
    /// Bytes of grandparents at which an output ends.
    pub max_grandparent_overlap: u64,
    /// The state it was chosen from.
    pub version: Arc<Version>,
    /// Where the level's next size compaction starts (goes into the edit).
    pub compact_pointer: Option<InternalKey>,
}

impl Compaction {
    /// One file, nothing to merge it with, few grandparents: it is moved by an edit alone. Never for a file whose boundary user keys its
    /// neighbours share, and never for one chosen for its deletions.
    pub fn is_trivial_move(&self) -> bool {
        todo!()
    }
    /// Marks the inputs as being compacted, or no longer.
    pub fn mark_inputs(&self, being_compacted: bool) {
        todo!()
    }
    /// No level behind the output level can hold this user key. Called with ascending keys.
    /// (the job keeps the per-level cursors that make it cheap)
    pub fn num_input_files(&self) -> usize {
        self.inputs[0].len() + self.inputs[1].len()
    }
    /// Bytes of the inputs.
    pub fn input_bytes(&self) -> u64 {
        todo!()
    }
}
