//! An error at every single operation on files, once and for good.
//!
//! Each workload runs again and again, each time with another of its operations on the file system failing: that one alone,
//! or everything from there on; with EIO or ENOSPC; undone, or carried out all the same; writes cut short. Whatever happens,
//! nothing hangs or panics, what was acknowledged stays readable, through crashes too, and when the disk is well again the
//! database goes on, by itself or by `Db::resume`; only a log that could not be synced asks for a reopening.
//!
//! `TERRACE_CASE="name nth mode"`, as a failure prints it, runs one case alone.

mod case;
mod workloads;

use crate::crash::mutant::Mutant;
use crate::support::random::announce;
use case::{Case, Mode, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use workloads::{Named, twelve};

/// How long a case may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a case on a thread of its own, so that a hang is noticed.
fn run_watched(workload: &Arc<Named>, case: Case) -> Result<Outcome, String> {
    let (sender, receiver) = channel();
    let workload = workload.clone();
    let thread = std::thread::spawn(move || {
        let outcome = case::run(&workload, case);
        let _ = sender.send(outcome);
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(outcome) => {
            thread.join().map_err(|_| "it panics".to_owned())?;
            outcome
        }
        Err(RecvTimeoutError::Timeout) => Err(format!("it hangs: not done after {PATIENCE:?}")),
        Err(RecvTimeoutError::Disconnected) => Err("it panics".to_owned()),
    }
}

/// All cases of a workload in the modes that `wanted` picks: how many of each outcome, or the first that fails.
fn run_all(workload: &Arc<Named>, wanted: &dyn Fn(Mode) -> bool) -> Result<BTreeMap<Outcome, u64>, String> {
    let only = std::env::var("TERRACE_CASE").ok();
    let operations = case::count_operations(workload)?;
    let mut outcomes = BTreeMap::new();
    for mode in Mode::all().into_iter().filter(|mode| wanted(*mode)) {
        // Background threads keep no fixed order: a few more, for runs that are longer than the one that was counted.
        for nth in 1..=operations + 8 {
            let case = Case { nth, mode };
            let name = format!("{} {nth} {mode:?}", workload.name);
            if only.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            match run_watched(workload, case) {
                Ok(outcome) => *outcomes.entry(outcome).or_default() += 1,
                Err(what) => return Err(format!("TERRACE_CASE=\"{name}\": {what}")),
            }
        }
    }
    Ok(outcomes)
}

fn check(workloads: impl Iterator<Item = Named>) {
    let started = Instant::now();
    let mut total: BTreeMap<Outcome, u64> = BTreeMap::new();
    for workload in workloads {
        let workload = Arc::new(workload);
        match run_all(&workload, &|_| true) {
            Ok(outcomes) => {
                outcomes.into_iter().for_each(|(outcome, n)| *total.entry(outcome).or_default() += n)
            }
            Err(what) => {
                panic!("{what}\nthe workload, as a test to be named after its symptom:\n\n{workload}")
            }
        }
    }
    announce(&format!("fault: {total:?}, {:.1} s", started.elapsed().as_secs_f64()));
}

// Two tests, so that two cores share them.
#[test]
fn an_error_at_any_operation_of_the_first_six_workloads_loses_nothing() {
    check(twelve().into_iter().take(6));
}

#[test]
fn an_error_at_any_operation_of_the_last_six_workloads_loses_nothing() {
    check(twelve().into_iter().skip(6));
}

#[test]
fn an_append_to_a_log_that_could_not_be_appended_to_is_noticed() {
    let mut workload = workloads::synced_and_not();
    workload.workload.setup.mutant = Mutant::AppendAfterFailedAppend;
    let what = run_all(&Arc::new(workload), &|mode| matches!(mode, Mode::ShortWrite(libc::ENOSPC)));
    let what = what.expect_err("AppendAfterFailedAppend is not caught");
    assert!(what.contains("I1") || what.contains("I7"), "{what}");
    announce(&format!("fault: AppendAfterFailedAppend is caught by {what}"));
}
