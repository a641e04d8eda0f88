//! Block handles, and the footer, from which reading a table starts.
//!
//! ```text
//! handle  | offset varint64 | size varint64 |      size without the block's 5-byte trailer
//! footer  | metaindex handle | index handle | zeros up to byte 40 | magic u64 |      48 bytes, LevelDB's
//! footer  | checksum type u8 | the same 40 bytes | version u32 | magic u64 |       53 bytes, RocksDB's
//! trailer | compression u8 | masked CRC-32C u32 of block and compression byte |      5 bytes
//! ```
//! Version 2 of RocksDB's format, the only one that is written, has LevelDB's blocks, CRC-32C, and other
//! numbers of compressions. Versions 3 to 5 have other index blocks. From version 6 on, the 40 bytes are
//!
//! ```text
//! 3e 00 7a 00 | checksum of the footer u32 | context of checksums u32 | size of the metaindex u32 | zeros |
//! ```
//! The metaindex is right before the footer, and names the index.

use super::checksum::{ChecksumKind, Checksums};
use crate::language::Language;
use crate::util::coding::{get_varint64, put_fixed32, put_fixed64, put_varint64};
use std::ops::RangeInclusive;

/// The length of LevelDB's footer, in bytes.
pub const FOOTER_SIZE: usize = 48;

/// The length of RocksDB's footer, in bytes.
pub const ROCKSDB_FOOTER_SIZE: usize = 53;

/// The length of the trailer that follows every block, in bytes.
pub const BLOCK_TRAILER_SIZE: usize = 5;

const HANDLES_SIZE: usize = 40;

/// The magic number of LevelDB's tables.
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;

/// The magic number of RocksDB's block-based tables. (Their first format version had LevelDB's number.)
const ROCKSDB_MAGIC: u64 = 0x88e2_41b7_85f4_cff7;

/// The magic numbers of RocksDB's plain tables (also of their first version) and cuckoo tables.
const OTHER_ROCKSDB_MAGICS: [u64; 3] = [0x8242_2296_63bf_9564, 0x4f34_18eb_7a8f_13b8, 0x9267_89d0_c5f1_7873];

/// The format version of RocksDB's tables that is written.
const VERSION: u32 = 2;

/// Those that are read.
const READ_VERSIONS: RangeInclusive<u32> = 2..=7;

/// From this version on the footer has a checksum, and the metaindex names the index.
const FIRST_SUMMED_VERSION: u32 = 6;

/// The first bytes after the checksum type in a footer with a checksum. No handle begins so.
const SUMMED_MAGIC: [u8; 4] = [0x3e, 0, 0x7a, 0];

/// The number of CRC-32C among RocksDB's checksums.
const CRC32C: u8 = 1;

/// Where a block is in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BlockHandle {
    /// The offset of the block's first byte.
    pub offset: u64,
    /// The length of the block in bytes, without the trailer.
    pub size: u64,
}

impl BlockHandle {
    /// Appends the encoded handle to `dst`.
    pub fn encode(&self, dst: &mut Vec<u8>) {
        put_varint64(dst, self.offset);
        put_varint64(dst, self.size);
    }

    /// Decodes a handle and moves `src` past it.
    pub fn decode(src: &mut &[u8]) -> Option<Self> {
        let mut probe = *src;
        let handle = BlockHandle { offset: get_varint64(&mut probe)?, size: get_varint64(&mut probe)? };
        *src = probe;
        Some(handle)
    }

    /// The offset where the block's trailer ends; `None` if that overflows 64 bits.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.size)?.checked_add(BLOCK_TRAILER_SIZE as u64)
    }
}

/// The last bytes of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Footer {
    /// The language that the table is in.
    pub language: Language,
    /// Where the metaindex block is.
    pub metaindex: BlockHandle,
    /// Where the index block is.
    pub index: BlockHandle,
}

/// A footer that was read, and what else it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundFooter {
    /// From version 6 on its `index` is empty.
    pub footer: Footer,
    /// RocksDB's format version; 0 for LevelDB's tables.
    pub version: u32,
    /// How its blocks are protected.
    pub checksums: Checksums,
}

