//! Blocks that hold a single entry, as a large value makes them. Compaction can copy such a block from table
//! to table without decompressing it.
//!
//! Only the first bytes are decompressed, to learn the key. The entry's lengths prove that the block holds no
//! other entry.

use crate::compression;
use crate::format::internal_key::{TRAILER_SIZE, ValueType, trailer};
use crate::util::coding::get_varint32;

/// The first look decompresses this many bytes. They hold the first entry's lengths, and most keys.
const FIRST_LOOK: usize = 64;

/// A longer key is not looked for, in bytes.
const LONGEST_KEY: usize = 4 << 10;

/// The bytes that follow the entry: one restart offset and the restart count.
const ENTRY_TAIL: usize = 8;

/// The length of the value of a block's only entry, if the block has at least `min_length` bytes; its
/// internal key is written to `key`. `None` if that cannot be proven: then the block must be read in the
/// usual way. `contents` are not trusted.
pub fn single_entry_value_length(
    type_byte: u8,
    contents: &[u8],
    min_length: usize,
    key: &mut Vec<u8>,
) -> Option<u32> {
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
    let end = (key_start + key_length) as u64 + u64::from(value_length) + ENTRY_TAIL as u64;
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

/// The value of the only entry of a decompressed block for which `single_entry_value_length` returned
/// `value_length`.
pub fn single_entry_value(block: &[u8], value_length: u32) -> Option<&[u8]> {
    let end = block.len().checked_sub(ENTRY_TAIL)?;
    block.get(end.checked_sub(value_length as usize)?..end)
}
