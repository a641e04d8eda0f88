//! Writes a block: entries with the prefixes of their keys left out, then the restart points.
//!
//! ```text
//! entry    | shared varint32 | unshared varint32 | value length varint32 | key suffix | value |
//! block    | entry ... | restart offset u32 ... | number of restarts u32 |
//! ```
//! `shared` is the length of the prefix that an entry's key has in common with the key before it; at a
//! restart point it is 0. The caller knows the previous key (a table needs it anyway) and passes `shared`.
//!
//! A builder is used by one thread.

use crate::error::{Error, Result};
use crate::format::limits::MAX_BLOCK_SIZE;
use crate::util::coding::{put_fixed32, put_varint32};

/// A block under construction. `reset` makes it ready for the next block.
pub struct BlockBuilder {
    buffer: Vec<u8>,
    restarts: Vec<u32>,
    /// Entries from one restart point to the next; at least 1.
    restart_interval: usize,
    /// Entries since the last restart point, that one included.
    since_restart: usize,
}

impl BlockBuilder {
    /// An empty block with a restart point every `restart_interval` entries (0 counts as 1).
    pub fn new(restart_interval: usize) -> Self {
        let restart_interval = restart_interval.max(1);
        BlockBuilder { buffer: Vec::new(), restarts: vec![0], restart_interval, since_restart: 0 }
    }

    /// Begins the next block. The memory is kept.
    pub fn reset(&mut self) {
        self.buffer.clear();
        self.restarts.clear();
        self.restarts.push(0);
        self.since_restart = 0;
    }

    /// Has no entry been added since the last `reset`?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The size of the block in bytes, if it were finished now.
    #[inline]
    pub fn size_estimate(&self) -> usize {
        self.buffer.len() + self.restarts.len() * 4 + 4
    }

    /// Appends an entry whose key has its first `shared` bytes in common with the previous key. ENOMEM if
    /// memory is short; then nothing has changed. Lengths of more than 32 bits are cut off, but make the
    /// block so long that `finish` refuses it.
    #[inline]
    pub fn add(&mut self, shared: usize, key: &[u8], value: &[u8]) -> Result<()> {
        let most = 15usize.saturating_add(key.len()).saturating_add(value.len());
        if self.buffer.try_reserve(most).is_err() {
            return Err(Error::no_memory("a block of a table"));
        }
        let shared = if self.since_restart < self.restart_interval && !self.buffer.is_empty() {
            shared
        } else {
            if !self.buffer.is_empty() {
                if self.restarts.try_reserve(1).is_err() {
                    return Err(Error::no_memory("a block of a table"));
                }
                self.restarts.push(self.buffer.len() as u32);
            }
            self.since_restart = 0;
            0
        };
        self.since_restart += 1;
        let suffix = &key[shared..];
        if (shared | suffix.len() | value.len()) < 0x80 {
            self.buffer.extend_from_slice(&[shared as u8, suffix.len() as u8, value.len() as u8]);
        } else {
            put_varint32(&mut self.buffer, shared as u32);
            put_varint32(&mut self.buffer, suffix.len() as u32);
            put_varint32(&mut self.buffer, value.len() as u32);
        }
        self.buffer.extend_from_slice(suffix);
        self.buffer.extend_from_slice(value);
        Ok(())
    }

    /// Appends the restart points and returns the whole block; `reset` must follow before the next `add`.
    /// InvalidArgument if the block is too long for the format.
    pub fn finish(&mut self) -> Result<&[u8]> {
        let size = self.size_estimate();
        if size > MAX_BLOCK_SIZE {
            return Err(Error::invalid_argument(format!(
                "a block of {size} bytes is too long for a table: it may have 4 GiB"
            )));
        }
        if self.buffer.try_reserve(4 * self.restarts.len() + 4).is_err() {
            return Err(Error::no_memory("a block of a table"));
        }
        for &restart in &self.restarts {
            put_fixed32(&mut self.buffer, restart);
        }
        put_fixed32(&mut self.buffer, self.restarts.len() as u32);
        Ok(&self.buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::limits::lone_block_size;

    #[test]
    fn bytes_are_leveldbs() {
        let mut block = BlockBuilder::new(2);
        assert_eq!(block.size_estimate(), 8);
        for (shared, key, value) in [(0, "apple", "1"), (3, "apply", "22"), (2, "apt", ""), (0, "b", "x")] {
            block.add(shared, key.as_bytes(), value.as_bytes()).unwrap();
        }
        let estimate = block.size_estimate();
        let bytes = block.finish().unwrap().to_vec();
        assert_eq!(
            bytes,
            b"\0\x05\x01apple1\x03\x02\x02ly22\0\x03\0apt\0\x01\x01bx\0\0\0\0\x10\0\0\0\x02\0\0\0"
        );
        assert_eq!(estimate, bytes.len());
        block.reset();
        assert_eq!(block.finish().unwrap(), [0, 0, 0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn long_entries_have_long_lengths() {
        let mut block = BlockBuilder::new(16);
        block.add(0, &[b'k'; 200], &[b'v'; 300]).unwrap();
        assert_eq!(block.finish().unwrap()[..5], [0, 0xc8, 1, 0xac, 2]);
    }

    #[test]
    fn a_block_that_is_too_long_is_an_error() {
        let mut block = BlockBuilder::new(1);
        block.buffer = vec![0; MAX_BLOCK_SIZE - 8]; // zeros that are never touched take no memory
        let message =
            |block: &mut BlockBuilder| block.finish().map(<[u8]>::len).map_err(|error| error.to_string());
        assert_eq!(message(&mut block), Ok(MAX_BLOCK_SIZE));
        block.buffer = vec![0; MAX_BLOCK_SIZE - 7];
        assert!(message(&mut block).unwrap_err().contains("block of 4294967296 bytes"));
        block.buffer = vec![0; MAX_BLOCK_SIZE + 100];
        block.add(0, b"key", b"value").unwrap();
        assert!(message(&mut block).is_err());
    }

    #[test]
    fn a_block_of_one_entry_is_as_long_as_it_is_built() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            for other in [8, 200] {
                for (key, value) in [(length, other), (other, length)] {
                    let mut block = BlockBuilder::new(16);
                    block.add(0, &vec![0; key], &vec![0; value]).unwrap();
                    assert_eq!(block.finish().unwrap().len(), lone_block_size(key, value));
                }
            }
        }
    }
}
