//! Two hashes. `hash32` is stored on disk: LevelDB's bloom filters depend on it bit for bit. `hash64` and
//! `mix64` serve everything else: they are wide, fast and the same on every machine (they read
//! little-endian), and do not withstand an adversary.
//!
//! Thread rule: pure functions.

/// The seed that LevelDB's bloom filters use with [`hash32`].
pub const BLOOM_SEED: u32 = 0xbc9f_1d34;

/// LevelDB's 32-bit hash of `data`, similar to Murmur.
#[inline]
pub fn hash32(data: &[u8], seed: u32) -> u32 {
    const MULTIPLIER: u32 = 0xc6a4_a793;
    // The format takes the length modulo 2^32.
    let mut hash = seed ^ (data.len() as u32).wrapping_mul(MULTIPLIER);
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word)).wrapping_mul(MULTIPLIER);
        hash ^= hash >> 16;
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, &byte| rest << 8 | u32::from(byte));
        hash = hash.wrapping_add(rest).wrapping_mul(MULTIPLIER);
        hash ^= hash >> 24;
    }
    hash
}

// Odd constants without a pattern, with as many ones as zeros: the fractional parts of the square roots of 2,
// 3 and 5.
const KEY_0: u64 = 0x6a09_e667_f3bc_c909;
const KEY_1: u64 = 0xbb67_ae85_84ca_a73b;
const KEY_2: u64 = 0x3c6e_f372_fe94_f82b;

/// Multiplies to 128 bits and folds the halves: every bit of either factor affects every bit of the result.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// A 64-bit hash of two numbers.
#[inline]
pub fn mix64(a: u64, b: u64) -> u64 {
    fold(fold(a ^ KEY_0, b ^ KEY_1) ^ KEY_2, KEY_1)
}

/// A 64-bit hash of `data`. Its value may be stored: it is the same on every machine.
#[inline]
pub fn hash64(data: &[u8], seed: u64) -> u64 {
    let length = data.len();
    let seed = seed ^ KEY_0;
    // Two words that cover the last 1 to 16 bytes. The words may overlap; the length, mixed in below, tells
    // such inputs apart.
    let (a, b, state) = if length > 16 {
        let state = hash_blocks(data, seed);
        (word64(data, length - 16), word64(data, length - 8), state)
    } else if length >= 8 {
        (word64(data, 0), word64(data, length - 8), seed)
    } else if length >= 4 {
        (word32(data, 0), word32(data, length - 4), seed)
    } else if length > 0 {
        let ends = u64::from(data[0]) << 8 | u64::from(data[length - 1]);
        (ends, u64::from(data[length / 2]), seed)
    } else {
        (0, 0, seed)
    };
    fold(fold(a ^ KEY_1, b ^ state) ^ KEY_2, KEY_1 ^ length as u64)
}

/// The state after all but the last 1 to 16 bytes of an input of more than 16. Long inputs use two
/// independent lanes: a multiplication takes several cycles, but one can start every cycle.
fn hash_blocks(mut data: &[u8], seed: u64) -> u64 {
    let mut state = seed;
    if data.len() > 64 {
        let mut other = seed ^ KEY_1;
        while data.len() > 32 {
            state = fold(word64(data, 0) ^ KEY_1, word64(data, 8) ^ state);
            other = fold(word64(data, 16) ^ KEY_2, word64(data, 24) ^ other);
            data = &data[32..];
        }
        state ^= other.rotate_left(32);
    }
    while data.len() > 16 {
        state = fold(word64(data, 0) ^ KEY_1, word64(data, 8) ^ state);
        data = &data[16..];
    }
    state
}

#[inline]
fn word64(data: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(data[offset..offset + 8].try_into().expect("eight bytes"))
}

#[inline]
fn word32(data: &[u8], offset: usize) -> u64 {
    u64::from(u32::from_le_bytes(data[offset..offset + 4].try_into().expect("four bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn hash32_gives_leveldbs_values() {
        let iscsi: [u8; 48] = [
            0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
            0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        ];
        assert_eq!(hash32(b"", BLOOM_SEED), 0xbc9f_1d34);
        assert_eq!(hash32(&[0x62], BLOOM_SEED), 0xef13_45c4);
        assert_eq!(hash32(&[0xc3, 0x97], BLOOM_SEED), 0x5b66_3814);
        assert_eq!(hash32(&[0xe2, 0x99, 0xa5], BLOOM_SEED), 0x323c_078f);
        assert_eq!(hash32(&[0xe1, 0x80, 0xb9, 0x32], BLOOM_SEED), 0xed21_633a);
        assert_eq!(hash32(&iscsi, 0x1234_5678), 0xf333_dabb);
    }

    #[test]
    fn hash64_stays_what_it_is() {
        // Values that are stored in files must never change.
        let data: Vec<u8> = (0..200).collect();
        let all = [0, 1, 3, 4, 7, 8, 16, 17, 32, 64, 65, 200];
        let sum = all.iter().fold(0u64, |sum, &n| sum.rotate_left(9) ^ hash64(&data[..n], 7));
        assert_eq!(sum, 13_831_427_082_601_963_478);
    }

    #[test]
    fn hash64_tells_lengths_seeds_and_single_bits_apart() {
        let mut seen = HashSet::new();
        for length in 0..200 {
            let mut data = vec![0u8; length];
            assert!(seen.insert(hash64(&data, 1)), "{length} zeros");
            assert!(seen.insert(hash64(&data, 2)), "{length} zeros, another seed");
            for bit in 0..length * 8 {
                data[bit / 8] ^= 1 << (bit % 8);
                assert!(seen.insert(hash64(&data, 1)), "bit {bit} of {length} bytes");
                data[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    /// Counts of `hashes` in 256 classes of 8 of their bits must look random (a chi-square test at about 5
    /// sigma).
    fn assert_spread(name: &str, hashes: impl Iterator<Item = u64>) {
        let hashes: Vec<u64> = hashes.collect();
        let expected = hashes.len() as f64 / 256.0;
        for shift in (0..=56).step_by(8) {
            let mut counts = [0u32; 256];
            for hash in &hashes {
                counts[(hash >> shift) as usize & 255] += 1;
            }
            let chi: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
            assert!((140.0..370.0).contains(&chi), "{name}, bits from {shift}: {chi}");
        }
    }

    #[test]
    fn close_inputs_spread_over_all_bits() {
        assert_spread("decimal keys", (0..50_000).map(|i| hash64(format!("{i:016}").as_bytes(), 0)));
        assert_spread("big-endian numbers", (0..50_000u64).map(|i| hash64(&i.to_be_bytes(), 0)));
        assert_spread(
            "long keys",
            (0..50_000u64).map(|i| hash64(&[&[7; 90][..], &i.to_le_bytes()].concat(), 0)),
        );
        assert_spread("block offsets", (0..50_000).map(|i| mix64(3, i * 4096)));
        assert_spread("tables", (0..50_000).map(|i| mix64(i, 0)));
    }
}
