//! Block compression: what is written, and what is read.
//!
//! The byte that follows a stored block says how it is compressed:
//!
//! ```text
//! 0  as it is
//! 1  snappy's raw format (a varint32 length, then the stream; no framing)
//! 2  a zstd frame, if it begins with zstd's magic number: LevelDB's main branch; else a stream of zlib's format: Minecraft's fork
//! 4  a stream of raw deflate: Minecraft's fork
//! ```
//! Other numbers exist in other dialects. A block with one of them is not damaged but not understood: it is never taken for lost.
//!
//! Nothing vouches for the length that a compressed block claims. That of snappy is held against what snappy can reach at best
//! before a byte is allocated; from the others the block is decompressed into memory that grows with it, up to [`MAX_BLOCK`].
//!
//! zlib and zstd are features of the build, on by default. A build without one still tells what it meets.

#[cfg(feature = "zlib")]
mod deflate;
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

use crate::error::{Error, Result};
pub use snappy::{BadStream, DECODER_SLACK, Encoder, PartialDecoder};
use std::fmt;
use std::mem::MaybeUninit;

/// The type byte of a block stored as it is.
pub const TYPE_RAW: u8 = 0;

/// The type byte of a block in snappy's raw format.
pub const TYPE_SNAPPY: u8 = 1;

/// The type byte of a block that is a zstd frame or a stream of zlib's format.
pub const TYPE_ZSTD_OR_ZLIB: u8 = 2;

/// The type byte of a block of raw deflate.
pub const TYPE_RAW_DEFLATE: u8 = 4;

/// What zstd frames begin with. (No stream of zlib's format does: its first two bytes are a multiple of 31.)
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The longest block that is decompressed from zlib or zstd, whose streams can say very much in few bytes: builders end a block before
/// it grows beyond this, unless a single entry is longer. Ours store such a block as it is.
pub const MAX_BLOCK: usize = 1 << 30;

/// Snappy's best case is a 64-byte copy from 3 bytes; one more covers the rounding.
const SNAPPY_MAX_RATIO: u64 = 22;

/// zlib's own default.
#[cfg(feature = "zlib")]
const ZLIB_LEVEL: i32 = 6;

/// LevelDB's default.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 1;

/// The compressor of new blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// Snappy; but in a directory whose tables are of zlib or raw deflate, which are those of Minecraft, that: the game reads no
    /// snappy.
    #[default]
    Auto,
    /// Blocks are written as they are.
    None,
    /// Snappy's raw format.
    Snappy,
    /// zlib's format (type 2): for Minecraft's fork of LevelDB alone.
    Zlib,
    /// Raw deflate (type 4): for Minecraft's fork of LevelDB alone.
    RawDeflate,
    /// zstd frames (type 2). LevelDB reads them from its main branch on; 1.23 does not.
    Zstd,
    /// One that cannot be written, by its number in RocksDB: LevelDB's format has no number for it. An opening refuses it.
    NotOffered(i32),
}

impl Compression {
    /// The type byte of blocks that pass from table to table as they are stored, where this compresses new ones.
    pub fn passed_type(self) -> Option<u8> {
        match self {
            Compression::None => Some(TYPE_RAW),
            Compression::Auto | Compression::Snappy => Some(TYPE_SNAPPY),
            _ => None,
        }
    }

    /// How a block is compressed that begins so and is followed by this type byte; `None` where it is stored as it is, or not understood.
    pub fn of_block(type_byte: u8, beginning: &[u8]) -> Option<Compression> {
        match type_byte {
            TYPE_SNAPPY => Some(Compression::Snappy),
            TYPE_ZSTD_OR_ZLIB if beginning.starts_with(&ZSTD_MAGIC) => Some(Compression::Zstd),
            TYPE_ZSTD_OR_ZLIB => Some(Compression::Zlib),
            TYPE_RAW_DEFLATE => Some(Compression::RawDeflate),
            _ => None,
        }
    }

