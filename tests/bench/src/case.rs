//! The runs of a command line: a profile of the options is one run; `all`, `record` and `growth` are lists of
//! runs.
//!
//! The cases of a list are in the order of their importance. With a budget, a case whose estimated time no
//! longer fits is left out and named; the first case always runs.

use crate::plan::Profile;

/// One table: a profile, a number of threads and of keys.
#[derive(Clone, Debug)]
pub struct Case {
    pub profile: Profile,
    /// Number of threads that share the operations.
    pub threads: u64,
    /// Number of keys, before the profile divides it.
    pub num: u64,
    /// Number of reads of a read row, before the profile divides it.
    pub reads: u64,
    /// Number of rounds of each engine.
    pub rounds: usize,
    /// Rows; empty: all.
    pub rows: Vec<String>,
    /// Engines; empty: all.
    pub engines: Vec<&'static str>,
}

/// The rows that show how cost grows with the number of keys.
pub const GROWTH_ROWS: [&str; 7] = [
    "fillrandom",
    "readrandom.compacted",
    "readmissing.compacted",
    "seekrandom.compacted",
    "compact",
    "recover",
    "reopen",
];

/// The numbers of keys of `growth`.
pub const GROWTH_SIZES: [u64; 3] = [100_000, 1_000_000, 10_000_000];

/// The numbers of keys of `growth-large`: more tables than `max_open_files` is by default. 1,000 tables have
/// about 18 million keys.
const LARGE_GROWTH_SIZES: [u64; 3] = [5_000_000, 20_000_000, 50_000_000];

/// The engines of `growth` and `growth-large`.
const GROWTH_ENGINES: [&str; 3] = ["terrace", "leveldb-release", "leveldb"];

fn profile(name: &str) -> Profile {
    Profile::all().into_iter().find(|profile| profile.name == name).expect("a profile of this name")
}

impl Case {
    /// A run of one profile with one thread.
    pub fn new(name: &str, num: u64, rounds: usize) -> Case {
        let profile = profile(name);
        Case { profile, threads: 1, num, reads: num, rounds, rows: Vec::new(), engines: Vec::new() }
    }

    fn with_threads(self, threads: u64) -> Case {
        Case { threads, ..self }
    }

    fn with_reads(self, reads: u64) -> Case {
        Case { reads, ..self }
    }

    fn growth(num: u64) -> Case {
        let mut case = Case::new("default", num, 1).with_reads(num.min(500_000));
        case.profile.name = "growth".to_owned();
        case.rows = GROWTH_ROWS.map(str::to_owned).into();
        case.engines = GROWTH_ENGINES.into();
        case
    }

    /// The name of the case in the list of those that were left out.
    pub fn title(&self) -> String {
        format!(
            "{}, threads: {}, keys: {}",
            self.profile.name,
            self.threads,
            self.num / self.profile.fewer_keys
        )
    }

    /// The cost for one engine, in an arbitrary unit that is about proportional to time.
    pub fn weight(&self) -> f64 {
        let share = if self.rows.is_empty() { 1.0 } else { (self.rows.len() as f64 / 27.0).min(1.0) };
        let bytes_per_key = match self.profile.value_size {
            size if size > 100_000 => 60.0,
            size if size > 1_000 => 6.0,
            _ => 1.0,
        };
        let keys = (self.num as f64 + 0.5 * self.reads as f64) / self.profile.fewer_keys as f64;
        keys * bytes_per_key * share * self.rounds as f64
    }
}

/// The rows with ten times as many keys: only the main rows, to save time.
const LARGE_ROWS: [&str; 8] =
    ["fillrandom", "overwrite", "settle", "readrandom", "readmissing", "readseq", "seekrandom", "compact"];

/// The engines of these rows.
const LARGE_ENGINES: [&str; 5] = ["terrace", "leveldb-release", "leveldb", "fjall", "rocksdb"];

fn large(name: &str) -> Case {
    let mut case = Case::new(name, 10_000_000, 1).with_reads(400_000);
    case.rows = LARGE_ROWS.map(str::to_owned).into();
    case.engines = LARGE_ENGINES.into();
    case
}

/// The runs for the README: about forty minutes on two quiet cores.
pub fn record() -> Vec<Case> {
    vec![
        Case::new("default", 1_000_000, 3).with_reads(400_000),
        Case::growth(100_000),
        Case::growth(1_000_000),
        Case::new("tuned", 1_000_000, 1).with_reads(400_000),
        Case::new("default", 300_000, 1).with_threads(2),
        Case::new("default", 300_000, 1).with_threads(4),
        Case::new("value4k", 300_000, 1),
        Case::new("uncompressed", 300_000, 1),
        Case::new("value256k", 1_000_000, 1),
        Case::growth(10_000_000),
        large("default"),
        large("tuned"),
    ]
}

/// Everything (`PROFILE=all` in tests/bench/README.md): some hours.
pub fn all(num: u64, rounds: usize) -> Vec<Case> {
    let mut cases = vec![Case::new("default", num, rounds)];
    cases.extend([2, 4].map(|threads| Case::new("default", num, rounds).with_threads(threads)));
    cases.extend(["tuned", "value4k", "value256k", "uncompressed"].map(|name| Case::new(name, num, rounds)));
    cases.extend(growth());
    cases.extend(["default", "tuned"].map(|name| Case::new(name, 10 * num, 1).with_reads(num)));
    cases
}

/// The runs that show how cost grows with the number of keys.
pub fn growth() -> Vec<Case> {
    GROWTH_SIZES.map(Case::growth).into()
}

/// The runs that show how cost grows beyond 1,000 tables.
pub fn large_growth() -> Vec<Case> {
    LARGE_GROWTH_SIZES.map(Case::growth).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ROWS;

    #[test]
    fn every_row_of_growth_and_of_many_keys_is_a_row() {
        assert!(GROWTH_ROWS.iter().chain(&LARGE_ROWS).all(|row| ROWS.contains(row)));
    }

    #[test]
    fn the_whole_has_every_profile_and_number_of_threads() {
        let cases = all(1_000_000, 3);
        for profile in Profile::all() {
            assert!(cases.iter().any(|case| case.profile.name == profile.name), "{}", profile.name);
        }
        for threads in [1, 2, 4] {
            assert!(cases.iter().any(|case| case.threads == threads));
        }
        assert!(cases.iter().any(|case| case.num == 10_000_000 && case.profile.name == "tuned"));
    }

    #[test]
    fn growth_is_told_with_default_options_of_sizes_that_ascend() {
        for cases in [growth(), large_growth()] {
            assert!(cases.is_sorted_by(|a, b| a.num < b.num) && cases.len() > 1);
            assert!(
                cases
                    .iter()
                    .all(|case| case.profile.write_buffer_size == profile("default").write_buffer_size)
            );
        }
    }

    #[test]
    fn a_record_begins_with_three_rounds_of_the_default() {
        let first = &record()[0];
        assert_eq!((&*first.profile.name, first.num, first.rounds), ("default", 1_000_000, 3));
    }
}
