//! An entry that fills a block alone, as a large value does: it can pass from table to table as it is stored.
//!
//! Only the first bytes are decompressed, to know the key. That the block holds this entry and no other follows from its lengths.

use crate::compression;
use crate::format::internal_key::{TRAILER_SIZE, ValueType, trailer};
use crate::util::coding::get_varint32;

/// A first look at a block sees its first entry's lengths, and most keys.
const FIRST_LOOK: usize = 64;

/// No longer keys are looked for.
const LONGEST_KEY: usize = 4 << 10;

/// What follows the entry: a restart point, and that there is one.
const BEHIND_ENTRY: usize = 8;

/// The length of the value of the only entry of a block of at least `min_length` bytes, and in `key` its internal key. `None` where
/// that is not plain: then the block must be read in the usual way. `contents` are not trusted.
pub fn value_alone(type_byte: u8, contents: &[u8], min_length: usize, key: &mut Vec<u8>) -> Option<u32> {
    let length = compression::decompressed_length(type_byte, contents).ok()?;
    if length < min_length.max(FIRST_LOOK) {
        return None;
    }
    let mut look = [0; FIRST_LOOK];
    compression::decompress_beginning(type_byte, contents, &mut look).ok()?;
    let mut rest = &look[..];
    let shared = get_varint32(&mut rest)?;
    let key_length = get_varint32(&mut rest)? as usize;
    let value_length = get_varint32(&mut rest)?;
    let key_start = FIRST_LOOK - rest.len();
    let end = (key_start + key_length) as u64 + u64::from(value_length) + BEHIND_ENTRY as u64;
    if shared != 0 || !(TRAILER_SIZE..=LONGEST_KEY).contains(&key_length) || end != length as u64 {
        return None;
    }
    key.clear();
    match rest.get(..key_length) {
        Some(bytes) => key.extend_from_slice(bytes),
        None => {
            key.resize(key_start + key_length, 0);
            compression::decompress_beginning(type_byte, contents, key).ok()?;
            key.drain(..key_start);
        }
    }
    ValueType::from_u8(trailer(key) as u8).map(|_| value_length)
}

/// The value of the only entry of a block that `value_alone` found: its length is known, and what follows it.
pub fn value_in(block: &[u8], value_length: u32) -> Option<&[u8]> {
    let end = block.len().checked_sub(BEHIND_ENTRY)?;
    block.get(end.checked_sub(value_length as usize)?..end)
}
