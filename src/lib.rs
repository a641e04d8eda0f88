//! Terrace: an embedded, ordered key-value store. An LSM-tree engine behind LevelDB's own C ABI.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod error;
pub mod util;

pub mod env;

pub mod comparator;
pub mod compression;
pub mod filter_policy;
pub mod options;

pub mod background;
pub mod batch;
pub mod column_family;
pub mod compaction;
pub mod db;
pub mod ffi;
pub mod flush;
pub mod format;
pub mod iterator;
pub mod memtable;
pub mod record;
pub mod table;
pub mod version;
pub mod wal;

pub use batch::write_batch::WriteBatch;
pub use db::{Db, DbIterator, Snapshot, destroy, repair};
pub use error::{Error, ErrorKind, Result};
pub use options::{Options, ReadOptions, WriteOptions};
