//! One column family: what is fixed of it, and what changes under the state mutex.

use super::super_version::SuperVersion;
use crate::format::internal_key::InternalKeyComparator;
use crate::memtable::list::{ImmutableMemtable, MemtableList};
use crate::memtable::memtable::Memtable;
use crate::table::cache::TableCache;
use crate::util::sync::Published;
use crate::version::version::Version;
use std::sync::Arc;

/// What is fixed of a family, and the super version that readers take without a lock.
pub struct ColumnFamily {
    /// The order of its entries.
    pub comparator: InternalKeyComparator,
    /// Its open tables.
    pub table_cache: Arc<TableCache>,
    /// What reads see now.
    pub super_version: Published<SuperVersion>,
}

/// The memtables of a family; under the state mutex.
pub struct FamilyMemtables {
    /// The one that is written to.
    pub active: Arc<Memtable>,
    /// The log that holds the active memtable's first entry; logs below hold nothing of it.
    pub active_log_number: u64,
    /// Those that wait for their flush.
    pub immutables: MemtableList,
}

impl FamilyMemtables {
    /// An empty list behind `active`.
    pub fn new(active: Arc<Memtable>, active_log_number: u64) -> Self {
        FamilyMemtables { active, active_log_number, immutables: MemtableList::default() }
    }

    /// Makes the active memtable immutable and `memtable`, whose entries go to log `log_number`, the active one.
    pub fn rotate(&mut self, memtable: Arc<Memtable>, log_number: u64) {
        let full = std::mem::replace(&mut self.active, memtable);
        self.immutables.push(ImmutableMemtable { memtable: full, log_number: self.active_log_number });
        self.active_log_number = log_number;
    }

    /// The super version of these memtables and `version`.
    pub fn super_version(&self, version: Arc<Version>) -> Arc<SuperVersion> {
        let immutables = self.immutables.newest_first().map(|immutable| immutable.memtable.clone()).collect();
        Arc::new(SuperVersion::new(self.active.clone(), immutables, version))
    }

    /// The oldest log that is still needed once the `flushed` oldest immutable memtables are in durable tables.
    pub fn log_number_behind(&self, flushed: usize) -> u64 {
        self.immutables.oldest_first().nth(flushed).map_or(self.active_log_number, |next| next.log_number)
    }

    /// Bytes of all of them, with their indexes.
    pub fn memory_usage(&self) -> usize {
        let immutables = self.immutables.oldest_first().map(|immutable| &immutable.memtable);
        let all = immutables.chain([&self.active]);
        all.map(|one| one.approximate_memory_usage() + one.index_memory_usage()).sum()
    }
}
