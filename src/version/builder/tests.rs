//! Tests of applying edits to versions.

use super::*;
use crate::iterator::test_support::{TestRandom, comparators};
use crate::version::file_metadata::ObsoleteFiles;
use crate::version::test_support::{
    Directory, Files, file, key, levels, numbers, plain_file, random_keys, random_run,
};
use std::collections::BTreeMap;

fn version(of_levels: impl IntoIterator<Item = (usize, Files)>) -> Arc<Version> {
    Arc::new(Directory::new(&comparators()[0]).version(levels(of_levels)))
}

fn edit(deleted: &[(usize, u64)], new: Vec<(usize, Arc<FileMetaData>)>) -> VersionEdit {
    VersionEdit { deleted_files: deleted.to_vec(), new_files: new, ..VersionEdit::default() }
}

fn build(base: &Arc<Version>, edits: &[VersionEdit]) -> Result<Version> {
    let mut builder = VersionBuilder::new(base.clone());
    edits.iter().try_for_each(|edit| builder.apply(edit))?;
    builder.finish()
}

/// Asserts that the result is Corruption, and returns its message.
fn refused(base: &Arc<Version>, edits: &[VersionEdit]) -> String {
    let Err(error) = build(base, edits) else { panic!("the edit was taken") };
    assert!(error.is_corruption());
    error.message().to_owned()
}

#[test]
fn random_edits_make_the_version_that_a_naive_builder_makes() {
    for seed in 0..300 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[random.below(2)].clone();
        let keys = random_keys(random, &comparator, 80);
        // A fixed pool of files, disjoint at levels >= 1. Each of them is in the version or not.
        let pool: Vec<(usize, Arc<FileMetaData>)> = (0..NUM_LEVELS)
            .flat_map(|level| {
                let files = random_run(random, &keys, 1000 * level as u64);
                files.into_iter().map(move |file| (level, file))
            })
            .collect();
        let mut model: BTreeMap<u64, (usize, Arc<FileMetaData>)> = BTreeMap::new();
        let mut current = Arc::new(Directory::new(&comparator).version(levels([])));
        for _ in 0..20 {
            let mut builder = VersionBuilder::new(current.clone());
            let before = model.clone();
            for _ in 0..1 + random.below(3) {
                let mut edit = VersionEdit::default();
                for _ in 0..random.below(8) {
                    let (level, file) = &pool[random.below(pool.len())];
                    let touched = edit.deleted_files.iter().any(|&(_, number)| number == file.number)
                        || edit.new_files.iter().any(|(_, other)| other.number == file.number);
                    if touched {
                        continue;
                    } else if model.remove(&file.number).is_some() {
                        edit.deleted_files.push((*level, file.number));
                    } else {
                        model.insert(file.number, (*level, file.clone()));
                        edit.new_files.push((*level, file.clone()));
                    }
                }
                builder.apply(&edit).unwrap();
            }
            let gone: Vec<u64> = before.into_keys().filter(|number| !model.contains_key(number)).collect();
            assert_eq!(numbers(&builder.removed_files()), gone, "seed {seed}");
            let next = Arc::new(builder.finish().unwrap());
            for level in 0..NUM_LEVELS {
                let mut expected: Files =
                    model.values().filter(|(at, _)| *at == level).map(|(_, file)| file.clone()).collect();
                if level == 0 {
                    expected.reverse();
                } else {
                    expected.sort_by(|a, b| comparator.compare(a.smallest.encoded(), b.smallest.encoded()));
                }
                assert_eq!(numbers(&next.levels[level]), numbers(&expected), "seed {seed}, level {level}");
                assert_eq!(next.level_bytes(level), expected.iter().map(|file| file.file_size).sum::<u64>());
                assert!(next.levels[level].iter().zip(&expected).all(|(a, b)| Arc::ptr_eq(a, b)));
                for (index, file) in next.levels[level].iter().enumerate().filter(|_| level > 0) {
                    assert_eq!(
                        next.find_file(level, file.largest.encoded()),
                        index,
                        "seed {seed}, level {level}"
                    );
                }
            }
            current = next;
        }
    }
}

