//! Buffers for blocks that one reader uses and nobody shares. Each thread keeps a short list of free buffers.
//! So an iterator over blocks that the cache does not keep allocates nothing from block to block, nor does
//! the next iterator.
//!
//! A buffer may be dropped on another thread than the one that made it; that thread's list then gets it.

use crate::error::{Error, Result};
use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// The most free buffers that a thread keeps, and the most bytes of all of them.
const KEEP: usize = 16;
const KEEP_BYTES: usize = 2 << 20;

thread_local! {
    static FREE: Cell<Vec<Vec<u8>>> = const { Cell::new(Vec::new()) };
}

/// The bytes of one block. Dropping returns them to the thread's free list.
#[derive(Default)]
pub struct BlockBuffer {
    /// As long as the longest block that was in it, or longer.
    bytes: Vec<u8>,
    length: usize,
}

impl BlockBuffer {
    /// A buffer of `length` bytes of undefined content. The length comes from a file: if memory is short,
    /// that is an error, not an abort.
    pub fn new(length: usize) -> Result<Self> {
        // The list is gone at the end of the thread.
        let mut free = FREE.try_with(Cell::take).unwrap_or_default();
        let fitting = free.iter().rposition(|bytes| bytes.len() >= length);
        let mut bytes =
            fitting.map(|index| free.swap_remove(index)).or_else(|| free.pop()).unwrap_or_default();
        let _ = FREE.try_with(|place| place.set(free));
        if bytes.len() < length {
            // Blocks differ a little in length: reserve for the next ones too.
            let room = length.next_multiple_of(512);
            if bytes.try_reserve_exact(room - bytes.len()).is_err() {
                return Err(Error::io(format!("no memory for a block of {length} bytes")));
            }
            bytes.resize(room, 0);
        }
        Ok(BlockBuffer { bytes, length })
    }
}

impl BlockBuffer {
    /// A buffer with the bytes that `fill` appends to an empty vector.
    pub fn filled_by<E>(
        fill: impl FnOnce(&mut Vec<u8>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Self, E> {
        let mut free = FREE.try_with(Cell::take).unwrap_or_default();
        let mut bytes = free.pop().unwrap_or_default();
        let _ = FREE.try_with(|place| place.set(free));
        bytes.clear();
        fill(&mut bytes)?;
        let length = bytes.len();
        Ok(BlockBuffer { bytes, length })
    }
}

impl Drop for BlockBuffer {
    fn drop(&mut self) {
        if self.bytes.is_empty() || self.bytes.capacity() > KEEP_BYTES {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let _ = FREE.try_with(|place| {
            let mut free = place.take();
            let kept: usize = free.iter().map(Vec::len).sum();
            if free.len() < KEEP && kept + bytes.len() <= KEEP_BYTES {
                free.push(bytes);
            }
            place.set(free);
        });
    }
}

impl Deref for BlockBuffer {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl DerefMut for BlockBuffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_unless_it_is_long() {
        let first = BlockBuffer::new(4100).unwrap();
        let address = first.as_ptr();
        assert_eq!(first.len(), 4100);
        drop(first);
        let again = BlockBuffer::new(4300).unwrap();
        assert_eq!((again.as_ptr(), again.len()), (address, 4300));
        let other = BlockBuffer::new(10).unwrap();
        assert_ne!(other.as_ptr(), address);
        drop(BlockBuffer::new(3 << 20).unwrap());
        assert!(BlockBuffer::new(10).unwrap().bytes.len() < 3 << 20);
        assert!(cfg!(miri) || BlockBuffer::new(usize::MAX / 4).is_err());
    }

    #[test]
    fn few_buffers_are_kept() {
        let many: Vec<_> = (0..100).map(|_| BlockBuffer::new(100).unwrap()).collect();
        drop(many);
        assert_eq!(FREE.take().len(), KEEP);
        let large: Vec<_> = (0..10).map(|_| BlockBuffer::new(300 << 10).unwrap()).collect();
        drop(large);
        assert_eq!(FREE.take().len(), 6, "two mebibytes");
    }
}
