//! The checksum in the trailer of a block: LevelDB's, and those of RocksDB's tables.
//!
//! ```text
//! type | sum of the stored contents and the compression byte
//! 0    | none: nothing is verified
//! 1    | masked CRC-32C; the only one in LevelDB's tables, and the only one that is written
//! 2    | XXH32
//! 3    | the low half of XXH64
//! 4    | the low half of XXH3's 64 bits over the contents, mixed with the compression byte
//! ```
//! From format version 6 of RocksDB's tables on, a number that depends on the table and on the offset of the
//! block is added. So a block that was written to another place is noticed.
//!
//! Thread rule: values and functions without state.

use crate::util::crc32c;
use xxhash_rust::{xxh3, xxh32, xxh64};

/// A checksum of RocksDB's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChecksumKind {
    None,
    Crc32c,
    Xxh32,
    Xxh64,
    Xxh3,
}

impl ChecksumKind {
    /// The kind with this number in a footer.
    pub fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => ChecksumKind::None,
            1 => ChecksumKind::Crc32c,
            2 => ChecksumKind::Xxh32,
            3 => ChecksumKind::Xxh64,
            4 => ChecksumKind::Xxh3,
            _ => return None,
        })
    }

    /// The sum of `bytes`. Those of a block end with the compression byte.
    pub fn sum(self, bytes: &[u8]) -> u32 {
        match self {
            ChecksumKind::None => 0,
            ChecksumKind::Crc32c => crc32c::mask(crc32c::value(bytes)),
            ChecksumKind::Xxh32 => xxh32::xxh32(bytes, 0),
            ChecksumKind::Xxh64 => xxh64::xxh64(bytes, 0) as u32,
            ChecksumKind::Xxh3 => match bytes.split_last() {
                None => 0,
                // RocksDB keeps its streaming state small so.
                Some((&last, rest)) => {
                    xxh3::xxh3_64(rest) as u32 ^ u32::from(last).wrapping_mul(LAST_BYTE_FACTOR)
                }
            },
        }
    }
}

/// The factor of the last byte, from RocksDB's format.
const LAST_BYTE_FACTOR: u32 = 0x6b90_83d9;

/// How the blocks of a table are protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checksums {
    pub kind: ChecksumKind,
    /// The table's own part of what is added; 0: nothing is added.
    pub context: u32,
}

impl Checksums {
    /// Those of LevelDB's tables, and of ours.
    pub const USUAL: Checksums = Checksums { kind: ChecksumKind::Crc32c, context: 0 };

    /// What is added to the sum of what is at `offset`.
    pub fn modifier(&self, offset: u64) -> u32 {
        match self.context {
            0 => 0,
            context => context ^ (offset as u32).wrapping_add((offset >> 32) as u32),
        }
    }

    /// Is `stored` the checksum of the block at `offset` that consists of these bytes?
    #[inline]
    pub fn fit(&self, offset: u64, bytes: &[u8], stored: u32) -> bool {
        if *self == Self::USUAL {
            return crc32c::mask(crc32c::value(bytes)) == stored;
        }
        self.fit_unusual(offset, bytes, stored)
    }

    #[cold]
    fn fit_unusual(&self, offset: u64, bytes: &[u8], stored: u32) -> bool {
        self.kind == ChecksumKind::None || self.kind.sum(bytes).wrapping_add(self.modifier(offset)) == stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_the_published_ones() {
        // The test vectors of the algorithms' own specification, for the empty input and seed 0.
        assert_eq!(ChecksumKind::Xxh32.sum(b""), 0x02cc_5d05);
        assert_eq!(ChecksumKind::Xxh64.sum(b""), 0xef46_db37_51d8_e999_u64 as u32);
        // A single byte is the "last byte" of nothing.
        let of_nothing = 0x2d06_8005_38d3_94c2_u64 as u32;
        assert_eq!(ChecksumKind::Xxh3.sum(&[0]), of_nothing);
        assert_eq!(ChecksumKind::Xxh3.sum(&[1]), of_nothing ^ LAST_BYTE_FACTOR);
        assert_eq!(ChecksumKind::Xxh3.sum(b""), 0);
    }

    #[test]
    fn the_place_counts_only_with_a_context() {
        for kind in (0..=4).map(|number| ChecksumKind::from_u8(number).unwrap()) {
            let sum = kind.sum(b"block");
            let without = Checksums { kind, context: 0 };
            assert!(without.fit(0, b"block", sum) && without.fit(1 << 33, b"block", sum));
            let with = Checksums { kind, context: 7 };
            let at = |offset| with.fit(offset, b"block", sum.wrapping_add(with.modifier(5)));
            let ignored = kind == ChecksumKind::None;
            assert_eq!((at(5), at(6), at((1 << 32) + 4), at((1 << 32) + 5)), (true, ignored, true, ignored));
        }
        assert!(ChecksumKind::from_u8(5).is_none());
    }
}
