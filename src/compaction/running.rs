//! The running compactions of one column family: what they read is marked in the files, where they write is kept here.
//!
//! Marks alone are not enough: a compaction of files `[a, c]` and `[x, z]` may write one file `[a, z]`, while another, of a file
//! `[d, e]` that came to the gap later, or a flush, is about to place `[d, e]` at the same level. Two files of a level would overlap.
//!
//! Lives under the state mutex. A compaction is here from when it is picked until its edit is installed or given up, a
//! trivial move included (the mutex is released while its edit is written).

use super::compaction::Compaction;
use crate::format::internal_key::InternalKeyComparator;

/// Where one compaction writes.
#[derive(Clone, Debug)]
struct OutputRange {
    /// The first file of its inputs: a file is an input of one running compaction at most.
    first_input: u64,
    level: usize,
    smallest: Box<[u8]>,
    largest: Box<[u8]>,
}

/// The running compactions of a family.
#[derive(Clone, Debug, Default)]
pub struct RunningCompactions {
    ranges: Vec<OutputRange>,
}

impl RunningCompactions {
    /// None runs.
    pub const fn new() -> Self {
        RunningCompactions { ranges: Vec::new() }
    }

    /// `compaction` begins: marks its inputs and keeps its output range.
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

    /// `compaction` was installed or given up: the inputs are free (those that are gone from the version don't mind).
    pub fn remove(&mut self, compaction: &Compaction) {
        compaction.mark_inputs(false);
        let first_input = compaction.inputs[0][0].number;
        self.ranges.retain(|range| range.first_input != first_input);
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Does none run?
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

    /// The level a flushed table of user keys [smallest, largest] may go to, where the version alone would allow `level`: the
    /// deepest down to which no running compaction writes into the range.
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
