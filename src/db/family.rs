//! One column family of an open database: how the threads refer to its fixed part, and its changing state.
//! Its version is in the `VersionSet`, its fixed part in `ColumnFamily`.
//!
//! Thread rule: a [`FamilyRef`] may be used by any thread; [`FamilyState`] is guarded by the state mutex.

use crate::column_family::{ColumnFamily, FamilyMemtables};
use crate::compaction::in_progress::CompactionsInProgress;
use crate::compaction::job::CompactionOutcome;
use crate::compaction::{Compaction, CompactionReason};
use crate::db::background::idle_policy::IdlePolicy;
use crate::db::background::seek_policy::SeekPolicy;
use crate::flush::policy::FlushPolicy;
use crate::format::NUM_LEVELS;
use std::sync::Arc;

/// A reference to the fixed part of a family, which it keeps alive. The default family is a part of its
/// database, so that no put or get counts references to it.
#[derive(Clone)]
pub(in crate::db) enum FamilyRef {
    /// The default family.
    Default,
    /// Another one.
    Other(Arc<ColumnFamily>),
}

impl FamilyRef {
    /// The family; `default_family` is that of its database.
    #[inline]
    pub fn or<'a>(&'a self, default_family: &'a ColumnFamily) -> &'a ColumnFamily {
        match self {
            FamilyRef::Default => default_family,
            FamilyRef::Other(family) => family,
        }
    }
}

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
    /// The fixed part.
    pub(in crate::db) family: FamilyRef,
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
    pub stats: Box<[LevelStats; NUM_LEVELS]>,
}

impl FamilyState {
    /// The state of a family that was just opened or created.
    pub(in crate::db) fn new(
        family: FamilyRef,
        memtables: FamilyMemtables,
        flush_policy: FlushPolicy,
    ) -> Self {
        FamilyState {
            family,
            memtables,
            flush_policy,
            in_progress: CompactionsInProgress::new(),
            idle: IdlePolicy::default(),
            seeks: SeekPolicy::default(),
            stats: Default::default(),
        }
    }

    /// A flush that took `micros` microseconds has written tables: the level and the bytes of each.
    pub fn note_flush(&mut self, micros: u64, tables: &[(usize, u64)]) {
        self.stats[tables.first().map_or(0, |&(level, _)| level)].micros += micros;
        for &(level, bytes) in tables {
            self.stats[level].bytes_written += bytes;
        }
    }

    /// A compaction has run. An upgrade of a table does not count: what idle and seek compactions may write
    /// grows with the work of the others.
    pub fn note_compaction(&mut self, compaction: &Compaction, outcome: &CompactionOutcome) {
        if compaction.reason.is_upgrade() {
            return;
        }
        let stats = &mut self.stats[compaction.output_level];
        stats.micros += outcome.micros;
        stats.bytes_read += outcome.bytes_read;
        stats.bytes_written += outcome.bytes_written;
        match compaction.reason {
            CompactionReason::Idle => self.idle.note_written(outcome.bytes_written),
            CompactionReason::Seek => self.seeks.note_written(outcome.bytes_written),
            _ => {}
        }
    }

    /// Bytes that flushes and compactions have written since the database was opened.
    pub fn bytes_written(&self) -> u64 {
        self.stats.iter().map(|level| level.bytes_written).sum()
    }
}
