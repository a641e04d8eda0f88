//! Two questions that a running compaction asks with ascending keys, answered by moving forward over sorted files.
//!
//! Each is used by one thread; a part of a compaction that runs beside others has its own.

use super::compaction::Compaction;
use crate::format::NUM_LEVELS;
use crate::format::internal_key::InternalKeyComparator;
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;

/// Can a level behind the output level hold a user key?
pub(super) struct BaseLevelCursor<'a> {
    comparator: &'a InternalKeyComparator,
    /// What is left of each level behind the output level: files that end at or after the last key asked for.
    rest: [&'a [Arc<FileMetaData>]; NUM_LEVELS],
}

impl<'a> BaseLevelCursor<'a> {
    /// Before the first key.
    pub fn new(compaction: &'a Compaction) -> Self {
        let version = &compaction.version;
        let rest = std::array::from_fn(|level| match level {
            level if level > compaction.output_level => &version.levels[level][..],
            _ => &[],
        });
        BaseLevelCursor { comparator: &version.comparator, rest }
    }

    /// Is the output level the deepest that can hold `user_key`? Keys are asked for in ascending order.
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

/// How much of the level behind the output level does the current output overlap?
pub(super) struct GrandparentCursor<'a> {
    comparator: &'a InternalKeyComparator,
    /// Grandparents that end at or after the last key.
    rest: &'a [Arc<FileMetaData>],
    /// Bytes of those that the current output has passed.
    overlapped_bytes: u64,
    max_overlapped_bytes: u64,
}

impl<'a> GrandparentCursor<'a> {
    /// Before the first key.
    pub fn new(compaction: &'a Compaction) -> Self {
        GrandparentCursor {
            comparator: &compaction.version.comparator,
            rest: &compaction.grandparents,
            overlapped_bytes: 0,
            max_overlapped_bytes: compaction.max_grandparent_overlap,
        }
    }

    /// Moves to `user_key`. Would an output that goes on to it overlap too much?
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

    /// A new output begins at the key moved to last.
    pub fn begin_output(&mut self) {
        self.overlapped_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{compaction_of, file, version};
    use super::*;

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
                super::super::test_support::sized_file(100 + u64::from(i), &first, &last, mb)
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
        // Four whole files are passed, more than three may be, at the fifth key.
        assert_eq!(outputs[..4], ["a5", "e5", "i5", "m5"]);
    }
}
