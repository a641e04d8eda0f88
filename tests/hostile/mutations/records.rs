//! Takes WALs and MANIFESTs apart into the fields of their records, changes one place, and frames them again
//! with correct checksums.

use super::bytes::{change_bytes, change_list, change_varint, odd_number};
use crate::fuzz::mend;
use crate::support::random::Random;
use terrace::internals::record::{BLOCK_SIZE, HEADER_SIZE};
use terrace::internals::util::coding::{
    get_bytes, get_varint32, get_varint64, put_bytes, put_varint32, put_varint64,
};

/// Changes a WAL in one place.
pub fn change_log(random: &mut Random, log: &mut Vec<u8>) {
    change_records(random, log, change_batch);
}

/// Changes a MANIFEST in one place.
pub fn change_manifest(random: &mut Random, manifest: &mut Vec<u8>) {
    change_records(random, manifest, change_edit);
}

fn change_records(random: &mut Random, bytes: &mut Vec<u8>, change_one: fn(&mut Random, &mut Vec<u8>)) {
    let mut records = mend::parse_records(bytes);
    match random.below(8) {
        0 => change_list(random, &mut records),
        1 | 2 => return change_framing(random, bytes),
        _ if records.is_empty() => return change_bytes(random, bytes),
        _ => {
            let at = random.below(records.len() as u64) as usize;
            change_one(random, &mut records[at]);
        }
    }
    *bytes = mend::frame_records(&records);
}

/// Changes the framing of the records: types, lengths, zeros, the end of the file.
fn change_framing(random: &mut Random, bytes: &mut Vec<u8>) {
    let headers = headers(bytes);
    let Some(&at) = headers.get(random.below(headers.len() as u64 + 1) as usize) else {
        return change_bytes(random, bytes);
    };
    match random.below(9) {
        0 | 1 => bytes[at + 6] = random.pick(&[0, 1, 2, 3, 4, 5, 0xff]),
        2 | 3 => {
            let length = u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]);
            let odd = odd_number(random, u64::from(length)) as u16;
            bytes[at + 4..at + 6].copy_from_slice(&odd.to_le_bytes());
        }
        4 => bytes.truncate(at + random.below(HEADER_SIZE as u64 + 20) as usize),
        5 => {
            let sector = at / 512 * 512;
            let end = bytes.len().min(sector + 512);
            bytes[sector..end].fill(0);
        }
        6 => bytes.extend_from_slice(&vec![0; random.below(2 * BLOCK_SIZE as u64) as usize]),
        7 => bytes.extend_from_within(..at),
        _ => drop(bytes.drain(..at)),
    }
    if !random.one_in(4) {
        mend::records(bytes);
    }
}

/// The offsets of the fragments.
fn headers(bytes: &[u8]) -> Vec<usize> {
    let mut headers = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + HEADER_SIZE) {
        headers.push(at);
        at += HEADER_SIZE + usize::from(u16::from_le_bytes([header[4], header[5]]));
        let left = BLOCK_SIZE - at % BLOCK_SIZE;
        if left < HEADER_SIZE {
            at += left;
        }
    }
    headers
}

/// Changes the header, a tag or a length of a write batch.
fn change_batch(random: &mut Random, batch: &mut Vec<u8>) {
    let Some((header, mut rest)) = batch.split_first_chunk::<12>() else {
        return change_bytes(random, batch);
    };
    let sequence = u64::from_le_bytes(header[..8].try_into().expect("eight bytes"));
    let count = u32::from_le_bytes(header[8..].try_into().expect("four bytes"));
    let (mut tags, mut ids, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    'entries: while let Some((&tag, behind)) = rest.split_first() {
        tags.push(batch.len() - rest.len());
        rest = behind;
        if matches!(tag, 4 | 5) {
            ids.push(batch.len() - rest.len());
            if get_varint32(&mut rest).is_none() {
                break 'entries;
            }
        }
        for _ in 0..=tag % 4 {
            lengths.push(batch.len() - rest.len());
            if get_bytes(&mut rest).is_none() {
                break 'entries;
            }
        }
    }
    match random.below(6) {
        0..=2 if !ids.is_empty() && random.one_in(2) => {
            let tag = random.pick(&tags);
            match random.below(3) {
                0 => batch[tag] = random.below(26) as u8,
                _ => {
                    let at = random.pick(&ids);
                    change_varint(random, batch, at);
                }
            }
        }
        0 => batch[..8].copy_from_slice(&odd_number(random, sequence).to_le_bytes()),
        1 => batch[8..12].copy_from_slice(&(odd_number(random, count.into()) as u32).to_le_bytes()),
        2 if !tags.is_empty() => batch[random.pick(&tags)] = random.pick(&[0, 1, 2, 7, 15, 0xff]),
        3 if !lengths.is_empty() => {
            let at = random.pick(&lengths);
            change_varint(random, batch, at);
        }
        _ => change_bytes(random, batch),
    }
}

