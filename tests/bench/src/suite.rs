//! Runs that belong together: what `make bench` measures when it is asked for a whole.

use crate::plan::Profile;

/// Rows of the growth plots: the cost of one put, get, seek, of compacting everything (by key), and of opening again.
pub const GROWTH_ROWS: [&str; 5] = ["fillrandom", "readrandom", "seekrandom", "compact", "reopen"];

/// One table: a profile, a number of threads and of keys.
#[derive(Clone, Debug)]
pub struct Run {
    /// Options and sizes.
    pub profile: Profile,
    /// Threads that share the operations of a row.
    pub threads: u64,
    /// Keys, before the profile divides them.
    pub num: u64,
    /// Reads of a reading row; none: as many as keys.
    pub reads: Option<u64>,
    /// Rounds.
    pub rounds: usize,
    /// Rows; none: all.
    pub rows: Vec<String>,
    /// Engines by name; none: all that are there.
    pub engines: Vec<String>,
    /// Whether it is a point of the growth plots, and no table of its own.
    pub growth: bool,
}

/// The runs of a suite: `record` (what the README shows, some twenty minutes on two cores), `full` (what the project measures itself
/// by: more rounds, and 10M keys; some hours), or `growth` alone.
pub fn runs(name: &str, rounds: usize) -> Result<Vec<Run>, String> {
    match name {
        "record" => Ok([tables(rounds, 1), growth(&[10_000, 100_000, 1_000_000])].concat()),
        "full" => {
            let large = ["default", "tuned"].map(|name| Run {
                num: 10_000_000,
                reads: Some(1_000_000),
                rounds: 1,
                ..run(name, 1)
            });
            let growth = growth(&[100_000, 1_000_000, 10_000_000]);
            Ok([tables(rounds, rounds), large.into(), growth].concat())
        }
        "growth" => Ok(growth(&[100_000, 1_000_000, 10_000_000])),
        _ => Err(format!("no suite {name}; there are record, full, growth")),
    }
}

fn run(profile: &str, threads: u64) -> Run {
    let profile = Profile::all().into_iter().find(|known| known.name == profile).expect("a profile of ours");
    let (rows, engines) = (Vec::new(), Vec::new());
    Run { profile, threads, num: 1_000_000, reads: None, rounds: 1, rows, engines, growth: false }
}

/// The default profile, and beside it each that differs from it in one thing.
fn tables(rounds: usize, rounds_of_others: usize) -> Vec<Run> {
    let mut runs = vec![Run { rounds, ..run("default", 1) }];
    for threads in [2, 4] {
        runs.push(Run { rounds: rounds_of_others, ..run("default", threads) });
    }
    for profile in ["tuned", "uncompressed", "value4k", "value256k"] {
        runs.push(Run { rounds: rounds_of_others, ..run(profile, 1) });
    }
    runs
}

fn growth(sizes: &[u64]) -> Vec<Run> {
    let point = |&num: &u64| Run {
        num,
        reads: Some(num.min(1_000_000)),
        rows: GROWTH_ROWS.map(str::to_owned).into(),
        engines: ["terrace", "leveldb", "leveldb-release"].map(str::to_owned).into(),
        growth: true,
        ..run("default", 1)
    };
    sizes.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_its_tables_and_its_growth() {
        for name in ["record", "full"] {
            let runs = runs(name, 3).unwrap();
            assert_eq!(runs[0].rounds, 3);
            assert_eq!(runs.iter().filter(|run| run.growth).count(), 3);
            let profiles: std::collections::HashSet<_> = runs.iter().map(|run| &*run.profile.name).collect();
            assert_eq!(profiles.len(), Profile::all().len(), "{profiles:?}");
        }
        assert!(runs("no-such", 1).unwrap_err().contains("record"));
    }
}
