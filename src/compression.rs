//! Block compression: what is written, and what is read.
//!
//! The byte that follows a stored block says how it is compressed:
//!
//! ```text
//! 0  as it is
//! 1  snappy's raw format (a varint32 length, then the stream; no framing)
//! ```
//! Other numbers exist in other dialects; a reader that meets one answers "bad block type".
//!
//! A compressed block tells its own decompressed length, which nothing vouches for: it is held against what snappy can
//! reach at best before a byte is allocated.

use std::fmt;

/// The type byte of a block stored as it is.
pub const TYPE_RAW: u8 = 0;

/// The type byte of a block in snappy's raw format.
pub const TYPE_SNAPPY: u8 = 1;

/// Snappy's best case is a 64-byte copy from 3 bytes; one more covers the rounding.
const SNAPPY_MAX_RATIO: u64 = 22;

/// The compressor of new blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// Blocks are written as they are.
    None,
    /// Snappy's raw format.
    #[default]
    Snappy,
}

/// Compresses blocks one after another; keeps its tables and its buffer between them.
pub struct Compressor {
    compression: Compression,
    snappy: snap::raw::Encoder,
    buffer: Vec<u8>,
}

impl Compressor {
    /// A compressor of that kind.
    pub fn new(compression: Compression) -> Self {
        Compressor { compression, snappy: snap::raw::Encoder::new(), buffer: Vec::new() }
    }

    /// The compressed form of `block` and its type byte, or `None` where it is better stored as it is: compression is
    /// off, or saves less than an eighth.
    pub fn compress(&mut self, block: &[u8]) -> Option<(&[u8], u8)> {
        match self.compression {
            Compression::None => None,
            Compression::Snappy => {
                let bound = snap::raw::max_compress_len(block.len());
                if bound == 0 || self.buffer.try_reserve(bound.saturating_sub(self.buffer.len())).is_err() {
                    return None; // longer than snappy can say, or than there is memory for
                }
                if self.buffer.len() < bound {
                    self.buffer.resize(bound, 0);
                }
                let length = self.snappy.compress(block, &mut self.buffer).ok()?;
                (length < block.len() - block.len() / 8).then(|| (&self.buffer[..length], TYPE_SNAPPY))
            }
        }
    }
}

/// Why a stored block could not be decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecompressError {
    /// The type byte is none that is read.
    BadType(u8),
    /// The stream is damaged, or claims a length that it can't have.
    BadStream,
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecompressError::BadType(number) => write!(f, "bad block type {number}"),
            DecompressError::BadStream => f.write_str("corrupted compressed block contents"),
        }
    }
}

/// The decompressed length of a block stored with this type byte: never more than 22 times its stored length.
pub fn decompressed_length(type_byte: u8, stored: &[u8]) -> Result<usize, DecompressError> {
    match type_byte {
        TYPE_RAW => Ok(stored.len()),
        TYPE_SNAPPY => {
            let length = snap::raw::decompress_len(stored).map_err(|_| DecompressError::BadStream)?;
            if length as u64 > stored.len() as u64 * SNAPPY_MAX_RATIO || length as u64 > u64::from(u32::MAX) {
                return Err(DecompressError::BadStream);
            }
            Ok(length)
        }
        other => Err(DecompressError::BadType(other)),
    }
}

/// Decompresses `stored` into `block`, whose length is what [`decompressed_length`] said.
pub fn decompress(type_byte: u8, stored: &[u8], block: &mut [u8]) -> Result<(), DecompressError> {
    match type_byte {
        TYPE_RAW if stored.len() == block.len() => {
            block.copy_from_slice(stored);
            Ok(())
        }
        TYPE_SNAPPY => match snap::raw::Decoder::new().decompress(stored, block) {
            Ok(length) if length == block.len() => Ok(()),
            _ => Err(DecompressError::BadStream),
        },
        TYPE_RAW => Err(DecompressError::BadStream),
        other => Err(DecompressError::BadType(other)),
    }
}

