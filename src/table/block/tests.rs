//! Tests of blocks, many of which contradict the format. Those cause errors or fewer entries, no panic, and
//! no more work than the block has bytes.

use super::*;
use crate::comparator::bytewise;
use crate::compression::{Compression, Compressor, TYPE_SNAPPY};
use crate::format::common_prefix::common_prefix_length;
use crate::format::internal_key::{KeyPrefix, LookupKey, MAX_SEQUENCE};
use crate::table::block_builder::BlockBuilder;
use crate::table::footer::BlockHandle;
use crate::table::test_support::{TestRandom, internal};
use crate::util::coding::{put_fixed32, put_varint32};

/// A comparator, and the stored form of a block.
struct Owner(InternalKeyComparator, Vec<u8>);

impl BlockOwner for Owner {
    fn comparator(&self) -> &InternalKeyComparator {
        &self.0
    }
}

impl LazyBlockOwner for Owner {
    fn stored(&self, _handle: BlockHandle) -> &[u8] {
        &self.1
    }
}

fn order() -> InternalKeyComparator {
    InternalKeyComparator::new(bytewise())
}

fn iterator(bytes: &[u8]) -> LazyBlockIterator<Owner> {
    let mut iterator = LazyBlockIterator::new(Arc::new(Owner(order(), Vec::new())));
    iterator.open(|_| Ok(WholeOrPart::Whole(BlockBytes::Loaded(bytes.into())))).unwrap();
    iterator
}

fn entry(shared: u32, suffix_length: u32, value_length: u32, rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for length in [shared, suffix_length, value_length] {
        put_varint32(&mut bytes, length);
    }
    bytes.extend_from_slice(rest);
    bytes
}

fn block(entries: &[Vec<u8>], restarts: &[u32], count: u32) -> Vec<u8> {
    let mut bytes = entries.concat();
    restarts.iter().for_each(|&restart| put_fixed32(&mut bytes, restart));
    put_fixed32(&mut bytes, count);
    bytes
}

/// Moves to the next entry, by the fast path if it moves: then it must stand where `next` would.
fn next_plain_or_not(iterator: &mut LazyBlockIterator<Owner>) {
    let (key, value) = (iterator.key().to_vec(), iterator.value().to_vec());
    // The prefix may be wanted again after a step that did not ask for it.
    let with_prefix = key.iter().fold(0, |parity, byte| parity ^ byte) & 4 == 0;
    match iterator.try_next_user_key(with_prefix) {
        Some(trailer_told) => {
            assert!(user_key(iterator.key()) > user_key(&key));
            assert_eq!(trailer_told, trailer(iterator.key()));
        }
        None => {
            assert_eq!((iterator.key(), iterator.value()), (&key[..], &value[..]), "it has not moved");
            iterator.next();
        }
    }
    if iterator.valid() {
        assert!(iterator.key_prefix().order(KeyPrefix::of(iterator.key())).is_eq());
    }
}

/// Uses the block in every way. Returns the number of entries passed forward and backward, and whether
/// corruption was reported.
fn exercise(bytes: &[u8]) -> (usize, usize, bool) {
    let mut iterator = iterator(bytes);
    let mut corrupt = iterator.corruption().is_some();
    let bound = bytes.len() + 1;
    let (mut forward, mut backward) = (0, 0);
    iterator.seek_to_first();
    while iterator.valid() {
        assert!(iterator.key().len() >= 8);
        forward += 1;
        assert!(iterator.value().len() <= bytes.len());
        assert!(forward <= bound);
        next_plain_or_not(&mut iterator);
    }
    corrupt |= iterator.corruption().is_some();
    iterator.seek_to_last();
    while iterator.valid() {
        assert!(iterator.key().len() >= 8);
        backward += 1;
        assert!(backward <= bound);
        iterator.prev();
    }
    corrupt |= iterator.corruption().is_some();
    for user in ["", "a", "b", "ba", "c", "zzzzzzzzzzz"] {
        for sequence in [0, 3, MAX_SEQUENCE] {
            let target = LookupKey::new(user.as_bytes(), sequence);
            iterator.seek(target.internal_key());
            corrupt |= iterator.corruption().is_some();
            if iterator.valid() {
                iterator.prev();
                corrupt |= iterator.corruption().is_some();
            }
            if iterator.valid() {
                iterator.next();
            }
            if let Ok(block) = Block::parse(bytes) {
                corrupt |= block.get(&order(), target.internal_key(), |key, _| key.len()).is_err();
            }
        }
    }
    (forward, backward, corrupt)
}

