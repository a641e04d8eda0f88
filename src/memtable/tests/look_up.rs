//! Tests of lookups of single keys, which use the hash index, since the order is the bytewise one.

use crate::batch::write_batch::WriteBatch;
use crate::comparator::bytewise;
use crate::format::internal_key::{
    InternalKeyComparator, LookupKey, MAX_SEQUENCE, SequenceNumber, ValueType,
};
use crate::memtable::{Memtable, MemtableGet, MemtableWriter};
use crate::util::random::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

fn new_memtable(expected_size: usize) -> (Arc<Memtable>, MemtableWriter) {
    Memtable::new(InternalKeyComparator::new(bytewise()), expected_size, None).unwrap()
}

fn get<'a>(memtable: &'a Memtable, key: &[u8], sequence: SequenceNumber) -> MemtableGet<'a> {
    memtable.get(&LookupKey::new(key, sequence))
}

/// Keys spread over the whole range, so that keys written one after another are no neighbours.
fn key(number: u64) -> [u8; 16] {
    let mut key = [b'k'; 16];
    key[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key
}

/// Memtables that grow far beyond their expected size, and memtables that stay far below it.
#[test]
fn every_key_is_found_and_no_other_however_the_index_grew() {
    const KEYS: u64 = if cfg!(miri) { 80 } else { 60_000 };
    for expected_size in [0, 64 << 10, 4 << 20, 1 << 30] {
        let (memtable, mut writer) = new_memtable(expected_size);
        assert_eq!(get(&memtable, b"", MAX_SEQUENCE), MemtableGet::Missing);
        assert_eq!(memtable.index_memory_usage(), 0, "an empty memtable has no index");
        for number in 0..KEYS {
            writer.insert(number + 1, ValueType::Value, &key(number), &number.to_le_bytes());
            let (other, missing) = (key(number / 2), key(KEYS + number));
            assert_eq!(get(&memtable, &other, MAX_SEQUENCE), MemtableGet::Value(&(number / 2).to_le_bytes()));
            assert_eq!(get(&memtable, &missing, MAX_SEQUENCE), MemtableGet::Missing);
        }
        for number in 0..KEYS {
            let found = get(&memtable, &key(number), MAX_SEQUENCE);
            assert_eq!(found, MemtableGet::Value(&number.to_le_bytes()));
            assert_eq!(get(&memtable, &key(number), number), MemtableGet::Missing, "it was written later");
            assert_eq!(get(&memtable, &key(number)[..15], MAX_SEQUENCE), MemtableGet::Missing);
        }
    }
}

/// Every key has as many versions as its number says, tombstones among them. Each version is read at every
/// sequence number.
#[test]
fn a_look_up_at_an_older_sequence_number_finds_the_version_of_then() {
    const KEYS: u64 = if cfg!(miri) { 10 } else { 40 };
    let mut random = Random::new(17);
    let mut writes: Vec<u64> = (0..KEYS).flat_map(|number| vec![number; number as usize]).collect();
    for last in (1..writes.len()).rev() {
        writes.swap(last, random.uniform(last as u64 + 1) as usize);
    }
    let sequences: Vec<u64> = (1..=writes.len() as u64).collect();
    // In order, and in any order of the sequence numbers, as a repair inserts recovered entries.
    let mut shuffled = sequences.clone();
    for last in (1..shuffled.len()).rev() {
        shuffled.swap(last, random.uniform(last as u64 + 1) as usize);
    }
    let is_deletion = |sequence: u64| sequence.is_multiple_of(5);
    for order in [sequences, shuffled] {
        let (memtable, mut writer) = new_memtable(1 << 20);
        for &sequence in &order {
            let value_type = if is_deletion(sequence) { ValueType::Deletion } else { ValueType::Value };
            let number = writes[sequence as usize - 1];
            writer.insert(sequence, value_type, &key(number), &sequence.to_le_bytes());
        }
        for number in 0..KEYS {
            for sequence in 0..=writes.len() as u64 + 1 {
                let last = (sequence as usize).min(writes.len());
                let version = writes[..last].iter().rposition(|&written| written == number);
                let version = version.map(|index| index as u64 + 1);
                let bytes = version.unwrap_or(0).to_le_bytes();
                let expected = match version {
                    None => MemtableGet::Missing,
                    Some(version) if is_deletion(version) => MemtableGet::Deleted,
                    Some(_) => MemtableGet::Value(&bytes),
                };
                assert_eq!(get(&memtable, &key(number), sequence), expected, "{number} at {sequence}");
            }
        }
    }
}

#[test]
fn a_batch_is_looked_up_whole_also_where_it_writes_a_key_twice() {
    const SIZES: u64 = if cfg!(miri) { 20 } else { 100 };
    let (memtable, mut writer) = new_memtable(1 << 20);
    let mut sequence = 1;
    for size in 1..SIZES {
        let mut batch = WriteBatch::new();
        for number in 0..size {
            batch.put(&key(number), &size.to_le_bytes());
            batch.put(&key(number), &(size + number).to_le_bytes());
        }
        batch.delete(&key(size));
        sequence = writer.insert_entries(sequence, batch.entries()).unwrap();
        for number in 0..size {
            let found = get(&memtable, &key(number), sequence);
            assert_eq!(found, MemtableGet::Value(&(size + number).to_le_bytes()), "{number} of {size}");
        }
        assert_eq!(get(&memtable, &key(size), sequence), MemtableGet::Deleted);
        assert_eq!(get(&memtable, &key(size + 1), sequence), MemtableGet::Missing);
    }
    // Entries before a damaged one are inserted, and found.
    let mut batch = WriteBatch::new();
    batch.put(b"before the damage", b"");
    let damaged = [batch.entries(), &[77]].concat();
    assert!(writer.insert_entries(sequence, &damaged).is_err());
    assert_eq!(get(&memtable, b"before the damage", MAX_SEQUENCE), MemtableGet::Value(b""));
}

#[test]
fn the_index_is_modest_and_not_counted_into_the_write_buffer() {
    const BUFFER: usize = if cfg!(miri) { 128 << 10 } else { 4 << 20 };
    let (memtable, mut writer) = new_memtable(BUFFER);
    let mut sequence = 0;
    while memtable.approximate_memory_usage() <= BUFFER {
        sequence += 1;
        writer.insert(sequence, ValueType::Value, &key(sequence), &[0; 100]);
    }
    // As many entries as without an index: each takes 154 or 155 bytes, and the ends of blocks count.
    assert!((BUFFER as u64 / 156..BUFFER as u64 / 153).contains(&sequence), "{sequence}");
    assert!((1..=BUFFER / 10).contains(&memtable.index_memory_usage()), "{}", memtable.index_memory_usage());
}

/// Readers load the published sequence number and look up keys at it. They must find the version that it
/// implies, while the writer adds keys and versions, single ones and batches, and tables to the index.
#[test]
fn readers_find_what_was_published_while_the_index_grows() {
    const ROUNDS: u64 = if cfg!(miri) { 8 } else { 4_000 };
    /// Sequence number `s` writes the key `number_of(s)`; each key is written twice in a row of 32.
    fn number_of(sequence: SequenceNumber) -> u64 {
        sequence / 32 * 16 + sequence % 16
    }
    let (memtable, mut writer) = new_memtable(256 << 10);
    let published = AtomicU64::new(0);
    let last = ROUNDS * 32 - 1;
    let read = |seed: u64| {
        let mut random = Random::new(seed);
        loop {
            let sequence = published.load(Ordering::Acquire);
            for _ in 0..20 {
                // One of the recently written keys, or any key.
                let window = if random.one_in(2) { sequence.min(64) } else { sequence } + 1;
                let written = sequence - random.uniform(window);
                let number = number_of(written);
                let twin = written ^ 16;
                let newest = if twin <= sequence { written.max(twin) } else { written };
                let found = get(&memtable, &key(number), sequence);
                if sequence > 0 && newest > 0 {
                    assert_eq!(found, MemtableGet::Value(&newest.to_le_bytes()), "{number} at {sequence}");
                }
                let missing = key(number_of(last) + 1 + number);
                assert_eq!(get(&memtable, &missing, MAX_SEQUENCE), MemtableGet::Missing);
            }
            if sequence == last {
                break;
            }
        }
    };
    thread::scope(|scope| {
        let read = &read;
        (0..2).for_each(|seed| drop(scope.spawn(move || read(seed))));
        let mut sequence = 1;
        while sequence <= last {
            if sequence % 3 == 0 {
                let mut batch = WriteBatch::new();
                for sequence in sequence..=(sequence + 40).min(last) {
                    batch.put(&key(number_of(sequence)), &sequence.to_le_bytes());
                }
                sequence = writer.insert_entries(sequence, batch.entries()).unwrap();
            } else {
                let number = number_of(sequence);
                writer.insert(sequence, ValueType::Value, &key(number), &sequence.to_le_bytes());
                sequence += 1;
            }
            published.store(sequence - 1, Ordering::Release);
        }
    });
}
