//! A small seeded generator of random numbers (SplitMix64): 8 bytes of state, any seed is good, period 2^64.
//! Not for secrets.
//!
//! Thread rule: one thread at a time.

/// A generator. The same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator whose numbers follow from `seed`.
    #[inline]
    pub fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number in `0..n`, all equally likely (to within `n / 2^64`); 0 where `n` is 0.
    #[inline]
    pub fn uniform(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// True once in `n` times on average; always where `n` is 0 or 1.
    #[inline]
    #[cfg(any(test, feature = "test-support"))]
    pub fn one_in(&mut self, n: u64) -> bool {
        self.uniform(n) == 0
    }

    /// A number in `0..2^max_log`, small more often than not: its number of bits is a uniform choice of
    /// `0..=max_log`. `max_log` is at most 63.
    #[inline]
    #[cfg(any(test, feature = "test-support"))]
    pub fn skewed(&mut self, max_log: u32) -> u64 {
        let bits = self.uniform(u64::from(max_log.min(63)) + 1);
        self.uniform(1 << bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        // SplitMix64's reference values for this seed.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
        assert_ne!(Random::new(1).next_u64(), Random::new(2).next_u64());
    }

    #[test]
    fn uniform_reaches_every_value_equally_often_and_none_beyond() {
        let mut random = Random::new(301);
        let mut counts = [0u32; 10];
        for _ in 0..100_000 {
            counts[random.uniform(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!((random.uniform(0), random.uniform(1)), (0, 0));
    }

    #[test]
    fn one_in_happens_that_often() {
        let mut random = Random::new(302);
        let hits = (0..100_000).filter(|_| random.one_in(100)).count();
        assert!((850..1_150).contains(&hits), "{hits}");
        assert!(random.one_in(1) && random.one_in(0));
    }

    #[test]
    fn skewed_prefers_small_numbers_and_stays_in_range() {
        let mut random = Random::new(303);
        let values: Vec<u64> = (0..10_000).map(|_| random.skewed(10)).collect();
        assert!(values.iter().all(|&value| value < 1024));
        assert!(values.iter().any(|&value| value >= 512));
        assert!(values.iter().filter(|&&value| value < 32).count() > 5_000);
        random.skewed(64);
    }
}
