//! Tables are written and read back: contents, moves, options, errors of the writer.

use super::block::Block;
use super::builder::TableBuilder;
use super::footer::Footer;
use super::reader::{Table, TableGet};
use super::test_support::*;
use super::{TableOptions, TableReadOptions};
use crate::comparator::Comparator;
use crate::compression::Compression;
use crate::filter_policy::{BloomFilterPolicy, FilterPolicy};
use crate::format::internal_key::{InternalKeyComparator, LookupKey, trailer, user_key};
use crate::iterator::InternalIterator;
use crate::util::cache::BlockCache;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[cfg(test)]
pub(super) mod hostile;
#[cfg(test)]
pub(super) mod single_entry;
#[cfg(test)]
mod upgrade;

fn all_options() -> Vec<TableOptions> {
    let mut all = Vec::new();
    for reverse in [false, true] {
        for (block_size, block_restart_interval) in [(1024, 1), (4096, 16), (65536, 1024), (1024, 3)] {
            for compression in [Compression::None, Compression::Snappy] {
                let mut options =
                    TableOptions { block_size, block_restart_interval, compression, ..options() };
                if reverse {
                    options.comparator = InternalKeyComparator::new(Arc::new(Reverse));
                }
                if block_restart_interval != 16 {
                    options.filter_policy = Some(Arc::new(BloomFilterPolicy::new(10)));
                }
                options.whole_table_filter = block_size > 1024;
                if block_restart_interval != 3 {
                    options.block_cache = Some(Arc::new(BlockCache::new(1 << 20)));
                }
                all.push(options);
            }
        }
    }
    all
}

/// Runs `check` on tables of `count` random entries under all options, mapped and unmapped.
fn with_all_tables(count: usize, check: impl Fn(&Arc<Table>, &[TestEntry], &InternalKeyComparator, u64)) {
    for (seed, options) in all_options().into_iter().enumerate() {
        let mut random = TestRandom(seed as u64);
        let entries = random_entries(&mut random, count, &options.comparator);
        let (bytes, built) = build(&options, &entries);
        for mapped in [true, false] {
            eprintln!("seed {seed}, mapped {mapped}");
            let table = open(&options, &bytes, mapped).unwrap();
            assert_eq!(table.properties(), Some(&built.properties));
            check(&table, &entries, &options.comparator, seed as u64);
        }
    }
}

/// Asserts that the iterator stands on entry `at`, or on none.
#[track_caller]
fn assert_at(iterator: &impl InternalIterator, entries: &[TestEntry], at: Option<usize>) {
    iterator.status().unwrap();
    match at.and_then(|at| entries.get(at)) {
        None => assert!(!iterator.valid()),
        Some((key, value)) => {
            assert!(iterator.valid());
            assert_eq!(iterator.key(), key);
            assert_eq!(iterator.value(), value);
        }
    }
}

#[test]
fn entries_come_back_in_both_directions() {
    with_all_tables(600, |table, entries, _, _| {
        let mut iterator = table.iter(READ);
        assert!(!iterator.valid());
        iterator.seek_to_first();
        for at in 0..entries.len() {
            assert_at(&iterator, entries, Some(at));
            iterator.next();
        }
        assert_at(&iterator, entries, None);
        iterator.seek_to_last();
        for at in (0..entries.len()).rev() {
            assert_at(&iterator, entries, Some(at));
            iterator.prev();
        }
        assert_at(&iterator, entries, None);
    });
}

#[test]
fn seeks_find_every_key_and_every_place_between() {
    with_all_tables(400, |table, entries, comparator, _| {
        let mut iterator = table.iter(READ);
        let mut seek = |target: &[u8]| {
            let expected = entries.partition_point(|entry| comparator.compare(&entry.0, target).is_lt());
            iterator.seek(target);
            assert_at(&iterator, entries, Some(expected));
        };
        for (key, _) in entries {
            seek(key);
            let (user, sequence) = (user_key(key), trailer(key) >> 8);
            for sequence in [0, sequence.saturating_sub(1), sequence, sequence + 1, 1 << 50] {
                seek(LookupKey::new(user, sequence).internal_key());
            }
            let longer = [user, b"\0"].concat();
            seek(&internal(&longer, 100));
            seek(&internal(&user[..user.len() / 2], 100));
            seek(&internal(&[user, &[0xff; 9]].concat(), 100));
        }
        seek(&internal(b"", 100));
        seek(&internal(&[0xff; 40], 0));
    });
}

