//! A decoder of snappy's raw format that stops where it is told, and goes on from there.
//!
//! ```text
//! stream   | length of the block varint32 | element ... |
//! element  | tag u8 | up to 4 bytes more | the bytes of a literal |
//! tag      low bits 00  literal of 1 + 6 bits; 60 to 63: the length less 1 is in the 1 to 4 bytes that follow
//!          low bits 01  copy of 4 + 3 bits from an offset of 3 bits and a byte
//!          low bits 10  copy of 1 + 6 bits from an offset of 2 bytes
//!          low bits 11  the same with an offset of 4 bytes
//! ```
//! Short elements are copied in pieces of 16 bytes, and more than they have: hence the slack. Nothing in the stream is trusted.
//!
//! Belongs to one reader.

#![allow(unsafe_code)]

use std::ptr;

/// Bytes that may be written behind a block, and that the stored form had better have behind it.
pub const DECODER_SLACK: usize = 64;

/// How much is looked at before a short element is decoded quickly: its tag, and a literal's bytes in pieces.
const QUICK_LOOK: usize = 8 + DECODER_SLACK;

/// The stream is damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadStream;

/// Decompresses a snappy stream from its beginning as far as is asked for, and goes on from there when more is.
#[derive(Clone, Copy, Debug)]
pub struct PartialDecoder {
    /// Where the next element of the stream begins.
    at: usize,
    /// Bytes decompressed.
    done: usize,
    /// Of the whole block, as the stream says.
    length: usize,
}

impl PartialDecoder {
    /// A decoder of the stream that `stored` begins with; `None` where its length makes no sense.
    #[inline]
    pub fn new(stored: &[u8]) -> Option<Self> {
        let (mut length, mut at) = (0, 0);
        loop {
            let byte = *stored.get(at)?;
            length |= usize::from(byte & 0x7f) << (7 * at);
            at += 1;
            if byte < 0x80 {
                break;
            }
            if at == 5 {
                return None;
            }
        }
        (length as u64 <= u64::from(u32::MAX)).then_some(PartialDecoder { at, done: 0, length })
    }

    /// The length of the whole block.
    #[inline]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Bytes decompressed so far.
    #[inline]
    pub fn done(&self) -> usize {
        self.done
    }

    /// Decompresses until `wanted` bytes are there, or all. `source` is the stream, of `stored` bytes, and what lies behind it;
    /// `block` has room for the block and for [`DECODER_SLACK`] more bytes, and holds what was decompressed so far.
    pub fn decode(
        &mut self,
        source: &[u8],
        stored: usize,
        block: &mut [u8],
        wanted: usize,
    ) -> Result<(), BadStream> {
        let wanted = wanted.min(self.length);
        let room = self.length.checked_add(DECODER_SLACK).and_then(|room| block.get_mut(..room));
        let (Some(block), true) = (room, stored <= source.len()) else { return Err(BadStream) };
        while self.done < wanted {
            self.decode_quickly(source, stored, block, wanted);
            if self.done < wanted {
                self.decode_one(&source[..stored], block).ok_or(BadStream)?;
            }
        }
        if self.done == self.length && self.at != stored { Err(BadStream) } else { Ok(()) }
    }

    /// Decompresses short elements, until `wanted` bytes are there or up to one that is long, near the end of the source, or bad.
    /// `stored` is at most `source`'s length, and `block` has [`DECODER_SLACK`] bytes behind `length`.
    #[inline]
    fn decode_quickly(&mut self, source: &[u8], stored: usize, block: &mut [u8], wanted: usize) {
        assert!(
            stored <= source.len() && wanted <= self.length && self.length + DECODER_SLACK <= block.len()
        );
        let (mut at, mut done) = (self.at, self.done);
        let Some(last_look) = source.len().checked_sub(QUICK_LOOK) else { return };
        let (source, block) = (source.as_ptr(), block.as_mut_ptr());
        while done < wanted && at <= last_look {
            // SAFETY: QUICK_LOOK bytes of the source follow `at`, and this are eight of them.
            let word = u64::from_le(unsafe { source.add(at).cast::<u64>().read_unaligned() });
            let high = (word >> 2 & 0x3f) as usize;
            let (header, length, offset) = match word & 3 {
                0 => (1, high + 1, 0),
                1 => (2, 4 + (high & 7), high >> 3 << 8 | (word >> 8 & 0xff) as usize),
                2 => (3, high + 1, (word >> 8 & 0xffff) as usize),
                _ => break,
            };
            if length > self.length - done {
                break;
            }
            if word & 3 == 0 {
                if high >= 60 || at + 1 + length > stored {
                    break;
                }
                // SAFETY: `done` is below the block's length, behind which there is slack, so that 64 bytes follow it in the
                // block; 65 follow `at` in the source, which is other memory.
                unsafe { copy_pieces(source.add(at + 1), block.add(done), length) };
                at += 1 + length;
            } else {
                if offset < PIECE || offset > done || at + header > stored {
                    break;
                }
                // SAFETY: as above; what is read begins at or behind the block's beginning, and a piece or more before `done`.
                unsafe { copy_pieces(block.add(done - offset), block.add(done), length) };
                at += header;
            }
            done += length;
        }
        (self.at, self.done) = (at, done);
    }

