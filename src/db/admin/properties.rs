//! Properties of an open database, by LevelDB's names, and the sizes of key ranges.

use crate::db::Db;
use crate::db::shared::DbShared;
use crate::error::Result;
use crate::format::NUM_LEVELS;
use crate::format::column_family_id::ColumnFamilyId;
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
    pub fn property(&self, name: &[u8]) -> Option<String> {
        self.inner.check_caller().ok()?;
        let name = std::str::from_utf8(name).ok()?;
        if let Some(property) = name.strip_prefix("terrace.") {
            return self.inner.own_property(property);
        }
        let property = name.strip_prefix("leveldb.")?;
        let state = self.inner.state.lock();
        let version = state.versions.current(ColumnFamilyId::DEFAULT);
        if let Some(digits) = property.strip_prefix("num-files-at-level") {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let level: usize = digits.parse().ok()?;
            return (level < NUM_LEVELS).then(|| version.num_files(level).to_string());
        }
        match property {
            "stats" => {
                let mut text = String::from(
                    "                               Compactions\n\
                     Level  Files Size(MB) Time(sec) Read(MB) Write(MB)\n\
                     --------------------------------------------------\n",
                );
                for level in 0..NUM_LEVELS {
                    let (files, stats) =
                        (version.num_files(level), &state.families.default_family().stats[level]);
                    if files > 0 || stats.micros > 0 {
                        const MB: f64 = 1_048_576.0;
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
                Some(text)
            }
            "sstables" => Some(version.debug_string()),
            "approximate-memory-usage" => {
                let cache = self.inner.options.block_cache.as_ref().map_or(0, |cache| cache.total_charge());
                let idle = self.inner.memtable_store.idle_bytes();
                Some((state.families.default_family().memtables.memory_usage() + idle + cache).to_string())
            }
            _ => None,
        }
    }

    /// The approximate number of bytes that the user keys of each range [start, limit) take: in table files,
    /// and (uncompressed) in memtables that wait to be flushed, those recovered from WALs included. The
    /// active memtable does not count, as in LevelDB.
    pub fn approximate_sizes(&self, ranges: &[(&[u8], &[u8])]) -> Result<Vec<u64>> {
        self.check_process()?;
        let view = self.inner.families.default_family().super_version.load();
        let before = |key: &[u8]| view.approximate_bytes_before(key);
        Ok(ranges.iter().map(|(start, limit)| before(limit).saturating_sub(before(start))).collect())
    }
}

impl DbShared {
    fn own_property(&self, name: &str) -> Option<String> {
        match name {
            "background-error" => {
                let state = self.state.lock();
                Some(state.errors.worst().map_or_else(String::new, |kept| kept.error.to_string()))
            }
            "recovery-damage" => {
                Some(self.recovery_damage.iter().map(|error| format!("{error}\n")).collect::<String>())
            }
            "entries-stepped-over" => {
                Some(self.families.default_family().dead_spans.stepped_over().to_string())
            }
            "open-tables" => Some(self.open_tables.usage().tables.to_string()),
            "table-metadata-bytes" => Some(self.open_tables.usage().bytes.to_string()),
            "table-descriptors" => Some(self.open_tables.usage().descriptors.to_string()),
            "table-openings" => Some(self.open_tables.usage().openings.to_string()),
            _ => None,
        }
    }
}
