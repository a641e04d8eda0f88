//! A compaction that was chosen and not yet run: which files, where to, and how its outputs are cut.
//!
//! What the picker guarantees, and the job relies on:
//! - Both sides hold whole user keys: no file beside the inputs, at either level, has a user key of theirs. Else a dropped deletion
//!   would bring back an older entry of its key that stayed behind (LevelDB's issue 320; existing directories contain keys
//!   split over files).
//! - Level-0 inputs hold every level-0 file that overlaps them.
//! - `inputs[1]` holds every file of the next level that overlaps `inputs[0]`; `inputs[2]`, where the output level is the one after that,
//!   every file there that overlaps either.
//! - The range from the first to the last user key of all inputs overlaps no other running compaction's at the output level.
//!
//! Immutable; shared freely between threads.

use super::inputs;
use crate::format::internal_key::InternalKey;
use crate::version::file_metadata::FileMetaData;
use crate::version::version::Version;
use std::sync::Arc;

/// Why a compaction was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompactionReason {
    /// A range the user asked for.
    Manual,
    /// The same, of files that it has written itself, and that meet nothing: they are moved.
    ManualMove,
    /// Too many files or bytes, or too many deletions, in a level.
    Size,
    /// Too many reads in vain.
    Seek,
    /// Nobody writes, and reads had better look into fewer files.
    Idle,
}

/// Files of one level and the next, or the next two, that are to be merged into the last of them.
#[derive(Clone)]
pub struct Compaction {
    /// Why.
    pub reason: CompactionReason,
    /// The level compacted.
    pub level: usize,
    /// Where the outputs go: `level + 1`; `level` where files of the last level are rewritten in place; `level + 2` where what lies
    /// in between comes along.
    pub output_level: usize,
    /// Files of `level` (level 0: newest first), of the next one, and of the one after that, down to `output_level`.
    pub inputs: [Vec<Arc<FileMetaData>>; 3],
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
    /// A file of `inputs[0]` is mostly deletions that no snapshot holds any more: rewriting gives their space back.
    pub drops_deletions: bool,
}

impl Compaction {
    /// One file, nothing to merge it with, few grandparents: it is moved by an edit alone. (Its neighbours share no user key
    /// with it: they would be inputs too.) Never where the user asked for work that is yet to be done, nor for a file full of deletions.
    pub fn is_trivial_move(&self) -> bool {
        if self.reason == CompactionReason::ManualMove {
            return true;
        }
        self.reason != CompactionReason::Manual
            && self.level != self.output_level
            && self.inputs[0].len() == 1
            && self.inputs[1].is_empty()
            && !self.drops_deletions
            && inputs::total_bytes(&self.grandparents) <= self.max_grandparent_overlap
    }

    /// Marks the inputs as being compacted, or no longer. (`RunningCompactions` does it for what it keeps.)
    pub fn mark_inputs(&self, being_compacted: bool) {
        for file in self.inputs.iter().flatten() {
            debug_assert_ne!(file.is_being_compacted(), being_compacted, "file {}", file.number);
            file.set_being_compacted(being_compacted);
        }
    }

    /// The inputs of all levels.
    pub fn num_input_files(&self) -> usize {
        self.inputs.iter().map(Vec::len).sum()
    }

    /// Bytes of the inputs.
    pub fn input_bytes(&self) -> u64 {
        inputs::total_bytes(self.inputs.iter().flatten())
    }

    /// The user keys, first and last, between which the outputs will lie at `output_level`. An output may span a gap
    /// between two inputs, so nothing else may be placed anywhere in the range.
    pub fn output_range(&self) -> (&[u8], &[u8]) {
        let files = self.inputs.iter().flatten();
        inputs::user_key_range(&self.version.comparator, files).unwrap_or((&[], &[]))
    }
}
