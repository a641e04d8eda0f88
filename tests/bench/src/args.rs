//! The command line, and the engines that are found if none is named.

use crate::case::{self, Case};
use crate::plan::{EnginePath, Plan, Profile, ROWS};
use clap::Parser;
use std::path::{Path, PathBuf};

/// Compares Terrace with its peers on one machine, in one run.
#[derive(Parser)]
#[command(version, about)]
pub struct Args {
    /// An engine with LevelDB's C API, NAME=PATH of its shared library; or the name alone of an engine with a
    /// known place: terrace (target/release/libterrace.so), leveldb-release ($LEVELDB_RELEASE_LIB,
    /// target/peers/libleveldb-release.so; without one, leveldb: the system's), goleveldb
    /// (target/peers/goleveldb-bench), fjall (built in), rocksdb ($ROCKSDB_LIB,
    /// target/peers/librocksdb-release.so, or the system's). Repeat the option for more engines. terrace, or
    /// else the first engine, is compared with the best of the others. Default: all that are found.
    #[arg(long = "engine", value_name = "NAME[=PATH]")]
    engine: Vec<String>,

    /// Rows to measure, by name ("readrandom" includes "readrandom.compacted"). Rows that these depend on run
    /// without being measured. Default: all.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,

    /// Number of keys.
    #[arg(long, alias = "keys", default_value_t = 1_000_000)]
    num: u64,

    /// Number of reads of a read row. Default: the number of keys.
    #[arg(long)]
    reads: Option<u64>,

    /// Number of rounds of each engine. The engines take turns; medians are shown.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,

    /// Number of threads that share the operations of a row; one table for each number.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    pub threads: Vec<u64>,

    /// Profiles: default, tuned, value4k, value256k, uncompressed; one table for each. Or a list of runs:
    /// record (forty minutes on two quiet cores), growth (0.1, 1 and 10 million keys), growth-large (5, 20
    /// and 50 million: more tables than max_open_files; about an hour, 30 GB of disk), all (hours). A list
    /// has its own sizes, threads and rounds, except that --num and --rounds apply to `all`.
    #[arg(long, aliases = ["profile", "suite"], value_delimiter = ',', default_value = "default")]
    profiles: Vec<String>,

    /// Seconds after which no further run of a list starts. Runs that are left out are named.
    #[arg(long)]
    pub budget: Option<f64>,

    /// Divides the number of keys of every run of a list by N, to try the list out.
    #[arg(long, default_value_t = 1, value_name = "N")]
    scale_down: u64,

    /// Writes figures.txt, figures.json, summary.md, ratios.svg and growth.svg into a directory.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Writes the summary between the two marks in this file (README.md).
    #[arg(long, value_name = "FILE")]
    pub readme: Option<PathBuf>,

    /// Writes --out and --readme again from a figures.json, without measuring.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,

    /// Counts instructions of single operations instead, and writes the table to a file (Markdown).
    #[arg(long, value_name = "FILE")]
    pub instructions: Option<PathBuf>,

    /// The directory in which databases are created and removed. Default: target/bench-data.
    #[arg(long)]
    dir: Option<PathBuf>,

    /// Writes all figures of all rounds to a file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// The plan of a child process; the parent sets it.
    #[arg(long, hide = true)]
    pub child: Option<String>,
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the package lies in tests/bench").to_owned()
}

/// Cargo's target directory of the repository.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

impl Args {
    /// The engines to compare: the named ones, or all that are found.
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

    /// The directory of the databases.
    pub fn directory(&self) -> Result<PathBuf, String> {
        let directory = self.dir.clone().unwrap_or_else(|| target().join("bench-data"));
        let made = std::fs::create_dir_all(&directory).and_then(|()| directory.canonicalize());
        made.map_err(|error| format!("{}: {error}", directory.display()))
    }

