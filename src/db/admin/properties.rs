//! Properties of an open database, by LevelDB's names, and the sizes of key ranges.

use crate::column_family::ColumnFamily;
use crate::db::Db;
use crate::db::families::ColumnFamilyHandle;
use crate::db::family::FamilyState;
use crate::db::shared::DbShared;
use crate::error::Result;
use crate::format::NUM_LEVELS;
use crate::version::Version;
use std::fmt::Write;

impl Db {
    /// The value of a property; `None` for an unknown name, in a child of the process that opened the
    /// database, and inside of a user's comparator.
    ///
    /// LevelDB's: `leveldb.num-files-at-level<N>`, `leveldb.stats`, `leveldb.sstables`,
    /// `leveldb.approximate-memory-usage` (bytes of memtables, of idle memory kept for them, and of the block
    /// cache). And:
    /// * `terrace.background-error`: the error that stops writes or background work; empty if there is none.
    /// * `terrace.recovery-damage`: one line for each part of a WAL that the last open skipped, for each
    ///   oddity of a WAL that it replayed, and for each WAL that was in `lost/` at that time.
    /// * `terrace.entries-stepped-over`: the number of deleted and overwritten entries that iterators have
    ///   stepped over on their way forward, without the first few of each move.
    /// * `terrace.open-tables`: the number of tables whose index and filters are in memory.
    /// * `terrace.table-metadata-bytes`: the bytes that these take, see `Options::table_metadata_budget`.
    /// * `terrace.table-descriptors`: the number of descriptors through which tables are read; mapped tables
    ///   need none.
    /// * `terrace.table-openings`: how often, since the database was opened, a table was opened and its index
    ///   parsed.
    /// * `terrace.language`: `leveldb` or `rocksdb`, the language of the directory.
    /// * `terrace.tables-to-upgrade`: in a directory in RocksDB's language, the number of tables of all
    ///   families that are in LevelDB's, or whose language is not known yet; see `Db::upgrade_tables`.
    ///   RocksDB from 11 on does not open the directory before it is 0.
    /// * `terrace.wal-pinned-by`: the name of the column family that keeps the oldest WAL.
    pub fn property(&self, name: &[u8]) -> Option<String> {
        self.inner.property(&self.inner.default_family, name)
    }

    /// As `property`, of a column family, where a property is about a family. `None` too if the family is of
    /// another database or was dropped.
    pub fn property_cf(&self, family: &ColumnFamilyHandle, name: &[u8]) -> Option<String> {
        self.inner.property(family.of(&self.inner).ok()?, name)
    }

    /// The approximate number of bytes that the user keys of each range [start, limit) take: in table files,
    /// and (uncompressed) in memtables that wait to be flushed, those recovered from WALs included. The
    /// active memtable does not count, as in LevelDB.
    pub fn approximate_sizes(&self, ranges: &[(&[u8], &[u8])]) -> Result<Vec<u64>> {
        self.inner.approximate_sizes(&self.inner.default_family, ranges)
    }

    /// As `approximate_sizes`, in a column family. InvalidArgument if the family is of another database.
    pub fn approximate_sizes_cf(
        &self,
        family: &ColumnFamilyHandle,
        ranges: &[(&[u8], &[u8])],
    ) -> Result<Vec<u64>> {
        self.inner.approximate_sizes(family.of(&self.inner)?, ranges)
    }
}

impl DbShared {
    fn property(&self, family: &ColumnFamily, name: &[u8]) -> Option<String> {
        self.check_caller().ok()?;
        let name = std::str::from_utf8(name).ok()?;
        if let Some(property) = name.strip_prefix("terrace.") {
            return self.own_property(family, property);
        }
        let property = name.strip_prefix("leveldb.")?;
        let state = self.state.lock();
        let of_family = state.families.get(family.id)?;
        let version = state.versions.current(family.id);
        if let Some(digits) = property.strip_prefix("num-files-at-level") {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let level: usize = digits.parse().ok()?;
            return (level < NUM_LEVELS).then(|| version.num_files(level).to_string());
        }
        match property {
            "stats" => Some(stats(version, of_family)),
            "sstables" => Some(version.debug_string()),
            "approximate-memory-usage" => {
                let cache = self.options.block_cache.as_ref().map_or(0, |cache| cache.total_charge());
                let idle = self.memtable_store.idle_bytes();
                Some((of_family.memtables.memory_usage() + idle + cache).to_string())
            }
            _ => None,
        }
    }

    fn approximate_sizes(&self, family: &ColumnFamily, ranges: &[(&[u8], &[u8])]) -> Result<Vec<u64>> {
        self.check_process()?;
        let view = family.super_version.load();
        let before = |key: &[u8]| view.approximate_bytes_before(key);
        Ok(ranges.iter().map(|(start, limit)| before(limit).saturating_sub(before(start))).collect())
    }

    fn own_property(&self, family: &ColumnFamily, name: &str) -> Option<String> {
        match name {
            "background-error" => {
                let state = self.state.lock();
                Some(state.errors.worst().map_or_else(String::new, |kept| kept.error.to_string()))
            }
            "recovery-damage" => {
                Some(self.recovery_damage.iter().map(|error| format!("{error}\n")).collect::<String>())
            }
            "entries-stepped-over" => Some(family.dead_spans.stepped_over().to_string()),
            "language" => Some(self.state.lock().versions.language().name().to_string()),
            "tables-to-upgrade" => Some(self.state.lock().versions.old_tables().count().to_string()),
            "wal-pinned-by" => {
                let state = self.state.lock();
                let families = state.families.iter().map(|(_, family)| family);
                let pins = families.min_by_key(|family| family.memtables.oldest_needed_log())?;
                Some(String::from_utf8_lossy(&pins.family.or(&self.default_family).name).into_owned())
            }
            "open-tables" => Some(self.open_tables.usage().tables.to_string()),
            "table-metadata-bytes" => Some(self.open_tables.usage().bytes.to_string()),
            "table-descriptors" => Some(self.open_tables.usage().descriptors.to_string()),
            "table-openings" => Some(self.open_tables.usage().openings.to_string()),
            _ => None,
        }
    }
}

/// The property `leveldb.stats`.
fn stats(version: &Version, of_family: &FamilyState) -> String {
    const MB: f64 = 1_048_576.0;
    let mut text = String::from(
        "                               Compactions\n\
         Level  Files Size(MB) Time(sec) Read(MB) Write(MB)\n\
         --------------------------------------------------\n",
    );
    for level in 0..NUM_LEVELS {
        let (files, stats) = (version.num_files(level), &of_family.stats[level]);
        if files > 0 || stats.micros > 0 {
            let _ = writeln!(
                text,
                "{level:3} {files:8} {:8.0} {:9.0} {:8.0} {:9.0}",
                version.level_bytes(level) as f64 / MB,
                stats.micros as f64 / 1e6,
                stats.bytes_read as f64 / MB,
                stats.bytes_written as f64 / MB
            );
        }
    }
    text
}
