//! Block handles, and the footer, from which reading a table starts. LevelDB's format.
//!
//! ```text
//! handle  | offset varint64 | size varint64 |      size without the block's 5-byte trailer
//! footer  | metaindex handle | index handle | zeros up to byte 40 | magic u64 |      48 bytes
//! trailer | compression u8 | masked CRC-32C u32 of block and compression byte |      5 bytes
//! ```

use crate::util::coding::{fixed64_at, get_varint64, put_fixed64, put_varint64};

/// The length of a footer, in bytes.
pub const FOOTER_SIZE: usize = 48;

/// The length of the trailer that follows every block, in bytes.
pub const BLOCK_TRAILER_SIZE: usize = 5;

const HANDLES_SIZE: usize = 40;

/// The magic number of LevelDB's tables.
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;

/// The magic numbers of RocksDB's block-based tables, plain tables and cuckoo tables. (RocksDB's first format
/// version of block-based tables had LevelDB's number.)
const ROCKSDB_MAGICS: [u64; 3] = [0x88e2_41b7_85f4_cff7, 0x8242_2296_63bf_9564, 0x9267_89d0_c5f1_7873];

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

/// The last 48 bytes of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Footer {
    /// Where the metaindex block is.
    pub metaindex: BlockHandle,
    /// Where the index block is.
    pub index: BlockHandle,
}

/// Why bytes are not a footer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadFooter {
    /// The magic number is unknown: the file is not a table.
    Magic,
    /// The handles cannot be decoded.
    Handles,
    /// The file is a table in one of RocksDB's own formats.
    RocksDb,
}

impl Footer {
    /// Appends the encoded footer to `dst`.
    pub fn encode(&self, dst: &mut Vec<u8>) {
        let start = dst.len();
        self.metaindex.encode(dst);
        self.index.encode(dst);
        dst.resize(start + HANDLES_SIZE, 0);
        put_fixed64(dst, MAGIC);
    }

    /// Decodes a footer.
    pub fn decode(bytes: &[u8; FOOTER_SIZE]) -> Result<Self, BadFooter> {
        match fixed64_at(bytes, HANDLES_SIZE) {
            Some(MAGIC) => {}
            Some(magic) if ROCKSDB_MAGICS.contains(&magic) => return Err(BadFooter::RocksDb),
            _ => return Err(BadFooter::Magic),
        }
        let mut handles = &bytes[..HANDLES_SIZE];
        let metaindex = BlockHandle::decode(&mut handles).ok_or(BadFooter::Handles)?;
        let index = BlockHandle::decode(&mut handles).ok_or(BadFooter::Handles)?;
        Ok(Footer { metaindex, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_round_trips_at_its_widest() {
        for offset in [0, 300, u64::MAX] {
            let footer = Footer {
                metaindex: BlockHandle { offset, size: u64::MAX - 1 },
                index: BlockHandle { offset: 7, size: offset },
            };
            let mut bytes = Vec::new();
            footer.encode(&mut bytes);
            let bytes: [u8; FOOTER_SIZE] = bytes.try_into().unwrap();
            assert_eq!(Footer::decode(&bytes), Ok(footer));
            assert_eq!(bytes[40..], [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb]);
        }
    }

    #[test]
    fn other_bytes_are_no_footer() {
        assert_eq!(Footer::decode(&[0; FOOTER_SIZE]), Err(BadFooter::Magic));
        let mut bytes = [0xff; FOOTER_SIZE];
        bytes[40..].copy_from_slice(&MAGIC.to_le_bytes());
        assert_eq!(Footer::decode(&bytes), Err(BadFooter::Handles));
        bytes[40..].copy_from_slice(&0x88e2_41b7_85f4_cff7_u64.to_le_bytes());
        assert_eq!(Footer::decode(&bytes), Err(BadFooter::RocksDb));
    }

    #[test]
    fn the_end_of_a_huge_block_does_not_wrap() {
        assert_eq!(BlockHandle { offset: 10, size: 5 }.end(), Some(20));
        assert_eq!(BlockHandle { offset: 10, size: u64::MAX - 12 }.end(), None);
        assert_eq!(BlockHandle { offset: u64::MAX, size: 1 }.end(), None);
    }
}
