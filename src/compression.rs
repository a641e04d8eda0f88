//! Block compression and decompression.
//!
//! The byte that follows a stored block is its type:
//!
//! ```text
//! 0  uncompressed
//! 1  snappy's raw format (a varint32 length, then the stream; no framing)
//! 2  a zstd frame, if it begins with zstd's magic number: LevelDB's main branch; else a zlib stream:
//!    Minecraft's fork
//! 4  a raw deflate stream: Minecraft's fork
//! ```
//! In tables of RocksDB's language the numbers above 1 mean something else, and the stream follows the length
//! of the block, a varint32:
//!
//! ```text
//! 2  a raw deflate stream
//! 7  a zstd frame
//! ```
//! Other types exist in other dialects. A block of another type is not supported, but not damaged: it is
//! never treated as lost.
//!
//! Nothing guarantees the length that a compressed block claims. That of snappy is compared with the best
//! ratio that snappy can reach before a byte is allocated. The other formats are decompressed into memory
//! that grows with the output, up to [`MAX_BLOCK`].
//!
//! zlib and zstd are features of the build, on by default. A build without one still names the compression in
//! its errors.
//!
//! Thread rule: a [`Compressor`] has one user; the functions may be called from any thread.

#[cfg(feature = "zlib")]
mod deflate;
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

use crate::error::{Error, Result};
use crate::language::Language;
use crate::util::coding::{get_varint32, put_varint32};
use snap::raw::{Encoder, max_compress_len};
pub use snappy::{DECODER_SLACK, PartialDecoder};
use std::fmt;
use std::mem::MaybeUninit;

/// The type byte of an uncompressed block.
pub const TYPE_RAW: u8 = 0;

/// The type byte of a block in snappy's raw format.
pub const TYPE_SNAPPY: u8 = 1;

/// The type byte of a zstd frame or a zlib stream.
pub const TYPE_ZSTD_OR_ZLIB: u8 = 2;

/// The type byte of a raw deflate stream.
pub const TYPE_RAW_DEFLATE: u8 = 4;

/// The type bytes of RocksDB's language.
const ROCKSDB_DEFLATE: u8 = 2;
const ROCKSDB_ZSTD: u8 = 7;

/// The first bytes of a zstd frame. No zlib stream begins with them: its first two bytes, as a big-endian
/// number, are a multiple of 31.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The longest block that is decompressed from zlib or zstd, in bytes; few bytes of their streams can stand
/// for very many. Builders end a block before it grows beyond this, unless a single entry is longer. Our
/// builders store such a block uncompressed.
pub const MAX_BLOCK: usize = 1 << 30;

/// The bytes of a varint32, at most.
const MAX_PREFIX: usize = 5;

/// Snappy's best ratio is a 64-byte copy encoded in 3 bytes; one more covers the rounding.
const SNAPPY_MAX_RATIO: u64 = 22;

/// zlib's own default level.
#[cfg(feature = "zlib")]
const ZLIB_LEVEL: i32 = 6;

/// LevelDB's default level.
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 1;

/// The compression of new blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Snappy. Exception: in a directory whose tables are compressed with zlib or raw deflate, that
    /// compression. Such tables are Minecraft's, and the game reads no snappy.
    #[default]
    Auto,
    /// Blocks are stored uncompressed.
    None,
    /// Snappy's raw format.
    Snappy,
    /// zlib's format (type 2), read by Minecraft's fork of LevelDB only.
    Zlib,
    /// Raw deflate (type 4), read by Minecraft's fork of LevelDB only.
    RawDeflate,
    /// zstd frames (type 2). LevelDB's main branch reads them; LevelDB 1.23 does not.
    Zstd,
    /// A compression that cannot be written, by its number in RocksDB: LevelDB's format has no type for it.
    /// Opening a database with it fails.
    NotOffered(i32),
}

impl Compression {
    /// The type byte of blocks that a compaction may copy to a new table as they are stored, if new blocks
    /// get this compression. `None`: no block may be copied.
    pub(crate) fn passed_type(self) -> Option<u8> {
        match self {
            Compression::None => Some(TYPE_RAW),
            Compression::Auto | Compression::Snappy => Some(TYPE_SNAPPY),
            _ => None,
        }
    }

    /// The compression of a block with this type byte whose stored bytes start with `beginning`; `None` if it
    /// is uncompressed or its compression is not supported.
    pub(crate) fn of_block(language: Language, type_byte: u8, beginning: &[u8]) -> Option<Compression> {
        match type_byte {
            TYPE_SNAPPY => Some(Compression::Snappy),
            _ if language == Language::RocksDb => match type_byte {
                ROCKSDB_ZSTD => Some(Compression::Zstd),
                _ => None, // not of Minecraft
            },
            TYPE_ZSTD_OR_ZLIB if beginning.starts_with(&ZSTD_MAGIC) => Some(Compression::Zstd),
            TYPE_ZSTD_OR_ZLIB => Some(Compression::Zlib),
            TYPE_RAW_DEFLATE => Some(Compression::RawDeflate),
            _ => None,
        }
    }

