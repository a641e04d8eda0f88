//! Tests of versions: overlaps, the level of a flush, offsets, the text for users.

use super::*;
use crate::format::internal_key::{InternalKey, ValueType};
use crate::iterator::test_support::{TestRandom, comparators};
use crate::version::test_support::{
    Directory, Files, file, key, levels, numbers, plain_file, random_keys, random_run, random_target,
};

fn empty() -> Version {
    let comparator = &comparators()[0];
    Version::empty(comparator.clone(), Directory::new(comparator).cache)
}

#[test]
fn an_empty_version_overlaps_nothing() {
    let version = empty();
    for level in 0..NUM_LEVELS {
        assert!(!version.overlaps(level, None, None));
        assert!(version.overlapping_files(level, None, None).is_empty());
        assert_eq!((version.num_files(level), version.level_bytes(level)), (0, 0));
    }
    assert_eq!(version.level_for_flush(b"a", b"b", 1), 2);
    assert_eq!(version.approximate_offset_of(key("a", 1).encoded()), 0);
}

/// The overlap found by comparing every file. At level 0 the range grows by one file at a time, and the
/// comparison starts over.
fn naive_overlap(version: &Version, level: usize, range: [Option<&[u8]>; 2]) -> Vec<u64> {
    let compare = |a: &[u8], b: &[u8]| version.comparator.compare_user_keys(a, b);
    let [mut begin, mut end] = range.map(|key| key.map(<[u8]>::to_vec));
    loop {
        let overlapping: Vec<_> = version.levels[level]
            .iter()
            .filter(|file| {
                begin.as_deref().is_none_or(|begin| compare(file.largest.user_key(), begin).is_ge())
                    && end.as_deref().is_none_or(|end| compare(file.smallest.user_key(), end).is_le())
            })
            .collect();
        let mut grown = false;
        for file in &overlapping {
            if level == 0 && begin.as_deref().is_some_and(|b| compare(file.smallest.user_key(), b).is_lt()) {
                begin = Some(file.smallest.user_key().to_vec());
                grown = true;
            }
            if level == 0 && end.as_deref().is_some_and(|e| compare(file.largest.user_key(), e).is_gt()) {
                end = Some(file.largest.user_key().to_vec());
                grown = true;
            }
        }
        if !grown {
            return numbers(overlapping);
        }
    }
}

fn overlapping_random_files(random: &mut TestRandom, keys: &[InternalKey], number: u64) -> Files {
    (0..random.below(10) as u64)
        .map(|index| {
            let first = random.below(keys.len());
            let last = (first + random.below(4)).min(keys.len() - 1);
            file(number + index, 500, keys[first].clone(), keys[last].clone())
        })
        .collect()
}

#[test]
fn overlaps_agree_with_a_scan() {
    for seed in 0..300 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[random.below(2)].clone();
        let keys = random_keys(random, &comparator, 40);
        let level_0 = overlapping_random_files(random, &keys, 1000);
        let run = random_run(random, &keys, 1);
        let version = Directory::new(&comparator).version(levels([(0, level_0), (3, run)]));
        for _ in 0..30 {
            let mut ends = [(); 2].map(|()| random_target(random, &keys));
            ends.sort_by(|a, b| comparator.compare_user_keys(a, b));
            let mut range = ends.each_ref().map(|key| Some(key.as_slice()));
            range[random.below(2)].take_if(|_| random.one_in(8));
            for level in [0, 3, 4] {
                let expected = naive_overlap(&version, level, range);
                let context = format!("seed {seed}, level {level}, {range:?}");
                assert_eq!(
                    numbers(&version.overlapping_files(level, range[0], range[1])),
                    expected,
                    "{context}"
                );
                assert_eq!(version.overlaps(level, range[0], range[1]), !expected.is_empty(), "{context}");
            }
        }
    }
}

#[test]
fn a_range_of_level_0_grows_until_no_more_files_overlap_it() {
    let chain = vec![
        plain_file(1, "a", "c"),
        plain_file(2, "c", "e"),
        plain_file(3, "e", "g"),
        plain_file(4, "h", "i"),
    ];
    let version = Directory::new(&comparators()[0]).version(levels([(0, chain)]));
    assert_eq!(numbers(&version.overlapping_files(0, Some(b"g"), Some(b"g"))), [3, 2, 1]);
    assert_eq!(numbers(&version.overlapping_files(0, Some(b"h"), None)), [4]);
    assert!(!version.overlaps(0, Some(b"gg"), Some(b"gz")));
}

#[test]
fn versions_of_a_key_split_over_files_are_all_in_its_range() {
    let run = vec![
        file(1, 1, key("a", 9), key("k", 9)),
        file(2, 1, key("k", 7), key("k", 3)),
        file(3, 1, key("k", 1), key("z", 1)),
    ];
    let version = Directory::new(&comparators()[0]).version(levels([(1, run)]));
    assert_eq!(numbers(&version.overlapping_files(1, Some(b"k"), Some(b"k"))), [1, 2, 3]);
    assert_eq!(numbers(&version.overlapping_files(1, Some(b"l"), Some(b"m"))), [3]);
}

