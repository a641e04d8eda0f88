//! The running compactions of one column family. Their input files are marked; their output ranges are kept
//! here.
//!
//! Marks alone are not enough. A compaction of the files `[a, c]` and `[x, z]` may write one file `[a, z]`.
//! Meanwhile a flush, or another compaction of a file `[d, e]` that came into the gap later, may place `[d,
//! e]` at the same level. Two files of a level would then overlap.
//!
//! Guarded by the state mutex. A compaction is listed from when it is picked until its edit is installed or
//! given up. That includes a trivial move, because the mutex is released while its edit is written.

use crate::compaction::Compaction;
use crate::format::internal_key::InternalKeyComparator;

/// The range that one compaction writes to.
#[derive(Clone, Debug)]
struct OutputRange {
    /// The number of the compaction's first input file. It identifies the compaction, since a file is an
    /// input of at most one.
    first_input: u64,
    level: usize,
    smallest: Box<[u8]>,
    largest: Box<[u8]>,
}

/// The running compactions of a column family.
#[derive(Clone, Debug, Default)]
pub struct CompactionsInProgress {
    ranges: Vec<OutputRange>,
}

impl CompactionsInProgress {
    /// No running compactions.
    pub const fn new() -> Self {
        CompactionsInProgress { ranges: Vec::new() }
    }

    /// Adds a compaction that is about to run: marks its inputs and keeps its output range.
    pub fn add(&mut self, compaction: &Compaction) {
        compaction.mark_inputs(true);
        let (smallest, largest) = compaction.output_range();
        self.ranges.push(OutputRange {
            first_input: compaction.inputs[0][0].number,
            level: compaction.output_level,
            smallest: smallest.into(),
            largest: largest.into(),
        });
    }

    /// Removes a compaction that was installed or given up, and clears the marks of its inputs. (Some of
    /// these may not be in the version any more; that does no harm.)
    pub fn remove(&mut self, compaction: &Compaction) {
        compaction.mark_inputs(false);
        let first_input = compaction.inputs[0][0].number;
        self.ranges.retain(|range| range.first_input != first_input);
    }

    /// Is no compaction running?
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// May a running compaction write a file to `level` that overlaps the user keys [smallest, largest]?
    pub fn overlaps(
        &self,
        comparator: &InternalKeyComparator,
        level: usize,
        smallest: &[u8],
        largest: &[u8],
    ) -> bool {
        self.ranges.iter().any(|range| {
            range.level == level
                && comparator.compare_user_keys(&range.smallest, largest).is_le()
                && comparator.compare_user_keys(&range.largest, smallest).is_ge()
        })
    }

    /// The level where a flushed table with the user keys [smallest, largest] may go, if the version alone
    /// would allow `level`: the deepest one such that no running compaction writes into the range there or at
    /// a level above it.
    pub fn level_for_flush(
        &self,
        comparator: &InternalKeyComparator,
        level: usize,
        smallest: &[u8],
        largest: &[u8],
    ) -> usize {
        (1..=level).take_while(|&deeper| !self.overlaps(comparator, deeper, smallest, largest)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compaction::test_support::{compaction_of, file, version};

    #[test]
    fn a_running_compaction_may_write_anywhere_between_its_first_and_its_last_key() {
        let version = version(&[(1, vec![file(1, "a", "c"), file(2, "x", "z")])]);
        let order = &version.comparator;
        let compaction = compaction_of(&version, 1, &[1, 2]);
        let mut in_progress = CompactionsInProgress::new();
        in_progress.add(&compaction);
        assert!(version.levels[1].iter().all(|file| file.is_being_compacted()));
        for (smallest, largest) in [("d", "e"), ("z", "zz"), ("", "a"), ("0", "zz")] {
            assert!(in_progress.overlaps(order, 2, smallest.as_bytes(), largest.as_bytes()));
        }
        assert!(!in_progress.overlaps(order, 2, b"zz", b"zzz") && !in_progress.overlaps(order, 2, b"", b"0"));
        assert!(!in_progress.overlaps(order, 1, b"d", b"e"));
        in_progress.remove(&compaction);
        assert!(in_progress.is_empty() && !in_progress.overlaps(order, 2, b"d", b"e"));
        assert!(!version.levels[1].iter().any(|file| file.is_being_compacted()));
    }
}
