//! Tests of look-ups in versions of real tables.

use super::*;
use crate::comparator::Comparator;
use crate::filter_policy::FilterPolicy;
use crate::format::internal_key::{InternalKey, InternalKeyComparator};
use crate::iterator::test_support::{Entry as Pair, TestRandom, comparators};
use crate::version::test_support::{Directory, Files, READ, key, levels, plain_file, raw_key};

/// An entry of a table: user key, sequence number, type, and a value made of the first two.
fn entry(user_key: &str, sequence: u64, value_type: ValueType) -> Pair {
    (raw_key(user_key.as_bytes(), sequence, value_type as u8), format!("{user_key}@{sequence}").into_bytes())
}

/// Values at `user@sequence`; a tombstone if the text begins with '-'.
fn entries(texts: &[&str]) -> Vec<Pair> {
    texts
        .iter()
        .map(|text| {
            let (user, sequence) = text.trim_start_matches('-').split_once('@').unwrap();
            let value_type = if text.starts_with('-') { ValueType::Deletion } else { ValueType::Value };
            entry(user, sequence.parse().unwrap(), value_type)
        })
        .collect()
}

fn text(value: &[u8]) -> String {
    String::from_utf8(value.to_vec()).unwrap()
}

fn value_at(version: &Version, user_key: &str, sequence: u64) -> Option<String> {
    version.get(READ, &LookupKey::new(user_key.as_bytes(), sequence), false, text).unwrap().0
}

/// The file that a look-up charges a seek to, as (level, number).
fn charge_at(version: &Version, user_key: &str) -> Option<(usize, u64)> {
    let key = LookupKey::new(user_key.as_bytes(), 1000);
    assert!(version.get(READ, &key, false, text).unwrap().1.is_none());
    let (_, charge) = version.get(READ, &key, true, text).unwrap();
    charge.map(|(level, file)| (level, file.number))
}

/// Orders keys by bytes, but is not the bytewise comparator: tables have no filter except the policy's.
struct Bytes;

impl Comparator for Bytes {
    fn compare(&self, a: &[u8], b: &[u8]) -> std::cmp::Ordering {
        a.cmp(b)
    }
    fn name(&self) -> Vec<u8> {
        b"test.Bytes".to_vec()
    }
}

fn bytes_without_filter() -> InternalKeyComparator {
    InternalKeyComparator::new(Arc::new(Bytes))
}

/// A filter that knows every key and has no false positives.
struct ExactFilter;

impl FilterPolicy for ExactFilter {
    fn name(&self) -> Vec<u8> {
        b"test.ExactFilter".to_vec()
    }
    fn create_filter(&self, keys: &[&[u8]], dst: &mut Vec<u8>) {
        for key in keys {
            dst.push(key.len() as u8);
            dst.extend_from_slice(key);
        }
    }
    fn key_may_match(&self, key: &[u8], mut filter: &[u8]) -> bool {
        while let Some((&length, rest)) = filter.split_first() {
            let (here, rest) = rest.split_at(usize::from(length));
            if here == key {
                return true;
            }
            filter = rest;
        }
        false
    }
}

fn bytewise() -> InternalKeyComparator {
    comparators()[0].clone()
}

#[test]
fn newer_files_and_higher_levels_hide_older_entries() {
    let directory = Directory::new(&bytewise());
    let table = |number, texts: &[&str]| directory.table(number, &entries(texts));
    let version = directory.version(levels([
        (0, vec![table(4, &["a@40", "-b@41"]), table(5, &["a@50", "z@51"])]),
        (1, vec![table(2, &["a@20", "b@21", "c@22"]), table(3, &["-d@23", "d@9", "f@24"])]),
        (6, vec![table(1, &["a@1", "d@2", "e@3"])]),
    ]));
    let expect = |user_key, sequence, value: Option<&str>| {
        assert_eq!(value_at(&version, user_key, sequence).as_deref(), value, "{user_key}@{sequence}");
    };
    expect("a", 1000, Some("a@50"));
    expect("a", 49, Some("a@40"));
    expect("a", 39, Some("a@20"));
    expect("a", 19, Some("a@1"));
    expect("a", 0, None);
    expect("b", 1000, None);
    expect("b", 40, Some("b@21"));
    expect("c", 1000, Some("c@22"));
    expect("d", 1000, None);
    expect("d", 22, Some("d@9"));
    expect("d", 8, Some("d@2"));
    expect("e", 1000, Some("e@3"));
    for missing in ["", "A", "aa", "dd", "g", "zz"] {
        expect(missing, 1000, None);
    }
}

