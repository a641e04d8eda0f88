//! The harness is tested too: each step of the order of writes, syncs, renames and unlinks is left out in turn, and the
//! random workloads must notice. Only synced writes are held against a mutant, not what a flush promises beyond them.

use super::mutant::Mutant;
use super::states::{Checker, Tally, Violation};
use super::{EFFORT, OPERATIONS, run, workload};
use crate::support::random::announce;

/// Random workloads that a mutant may survive. Most don't survive the first.
const WORKLOADS: u64 = 40;

fn check(mutant: Mutant, seed: u64) -> (Tally, Result<(), Violation>) {
    let mut workload = workload::random(seed, OPERATIONS);
    workload.setup.mutant = mutant;
    workload.setup.reuse_logs |= mutant == Mutant::ReuseOfTornLog;
    let mut run = match run::run(&workload) {
        Ok(run) => run,
        Err(error) => {
            let what = format!("an operation fails: {error}");
            return (Tally::default(), Err(Violation { what, crash: String::new() }));
        }
    };
    run.history.forget_barriers();
    let mut checker = Checker::new(&workload.setup, &run.history, EFFORT, seed);
    let result = checker.check_all(&run.disk, 0);
    (checker.tally, result)
}

fn assert_caught(mutants: &[Mutant]) {
    let mut survivors = Vec::new();
    for &mutant in mutants {
        let mut tally = Tally::default();
        let caught = (1..=WORKLOADS).find_map(|seed| {
            let (states, result) = check(mutant, seed);
            tally.add(states);
            result.err().map(|violation| (seed, violation.what))
        });
        match caught {
            Some((seed, what)) => {
                let what: String = what.chars().take(100).collect();
                announce(&format!("crash: {mutant:?} is caught by seed {seed}, after {tally}: {what}"));
            }
            None => survivors.push(mutant),
        }
    }
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}

#[test]
fn every_sync_that_is_left_out_is_missed() {
    assert_caught(&[
        Mutant::NoSyncOfOlderLogs,
        Mutant::NoSyncOfLogNames,
        Mutant::NoSyncOfLogs,
        Mutant::NoSyncOfTables,
        Mutant::NoSyncOfTableNames,
        Mutant::NoSyncOfManifests,
        Mutant::NoSyncOfManifestNames,
        Mutant::NoSyncOfTemporaryFiles,
        Mutant::NoSyncAfterRename,
    ]);
}

#[test]
fn every_step_out_of_order_is_noticed() {
    // The one that is left, an append after a failed append, needs a failure: `fault` catches it.
    assert_caught(&[
        Mutant::UnlinkBeforeManifestSync,
        Mutant::ReuseOfTornLog,
        Mutant::AcknowledgedBeforeSync,
    ]);
}

#[test]
fn the_engine_that_is_watched_like_a_mutant_is_not_caught() {
    for seed in 1..=3 {
        check(Mutant::Watched, seed).1.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}
