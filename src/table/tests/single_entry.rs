//! Blocks with a single entry, which are copied from table to table in their stored form.

use crate::compression::{Compression, TYPE_RAW};
use crate::filter_policy::BloomFilterPolicy;
use crate::iterator::InternalIterator;
use crate::iterator::compaction_input::{CompactionInput, Payload};
use crate::table::block::single_entry_value_length;
use crate::table::block_builder::BlockBuilder;
use crate::table::builder::TableBuilder;
use crate::table::compaction_input::TableInput;
use crate::table::reader::Table;
use crate::table::test_support::*;
use crate::table::{TableOptions, TableReadOptions};
use std::sync::Arc;

/// An iterator that passes on the blocks that new tables of the table's options may take over.
fn input(table: &Arc<Table>) -> TableInput {
    let read = TableReadOptions { fill_cache: false, ..READ };
    table.compaction_iter(read, table.options().compression.passed_type())
}

/// A value of `length` bytes, half of which compress.
fn value(random: &mut TestRandom, length: u64) -> Vec<u8> {
    let mut value = random.bytes(length / 2);
    value.resize(length as usize, b'v');
    value
}

/// `count` entries whose values have these lengths, in turn.
fn entries(count: usize, lengths: &[u64]) -> Vec<TestEntry> {
    let mut random = TestRandom(7);
    (0..count)
        .map(|i| {
            let long = if i % 5 == 0 { "a long key ".repeat(1 + i % 60) } else { String::new() };
            let key = internal(format!("{i:06}{long}").as_bytes(), 100 + i as u64);
            (key, value(&mut random, lengths[i % lengths.len()]))
        })
        .collect()
}

/// Rewrites `table` entry by entry. Returns the new table, and how many entries were copied in their stored
/// form.
fn passed_on(options: &TableOptions, table: &Arc<Table>) -> (Vec<u8>, usize) {
    let sink = MemorySink::default();
    let mut builder = TableBuilder::new(Arc::new(options.clone()), Box::new(sink.clone()), 1_700_000_000);
    let mut entries = input(table);
    let mut stored = 0;
    entries.seek_to_first();
    while entries.valid() {
        match entries.payload() {
            Payload::RawBlock { stored: block, value_length } => {
                stored += 1;
                builder.add_raw_block(entries.key(), block, value_length).unwrap();
            }
            Payload::Value(value) => builder.add(entries.key(), value).unwrap(),
        }
        entries.next();
    }
    entries.status().unwrap();
    builder.finish().unwrap();
    let bytes = std::mem::take(&mut *sink.bytes.lock());
    (bytes, stored)
}

#[test]
fn a_table_passed_on_is_the_same_byte_for_byte() {
    for compression in [Compression::None, Compression::Snappy] {
        for (lengths, all_stored) in [
            (&[5000][..], true),
            (&[4096, 300_000], true),
            (&[100], false),
            (&[10, 5000, 9000, 7], false),
            (&[0, 4097, 4080, 4095, 4060, 0], false),
        ] {
            let options = TableOptions {
                compression,
                whole_table_filter: true,
                filter_policy: Some(Arc::new(BloomFilterPolicy::new(10))),
                ..options()
            };
            let entries = entries(100, lengths);
            let (bytes, built) = build(&options, &entries);
            let table = open(&options, &bytes, true).unwrap();
            let (again, stored) = passed_on(&options, &table);
            assert!(bytes == again, "{lengths:?} {compression:?}");
            assert_eq!(stored == entries.len(), all_stored, "{lengths:?}: {stored}");
            assert!(stored as u64 <= built.properties.num_data_blocks);
            assert_eq!(passed_on(&options, &open(&options, &bytes, false).unwrap()).1, 0, "not mapped");
        }
    }
}

/// An entry that had a block of its own is added to an open block in the usual way.
#[test]
fn what_was_alone_joins_what_is_before_it() {
    let options = TableOptions { compression: Compression::Snappy, ..options() };
    let (small, large) = (entries(1, &[50]), entries(2, &[6000])[1..].to_vec());
    let expected = build(&options, &[small.clone(), large.clone()].concat()).0;
    let table = open(&options, &build(&options, &large).0, true).unwrap();
    let sink = MemorySink::default();
    let mut builder = TableBuilder::new(Arc::new(options.clone()), Box::new(sink.clone()), 1_700_000_000);
    builder.add(&small[0].0, &small[0].1).unwrap();
    let mut alone = input(&table);
    alone.seek_to_first();
    let Payload::RawBlock { stored, value_length } = alone.payload() else { panic!("decoded") };
    builder.add_raw_block(alone.key(), stored, value_length).unwrap();
    builder.finish().unwrap();
    assert!(*sink.bytes.lock() == expected);
}

