//! Changes of bytes and numbers that are likely to break parsers.

use crate::support::random::Random;
use terrace::internals::util::coding::{get_varint64, put_varint64};

/// A number near a limit: 0, the lengths of a varint, `near`, the ranges of the integer types.
pub fn odd_number(random: &mut Random, near: u64) -> u64 {
    const BORDERS: [u64; 16] = [
        0,
        1,
        7,
        8,
        127,
        128,
        255,
        16383,
        16384,
        1 << 31,
        u32::MAX as u64,
        1 << 32,
        (1 << 56) - 1,
        1 << 56,
        i64::MAX as u64,
        u64::MAX,
    ];
    match random.below(8) {
        0 | 1 => random.pick(&BORDERS),
        2 => near.wrapping_add(1),
        3 => near.wrapping_sub(1),
        4 => near.wrapping_mul(2),
        5 => near / 2,
        6 => near ^ 1 << random.below(64),
        _ => random.below(64),
    }
}

/// Changes, removes, duplicates or adds a few bytes somewhere.
pub fn change_bytes(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let length = (1 + random.below(8) as usize).min(bytes.len() - at);
        match random.below(8) {
            0 => drop(bytes.drain(at..at + length)),
            1 => drop(bytes.splice(at..at, bytes[at..at + length].to_vec())),
            2 => drop(bytes.splice(at..at, [random.pick(&[0, 0x7f, 0x80, 0xff])])),
            3 => bytes.truncate(at),
            _ if at == bytes.len() => bytes.push(random.next() as u8),
            4 => bytes[at] ^= 1 << random.below(8),
            5 => bytes[at] = random.next() as u8,
            6 => bytes[at..at + length].fill(random.pick(&[0, 0xff])),
            _ => bytes[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
        }
    }
}

/// Replaces the varint at `at` by one of an odd number, perhaps in a longer encoding than necessary.
pub fn change_varint(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let mut rest = bytes.get(at..).unwrap_or_default();
    let before = rest.len();
    let number = get_varint64(&mut rest).unwrap_or(0);
    let length = before - rest.len();
    let mut varint = Vec::new();
    put_varint64(&mut varint, odd_number(random, number));
    if random.one_in(8) {
        let last = varint.len() - 1;
        varint[last] |= 0x80;
        varint.push(0);
    }
    let at = at.min(bytes.len());
    bytes.splice(at..at + length, varint);
}

/// Removes, duplicates, swaps, moves, or replaces one of the elements.
pub fn change_list<T: Clone>(random: &mut Random, list: &mut Vec<T>) {
    if list.is_empty() {
        return;
    }
    let (at, other) = (random.below(list.len() as u64) as usize, random.below(list.len() as u64) as usize);
    match random.below(5) {
        0 => drop(list.remove(at)),
        1 => list.insert(other, list[at].clone()),
        2 => list.swap(at, other),
        3 => list[at] = list[other].clone(),
        _ => list.truncate(at + 1),
    }
}