#[track_caller]
fn assert_corrupt(bytes: &[u8]) {
    assert!(exercise(bytes).2);
}

#[test]
fn a_block_without_restart_points_is_empty() {
    assert_eq!(exercise(&[0, 0, 0, 0]), (0, 0, false));
    assert_eq!(exercise(&block(&[entry(0, 9, 0, &internal(b"a", 1))], &[], 0)), (0, 0, false));
    assert_eq!(exercise(BlockBuilder::new(16).finish().unwrap()), (0, 0, false));
}

#[test]
fn restart_counts_and_offsets_are_held_against_the_block() {
    let entries = [entry(0, 9, 0, &internal(b"a", 1)), entry(0, 9, 0, &internal(b"b", 1))];
    assert_eq!(exercise(&block(&entries, &[0, 12], 2)), (2, 2, false));
    for length in 0..4 {
        assert!(Block::parse(&[1, 0, 0, 0][..length]).is_err());
    }
    for count in [3 + 6, 0x3fff_ffff, 0x4000_0001, 0x7fff_ffff, 0x8000_0002, u32::MAX] {
        assert!(Block::parse(&block(&entries, &[0, 12], count)).is_err(), "{count}");
    }
    for restarts in [&[1, 12][..], &[0, 24], &[0, 25], &[0, u32::MAX], &[0, 12, 11], &[0, 12, 0]] {
        assert_corrupt(&block(&entries, restarts, restarts.len() as u32));
    }
}

#[test]
fn an_entry_shares_no_more_than_there_is() {
    let first = entry(0, 9, 0, &internal(b"a", 1));
    assert_corrupt(&block(&[entry(1, 8, 0, &internal(b"", 1))], &[0], 1));
    assert_corrupt(&block(&[first.clone(), entry(10, 8, 0, &internal(b"", 1))], &[0], 1));
    assert_corrupt(&block(&[first.clone(), entry(u32::MAX, 1, 0, b"x")], &[0], 1));
    assert_eq!(exercise(&block(&[first, entry(1, 9, 0, &internal(b"a", 1))], &[0], 1)), (2, 2, false));
}

/// Look-ups once passed over such entries and reported their keys as missing.
#[test]
fn a_walk_lends_keys_that_are_stored_whole_and_puts_others_together() {
    let stored = [(0, "abc"), (2, "d"), (3, "e"), (0, "xy"), (0, ""), (0, "xyz"), (3, ""), (1, "q")];
    let keys = ["abc", "abd", "abde", "xy", "", "xyz", "xyz", "xq"];
    let entries = stored.map(|(shared, suffix)| entry(shared, suffix.len() as u32, 0, suffix.as_bytes()));
    let bytes = block(&entries, &[0], 1);
    let mut walk = Block::parse(&bytes).unwrap().entries();
    for key in keys {
        assert_eq!(walk.next().unwrap().map(|(key, _)| key), Some(key.as_bytes()));
    }
    assert!(walk.next().unwrap().is_none());
    // The third entry shares more bytes than the key before it has, though an earlier key was longer.
    for last in [(0, ""), (0, "a"), (1, "")] {
        let entries = [(0, "abc"), (3, "d"), last, (2, "x")];
        let entries = entries.map(|(shared, rest)| entry(shared, rest.len() as u32, 0, rest.as_bytes()));
        let bytes = block(&entries, &[0], 1);
        let mut walk = Block::parse(&bytes).unwrap().entries();
        (0..3).for_each(|_| assert!(walk.next().unwrap().is_some()));
        assert!(walk.next().is_err(), "{last:?}");
    }
}

#[test]
fn a_look_up_tells_an_entry_that_shares_more_than_there_is() {
    let keys = [internal(b"a", 5), internal(b"ab", 5), internal(b"b", 5)];
    let bytes = block(
        &[
            entry(0, 9, 0, &keys[0]),
            entry(100, 9, 0, &keys[1][1..]), // should share 1
            entry(0, 9, 0, &keys[2]),
        ],
        &[0],
        1,
    );
    let block = Block::parse(&bytes).unwrap();
    let look_up = |user: &[u8]| {
        let target = LookupKey::new(user, MAX_SEQUENCE);
        block.get(&order(), target.internal_key(), |_, _| ())
    };
    assert_eq!(look_up(b"a"), Ok(Some(())));
    for user in [&b"aa"[..], b"ab", b"b"] {
        assert!(look_up(user).is_err(), "{}", user.escape_ascii());
    }
}