    /// The runs that the command line asks for.
    pub fn cases(&self) -> Result<Vec<Case>, String> {
        let mut cases = match &*self.profiles {
            [list] if list == "all" || list == "full" => case::all(self.num, self.rounds),
            [list] if list == "record" => case::record(),
            [list] if list == "growth" => case::growth(),
            [list] if list == "growth-large" => case::large_growth(),
            _ => {
                let reads = self.reads.unwrap_or(self.num);
                let mut cases = Vec::new();
                for profile in self.profiles()? {
                    cases.extend(self.threads.iter().map(|&threads| Case {
                        threads,
                        reads,
                        ..Case::new(&profile.name, self.num, self.rounds)
                    }));
                }
                cases
            }
        };
        for case in &mut cases {
            case.num = (case.num / self.scale_down.max(1)).max(1_000);
            case.reads = (case.reads / self.scale_down.max(1)).max(1_000);
            if case.rows.is_empty() {
                case.rows.clone_from(&self.rows);
            }
        }
        Ok(cases)
    }

    /// The profiles that the command line names.
    fn profiles(&self) -> Result<Vec<Profile>, String> {
        let all = Profile::all();
        let named = self.profiles.iter().map(|name| {
            let found = all.iter().find(|profile| profile.name == *name);
            found.cloned().ok_or_else(|| format!("no profile {name}; there are {}", names(&all)))
        });
        named.collect()
    }

    /// The plan of a child in this run; the engine and the directory are set later.
    pub fn plan(&self, case: &Case) -> Result<Plan, String> {
        for row in &case.rows {
            if !ROWS.iter().any(|known| known == row || known.split('.').next() == Some(row)) {
                return Err(format!("no row {row}; there are {}", ROWS.join(" ")));
            }
        }
        if case.num < 1_000 || case.threads == 0 || case.rounds == 0 {
            return Err("at least 1,000 keys, a thread and a round".to_owned());
        }
        let fewer = case.profile.fewer_keys;
        let (num, reads) = ((case.num / fewer).max(100), (case.reads / fewer).max(100));
        let (profile, rows) = (case.profile.clone(), case.rows.clone());
        Ok(Plan { profile, threads: case.threads, num, reads, rows, ..Plan::default() })
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
    let release = std::env::var_os("LEVELDB_RELEASE_LIB")
        .map(PathBuf::from)
        .unwrap_or_else(|| target.join("peers/libleveldb-release.so"));
    if release.exists() {
        engines.push(EnginePath::new("leveldb-release", &release)?);
    } else if let Some(path) = system_library("libleveldb.so.1") {
        eprintln!(
            "terrace-bench: no release build of LevelDB (scripts/leveldb-release.sh): the system's instead"
        );
        engines.push(EnginePath::new("leveldb", &path)?);
    } else {
        eprintln!("terrace-bench: no LevelDB on this machine: install libleveldb-dev");
    }
    let goleveldb = target.join("peers/goleveldb-bench");
    if goleveldb.exists() {
        engines.push(EnginePath::program("goleveldb", &goleveldb)?);
    } else {
        eprintln!("terrace-bench: no {}: scripts/bench.sh builds it where Go is", goleveldb.display());
    }
    engines.push(EnginePath::fjall());
    let rocksdb = Some(target.join("peers/librocksdb-release.so")).filter(|path| path.exists());
    let rocksdb = std::env::var_os("ROCKSDB_LIB").map(PathBuf::from).or(rocksdb);
    match rocksdb.or_else(|| system_library("librocksdb.so.")) {
        Some(path) => engines.push(EnginePath::rocksdb(&path)?),
        None => eprintln!(
            "terrace-bench: no RocksDB on this machine: run scripts/rocksdb-release.sh (half an hour), install librocksdb-dev, or set ROCKSDB_LIB"
        ),
    }
    Ok(engines)
}

/// A shared library of the system whose name begins with `beginning`, in any directory of the loader.
fn system_library(beginning: &str) -> Option<PathBuf> {
    let mut directories: Vec<PathBuf> =
        ["/usr/local/lib", "/usr/lib64", "/usr/lib"].map(PathBuf::from).into();
    let below = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    directories
        .extend(below.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("-gnu")));
    let files =
        directories.iter().flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten().flatten());
    let mut found: Vec<PathBuf> = files
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning)))
        .collect();
    found.sort();
    found.into_iter().next()
}