    /// The name by which RocksDB calls the compression in a table's properties.
    pub(crate) fn name_in_rocksdb(self) -> &'static str {
        match self {
            Compression::Auto | Compression::Snappy => "Snappy",
            Compression::Zlib | Compression::RawDeflate => "Zlib",
            Compression::Zstd => "ZSTD",
            Compression::None | Compression::NotOffered(_) => "NoCompression",
        }
    }

    /// True for the compressions that Minecraft's fork of LevelDB reads, and no other LevelDB.
    pub(crate) fn is_of_minecraft(self) -> bool {
        matches!(self, Compression::Zlib | Compression::RawDeflate)
    }

    /// The compression of new tables, where `self` is the option and `found` the compression of the tables
    /// found in the directory.
    pub(crate) fn beside(self, found: Option<Compression>) -> Compression {
        match (self, found) {
            // A build without zlib stores blocks uncompressed, which the game reads too.
            (Compression::Auto, Some(found)) if found.is_of_minecraft() => match found.check() {
                Ok(()) => found,
                Err(_) => Compression::None,
            },
            (chosen, _) => chosen,
        }
    }

    /// NotSupported if this build cannot write the compression.
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

/// The state of a compressor.
enum Method {
    None,
    Snappy(Box<Encoder>),
    #[cfg(feature = "zlib")]
    Deflate(deflate::Encoder, u8),
    #[cfg(feature = "zstd")]
    Zstd(zstd::Encoder),
}

