//! Terrace: an embedded, ordered key-value store; an LSM-tree engine behind LevelDB's C ABI.
//!
//! ```
//! use terrace::{Db, Options, ReadOptions, WriteBatch, WriteOptions};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("db");
//! let options = Options { create_if_missing: true, ..Options::default() };
//! let db = Db::open(&options, &path)?;
//! db.put(&WriteOptions::default(), b"key", b"value")?;
//!
//! let mut batch = WriteBatch::new();
//! batch.put(b"another", b"value");
//! batch.delete(b"key");
//! let sync = WriteOptions { sync: true, ..WriteOptions::default() };
//! db.write(&sync, &batch)?; // durable on return, with every write before it
//!
//! assert_eq!(db.get(&ReadOptions::default(), b"key")?, None);
//! db.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A database that uses only LevelDB's features is a LevelDB database: LevelDB opens it, and Terrace opens
//! LevelDB's. Programs in C and C++ use the library through `leveldb/c.h`, `terrace.h` and LevelDB's C++
//! headers; the functions behind these headers are in `ffi`.
//!
//! # Map of the source
//!
//! Floors, lowest first. A module uses only modules of its own floor and of lower floors. `tests/layering`
//! checks that against the same list in `doc/architecture.md`.
//!
//! ```text
//! error | util | env | comparator, filter_policy, compression | options | format | iterator | record |
//! batch | table | wal | memtable | version | column_family | job | flush | compaction | background |
//! db | ffi
//! ```
//!
//! The path of each operation through the files:
//!
//! ```text
//! put         db/write/commit -> group (if other threads write) -> stall (wait, or switch memtable and WAL)
//!             -> wal -> memtable -> publish the sequence number
//! get         db/read/get -> super version -> memtables -> version/get -> table/reader -> block
//! flush       immutable memtables -> flush/job -> table/builder -> db/install (MANIFEST, then state)
//!             -> super version
//! compaction  compaction/picker (pure) -> compaction/job -> db/install -> db/background/file_gc
//! open        db/open/context -> recovery (MANIFEST, then WALs) -> plan (decided once, carried out once)
//!             -> Db
//! ```
//!
//! Locks, outermost first: the writer's turn, the turn of file removal, the state mutex, all others. Nothing
//! waits for I/O under the state mutex.
//!
//! See `doc/architecture.md`. `doc/format.md` has every byte on disk, `doc/durability.md` the order of every
//! write and sync, `doc/performance.md` each optimisation.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod background;
mod batch;
mod column_family;
mod compaction;
mod comparator;
mod compression;
mod db;
mod error;
mod ffi;
mod filter_policy;
mod flush;
mod format;
mod iterator;
mod job;
mod language;
mod memtable;
mod options;
mod record;
mod table;
mod util;
mod version;
mod wal;

pub mod env;

/// The crate's internal modules, for its integration tests, benchmarks and fuzz targets. They are not part of
/// the API: any of them may change without notice.
#[cfg(feature = "test-support")]
#[doc(hidden)]
pub mod internals {
    pub mod background {
        pub use crate::background::*;
    }
    pub mod batch {
        pub use crate::batch::*;
    }
    pub mod column_family {
        pub use crate::column_family::*;
    }
    pub mod comparator {
        pub use crate::comparator::*;
    }
    pub mod compaction {
        pub use crate::compaction::*;
    }
    pub mod compression {
        pub use crate::compression::*;
    }
    pub mod db {
        pub use crate::db::*;
    }
    pub mod flush {
        pub use crate::flush::*;
    }
    pub mod format {
        pub use crate::format::*;
    }
    pub mod iterator {
        pub use crate::iterator::*;
    }
    pub mod job {
        pub use crate::job::*;
    }
    pub mod language {
        pub use crate::language::*;
    }
    pub mod memtable {
        pub use crate::memtable::*;
    }
    pub mod record {
        pub use crate::record::*;
    }
    pub mod table {
        pub use crate::table::*;
    }
    pub mod util {
        pub use crate::util::*;
    }
    pub mod version {
        pub use crate::version::*;
    }
    pub mod wal {
        pub use crate::wal::*;
    }
}

pub use batch::decode::{BatchEntry, BatchIter};
pub use batch::write_batch::WriteBatch;
pub use comparator::{BytewiseComparator, Comparator};
pub use compression::Compression;
pub use db::{
    BackgroundError, ColumnFamilyHandle, Db, DbIterator, ReadOptions, Severity, Snapshot, destroy, repair,
};
pub use error::{Error, ErrorKind, Result};
pub use filter_policy::{BloomFilterPolicy, FilterPolicy};
pub use options::{LanguagePolicy, Options, WriteOptions};
pub use util::cache::BlockCache;