#[test]
fn gets_find_the_version_asked_for_or_nothing() {
    with_all_tables(400, |table, entries, comparator, seed| {
        let mut random = TestRandom(seed + 1000);
        let get = |user: &[u8], sequence: u64| {
            let lookup = LookupKey::new(user, sequence);
            let target = lookup.internal_key();
            let expected = entries
                .iter()
                .find(|entry| comparator.compare(&entry.0, target).is_ge())
                .filter(|entry| user_key(&entry.0) == user);
            let read = TableReadOptions {
                verify_checksums: sequence.is_multiple_of(2),
                fill_cache: sequence.is_multiple_of(3),
            };
            match look_up(table, read, target, |key, value| (key.to_vec(), value.to_vec())).unwrap() {
                TableGet::Found(entry) => assert_eq!(Some(&entry), expected),
                TableGet::Missing { .. } => assert_eq!(None, expected),
            }
        };
        for (key, _) in entries {
            let (user, sequence) = (user_key(key), trailer(key) >> 8);
            for sequence in [0, sequence.saturating_sub(1), sequence, sequence + 1, 1 << 50] {
                get(user, sequence);
            }
            get(&[user, b"\0"].concat(), 100);
            let length = random.below(10);
            get(&random.bytes(length), 1 << 50);
        }
    });
}

#[test]
fn random_moves_agree_with_a_model() {
    with_all_tables(300, |table, entries, comparator, seed| {
        let mut random = TestRandom(seed + 2000);
        let mut iterator = table.iter(READ);
        let mut at = None;
        for _ in 0..3000 {
            match (random.below(12), at) {
                (0, _) => {
                    iterator.seek_to_first();
                    at = Some(0);
                }
                (1, _) => {
                    iterator.seek_to_last();
                    at = Some(entries.len() - 1);
                }
                (2, _) | (_, None) => {
                    let mut target = entries[random.below(entries.len() as u64) as usize].0.clone();
                    let byte = random.below(target.len() as u64) as usize;
                    if random.below(2) == 0 {
                        target[byte] = target[byte].wrapping_add(1);
                    }
                    iterator.seek(&target);
                    at = Some(entries.partition_point(|entry| comparator.compare(&entry.0, &target).is_lt()));
                }
                (3..=7, Some(position)) => {
                    iterator.next();
                    at = Some(position + 1);
                }
                (_, Some(position)) => {
                    iterator.prev();
                    at = position.checked_sub(1);
                }
            }
            at = at.filter(|&at| at < entries.len());
            assert_at(&iterator, entries, at);
        }
    });
}

#[test]
fn extreme_keys_come_back() {
    for options in all_options() {
        let long = vec![0xff; 100_000];
        let users: [&[u8]; 9] =
            [b"", b"\0", b"\0\0", b"a", b"\x7f", b"\xfe\xff", b"\xff", b"\xff\xff", &long];
        let mut entries: Vec<TestEntry> =
            users.iter().map(|user| (internal(user, 7), user.iter().rev().copied().collect())).collect();
        entries.sort_by(|a, b| options.comparator.compare(&a.0, &b.0));
        let (bytes, _) = build(&options, &entries);
        for mapped in [true, false] {
            let table = open(&options, &bytes, mapped).unwrap();
            let mut iterator = table.iter(READ);
            for at in 0..entries.len() {
                iterator.seek(&entries[at].0);
                assert_at(&iterator, &entries, Some(at));
                iterator.next();
                assert_at(&iterator, &entries, Some(at + 1));
            }
            iterator.seek_to_last();
            for at in (0..entries.len()).rev() {
                assert_at(&iterator, &entries, Some(at));
                iterator.prev();
            }
            assert_at(&iterator, &entries, None);
        }
    }
}

#[test]
fn many_versions_of_a_key_are_told_apart() {
    for block_restart_interval in [1, 16, 1024] {
        let options = TableOptions { block_restart_interval, ..options() };
        let mut entries = Vec::new();
        for user in ["k", "key", "key2"] {
            entries
                .extend((0..1000).rev().map(|sequence| (internal(user.as_bytes(), sequence), b"v".to_vec())));
        }
        let table = open(&options, &build(&options, &entries).0, true).unwrap();
        let mut iterator = table.iter(READ);
        for (at, (key, _)) in entries.iter().enumerate() {
            iterator.seek(key);
            assert_at(&iterator, &entries, Some(at));
            match look_up(&table, READ, key, |found, _| found.to_vec()).unwrap() {
                TableGet::Found(found) => assert_eq!(&found, key),
                TableGet::Missing { .. } => panic!("{key:?}"),
            }
        }
    }
}

