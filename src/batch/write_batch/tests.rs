//! Tests of batches against a list of their entries.

use super::*;
use crate::batch::decode::BatchEntry;
use crate::format::internal_key::MAX_SEQUENCE;
use crate::language::Language;

fn entries(batch: &WriteBatch) -> Vec<BatchEntry<'_>> {
    batch.iter().map(|entry| entry.unwrap()).collect()
}

fn small() -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(b"foo", b"bar");
    batch.delete(b"box");
    batch.put(b"baz", &[b'v'; 300]);
    batch
}

fn failure(rep: &[u8]) -> String {
    let error = validate(rep, Language::LevelDb).unwrap_err();
    assert!(error.is_corruption());
    error.message().to_string()
}

#[test]
fn bytes_are_leveldbs() {
    let mut batch = WriteBatch::new();
    assert_eq!(batch.rep(), [0; 12]);
    batch.put(b"foo", b"bar");
    batch.delete(b"box");
    batch.set_sequence(100);
    assert_eq!(batch.rep(), b"\x64\0\0\0\0\0\0\0\x02\0\0\0\x01\x03foo\x03bar\x00\x03box");
    assert_eq!((batch.sequence(), batch.count(), batch.approximate_size()), (100, 2, 26));
    assert_eq!(batch.entries(), &batch.rep()[12..]);
    let mut header = [0xff; 13];
    set_header(&mut header, 100, 2);
    assert_eq!(header[..12], batch.rep()[..12]);
    assert_eq!(header[12], 0xff);
}

#[test]
fn entries_come_back_in_order_at_every_length() {
    let lengths = [0, 1, 126, 127, 128, 129, 16_383, 16_384, 16_385, 2_097_151, 2_097_152];
    for key_length in lengths {
        for value_length in lengths {
            if key_length + value_length > 2_200_000 {
                continue;
            }
            let (key, value) = (vec![b'k'; key_length], vec![b'v'; value_length]);
            let mut batch = WriteBatch::new();
            batch.put(&key, &value);
            batch.delete(&key);
            batch.put(b"", &key);
            let expected =
                [BatchEntry::Put(&key, &value), BatchEntry::Delete(&key), BatchEntry::Put(b"", &key)];
            assert_eq!(entries(&batch), expected);
            assert_eq!(validate(batch.rep(), Language::LevelDb).unwrap(), (0, 3));
            let mut bare = Vec::new();
            reserve_entry(&mut bare, key_length, value_length).unwrap();
            let capacity = bare.capacity();
            encode_put(&mut bare, &key, &value);
            assert_eq!(bare.capacity(), capacity); // the reservation was enough
            encode_delete(&mut bare, &key);
            encode_put(&mut bare, b"", &key);
            assert_eq!(bare, batch.entries());
        }
    }
}

#[test]
fn appended_batches_follow_each_other() {
    let (mut left, right) = (WriteBatch::new(), small());
    left.set_sequence(200);
    left.append(&WriteBatch::new());
    assert_eq!(left.count(), 0);
    left.append(&right);
    assert_eq!((left.entries(), left.count(), left.sequence()), (right.entries(), 3, 200));
    left.append_self();
    assert_eq!(left.count(), 6);
    assert_eq!(entries(&left), [entries(&right), entries(&right)].concat());
    validate(left.rep(), Language::LevelDb).unwrap();
    let mut empty = WriteBatch::default();
    empty.append_self();
    assert_eq!(empty.rep(), WriteBatch::new().rep());
}

#[test]
fn a_cleared_batch_is_new() {
    let mut batch = small();
    batch.set_sequence(7);
    batch.poison(Error::invalid_argument("first"));
    batch.clear();
    assert_eq!((batch.rep(), batch.status().is_ok()), (WriteBatch::new().rep(), true));
    batch.put(b"a", b"b");
    assert_eq!(entries(&batch), [BatchEntry::Put(b"a", b"b")]);
}

#[test]
fn what_is_too_long_is_remembered_and_not_added() {
    const GIB: usize = 1 << 30;
    for (key_length, value_length) in [
        (8, MAX_ENTRY_SIZE - 7),
        (MAX_ENTRY_SIZE + 1, 0),
        (0, MAX_ENTRY_SIZE + 1),
        (8, 4 * GIB - 11),
        (5 * GIB / 2, 5 * GIB / 2),
        (usize::MAX, usize::MAX),
    ] {
        let expected = check_entry(key_length, value_length).unwrap_err();
        for mut batch in [small(), WriteBatch::new()] {
            let before = batch.rep().to_vec();
            assert!(!batch.make_room(key_length, value_length));
            assert_eq!(batch.rep(), before);
            assert_eq!(batch.status().unwrap_err().to_string(), expected.to_string());
        }
    }
    let mut batch = small();
    assert!(!batch.make_room(GIB, 3 * GIB - (64 << 10) - 1));
    assert!(batch.status().unwrap_err().message().starts_with("write batch is full"));
    for bytes in [4 * GIB, MAX_BATCH_SIZE - small().rep().len() + 1, usize::MAX] {
        let mut batch = small();
        assert!(!batch.make_room_for_entries(bytes, 1));
        assert!(batch.status().is_err());
    }
}