    /// Decompresses one element of any kind, byte by byte. `None`: it is bad.
    #[cold]
    #[inline(never)]
    fn decode_one(&mut self, stored: &[u8], block: &mut [u8]) -> Option<()> {
        let rest = stored.get(self.at..)?;
        let tag = usize::from(*rest.first()?);
        let number = |bytes: usize| {
            let bytes = rest.get(1..1 + bytes)?;
            Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
        };
        let (header, length, offset) = match (tag & 3, tag >> 2) {
            (0, high @ 0..60) => (1, high + 1, None),
            (0, high) => (high - 58, number(high - 59)? + 1, None),
            (1, high) => (2, 4 + (high & 7), Some(high >> 3 << 8 | number(1)?)),
            (2, high) => (3, high + 1, Some(number(2)?)),
            (_, high) => (5, high + 1, Some(number(4)?)),
        };
        if length > self.length - self.done {
            return None;
        }
        self.at += header;
        match offset {
            None => {
                let literal = stored.get(self.at..)?.get(..length)?;
                block[self.done..self.done + length].copy_from_slice(literal);
                self.at += length;
            }
            Some(offset) => {
                let from = self.done.checked_sub(offset).filter(|_| offset != 0)?;
                for at in 0..length {
                    block[self.done + at] = block[from + at];
                }
            }
        }
        self.done += length;
        Some(())
    }
}

const PIECE: usize = 16;

/// Copies `length` bytes, 64 at most, in pieces: one, or all four.
///
/// # Safety
/// 64 bytes may be read at `from` and written at `to`, which is no less than a piece behind `from`, or in other memory; what was
/// written by one piece may be read by the next.
#[inline(always)]
unsafe fn copy_pieces(from: *const u8, to: *mut u8, length: usize) {
    let pieces = if length <= PIECE { 1 } else { DECODER_SLACK / PIECE };
    for piece in 0..pieces {
        // SAFETY: within the 64 bytes that the caller speaks of, and a piece is read before it is written.
        unsafe {
            let bytes = ptr::read_unaligned(from.add(piece * PIECE).cast::<[u8; PIECE]>());
            ptr::write_unaligned(to.add(piece * PIECE).cast::<[u8; PIECE]>(), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::{Compression, Compressor, TYPE_SNAPPY, decompress, decompressed_length};

    fn decompressed(stored: &[u8]) -> Result<Vec<u8>, BadStream> {
        let length = decompressed_length(TYPE_SNAPPY, stored).map_err(|_| BadStream)?;
        let mut block = vec![0; length];
        decompress(TYPE_SNAPPY, stored, &mut block).map_err(|_| BadStream)?;
        Ok(block)
    }

    /// Decompresses in steps of random sizes, with this many bytes behind the stream.
    fn decompressed_in_steps(stored: &[u8], behind: usize, seed: u64) -> Result<Vec<u8>, BadStream> {
        let mut decoder = PartialDecoder::new(stored).ok_or(BadStream)?;
        decompressed_length(TYPE_SNAPPY, stored).map_err(|_| BadStream)?;
        let source = [stored, &vec![0xff; behind]].concat();
        let mut block = vec![0; decoder.length() + DECODER_SLACK];
        let mut state = seed;
        while decoder.done() < decoder.length() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let wanted = decoder.done() + 1 + (state >> 54) as usize;
            decoder.decode(&source, stored.len(), &mut block, wanted)?;
            assert!(decoder.done() >= wanted.min(decoder.length()));
        }
        decoder.decode(&source, stored.len(), &mut block, usize::MAX)?;
        block.truncate(decoder.length());
        Ok(block)
    }

    #[test]
    fn decompressing_in_steps_gives_the_same_bytes() {
        let mut compressor = Compressor::new(Compression::Snappy);
        let mut state = 7u64;
        for round in 0..300usize {
            let (pieces, kinds) = (1 + round * 2 % 97, 1 + round % 7);
            let mut block = Vec::new();
            for _ in 0..pieces {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let length = (state >> 57) as usize + usize::from(state >> 40 & 15 == 0) * 300;
                match state as usize % kinds {
                    0 => block.extend((0..length).map(|i| (state.rotate_left(i as u32) >> 13) as u8)),
                    kind => {
                        let from = block.len().saturating_sub(length / kind + kind);
                        let again = block[from..].to_vec();
                        block.extend_from_slice(&again);
                    }
                }
            }
            block.resize(block.len() + 200, 0);
            let Some((stored, TYPE_SNAPPY)) = compressor.compress(&block) else { continue };
            for behind in [0, 3, 64] {
                assert_eq!(
                    decompressed_in_steps(stored, behind, round as u64).unwrap(),
                    block,
                    "round {round}"
                );
            }
        }
    }

    #[test]
    fn damaged_streams_end_the_same_way_in_steps() {
        let mut compressor = Compressor::new(Compression::Snappy);
        let block: Vec<u8> = (0..3000).map(|i| ((i / 5 % 91) ^ (i % 7)) as u8).collect();
        let stored = compressor.compress(&block).unwrap().0.to_vec();
        for at in 0..stored.len() {
            assert!(decompressed_in_steps(&stored[..at], 64, 1).is_err(), "cut at {at}");
            for change in [1, 2, 4, 0x80, 0xff] {
                let mut damaged = stored.clone();
                damaged[at] ^= change;
                let expected = decompressed(&damaged);
                assert_eq!(decompressed_in_steps(&damaged, 64, at as u64), expected, "byte {at} ^ {change}");
            }
        }
        assert!(PartialDecoder::new(&[]).is_none());
        assert!(PartialDecoder::new(&[0xff; 9]).is_none());
        assert_eq!(decompressed_in_steps(&[4, 1, 0], 64, 1), Err(BadStream), "offset 0");
    }
}