/// All versions of a few keys, spread over the levels as a database would: newer above older, level 0 in
/// files that overlap, deeper levels cut anywhere, also between the versions of one key.
#[test]
fn random_versions_answer_as_a_sorted_history() {
    for seed in 0..50 {
        let random = &mut TestRandom::new(seed);
        let comparator = comparators()[random.below(2)].clone();
        let filtered = comparator.is_bytewise() && random.one_in(2);
        let directory = Directory::with(&comparator, |options| {
            options.filter_policy = filtered.then(|| Arc::new(ExactFilter) as _);
        });
        let mut history: Vec<Pair> = (1..1 + random.below(200) as u64)
            .map(|sequence| {
                let value_type = if random.one_in(4) { ValueType::Deletion } else { ValueType::Value };
                (raw_key(&random.user_key(3), sequence, value_type as u8), sequence.to_string().into_bytes())
            })
            .collect();
        let mut of_levels = Vec::new();
        let mut number = 1;
        let mut rest = &history[..];
        for level in [6, 5, 2, 1, 0, 0, 0] {
            let count = if random.one_in(4) { 0 } else { random.below(rest.len() + 1) };
            let (older, newer) = rest.split_at(count);
            rest = newer;
            let mut sorted = older.to_vec();
            sorted.sort_by(|a, b| comparator.compare(&a.0, &b.0));
            let pieces = if level == 0 { sorted.len().max(1) } else { 1 + random.below(40) };
            let files: Files = sorted
                .chunks(pieces)
                .map(|piece| {
                    number += 1;
                    directory.table(number, piece)
                })
                .collect();
            of_levels.push((level, files));
        }
        history.truncate(history.len() - rest.len());
        let mut all = levels([]);
        of_levels.into_iter().for_each(|(level, files)| all[level].extend(files));
        let version = directory.version(all);
        for _ in 0..100 {
            let (user_key, sequence) = (random.user_key(3), random.below(220) as u64);
            let is_seen = |(key, _): &&Pair| {
                let key = InternalKey::decode(key).unwrap();
                comparator.compare_user_keys(key.user_key(), &user_key).is_eq() && key.sequence() <= sequence
            };
            let newest = history.iter().rfind(is_seen);
            let expected = newest.filter(|(key, _)| trailer(key) as u8 == 1).map(|(_, value)| text(value));
            let found = version.get(READ, &LookupKey::new(&user_key, sequence), true, text).unwrap().0;
            assert_eq!(found, expected, "seed {seed}, {user_key:?}@{sequence}");
        }
    }
}

#[test]
fn a_key_split_over_files_is_found_in_each() {
    let directory = Directory::new(&bytewise());
    let run = vec![
        directory.table(1, &entries(&["a@1", "k@9", "k@8"])),
        directory.table(2, &entries(&["k@6"])),
        directory.table(3, &entries(&["k@4", "z@1"])),
    ];
    let version = directory.version(levels([(1, run)]));
    for (sequence, value) in [(9, 9), (8, 8), (7, 6), (6, 6), (5, 4), (4, 4)] {
        assert_eq!(value_at(&version, "k", sequence), Some(format!("k@{value}")));
    }
    assert_eq!(value_at(&version, "k", 3), None);
}

/// Recorded bounds may be wider than a table's entries. Then the next file that begins with the key is
/// searched too.
#[test]
fn a_file_without_its_own_boundary_key_does_not_hide_the_next() {
    for comparator in comparators() {
        let directory = Directory::new(&comparator);
        let [first, last] = if comparator.is_bytewise() { ["a", "z"] } else { ["z", "a"] };
        let table = directory.table(1, &entries(&[&format!("{first}@1")]));
        let wide = FileMetaData::new(
            1,
            table.file_size,
            table.smallest.clone(),
            InternalKey::new(b"k", 5, ValueType::Value),
        );
        let next = directory.table(2, &entries(&["k@4", &format!("{last}@1")]));
        let version = directory.version(levels([(2, vec![Arc::new(wide), next])]));
        assert_eq!(value_at(&version, "k", 9).as_deref(), Some("k@4"));
        assert_eq!(value_at(&version, last, 9), Some(format!("{last}@1")));
    }
}