#[test]
fn an_empty_table_has_no_entries() {
    for mapped in [true, false] {
        let (bytes, built) = build(&options(), &[]);
        assert_eq!((built.properties.smallest_sequence, built.properties.largest_sequence), (0, 0));
        let table = open(&options(), &bytes, mapped).unwrap();
        let mut iterator = table.iter(READ);
        iterator.seek_to_first();
        assert_at(&iterator, &[], None);
        iterator.seek_to_last();
        assert_at(&iterator, &[], None);
        iterator.seek(&internal(b"x", 1));
        assert_at(&iterator, &[], None);
        let got = look_up(&table, READ, &internal(b"x", 1), |_, _| ()).unwrap();
        assert!(matches!(got, TableGet::Missing { block_read: false }));
        assert_eq!(table.approximate_offset_of(&internal(b"x", 1)), 0);
    }
}

#[test]
fn offsets_are_approximate() {
    let (mut options, value) = (options(), vec![b'v'; 10_000]);
    options.block_size = 1024;
    let entries: Vec<TestEntry> =
        (0..8).map(|i| (internal(format!("k{i:02}").as_bytes(), 1), value.clone())).collect();
    let table = open(&options, &build(&options, &entries).0, true).unwrap();
    for at in 0..=8u64 {
        let key = if at == 8 { "z".to_string() } else { format!("k{at:02}") };
        let offset = table.approximate_offset_of(&internal(key.as_bytes(), 5));
        assert!((at * 10_000..=at * 10_000 + 1000).contains(&offset), "{offset} for {at}");
    }
}

#[test]
fn properties_count_what_was_added() {
    let mut random = TestRandom(3);
    let entries = random_entries(&mut random, 500, &options().comparator);
    let (_, built) = build(&options(), &entries);
    let properties = built.properties;
    let sequences = || entries.iter().map(|entry| trailer(&entry.0) >> 8);
    assert_eq!(properties.num_entries, entries.len() as u64);
    assert_eq!(
        properties.num_deletions,
        entries.iter().filter(|entry| trailer(&entry.0) as u8 == 0).count() as u64
    );
    assert_eq!(properties.raw_key_size, entries.iter().map(|entry| entry.0.len() as u64).sum::<u64>());
    assert_eq!(properties.raw_value_size, entries.iter().map(|entry| entry.1.len() as u64).sum::<u64>());
    assert_eq!(properties.smallest_sequence, sequences().min().unwrap());
    assert_eq!(properties.largest_sequence, sequences().max().unwrap());
    assert_eq!(properties.creation_time, 1_700_000_000);
    assert!(properties.num_data_blocks > 5 && properties.data_size < built.file_size);
}

#[test]
fn meta_blocks_are_listed_in_bytewise_order() {
    let policy = Some(Arc::new(BloomFilterPolicy::new(10)) as _);
    let options = TableOptions { filter_policy: policy, whole_table_filter: true, ..options() };
    let names = meta_block_names(&build(&options, &[(internal(b"k", 1), vec![])]).0);
    assert_eq!(names, ["filter.leveldb.BuiltinBloomFilter2", "rocksdb.properties", "terrace.filter"]);
}

fn meta_block_names(table: &[u8]) -> Vec<String> {
    let footer = Footer::decode(table.last_chunk::<48>().unwrap()).unwrap();
    let (start, size) = (footer.metaindex.offset as usize, footer.metaindex.size as usize);
    let mut entries = Block::parse(&table[start..start + size]).unwrap().entries();
    let mut names = Vec::new();
    while let Some((name, _)) = entries.next().unwrap() {
        names.push(String::from_utf8(name.to_vec()).unwrap());
    }
    names
}

/// Entries whose keys are the even numbers.
fn even_numbers() -> Vec<TestEntry> {
    (0..5000).map(|i| (internal(format!("{:08}", i * 2).as_bytes(), 1), vec![b'v'; 50])).collect()
}

