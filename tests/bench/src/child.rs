//! Child processes: one for each round of each engine.

use crate::fjall::Fjall;
use crate::instructions::{self, Count};
use crate::leveldb::LevelDb;
use crate::plan::{EngineKind, EnginePath, Plan, Round};
use crate::rocksdb::RocksDb;
use crate::workload::Bench;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The child's side: executes a plan (JSON) and prints its measurements (JSON).
pub fn run(plan: &str) -> Result<(), String> {
    let plan: Plan = serde_json::from_str(plan).map_err(|error| format!("the plan of a child: {error}"))?;
    if plan.count_only {
        let counts = count(&plan)?;
        println!("{}", serde_json::to_string(&counts).expect("numbers and strings"));
        return Ok(());
    }
    let round = match plan.engine.kind {
        EngineKind::Library => Bench::new(&LevelDb::load(&plan.engine.path)?, plan).run(),
        EngineKind::RocksDb => Bench::new(&RocksDb::load(&plan.engine.path)?, plan).run(),
        EngineKind::Crate => Bench::new(&Fjall, plan).run(),
        EngineKind::Program => return Err(format!("{} is a program of its own", plan.engine.name)),
    };
    println!("{}", serde_json::to_string(&round).expect("numbers and strings"));
    Ok(())
}

/// Counts the instructions of every engine, each in a process of its own, in turns. Returns the medians.
pub fn count_instructions(
    engines: &[EnginePath],
    rounds: usize,
    directory: &Path,
) -> Result<Vec<Vec<Count>>, String> {
    let mut all: Vec<Vec<Vec<Count>>> = vec![Vec::new(); engines.len()];
    for _ in 0..rounds {
        for (engine, counts) in engines.iter().zip(&mut all) {
            let own = directory.join(format!("{}-{}", std::process::id(), engine.name));
            let plan =
                Plan { engine: engine.clone(), directory: own.clone(), count_only: true, ..Plan::default() };
            let output = spawn(&plan);
            let _ = std::fs::remove_dir_all(&own);
            counts.push(parse(&engine.name, &output?)?);
        }
    }
    let median = |rounds: Vec<Vec<Count>>| {
        let mut of_operation = Vec::new();
        for at in 0..rounds[0].len() {
            let mut sorted: Vec<&Count> = rounds.iter().map(|round| &round[at]).collect();
            sorted.sort_by(|a, b| a.instructions.total_cmp(&b.instructions));
            of_operation.push(sorted[sorted.len() / 2].clone());
        }
        of_operation
    };
    Ok(all.into_iter().map(median).collect())
}

fn count(plan: &Plan) -> Result<Vec<Count>, String> {
    match plan.engine.kind {
        EngineKind::Library => instructions::count(&LevelDb::load(&plan.engine.path)?, &plan.directory),
        EngineKind::RocksDb => instructions::count(&RocksDb::load(&plan.engine.path)?, &plan.directory),
        EngineKind::Crate => instructions::count(&Fjall, &plan.directory),
        EngineKind::Program => Err(format!("{} is a program of its own", plan.engine.name)),
    }
}

/// The parent's side: runs the rounds of each engine in turns, and returns them as `[engine][round]`. A
/// different engine begins each time, so that no engine always runs after the same one. No round starts that
/// would end after `until`.
pub fn spawn_rounds(
    plan: &Plan,
    engines: &[EnginePath],
    rounds: usize,
    directory: &Path,
    until: Option<Instant>,
) -> Result<Vec<Vec<Round>>, String> {
    let mut results = vec![Vec::new(); engines.len()];
    let started = Instant::now();
    for round in 0..rounds {
        let a_round = started.elapsed() / round.max(1) as u32;
        if round > 0 && until.is_some_and(|until| Instant::now() + a_round > until) {
            eprintln!("terrace-bench: {round} rounds instead of {rounds}, for want of time");
            break;
        }
        for turn in 0..engines.len() {
            let number = (round + turn) % engines.len();
            let engine = &engines[number];
            eprintln!(
                "terrace-bench: {}, {} threads, round {} of {rounds}: {}",
                plan.profile.name,
                plan.threads,
                round + 1,
                engine.name
            );
            let own = directory.join(format!("{}-{}", std::process::id(), engine.name));
            let plan = Plan { engine: engine.clone(), directory: own.clone(), ..plan.clone() };
            let outcome = spawn(&plan);
            let _ = std::fs::remove_dir_all(&own);
            // Dirty pages of one engine must not be written back during the time of the next.
            // SAFETY: no arguments; cannot fail.
            unsafe { libc::sync() };
            results[number].push(parse(&engine.name, &outcome?)?);
        }
    }
    Ok(results)
}

fn spawn(plan: &Plan) -> Result<Vec<u8>, String> {
    let name = &plan.engine.name;
    std::fs::create_dir_all(&plan.directory)
        .map_err(|error| format!("{}: {error}", plan.directory.display()))?;
    let program = match plan.engine.kind {
        EngineKind::Program => plan.engine.path.clone(),
        _ => std::env::current_exe().map_err(|error| format!("my own path: {error}"))?,
    };
    let text = serde_json::to_string(plan).expect("numbers and strings");
    let output = Command::new(program)
        .args(["--child", &text])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: the child ended with {}", output.status));
    }
    Ok(output.stdout)
}

fn parse<T: serde::de::DeserializeOwned>(name: &str, output: &[u8]) -> Result<T, String> {
    serde_json::from_slice(output).map_err(|error| format!("{name}: what the child said: {error}"))
}