#[test]
fn a_batch_given_as_bytes_has_the_same_limits() {
    // Zero pages that are never touched take no memory, and the head is small.
    let with_value = |value_length: usize| {
        let mut head = vec![0; HEADER_SIZE];
        head[8] = 1;
        encode_put_without_value(&mut head, b"12345678", 200);
        head.truncate(HEADER_SIZE + 10);
        crate::util::coding::put_varint32(&mut head, value_length as u32);
        let mut rep = vec![0; head.len() + value_length];
        rep[..head.len()].copy_from_slice(&head);
        WriteBatch::from_rep(rep)
    };
    assert!(with_value(MAX_ENTRY_SIZE - 8).is_ok());
    for value_length in [MAX_ENTRY_SIZE - 7, MAX_BATCH_SIZE, u32::MAX as usize - 11, u32::MAX as usize] {
        let error = with_value(value_length).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::InvalidArgument, "{error}");
    }
}

#[test]
fn a_batch_holds_as_many_entries_as_its_count_can_say() {
    let mut batch = WriteBatch::new();
    batch.set_count(u32::MAX - 1);
    batch.put(b"", b"");
    assert!(batch.status().is_ok());
    let full = batch.rep().to_vec();
    batch.delete(b"x");
    assert!(batch.status().is_err());
    assert_eq!(batch.rep(), full);
    let mut other = WriteBatch::new();
    other.set_count(3);
    for append in [WriteBatch::append_self as fn(&mut WriteBatch), |batch| batch.append(&small())] {
        let mut batch = WriteBatch::new();
        batch.set_count(u32::MAX - 2);
        append(&mut batch);
        assert!(batch.status().is_err());
        assert_eq!(batch.count(), u32::MAX - 2);
    }
}

#[test]
fn the_first_failure_stays_and_is_handed_on() {
    let mut batch = WriteBatch::new();
    batch.poison(Error::invalid_argument("first"));
    batch.poison(Error::invalid_argument("second"));
    assert_eq!(batch.status().unwrap_err().message(), "first");
    let mut other = small();
    other.append(&batch);
    assert_eq!(other.status().unwrap_err().message(), "first");
    assert!(format!("{other:?}").contains("count: 3"));
}

#[test]
fn a_representation_cut_short_is_refused() {
    let rep = small().rep().to_vec();
    assert_eq!(WriteBatch::from_rep(rep.clone()).unwrap().rep(), rep);
    for cut in 0..rep.len() {
        let expected = match cut {
            0..12 => "malformed WriteBatch (too small)",
            12 | 21 | 26 => "WriteBatch has wrong count", // between entries
            13..21 => "bad WriteBatch Put",
            22..26 => "bad WriteBatch Delete",
            _ => "bad WriteBatch Put",
        };
        assert_eq!(failure(&rep[..cut]), expected, "cut at {cut}");
        assert!(WriteBatch::from_rep(rep[..cut].to_vec()).is_err());
    }
}

#[test]
fn an_iterator_ends_after_the_first_error() {
    let mut rep = small().rep().to_vec();
    rep[21] = 2; // the tag of the delete
    assert_eq!(failure(&rep), "unknown WriteBatch tag");
    let mut iter = BatchIter::new(&rep[HEADER_SIZE..]);
    assert_eq!(iter.next().unwrap().unwrap(), BatchEntry::Put(b"foo", b"bar"));
    assert!(iter.next().unwrap().is_err());
    assert!(iter.next().is_none());
}

#[test]
fn changed_bytes_never_panic_and_never_reach_outside() {
    let rep = small().rep().to_vec();
    for position in 0..rep.len() {
        for change in 1..=255 {
            let mut changed = rep.clone();
            changed[position] ^= change;
            let bytes: usize = BatchIter::new(&changed[HEADER_SIZE..])
                .map_while(|entry| entry.ok())
                .map(|entry| entry.key_and_value())
                .map(|(key, value)| key.len() + value.len())
                .sum();
            assert!(bytes < changed.len());
            if validate(&changed, Language::LevelDb).is_ok() {
                assert!(!(8..12).contains(&position), "the count is wrong");
            }
        }
    }
}

#[test]
fn sequence_numbers_of_more_than_56_bits_are_refused() {
    let mut batch = small();
    batch.set_sequence(MAX_SEQUENCE - 3);
    assert_eq!(validate(batch.rep(), Language::LevelDb).unwrap(), (MAX_SEQUENCE - 3, 3));
    for sequence in [MAX_SEQUENCE - 2, MAX_SEQUENCE, 1 << 63, u64::MAX] {
        batch.set_sequence(sequence);
        assert!(failure(batch.rep()).contains("56 bits"));
    }
}