impl Method {
    /// A compression that this build lacks compresses nothing; opening the database has refused it already.
    fn new(compression: Compression, level: Option<i32>) -> Self {
        let _ = level;
        match compression {
            Compression::Auto | Compression::Snappy => Method::Snappy(Box::new(Encoder::new())),
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

/// Compresses blocks one after another. Its tables and its buffer are reused.
pub struct Compressor {
    method: Method,
    buffer: Vec<u8>,
    language: Language,
}

impl Compressor {
    /// A compressor with the default level.
    #[cfg(any(test, feature = "test-support"))]
    pub fn new(compression: Compression) -> Self {
        Self::with_level(compression, None, Language::LevelDb)
    }

    /// A compressor with that level. Levels of zlib and raw deflate: 0 to 9 (default 6); of zstd: those of
    /// the library (default 1). Other values are brought into the range. Snappy has no levels.
    /// `language`: that of the table.
    pub fn with_level(compression: Compression, level: Option<i32>, language: Language) -> Self {
        let compression = match (language, compression) {
            (Language::RocksDb, Compression::Zlib) => Compression::RawDeflate,
            _ => compression,
        };
        Compressor { method: Method::new(compression, level), buffer: Vec::new(), language }
    }

    /// In RocksDB's language the length of the block precedes a stream of zlib or zstd. Returns how many
    /// bytes of the buffer it takes.
    fn put_prefix(&mut self, length: usize) -> usize {
        if self.language == Language::LevelDb || matches!(self.method, Method::None | Method::Snappy(_)) {
            return 0;
        }
        let mut prefix = Vec::with_capacity(MAX_PREFIX);
        put_varint32(&mut prefix, length as u32);
        self.buffer[..prefix.len()].copy_from_slice(&prefix);
        prefix.len()
    }

    /// The compressed form of `block` and its type byte. `None` if the block is better stored uncompressed:
    /// compression is off, or saves less than an eighth.
    pub fn compress(&mut self, block: &[u8]) -> Option<(&[u8], u8)> {
        let limit = block.len() - block.len() / 8;
        let room = match &self.method {
            Method::None => return None,
            _ if block.is_empty() => return None,
            // 0: the block is longer than snappy's format allows.
            Method::Snappy(_) => match max_compress_len(block.len()) {
                0 => return None,
                room => room,
            },
            // A longer result is of no use. A block longer than `MAX_BLOCK` would not be read, so it is not
            // compressed.
            #[cfg(any(feature = "zlib", feature = "zstd"))]
            _ if block.len() > MAX_BLOCK => return None,
            #[cfg(any(feature = "zlib", feature = "zstd"))]
            _ => limit.max(MAX_PREFIX),
        };
        if self.buffer.try_reserve(room.saturating_sub(self.buffer.len())).is_err() {
            return None; // there is no memory for the output
        }
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let prefix = self.put_prefix(block.len());
        let rocksdbs = self.language == Language::RocksDb;
        let _ = rocksdbs;
        let (length, type_byte) = match &mut self.method {
            Method::None => return None,
            Method::Snappy(encoder) => (encoder.compress(block, &mut self.buffer[..room]).ok()?, TYPE_SNAPPY),
            #[cfg(feature = "zlib")]
            Method::Deflate(encoder, type_byte) => {
                let type_byte = if rocksdbs { ROCKSDB_DEFLATE } else { *type_byte };
                (prefix + encoder.compress(block, &mut self.buffer[prefix..room])?, type_byte)
            }
            #[cfg(feature = "zstd")]
            Method::Zstd(encoder) => {
                let type_byte = if rocksdbs { ROCKSDB_ZSTD } else { TYPE_ZSTD_OR_ZLIB };
                (prefix + encoder.compress(block, &mut self.buffer[prefix..room])?, type_byte)
            }
        };
        (length < limit).then(|| (&self.buffer[..length], type_byte))
    }
}

/// The reason why a stored block could not be decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(all(feature = "zlib", feature = "zstd")), allow(dead_code))]
pub enum DecompressError {
    /// The type byte is unknown.
    UnknownType(u8),
    /// The block is compressed with zlib or zstd, which this build lacks. The field is the name of the cargo
    /// feature.
    NotBuilt(&'static str),
    /// The block was compressed with a dictionary, which is not in the table.
    NeedsDictionary,
    /// The block is longer than [`MAX_BLOCK`].
    TooLong,
    /// There is not enough memory.
    NoMemory,
    /// The stream is damaged, or claims an impossible length.
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
    /// True if the block is, as far as can be told, intact, but its format is not supported by this build.
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

/// True if blocks of this type are decompressed by [`decompress_streamed`].
#[inline]
pub fn is_streamed(type_byte: u8) -> bool {
    type_byte > TYPE_SNAPPY
}

/// An error if this build cannot decompress blocks of this type. `beginning`: the first stored bytes.
pub fn check_type(type_byte: u8, beginning: &[u8]) -> std::result::Result<(), DecompressError> {
    match Compression::of_block(Language::LevelDb, type_byte, beginning) {
        Some(Compression::Zlib | Compression::RawDeflate) if !cfg!(feature = "zlib") => {
            Err(DecompressError::NotBuilt("zlib"))
        }
        Some(Compression::Zstd) if !cfg!(feature = "zstd") => Err(DecompressError::NotBuilt("zstd")),
        None if type_byte != TYPE_RAW => Err(DecompressError::UnknownType(type_byte)),
        _ => Ok(()),
    }
}

/// Decompresses a stored block for which [`is_streamed`] is true into `block`, replacing its contents.
#[cold]
pub fn decompress_streamed(
    language: Language,
    type_byte: u8,
    stored: &[u8],
    block: &mut Vec<u8>,
) -> std::result::Result<(), DecompressError> {
    match language {
        Language::LevelDb => decompress_within(MAX_BLOCK, type_byte, stored, block),
        Language::RocksDb => decompress_prefixed(type_byte, stored, block),
    }
}

/// As [`decompress_streamed`], in RocksDB's language.
fn decompress_prefixed(
    type_byte: u8,
    stored: &[u8],
    block: &mut Vec<u8>,
) -> std::result::Result<(), DecompressError> {
    let mut stream = stored;
    let leveldbs = match type_byte {
        ROCKSDB_DEFLATE => TYPE_RAW_DEFLATE,
        ROCKSDB_ZSTD => TYPE_ZSTD_OR_ZLIB,
        other => return Err(DecompressError::UnknownType(other)),
    };
    let length = get_varint32(&mut stream).ok_or(DecompressError::BadStream)? as usize;
    if length > MAX_BLOCK {
        return Err(DecompressError::TooLong);
    }
    if type_byte == ROCKSDB_ZSTD && !stream.starts_with(&ZSTD_MAGIC) {
        return Err(DecompressError::BadStream);
    }
    decompress_within(length, leveldbs, stream, block).map_err(|error| match error {
        DecompressError::TooLong => DecompressError::BadStream, // longer than it says
        other => other,
    })?;
    if block.len() == length { Ok(()) } else { Err(DecompressError::BadStream) }
}

/// As [`decompress_streamed`], with a limit on the length of the block, in bytes.
fn decompress_within(
    limit: usize,
    type_byte: u8,
    stored: &[u8],
    block: &mut Vec<u8>,
) -> std::result::Result<(), DecompressError> {
    check_type(type_byte, stored)?;
    let _ = (limit, &block);
    match Compression::of_block(Language::LevelDb, type_byte, stored) {
        #[cfg(feature = "zlib")]
        Some(Compression::Zlib) => deflate::decompress(true, stored, limit, block),
        #[cfg(feature = "zlib")]
        Some(Compression::RawDeflate) => deflate::decompress(false, stored, limit, block),
        #[cfg(feature = "zstd")]
        Some(Compression::Zstd) => zstd::decompress(stored, limit, block),
        _ => Err(DecompressError::UnknownType(type_byte)),
    }
}

/// Reserves memory for `capacity` bytes in total.
#[cfg(any(feature = "zlib", feature = "zstd"))]
fn grow(block: &mut Vec<u8>, capacity: usize) -> std::result::Result<(), DecompressError> {
    let more = capacity.saturating_sub(block.len());
    block.try_reserve_exact(more).map_err(|_| DecompressError::NoMemory)
}

/// The decompressed length, in bytes, of an uncompressed or snappy block: at most 22 times its stored length.
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

/// Decompresses `stored` into `block`, whose length is the result of [`decompressed_length`].
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

/// Decompresses `stored`, which is not of type [`TYPE_RAW`], into uninitialized memory, whose length is the
/// result of [`decompressed_length`]. Returns that memory, fully initialized.
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

/// Fills `beginning` with the first bytes of the block `stored`. It must not be longer than the block.
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
mod tests;
