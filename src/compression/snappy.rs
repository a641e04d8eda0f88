//! Snappy's raw format, and a decoder that can stop after any number of bytes and continue later.
//!
//! ```text
//! stream   | length of the block varint32 | element ... |
//! element  | tag u8 | up to 4 bytes more | the bytes of a literal |
//! tag      low bits 00  literal of 1 + 6 bits; 60 to 63: the length less 1 is in the next 1 to 4 bytes
//!          low bits 01  copy of 4 + 3 bits from an offset of 3 bits and a byte
//!          low bits 10  copy of 1 + 6 bits from an offset of 2 bytes
//!          low bits 11  the same with an offset of 4 bytes
//! ```
//! The crate `snap` compresses. Its decoder can neither stop nor continue, so the decoder is our own.
//!
//! Elements are copied in pieces of 16 bytes, which write beyond the end of the element. So the end of a
//! block is decompressed by slower code, unless the buffer has slack after the block. Nothing in the stream
//! is trusted.
//!
//! Thread rule: a decoder belongs to one reader.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// With this many writable bytes after the block, its end is decompressed as fast as the rest: a short
/// element has at most 64 bytes, and its last piece may begin with the last of them.
pub const DECODER_SLACK: usize = 64 + PIECE;

/// The bytes of the stream that decompressing an element quickly reads at once: its tag and the operands of a
/// copy.
const QUICK_LOOK: usize = 8;

/// The bytes that one step copies.
const PIECE: usize = 16;

/// For each tag of a copy: the length, and in bits 8 to 10 the tag's part of the offset.
const COPIES: [u16; 256] = {
    let mut copies = [0; 256];
    let mut tag = 0;
    while tag < copies.len() {
        let high = (tag >> 2) as u16;
        copies[tag] = if tag & 3 == 1 { (4 + (high & 7)) | (high >> 3 << 8) } else { high + 1 };
        tag += 1;
    }
    copies
};

/// The stream is damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadStream;

/// Decompresses a snappy stream from its beginning as far as asked for, and continues from there when more is
/// asked for.
#[derive(Clone, Copy, Debug)]
pub struct PartialDecoder {
    /// The offset in the stream of the next element.
    at: usize,
    /// The number of bytes decompressed so far.
    done: usize,
    /// The length of the whole block in bytes, as the stream claims.
    length: usize,
}

impl PartialDecoder {
    /// A decoder of the stream at the beginning of `stored`. `None` if the length in front of it is
    /// malformed.
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

    /// The length of the whole block in bytes, as the stream claims.
    #[inline]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The number of bytes decompressed so far.
    #[inline]
    pub fn done(&self) -> usize {
        self.done
    }

    /// Decompresses until at least `wanted` bytes are there, or the whole block. `source` is the stream, of
    /// `stored` bytes, followed by any further readable bytes (some speed the decoder up). `block` has room
    /// for the block, and better for [`DECODER_SLACK`] more bytes, and holds the bytes decompressed so far.
    pub fn decode(
        &mut self,
        source: &[u8],
        stored: usize,
        block: &mut [u8],
        wanted: usize,
    ) -> Result<(), BadStream> {
        self.decode_into(source, stored, as_uninit(block), wanted)
    }

