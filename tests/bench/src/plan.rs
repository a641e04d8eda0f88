//! What a child has to do: rows, profile, sizes. It crosses the process boundary as JSON.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Every row, in the order in which they are run. The reading rows run twice: on the tree as the writes left it, once its
/// background work is done, and on the compacted one.
pub const ROWS: [&str; 29] = [
    "fillseq",
    "fillbatch",
    "fillsync",
    "fillrandom",
    "overwrite",
    "settle",
    "readrandom",
    "readmissing",
    "readhot",
    "readseq",
    "readreverse",
    "seekrandom",
    "newiter",
    "compact",
    "readrandom.compacted",
    "readmissing.compacted",
    "readhot.compacted",
    "readseq.compacted",
    "readreverse.compacted",
    "seekrandom.compacted",
    "newiter.compacted",
    "recover",
    "reopen",
    "readwhilewriting",
    "readwhilewriting.writer",
    "deleterandom",
    "settle.deleted",
    "compact.deleted",
    "open",
];

/// Options and sizes that belong together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// Bytes of the write buffer.
    pub write_buffer_size: usize,
    /// Bytes of the block cache; none: the engine's default.
    pub cache_bytes: Option<usize>,
    /// Bits per key of the bloom filter.
    pub bloom_bits: Option<i32>,
    /// Whether blocks are compressed.
    pub compressed: bool,
    /// Bytes of a value.
    pub value_size: usize,
    /// The number of keys is divided by this, so that large values don't fill the disk.
    pub fewer_keys: u64,
}

impl Profile {
    /// Every profile.
    pub fn all() -> Vec<Profile> {
        let default = Profile {
            name: "default".to_owned(),
            write_buffer_size: 4 << 20,
            cache_bytes: None,
            bloom_bits: None,
            compressed: true,
            value_size: 100,
            fewer_keys: 1,
        };
        vec![
            Profile {
                name: "tuned".to_owned(),
                write_buffer_size: 64 << 20,
                cache_bytes: Some(512 << 20),
                bloom_bits: Some(10),
                ..default.clone()
            },
            Profile { name: "value4k".to_owned(), value_size: 4 << 10, fewer_keys: 10, ..default.clone() },
            Profile {
                name: "value256k".to_owned(),
                value_size: 256 << 10,
                fewer_keys: 1000,
                ..default.clone()
            },
            Profile { name: "uncompressed".to_owned(), compressed: false, ..default.clone() },
            default,
        ]
    }
}

/// How an engine is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EngineKind {
    /// By LevelDB's C API, in a shared library.
    #[default]
    Library,
    /// By RocksDB's C API, in a shared library.
    RocksDb,
    /// As a crate that is built into this program.
    Crate,
    /// By a program in the engine's own language, which does what a child of ours does: it is given a plan, and prints a round.
    Program,
}

/// An engine, and where it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EnginePath {
    /// What the table calls it.
    pub name: String,
    /// How it is called.
    pub kind: EngineKind,
    /// Its shared library, or its program; of a crate, nothing.
    pub path: PathBuf,
    /// Whether the library was built with assertions on, which slows it down.
    pub assertions: bool,
}

impl EnginePath {
    /// The engine at this path.
    pub fn new(name: &str, path: &Path) -> Result<EnginePath, String> {
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        // A C or C++ library built without -DNDEBUG imports the function that reports a failed assertion.
        let needle = b"__assert_fail\0";
        let assertions = bytes.windows(needle.len()).any(|window| window == needle);
        Ok(EnginePath { name: name.to_owned(), kind: EngineKind::Library, path, assertions })
    }

    /// RocksDB, whose library has names of its own.
    pub fn rocksdb(path: &Path) -> Result<EnginePath, String> {
        Ok(EnginePath { kind: EngineKind::RocksDb, ..EnginePath::new("rocksdb", path)? })
    }

    /// fjall, which is built in.
    pub fn fjall() -> EnginePath {
        EnginePath { name: "fjall".to_owned(), kind: EngineKind::Crate, ..EnginePath::default() }
    }

    /// The engine of a program that does what a child does.
    pub fn program(name: &str, path: &Path) -> Result<EnginePath, String> {
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(EnginePath { name: name.to_owned(), kind: EngineKind::Program, path, assertions: false })
    }

    /// What is measured, for the heading of a table.
    pub fn describe(&self) -> String {
        let note = if self.assertions { " (built with assertions on)" } else { "" };
        // A record says the same wherever the repository lies.
        let path = self.path.strip_prefix(crate::args::repository()).unwrap_or(&self.path).display();
        match self.kind {
            EngineKind::Library | EngineKind::RocksDb => {
                format!("{}: {path}{note}", self.name)
            }
            EngineKind::Crate => format!("{}: the crate", self.name),
            EngineKind::Program => format!("{}: {path}, in its own language", self.name),
        }
    }
}

/// What one child does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Which engine.
    pub engine: EnginePath,
    /// Where its databases go; the child's own.
    pub directory: PathBuf,
    /// Options and sizes.
    pub profile: Profile,
    /// Threads that share the operations of a row.
    pub threads: u64,
    /// Keys.
    pub num: u64,
    /// Reads of a reading row.
    pub reads: u64,
    /// Rows to measure; none: all.
    pub rows: Vec<String>,
    /// Count instructions instead of measuring rows.
    #[serde(default)]
    pub count_only: bool,
}

impl Plan {
    /// Whether a row is to be measured.
    pub fn wants(&self, row: &str) -> bool {
        let base = row.split('.').next().expect("a split has a first part");
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row || wanted == base)
    }

    /// Whether any of these rows is to be measured.
    pub fn wants_any(&self, rows: &[&str]) -> bool {
        rows.iter().any(|row| self.wants(row))
    }
}

/// One row, measured once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// Which.
    pub row: String,
    /// Operations of all threads.
    pub operations: u64,
    /// Time from the first to the last.
    pub wall_micros: f64,
    /// CPU time that the process spent meanwhile, its background threads included.
    pub cpu_micros: f64,
    /// Bytes handed to write calls meanwhile.
    pub written_bytes: u64,
    /// Bytes on their way to the device meanwhile, stores into mappings included.
    pub device_bytes: u64,
    /// Anonymous memory afterwards.
    pub anonymous_bytes: u64,
    /// What was found, where engines must agree on it.
    pub found: Option<u64>,
}

/// All that a child found out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Round {
    /// The rows.
    pub measurements: Vec<Measurement>,
    /// Bytes of keys and values that were written in all.
    pub user_bytes: u64,
    /// Bytes handed to write calls in all.
    pub written_bytes: u64,
    /// Bytes on their way to the device in all.
    pub device_bytes: u64,
    /// Size of the directory before and after the compaction of everything.
    pub disk_bytes: [u64; 2],
    /// The most memory that the process had resident, mapped tables included.
    pub peak_bytes: u64,
}