fn blocks_read_in_vain(table: &Table) -> usize {
    let missing = |i: &i32| {
        let target = internal(format!("{:08}", i * 2 + 1).as_bytes(), 5);
        matches!(look_up(table, READ, &target, |_, _| ()).unwrap(), TableGet::Missing { block_read: true })
    };
    (0..5000).filter(missing).count()
}

#[test]
fn a_filter_spares_the_block() {
    let policy = Some(Arc::new(BloomFilterPolicy::new(10)) as _);
    for (filtered, limit) in [
        (TableOptions { filter_policy: policy, ..options() }, 150),
        (TableOptions { whole_table_filter: true, ..options() }, 75),
    ] {
        let (bytes, _) = build(&filtered, &even_numbers());
        for mapped in [true, false] {
            let table = open(&filtered, &bytes, mapped).unwrap();
            let read = blocks_read_in_vain(&table);
            assert!(read < limit, "{read}");
            for (key, _) in even_numbers() {
                assert!(matches!(look_up(&table, READ, &key, |_, _| ()).unwrap(), TableGet::Found(())));
            }
        }
        assert!(blocks_read_in_vain(&open(&options(), &bytes, true).unwrap()) > 4900);
    }
}

/// Orders keys by bytes, but is not the bytewise comparator: equal keys might be different bytes, for all
/// that the code knows.
struct Unknown;

impl Comparator for Unknown {
    fn compare(&self, a: &[u8], b: &[u8]) -> std::cmp::Ordering {
        a.cmp(b)
    }
    fn name(&self) -> Vec<u8> {
        b"leveldb.BytewiseComparator".to_vec()
    }
}

#[test]
fn the_whole_table_filter_serves_the_bytewise_order_only() {
    let comparator = InternalKeyComparator::new(Arc::new(Unknown));
    let unknown = TableOptions { comparator, whole_table_filter: true, ..options() };
    assert_eq!(meta_block_names(&build(&unknown, &even_numbers()).0), ["rocksdb.properties"]);
    let bytewise = TableOptions { whole_table_filter: true, ..options() };
    let (bytes, _) = build(&bytewise, &even_numbers());
    assert!(blocks_read_in_vain(&open(&unknown, &bytes, true).unwrap()) > 4900);
}

/// A policy that excludes every key.
struct Never;

impl FilterPolicy for Never {
    fn name(&self) -> Vec<u8> {
        b"test.Never".to_vec()
    }
    fn create_filter(&self, _keys: &[&[u8]], dst: &mut Vec<u8>) {
        dst.push(0);
    }
    fn key_may_match(&self, _key: &[u8], _filter: &[u8]) -> bool {
        false
    }
}

#[test]
fn a_policy_has_the_last_word_after_the_whole_table_filter() {
    let policy = Some(Arc::new(Never) as _);
    let options = TableOptions { filter_policy: policy, whole_table_filter: true, ..options() };
    let (bytes, _) = build(&options, &even_numbers());
    let table = open(&options, &bytes, true).unwrap();
    let outcome = look_up(&table, READ, &even_numbers()[7].0, |_, _| ()).unwrap();
    assert!(matches!(outcome, TableGet::Missing { block_read: false }));
}

#[test]
fn the_index_is_compressed_where_that_pays() {
    let size = |compression| {
        let table = build(&TableOptions { compression, block_size: 1024, ..options() }, &even_numbers()).0;
        Footer::decode(table.last_chunk::<48>().unwrap()).unwrap().index.size
    };
    for compression in compressions().into_iter().filter(|&compression| compression != Compression::None) {
        assert!(size(compression) < size(Compression::None) * 3 / 4, "{compression:?}");
    }
}

#[test]
fn blocks_are_read_once_while_they_are_cached() {
    let entries: Vec<TestEntry> =
        (0..500).map(|i| (internal(format!("{i:08}").as_bytes(), 1), vec![b'v'; 50])).collect();
    for compression in compressions() {
        let cache = Arc::new(BlockCache::new(1 << 20));
        let options = TableOptions { compression, block_cache: Some(cache.clone()), ..options() };
        let (bytes, _) = build(&options, &entries);
        let file = MemoryFile::new(bytes.clone(), false);
        let table =
            Table::open(Arc::new(options), file.clone(), PathBuf::from("t"), bytes.len() as u64).unwrap();
        let reads_of_a_get = |fill_cache| {
            let before = file.reads.load(Ordering::Relaxed);
            let read = TableReadOptions { fill_cache, ..READ };
            look_up(&table, read, &entries[77].0, |_, _| ()).unwrap();
            file.reads.load(Ordering::Relaxed) - before
        };
        assert_eq!(reads_of_a_get(false), 1);
        assert_eq!(cache.total_charge(), 0);
        assert_eq!(reads_of_a_get(true), 1);
        assert!(cache.total_charge() >= 4096);
        assert_eq!(reads_of_a_get(true), 0);
        assert_eq!(reads_of_a_get(false), 0);
    }
}