/// Why bytes are not a footer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadFooter {
    /// The magic number is unknown: the file is not a table.
    Magic,
    /// The handles cannot be decoded.
    Handles,
    /// The checksum of the footer is wrong.
    Checksum,
    /// The file is a table in a format of RocksDB that is not supported.
    RocksDb(&'static str, u32),
}

impl Footer {
    /// Appends the encoded footer to `dst`.
    pub fn encode(&self, dst: &mut Vec<u8>) {
        if self.language == Language::RocksDb {
            dst.push(CRC32C);
        }
        let start = dst.len();
        self.metaindex.encode(dst);
        self.index.encode(dst);
        dst.resize(start + HANDLES_SIZE, 0);
        match self.language {
            Language::LevelDb => put_fixed64(dst, MAGIC),
            Language::RocksDb => {
                put_fixed32(dst, VERSION);
                put_fixed64(dst, ROCKSDB_MAGIC);
            }
        }
    }

    /// The length of the encoded footer, in bytes.
    pub fn size(&self) -> usize {
        match self.language {
            Language::LevelDb => FOOTER_SIZE,
            Language::RocksDb => ROCKSDB_FOOTER_SIZE,
        }
    }

    /// As [`FoundFooter::decode`], of a table that is all in `bytes`, or has LevelDB's footer; without what
    /// is beyond LevelDB's.
    #[cfg(any(test, feature = "test-support"))]
    pub fn decode(bytes: &[u8]) -> Result<Self, BadFooter> {
        FoundFooter::decode(bytes, bytes.len() as u64).map(|found| found.footer)
    }

    fn of_handles(language: Language, mut handles: &[u8]) -> Result<Self, BadFooter> {
        let metaindex = BlockHandle::decode(&mut handles).ok_or(BadFooter::Handles)?;
        let index = BlockHandle::decode(&mut handles).ok_or(BadFooter::Handles)?;
        Ok(Footer { language, metaindex, index })
    }
}

impl FoundFooter {
    /// Decodes the footer at the end of `bytes`, the last 53 or more bytes of a table of `file_size` bytes,
    /// or all of it.
    pub fn decode(bytes: &[u8], file_size: u64) -> Result<Self, BadFooter> {
        let Some((before, magic)) = bytes.split_last_chunk::<8>() else { return Err(BadFooter::Magic) };
        match u64::from_le_bytes(*magic) {
            MAGIC => {
                let handles = before.last_chunk::<HANDLES_SIZE>().ok_or(BadFooter::Magic)?;
                let footer = Footer::of_handles(Language::LevelDb, handles)?;
                Ok(FoundFooter { footer, version: 0, checksums: Checksums::USUAL })
            }
            ROCKSDB_MAGIC => {
                let (before, version) = before.split_last_chunk::<4>().ok_or(BadFooter::Magic)?;
                let version = u32::from_le_bytes(*version);
                if !READ_VERSIONS.contains(&version) {
                    return Err(BadFooter::RocksDb("format version", version));
                }
                let whole = before.last_chunk::<{ 1 + HANDLES_SIZE }>().ok_or(BadFooter::Handles)?;
                let [number, handles @ ..] = whole;
                let kind = ChecksumKind::from_u8(*number)
                    .ok_or(BadFooter::RocksDb("checksum type", u32::from(*number)))?;
                if version >= FIRST_SUMMED_VERSION {
                    let encoded = bytes.last_chunk().ok_or(BadFooter::Handles)?;
                    return Self::decode_summed(encoded, file_size, version, kind);
                }
                let footer = Footer::of_handles(Language::RocksDb, handles)?;
                Ok(FoundFooter { footer, version, checksums: Checksums { kind, context: 0 } })
            }
            magic if OTHER_ROCKSDB_MAGICS.contains(&magic) => {
                Err(BadFooter::RocksDb("plain or cuckoo table", 0))
            }
            _ => Err(BadFooter::Magic),
        }
    }