/// Bytes that a [`PartialDecoder`] may write behind a block, and likes to find behind its stored form.
pub const DECODER_SLACK: usize = 64;

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
    ) -> Result<(), DecompressError> {
        let result = self.try_decode(source, stored, block, wanted.min(self.length));
        result.ok_or(DecompressError::BadStream)
    }

    fn try_decode(&mut self, source: &[u8], stored: usize, block: &mut [u8], wanted: usize) -> Option<()> {
        let (mut at, mut done) = (self.at, self.done);
        let block = block.get_mut(..self.length + DECODER_SLACK)?;
        while done < wanted {
            let element = Element::read(source, stored, at)?;
            at += element.header;
            let length = element.length;
            if length > self.length - done {
                return None;
            }
            if element.offset == 0 {
                let end = at.checked_add(length).filter(|&end| end <= stored)?;
                match source.get(at..at + DECODER_SLACK) {
                    Some(from) if length <= DECODER_SLACK => copy_wide(from, &mut block[done..], length),
                    _ => block[done..done + length].copy_from_slice(source.get(at..end)?),
                }
                at = end;
            } else {
                let from = done.checked_sub(element.offset)?;
                copy_within(block.get_mut(from..done + DECODER_SLACK)?, element.offset, length)?;
            }
            done += length;
        }
        (self.at, self.done) = (at, done);
        (done < self.length || at == stored).then_some(())
    }
}

/// A piece of a snappy stream: bytes that follow, or, with an offset, bytes that were there before.
struct Element {
    header: usize,
    length: usize,
    /// Back from the end of what was decompressed; 0 in a literal.
    offset: usize,
}

impl Element {
    /// The element at `at`, which its header shows: a byte, and up to four more.
    ///
    /// ```text
    /// low bits 00  literal of 1 + 6 bits; 60 to 63: the length less 1 is in the 1 to 4 bytes that follow
    /// low bits 01  4 + 3 bits from an offset of 3 bits and a byte
    /// low bits 10  1 + 6 bits from an offset of 2 bytes; 11: of 4 bytes
    /// ```
    #[inline(always)]
    fn read(source: &[u8], stored: usize, at: usize) -> Option<Self> {
        let word = match source.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => {
                let rest = source.get(at..)?;
                let mut bytes = [0; 8];
                bytes[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(bytes)
            }
        };
        let high = (word >> 2 & 0x3f) as usize;
        let element = match word & 3 {
            0 if high < 60 => Element { header: 1, length: high + 1, offset: 0 },
            0 => {
                let bytes = high - 59;
                let length = (word >> 8 & u64::MAX >> (64 - 8 * bytes)) as usize + 1;
                Element { header: 1 + bytes, length, offset: 0 }
            }
            // An offset of 0 is not allowed; as the largest of all it is refused.
            1 => Element {
                header: 2,
                length: 4 + (high & 7),
                offset: nonzero(high >> 3 << 8 | (word >> 8 & 0xff) as usize),
            },
            2 => Element { header: 3, length: high + 1, offset: nonzero((word >> 8 & 0xffff) as usize) },
            _ => Element { header: 5, length: high + 1, offset: nonzero((word >> 8 & 0xffff_ffff) as usize) },
        };
        (at + element.header <= stored).then_some(element)
    }
}

#[inline(always)]
fn nonzero(offset: usize) -> usize {
    if offset == 0 { usize::MAX } else { offset }
}

/// Copies `length` bytes, 64 at most, and some more: `from` has 64.
#[inline(always)]
fn copy_wide(from: &[u8], to: &mut [u8], length: usize) {
    const HALF: usize = 16;
    if let (Some((first, rest)), Some((to_first, to_rest))) =
        (from.split_first_chunk::<HALF>(), to.split_first_chunk_mut::<HALF>())
    {
        *to_first = *first;
        if length > HALF
            && let (Some(rest), Some(to_rest)) = (rest.first_chunk::<48>(), to_rest.first_chunk_mut::<48>())
        {
            *to_rest = *rest;
        }
    }
}

