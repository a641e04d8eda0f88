//! CRC-32C (Castagnoli), masked as LevelDB stores it.
//!
//! Thread rule: pure functions.

/// The unmasked CRC-32C of `data`.
#[inline]
pub fn value(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
}

/// Given the CRC `crc` of some bytes, the CRC of these bytes followed by `data`.
#[inline]
pub fn extend(crc: u32, data: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, data)
}

const MASK_DELTA: u32 = 0xa282_ead8;

/// The stored form of a CRC. A CRC over bytes that contain CRCs would be weak, so the stored one is rotated
/// and a constant is added (LevelDB's mask).
#[inline]
pub fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(MASK_DELTA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_standards() {
        assert_eq!(value(&[0; 32]), 0x8a91_36aa);
        assert_eq!(value(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(value(b"hello world"), extend(value(b"hello "), b"world"));
    }

    #[test]
    fn a_mask_changes_a_checksum_as_leveldb_does() {
        let crc = value(b"foo");
        assert_ne!(mask(crc), crc);
        assert_ne!(mask(mask(crc)), crc);
        assert_eq!(mask(0x0000_8001), 0xa284_ead9);
    }
}