/// Repeats look-ups and moves, so that what is remembered of a block (in the cache, or for a mapping) is
/// used.
#[test]
fn tables_of_every_compression_are_read_in_every_way() {
    let value = |i: usize| format!("{:01$}", i, [20, 90, 7000][i % 3]).into_bytes();
    let entries: Vec<TestEntry> =
        (0..300).map(|i| (internal(format!("{i:08}").as_bytes(), 1), value(i))).collect();
    for compression in compressions() {
        for cache in [None, Some(8 << 10), Some(16 << 20)] {
            let block_cache = cache.map(|bytes| Arc::new(BlockCache::new(bytes)));
            let options = TableOptions {
                compression,
                block_cache,
                whole_table_filter: true,
                filter_policy: Some(Arc::new(BloomFilterPolicy::new(10))),
                ..options()
            };
            let (bytes, built) = build(&options, &entries);
            for mapped in [true, false] {
                let table = open(&options, &bytes, mapped).unwrap();
                assert_eq!(table.properties(), Some(&built.properties));
                assert_eq!(table.compression(), Some(compression).filter(|&c| c != Compression::None));
                table.check_understood().unwrap();
                for round in 0..4 {
                    for (key, value) in &entries {
                        let found =
                            look_up(&table, READ, key, |found, v| found == key && v == value).unwrap();
                        assert!(matches!(found, TableGet::Found(true)), "{compression:?} {round}");
                    }
                    let mut iterator = table.iter(READ);
                    for at in [17, 250, 0, 299] {
                        iterator.seek(&entries[at].0);
                        assert_at(&iterator, &entries, Some(at));
                    }
                    for (at, _) in entries.iter().enumerate().rev() {
                        assert_at(&iterator, &entries, Some(at));
                        iterator.prev();
                    }
                    assert!(!iterator.valid() && iterator.status().is_ok());
                }
                let other = internal(b"00000007x", 1);
                assert!(matches!(
                    look_up(&table, READ, &other, |_, _| ()).unwrap(),
                    TableGet::Missing { .. }
                ));
            }
        }
    }
}

#[test]
fn what_is_noted_of_a_block_that_is_hit_again_is_charged() {
    let entries: Vec<TestEntry> =
        (0..500).map(|i| (internal(format!("{i:08}").as_bytes(), 1), vec![b'v'; 50])).collect();
    let cache = Arc::new(BlockCache::new(1 << 20));
    let options =
        TableOptions { compression: Compression::Snappy, block_cache: Some(cache.clone()), ..options() };
    let (bytes, _) = build(&options, &entries);
    for mapped in [true, false] {
        cache.clear();
        let table = open(&options, &bytes, mapped).unwrap();
        let charge_after_get = |fill_cache| {
            let read = TableReadOptions { fill_cache, ..READ };
            let value = look_up(&table, read, &entries[77].0, |_, value| value.to_vec()).unwrap();
            assert!(matches!(value, TableGet::Found(value) if value == entries[77].1));
            cache.total_charge()
        };
        let first = charge_after_get(true);
        assert_eq!(charge_after_get(true), first, "hit once");
        assert_eq!(charge_after_get(false), first, "hit again, but to leave no trace");
        let noted = charge_after_get(true);
        assert!((first + 400..first + 1000).contains(&noted), "{first} {noted}");
        assert_eq!(charge_after_get(true), noted);
    }
}

