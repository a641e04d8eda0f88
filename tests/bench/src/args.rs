//! The command line, and the engines that are there when none is named.

use crate::plan::{EnginePath, Plan, Profile, ROWS};
use crate::suite::{self, Run};
use clap::Parser;
use std::path::{Path, PathBuf};

/// Compares Terrace with its peers on one machine, in one run.
#[derive(Parser)]
#[command(version, about)]
pub struct Args {
    /// An engine with LevelDB's C API, NAME=PATH of its shared library; or the name alone of one that is found by itself: terrace
    /// (target/release/libterrace.so), leveldb (the system's), leveldb-release ($LEVELDB_RELEASE_LIB,
    /// target/peers/libleveldb-release.so), goleveldb (target/peers/goleveldb-bench), fjall (built in). Repeat for more.
    /// terrace, or else the first, is compared with the best of the others. Default: all that are found.
    #[arg(long = "engine", value_name = "NAME[=PATH]")]
    engine: Vec<String>,

    /// Rows to measure, by name ("readrandom" is also "readrandom.compacted"); what they need is done unmeasured. Default: all.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,

    /// Keys.
    #[arg(long, default_value_t = 1_000_000)]
    num: u64,

    /// Reads of a reading row. Default: as many as keys.
    #[arg(long)]
    reads: Option<u64>,

    /// Rounds of each engine, in turns; medians are shown.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,

    /// Threads that share the operations of a row; a table for each number.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    pub threads: Vec<u64>,

    /// Profiles: default, tuned, value4k, value256k, uncompressed, all; a table for each.
    #[arg(long, value_delimiter = ',', default_value = "default")]
    profiles: Vec<String>,

    /// Where the databases are made and removed. Default: target/bench-data.
    #[arg(long)]
    dir: Option<PathBuf>,

    /// Writes every figure of every round to a file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Runs a suite instead of one profile: record (tables of all profiles and growth, some twenty minutes), full (more rounds,
    /// and 10M keys; hours), growth. --rounds goes for the default profile.
    #[arg(long, value_name = "NAME")]
    pub suite: Option<String>,

    /// Where a suite leaves figures.json, tables.txt, ratios.md, ratios.svg and growth.svg.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Counts instructions per operation with valgrind instead of taking times.
    #[arg(long)]
    pub instructions: bool,

    /// What a child process has to do; the parent sets it.
    #[arg(long, hide = true)]
    pub child: Option<String>,
}

/// The root of the repository.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the package lies in tests/bench").to_owned()
}

/// Where cargo builds the repository.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

impl Args {
    /// The engines to compare.
    pub fn engines(&self) -> Result<Vec<EnginePath>, String> {
        if self.engine.is_empty() {
            return default_engines();
        }
        let named = self.engine.iter().map(|text| match text.split_once('=') {
            Some((name, path)) => EnginePath::new(name, Path::new(path)),
            None => {
                let found = default_engines()?.into_iter().find(|engine| engine.name == *text);
                found.ok_or_else(|| format!("{text}: not found by itself; say {text}=PATH"))
            }
        });
        named.collect()
    }

    /// Where the databases go.
    pub fn directory(&self) -> Result<PathBuf, String> {
        let directory = self.dir.clone().unwrap_or_else(|| target().join("bench-data"));
        let made = std::fs::create_dir_all(&directory).and_then(|()| directory.canonicalize());
        made.map_err(|error| format!("{}: {error}", directory.display()))
    }

    /// The profiles that were named.
    pub fn profiles(&self) -> Result<Vec<Profile>, String> {
        let all = Profile::all();
        if self.profiles.iter().any(|name| name == "all") {
            return Ok(all);
        }
        let named = self.profiles.iter().map(|name| {
            let found = all.iter().find(|profile| profile.name == *name);
            found.cloned().ok_or_else(|| format!("no profile {name}; there are {}", names(&all)))
        });
        named.collect()
    }

    /// What is to be run: a suite, or each of the profiles with each number of threads.
    pub fn runs(&self) -> Result<Vec<Run>, String> {
        if let Some(suite) = &self.suite {
            return suite::runs(suite, self.rounds);
        }
        let mut runs = Vec::new();
        for profile in self.profiles()? {
            for &threads in &self.threads {
                runs.push(Run {
                    profile: profile.clone(),
                    threads,
                    num: self.num,
                    reads: self.reads,
                    rounds: self.rounds,
                    rows: self.rows.clone(),
                    engines: Vec::new(),
                    growth: false,
                });
            }
        }
        Ok(runs)
    }

    /// What one child does in this run; the engine and the directory come later.
    pub fn plan(&self, run: &Run) -> Result<Plan, String> {
        for row in &run.rows {
            if !ROWS.iter().any(|known| known == row || known.split('.').next() == Some(row)) {
                return Err(format!("no row {row}; there are {}", ROWS.join(" ")));
            }
        }
        if run.num < 1_000 || run.threads == 0 || run.rounds == 0 {
            return Err("at least 1,000 keys, a thread and a round".to_owned());
        }
        let fewer = run.profile.fewer_keys;
        let num = (run.num / fewer).max(100);
        let reads = run.reads.map_or(num, |reads| (reads / fewer).max(100));
        let (profile, threads, rows) = (run.profile.clone(), run.threads, run.rows.clone());
        Ok(Plan { profile, threads, num, reads, rows, ..Plan::default() })
    }
}

fn names(profiles: &[Profile]) -> String {
    profiles.iter().map(|profile| &*profile.name).collect::<Vec<_>>().join(", ")
}

fn default_engines() -> Result<Vec<EnginePath>, String> {
    let target = target();
    let mut engines = Vec::new();
    let terrace = target.join("release/libterrace.so");
    if terrace.exists() {
        engines.push(EnginePath::new("terrace", &terrace)?);
    } else {
        eprintln!("terrace-bench: no {}: run `cargo build --release` first", terrace.display());
    }
    match system_leveldb() {
        Some(path) => engines.push(EnginePath::new("leveldb", &path)?),
        None => eprintln!("terrace-bench: no LevelDB on this machine: install libleveldb-dev"),
    }
    let release = std::env::var_os("LEVELDB_RELEASE_LIB")
        .map(PathBuf::from)
        .unwrap_or_else(|| target.join("peers/libleveldb-release.so"));
    if release.exists() {
        engines.push(EnginePath::new("leveldb-release", &release)?);
    }
    let goleveldb = target.join("peers/goleveldb-bench");
    if goleveldb.exists() {
        engines.push(EnginePath::program("goleveldb", &goleveldb)?);
    } else {
        eprintln!("terrace-bench: no {}: scripts/bench.sh builds it where Go is", goleveldb.display());
    }
    engines.push(EnginePath::fjall());
    Ok(engines)
}

/// The shared LevelDB of the system, wherever its distribution puts it.
fn system_leveldb() -> Option<PathBuf> {
    let mut directories: Vec<PathBuf> =
        ["/usr/local/lib", "/usr/lib64", "/usr/lib"].map(PathBuf::from).into();
    let below = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    directories
        .extend(below.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("-gnu")));
    let files =
        directories.iter().flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten().flatten());
    let mut found: Vec<PathBuf> = files
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libleveldb.so.1"))
        })
        .collect();
    found.sort();
    found.into_iter().next()
}
