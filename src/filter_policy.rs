//! Filters that avoid reading a table for a key that it does not contain. A user may provide one.
//!
//! LevelDB's bloom filter, `leveldb.BuiltinBloomFilter2`, is stored as:
//!
//! ```text
//! | bits, low bit of a byte first, whole bytes, at least 64 bits | probes u8 |
//! ```
//! A key sets `probes` bits. The first one is bit `h mod bits`, where `h` is LevelDB's hash of the key; for
//! each next one, `delta` is added to `h`, where `delta` is the original `h` rotated right by 17 bits.
//!
//! Thread rule: a policy is called from any number of threads at the same time.

use crate::util::hash::{BLOOM_SEED, hash32 as hash};

/// Makes and queries small summaries of sets of user keys (LevelDB's `FilterPolicy`). Called from many
/// threads at the same time.
pub trait FilterPolicy: Send + Sync {
    /// The name, which is stored in each table. A filter is queried only through a policy of the same name.
    fn name(&self) -> Vec<u8>;
    /// Appends to `dst` a filter of `keys`, which are in comparator order and may repeat.
    fn create_filter(&self, keys: &[&[u8]], dst: &mut Vec<u8>);
    /// False only if `key` is certainly not among the keys of `filter`. A damaged filter answers true. (An
    /// empty filter is never queried for a block of a table, since no block is without keys.)
    fn key_may_match(&self, key: &[u8], filter: &[u8]) -> bool;
    /// True if querying this filter is worth its cost after a bloom filter of that many bits per key has
    /// answered true.
    fn is_finer_than(&self, bits_per_key: usize) -> bool {
        let _ = bits_per_key;
        true
    }
}

/// LevelDB's bloom filter, `leveldb.BuiltinBloomFilter2`.
#[derive(Clone, Debug)]
pub struct BloomFilterPolicy {
    bits_per_key: usize,
    probes: u8,
}

impl BloomFilterPolicy {
    /// A larger number of probes stands for a future encoding; such a filter matches every key.
    const MAX_PROBES: u8 = 30;
    const MIN_BITS: usize = 64;
    /// Beyond this the number of probes stays the same, and only the filter grows.
    const MAX_BITS_PER_KEY: usize = 100;

    /// A filter of about `bits_per_key` bits per key, at most 100. 10 bits give 1% false positives.
    pub fn new(bits_per_key: usize) -> Self {
        let bits_per_key = bits_per_key.min(Self::MAX_BITS_PER_KEY);
        // ln 2 = 0.69 probes per bit give the fewest false positives.
        let probes = (bits_per_key as f64 * 0.69) as usize;
        BloomFilterPolicy { bits_per_key, probes: probes.clamp(1, usize::from(Self::MAX_PROBES)) as u8 }
    }

    #[inline]
    fn hash_and_delta(key: &[u8]) -> (u32, u32) {
        let h = hash(key, BLOOM_SEED);
        (h, h.rotate_right(17))
    }
}

impl FilterPolicy for BloomFilterPolicy {
    fn name(&self) -> Vec<u8> {
        b"leveldb.BuiltinBloomFilter2".to_vec()
    }

    fn create_filter(&self, keys: &[&[u8]], dst: &mut Vec<u8>) {
        let bytes = keys.len().saturating_mul(self.bits_per_key).max(Self::MIN_BITS).div_ceil(8);
        // Bit positions are 32-bit numbers: the end of a longer filter could not be used.
        let bytes = bytes.min(u32::MAX as usize / 8);
        let bits = (bytes * 8) as u32;
        let start = dst.len();
        dst.resize(start + bytes, 0);
        let filter = &mut dst[start..];
        for key in keys {
            let (mut h, delta) = Self::hash_and_delta(key);
            for _ in 0..self.probes {
                let bit = h % bits;
                filter[(bit / 8) as usize] |= 1 << (bit % 8);
                h = h.wrapping_add(delta);
            }
        }
        dst.push(self.probes);
    }

    #[inline]
    fn key_may_match(&self, key: &[u8], filter: &[u8]) -> bool {
        // An empty filter has no keys. Any other malformed filter may have any key.
        let Some((&probes, filter)) = filter.split_last() else { return false };
        if filter.is_empty() || probes > Self::MAX_PROBES || filter.len() > u32::MAX as usize / 8 {
            return true;
        }
        let bits = (filter.len() * 8) as u32;
        let (mut h, delta) = Self::hash_and_delta(key);
        (0..probes).all(|_| {
            let bit = h % bits;
            h = h.wrapping_add(delta);
            filter[(bit / 8) as usize] & (1 << (bit % 8)) != 0
        })
    }

