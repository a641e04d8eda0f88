//! A compaction that was chosen and has not run yet: its input files, its output level, and where its outputs
//! end.
//!
//! The picker guarantees, and the job relies on:
//! - The inputs hold whole user keys at every level they come from: no other file of these levels has a user
//!   key of theirs. Otherwise dropping a tombstone would expose an older entry of its key that was left
//!   behind (LevelDB's issue 320; existing directories contain user keys that are split over files).
//! - Level-0 inputs include every level-0 file that overlaps them.
//! - `inputs[1]` has every file of the next level that overlaps `inputs[0]`. If the output level is the one
//!   after that, `inputs[2]` has every file there that overlaps either.
//! - The range from the first to the last user key of all inputs does not overlap the range of another
//!   running compaction at the output level.
//!
//! A plan is immutable, and any thread may read it.

use crate::format::internal_key::InternalKey;
use crate::version::Version;
use crate::version::file_metadata::FileMetaData;
use crate::version::key_range::{total_bytes, user_key_range};
use std::sync::Arc;

/// Why a compaction was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompactionReason {
    /// The user asked for this range.
    Manual,
    /// Part of a manual compaction: files that it has written itself and that overlap no file of the next
    /// level. They are moved.
    ManualMove,
    /// A level has too many files or bytes, or a file with many tombstones.
    Size,
    /// Look-ups probed a file without a hit too often.
    Seek,
    /// The user asked that tables of LevelDB's language become tables of RocksDB's.
    ManualUpgrade,
    /// The same, because nothing else is to be done. One file, which stays at its level.
    Upgrade,
    /// The database is idle, and a merge of level 0 lets reads probe fewer files.
    Idle,
}

impl CompactionReason {
    /// Was it asked for by a user?
    pub fn is_manual(self) -> bool {
        matches!(
            self,
            CompactionReason::Manual | CompactionReason::ManualMove | CompactionReason::ManualUpgrade
        )
    }

    /// Does it only change the language of a table?
    pub fn is_upgrade(self) -> bool {
        matches!(self, CompactionReason::ManualUpgrade | CompactionReason::Upgrade)
    }
}

/// Files of one level and the next, or the next two, that are to be merged into the last of them.
#[derive(Clone)]
pub struct Compaction {
    /// Why it was chosen.
    pub reason: CompactionReason,
    /// The level that is compacted.
    pub level: usize,
    /// The level of the outputs: `level + 1`; or `level`, if files of the last level are rewritten in place;
    /// or `level + 2`, if the overlapping files of the level in between take part.
    pub output_level: usize,
    /// The input files of `level` (level 0: newest first), of the next level, and of the one after it, down
    /// to `output_level`.
    pub inputs: [Vec<Arc<FileMetaData>>; 3],
    /// The files of the level after the output level that overlap the inputs.
    pub grandparents: Vec<Arc<FileMetaData>>,
    /// The size at which an output ends, in bytes.
    pub max_output_file_size: u64,
    /// The bytes of overlapped grandparents at which an output ends.
    pub max_grandparent_overlap: u64,
    /// The version it was chosen from.
    pub version: Arc<Version>,
    /// Where the next size compaction of the level starts. Goes into the edit.
    pub compact_pointer: Option<InternalKey>,
    /// Does `inputs[0]` have a file that is mostly tombstones which no snapshot needs any more? Rewriting it
    /// frees space.
    pub drops_deletions: bool,
}

impl Compaction {
    /// Can the compaction be done by an edit alone, which moves one file? That takes one input file that
    /// overlaps no file of the next level, and few grandparents. (Its neighbours share no user key with it,
    /// or they would be inputs too.) Not if the user asked for a compaction that has not rewritten the file
    /// yet, and not if the file has many droppable tombstones.
    pub fn is_trivial_move(&self) -> bool {
        if self.reason == CompactionReason::ManualMove {
            return true;
        }
        self.reason != CompactionReason::Manual
            && self.level != self.output_level
            && self.inputs[0].len() == 1
            && self.inputs[1].is_empty()
            && !self.drops_deletions
            && total_bytes(&self.grandparents) <= self.max_grandparent_overlap
    }

    /// Marks the inputs as being compacted, or clears the marks. (`CompactionsInProgress` calls it for the
    /// compactions it lists.)
    pub fn mark_inputs(&self, being_compacted: bool) {
        for file in self.inputs.iter().flatten() {
            debug_assert_ne!(file.is_being_compacted(), being_compacted, "file {}", file.number);
            file.set_being_compacted(being_compacted);
        }
    }

    /// The number of input files of all levels.
    pub fn num_input_files(&self) -> usize {
        self.inputs.iter().map(Vec::len).sum()
    }

    /// The bytes of the input files of all levels.
    pub fn input_bytes(&self) -> u64 {
        total_bytes(self.inputs.iter().flatten())
    }

    /// The smallest and the largest user key of the inputs. The outputs lie between them at `output_level`.
    /// An output may span a gap between two inputs, so nothing else may be placed anywhere in this range.
    pub fn output_range(&self) -> (&[u8], &[u8]) {
        let files = self.inputs.iter().flatten();
        user_key_range(&self.version.comparator, files).unwrap_or((&[], &[]))
    }
}