#[test]
fn levels_that_an_edit_leaves_alone_are_shared() {
    let base = version([(0, vec![plain_file(1, "a", "z")]), (1, vec![plain_file(2, "a", "c")])]);
    let next = build(&base, &[edit(&[], vec![(0, plain_file(3, "d", "e"))])]).unwrap();
    assert_eq!(numbers(&next.levels[0]), [3, 1]);
    assert!(!next.levels[0].is_shared_with(&base.levels[0]));
    for level in 1..NUM_LEVELS {
        assert!(next.levels[level].is_shared_with(&base.levels[level]));
    }
}

#[test]
fn a_moved_file_stays_itself_and_is_not_removed() {
    let queue = Arc::new(ObsoleteFiles::default());
    let moved = plain_file(5, "a", "c");
    let base = version([(1, vec![moved.clone(), plain_file(6, "d", "e")])]);
    // The edit may carry the same object, or one that was decoded.
    for carried in [moved.clone(), plain_file(5, "a", "c")] {
        let mut builder = VersionBuilder::new(base.clone());
        builder.apply(&edit(&[(1, 5), (1, 6)], vec![(2, carried)])).unwrap();
        let removed = builder.removed_files();
        assert_eq!(numbers(&removed), [6]);
        let next = builder.finish().unwrap();
        assert!(next.levels[1].is_empty() && Arc::ptr_eq(&next.levels[2][0], &moved));
        removed[0].mark_deleted(&queue);
    }
    assert!(queue.is_empty(), "the base has file 6 still");
    drop((base, moved));
    assert_eq!(queue.take(), [6]);
}

#[test]
fn a_file_may_be_deleted_and_added_again_at_its_level() {
    let base = version([(1, vec![plain_file(5, "a", "c")])]);
    let next = build(&base, &[edit(&[(1, 5)], vec![(1, plain_file(5, "a", "c"))])]).unwrap();
    assert!(Arc::ptr_eq(&next.levels[1][0], &base.levels[1][0]) && next.levels[1].len() == 1);
}

/// During open, LevelDB calls a user comparator only to compare files with each other.
#[test]
fn with_a_users_comparator_the_keys_of_a_file_are_compared_when_it_is_first_opened() {
    let comparator = &comparators()[1];
    let wrong = || vec![(1, file(9, 1, key("a", 1), key("b", 1)))]; // the comparator is in reverse order
    let paranoid = Directory::new(comparator);
    refused(&Arc::new(paranoid.version(levels([]))), &[edit(&[], wrong())]);
    let directory = Directory::with(comparator, |options| options.paranoid_checks = false);
    let base = Arc::new(directory.version(levels([])));
    let version = build(&base, &[edit(&[], wrong())]).unwrap();
    for _ in 0..2 {
        let Err(error) = version.levels[1][0].table(&directory.cache) else { panic!("the table was opened") };
        assert!(error.is_corruption() && error.message().contains("table file 9"), "{error}");
    }
}

/// A compaction within level 0 gives old entries a high file number. RocksDB 7.8 writes no epoch numbers.
#[test]
fn files_without_epoch_numbers_are_ordered_by_their_sequence_numbers() {
    let of = |number, lowest, highest| {
        Arc::new(FileMetaData::new(number, 100, key("a", 9), key("b", 1)).with_sequences(lowest, highest))
    };
    let with_epoch = |number, sequence, epoch| {
        let file = FileMetaData::new(number, 100, key("a", 9), key("b", 1));
        Arc::new(file.with_sequences(sequence, sequence).with_epoch(Some(epoch)))
    };
    let order = |files: Vec<Arc<FileMetaData>>| {
        let mut builder = VersionBuilder::new(version([]));
        builder.apply(&edit(&[], files.into_iter().map(|file| (0, file)).collect())).unwrap();
        builder.infer_epochs();
        numbers(&builder.finish().unwrap().levels[0])
    };
    assert_eq!(order(vec![of(15, 1, 5), of(12, 6, 9), of(14, 10, 10)]), [14, 12, 15]);
    assert_eq!(order(vec![of(15, 1, 9), with_epoch(12, 20, 3)]), [12, 15], "one has none: all are ordered");
    // With epoch numbers these count, and sequence numbers only where they are equal.
    assert_eq!(order(vec![with_epoch(15, 1, 3), with_epoch(12, 9, 2), with_epoch(11, 30, 3)]), [11, 15, 12]);
}
