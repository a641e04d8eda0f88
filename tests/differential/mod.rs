//! Random histories run by Terrace, by Google's LevelDB and by an ordered map in memory: every answer is the same.
//!
//! Two directories live through one history, one held by each library; at a reopening they change hands (and options), so
//! that each library reads what the other wrote. A failing history is shrunk before it is shown.
//!
//! `TERRACE_SEED=n` runs history n alone; `TERRACE_HISTORIES=n` runs n histories a family instead of ten.

mod history;
mod model;
mod run;
mod shrink;

use crate::support::random::{announce, number_from_env};
use history::{Family, History};

/// Operations of one history.
const OPERATIONS: usize = 5_000;

/// Histories of one family.
const HISTORIES: u64 = 10;

fn check(family: Family) {
    let count = number_from_env("TERRACE_HISTORIES").unwrap_or(HISTORIES);
    let seeds = match number_from_env("TERRACE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..count + 1,
    };
    announce(&format!("differential: {family:?}, seeds {} to {}", seeds.start, seeds.end - 1));
    for seed in seeds {
        let history = History::generate(family, seed, OPERATIONS);
        if let Err(failure) = run::run(&history) {
            let (history, failure) = shrink::shrink(history, failure);
            panic!(
                "family {family:?}, TERRACE_SEED={seed}: {failure}\nthe shortest history found:\n{history}"
            );
        }
    }
}

#[test]
fn few_keys_rewritten_often_read_the_same() {
    check(Family::FewKeys);
}

#[test]
fn many_keys_read_the_same() {
    check(Family::ManyKeys);
}

#[test]
fn keys_of_odd_bytes_read_the_same() {
    check(Family::OddBytes);
}

#[test]
fn large_values_read_the_same() {
    check(Family::LargeValues);
}

#[test]
fn keys_in_an_order_of_the_host_read_the_same() {
    check(Family::ReverseOrder);
}

#[test]
fn a_difference_is_found_and_its_history_shrunk() {
    let mut history = History::generate(Family::FewKeys, 1, 400);
    history.lie_about_get = Some(history.first_key_written());
    let failure = run::run(&history).expect_err("a run that is lied to");
    let (shrunk, failure) = shrink::shrink(history, failure);
    assert!(failure.what.contains("get"), "{failure}");
    assert!(shrunk.operations.len() <= 3, "a put and a get would have been enough:\n{shrunk}");
}
