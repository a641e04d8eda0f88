//! The changing state of one column family. Its version is in the `VersionSet`, its fixed part in
//! `ColumnFamily`.
//!
//! Thread rule: guarded by the state mutex.

use crate::column_family::FamilyMemtables;
use crate::compaction::in_progress::CompactionsInProgress;
use crate::db::background::idle_policy::IdlePolicy;
use crate::db::background::seek_policy::SeekPolicy;
use crate::flush::policy::FlushPolicy;
use crate::format::NUM_LEVELS;

/// The work of flushes and compactions into one level since the database was opened.
#[derive(Clone, Copy, Default)]
pub struct LevelStats {
    /// The time that they took, in microseconds.
    pub micros: u64,
    /// Bytes of compaction inputs. Memtables do not count.
    pub bytes_read: u64,
    /// Bytes of the tables written.
    pub bytes_written: u64,
}

/// The changing part of a family.
pub struct FamilyState {
    /// The active memtable and the immutable ones.
    pub memtables: FamilyMemtables,
    /// When immutable memtables are flushed.
    pub flush_policy: FlushPolicy,
    /// The running compactions of the family.
    pub in_progress: CompactionsInProgress,
    /// Which compactions run while nothing is written.
    pub idle: IdlePolicy,
    /// Which files reads have probed without a hit too often.
    pub seeks: SeekPolicy,
    /// The statistics of each level; work counts at the level of its output.
    pub stats: [LevelStats; NUM_LEVELS],
}

impl FamilyState {
    /// The state of a family that was just opened.
    pub fn new(memtables: FamilyMemtables, flush_policy: FlushPolicy) -> Self {
        FamilyState {
            memtables,
            flush_policy,
            in_progress: CompactionsInProgress::new(),
            idle: IdlePolicy::default(),
            seeks: SeekPolicy::default(),
            stats: Default::default(),
        }
    }

    /// Bytes that flushes and compactions have written since the database was opened.
    pub fn bytes_written(&self) -> u64 {
        self.stats.iter().map(|level| level.bytes_written).sum()
    }
}