    /// Decompresses the whole stream `stored` into uninitialized memory of the block's length, and returns
    /// the block.
    pub fn decode_whole<'b>(
        stored: &[u8],
        block: &'b mut [MaybeUninit<u8>],
    ) -> Result<&'b mut [u8], BadStream> {
        let mut decoder = PartialDecoder::new(stored).ok_or(BadStream)?;
        if decoder.length != block.len() {
            return Err(BadStream);
        }
        decoder.decode_into(stored, stored.len(), block, usize::MAX)?;
        assert!(decoder.done == block.len());
        // SAFETY: the decoder has just written all bytes of the block up to `done`.
        Ok(unsafe { &mut *(ptr::from_mut(block) as *mut [u8]) })
    }

    /// As `decode`. `block` holds the bytes decompressed so far; the rest of it may be uninitialized.
    /// Initialized bytes stay initialized.
    fn decode_into(
        &mut self,
        source: &[u8],
        stored: usize,
        block: &mut [MaybeUninit<u8>],
        wanted: usize,
    ) -> Result<(), BadStream> {
        let wanted = wanted.min(self.length);
        if stored > source.len() || self.length > block.len() {
            return Err(BadStream);
        }
        while self.done < wanted {
            self.decode_quickly(source, stored, block, wanted);
            if self.done < wanted {
                self.decode_one::<false>(&source[..stored], block).ok_or(BadStream)?;
            }
        }
        if self.done == self.length && self.at != stored { Err(BadStream) } else { Ok(()) }
    }

    /// Decompresses elements until `wanted` bytes are there, or until an element that is long, bad, or near
    /// the end of the source or the block.
    #[inline]
    fn decode_quickly(&mut self, source: &[u8], stored: usize, block: &mut [MaybeUninit<u8>], wanted: usize) {
        assert!(stored <= source.len() && wanted <= self.length && self.length <= block.len());
        let (mut at, mut done) = (self.at, self.done);
        let Some(last_look) = source.len().checked_sub(QUICK_LOOK) else { return };
        // Beyond this position there is no room for every piece of an element.
        let wanted = wanted.min((block.len() + 1).saturating_sub(DECODER_SLACK));
        // The pieces of a literal need room for reading in the source.
        let literal_end = stored.min(source.len().saturating_sub(DECODER_SLACK));
        let (source, block) = (source.as_ptr(), block.as_mut_ptr().cast::<u8>());
        while done < wanted && at <= last_look {
            // SAFETY: `at <= last_look`, so QUICK_LOOK bytes of the source follow `at`.
            let word = u64::from_le(unsafe { source.add(at).cast::<u64>().read_unaligned() });
            let kind = (word & 3) as usize;
            let room = self.length - done;
            if kind == 0 {
                let length = (word >> 2 & 0x3f) as usize + 1;
                if length > 60 || length > room || at + 1 > literal_end || at + 1 + length > stored {
                    break;
                }
                // SAFETY: `done` is below `wanted`, so DECODER_SLACK bytes follow it in the block; as many
                // follow `at + 1` in the source, which is other memory.
                unsafe { copy_pieces(source.add(at + 1), block.add(done), length) };
                at += 1 + length;
                done += length;
                continue;
            }
            let entry = usize::from(COPIES[word as usize & 0xff]);
            let length = entry & 0xff;
            let offset = (word >> 8) as usize & ((1 << (8 * kind)) - 1) | entry & 0x700;
            if kind == 3 || length > room || offset > done || offset == 0 || at + 1 + kind > stored {
                break;
            }
            // SAFETY: DECODER_SLACK bytes follow `done` in the block as above, and `offset` bytes precede it.
            unsafe {
                if offset >= length.max(PIECE) {
                    copy_pieces(block.add(done - offset), block.add(done), length);
                } else {
                    repeat(block.add(done), offset, length);
                }
            }
            at += 1 + kind;
            done += length;
        }
        (self.at, self.done) = (at, done);
    }

    /// Fills `beginning` with the first bytes of the block whose stream is `stored`. A block shorter than
    /// `beginning` is an error.
    pub fn decode_beginning(stored: &[u8], beginning: &mut [u8]) -> Result<(), BadStream> {
        let mut decoder = PartialDecoder::new(stored).ok_or(BadStream)?;
        if beginning.len() > decoder.length {
            return Err(BadStream);
        }
        decoder.length = beginning.len();
        while decoder.done < beginning.len() {
            decoder.decode_one::<true>(stored, as_uninit(beginning)).ok_or(BadStream)?;
        }
        Ok(())
    }

    /// Decompresses one element of any kind. `None`: the element is bad. With `CUT`, an element longer than
    /// the rest of the block is cut to it, and is the last one.
    #[cold]
    #[inline(never)]
    fn decode_one<const CUT: bool>(&mut self, stored: &[u8], block: &mut [MaybeUninit<u8>]) -> Option<()> {
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
        let room = self.length - self.done;
        if length > room && !CUT {
            return None;
        }
        let length = length.min(room);
        self.at += header;
        match offset {
            None => {
                let literal = stored.get(self.at..)?.get(..length)?;
                for (slot, &byte) in block[self.done..self.done + length].iter_mut().zip(literal) {
                    slot.write(byte);
                }
                self.at += length;
            }
            Some(offset) => {
                let from = self.done.checked_sub(offset).filter(|_| offset != 0)?;
                if offset >= length {
                    block.copy_within(from..from + length, self.done);
                } else {
                    for at in 0..length {
                        block[self.done + at] = block[from + at];
                    }
                }
            }
        }
        self.done += length;
        Some(())
    }
}