/// A field of a version edit.
#[derive(Clone)]
struct Field {
    tag: u32,
    numbers: Vec<u64>,
    keys: Vec<Vec<u8>>,
    /// Of a new file of RocksDB's: its sequence numbers and fields, as they are encoded.
    more: Vec<u8>,
}

/// The tag of RocksDB's new files.
const NEW_FILE_4: u32 = 103;

/// The number of integers and of byte strings that follow a tag; `None` for an unknown tag.
fn shape(tag: u32) -> Option<(usize, usize)> {
    match tag {
        1 => Some((0, 1)),
        2 | 3 | 4 | 9 => Some((1, 0)),
        5 => Some((1, 1)),
        6 => Some((2, 0)),
        7 | NEW_FILE_4 => Some((3, 2)),
        10 | 200 | 203 | 300 => Some((1, 0)),
        201 | 0x3ff1 | 0x3ff2 => Some((0, 1)),
        202 => Some((0, 0)),
        _ => None,
    }
}

fn parse_edit(mut record: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !record.is_empty() {
        let tag = get_varint32(&mut record)?;
        let (numbers, keys) = shape(tag)?;
        let mut field = Field { tag, numbers: Vec::new(), keys: Vec::new(), more: Vec::new() };
        for _ in 0..numbers {
            field.numbers.push(get_varint64(&mut record)?);
        }
        for _ in 0..keys {
            field.keys.push(get_bytes(&mut record)?.to_vec());
        }
        if tag == NEW_FILE_4 {
            let begin = record;
            get_varint64(&mut record)?;
            get_varint64(&mut record)?;
            while get_varint32(&mut record)? != 1 {
                get_bytes(&mut record)?;
            }
            field.more = begin[..begin.len() - record.len()].to_vec();
        }
        fields.push(field);
    }
    Some(fields)
}

/// Changes a field of a version edit, or the set of its fields.
fn change_edit(random: &mut Random, record: &mut Vec<u8>) {
    let Some(mut fields) = parse_edit(record).filter(|fields| !fields.is_empty()) else {
        return change_bytes(random, record);
    };
    let at = random.below(fields.len() as u64) as usize;
    let other = random.below(fields.len() as u64) as usize;
    let is_beyond = fields.iter().any(|field| field.tag > 9);
    match random.below(10) {
        0 | 1 => change_list(random, &mut fields),
        2 if is_beyond && random.one_in(2) => {
            fields[at].tag = random.pick(&[10, 103, 200, 201, 202, 203, 300, 400, 0x2001, 0x3ff1, 0x3ff2]);
        }
        6.. if is_beyond && !fields[at].more.is_empty() && random.one_in(2) => {
            change_bytes(random, &mut fields[at].more);
        }
        2 => fields[at].tag = random.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 103, 200, u32::MAX]),
        3 => return change_bytes(random, record),
        // Moves a field of one record into another one.
        4 => {
            let field = Field {
                tag: if is_beyond {
                    random.pick(&[4, 10, 200, 203, 300])
                } else {
                    random.pick(&[2, 3, 4, 9])
                },
                numbers: vec![odd_number(random, if is_beyond { 2 } else { 10 })],
                keys: vec![],
                more: vec![],
            };
            fields.insert(at, field);
        }
        5 | 6 if !fields[at].keys.is_empty() => change_key(random, &mut fields, at, other),
        _ => match fields[at].numbers.len() {
            0 => change_key(random, &mut fields, at, other),
            count => {
                let number = random.below(count as u64) as usize;
                let near = if random.one_in(4) { 6 } else { fields[at].numbers[number] };
                fields[at].numbers[number] = odd_number(random, near);
            }
        },
    }
    record.clear();
    for field in &fields {
        put_varint32(record, field.tag);
        field.numbers.iter().for_each(|&number| put_varint64(record, number));
        field.keys.iter().for_each(|key| put_bytes(record, key));
        record.extend_from_slice(&field.more);
    }
}

fn change_key(random: &mut Random, fields: &mut [Field], at: usize, other: usize) {
    let donor = fields[other].keys.first().cloned();
    let keys = &mut fields[at].keys;
    let Some(key) = keys.first_mut() else { return };
    match random.below(5) {
        0 => keys.reverse(),
        1 => key.truncate(random.below(9) as usize),
        2 => *key = donor.unwrap_or_default(),
        3 => *key = vec![0xff; 12],
        _ => {
            let which = random.below(keys.len() as u64) as usize;
            change_bytes(random, &mut keys[which]);
        }
    }
}
