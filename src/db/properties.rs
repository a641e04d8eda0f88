//! What a database says of itself, by LevelDB's names, and the sizes of ranges.

use super::Db;
use super::state::DbInner;
use crate::format::NUM_LEVELS;
use std::fmt::Write;

impl Db {
    /// A property: `leveldb.num-files-at-level<N>`, `leveldb.stats`, `leveldb.sstables`, `leveldb.approximate-memory-usage`
    /// (bytes of memtables and block cache), and `terrace.background-error` (empty where there is none) and
    /// `terrace.recovery-damage` (a line for each part of a log that the last opening skipped), and `terrace.entries-stepped-over`
    /// (deleted and overwritten entries that iterators have gone past on their way forward, but for the first few of each move). Of tables: `terrace.open-tables`
    /// (how many have their index and filters in memory), `terrace.table-metadata-bytes` (what those take, see
    /// `Options::table_metadata_budget`), `terrace.table-descriptors` (by how many descriptors they are read; mapped ones need none)
    /// and `terrace.table-openings` (how often, since the database was opened, a table was opened and its index parsed). `None` for
    /// another name, and in a child of the process that opened the database.
    pub fn property(&self, name: &[u8]) -> Option<String> {
        self.inner.check_caller().ok()?;
        let name = std::str::from_utf8(name).ok()?;
        if let Some(property) = name.strip_prefix("terrace.") {
            return self.inner.own_property(property);
        }
        let property = name.strip_prefix("leveldb.")?;
        let state = self.inner.state.lock();
        let version = state.versions.current();
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
                    let (files, stats) = (version.num_files(level), &state.stats[level]);
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
                Some((state.memtables.memory_usage() + idle + cache).to_string())
            }
            _ => None,
        }
    }

    /// About how many bytes the user keys of each range [start, limit) take: those of table files, and of memtables that are
    /// full, or come from a log that the opening has read, and wait to become tables (uncompressed). The memtable that is
    /// written to does not count, as in LevelDB; nor does anything in a child of the process that opened the database.
    pub fn approximate_sizes(&self, ranges: &[(&[u8], &[u8])]) -> Vec<u64> {
        if !self.inner.process.is_current() {
            return vec![0; ranges.len()];
        }
        let view = self.inner.family.super_version.load();
        let before = |key: &[u8]| view.approximate_bytes_before(key);
        ranges.iter().map(|(start, limit)| before(limit).saturating_sub(before(start))).collect()
    }
}

impl DbInner {
    fn own_property(&self, name: &str) -> Option<String> {
        match name {
            "background-error" => {
                let state = self.state.lock();
                Some(state.failures.worst().map_or_else(String::new, |kept| kept.error.to_string()))
            }
            "recovery-damage" => {
                Some(self.recovery_damage.iter().map(|error| format!("{error}\n")).collect::<String>())
            }
            "entries-stepped-over" => Some(self.dead_spans.stepped_over().to_string()),
            "open-tables" => Some(self.family.table_cache.usage().tables.to_string()),
            "table-metadata-bytes" => Some(self.family.table_cache.usage().bytes.to_string()),
            "table-descriptors" => Some(self.family.table_cache.usage().descriptors.to_string()),
            "table-openings" => Some(self.family.table_cache.usage().openings.to_string()),
            _ => None,
        }
    }
}
