//! Snappy's raw format, and a decoder of it that stops where it is told, and goes on from there.
//!
//! ```text
//! stream   | length of the block varint32 | element ... |
//! element  | tag u8 | up to 4 bytes more | the bytes of a literal |
//! tag      low bits 00  literal of 1 + 6 bits; 60 to 63: the length less 1 is in the 1 to 4 bytes that follow
//!          low bits 01  copy of 4 + 3 bits from an offset of 3 bits and a byte
//!          low bits 10  copy of 1 + 6 bits from an offset of 2 bytes
//!          low bits 11  the same with an offset of 4 bytes
//! ```
//! Elements are copied in pieces of 16 bytes, and more than they have. So the end of a block takes a slower way, unless there is
//! slack behind it. Nothing in the stream is trusted.
//!
//! Belongs to one reader.

#![allow(unsafe_code)]

mod encoder;

pub use encoder::Encoder;
use std::mem::MaybeUninit;
use std::ptr;

/// Bytes behind a block that may be written, so that its end is decompressed as quickly as the rest: a short element has 64 bytes
/// at most, and its last piece may begin with the last of them.
pub const DECODER_SLACK: usize = 64 + PIECE;

/// Bytes of the stream that are looked at to decompress an element quickly: a tag, and what a copy has of its own.
const QUICK_LOOK: usize = 8;

/// What is copied at a time.
const PIECE: usize = 16;

/// Of each tag of a copy: its length, and in bits 8 to 10 what the tag has of the offset.
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

    /// Decompresses until `wanted` bytes are there, or all. `source` is the stream, of `stored` bytes, and what lies behind it, if
    /// that is at hand; `block` has room for the block, better for [`DECODER_SLACK`] more bytes, and holds what was decompressed
    /// so far.
    pub fn decode(
        &mut self,
        source: &[u8],
        stored: usize,
        block: &mut [u8],
        wanted: usize,
    ) -> Result<(), BadStream> {
        self.decode_into(source, stored, as_uninit(block), wanted)
    }

    /// Decompresses the whole stream `stored` into memory that holds nothing yet, of the block's length. Returns the block.
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

    /// As `decode`. What was decompressed so far is in `block`; of the rest, nothing need be written. Bytes of which there are some only
    /// become some.
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

    /// Decompresses elements until `wanted` bytes are there, or up to one that is long, near an end of the source or the block,
    /// or bad.
    #[inline]
    fn decode_quickly(&mut self, source: &[u8], stored: usize, block: &mut [MaybeUninit<u8>], wanted: usize) {
        assert!(stored <= source.len() && wanted <= self.length && self.length <= block.len());
        let (mut at, mut done) = (self.at, self.done);
        let Some(last_look) = source.len().checked_sub(QUICK_LOOK) else { return };
        // Behind it there is no room for every piece of an element.
        let wanted = wanted.min((block.len() + 1).saturating_sub(DECODER_SLACK));
        // In the source, a literal's pieces need room for reading.
        let literal_end = stored.min(source.len().saturating_sub(DECODER_SLACK));
        let (source, block) = (source.as_ptr(), block.as_mut_ptr().cast::<u8>());
        while done < wanted && at <= last_look {
            // SAFETY: QUICK_LOOK bytes of the source follow `at`.
            let word = u64::from_le(unsafe { source.add(at).cast::<u64>().read_unaligned() });
            let kind = (word & 3) as usize;
            let room = self.length - done;
            if kind == 0 {
                let length = (word >> 2 & 0x3f) as usize + 1;
                if length > 60 || length > room || at + 1 > literal_end || at + 1 + length > stored {
                    break;
                }
                // SAFETY: `done` is below `wanted`, so that DECODER_SLACK bytes follow it in the block; as many follow `at + 1`
                // in the source, which is other memory.
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

    /// Fills `beginning` with the first bytes of the block of which `stored` is the stream; it has as many.
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

    /// Decompresses one element of any kind. `None`: it is bad. `CUT`: of an element that is longer than the rest of the block, only
    /// its beginning; it is the last then.
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

/// The bytes as memory in which there need not be any. Only for those in here, who never take a byte away.
fn as_uninit(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the layout is the same, and nothing here writes what is no byte over one.
    unsafe { &mut *(ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}

/// Copies `length` bytes, 64 at most, in pieces: two, or four. All are read before any is written: reading what was just written
/// in other pieces would wait for the writes.
///
/// # Safety
/// 64 bytes may be read at `from` and written at `to`, which does not lie in the `length` bytes at `from`.
#[inline(always)]
unsafe fn copy_pieces(from: *const u8, to: *mut u8, length: usize) {
    // Behind `length` there may be bytes that nobody has written.
    type Pieces<const N: usize> = [MaybeUninit<u8>; N];
    // SAFETY: within the 64 bytes that the caller speaks of.
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

/// Writes the `offset` bytes before `to` again and again, until there are `length` more, 64 at most.
///
/// # Safety
/// `offset` is not 0, so many bytes precede `to`, and [`DECODER_SLACK`] may be written at it.
#[inline(always)]
unsafe fn repeat(to: *mut u8, mut offset: usize, length: usize) {
    type Piece = [MaybeUninit<u8>; PIECE];
    // SAFETY: what is read begins `offset` bytes before `to` or behind that, and a piece is read before it is written. Pieces are
    // written at less than `length`, or while `offset` is less than a piece: at 9 at most.
    unsafe {
        let from = to.sub(offset);
        let mut written = 0;
        // A piece has the pattern once, and something else behind; the next is put there, and has it twice.
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
    use crate::compression::{Compression, Compressor, TYPE_SNAPPY, decompressed_length};

    /// By the crate's decoder.
    fn decompressed(stored: &[u8]) -> Result<Vec<u8>, BadStream> {
        let length = decompressed_length(TYPE_SNAPPY, stored).map_err(|_| BadStream)?;
        let mut block = vec![0; length];
        match snap::raw::Decoder::new().decompress(stored, &mut block) {
            Ok(decompressed) if decompressed == length => Ok(block),
            _ => Err(BadStream),
        }
    }

    /// Decompresses in steps of random sizes, with this many bytes behind the stream, and behind the block.
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
