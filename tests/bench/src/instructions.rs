//! Instructions per operation, counted by valgrind (callgrind): figures that do not depend on what else the machine does.
//!
//! A child runs a row twice, with so many operations and with more; the difference divided by the operations between is the
//! cost of one. Background work that the operations cause is counted with them.

use crate::plan::{EngineKind, EnginePath, Plan, Profile};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Rows that are counted, and what one of their operations is.
const ROWS: [(&str, &str); 8] = [
    ("fillseq", "put in order"),
    ("fillbatch", "put in a batch of 1,000"),
    ("readrandom.compacted", "get"),
    ("readhot.compacted", "get of a hot key"),
    ("readmissing.compacted", "get of a missing key"),
    ("readseq.compacted", "next, with key and value"),
    ("readreverse.compacted", "prev, with key and value"),
    ("seekrandom.compacted", "seek and 10 next"),
];
/// Keys of the database that the reading rows read.
const KEYS: u64 = 50_000;
/// Operations of the shorter and of the longer run.
const OPERATIONS: [u64; 2] = [40_000, 200_000];

/// Counts for every engine that is a library, as a table and as JSON.
pub fn count(engines: &[EnginePath], directory: &Path) -> Result<(String, Value), String> {
    let engines: Vec<_> = engines.iter().filter(|engine| engine.kind == EngineKind::Library).collect();
    let mut table = format!("{:<28}", "instructions per");
    engines.iter().for_each(|engine| table += &format!("{:>18}", engine.name));
    table += "\n";
    let mut figures = Vec::new();
    for (row, what) in ROWS {
        table += &format!("{what:<28}");
        let mut by_engine = serde_json::Map::new();
        for engine in &engines {
            eprintln!("terrace-bench: counting the instructions of {}: {row}", engine.name);
            let short = instructions(engine, row, OPERATIONS[0], directory)?;
            let long = instructions(engine, row, OPERATIONS[1], directory)?;
            let each = long.saturating_sub(short) as f64 / per_run(row) as f64;
            table += &format!("{each:>18.0}");
            by_engine.insert(engine.name.clone(), each.round().into());
        }
        table += "\n";
        figures.push(json!({ "row": row, "operation": what, "instructions": by_engine }));
    }
    Ok((table, Value::Array(figures)))
}

/// Operations by which the runs differ: rows with seeks have a quarter of the reads.
fn per_run(row: &str) -> u64 {
    let more = OPERATIONS[1] - OPERATIONS[0];
    if row.starts_with("seek") { more / 4 } else { more }
}

fn instructions(engine: &EnginePath, row: &str, operations: u64, directory: &Path) -> Result<u64, String> {
    let profile = Profile::all().into_iter().find(|profile| profile.name == "default").expect("the default");
    let own = directory.join(format!("{}-instructions", std::process::id()));
    std::fs::create_dir_all(&own).map_err(|error| format!("{}: {error}", own.display()))?;
    let num = if row.starts_with("fill") { operations } else { KEYS };
    let plan = Plan {
        engine: engine.clone(),
        directory: own.clone(),
        profile,
        threads: 1,
        num,
        reads: operations,
        rows: vec![row.to_owned()],
    };
    let program = std::env::current_exe().map_err(|error| format!("my own path: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--"])
        .arg(program)
        .args(["--child", &serde_json::to_string(&plan).expect("numbers and strings")])
        .output()
        .map_err(|error| format!("valgrind: {error}; install valgrind to count instructions"))?;
    let _ = std::fs::remove_dir_all(&own);
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1));
    match collected.and_then(|number| number.trim().parse().ok()) {
        Some(number) if output.status.success() => Ok(number),
        _ => Err(format!("{}: valgrind ended with {}: {said}", engine.name, output.status)),
    }
}
