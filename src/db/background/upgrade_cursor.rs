//! Which table is upgraded next: the search goes around the files of all families, and begins where the last
//! one ended. So it looks at few files as long as there are tables to upgrade, however many files there are.
//!
//! Thread rule: guarded by the state mutex.

use crate::compaction::{Compaction, CompactionReason, picker};
use crate::format::NUM_LEVELS;
use crate::format::column_family_id::ColumnFamilyId;
use crate::version::version_set::VersionSet;

/// A place among the files of all families, where the next search begins.
#[derive(Clone, Copy, Default)]
pub struct UpgradeCursor {
    family: ColumnFamilyId,
    level: usize,
    index: usize,
}

/// The next table to upgrade.
pub enum OldTable {
    /// This one.
    Found(ColumnFamilyId, Box<Compaction>),
    /// Those that are left are read by compactions, or were set aside.
    Busy,
    /// There is none.
    None,
}

impl UpgradeCursor {
    /// The next table that may be in LevelDB's language, and whose number is wanted. The cursor moves behind
    /// it.
    pub fn next(
        &mut self,
        versions: &VersionSet,
        reason: CompactionReason,
        is_wanted: impl Fn(u64) -> bool,
    ) -> OldTable {
        let families = versions.families().map(|(family, _)| family);
        let levels: Vec<_> =
            families.flat_map(|family| (0..NUM_LEVELS).map(move |level| (family, level))).collect();
        let start = *self;
        let first = levels.partition_point(|&place| place < (start.family, start.level));
        // The first level is searched twice, the second time from its beginning.
        let circle = levels[first..].iter().chain(&levels[..first]).chain(levels.get(first));
        let mut is_any_busy = false;
        for (step, &(family, level)) in circle.enumerate() {
            let version = versions.current(family);
            let files = &version.levels[level];
            let is_start = step == 0 && (family, level) == (start.family, start.level);
            let from = if is_start { start.index.min(files.len()) } else { 0 };
            for (index, file) in files.iter().enumerate().skip(from) {
                if !file.is_old() || !is_wanted(file.number) {
                    continue;
                }
                if file.is_being_compacted() {
                    is_any_busy = true;
                    continue;
                }
                *self = UpgradeCursor { family, level, index: index + 1 };
                let compaction = picker::upgrade_of(version, reason, level, file);
                return OldTable::Found(family, Box::new(compaction));
            }
        }
        if is_any_busy { OldTable::Busy } else { OldTable::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compaction::test_support::{file, version};
    use crate::language::Language;
    use crate::version::version_set::FamilyVersion;
    use std::collections::HashSet;

    /// Files 1 to 3 at level 0, 4 and 5 at level 2, and 6 and 7 at level 1 of another family.
    fn versions() -> VersionSet {
        let name = |name: &str| name.as_bytes().to_vec();
        let level0 = vec![file(3, "a", "z"), file(2, "a", "z"), file(1, "a", "z")];
        let default_family = version(&[(0, level0), (2, vec![file(4, "a", "c"), file(5, "d", "e")])]);
        let other = version(&[(1, vec![file(6, "a", "c"), file(7, "d", "e")])]);
        let mut versions = VersionSet::new(Language::RocksDb, name("order"), default_family);
        let other = FamilyVersion::new(name("other"), name("order"), other, 0);
        versions.add_family(ColumnFamilyId(4), other);
        versions
    }

    fn next(cursor: &mut UpgradeCursor, versions: &VersionSet, is_wanted: impl Fn(u64) -> bool) -> String {
        match cursor.next(versions, CompactionReason::Upgrade, is_wanted) {
            OldTable::Found(family, it) => format!("{}@{} of {}", it.inputs[0][0].number, it.level, family.0),
            OldTable::Busy => "busy".to_string(),
            OldTable::None => "none".to_string(),
        }
    }

    #[test]
    fn the_search_goes_around_all_families_and_passes_over_what_is_busy_or_not_wanted() {
        let (versions, mut cursor) = (versions(), UpgradeCursor::default());
        let circle = ["3@0 of 0", "2@0 of 0", "1@0 of 0", "4@2 of 0", "5@2 of 0", "6@1 of 4", "7@1 of 4"];
        for expected in circle.iter().chain(&circle) {
            assert_eq!(next(&mut cursor, &versions, |_| true), *expected);
        }
        let numbered = |number| versions.live_files().find(|file| file.number == number).unwrap();
        numbered(3).note_language(Language::RocksDb);
        numbered(5).set_being_compacted(true);
        let mut tried: HashSet<u64> = HashSet::new();
        for expected in ["2", "1", "4", "6", "7"] {
            let found = next(&mut cursor, &versions, |number| !tried.contains(&number));
            assert!(found.starts_with(expected), "{found}");
            tried.insert(expected.parse().unwrap());
        }
        assert_eq!(next(&mut cursor, &versions, |number| !tried.contains(&number)), "busy");
        assert_eq!(next(&mut cursor, &versions, |number| number == 5), "busy");
        numbered(5).set_being_compacted(false);
        assert_eq!(next(&mut cursor, &versions, |number| !tried.contains(&number)), "5@2 of 0");
        assert_eq!(next(&mut cursor, &versions, |_| false), "none");
        versions.live_files().for_each(|file| file.note_language(Language::RocksDb));
        assert_eq!(next(&mut cursor, &versions, |_| true), "none");
    }

    #[test]
    fn the_table_before_the_cursor_is_found_too() {
        let (versions, mut cursor) = (versions(), UpgradeCursor::default());
        for only in [2, 3, 2, 2, 7, 7, 1] {
            assert!(next(&mut cursor, &versions, |number| number == only).starts_with(&only.to_string()));
        }
    }
}
