//! Answers two questions that a running compaction asks with ascending keys, by moving forward over sorted
//! files.
//!
//! A cursor is used by one thread. Each subcompaction has its own.

use crate::compaction::Compaction;
use crate::format::NUM_LEVELS;
use crate::format::internal_key::InternalKeyComparator;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;

/// Can a level deeper than the output level hold a user key?
pub(super) struct BaseLevelCursor<'a> {
    comparator: &'a InternalKeyComparator,
    /// The remaining files of each level deeper than the output level: those that end at or after the last
    /// key asked about.
    rest: [&'a [Arc<FileMetaData>]; NUM_LEVELS],
}

impl<'a> BaseLevelCursor<'a> {
    /// A cursor before the first key.
    pub fn new(compaction: &'a Compaction) -> Self {
        let version = &compaction.version;
        let rest = std::array::from_fn(|level| match level {
            level if level > compaction.output_level => &version.levels[level][..],
            _ => &[],
        });
        BaseLevelCursor { comparator: &version.comparator, rest }
    }

    /// Is the output level the deepest one that can hold `user_key`? Must be called with ascending keys.
    pub fn is_base_level_for_key(&mut self, user_key: &[u8]) -> bool {
        for rest in &mut self.rest {
            while let [file, behind @ ..] = rest {
                if self.comparator.compare_user_keys(user_key, file.largest.user_key()).is_le() {
                    if self.comparator.compare_user_keys(user_key, file.smallest.user_key()).is_ge() {
                        return false;
                    }
                    break;
                }
                *rest = behind;
            }
        }
        true
    }
}

/// How many bytes of grandparents does the current output overlap?
pub(super) struct GrandparentCursor<'a> {
    comparator: &'a InternalKeyComparator,
    /// The remaining grandparents: those that end at or after the last key.
    rest: &'a [Arc<FileMetaData>],
    /// The bytes of the grandparents that the current output has passed.
    overlapped_bytes: u64,
    max_overlapped_bytes: u64,
}

impl<'a> GrandparentCursor<'a> {
    /// A cursor before the first key.
    pub fn new(compaction: &'a Compaction) -> Self {
        GrandparentCursor {
            comparator: &compaction.version.comparator,
            rest: &compaction.grandparents,
            overlapped_bytes: 0,
            max_overlapped_bytes: compaction.max_grandparent_overlap,
        }
    }

    /// Moves to `user_key`. Would the current output overlap too many bytes if it continued to this key?
    pub fn is_overlap_exceeded_at(&mut self, user_key: &[u8]) -> bool {
        while let [file, behind @ ..] = self.rest {
            if self.comparator.compare_user_keys(user_key, file.largest.user_key()).is_le() {
                break;
            }
            self.overlapped_bytes = self.overlapped_bytes.saturating_add(file.file_size);
            self.rest = behind;
        }
        self.overlapped_bytes > self.max_overlapped_bytes
    }

    /// A new output begins at the last key that was moved to.
    pub fn begin_output(&mut self) {
        self.overlapped_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compaction::test_support::{compaction_of, file, version};

    #[test]
    fn a_key_is_at_its_base_level_where_no_deeper_file_covers_it() {
        let version = version(&[
            (1, vec![file(1, "a", "z")]),
            (2, vec![file(2, "b", "y")]), // the output level does not count
            (3, vec![file(3, "c", "d"), file(4, "h", "k")]),
            (5, vec![file(5, "d", "f"), file(6, "x", "x")]),
        ]);
        let compaction = compaction_of(&version, 1, &[1]);
        let mut cursor = BaseLevelCursor::new(&compaction);
        let answers = ["a", "c", "cc", "d", "e", "f", "g", "h", "k", "l", "x", "y"]
            .map(|key| cursor.is_base_level_for_key(key.as_bytes()));
        let (base, deeper) = (true, false);
        assert_eq!(
            answers,
            [base, deeper, deeper, deeper, deeper, deeper, base, deeper, deeper, base, deeper, base]
        );
    }

    #[test]
    fn every_key_of_the_last_level_is_at_its_base_level() {
        let version = version(&[(6, vec![file(1, "a", "z")])]);
        let compaction = compaction_of(&version, 6, &[1]);
        assert!(BaseLevelCursor::new(&compaction).is_base_level_for_key(b"m"));
    }

    #[test]
    fn an_output_ends_when_it_has_passed_too_many_grandparents() {
        let mb = 1 << 20;
        let grandparents: Vec<_> = (0..26u8)
            .map(|i| {
                let (first, last) = (format!("{}0", (b'a' + i) as char), format!("{}9", (b'a' + i) as char));
                crate::compaction::test_support::sized_file(100 + u64::from(i), &first, &last, mb)
            })
            .collect();
        let version = version(&[(1, vec![file(1, "a", "z")]), (3, grandparents)]);
        let mut compaction = compaction_of(&version, 1, &[1]);
        compaction.max_grandparent_overlap = 3 * mb;
        let mut cursor = GrandparentCursor::new(&compaction);
        let mut outputs = Vec::new();
        for key in 'a'..='z' {
            let key = format!("{key}5");
            if cursor.is_overlap_exceeded_at(key.as_bytes()) || outputs.is_empty() {
                cursor.begin_output();
                outputs.push(key);
            }
        }
        // The fifth key ends an output: four whole files have been passed, and at most three may be.
        assert_eq!(outputs[..4], ["a5", "e5", "i5", "m5"]);
    }
}
