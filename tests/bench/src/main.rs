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
mod instructions;
mod keys;
mod leveldb;
#[path = "../../support/leveldb_c.rs"]
mod leveldb_c;
mod measure;
mod plan;
mod plot;
mod report;
mod suite;
mod workload;

use args::Args;
use clap::Parser;
use plan::EnginePath;
use report::Comparison;
use std::path::Path;
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

/// Runs everything that was asked for, and prints a table for each.
fn compare(args: &Args) -> Result<(), String> {
    let engines = args.engines()?;
    let directory = args.directory()?;
    if args.instructions {
        let (table, figures) = instructions::count(&engines, &directory)?;
        print!("{table}");
        return match &args.json {
            Some(path) => write(path, &(format!("{figures:#}") + "\n")),
            None => Ok(()),
        };
    }
    let (mut comparisons, mut points, mut tables) = (Vec::new(), Vec::new(), String::new());
    for run in args.runs()? {
        let wanted = |engine: &&EnginePath| run.engines.is_empty() || run.engines.contains(&engine.name);
        let engines: Vec<EnginePath> = engines.iter().filter(wanted).cloned().collect();
        let plan = args.plan(&run)?;
        let rounds = child::spawn_rounds(&plan, &engines, run.rounds, &directory)?;
        let comparison = report::Comparison::new(plan, &engines, rounds);
        let table = comparison.table();
        print!("{table}");
        tables += &table;
        if run.growth {
            points.push(comparison)
        } else {
            comparisons.push(comparison)
        }
        // After each, so that a run that is broken off leaves what it has.
        let all: Vec<&Comparison> = comparisons.iter().chain(&points).collect();
        if let Some(path) = &args.json {
            write(path, &(format!("{:#}", report::json(&all)) + "\n"))?;
        }
        if let Some(directory) = &args.out {
            std::fs::create_dir_all(directory)
                .map_err(|error| format!("{}: {error}", directory.display()))?;
            write(&directory.join("tables.txt"), &tables)?;
            write(&directory.join("figures.json"), &(format!("{:#}", report::json(&all)) + "\n"))?;
            pictures(directory, &comparisons, &points)?;
        }
    }
    let disagreements: Vec<String> = comparisons.iter().flat_map(|each| each.disagreements()).collect();
    if disagreements.is_empty() { Ok(()) } else { Err(disagreements.join("\n")) }
}

fn pictures(directory: &Path, comparisons: &[Comparison], points: &[Comparison]) -> Result<(), String> {
    write(&directory.join("ratios.md"), &report::ratio_table(&comparisons.iter().collect::<Vec<_>>()))?;
    if let Some(first) = comparisons.first() {
        let title = format!("times faster than the best peer ({}, {} keys)", first.title(), first.keys());
        plot::ratios(&directory.join("ratios.svg"), &title, &first.ratios())
            .map_err(|error| error.to_string())?;
    }
    let points: Vec<&Comparison> = points.iter().collect();
    plot::growth(&directory.join("growth.svg"), &points).map_err(|error| error.to_string())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