#[test]
fn lengths_that_wrap_are_refused() {
    let key = internal(b"a", 1);
    for (suffix_length, value_length) in [
        (9, 1),
        (10, 0),
        (u32::MAX, 0),
        (9, u32::MAX),
        (u32::MAX, u32::MAX),
        (u32::MAX - 8, 9),
        (9, 0x8000_0000),
    ] {
        assert_corrupt(&block(&[entry(0, suffix_length, value_length, &key)], &[0], 1));
    }
    // Lengths that are cut off at the end of the entries, or take six bytes.
    assert_corrupt(&block(&[vec![0, 0xff]], &[0], 1));
    assert_corrupt(&block(&[vec![0xff; 20]], &[0], 1));
    assert_corrupt(&block(&[vec![0]], &[0], 1));
}

#[test]
fn keys_are_internal_ones_of_known_types() {
    assert_corrupt(&block(&[entry(0, 7, 0, b"1234567")], &[0], 1));
    assert_corrupt(&block(&[entry(0, 0, 0, b"")], &[0], 1));
    let mut key = internal(b"b", 3);
    key[1] = 2;
    let bytes = block(&[entry(0, 9, 0, &key)], &[0], 1);
    let target = LookupKey::new(b"b", MAX_SEQUENCE);
    assert!(Block::parse(&bytes).unwrap().get(&order(), target.internal_key(), |_, _| ()).is_err());
    let moves: [fn(&mut LazyBlockIterator<Owner>); 3] =
        [|it| it.seek(&internal(b"a", 1)), LazyBlockIterator::seek_to_first, LazyBlockIterator::seek_to_last];
    for position in moves {
        let mut iterator = iterator(&bytes);
        position(&mut iterator);
        assert!(!iterator.valid() && iterator.corruption().is_some());
    }
    // A key that shares bytes of the one before may still be too short.
    let first = entry(0, 9, 0, &internal(b"a", 1));
    assert_corrupt(&block(&[first, entry(2, 3, 0, b"xyz")], &[0], 1));
}

#[test]
fn keys_out_of_order_end_a_scan() {
    for (a, b) in [
        (internal(b"b", 1), internal(b"a", 1)),
        (internal(b"ab", 1), internal(b"a", 1)),
        (internal(b"a", 1), internal(b"a", 2)),
        (internal(b"a", 0x100), internal(b"a", 0x101)),
    ] {
        let shared = common_prefix_length(&a, &b) as u32;
        for shared in [0, shared] {
            let second = entry(shared, b.len() as u32 - shared, 0, &b[shared as usize..]);
            let bytes = block(&[entry(0, a.len() as u32, 0, &a), second], &[0], 1);
            let mut iterator = iterator(&bytes);
            iterator.seek_to_first();
            assert_eq!(iterator.key(), a);
            iterator.next();
            assert!(!iterator.valid());
            assert!(iterator.corruption().unwrap().to_string().contains("out of order"));
        }
    }
}

#[test]
fn shuffled_keys_cause_bounded_work_only() {
    let mut random = TestRandom(11);
    for _ in 0..200 {
        let mut builder = BlockBuilder::new(random.below(5) as usize + 1);
        for _ in 0..40 {
            let length = random.below(3);
            let key = internal(&random.bytes(length), random.below(5));
            builder.add(0, &key, b"").unwrap();
        }
        exercise(builder.finish().unwrap());
    }
}

#[test]
fn every_flipped_byte_is_survived() {
    let mut builder = BlockBuilder::new(3);
    let mut last = Vec::new();
    for (at, user) in ["a", "aa", "ab", "b", "b", "ba", "bb", "bbb", "c"].into_iter().enumerate() {
        let key = internal(user.as_bytes(), 300 - at as u64);
        builder.add(common_prefix_length(&last, &key), &key, user.as_bytes()).unwrap();
        last = key;
    }
    let good = builder.finish().unwrap().to_vec();
    assert_eq!(exercise(&good).0, 9);
    for at in 0..good.len() {
        for change in 1..=255 {
            let mut bytes = good.clone();
            bytes[at] ^= change;
            exercise(&bytes);
        }
    }
}

