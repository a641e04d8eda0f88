//! Terrace beside its peers: the rows of tests/bench/README.md, every engine through the same program in the
//! same run.
//!
//! The parent starts a child process for each round of each engine, in turns, so that memory, CPU time and
//! bytes written belong to one engine. It prints the medians of the rounds. The modules, in the order of the
//! data flow: `args` -> `case` (the runs of a command line) -> `plan` (the task of a child) -> `child` ->
//! `workload` over an `engine` (`leveldb`, `rocksdb`, `fjall`; goleveldb has a program of its own) with
//! `keys` and `measure` -> JSON -> `report` (text), `summary` (Markdown) and `plot` (SVG). `instructions` is
//! a mode of its own.

mod args;
mod case;
mod child;
mod engine;
mod fjall;
mod instructions;
mod keys;
mod leveldb;
#[path = "../../support/leveldb_c.rs"]
mod leveldb_c;
mod machine;
mod measure;
mod plan;
mod plot;
mod report;
mod rocksdb;
mod summary;
mod workload;

use args::Args;
use clap::Parser;
use plan::EnginePath;
use report::Figures;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

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

/// Runs all cases of the command line, prints a table for each, and writes the files.
fn compare(args: &Args) -> Result<(), String> {
    if let Some(path) = &args.from {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let figures =
            serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        return write(args, &figures);
    }
    let engines = args.engines()?;
    let directory = args.directory()?;
    if let Some(path) = &args.instructions {
        // Only instructions of our own threads can be counted, so engines in other programs are left out.
        let counted: Vec<_> =
            engines.into_iter().filter(|engine| engine.kind != plan::EngineKind::Program).collect();
        let counts = child::count_instructions(&counted, args.rounds, &directory)?;
        let text = instructions::markdown(&counted, &counts);
        print!("{text}");
        return std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()));
    }
    let figures = measure_cases(args, &engines, &directory)?;
    write(args, &figures)?;
    let disagreements: Vec<String> =
        figures.comparisons.iter().flat_map(|each| each.disagreements()).collect();
    if disagreements.is_empty() { Ok(()) } else { Err(disagreements.join("\n")) }
}

/// Runs the cases for which there is time. The time of a case is estimated from the cases before it.
fn measure_cases(args: &Args, engines: &[EnginePath], directory: &Path) -> Result<Figures, String> {
    let started = Instant::now();
    let mut figures = Figures {
        machine: machine::describe(directory),
        comparisons: Vec::new(),
        left_out: Vec::new(),
        seconds: 0.0,
    };
    let mut weight_done = 0.0;
    for case in args.cases()? {
        let mut engines = engines.to_vec();
        engines.retain(|engine| case.engines.is_empty() || case.engines.contains(&&*engine.name));
        if engines.is_empty() {
            continue;
        }
        let weight = case.weight() * engines.len() as f64;
        let seconds = started.elapsed().as_secs_f64();
        if let Some(budget) = args.budget
            && weight_done > 0.0
            && seconds + weight * seconds / weight_done > budget
        {
            eprintln!("terrace-bench: left out for want of time: {}", case.title());
            figures.left_out.push(case.title());
            continue;
        }
        let plan = args.plan(&case)?;
        // The rounds of one case leave a third of the budget to the other cases.
        let until = args.budget.map(|budget| started + Duration::from_secs_f64(budget.max(0.0) * 0.67));
        let rounds = child::spawn_rounds(&plan, &engines, case.rounds, directory, until)?;
        weight_done += weight;
        let comparison = report::Comparison::new(plan, &engines, rounds);
        print!("{}", comparison.table());
        figures.comparisons.push(comparison);
        figures.seconds = started.elapsed().as_secs_f64();
        // Write after each case, so that a run that is interrupted leaves its results.
        write(args, &figures)?;
    }
    Ok(figures)
}

fn write(args: &Args, figures: &Figures) -> Result<(), String> {
    // The text must not depend on the place of the repository.
    let root = format!("{}/", args::repository().display());
    let json = || serde_json::to_string(figures).expect("numbers and strings").replace(&root, "") + "\n";
    let put = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = &args.json {
        put(path, json())?;
    }
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
        let mut text = format!("{}\n", figures.machine);
        figures.comparisons.iter().for_each(|each| text += &each.table());
        figures.left_out.iter().for_each(|title| text += &format!("\nleft out for want of time: {title}\n"));
        put(&out.join("figures.txt"), text)?;
        put(&out.join("figures.json"), json())?;
        put(&out.join("summary.md"), summary::markdown(figures))?;
        if let Some(first) = figures.comparisons.first() {
            put(&out.join("ratios.svg"), plot::ratios(first)?)?;
        }
        if let Some(svg) = plot::growth(&figures.comparisons)? {
            put(&out.join("growth.svg"), svg)?;
        }
    }
    match &args.readme {
        Some(path) => summary::paste(path, &summary::markdown(figures)),
        None => Ok(()),
    }
}