    /// Is it one of those that Minecraft's fork of LevelDB reads, and no other?
    pub fn is_of_minecraft(self) -> bool {
        matches!(self, Compression::Zlib | Compression::RawDeflate)
    }

    /// What new tables get where the options say this, and the tables found in the directory are of `found`.
    pub fn beside(self, found: Option<Compression>) -> Compression {
        match (self, found) {
            // In a build without zlib they are stored as they are, which the game reads too.
            (Compression::Auto, Some(found)) if found.is_of_minecraft() => match found.check() {
                Ok(()) => found,
                Err(_) => Compression::None,
            },
            (chosen, _) => chosen,
        }
    }

    /// NotSupported for one that this build cannot write.
    pub fn check(self) -> Result<()> {
        match self {
            Compression::Zlib | Compression::RawDeflate if !cfg!(feature = "zlib") => {
                Err(Error::not_supported(
                    "compression with zlib: this build of Terrace is without its cargo feature 'zlib'",
                ))
            }
            Compression::Zstd if !cfg!(feature = "zstd") => Err(Error::not_supported(
                "compression with zstd: this build of Terrace is without its cargo feature 'zstd'",
            )),
            Compression::NotOffered(number) => {
                let name = match number {
                    3 => " (bzip2)",
                    4 => " (LZ4)",
                    5 => " (LZ4HC)",
                    _ => "",
                };
                Err(Error::not_supported(format!(
                    "compression {number}{name}: LevelDB's format has no number for it; set one that terrace.h names"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// What compresses.
enum Method {
    None,
    Snappy(Box<Encoder>),
    #[cfg(feature = "zlib")]
    Deflate(deflate::Encoder, u8),
    #[cfg(feature = "zstd")]
    Zstd(zstd::Encoder),
}

impl Method {
    /// One that this build does not have compresses nothing: openings have refused it.
    fn new(compression: Compression, level: Option<i32>) -> Self {
        let _ = level;
        match compression {
            Compression::Auto | Compression::Snappy => Method::Snappy(Box::default()),
            #[cfg(feature = "zlib")]
            Compression::Zlib | Compression::RawDeflate => {
                let level = level.filter(|&level| level >= 0).unwrap_or(ZLIB_LEVEL).min(9);
                let has_header = compression == Compression::Zlib;
                let type_byte = if has_header { TYPE_ZSTD_OR_ZLIB } else { TYPE_RAW_DEFLATE };
                Method::Deflate(deflate::Encoder::new(level.unsigned_abs(), has_header), type_byte)
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                let levels = zstd::levels();
                let level = level.unwrap_or(ZSTD_LEVEL).clamp(*levels.start(), *levels.end());
                zstd::Encoder::new(level).map_or(Method::None, Method::Zstd)
            }
            _ => Method::None,
        }
    }
}

/// Compresses blocks one after another; keeps its tables and its buffer between them.
pub struct Compressor {
    method: Method,
    buffer: Vec<u8>,
}

impl Compressor {
    /// A compressor of that kind, at its usual level.
    pub fn new(compression: Compression) -> Self {
        Self::with_level(compression, None)
    }

    /// A compressor of that kind. `level`: of zlib from 0 to 9 (default 6), of zstd as far as zstd has them (default 1); others are brought
    /// into range, and snappy has none.
    pub fn with_level(compression: Compression, level: Option<i32>) -> Self {
        Compressor { method: Method::new(compression, level), buffer: Vec::new() }
    }

    /// The compressed form of `block` and its type byte, or `None` where it is better stored as it is: compression is
    /// off, or saves less than an eighth.
    pub fn compress(&mut self, block: &[u8]) -> Option<(&[u8], u8)> {
        let limit = block.len() - block.len() / 8;
        let room = match &self.method {
            Method::None => return None,
            _ if block.is_empty() => return None,
            Method::Snappy(_) => Encoder::room_for(block.len())?,
            // No more than is of use; nor is a block written that would not be read.
            #[cfg(any(feature = "zlib", feature = "zstd"))]
            _ if block.len() > MAX_BLOCK => return None,
            #[cfg(any(feature = "zlib", feature = "zstd"))]
            _ => limit,
        };
        if self.buffer.try_reserve(room.saturating_sub(self.buffer.len())).is_err() {
            return None; // there is no memory for it
        }
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let (length, type_byte) = match &mut self.method {
            Method::None => return None,
            Method::Snappy(encoder) => (encoder.compress(block, &mut self.buffer)?, TYPE_SNAPPY),
            #[cfg(feature = "zlib")]
            Method::Deflate(encoder, type_byte) => {
                (encoder.compress(block, &mut self.buffer[..room])?, *type_byte)
            }
            #[cfg(feature = "zstd")]
            Method::Zstd(encoder) => (encoder.compress(block, &mut self.buffer[..room])?, TYPE_ZSTD_OR_ZLIB),
        };
        (length < limit).then(|| (&self.buffer[..length], type_byte))
    }
}

/// Why a stored block could not be decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecompressError {
    /// The type byte is none that is known.
    UnknownType(u8),
    /// It is compressed with zlib or zstd, which this build is without: the name of its cargo feature.
    NotBuilt(&'static str),
    /// It was compressed with a dictionary, which is not in the table.
    NeedsDictionary,
    /// There is more in it than [`MAX_BLOCK`].
    TooLong,
    /// There is not enough memory.
    NoMemory,
    /// The stream is damaged, or claims a length that it can't have.
    BadStream,
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecompressError::UnknownType(number) => {
                write!(f, "bad block type {number}, an unknown compression,")
            }
            DecompressError::NotBuilt(feature) => write!(
                f,
                "compressed with {feature}, which this build of Terrace is without (cargo feature '{feature}'), the block"
            ),
            DecompressError::NeedsDictionary => f.write_str("compressed with a dictionary, the block"),
            DecompressError::TooLong => f.write_str("more than 1 GiB in the compressed block"),
            DecompressError::NoMemory => f.write_str("no memory to decompress the block"),
            DecompressError::BadStream => f.write_str("corrupted compressed block contents"),
        }
    }
}

impl DecompressError {
    /// Is nothing wrong with the block as far as anybody can tell, but it is not understood here?
    pub fn is_not_understood(self) -> bool {
        match self {
            DecompressError::UnknownType(_)
            | DecompressError::NotBuilt(_)
            | DecompressError::NeedsDictionary
            | DecompressError::TooLong => true,
            DecompressError::NoMemory | DecompressError::BadStream => false,
        }
    }
}

/// Is a block with this type byte decompressed by [`decompress_streamed`]?
#[inline]
pub fn is_streamed(type_byte: u8) -> bool {
    type_byte > TYPE_SNAPPY
}

/// Can blocks of this type byte be decompressed here? `beginning`: of what is stored.
pub fn check_type(type_byte: u8, beginning: &[u8]) -> std::result::Result<(), DecompressError> {
    match Compression::of_block(type_byte, beginning) {
        Some(Compression::Zlib | Compression::RawDeflate) if !cfg!(feature = "zlib") => {
            Err(DecompressError::NotBuilt("zlib"))
        }
        Some(Compression::Zstd) if !cfg!(feature = "zstd") => Err(DecompressError::NotBuilt("zstd")),
        None if type_byte != TYPE_RAW => Err(DecompressError::UnknownType(type_byte)),
        _ => Ok(()),
    }
}

/// Decompresses a stored block of which [`is_streamed`] is true into `block`, whose contents are replaced.
#[cold]
pub fn decompress_streamed(
    type_byte: u8,
    stored: &[u8],
    block: &mut Vec<u8>,
) -> std::result::Result<(), DecompressError> {
    decompress_within(MAX_BLOCK, type_byte, stored, block)
}

/// As [`decompress_streamed`], with another limit.
fn decompress_within(
    limit: usize,
    type_byte: u8,
    stored: &[u8],
    block: &mut Vec<u8>,
) -> std::result::Result<(), DecompressError> {
    check_type(type_byte, stored)?;
    let _ = (limit, &block);
    match Compression::of_block(type_byte, stored) {
        #[cfg(feature = "zlib")]
        Some(Compression::Zlib) => deflate::decompress(true, stored, limit, block),
        #[cfg(feature = "zlib")]
        Some(Compression::RawDeflate) => deflate::decompress(false, stored, limit, block),
        #[cfg(feature = "zstd")]
        Some(Compression::Zstd) => zstd::decompress(stored, limit, block),
        _ => Err(DecompressError::UnknownType(type_byte)),
    }
}

/// Makes room for `capacity` bytes in all.
#[cfg(any(feature = "zlib", feature = "zstd"))]
fn grow(block: &mut Vec<u8>, capacity: usize) -> std::result::Result<(), DecompressError> {
    let more = capacity.saturating_sub(block.len());
    block.try_reserve_exact(more).map_err(|_| DecompressError::NoMemory)
}

/// The decompressed length of a block stored as it is or with snappy: never more than 22 times its stored length.
pub fn decompressed_length(type_byte: u8, stored: &[u8]) -> std::result::Result<usize, DecompressError> {
    match type_byte {
        TYPE_RAW => Ok(stored.len()),
        TYPE_SNAPPY => {
            let length = PartialDecoder::new(stored).ok_or(DecompressError::BadStream)?.length();
            if length as u64 > stored.len() as u64 * SNAPPY_MAX_RATIO || length as u64 > u64::from(u32::MAX) {
                return Err(DecompressError::BadStream);
            }
            Ok(length)
        }
        other => Err(DecompressError::UnknownType(other)),
    }
}

/// Decompresses `stored` into `block`, whose length is what [`decompressed_length`] said.
pub fn decompress(
    type_byte: u8,
    stored: &[u8],
    block: &mut [u8],
) -> std::result::Result<(), DecompressError> {
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
        other => Err(DecompressError::UnknownType(other)),
    }
}

/// Decompresses `stored`, which is not [`TYPE_RAW`], into memory that holds nothing yet, whose length is what [`decompressed_length`]
/// said. Returns the block, which is all of it.
pub fn decompress_new<'b>(
    type_byte: u8,
    stored: &[u8],
    block: &'b mut [MaybeUninit<u8>],
) -> std::result::Result<&'b mut [u8], DecompressError> {
    match type_byte {
        TYPE_SNAPPY => PartialDecoder::decode_whole(stored, block).map_err(|_| DecompressError::BadStream),
        other => Err(DecompressError::UnknownType(other)),
    }
}

/// Fills `beginning` with the first bytes of the block that is `stored`. It is not longer than the block.
pub fn decompress_beginning(
    type_byte: u8,
    stored: &[u8],
    beginning: &mut [u8],
) -> std::result::Result<(), DecompressError> {
    match type_byte {
        TYPE_RAW => {
            let bytes = stored.get(..beginning.len()).ok_or(DecompressError::BadStream)?;
            beginning.copy_from_slice(bytes);
            Ok(())
        }
        TYPE_SNAPPY => {
            PartialDecoder::decode_beginning(stored, beginning).map_err(|_| DecompressError::BadStream)
        }
        other => Err(DecompressError::UnknownType(other)),
    }
}

#[cfg(test)]
mod streamed_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn decompressed(type_byte: u8, stored: &[u8]) -> std::result::Result<Vec<u8>, DecompressError> {
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
            assert_eq!(decompress_new(9, stored, &mut fresh(length)), Err(DecompressError::UnknownType(9)));
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
        assert_eq!(decompress_beginning(9, stored, &mut [0; 1]), Err(DecompressError::UnknownType(9)));
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
        assert_eq!(
            decompressed(7, &stored).unwrap_err().to_string(),
            "bad block type 7, an unknown compression,"
        );
        assert_eq!(decompress(TYPE_RAW, b"abc", &mut [0; 2]), Err(DecompressError::BadStream));
    }
}