#[test]
fn only_what_is_compressed_as_new_blocks_are_stays_as_it_is() {
    let entries = entries(20, &[5000]);
    for (written, read) in compressions()
        .into_iter()
        .flat_map(|a| compressions().into_iter().map(move |b| (a, b)))
        .filter(|(a, b)| a != b)
    {
        let bytes = build(&TableOptions { compression: written, ..options() }, &entries).0;
        let options = TableOptions { compression: read, ..options() };
        let (again, stored) = passed_on(&options, &open(&options, &bytes, true).unwrap());
        assert_eq!(stored, 0);
        assert!(again == build(&options, &entries).0);
    }
    let small_blocks = TableOptions { block_size: 1024, ..options() };
    let bytes = build(&small_blocks, &entries[..1]).0;
    let large_blocks = TableOptions { block_size: 16 << 10, ..options() };
    assert_eq!(passed_on(&large_blocks, &open(&large_blocks, &bytes, true).unwrap()).1, 0);
}

/// A seek and a move backward decode the block that they move to, even if it is the current one.
#[test]
fn only_a_move_forward_passes_blocks_on() {
    let options = TableOptions { compression: Compression::Snappy, ..options() };
    let entries = entries(5, &[5000]);
    let table = open(&options, &build(&options, &entries).0, true).unwrap();
    let mut iterator = input(&table);
    let assert_at = |iterator: &TableInput, at: usize, is_raw: bool| {
        assert_eq!(iterator.key(), entries[at].0);
        match iterator.payload() {
            Payload::Value(value) => assert!(!is_raw && value == entries[at].1),
            Payload::RawBlock { value_length, .. } => assert!(is_raw && value_length == 5000),
        }
    };
    iterator.seek_to_first();
    assert_at(&iterator, 0, true);
    iterator.next();
    assert_at(&iterator, 1, true);
    iterator.prev();
    assert_at(&iterator, 0, false);
    iterator.next();
    assert_at(&iterator, 1, true);
    iterator.seek(&entries[1].0);
    assert_at(&iterator, 1, false);
    iterator.seek_to_last();
    assert_at(&iterator, 4, false);
    iterator.prev();
    assert_at(&iterator, 3, false);
    iterator.next();
    assert_at(&iterator, 4, true);
    iterator.next();
    assert!(!iterator.valid() && iterator.status().is_ok());
    iterator.seek_to_first();
    iterator.prev();
    assert!(!iterator.valid() && iterator.status().is_ok());
    iterator.seek_to_first();
    iterator.change_table(table.clone());
    assert!(!iterator.valid());
}

#[test]
fn a_damaged_block_of_one_entry_is_told_of_as_any_other() {
    let options = TableOptions { compression: Compression::Snappy, paranoid_checks: true, ..options() };
    let entries = entries(5, &[5000]);
    let (bytes, _) = build(&options, &entries);
    for at in [3, 1500] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x40;
        let mut iterator = input(&open(&options, &bytes, true).unwrap());
        iterator.seek_to_first();
        let error = iterator.status().unwrap_err().to_string();
        assert!(!iterator.valid() && error.contains("block checksum mismatch at offset 0"), "{error}");
    }
}

/// A key of an unknown type, or a short one, does not count as a single entry: the usual read reports it.
#[test]
fn a_key_that_is_none_is_not_passed_on() {
    let value_of = |key: &[u8]| {
        let mut block = BlockBuilder::new(16);
        block.add(0, key, &[b'x'; 5000]).unwrap();
        let mut found = Vec::new();
        single_entry_value_length(TYPE_RAW, block.finish().unwrap(), 4096, &mut found)
            .inspect(|_| assert_eq!(found, key))
    };
    let mut key = internal(b"k", 9);
    assert_eq!(value_of(&key), Some(5000));
    key[1] = 7;
    assert_eq!(value_of(&key), None, "an unknown type");
    assert_eq!(value_of(b"short"), None);
}
