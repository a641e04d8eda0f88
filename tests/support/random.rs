//! Seeded chance for tests: the same seed gives the same run, everywhere.

use std::ops::Range;

/// A generator of the SplitMix64 family.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that repeats itself for the same seed.
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

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of the elements.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}

/// A seed that a variable of the environment overrides, for repeating and for soaking.
pub fn number_from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// The seeds of a random test: `count` of them from `TERRACE_FIRST_SEED` on (1 unless said), or `TERRACE_SEED` alone.
pub fn seeds(count: u64) -> Range<u64> {
    match number_from_env("TERRACE_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = first_seed().unwrap_or(1);
            first..first + count
        }
    }
}

/// Where the seeds begin, if anyone has said so: a soak does, round by round.
pub fn first_seed() -> Option<u64> {
    number_from_env("TERRACE_FIRST_SEED")
}

/// Says how much a stage of `tests/README.md` has gone through; `scripts/soak.sh` adds these lines up.
pub fn count(stage: char, number: u64, what: &str) {
    announce(&format!("count: {stage} {number} {what}"));
}

/// Writes a line that is seen even when the process aborts: the harness keeps what `println!` writes.
pub fn announce(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