#[test]
fn the_first_file_read_in_vain_is_charged_if_another_had_to_be_read() {
    let directory = Directory::new(&bytes_without_filter());
    let table = |number, texts: &[&str]| directory.table(number, &entries(texts));
    let version = directory.version(levels([
        (0, vec![table(5, &["a@50", "m@51"]), table(4, &["b@40", "m@41"])]),
        (1, vec![table(3, &["a@30", "c@31", "x@32"])]),
        (2, vec![table(1, &["w@10", "z@11"])]),
    ]));
    assert_eq!(charge_at(&version, "a"), None, "found in the first");
    assert_eq!(charge_at(&version, "c"), Some((0, 5)), "read in 5 and 4 in vain, then found in 3");
    assert_eq!(charge_at(&version, "b"), Some((0, 5)));
    assert_eq!(charge_at(&version, "n"), None, "only read in 3, in vain");
    assert_eq!(charge_at(&version, "y"), None, "only read in 1, in vain");
    assert_eq!(charge_at(&version, "wx"), Some((1, 3)));
    assert_eq!(charge_at(&version, "A"), None);
}

#[test]
fn a_sampled_read_is_charged_to_its_first_file_if_there_is_another() {
    let directory = Directory::new(&comparators()[0]);
    let version = directory.version(levels([
        (0, vec![plain_file(9, "d", "m"), plain_file(8, "k", "p")]),
        (1, vec![plain_file(3, "a", "c"), plain_file(4, "o", "r")]),
        (2, vec![plain_file(1, "b", "e")]),
    ]));
    let charged =
        |user_key| version.sample_read(key(user_key, 50).encoded()).map(|(level, file)| (level, file.number));
    let charges = ["a", "b", "d", "f", "l", "o", "q", "z"].map(charged);
    assert_eq!(charges, [None, Some((1, 3)), Some((0, 9)), None, Some((0, 9)), Some((0, 8)), None, None]);
}

#[test]
fn a_filters_answer_is_charged_now_and_then_if_another_file_is_read() {
    let directory = Directory::with(&bytes_without_filter(), |options| {
        options.filter_policy = Some(Arc::new(ExactFilter));
    });
    let table = |number, texts: &[&str]| directory.table(number, &entries(texts));
    let version = directory.version(levels([
        (0, vec![table(5, &["a@50", "m@51"])]),
        (1, vec![table(3, &["a@30", "c@31", "x@32"])]),
    ]));
    assert_eq!(value_at(&version, "c", 1000).as_deref(), Some("c@31"));
    let charges = |user_key| (0..160).filter_map(|_| charge_at(&version, user_key)).collect::<Vec<_>>();
    assert_eq!(charges("c"), [(0, 5); 10], "one of sixteen");
    assert_eq!(charges("a"), [], "found in the first");
    assert_eq!(charges("y"), [], "no file was read");
    assert_eq!(charges("mm"), [], "no file was read");
}

#[test]
fn an_entry_of_an_unknown_type_is_corruption() {
    let directory = Directory::new(&bytewise());
    let table = directory.table(1, &[(raw_key(b"a", 1, 1), vec![]), (raw_key(b"k", 5, 99), vec![])]);
    let version = directory.version(levels([(1, vec![table])]));
    let error = version.get(READ, &LookupKey::new(b"k", 9), false, text).unwrap_err();
    assert!(error.is_corruption());
    assert!(error.message().contains("000001.ldb: ") && error.message().contains("unknown type"), "{error}");
}

#[test]
fn a_missing_table_file_is_corruption_that_names_it() {
    let directory = Directory::new(&bytewise());
    let table = directory.table(7, &entries(&["a@1", "c@1"]));
    directory.remove_table(7);
    let version = directory.version(levels([(1, vec![table])]));
    let error = version.get(READ, &LookupKey::new(b"b", 9), false, text).unwrap_err();
    assert!(error.is_corruption());
    assert!(error.message().contains("000007.ldb: the table file is missing"), "{error}");
    assert_eq!(value_at(&version, "d", 9), None, "which needs no table");
}

#[test]
fn a_tables_properties_are_known_once_it_was_opened() {
    let directory = Directory::new(&bytewise());
    let table = directory.table(1, &entries(&["a@1", "-b@2"]));
    assert!(table.properties().is_none());
    drop(table.table(&directory.cache).unwrap());
    assert_eq!(table.properties().map(|properties| properties.num_deletions), Some(1));
}

#[test]
fn a_table_stays_open_with_its_file() {
    use crate::version::file_metadata::TableRef;
    let directory = Directory::new(&bytewise());
    let file = directory.table(1, &entries(&["a@1"]));
    let table = file.table(&directory.cache).unwrap().clone();
    assert!(
        matches!(file.table(&directory.cache), Ok(TableRef::Pinned(pinned)) if Arc::ptr_eq(pinned, &table))
    );
}