/// The bytes as possibly uninitialized memory. Only for functions of this file, which never make a byte
/// uninitialized.
fn as_uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the layout is the same, and no function of this file writes an uninitialized byte over an
    // initialized one.
    unsafe { &mut *(ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}

/// Copies `length` bytes, at most 64, in two or four pieces. All pieces are read before any is written:
/// reading bytes that were just written in pieces of another size would wait for those writes.
///
/// # Safety
/// 64 bytes are readable at `from` and writable at `to`, and `to` is not inside of the `length` bytes at
/// `from`.
#[inline(always)]
unsafe fn copy_pieces(from: *const u8, to: *mut u8, length: usize) {
    // The bytes after `length` may be uninitialized.
    type Pieces<const N: usize> = [MaybeUninit<u8>; N];
    // SAFETY: within the 64 bytes that the caller guarantees.
    unsafe {
        if length <= 2 * PIECE {
            let bytes = ptr::read_unaligned(from.cast::<Pieces<{ 2 * PIECE }>>());
            ptr::write_unaligned(to.cast::<Pieces<{ 2 * PIECE }>>(), bytes);
        } else {
            let bytes = ptr::read_unaligned(from.cast::<Pieces<{ 4 * PIECE }>>());
            ptr::write_unaligned(to.cast::<Pieces<{ 4 * PIECE }>>(), bytes);
        }
    }
}

/// Repeats the `offset` bytes before `to`, until `length` bytes, at most 64, are written at `to`.
///
/// # Safety
/// `offset` is not 0, that many bytes precede `to`, and [`DECODER_SLACK`] bytes are writable at `to`.
#[inline(always)]
unsafe fn repeat(to: *mut u8, mut offset: usize, length: usize) {
    type Piece = [MaybeUninit<u8>; PIECE];
    // SAFETY: reads begin `offset` bytes before `to` or later, and a piece is read before it is written.
    // Pieces are written at positions below `length`, or while `offset` is less than a piece: then at 9 at
    // most.
    unsafe {
        let from = to.sub(offset);
        let mut written = 0;
        // A piece contains the pattern once, followed by other bytes. The next piece overwrites these, so
        // that the pattern is there twice.
        while offset < PIECE {
            let bytes = ptr::read_unaligned(from.cast::<Piece>());
            ptr::write_unaligned(to.add(written).cast::<Piece>(), bytes);
            written += offset;
            offset *= 2;
        }
        let mut read = 0;
        while written < length {
            let bytes = ptr::read_unaligned(from.add(read).cast::<Piece>());
            ptr::write_unaligned(to.add(written).cast::<Piece>(), bytes);
            written += PIECE;
            read += PIECE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::{Compression, Compressor, TYPE_SNAPPY, decompress, decompressed_length};
    use crate::util::random::Random;

    /// Decompresses with the crate `snap`.
    fn decompressed(stored: &[u8]) -> Result<Vec<u8>, BadStream> {
        let length = decompressed_length(TYPE_SNAPPY, stored).map_err(|_| BadStream)?;
        let mut block = vec![0; length];
        match snap::raw::Decoder::new().decompress(stored, &mut block) {
            Ok(decompressed) if decompressed == length => Ok(block),
            _ => Err(BadStream),
        }
    }

    /// Decompresses in steps of random sizes, with `behind` bytes after the stream and after the block.
    fn decompressed_in_steps(stored: &[u8], behind: usize, seed: u64) -> Result<Vec<u8>, BadStream> {
        let mut decoder = PartialDecoder::new(stored).ok_or(BadStream)?;
        decompressed_length(TYPE_SNAPPY, stored).map_err(|_| BadStream)?;
        let source = [stored, &vec![0xff; behind]].concat();
        let mut block = vec![0; decoder.length() + behind];
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
        for round in 0..if cfg!(miri) { 12 } else { 300usize } {
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

    /// Noise and repetitions of all lengths and distances.
    fn mixture(random: &mut Random, length: usize) -> Vec<u8> {
        let mut block = Vec::with_capacity(length);
        while block.len() < length {
            let run = [3, 5, 20, 70, 300, 5000][random.uniform(6) as usize];
            let run = (1 + random.uniform(run) as usize).min(length - block.len());
            if block.is_empty() || random.one_in(3) {
                block.extend((0..run).map(|_| random.next_u64() as u8));
            } else {
                let reach = [1, 7, 20, 2047, 2050, 65_600, 200_000][random.uniform(7) as usize];
                let from = block.len() - (1 + random.uniform(reach) as usize).min(block.len());
                (0..run).for_each(|i| block.push(block[from + i]));
            }
        }
        block
    }

    /// Also blocks that a table would store uncompressed.
    #[test]
    fn every_block_is_given_back_at_once_and_in_steps() {
        let mut random = Random::new(7);
        let check = |block: &[u8], seed| {
            let stored = snap::raw::Encoder::new().compress_vec(block).unwrap();
            let mut whole = vec![0; block.len()];
            decompress(TYPE_SNAPPY, &stored, &mut whole).unwrap();
            assert!(whole == block, "{} bytes at once", block.len());
            assert!(
                decompressed_in_steps(&stored, 64, seed).unwrap() == block,
                "{} bytes in steps",
                block.len()
            );
        };
        for length in 0..if cfg!(miri) { 24 } else { 300 } {
            check(&mixture(&mut random, length), length as u64);
            check(&vec![b'a'; length], 1);
        }
        let most = if cfg!(miri) { 300 } else { usize::MAX };
        for length in [59, 60, 61, 256, 257, 4096, 65_536, 65_537, 1 << 20].map(|length| most.min(length)) {
            let noise: Vec<u8> = (0..length).map(|_| random.next_u64() as u8).collect();
            check(&noise, 1);
            check(&mixture(&mut random, length), 1);
        }
    }

    #[test]
    fn damaged_streams_end_the_same_way_in_steps() {
        let mut compressor = Compressor::new(Compression::Snappy);
        let block: Vec<u8> = (0..3000).map(|i| ((i / 5 % 91) ^ (i % 7)) as u8).collect();
        let stored = compressor.compress(&block).unwrap().0.to_vec();
        for at in (0..stored.len()).step_by(if cfg!(miri) { 29 } else { 1 }) {
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