#[test]
fn a_flush_goes_as_deep_as_level_2_where_nothing_overlaps() {
    let directory = Directory::new(&comparators()[0]);
    let at = |levels_of: Vec<(usize, Files)>| {
        directory.version(levels(levels_of)).level_for_flush(b"d", b"f", 100)
    };
    assert_eq!(at(vec![]), 2);
    assert_eq!(at(vec![(0, vec![plain_file(1, "f", "g")])]), 0);
    assert_eq!(at(vec![(1, vec![plain_file(1, "c", "d")])]), 0);
    assert_eq!(at(vec![(2, vec![plain_file(1, "e", "e")])]), 1);
    assert_eq!(at(vec![(0, vec![plain_file(1, "a", "c")]), (1, vec![plain_file(2, "g", "h")])]), 2);
    // An overlap of ten times max_file_size two levels down is allowed, more is not.
    let heavy = |bytes| vec![file(1, bytes, key("a", 1), key("z", 1))];
    assert_eq!(at(vec![(3, heavy(1000))]), 2);
    assert_eq!(at(vec![(3, heavy(1001))]), 1);
    assert_eq!(at(vec![(2, heavy(1001))]), 0);
    assert_eq!(at(vec![(2, heavy(1000))]), 1);
    assert_eq!(at(vec![(4, heavy(u64::MAX))]), 2);
}

/// The text that LevelDB 1.23 prints for the same files.
#[test]
fn the_debug_string_is_leveldbs() {
    let printed = |version: &Version| version.debug_string();
    let deletion = |user: &[u8], sequence| InternalKey::new(user, sequence, ValueType::Deletion);
    let level_0 = vec![
        file(7, 126, key("b", 5), deletion(b"~", 6)),
        file(10, 127, key("b1", 7), deletion(b"~", 8)),
        file(13, 126, key("b", 9), deletion(b"~", 10)),
    ];
    let level_2 = vec![
        file(5, 412, deletion(b"", 4), deletion(b"zz", 3)),
        file(6, 394, InternalKey::new(b"\xff'\"\\ a\0\x7f~\n", 2, ValueType::Value), {
            InternalKey::decode(b"\xffz\x09\x07\0\0\0\0\0\0").unwrap()
        }),
    ];
    let version = Directory::new(&comparators()[0]).version(levels([(0, level_0), (2, level_2)]));
    assert_eq!(
        printed(&version),
        concat!(
            "--- level 0 ---\n",
            " 13:126['b' @ 9 : 1 .. '~' @ 10 : 0]\n",
            " 7:126['b' @ 5 : 1 .. '~' @ 6 : 0]\n",
            " 10:127['b1' @ 7 : 1 .. '~' @ 8 : 0]\n",
            "--- level 1 ---\n",
            "--- level 2 ---\n",
            " 5:412['' @ 4 : 0 .. 'zz' @ 3 : 0]\n",
            " 6:394['\\xff'\"\\ a\\x00\\x7f~\\x0a' @ 2 : 1 .. (bad)\\xffz\\x09\\x07\\x00\\x00\\x00\\x00\\x00\\x00]\n",
            "--- level 3 ---\n",
            "--- level 4 ---\n",
            "--- level 5 ---\n",
            "--- level 6 ---\n",
        )
    );
}

#[test]
fn offsets_add_up_the_files_that_lie_before() {
    let run = vec![plain_file(1, "b", "c"), plain_file(2, "e", "f")];
    let level_0 = vec![plain_file(3, "a", "b"), plain_file(4, "a", "f")];
    let version = Directory::new(&comparators()[0]).version(levels([(0, level_0), (1, run)]));
    let offset = |user: &str, sequence| version.approximate_offset_of(key(user, sequence).encoded());
    assert_eq!(offset("A", 1), 0);
    assert_eq!(offset("g", 1), 4000);
    // The largest key itself counts as after the whole file.
    assert_eq!(offset("f", 100), 4000);
    // A file that cannot be opened counts as 0 bytes.
    assert_eq!(offset("d", 1), 2000);
    assert_eq!(version.level_bytes(1), 2000);
}

#[test]
fn offsets_reach_into_the_file_around_the_key() {
    let directory = Directory::new(&comparators()[0]);
    let entries: Vec<_> =
        (0..400).map(|n| (key(&format!("{n:04}"), 1).encoded().to_vec(), vec![b'v'; 200])).collect();
    let table = directory.table(5, &entries);
    let size = table.file_size;
    let version = directory.version(levels([(1, vec![table])]));
    let offset = version.approximate_offset_of(key("0200", 1).encoded());
    assert!(offset > size * 2 / 5 && offset < size * 3 / 5, "{offset} of {size}");
}
