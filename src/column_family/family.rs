//! One column family: its fixed part, and its memtables.
//!
//! Thread rule: `ColumnFamily` is used by any thread without a lock; `FamilyMemtables` is guarded by the
//! state mutex.

use super::dead_spans::DeadSpans;
use super::found_compression::FoundCompression;
use super::super_version::SuperVersion;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::InternalKeyComparator;
use crate::memtable::Memtable;
use crate::memtable::list::{ImmutableMemtable, MemtableList};
use crate::options::ColumnFamilyOptions;
use crate::table::cache::TableCache;
use crate::util::sync::Published;
use crate::version::Version;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The fixed part of a family, and what readers and writers use of the family without the state mutex.
pub struct ColumnFamily {
    /// The number of the family.
    pub id: ColumnFamilyId,
    /// The name of the family.
    pub name: Vec<u8>,
    /// Set when the family was dropped, durably. What its handles and iterators read stays; writes are
    /// refused.
    pub is_dropped: AtomicBool,
    /// A hint: where the writer's list of families has this one.
    pub place: AtomicUsize,
    /// The sanitized options of the family.
    pub options: ColumnFamilyOptions,
    /// The order of the family's internal keys.
    pub comparator: InternalKeyComparator,
    /// The open tables of the family that are not pinned, and the options with which tables are read and
    /// written.
    pub table_cache: Arc<TableCache>,
    /// The codec of the family's existing tables.
    pub found_compression: FoundCompression,
    /// Ranges of user keys in which iterators found nothing live.
    pub dead_spans: DeadSpans,
    /// The super version that reads take.
    pub super_version: Published<SuperVersion>,
}

impl ColumnFamily {
    /// Fails if the family was dropped.
    #[inline]
    pub fn check_alive(&self) -> Result<()> {
        if self.is_dropped.load(Ordering::Acquire) { Err(self.dropped_error()) } else { Ok(()) }
    }

    /// The error of a write to a family that was dropped.
    #[cold]
    pub fn dropped_error(&self) -> Error {
        Error::invalid_argument(format!("the column family '{}' was dropped", self.name.escape_ascii()))
    }
}

/// The memtables of a column family. Guarded by the state mutex.
pub struct FamilyMemtables {
    /// The memtable that writes go to.
    pub active: Arc<Memtable>,
    /// The WAL that holds the first entry of the active memtable; the newest WAL, if it has none. WALs with
    /// lower numbers hold none of its entries.
    pub active_log_number: u64,
    /// The memtables that wait to be flushed.
    pub immutables: MemtableList,
}

impl FamilyMemtables {
    /// `active`, and an empty list of immutable memtables.
    pub fn new(active: Arc<Memtable>, active_log_number: u64) -> Self {
        FamilyMemtables { active, active_log_number, immutables: MemtableList::default() }
    }

    /// The memtable switch: makes the active memtable immutable, and `memtable` active. The entries of
    /// `memtable` go to WAL `log_number`.
    pub fn rotate(&mut self, memtable: Arc<Memtable>, log_number: u64) {
        let full = std::mem::replace(&mut self.active, memtable);
        self.immutables.push(ImmutableMemtable { memtable: full, log_number: self.active_log_number });
        self.active_log_number = log_number;
    }

    /// A WAL was started, with this number, because the memtable of another family was switched. If the
    /// active memtable is empty, it needs no older WAL.
    pub fn wal_switched(&mut self, log_number: u64) {
        if self.active.is_empty() {
            self.active_log_number = log_number;
        }
    }

    /// The oldest WAL that has entries of these memtables, or else the newest one.
    pub fn oldest_needed_log(&self) -> u64 {
        self.log_number_after(0)
    }

    /// A super version of these memtables and of `version`.
    pub fn super_version(&self, version: Arc<Version>) -> Arc<SuperVersion> {
        let immutables = self.immutables.newest_first().map(|immutable| immutable.memtable.clone()).collect();
        Arc::new(SuperVersion::new(self.active.clone(), immutables, version))
    }

    /// The oldest WAL that is still needed after the `flushed` oldest immutable memtables have become durable
    /// tables.
    pub fn log_number_after(&self, flushed: usize) -> u64 {
        self.immutables.oldest_first().nth(flushed).map_or(self.active_log_number, |next| next.log_number)
    }

    /// The memory of all memtables in bytes, their indexes included.
    pub fn memory_usage(&self) -> usize {
        let immutables = self.immutables.oldest_first().map(|immutable| &immutable.memtable);
        let all = immutables.chain([&self.active]);
        all.map(|one| one.approximate_memory_usage() + one.index_memory_usage()).sum()
    }
}
