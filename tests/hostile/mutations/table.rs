//! Takes tables apart, changes one place, and puts them together again with correct checksums.

use super::bytes::{change_bytes, change_list, change_varint, odd_number};
use crate::hostile::forge::{Handles, Parts};
use crate::support::random::Random;
use terrace::internals::compression::{Compression, Compressor};
use terrace::internals::table::footer::{BlockHandle, FOOTER_SIZE, Footer};
use terrace::internals::util::coding::{fixed32_at, get_varint32};

/// The changed part.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Lengths,
    Keys,
    Restarts,
    DataBytes,
    DataBlocks,
    Compressed,
    IndexHandles,
    IndexKeys,
    IndexBytes,
    MetaHandles,
    MetaNames,
    MetaBytes,
    Footer,
    FileLength,
}

const PLACES: [Place; 14] = [
    Place::Lengths,
    Place::Keys,
    Place::Restarts,
    Place::DataBytes,
    Place::DataBlocks,
    Place::Compressed,
    Place::IndexHandles,
    Place::IndexKeys,
    Place::IndexBytes,
    Place::MetaHandles,
    Place::MetaNames,
    Place::MetaBytes,
    Place::Footer,
    Place::FileLength,
];

/// Changes a table in one place. Bytes that are not a table (any more) are changed as bytes.
pub fn change(random: &mut Random, table: &mut Vec<u8>) {
    match Parts::of(table) {
        Some(parts) => *table = rebuild(random, parts),
        None => change_bytes(random, table),
    }
}

fn rebuild(random: &mut Random, mut parts: Parts) -> Vec<u8> {
    let place = random.pick(&PLACES);
    let block = random.below(parts.data.len().max(1) as u64) as usize;
    match (place, parts.data.get_mut(block)) {
        (Place::DataBlocks, _) => change_list(random, &mut parts.data),
        (Place::Lengths | Place::Keys | Place::Restarts | Place::DataBytes, Some(contents)) => {
            change_block(random, contents, place);
        }
        (Place::Compressed, Some(contents)) => {
            let (stored, type_byte) = odd_compression(random, contents);
            parts.stored.push((block, stored, type_byte));
        }
        (Place::MetaBytes, _) if !parts.meta.is_empty() => {
            let meta = random.below(parts.meta.len() as u64) as usize;
            change_bytes(random, &mut parts.meta[meta].1);
        }
        _ => {}
    }
    let mut layout = parts.lay_out();
    let end = layout.length();
    match place {
        Place::MetaHandles => change_handles(random, &mut layout.metaindex, end),
        Place::MetaNames => change_keys(random, &mut layout.metaindex),
        Place::IndexHandles => change_handles(random, &mut layout.index, end),
        Place::IndexKeys => change_keys(random, &mut layout.index),
        _ => {}
    }
    let mut footer_random = random.clone();
    let mut bytes = layout.finish_changed(
        |index| {
            if place == Place::IndexBytes {
                let how = random.pick(&[Place::Lengths, Place::Restarts, Place::DataBytes]);
                change_block(random, index, how);
            }
        },
        |footer| {
            if place == Place::Footer {
                change_footer(&mut footer_random, footer);
            }
        },
    );
    if place == Place::FileLength {
        change_length(random, &mut bytes);
    }
    bytes
}

/// The offsets of the lengths of a block's entries, three for each entry.
fn length_offsets(contents: &[u8]) -> Vec<usize> {
    let mut offsets = Vec::new();
    let restarts = fixed32_at(contents, contents.len().wrapping_sub(4)).unwrap_or(0) as usize;
    let limit = contents.len().saturating_sub(4 + restarts.saturating_mul(4));
    let mut rest = &contents[..limit];
    while !rest.is_empty() {
        let mut lengths = [0; 3];
        for length in &mut lengths {
            offsets.push(limit - rest.len());
            match get_varint32(&mut rest) {
                Some(number) => *length = number as usize,
                None => return offsets,
            }
        }
        match rest.get(lengths[1] + lengths[2]..) {
            Some(behind) => rest = behind,
            None => return offsets,
        }
    }
    offsets
}

