//! What the choice of a compaction depends on besides the version: options, the oldest snapshot, compactions
//! in progress.

use crate::compaction::in_progress::CompactionsInProgress;
use crate::format::internal_key::SequenceNumber;

/// What the choice of a compaction depends on besides the version.
#[derive(Clone, Copy, Debug)]
pub struct PickerOptions<'a> {
    /// Level 0 needs a compaction if it has this many files.
    pub level0_file_num_compaction_trigger: usize,
    /// Level 1 needs a compaction if its files have this many bytes. Each deeper level may hold ten times
    /// more.
    pub max_bytes_for_level_base: u64,
    /// The size of an output file, in bytes.
    pub max_file_size: u64,
    /// The sequence number of the oldest live snapshot, or the last sequence number. Tombstones up to it can
    /// be dropped. The job that follows must not see an older snapshot.
    pub oldest_snapshot: SequenceNumber,
    /// The running compactions of the column family, with the ranges that they write.
    pub in_progress: &'a CompactionsInProgress,
    /// Files with this epoch or a higher one were written by jobs that began after the manual compaction in
    /// question was requested. `u64::MAX`: no such file is known.
    pub rewritten_from: u64,
}
