//! A test of the harness: each step of the order of writes, syncs, renames and unlinks is left out in turn,
//! and the random workloads must detect it. Only the promise of synced writes is checked, not the additional
//! promise of a flush.

use super::mutant::Mutant;
use super::states::{Checker, Tally, Violation};
use super::workload::{Operation, Workload};
use super::{EFFORT, OPERATIONS, run, workload};
use crate::fault;
use crate::support::random::announce;

/// The number of random workloads for a mutant. Most mutants are caught by the first one.
const WORKLOADS: u64 = 40;

fn check(mutant: Mutant, seed: u64) -> (Tally, Result<(), Violation>) {
    check_workload(mutant, workload::random(seed, OPERATIONS), seed)
}

fn check_workload(mutant: Mutant, mut workload: Workload, seed: u64) -> (Tally, Result<(), Violation>) {
    workload.setup.mutant = mutant;
    workload.setup.reuse_logs |= mutant == Mutant::ReuseOfTornLog;
    workload.setup.families |=
        matches!(mutant, Mutant::SplitGroup | Mutant::SwitchAfterRecord | Mutant::NoSyncOfLogsBeforeFlush);
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

/// The sixteen mutants: thirteen in the order of the steps that they leave out, and those of column families.
const MUTANTS: [Mutant; 16] = [
    Mutant::NoSyncOfOlderLogs,
    Mutant::NoSyncOfLogNames,
    Mutant::NoSyncOfLogs,
    Mutant::NoSyncOfTables,
    Mutant::NoSyncOfTableNames,
    Mutant::NoSyncOfManifests,
    Mutant::NoSyncOfManifestNames,
    Mutant::NoSyncOfTemporaryFiles,
    Mutant::NoSyncAfterRename,
    Mutant::UnlinkBeforeManifestSync,
    Mutant::AppendAfterFailedAppend,
    Mutant::ReuseOfTornLog,
    Mutant::AcknowledgedBeforeSync,
    Mutant::SplitGroup,
    Mutant::SwitchAfterRecord,
    Mutant::NoSyncOfLogsBeforeFlush,
];

/// The check that catches a mutant; `None` if none does.
fn catch(mutant: Mutant) -> Option<String> {
    if mutant == Mutant::AppendAfterFailedAppend {
        return fault::catch_mutant(); // this mutant shows only after a failure
    }
    let mut tally = Tally::default();
    (1..=WORKLOADS).find_map(|seed| {
        let (states, result) = check(mutant, seed);
        tally.add(states);
        let what: String = result.err()?.what.chars().take(100).collect();
        Some(format!("seed {seed}, after {tally}: {what}"))
    })
}

#[test]
fn every_step_that_is_left_out_or_out_of_order_is_noticed() {
    let (mut caught, mut survivors) = (0, Vec::new());
    for mutant in MUTANTS {
        match catch(mutant) {
            Some(how) => {
                caught += 1;
                announce(&format!("mutant {caught}: {mutant:?} is caught by {how}"));
            }
            None => survivors.push(mutant),
        }
    }
    announce(&format!("mutants: {caught} of {} are caught", MUTANTS.len()));
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}

/// The steps of an upgrade: table, name of the table, MANIFEST, removal. Nothing but upgrades happens.
#[test]
fn every_step_of_an_upgrade_that_is_left_out_is_noticed() {
    for mutant in [
        Mutant::None,
        Mutant::NoSyncOfTables,
        Mutant::NoSyncOfTableNames,
        Mutant::NoSyncOfManifests,
        Mutant::UnlinkBeforeManifestSync,
    ] {
        let workload = |seed| {
            let switched = workload::switched(seed, 0);
            Workload { operations: vec![Operation::Upgrade, Operation::Upgrade], ..switched }
        };
        let is_caught = (1..=8).any(|seed| check_workload(mutant, workload(seed), seed).1.is_err());
        assert_eq!(is_caught, mutant != Mutant::None, "{mutant:?}");
    }
}

#[test]
fn the_engine_that_is_watched_like_a_mutant_is_not_caught() {
    for seed in 1..=3 {
        check(Mutant::Watched, seed).1.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
}
