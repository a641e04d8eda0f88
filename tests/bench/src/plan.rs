//! The plan of a child: rows, profile, sizes. The parent passes it to the child as JSON.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// All rows, in the order in which they run. The read rows run twice: after the writes, when their background
/// work is done, and after a compaction of everything.
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

/// A named set of options and sizes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Profile {
    pub name: String,
    /// In bytes.
    pub write_buffer_size: usize,
    /// Size of the block cache, in bytes; `None`: the engine's default.
    pub cache_bytes: Option<usize>,
    /// Bits per key of the bloom filter; `None`: no filter.
    pub bloom_bits: Option<i32>,
    /// Are blocks compressed?
    pub compressed: bool,
    /// Size of a value, in bytes.
    pub value_size: usize,
    /// The number of keys is divided by this number, so that large values do not fill the disk.
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
    /// Through LevelDB's C API, in a shared library.
    #[default]
    Library,
    /// Through RocksDB's C API, in a shared library.
    RocksDb,
    /// As a crate that is compiled into this program.
    Crate,
    /// Through a program in the engine's own language, which works like a child of ours: it gets a plan and
    /// prints a round.
    Program,
}

/// An engine and its place.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EnginePath {
    /// The name in the tables.
    pub name: String,
    pub kind: EngineKind,
    /// The shared library or the program; empty for a crate.
    pub path: PathBuf,
    /// Was the library built with assertions on, which slows it down?
    pub assertions: bool,
}

impl EnginePath {
    /// The engine at `path`; an error if there is no such file.
    pub fn new(name: &str, path: &Path) -> Result<EnginePath, String> {
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        // A C or C++ library built without -DNDEBUG imports the function that reports a failed assertion.
        let needle = b"__assert_fail\0";
        let assertions = bytes.windows(needle.len()).any(|window| window == needle);
        Ok(EnginePath { name: name.to_owned(), kind: EngineKind::Library, path, assertions })
    }

    /// RocksDB, whose functions have names of their own.
    pub fn rocksdb(path: &Path) -> Result<EnginePath, String> {
        Ok(EnginePath { kind: EngineKind::RocksDb, ..EnginePath::new("rocksdb", path)? })
    }

    /// fjall, which is compiled in.
    pub fn fjall() -> EnginePath {
        EnginePath { name: "fjall".to_owned(), kind: EngineKind::Crate, ..EnginePath::default() }
    }

    /// An engine with a program of its own, which works like a child.
    pub fn program(name: &str, path: &Path) -> Result<EnginePath, String> {
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(EnginePath { name: name.to_owned(), kind: EngineKind::Program, path, assertions: false })
    }

    /// A description of the engine, for the heading of a table.
    pub fn describe(&self) -> String {
        let note = if self.assertions { " (built with assertions on)" } else { "" };
        // The text must not depend on the place of the repository.
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

/// The plan of one child.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    pub engine: EnginePath,
    /// The directory of the databases; no other child uses it.
    pub directory: PathBuf,
    pub profile: Profile,
    /// Number of threads that share the operations of a row.
    pub threads: u64,
    /// Number of keys.
    pub num: u64,
    /// Number of reads of a read row.
    pub reads: u64,
    /// Rows to measure; empty: all.
    pub rows: Vec<String>,
    /// Count instructions instead of measuring rows.
    #[serde(default)]
    pub count_only: bool,
}

impl Plan {
    /// Is a row to be measured?
    pub fn wants(&self, row: &str) -> bool {
        let base = row.split('.').next().expect("a split has a first part");
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row || wanted == base)
    }

    /// Is any of these rows to be measured?
    pub fn wants_any(&self, rows: &[&str]) -> bool {
        rows.iter().any(|row| self.wants(row))
    }
}

/// One measurement of one row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub row: String,
    /// Number of operations of all threads.
    pub operations: u64,
    /// Time from the first operation to the last.
    pub wall_micros: f64,
    /// CPU time of the process during the row, background threads included.
    pub cpu_micros: f64,
    /// Bytes passed to write calls during the row.
    pub written_bytes: u64,
    /// Bytes that went to the device during the row, stores into mappings included.
    pub device_bytes: u64,
    /// Anonymous memory after the row.
    pub anonymous_bytes: u64,
    /// A result on which all engines must agree; `None` if they need not.
    pub found: Option<u64>,
}

/// The result of one child.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Round {
    pub measurements: Vec<Measurement>,
    /// Bytes of keys and values written, in total.
    pub user_bytes: u64,
    /// Bytes passed to write calls, in total.
    pub written_bytes: u64,
    /// Bytes that went to the device, in total.
    pub device_bytes: u64,
    /// Size of the directory before and after the compaction of everything.
    pub disk_bytes: [u64; 2],
    /// Peak resident memory of the process, mapped tables included.
    pub peak_bytes: u64,
}
