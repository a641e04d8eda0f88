//! Tests of a level's index, compared with a search by whole keys.

use super::*;
use crate::format::internal_key::InternalKey;
use crate::iterator::test_support::{TestRandom, comparators};
use crate::version::test_support::{numbers, plain_file, random_keys, random_run, random_target, raw_key};

/// Compares the answers of the index with the answers of comparing every key.
fn check_run(
    comparator: &InternalKeyComparator,
    level: &Level,
    user_key: &[u8],
    sequence: u64,
    context: &str,
) {
    let target = raw_key(user_key, sequence, 0xff);
    let compare = |a: &InternalKey, b: &[u8]| comparator.compare(a.encoded(), b);
    let by_user_key = |a: &InternalKey| comparator.compare_user_keys(a.user_key(), user_key);
    let find = level.iter().position(|file| compare(&file.largest, &target).is_ge()).unwrap_or(level.len());
    assert_eq!(level.find_file(comparator, &target), find, "{context}");
    let find_user_key = level.iter().position(|file| by_user_key(&file.largest).is_ge());
    assert_eq!(level.find_user_key(comparator, user_key), find_user_key.unwrap_or(level.len()), "{context}");
    let candidate = (find < level.len() && by_user_key(&level[find].smallest).is_le()).then_some(find);
    let found = level.candidate(comparator, user_key, || &target);
    assert_eq!(found.map(|found| found.index), candidate, "{context}");
    for index in 0..level.len() {
        let split = by_user_key(&level[index].largest).is_eq()
            && level.get(index + 1).is_some_and(|next| by_user_key(&next.smallest).is_eq());
        assert_eq!(level.is_split_after(index, comparator, user_key), split, "{context}");
        if found.is_some_and(|found| found.index == index && !found.may_be_split) {
            assert!(!split, "{context}");
        }
    }
}

#[test]
fn searches_in_a_run_agree_with_a_scan() {
    for seed in 0..500 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[random.below(2)].clone();
        let count = random.below(60);
        let keys = random_keys(random, &comparator, count);
        let files = random_run(random, &keys, 1);
        let indexed = Level::run(&comparator, files.clone());
        let plain = Level::from(files);
        assert_eq!(indexed.0.bounds.is_some(), comparator.is_bytewise());
        for _ in 0..40 {
            let target = random_target(random, &keys);
            let sequence = random.below(6) as u64;
            for level in [&indexed, &plain] {
                check_run(
                    &comparator,
                    level,
                    &target,
                    sequence,
                    &format!("seed {seed}, {target:?}@{sequence}"),
                );
            }
        }
    }
}

#[test]
fn the_files_that_cover_a_key_come_newest_first() {
    for seed in 0..500 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[random.below(2)].clone();
        let keys = random_keys(random, &comparator, 30);
        let mut files = Vec::new();
        for number in 1..random.below(12) as u64 {
            let mut ends = [random.below(keys.len()), random.below(keys.len())];
            ends.sort();
            files.push(crate::version::test_support::file(
                number,
                1,
                keys[ends[0]].clone(),
                keys[ends[1]].clone(),
            ));
        }
        let level = Level::overlapping(&comparator, files);
        for _ in 0..40 {
            let target = random_target(random, &keys);
            let covers = |file: &&Arc<FileMetaData>| {
                comparator.compare_user_keys(file.smallest.user_key(), &target).is_le()
                    && comparator.compare_user_keys(&target, file.largest.user_key()).is_le()
            };
            let mut expected: Vec<u64> = numbers(level.iter().filter(covers));
            expected.sort_by_key(|&number| std::cmp::Reverse(number));
            assert_eq!(numbers(level.covering(&comparator, &target)), expected, "seed {seed}, {target:?}");
        }
    }
}

#[test]
fn a_changed_run_has_the_index_of_a_new_one() {
    for seed in 0..300 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[0].clone();
        let keys = random_keys(random, &comparator, 60);
        let files = random_run(random, &keys, 1);
        let base: Vec<_> = files.iter().filter(|_| !random.one_in(4)).cloned().collect();
        let changed: Vec<_> = files.iter().filter(|_| !random.one_in(4)).cloned().collect();
        let origins: Vec<_> = changed
            .iter()
            .map(|file| base.iter().position(|old| old.number == file.number).unwrap_or(usize::MAX))
            .collect();
        let level = Level::run(&comparator, base).changed_run(&comparator, changed.clone(), &origins);
        let new = Level::run(&comparator, changed);
        assert_eq!(level.0.bounds, new.0.bounds, "seed {seed}");
        assert_eq!((level.numbers(), level.bytes()), (new.numbers(), new.bytes()), "seed {seed}");
    }
}

#[test]
fn the_index_starts_behind_the_common_prefix() {
    let files = vec![plain_file(1, "user:00001", "user:00017"), plain_file(2, "user:00020", "user:0009")];
    let level = Level::run(&comparators()[0], files);
    let bounds = level.0.bounds.as_ref().unwrap();
    assert_eq!(bounds.common.bytes(), b"user:000");
    assert_eq!(bounds.largest, [first_eight(b"17", 0), first_eight(b"9", 0)]);
}

#[test]
fn an_empty_level_has_nothing() {
    for comparator in comparators() {
        let level = Level::run(&comparator, Vec::new());
        assert_eq!(level.find_file(&comparator, &raw_key(b"k", 1, 1)), 0);
        assert_eq!(level.candidate(&comparator, b"k", || b"k        "), None);
        assert_eq!(level.covering(&comparator, b"k").count(), 0);
        assert_eq!((level.bytes(), level.position(1)), (0, None));
    }
}