#[test]
fn random_bytes_are_survived() {
    let seed = 77;
    let mut random = TestRandom(seed);
    for _ in 0..20_000 {
        let length = random.below(60);
        let mut bytes: Vec<u8> =
            (0..length).map(|_| [0, 1, 2, 8, 9, 0x7f, 0x80, 0xff][random.below(8) as usize]).collect();
        put_fixed32(&mut bytes, 0);
        put_fixed32(&mut bytes, random.below(4) as u32);
        exercise(&bytes);
    }
}

#[test]
fn backward_moves_see_what_forward_moves_see() {
    let mut random = TestRandom(5);
    for interval in [1, 2, 16, 1000] {
        let mut keys: Vec<Vec<u8>> = (0..300)
            .map(|_| {
                let length = random.below(8);
                let user: Vec<u8> = (0..length).map(|_| b'a' + random.below(3) as u8).collect();
                internal(&user, random.below(1000))
            })
            .collect();
        keys.sort_by(|a, b| order().compare(a, b));
        let mut builder = BlockBuilder::new(interval);
        for (at, key) in keys.iter().enumerate() {
            // Entries need not share all the bytes that they could.
            let common = if at == 0 { 0 } else { common_prefix_length(&keys[at - 1], key) };
            let shared = random.below(common as u64 + 1) as usize;
            builder.add(shared, key, &at.to_le_bytes()).unwrap();
        }
        let bytes = builder.finish().unwrap();
        let mut iterator = iterator(bytes);
        iterator.seek_to_last();
        for (at, key) in keys.iter().enumerate().rev() {
            assert_eq!((iterator.key(), iterator.value()), (&key[..], &at.to_le_bytes()[..]));
            if random.below(10) == 0 && at + 1 < keys.len() {
                iterator.next();
                assert_eq!(iterator.key(), keys[at + 1]);
                iterator.prev();
                assert_eq!(iterator.key(), *key);
            }
            iterator.prev();
        }
        assert!(!iterator.valid() && iterator.corruption().is_none());
    }
}

/// Random keys and values, and the block that holds them.
fn random_block(random: &mut TestRandom, round: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<u8>) {
    let mut keys: Vec<Vec<u8>> = (0..random.below(60))
        .map(|_| {
            let length = random.below([4, 20, 200][round % 3]);
            let user: Vec<u8> = (0..length).map(|_| b'a' + random.below(3) as u8).collect();
            internal(&user, random.below(5))
        })
        .collect();
    keys.sort_by(|a, b| order().compare(a, b));
    keys.dedup();
    let mut builder = BlockBuilder::new([1, 2, 16][random.below(3) as usize]);
    let values: Vec<Vec<u8>> = keys
        .iter()
        .map(|_| {
            let longest = [3, 130, 20_000][random.below(3) as usize];
            vec![7; random.below(longest) as usize]
        })
        .collect();
    let mut previous: &[u8] = &[];
    for (key, value) in keys.iter().zip(&values) {
        builder.add(common_prefix_length(previous, key), key, value).unwrap();
        previous = key;
    }
    let bytes = builder.finish().unwrap().to_vec();
    (keys, values, bytes)
}

#[test]
fn plain_moves_pass_the_same_entries_as_others() {
    let mut random = TestRandom(3);
    let mut plain = 0;
    for round in 0..400 {
        let (keys, values, bytes) = random_block(&mut random, round);
        let (mut quick, mut slow) = (iterator(&bytes), iterator(&bytes));
        quick.seek_to_first();
        slow.seek_to_first();
        for (at, (key, value)) in keys.iter().zip(&values).enumerate() {
            assert_eq!((quick.key(), quick.value()), (&key[..], &value[..]), "round {round}, entry {at}");
            assert_eq!((slow.key(), slow.value()), (&key[..], &value[..]), "round {round}, entry {at}");
            // A step backward and forward in between changes nothing.
            if random.below(10) == 0 && at > 0 {
                quick.prev();
                quick.next();
                assert_eq!(quick.key(), key, "round {round}, entry {at}");
            }
            let before = quick.key().to_vec();
            next_plain_or_not(&mut quick);
            plain += u32::from(quick.valid() && user_key(&before) < user_key(quick.key()));
            slow.next();
        }
        assert!(!quick.valid() && !slow.valid(), "round {round}");
    }
    assert!(plain > 5_000, "{plain}");
}

