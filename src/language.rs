//! The two languages of a directory.
//!
//! A directory is LevelDB's until a feature is used that LevelDB does not have; then it is switched, once and
//! for good, to RocksDB's (`doc/format.md`). Each file says by itself in which language it is: a table by the
//! magic number of its footer, a MANIFEST by its tags.

/// The language of a directory, or of a file in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    /// LevelDB reads it, and RocksDB up to 10.
    #[default]
    LevelDb,
    /// RocksDB reads it, from 4.6 on.
    RocksDb,
}

impl Language {
    /// The name in the property `terrace.language` and in the option `language`.
    pub fn name(self) -> &'static str {
        match self {
            Language::LevelDb => "leveldb",
            Language::RocksDb => "rocksdb",
        }
    }
}
