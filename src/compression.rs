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

mod snappy;

pub use snappy::{BadStream, DECODER_SLACK, Encoder, PartialDecoder};
use std::fmt;
use std::mem::MaybeUninit;

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

impl Compression {
    /// The type byte of a block that this compresses (but for one that it saves too little of).
    pub fn type_byte(self) -> u8 {
        match self {
            Compression::None => TYPE_RAW,
            Compression::Snappy => TYPE_SNAPPY,
        }
    }
}

/// Compresses blocks one after another; keeps its tables and its buffer between them.
pub struct Compressor {
    compression: Compression,
    snappy: Encoder,
    buffer: Vec<u8>,
}

impl Compressor {
    /// A compressor of that kind.
    pub fn new(compression: Compression) -> Self {
        Compressor { compression, snappy: Encoder::new(), buffer: Vec::new() }
    }

    /// The compressed form of `block` and its type byte, or `None` where it is better stored as it is: compression is
    /// off, or saves less than an eighth.
    pub fn compress(&mut self, block: &[u8]) -> Option<(&[u8], u8)> {
        match self.compression {
            Compression::None => None,
            Compression::Snappy => {
                let room = Encoder::room_for(block.len()).filter(|_| !block.is_empty())?;
                if self.buffer.try_reserve(room.saturating_sub(self.buffer.len())).is_err() {
                    return None; // there is no memory for it
                }
                if self.buffer.len() < room {
                    self.buffer.resize(room, 0);
                }
                let length = self.snappy.compress(block, &mut self.buffer)?;
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
            let length = PartialDecoder::new(stored).ok_or(DecompressError::BadStream)?.length();
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
        TYPE_SNAPPY => match PartialDecoder::new(stored) {
            Some(mut decoder) if decoder.length() == block.len() => decoder
                .decode(stored, stored.len(), block, usize::MAX)
                .map_err(|_| DecompressError::BadStream),
            _ => Err(DecompressError::BadStream),
        },
        TYPE_RAW => Err(DecompressError::BadStream),
        other => Err(DecompressError::BadType(other)),
    }
}

/// Decompresses `stored`, which is not [`TYPE_RAW`], into memory that holds nothing yet, whose length is what [`decompressed_length`]
/// said. Returns the block, which is all of it.
pub fn decompress_new<'b>(
    type_byte: u8,
    stored: &[u8],
    block: &'b mut [MaybeUninit<u8>],
) -> Result<&'b mut [u8], DecompressError> {
    match type_byte {
        TYPE_SNAPPY => PartialDecoder::decode_whole(stored, block).map_err(|_| DecompressError::BadStream),
        other => Err(DecompressError::BadType(other)),
    }
}

/// Fills `beginning` with the first bytes of the block that is `stored`. It is not longer than the block.
pub fn decompress_beginning(
    type_byte: u8,
    stored: &[u8],
    beginning: &mut [u8],
) -> Result<(), DecompressError> {
    match type_byte {
        TYPE_RAW => {
            let bytes = stored.get(..beginning.len()).ok_or(DecompressError::BadStream)?;
            beginning.copy_from_slice(bytes);
            Ok(())
        }
        TYPE_SNAPPY => {
            PartialDecoder::decode_beginning(stored, beginning).map_err(|_| DecompressError::BadStream)
        }
        other => Err(DecompressError::BadType(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn new_memory_is_filled_or_refused() {
        let block: Vec<u8> =
            (0..70_000_u64).map(|i| if i % 100 < 50 { (i * i / 7) as u8 } else { b'x' }).collect();
        let mut compressor = Compressor::new(Compression::Snappy);
        for length in [200, 4096, if cfg!(miri) { 5000 } else { 70_000 }] {
            let (stored, type_byte) = compressor.compress(&block[..length]).unwrap();
            let fresh = |length: usize| Box::<[u8]>::new_uninit_slice(length);
            let mut memory = fresh(length);
            let address = memory.as_ptr().cast::<u8>();
            let decompressed = decompress_new(type_byte, stored, &mut memory).unwrap();
            assert!(decompressed == &block[..length] && decompressed.as_ptr() == address);
            let bad = Err(DecompressError::BadStream);
            assert_eq!(decompress_new(type_byte, stored, &mut fresh(length - 1)), bad);
            assert_eq!(decompress_new(type_byte, stored, &mut fresh(length + 1)), bad);
            assert_eq!(decompress_new(type_byte, &stored[..stored.len() - 1], &mut fresh(length)), bad);
            assert_eq!(decompress_new(9, stored, &mut fresh(length)), Err(DecompressError::BadType(9)));
        }
    }

    #[test]
    fn the_beginning_of_a_block_is_that_of_the_whole() {
        let block: Vec<u8> = (0..5000).map(|i| if i % 90 < 60 { (i * i / 7) as u8 } else { b'x' }).collect();
        let mut compressor = Compressor::new(Compression::Snappy);
        let (stored, type_byte) = compressor.compress(&block).unwrap();
        for (type_byte, stored) in [(type_byte, stored), (TYPE_RAW, &block[..])] {
            for length in (0..200).chain([4999, 5000]) {
                let mut beginning = vec![0; length];
                decompress_beginning(type_byte, stored, &mut beginning).unwrap();
                assert!(beginning == block[..length], "{length}");
            }
            let too_long = decompress_beginning(type_byte, stored, &mut [0; 5001]);
            assert_eq!(too_long, Err(DecompressError::BadStream));
        }
        for cut in 0..40 {
            let bad = decompress_beginning(TYPE_SNAPPY, &stored[..cut], &mut [0; 64]);
            assert_eq!(bad, Err(DecompressError::BadStream), "{cut}");
        }
        assert_eq!(decompress_beginning(9, stored, &mut [0; 1]), Err(DecompressError::BadType(9)));
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