fn change_block(random: &mut Random, contents: &mut Vec<u8>, how: Place) {
    let offsets = length_offsets(contents);
    match how {
        Place::Lengths if !offsets.is_empty() => {
            let at = random.pick(&offsets);
            change_varint(random, contents, at);
        }
        Place::Keys if offsets.len() > 3 => {
            // The trailer of a key: the eight bytes before the value of the entry.
            let entry = random.below(offsets.len() as u64 / 3 - 1) as usize * 3;
            let mut rest = &contents[offsets[entry + 1]..];
            let unshared = get_varint32(&mut rest).unwrap_or(0) as usize;
            let key = offsets[entry + 2] + 1;
            let at = (key + random.below(unshared as u64 + 1) as usize).min(contents.len() - 1);
            let trailer = (key + unshared.saturating_sub(8)).min(contents.len() - 1);
            match random.below(3) {
                0 => contents[trailer] = random.pick(&[0, 1, 2, 7, 0xff]),
                1 => contents[trailer + 1..].iter_mut().take(7).for_each(|byte| *byte = 0xff),
                _ => contents[at] ^= 1 << random.below(8),
            }
        }
        Place::Restarts if contents.len() >= 4 => {
            let count = contents.len() - 4;
            let restarts = fixed32_at(contents, count).unwrap_or(0) as usize;
            let slot = random.below(restarts.min(contents.len() / 4) as u64 + 1) as usize;
            let at = count - (slot * 4).min(count / 4 * 4);
            let number = fixed32_at(contents, at).unwrap_or(0);
            let odd = odd_number(random, u64::from(number)) as u32;
            contents[at..at + 4].copy_from_slice(&odd.to_le_bytes());
        }
        _ => change_bytes(random, contents),
    }
}

/// A stored block with a wrong type byte or damaged compressed contents.
fn odd_compression(random: &mut Random, contents: &[u8]) -> (Vec<u8>, u8) {
    let mut snappy = Compressor::new(Compression::Snappy);
    let mut stored = match snappy.compress(contents) {
        Some((stored, _)) => stored.to_vec(),
        None => contents.to_vec(),
    };
    let type_byte = random.pick(&[0, 1, 1, 1, 2, 4, 7, 0xff]);
    match random.below(3) {
        0 => change_varint(random, &mut stored, 0),
        1 => change_bytes(random, &mut stored),
        _ => {}
    }
    (stored, type_byte)
}

fn change_handles(random: &mut Random, entries: &mut Handles, end: usize) {
    if entries.is_empty() {
        return;
    }
    let at = random.below(entries.len() as u64) as usize;
    let handle = &mut entries[at].1;
    match random.below(6) {
        0 => handle.offset = odd_number(random, handle.offset),
        1 => handle.size = odd_number(random, handle.size),
        // Points to the next part of the file: the metaindex, the index, the footer.
        2 => handle.offset = end as u64,
        3 => handle.offset = random.below(end as u64 + 100),
        4 => *handle = BlockHandle { offset: 0, size: end as u64 },
        _ => change_list(random, entries),
    }
}

fn change_keys(random: &mut Random, entries: &mut Handles) {
    if entries.is_empty() {
        return;
    }
    let at = random.below(entries.len() as u64) as usize;
    let other = random.below(entries.len() as u64) as usize;
    match random.below(4) {
        0 => entries[at].0 = entries[other].0.clone(),
        1 => entries[at].0.truncate(random.below(9) as usize),
        2 => entries[at].0 = vec![0xff; 20],
        _ => change_bytes(random, &mut entries[at].0),
    }
}

fn change_footer(random: &mut Random, footer: &mut Footer) {
    if random.one_in(4) {
        std::mem::swap(&mut footer.index, &mut footer.metaindex);
        return;
    }
    let handle = if random.one_in(2) { &mut footer.index } else { &mut footer.metaindex };
    let number = if random.one_in(2) { &mut handle.offset } else { &mut handle.size };
    *number = odd_number(random, *number);
}

fn change_length(random: &mut Random, bytes: &mut Vec<u8>) {
    match random.below(4) {
        0 => bytes.truncate(random.pick(&[0, 1, FOOTER_SIZE - 1, FOOTER_SIZE, FOOTER_SIZE + 1])),
        1 => bytes.truncate(random.below(bytes.len() as u64) as usize),
        2 => bytes.extend_from_slice(&[0; 100]),
        // Keeps only the end of the file, so that all handles point past it.
        _ => drop(bytes.drain(..random.below(bytes.len() as u64) as usize)),
    }
}