    /// Decodes a footer that has a checksum.
    fn decode_summed(
        encoded: &[u8; ROCKSDB_FOOTER_SIZE],
        file_size: u64,
        version: u32,
        kind: ChecksumKind,
    ) -> Result<Self, BadFooter> {
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| encoded[at + byte]));
        if encoded[1..5] != SUMMED_MAGIC {
            return Err(BadFooter::Handles);
        }
        let (stored, context, metaindex_size) = (number(5), number(9), u64::from(number(13)));
        let checksums = Checksums { kind, context };
        let start = file_size.checked_sub(ROCKSDB_FOOTER_SIZE as u64).ok_or(BadFooter::Handles)?;
        let mut summed = *encoded;
        summed[5..9].fill(0);
        if context == 0 || !checksums.fit(start, &summed, stored) {
            return Err(BadFooter::Checksum);
        }
        if encoded[33..41] != [0; 8] {
            return Err(BadFooter::RocksDb("feature of a later format version", version));
        }
        let offset =
            start.checked_sub(BLOCK_TRAILER_SIZE as u64 + metaindex_size).ok_or(BadFooter::Handles)?;
        let metaindex = BlockHandle { offset, size: metaindex_size };
        let footer = Footer { language: Language::RocksDb, metaindex, index: BlockHandle::default() };
        Ok(FoundFooter { footer, version, checksums })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_round_trips_at_its_widest() {
        for (language, magic) in [
            (Language::LevelDb, [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb]),
            (Language::RocksDb, [0xf7, 0xcf, 0xf4, 0x85, 0xb7, 0x41, 0xe2, 0x88]),
        ] {
            for offset in [0, 300, u64::MAX] {
                let footer = Footer {
                    language,
                    metaindex: BlockHandle { offset, size: u64::MAX - 1 },
                    index: BlockHandle { offset: 7, size: offset },
                };
                let mut bytes = Vec::new();
                footer.encode(&mut bytes);
                assert_eq!(bytes.len(), footer.size());
                let decode = |bytes: &[u8]| FoundFooter::decode(bytes, 1000).map(|found| found.footer);
                assert_eq!(decode(&bytes), Ok(footer));
                assert_eq!(decode(&[&[7; 9][..], &bytes].concat()), Ok(footer));
                assert!(bytes.ends_with(&magic));
                for cut in 1..=bytes.len() {
                    assert!(decode(&bytes[cut..]).is_err());
                }
            }
        }
    }

    #[test]
    fn other_bytes_are_no_footer() {
        assert_eq!(Footer::decode(&[0; FOOTER_SIZE]), Err(BadFooter::Magic));
        let mut bytes = [0xff; FOOTER_SIZE];
        bytes[40..].copy_from_slice(&MAGIC.to_le_bytes());
        assert_eq!(Footer::decode(&bytes), Err(BadFooter::Handles));
    }

    #[test]
    fn other_formats_of_rocksdb_are_named() {
        let mut bytes = [0; ROCKSDB_FOOTER_SIZE];
        let decode = |bytes: &mut [u8; ROCKSDB_FOOTER_SIZE], checksum, version: u32| {
            bytes[0] = checksum;
            bytes[41..45].copy_from_slice(&version.to_le_bytes());
            bytes[45..].copy_from_slice(&ROCKSDB_MAGIC.to_le_bytes());
            FoundFooter::decode(bytes, 53)
        };
        for (checksum, version) in [(1, 2), (0, 3), (2, 4), (4, 5)] {
            let found = decode(&mut bytes, checksum, version).unwrap();
            assert_eq!(
                (found.version, Some(found.checksums.kind)),
                (version, ChecksumKind::from_u8(checksum))
            );
        }
        assert_eq!(decode(&mut bytes, 1, 1), Err(BadFooter::RocksDb("format version", 1)));
        assert_eq!(decode(&mut bytes, 4, 8), Err(BadFooter::RocksDb("format version", 8)));
        assert_eq!(decode(&mut bytes, 5, 2), Err(BadFooter::RocksDb("checksum type", 5)));
        assert_eq!(decode(&mut bytes, 4, 6), Err(BadFooter::Handles), "not the first bytes of version 6");
        bytes[45..].copy_from_slice(&OTHER_ROCKSDB_MAGICS[0].to_le_bytes());
        assert!(matches!(Footer::decode(&bytes), Err(BadFooter::RocksDb(..))));
    }

    #[test]
    fn the_end_of_a_huge_block_does_not_wrap() {
        assert_eq!(BlockHandle { offset: 10, size: 5 }.end(), Some(20));
        assert_eq!(BlockHandle { offset: 10, size: u64::MAX - 12 }.end(), None);
        assert_eq!(BlockHandle { offset: u64::MAX, size: 1 }.end(), None);
    }
}
