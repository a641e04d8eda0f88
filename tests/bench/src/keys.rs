//! Keys, values and random numbers: the same for every engine, and cheap compared to the measured operations
//! (a key costs about 3 ns).

/// Size of a key in bytes: a decimal number with leading zeros.
pub const KEY_SIZE: usize = 16;

const PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut i = 0;
    while i < 100 {
        pairs[i * 2] = b'0' + (i / 10) as u8;
        pairs[i * 2 + 1] = b'0' + (i % 10) as u8;
        i += 1;
    }
    pairs
};

/// A buffer for one key after another. The 17th byte turns a key into one that is never stored.
pub struct Key([u8; KEY_SIZE + 1]);

impl Key {
    pub fn new() -> Key {
        Key([b'.'; KEY_SIZE + 1])
    }

    /// The key of a number.
    #[inline]
    pub fn set(&mut self, number: u64) -> &[u8] {
        self.spell(number);
        &self.0[..KEY_SIZE]
    }

    /// A key right after that of a number, which is never in the database.
    #[inline]
    pub fn set_missing(&mut self, number: u64) -> &[u8] {
        self.spell(number);
        &self.0
    }

    #[inline]
    fn spell(&mut self, number: u64) {
        let halves = [number / 100_000_000, number % 100_000_000];
        for (half, digits) in halves.into_iter().zip(self.0.chunks_exact_mut(8)) {
            let mut rest = half as u32;
            for pair in digits.chunks_exact_mut(2).rev() {
                let at = (rest % 100) as usize * 2;
                pair.copy_from_slice(&PAIRS[at..at + 2]);
                rest /= 100;
            }
        }
    }
}

/// A random generator (xorshift): the same seed gives the same numbers.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next 64 bits.
    #[inline]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    #[inline]
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}

/// Values that compress by half, taken one after another from a buffer: as in LevelDB's db_bench, every 100
/// bytes are 50 random printable bytes, twice.
pub struct Values {
    bytes: Vec<u8>,
    size: usize,
    at: usize,
}

impl Values {
    /// Values of `size` bytes.
    pub fn new(size: usize, seed: u64) -> Values {
        let mut random = Random::new(seed);
        let mut bytes = Vec::with_capacity((1 << 20) + size + 100);
        while bytes.len() < (1 << 20) + size {
            let piece: [u8; 50] = std::array::from_fn(|_| b' ' + random.below(95) as u8);
            bytes.extend_from_slice(&piece);
            bytes.extend_from_slice(&piece);
        }
        Values { bytes, size, at: 0 }
    }

    /// The next value.
    #[inline]
    pub fn next(&mut self) -> &[u8] {
        if self.at + self.size > self.bytes.len() {
            self.at = 0;
        }
        self.at += self.size;
        &self.bytes[self.at - self.size..self.at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_number_in_sixteen_digits() {
        let mut key = Key::new();
        for number in [0, 7, 99, 12_345_678, 100_000_000, 9_876_543_210_123_456] {
            assert_eq!(key.set(number), format!("{number:016}").as_bytes());
            assert_eq!(key.set_missing(number), format!("{number:016}.").as_bytes());
        }
    }

    #[test]
    fn random_numbers_reach_every_corner_of_their_range() {
        let mut random = Random::new(1);
        let mut seen = [0u32; 10];
        (0..10_000).for_each(|_| seen[random.below(10) as usize] += 1);
        assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
    }

    #[test]
    fn values_have_their_size_and_go_on() {
        let mut values = Values::new(100, 1);
        let first = values.next().to_vec();
        assert_eq!((first.len(), &first[..50]), (100, &first[50..]));
        assert_ne!(values.next(), first);
        let mut large = Values::new(256 << 10, 1);
        assert!((0..100).all(|_| large.next().len() == 256 << 10));
    }
}