    fn is_finer_than(&self, bits_per_key: usize) -> bool {
        self.bits_per_key > bits_per_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(policy: &BloomFilterPolicy, numbers: std::ops::Range<u32>) -> Vec<u8> {
        let keys: Vec<[u8; 4]> = numbers.map(u32::to_le_bytes).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_slice()).collect();
        let mut filter = b"before".to_vec();
        policy.create_filter(&keys, &mut filter);
        filter.split_off(6)
    }

    #[test]
    fn no_key_is_ever_missed_and_few_others_match() {
        let policy = BloomFilterPolicy::new(10);
        let (mut good, mut mediocre) = (0, 0);
        for count in (1..10).chain((10..100).step_by(10)).chain((100..=10_000).step_by(900)) {
            let filter = filter_of(&policy, 0..count);
            assert!(filter.len() <= count as usize * 10 / 8 + 40);
            for key in 0..count {
                assert!(policy.key_may_match(&key.to_le_bytes(), &filter), "{key} of {count}");
            }
            let matches =
                (0..10_000u32).filter(|i| policy.key_may_match(&(i + 1_000_000_000).to_le_bytes(), &filter));
            let rate = matches.count();
            assert!(rate <= 200, "{rate} false positives of 10000 with {count} keys");
            if rate > 125 {
                mediocre += 1;
            } else {
                good += 1;
            }
        }
        assert!(mediocre <= good / 5);
    }

    #[test]
    fn small_filters_have_64_bits_and_the_number_of_probes() {
        assert_eq!(filter_of(&BloomFilterPolicy::new(10), 0..0), [0, 0, 0, 0, 0, 0, 0, 0, 6]);
        assert_eq!(filter_of(&BloomFilterPolicy::new(0), 0..1).len(), 9);
        assert_eq!(*filter_of(&BloomFilterPolicy::new(0), 0..1).last().unwrap(), 1);
        assert_eq!(*filter_of(&BloomFilterPolicy::new(1000), 0..1).last().unwrap(), 30);
        let policy = BloomFilterPolicy::new(10);
        assert!(!policy.key_may_match(b"hello", &filter_of(&policy, 0..0)));
    }

    #[test]
    fn damaged_filters_match_everything() {
        let policy = BloomFilterPolicy::new(10);
        for filter in [&b"\x06"[..], b"\0\0\0\0\0\0\0\0\x1f", b"\0\0\0\0\0\0\0\0\xff"] {
            assert!(policy.key_may_match(b"hello", filter));
        }
        assert!(!policy.key_may_match(b"hello", b"\0\0\0\0\0\0\0\0\x1e"));
    }

    #[test]
    fn an_empty_filter_has_no_keys() {
        assert!(!BloomFilterPolicy::new(10).key_may_match(b"hello", b""));
    }

    #[test]
    fn any_number_of_bits_per_key_makes_filters_of_bounded_size() {
        for bits_per_key in [0, 1, 10, 44, 100, 101, i32::MAX as usize, u32::MAX as usize, usize::MAX] {
            let policy = BloomFilterPolicy::new(bits_per_key);
            for count in [0, 1, 100, 5000] {
                let filter = filter_of(&policy, 0..count);
                assert!(filter.len() <= 9 + count as usize * 100 / 8, "{} bytes", filter.len());
                assert!((1..=30).contains(filter.last().expect("probes")));
                assert!((0..count).all(|key| policy.key_may_match(&key.to_le_bytes(), &filter)));
            }
        }
    }

    #[test]
    fn bits_are_leveldbs() {
        let policy = BloomFilterPolicy::new(10);
        let mut filter = Vec::new();
        policy.create_filter(&[b"hello", b"world"], &mut filter);
        // The bytes that Google's LevelDB writes.
        assert_eq!(filter, BITS_OF_HELLO_WORLD);
    }

    const BITS_OF_HELLO_WORLD: [u8; 9] = [0x11, 0x40, 0x00, 0x41, 0x44, 0x10, 0x40, 0x10, 0x06];
}
