//! Seeded random numbers for tests: the same seed gives the same run on every machine.

use std::ops::Range;

/// A generator of the SplitMix64 family.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator: the same seed gives the same numbers.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True with probability 1 / `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of the elements.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}

/// A number from the environment, for repeating a test and for the soak test; `None` if it is not set.
pub fn number_from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// The seeds of a random test: `count` seeds from `TERRACE_FIRST_SEED` (default: 1) on, or `TERRACE_SEED`
/// alone.
pub fn seeds(count: u64) -> Range<u64> {
    match number_from_env("TERRACE_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = first_seed().unwrap_or(1);
            first..first + count
        }
    }
}

/// The first seed, if `TERRACE_FIRST_SEED` is set: the soak test sets it for each round.
pub fn first_seed() -> Option<u64> {
    number_from_env("TERRACE_FIRST_SEED")
}

/// Prints how much a stage of `tests/README.md` has run; `scripts/soak.sh` adds up these lines.
pub fn count(stage: char, number: u64, what: &str) {
    announce(&format!("count: {stage} {number} {what}"));
}

/// Writes a line that is visible even if the process aborts: the harness captures the output of `println!`.
pub fn announce(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
