//! The limits on the length of entries, batches and blocks. There is one limit of each kind, which all
//! readers and writers share.
//!
//! Lengths and offsets in WALs and tables have 32 bits. A table may hold an entry in a block of its own, so
//! an entry is short enough if a block with that single entry is. The limit on what may be *written* is a
//! little lower, so that every accepted write fits a record of the WAL, a memtable, a block and an index, and
//! no other component has to refuse it.
//!
//! Thread rule: pure functions.

use super::internal_key::TRAILER_SIZE;
use crate::error::{Error, Result};

/// The limit on key plus value of a written entry, in bytes.
pub const MAX_ENTRY_SIZE: usize = u32::MAX as usize - (64 << 10);

/// The bytes of an entry in a batch beside key and value: its type, a column family and two lengths.
pub const MAX_BATCH_ENTRY_OVERHEAD: usize = 1 + 5 + 5 + 5;

/// The limit on the representation of a batch, in bytes: one entry of the greatest length fits.
pub const MAX_BATCH_SIZE: usize = MAX_ENTRY_SIZE + 1024;

/// The limit on a block, in bytes: its restart points and the sizes in indexes have 32 bits.
pub const MAX_BLOCK_SIZE: usize = u32::MAX as usize;

/// The limit, in bytes, on memtables that are flushed into one table, and on a memtable that accepts another
/// batch. The versions of one key cannot be divided between tables of level 0; within this limit they fit an
/// index, however long the key is.
pub const MAX_MEMTABLE_BYTES: usize = 3 << 30;

/// A block of several entries is ended before it exceeds this, in bytes.
pub const MAX_SHARED_BLOCK_SIZE: usize = 1 << 30;

/// The bytes of a single-entry block beside internal key and value, at most: three lengths, a restart point
/// and the number of restart points.
const MAX_LONE_OVERHEAD: usize = 1 + 5 + 5 + 4 + 4;

const _: () = assert!(MAX_ENTRY_SIZE + TRAILER_SIZE + MAX_LONE_OVERHEAD <= MAX_BLOCK_SIZE);
const _: () = assert!(MAX_ENTRY_SIZE + MAX_BATCH_ENTRY_OVERHEAD + 12 <= MAX_BATCH_SIZE);
const _: () = assert!(MAX_BATCH_SIZE <= u32::MAX as usize);

/// InvalidArgument if an entry with a key and a value of these lengths cannot be written. Takes lengths
/// instead of slices: a C function that receives a pointer and a length checks the length first.
#[inline]
pub fn check_entry(key_length: usize, value_length: usize) -> Result<()> {
    if key_length.saturating_add(value_length) <= MAX_ENTRY_SIZE {
        Ok(())
    } else {
        Err(too_long(key_length, value_length))
    }
}

#[cold]
fn too_long(key_length: usize, value_length: usize) -> Error {
    Error::invalid_argument(format!(
        "an entry with a key of {key_length} bytes and a value of {value_length} bytes is too long: together they have at \
         most {MAX_ENTRY_SIZE} (4 GiB less 64 KiB)"
    ))
}

/// True if any entries that have that many bytes together fit tables. True for all that `check_entry`
/// accepts.
#[inline]
pub fn surely_fits_a_table(bytes: usize) -> bool {
    bytes <= longest_block() - (MAX_BLOCK_SIZE - MAX_ENTRY_SIZE)
}

/// True if an entry written by another implementation, with a user key and a value of these lengths, fits a
/// block of a table.
pub fn fits_a_table(user_key_length: usize, value_length: usize) -> bool {
    lone_block_size(user_key_length.saturating_add(TRAILER_SIZE), value_length) <= longest_block()
}

#[cfg(not(test))]
const fn longest_block() -> usize {
    MAX_BLOCK_SIZE
}

#[cfg(test)]
use testing::longest_block;

/// Tests can lower the length of the longest block for a thread, so that they need no entries of 4 GiB.
#[cfg(test)]
pub mod testing {
    use super::MAX_BLOCK_SIZE;
    use std::cell::Cell;

    thread_local!(static LONGEST_BLOCK: Cell<usize> = const { Cell::new(MAX_BLOCK_SIZE) });

    pub(super) fn longest_block() -> usize {
        LONGEST_BLOCK.get()
    }

    /// Runs `body` with a limit on blocks of `bytes`.
    pub fn with_longest_block<R>(bytes: usize, body: impl FnOnce() -> R) -> R {
        let before = LONGEST_BLOCK.replace(bytes);
        let result = body();
        LONGEST_BLOCK.set(before);
        result
    }
}

/// The size in bytes of a block with one entry, of an internal key and a value of these lengths.
pub fn lone_block_size(key_length: usize, value_length: usize) -> usize {
    let lengths = 1 + varint_length(key_length) + varint_length(value_length);
    key_length.saturating_add(value_length).saturating_add(lengths + 8)
}

/// The number of bytes of this number as a varint.
fn varint_length(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_as_a_whole() {
        const GIB: usize = 1 << 30;
        for (key, value) in
            [(8, MAX_ENTRY_SIZE - 8), (MAX_ENTRY_SIZE, 0), (0, MAX_ENTRY_SIZE), (2 * GIB, GIB)]
        {
            check_entry(key, value).unwrap();
            assert!(fits_a_table(key, value) && surely_fits_a_table(key + value));
        }
        for (key, value) in [
            (8, MAX_ENTRY_SIZE - 7),
            (MAX_ENTRY_SIZE, 1),
            (8, 4 * GIB - 11),
            (5 * GIB / 2, 5 * GIB / 2),
            (u32::MAX as usize, u32::MAX as usize),
            (usize::MAX, usize::MAX),
            (0, usize::MAX),
        ] {
            let error = check_entry(key, value).unwrap_err();
            assert!(error.message().contains(&format!("{key} bytes")) && error.message().contains("4 GiB"));
            assert!(!surely_fits_a_table(key.saturating_add(value)));
            assert_eq!(error.kind(), crate::error::ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn what_fits_a_block_alone_fits_a_table() {
        let most = MAX_BLOCK_SIZE - lone_block_size(8 + 8, 1 << 30) + (1 << 30);
        assert!(
            fits_a_table(8, most - 1)
                && fits_a_table(8, most) == (lone_block_size(16, most) <= MAX_BLOCK_SIZE)
        );
        assert!(!fits_a_table(8, most + 1));
        assert!(!fits_a_table(1 << 31, 1 << 31) && !fits_a_table(usize::MAX, usize::MAX));
    }
}