#[test]
fn a_full_cache_takes_a_block_that_is_missed_again() {
    let entries: Vec<TestEntry> =
        (0..5000).map(|i| (internal(format!("{i:08}").as_bytes(), 1), vec![b'v'; 50])).collect();
    let cache = Arc::new(BlockCache::new(20 << 10));
    let options =
        TableOptions { compression: Compression::Snappy, block_cache: Some(cache.clone()), ..options() };
    let (bytes, _) = build(&options, &entries);
    let file = MemoryFile::new(bytes.clone(), false);
    let table = Table::open(Arc::new(options), file.clone(), PathBuf::from("t"), bytes.len() as u64).unwrap();
    let is_read = |i: usize| {
        let before = file.reads.load(Ordering::Relaxed);
        let value = look_up(&table, READ, &entries[i].0, |_, value| value.to_vec()).unwrap();
        assert!(matches!(value, TableGet::Found(value) if value == entries[i].1));
        file.reads.load(Ordering::Relaxed) > before
    };
    (0..5000).for_each(|i| _ = is_read(i));
    assert!(cache.total_charge() > 15 << 10);
    let reads: Vec<bool> = (0..4).map(|_| is_read(2000)).collect();
    assert!(reads == [true, true, false, false] || reads == [true, false, false, false], "{reads:?}");
}

#[test]
fn a_checksum_in_a_mapping_is_looked_at_once_unless_asked_for() {
    let (bytes, _) = build(&TableOptions { compression: Compression::Snappy, ..options() }, &even_numbers());
    let options = TableOptions { compression: Compression::Snappy, ..options() };
    let table = open(&options, &bytes, true).unwrap();
    assert!(table.must_verify(0, READ));
    look_up(&table, READ, &even_numbers()[0].0, |_, _| ()).unwrap();
    assert!(!table.must_verify(0, READ));
    assert!(table.must_verify(0, TableReadOptions { verify_checksums: true, ..READ }));
    let table = open(&options, &bytes, false).unwrap();
    look_up(&table, READ, &even_numbers()[0].0, |_, _| ()).unwrap();
    assert!(table.must_verify(0, READ), "what is read again may have changed");
}

#[test]
fn long_scans_announce_themselves_and_short_ones_do_not() {
    let entries: Vec<TestEntry> =
        (0..20_000).map(|i| (internal(format!("{i:08}").as_bytes(), 1), vec![b'v'; 100])).collect();
    let (bytes, _) = build(&options(), &entries);
    let file = MemoryFile::new(bytes.clone(), true);
    let table =
        Table::open(Arc::new(options()), file.clone(), PathBuf::from("t"), bytes.len() as u64).unwrap();
    let mut iterator = table.iter(READ);
    for target in [5000, 1000, 9000] {
        iterator.seek(&entries[target].0);
        (0..50).for_each(|_| iterator.next());
    }
    assert_eq!(file.hints.load(Ordering::Relaxed), 0);
    iterator.seek_to_first();
    while iterator.valid() {
        iterator.next();
    }
    let hints = file.hints.load(Ordering::Relaxed);
    assert!((bytes.len() >> 18..=bytes.len() >> 17).contains(&hints), "{hints} hints");
}

#[test]
fn a_builder_refuses_what_readers_could_not_read() {
    let builder = || TableBuilder::new(Arc::new(options()), Box::new(MemorySink::default()), 0);
    let mut out_of_order = builder();
    out_of_order.add(&internal(b"b", 5), b"").unwrap();
    let error = out_of_order.add(&internal(b"b", 6), b"").unwrap_err();
    assert!(error.is_corruption());
    assert_eq!(out_of_order.add(&internal(b"c", 1), b"").unwrap_err().to_string(), error.to_string());
    assert!(out_of_order.finish().is_err());

    let mut shorter = builder();
    shorter.add(&internal(b"abc", 5), b"").unwrap();
    assert!(shorter.add(&internal(b"ab", 5), b"").is_err());
    assert!(builder().add(b"1234567", b"").is_err());
    let mut equal = builder();
    equal.add(&internal(b"a", 5), b"").unwrap();
    equal.add(&internal(b"a", 5), b"").unwrap();
}

#[test]
fn a_full_disk_is_told_and_sticks() {
    let sink = MemorySink { full_at: Some(10_000), ..Default::default() };
    let mut builder = TableBuilder::new(Arc::new(options()), Box::new(sink), 0);
    let failed =
        (0..1000).find_map(|i| builder.add(&internal(format!("{i:08}").as_bytes(), 1), &[b'v'; 100]).err());
    assert!(failed.unwrap().is_no_space());
    assert!(builder.finish().unwrap_err().is_no_space());
}
