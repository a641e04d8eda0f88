//! A crash at every moment, with all states that may survive it.
//!
//! A workload runs once, on a disk in memory that records every change. Then, for every moment of the
//! workload, the test builds the disks that a crash might leave, opens them, and compares them with the
//! writes acknowledged by then (`oracle`). `states` says which disks are built and what is checked. A failure
//! is shortened and printed as a test. `I1` to `I7` in messages are the invariants of doc/durability.md.
//!
//! `TERRACE_SEED=n` runs the random workload n alone; `TERRACE_WORKLOADS=n` runs n of them.

mod crowd;
mod foreign;
mod found;
pub mod mutant;
mod mutants;
pub mod oracle;
pub mod run;
pub mod shrink;
pub mod states;
pub mod workload;

use crate::support::random::{announce, count, first_seed, number_from_env, seeds};
use states::{Checker, Effort, Tally, Violation};
use std::time::Instant;
use workload::{Setup, Workload};

/// Number of random workloads.
const WORKLOADS: u64 = 80;

/// Number of workloads that switch a directory and upgrade its tables.
const UPGRADES: u64 = 24;

/// Number of operations of a random workload.
const OPERATIONS: usize = 24;

/// How thoroughly workloads are checked.
pub const EFFORT: Effort = Effort { subsets: 8, pairs: 6, one_recovered_in: 40 };

/// Checks every crash of a workload: from the first open on if `from_open` is set, else from its start.
fn check_crashes(workload: &Workload, seed: u64, from_open: bool) -> Result<Tally, Violation> {
    let run = run::run(workload).map_err(|error| Violation {
        what: format!("an operation fails although nothing else does: {error}"),
        crash: String::new(),
    })?;
    let mut checker = Checker::new(&workload.setup, &run.history, EFFORT, seed);
    checker.check_all(&run.disk, if from_open { run.opened } else { 0 })?;
    Ok(checker.tally)
}

/// As above. A failure is shortened and ends the test; `name` says how to repeat it.
fn check_or_shrink(name: &str, workload: Workload, seed: u64, from_open: bool) -> Tally {
    check_crashes(&workload, seed, from_open).unwrap_or_else(|violation| {
        announce(&format!("{name} fails, and is being shrunk: {violation}"));
        let check = |workload: &Workload| check_crashes(workload, seed, false).map(|_| ());
        let (workload, violation) = shrink::shrink(workload, violation, &check);
        panic!("{name}: {}", shrink::report(&workload, &violation, "check(&workload);"));
    })
}

/// For tests made from failures: checks every crash of the workload, several times.
#[allow(dead_code)] // called by tests that are printed for failures
pub fn check(workload: &Workload) {
    for seed in 0..4 {
        if let Err(violation) = check_crashes(workload, seed, false) {
            panic!("{violation}");
        }
    }
}

fn check_sequences(name: &str, before: Vec<workload::Operation>, setups: u64) -> Tally {
    let started = Instant::now();
    let mut tally = Tally::default();
    for (number, operations) in workload::sequences().into_iter().enumerate() {
        let setup = Setup::numbered(number as u64 * 7 + setups);
        let from_open = number > 10; // creation and the first open are the same for all
        let workload = Workload { setup, before: before.clone(), operations };
        tally.add(check_or_shrink(&format!("{name} {number}"), workload, number as u64, from_open));
    }
    announce_tally(name, &tally, started);
    tally
}

fn announce_tally(name: &str, tally: &Tally, started: Instant) {
    announce(&format!("crash: {name}: {tally}, {:.1} s", started.elapsed().as_secs_f64()));
    count('C', tally.states(), "states after a crash");
    count('C', tally.opened, "of them on disks that differ");
}

#[test]
fn every_sequence_of_two_operations_on_a_new_database_survives_every_crash() {
    let tally = check_sequences("sequence on a new database", Vec::new(), 0);
    assert!(tally.states() >= 30_000 && tally.opened >= 2_500, "{tally}");
}

#[test]
fn every_sequence_of_two_operations_on_an_old_database_survives_every_crash() {
    let tally = check_sequences("sequence on an old database", workload::something(), 3);
    assert!(tally.states() >= 30_000 && tally.opened >= 3_500, "{tally}");
}

fn check_random(name: &str, seeds: impl Iterator<Item = u64>) {
    let started = Instant::now();
    let mut tally = Tally::default();
    for seed in seeds {
        let workload = workload::random(seed, OPERATIONS);
        tally.add(check_or_shrink(&format!("TERRACE_SEED={seed}"), workload, seed, false));
    }
    announce_tally(name, &tally, started);
    let is_all = ["TERRACE_SEED", "TERRACE_WORKLOADS"].iter().all(|name| number_from_env(name).is_none());
    assert!(!is_all || first_seed().is_some() || tally.opened >= 16_000, "{tally}");
}

#[test]
fn the_switch_and_the_upgrade_of_tables_survive_every_crash() {
    let started = Instant::now();
    let mut tally = Tally::default();
    for seed in 0..UPGRADES {
        let workload = workload::switched(seed, OPERATIONS / 3);
        tally.add(check_or_shrink(&format!("switched {seed}"), workload, seed, false));
    }
    announce_tally("switch and upgrade", &tally, started);
    assert!(tally.opened >= 1_000, "{tally}");
}

fn random_seeds() -> std::ops::Range<u64> {
    seeds(number_from_env("TERRACE_WORKLOADS").unwrap_or(WORKLOADS))
}

// Two tests, so that they run on two cores.
#[test]
fn random_workloads_with_odd_seeds_survive_every_crash() {
    check_random("random workloads, odd seeds", random_seeds().filter(|seed| seed % 2 == 1));
}

#[test]
fn random_workloads_with_even_seeds_survive_every_crash() {
    check_random("random workloads, even seeds", random_seeds().filter(|seed| seed % 2 == 0));
}
