//! Random histories on Terrace, on Google's LevelDB and on an ordered map in memory: every result is the
//! same.
//!
//! A history runs on two directories, one opened by each library. When it reopens them, the libraries may
//! exchange the directories (and change options), so that each library reads what the other one wrote. A
//! failing history is shortened before it is printed.
//!
//! Each of the five families of keys has forty short and ten long histories. `TERRACE_SEED=n` runs history n
//! alone; `TERRACE_HISTORIES=n` runs n of each length.

mod history;
mod model;
mod run;
mod shrink;

use crate::support::random::{announce, count, number_from_env, seeds};
use history::{Family, History};
use std::time::Instant;

/// Number of operations of a long history.
const OPERATIONS: usize = 5_000;

/// Number of long histories of one family.
const HISTORIES: u64 = 10;

/// Number of operations of a short history.
const SHORT_OPERATIONS: usize = 2_000;

/// Number of short histories of one family; there are five families.
const SHORT_HISTORIES: u64 = 40;

fn check_histories(family: Family, histories: u64, operations: usize) {
    let started = Instant::now();
    let seeds = seeds(number_from_env("TERRACE_HISTORIES").unwrap_or(histories));
    let name = format!("{family:?}, seeds {} to {}, {operations} operations", seeds.start, seeds.end - 1);
    let mut done = 0;
    for seed in seeds {
        let history = History::generate(family, seed, operations);
        done += 1;
        if let Err(failure) = run::run(&history) {
            let (history, failure) = shrink::shrink(history, failure);
            panic!(
                "family {family:?}, TERRACE_SEED={seed}, {operations} operations: {failure}\n\
                 the shortest history found:\n{history}"
            );
        }
    }
    announce(&format!("differential: {name}: {:.1} s", started.elapsed().as_secs_f64()));
    count('B', done, &format!("histories of {operations} operations"));
}

fn check(family: Family) {
    check_histories(family, SHORT_HISTORIES, SHORT_OPERATIONS);
    check_histories(family, HISTORIES, OPERATIONS);
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
