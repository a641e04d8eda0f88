//! Terrace beside its peers: the workloads of DESIGN.md section 6, every engine through the same program in the same run.
//!
//! The parent spawns a child process for each round of each engine, in turns, so that memory, CPU time and bytes written
//! belong to one engine; it shows the medians of the rounds. How the parts hang together:
//! `args` -> `plan` (what a child has to do) -> `child` -> `workload` over an `engine` (`leveldb`, `fjall`; a program of its
//! own for goleveldb) with `keys` and `measure` -> JSON lines -> `report`.

mod args;
mod child;
mod engine;
mod fjall;
mod keys;
mod leveldb;
#[path = "../../support/leveldb_c.rs"]
mod leveldb_c;
mod measure;
mod plan;
mod report;
mod workload;

use args::Args;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.child {
        Some(plan) => child::run(plan),
        None => compare(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("terrace-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every combination that was asked for, and prints a table for each.
fn compare(args: &Args) -> Result<(), String> {
    let engines = args.engines()?;
    let directory = args.directory()?;
    let mut comparisons = Vec::new();
    for profile in args.profiles()? {
        for &threads in &args.threads {
            let plan = args.plan(profile.clone(), threads)?;
            let rounds = child::spawn_rounds(&plan, &engines, args.rounds, &directory)?;
            let comparison = report::Comparison::new(plan, &engines, rounds);
            print!("{}", comparison.table());
            comparisons.push(comparison);
        }
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report::json(&comparisons)).expect("numbers and strings");
        std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let disagreements: Vec<String> = comparisons.iter().flat_map(|each| each.disagreements()).collect();
    if disagreements.is_empty() { Ok(()) } else { Err(disagreements.join("\n")) }
}