#[test]
fn a_block_decompressed_in_steps_reads_as_a_whole_one() {
    let mut random = TestRandom(11);
    let mut compressor = Compressor::new(Compression::Snappy);
    let mut steps = 0;
    for round in 0..200 {
        let (keys, values, bytes) = random_block(&mut random, round);
        let Some((stored, TYPE_SNAPPY)) = compressor.compress(&bytes) else { continue };
        let num_restarts = u32::from_le_bytes(*bytes.last_chunk().unwrap());
        let handle = BlockHandle { offset: 0, size: stored.len() as u64 };
        let source = [stored, &[0xaa; 70][..random.below(70) as usize]].concat();
        let part = || LazyBlock::new(handle, &source, num_restarts).unwrap().unwrap();
        let owner = Arc::new(Owner(order(), source.clone()));
        for (at, key) in keys.iter().enumerate() {
            let mut part = part();
            let value = part.get(&order(), &source, key, |found, value| (found.to_vec(), value.to_vec()));
            assert_eq!(value.unwrap(), Some((key.clone(), values[at].clone())), "round {round}, entry {at}");
            steps += u32::from(!part.decoder.is_done());
            let missing = [user_key(key), b"x", &[0xff; 8]].concat();
            assert_eq!(part.get(&order(), &source, &missing, |_, _| ()).unwrap(), None);
        }
        let mut here = LazyBlockIterator::new(owner.clone());
        let mut there = iterator(&bytes);
        for _ in 0..keys.len() * 2 {
            if !here.valid() || random.below(5) == 0 {
                here.open(|_| Ok(WholeOrPart::Part(part()))).unwrap();
                let end = [keys.last().unwrap().as_slice(), b"x"].concat();
                let target = keys.get(random.below(keys.len() as u64 + 1) as usize).unwrap_or(&end);
                match random.below(8) {
                    0 => (here.seek_to_first(), there.seek_to_first()),
                    1 => (here.seek_to_last(), there.seek_to_last()),
                    _ => (here.seek(target), there.seek(target)),
                };
            } else if random.below(6) == 0 {
                here.prev();
                there.prev();
            } else {
                next_plain_or_not(&mut here);
                there.next();
            }
            assert_eq!((here.key(), here.value()), (there.key(), there.value()), "round {round}");
            assert!(here.corruption().is_none(), "round {round}");
        }
    }
    assert!(steps > 1000, "{steps} look-ups needed a part only");
}

#[test]
fn a_block_whose_stored_form_changed_is_found_damaged_in_steps() {
    let mut random = TestRandom(5);
    let mut compressor = Compressor::new(Compression::Snappy);
    for round in 0..300 {
        let (keys, _, bytes) = random_block(&mut random, round);
        let Some((stored, TYPE_SNAPPY)) = compressor.compress(&bytes) else { continue };
        let num_restarts = u32::from_le_bytes(*bytes.last_chunk().unwrap());
        let handle = BlockHandle { offset: 0, size: stored.len() as u64 };
        let mut source = stored.to_vec();
        let at = random.below(source.len() as u64) as usize;
        source[at] ^= 1 << random.below(8);
        let Some(mut part) = LazyBlock::new(handle, &source, num_restarts).unwrap() else { continue };
        // Any answer or an error, but no panic.
        let _ = part.get(&order(), &source, keys.last().unwrap(), |_, _| ());
        let mut iterator = LazyBlockIterator::new(Arc::new(Owner(order(), source.clone())));
        let part = LazyBlock::new(handle, &source, num_restarts).unwrap().unwrap();
        iterator.open(|_| Ok(WholeOrPart::Part(part))).unwrap();
        iterator.seek_to_first();
        for _ in 0..bytes.len() {
            if !iterator.valid() {
                break;
            }
            assert!(iterator.key().len() >= 8 && iterator.value().len() <= bytes.len() * 64);
            iterator.next();
        }
        assert!(!iterator.valid(), "round {round}");
    }
    let none = LazyBlock::new(BlockHandle { offset: 0, size: 3 }, &[0xff; 3], 1).unwrap();
    assert!(none.is_none());
}
