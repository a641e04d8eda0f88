//! A failure of every single file operation, temporary and permanent.
//!
//! Each workload runs many times, each time with another of its file operations failing: only this operation,
//! or all from it on; with EIO or ENOSPC; not carried out, or carried out anyway; writes also carried out in
//! part. In every case nothing hangs or panics, and acknowledged writes stay readable, also after crashes.
//! When the disk works again, the database accepts writes again, without any action or after `Db::resume`;
//! only after a failed sync of a WAL must it be reopened. A workload that fails is shortened, and printed as
//! a test.
//!
//! Of the workloads with column families, each operation fails in two of the eight modes only, or with
//! `TERRACE_FAULTS=all` in all of them.
//!
//! `TERRACE_CASE="name nth mode"`, as printed by a failure, runs one case alone. With `TERRACE_FIRST_SEED=n`,
//! the twelve random workloads from n on replace the twelve fixed ones.

mod case;
mod workloads;

use crate::crash::mutant::Mutant;
use crate::crash::shrink;
use crate::crash::states::Violation;
use crate::crash::workload::Operation::*;
use crate::crash::workload::{Setup, Workload};
use crate::support::random::{announce, count, first_seed};
use case::{Case, Mode, Outcome};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use workloads::{Named, seeded, seeded_with_families, twelve, with_families};

/// The time after which a case counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// The same while a failure is shortened.
const PATIENCE_IN_SHRINKING: Duration = Duration::from_secs(10);

/// A case that breaks a promise.
#[derive(Debug)]
struct Broken {
    case: Case,
    name: String,
    what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TERRACE_CASE=\"{}\": {}", self.name, self.what)
    }
}

/// Runs a case on a thread of its own, so that a hang is detected.
fn run_watched(workload: &Arc<Named>, case: Case, patience: Duration) -> Result<Outcome, String> {
    let (sender, receiver) = channel();
    let workload = workload.clone();
    let thread = std::thread::spawn(move || {
        let outcome = case::run(&workload, case);
        let _ = sender.send(outcome);
    });
    match receiver.recv_timeout(patience) {
        Ok(outcome) => {
            thread.join().map_err(|_| "it panics".to_owned())?;
            outcome
        }
        Err(RecvTimeoutError::Timeout) => Err(format!("it hangs: not done after {patience:?}")),
        Err(RecvTimeoutError::Disconnected) => Err("it panics".to_owned()),
    }
}

/// Which cases of a workload run, and how long each may take.
struct Plan<'a> {
    modes: &'a dyn Fn(Mode) -> bool,
    only: Option<String>,
    /// In each mode, one of so many operations fails, in the next mode the one after it.
    stride: u64,
    patience: Duration,
}

impl Plan<'_> {
    /// All cases, unless the environment selects some.
    fn new() -> Plan<'static> {
        Plan { modes: &|_| true, only: std::env::var("TERRACE_CASE").ok(), stride: 1, patience: PATIENCE }
    }

    /// Cases in which each operation fails in two of the eight modes, or all with `TERRACE_FAULTS=all`.
    fn quarter() -> Plan<'static> {
        let is_whole =
            std::env::var_os("TERRACE_FAULTS").is_some() || std::env::var_os("TERRACE_CASE").is_some();
        Plan { stride: if is_whole { 1 } else { 4 }, ..Plan::new() }
    }
}