/// Copies `length` bytes, 64 at most, from the start of `window` to `offset` in it, where they may overlap: then the bytes repeat.
/// The window has 64 bytes behind `offset`.
#[inline(always)]
fn copy_within(window: &mut [u8], offset: usize, length: usize) -> Option<()> {
    const STEP: usize = 16;
    if offset < STEP {
        for at in 0..length {
            window[offset + at] = window[at];
        }
        return Some(());
    }
    let steps = if length <= STEP { 1 } else { DECODER_SLACK / STEP };
    for step in 0..steps {
        let bytes: [u8; STEP] = *window.get(step * STEP..)?.first_chunk()?;
        *window.get_mut(offset + step * STEP..)?.first_chunk_mut()? = bytes;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decompresses in steps of random sizes, with this many bytes behind the stream.
    fn decompressed_in_steps(stored: &[u8], behind: usize, seed: u64) -> Result<Vec<u8>, DecompressError> {
        let mut decoder = PartialDecoder::new(stored).ok_or(DecompressError::BadStream)?;
        decompressed_length(TYPE_SNAPPY, stored)?;
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
                let expected = decompressed(TYPE_SNAPPY, &damaged);
                assert_eq!(decompressed_in_steps(&damaged, 64, at as u64), expected, "byte {at} ^ {change}");
            }
        }
        assert!(PartialDecoder::new(&[]).is_none());
        assert!(PartialDecoder::new(&[0xff; 9]).is_none());
        assert_eq!(decompressed_in_steps(&[4, 1, 0], 64, 1), Err(DecompressError::BadStream), "offset 0");
    }

    fn decompressed(type_byte: u8, stored: &[u8]) -> Result<Vec<u8>, DecompressError> {
        let mut block = vec![0; decompressed_length(type_byte, stored)?];
        decompress(type_byte, stored, &mut block)?;
        Ok(block)
    }

    #[test]
    fn what_is_compressed_is_read_back() {
        let mut compressor = Compressor::new(Compression::Snappy);
        for length in [1000, 64, 100_000, 4096] {
            let block: Vec<u8> = (0..length).map(|i| (i / 7 % 50) as u8).collect();
            let (stored, type_byte) = compressor.compress(&block).unwrap();
            assert!(stored.len() < block.len());
            assert_eq!(decompressed(type_byte, stored).unwrap(), block);
        }
        assert_eq!(decompressed(TYPE_RAW, b"abc").unwrap(), b"abc");
    }

    #[test]
    fn what_saves_less_than_an_eighth_stays_raw() {
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
        .take(4000)
        .collect();
        let mut compressor = Compressor::new(Compression::Snappy);
        let with_zeros = |zeros: usize| [&noise[..], &vec![0; zeros]].concat();
        assert!(compressor.compress(&noise).is_none());
        assert!(compressor.compress(&with_zeros(400)).is_none());
        assert!(compressor.compress(&with_zeros(2000)).is_some());
        assert!(compressor.compress(b"").is_none());
        assert!(Compressor::new(Compression::None).compress(&[0; 4096]).is_none());
    }

    #[test]
    fn a_length_out_of_reach_is_refused_before_allocating() {
        let claim_4_gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'a'];
        assert_eq!(decompressed_length(TYPE_SNAPPY, &claim_4_gib), Err(DecompressError::BadStream));
        let claim_1000 = [0xe8, 0x07, 0, b'a'];
        assert_eq!(decompressed_length(TYPE_SNAPPY, &claim_1000), Err(DecompressError::BadStream));
        let mut compressor = Compressor::new(Compression::Snappy);
        let (best_case, _) = compressor.compress(&[0; 1 << 20]).unwrap();
        assert_eq!(decompressed_length(TYPE_SNAPPY, best_case), Ok(1 << 20));
    }

    #[test]
    fn damaged_streams_and_unknown_types_are_errors() {
        let mut compressor = Compressor::new(Compression::Snappy);
        let block = b"hello hello hello hello hello hello hello hello".repeat(4);
        let stored = compressor.compress(&block).unwrap().0.to_vec();
        for cut in 0..stored.len() {
            assert_eq!(decompressed(TYPE_SNAPPY, &stored[..cut]).unwrap_err(), DecompressError::BadStream);
        }
        assert_eq!(decompressed(7, &stored).unwrap_err().to_string(), "bad block type 7");
        assert_eq!(decompress(TYPE_RAW, b"abc", &mut [0; 2]), Err(DecompressError::BadStream));
    }
}