/// The number of cases with each outcome, or the first case that fails.
fn run_all(workload: &Arc<Named>, plan: &Plan<'_>) -> Result<BTreeMap<Outcome, u64>, Broken> {
    let broken = |case: Case, what: String| Broken {
        case,
        name: format!("{} {} {:?}", workload.name, case.nth, case.mode),
        what,
    };
    let none = Case { nth: 0, mode: Mode::Once(libc::EIO) };
    let operations = case::count_operations(workload).map_err(|what| broken(none, what))?;
    let mut outcomes = BTreeMap::new();
    let modes = (0..).zip(Mode::all()).filter(|(_, mode)| (plan.modes)(*mode));
    for (index, mode) in modes {
        // Background threads have no fixed order, so a run may have a few more operations than the one that
        // was counted.
        for nth in (1 + index % plan.stride..=operations + 8).step_by(plan.stride as usize) {
            let case = Case { nth, mode };
            let name = format!("{} {nth} {mode:?}", workload.name);
            if plan.only.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            let outcome = run_watched(workload, case, plan.patience).map_err(|what| broken(case, what))?;
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    Ok(outcomes)
}

/// The shortest workload that was found in which a failure of the same mode breaks a promise, and the
/// violation.
fn shrink_case(workload: &Named, broken: &Broken) -> (Named, Violation) {
    let name = &workload.name;
    let violation = Violation { what: broken.to_string(), crash: String::new() };
    let check = |workload: &Workload| {
        let named = Arc::new(Named { name: name.clone(), workload: workload.clone() });
        let modes = |mode| mode == broken.case.mode;
        let plan = Plan { modes: &modes, only: None, stride: 1, patience: PATIENCE_IN_SHRINKING };
        let still = run_all(&named, &plan).map(|_| ());
        still.map_err(|still| Violation { what: still.to_string(), crash: String::new() })
    };
    let (workload, violation) = shrink::shrink(workload.workload.clone(), violation, &check);
    (Named { name: name.clone(), workload }, violation)
}

/// The message of a failing test.
fn report(workload: &Named, violation: &Violation) -> String {
    format!(
        "{violation}\nthe shortest workload found, as a test to be named after its symptom:\n\n{workload}"
    )
}

fn check(workloads: impl Iterator<Item = Named>) {
    check_with(&Plan::new(), workloads);
}

fn check_with(plan: &Plan<'_>, workloads: impl Iterator<Item = Named>) {
    let started = Instant::now();
    let mut total: BTreeMap<Outcome, u64> = BTreeMap::new();
    for workload in workloads {
        let workload = Arc::new(workload);
        announce(&format!("fault: {}, after {:.1} s", workload.name, started.elapsed().as_secs_f64()));
        match run_all(&workload, plan) {
            Ok(outcomes) => {
                outcomes.into_iter().for_each(|(outcome, n)| *total.entry(outcome).or_default() += n)
            }
            Err(broken) => {
                announce(&format!("{broken}\nis being made short"));
                let (shorter, violation) = shrink_case(&workload, &broken);
                panic!("{broken}\n\n{}", report(&shorter, &violation))
            }
        }
    }
    announce(&format!("fault: {total:?}, {:.1} s", started.elapsed().as_secs_f64()));
    total.remove(&Outcome::NothingFailed);
    count('D', total.values().sum(), "operations that failed");
}

fn workloads() -> Vec<Named> {
    first_seed().map_or_else(twelve, |first| (first..first + 12).map(seeded).collect())
}

// Two tests, so that they run on two cores.
#[test]
fn an_error_at_any_operation_of_the_first_six_workloads_loses_nothing() {
    check(workloads().into_iter().take(6));
}

#[test]
fn an_error_at_any_operation_of_the_last_six_workloads_loses_nothing() {
    check(workloads().into_iter().skip(6));
}

fn workloads_with_families() -> Vec<Named> {
    let random = |first| (0..4).map(|index| seeded_with_families(first + index * 50)).collect();
    first_seed().map_or_else(with_families, random)
}

#[test]
fn an_error_at_any_operation_of_the_first_workloads_with_families_loses_nothing() {
    check_with(&Plan::quarter(), workloads_with_families().into_iter().step_by(2));
}

#[test]
fn an_error_at_any_operation_of_the_other_workloads_with_families_loses_nothing() {
    check_with(&Plan::quarter(), workloads_with_families().into_iter().skip(1).step_by(2));
}

/// Closing a WAL cut off the mark of its failed sync (when a failed file was only closed by its drop).
#[test]
fn a_log_that_could_not_be_synced_is_not_gone_on_with_by_the_next_opening() {
    let workload = Workload {
        setup: Setup { reuse_logs: true, level0_trigger: 2, compressed: true, ..Setup::default() },
        before: vec![],
        operations: vec![
            Batch { changes: vec![(7, Some(271)), (4, Some(1029)), (0, None)], sync: false },
            Put { key: 7, length: 15, sync: true },
            Reopen,
        ],
    };
    check([Named { name: "unsynced-and-reused".to_owned(), workload }].into_iter());
}

/// Runs the mutant that appends to a WAL again after a failed append.
fn run_mutant() -> (Arc<Named>, Result<BTreeMap<Outcome, u64>, Broken>) {
    let mut workload = workloads::synced_and_not();
    workload.workload.setup.mutant = Mutant::AppendAfterFailedAppend;
    let workload = Arc::new(workload);
    let modes = |mode| matches!(mode, Mode::ShortWrite(libc::ENOSPC));
    let outcome = run_all(&workload, &Plan { modes: &modes, only: None, stride: 1, patience: PATIENCE });
    (workload, outcome)
}

/// The check that catches that mutant; `None` if none does. The other mutants are caught in `crash`.
pub fn catch_mutant() -> Option<String> {
    let broken = run_mutant().1.err()?;
    let is_loss = broken.what.contains("I1") || broken.what.contains("I7");
    is_loss.then(|| broken.to_string())
}

#[test]
fn a_workload_that_fails_is_made_short_and_printed_as_a_test() {
    let (workload, outcome) = run_mutant();
    let broken = outcome.expect_err("a mutant");
    let (shorter, violation) = shrink_case(&workload, &broken);
    let report = report(&shorter, &violation);
    assert!(shorter.workload.operations.len() <= 3, "{report}");
    assert!(report.contains("#[test]") && report.contains("Mutant::AppendAfterFailedAppend"), "{report}");
}
