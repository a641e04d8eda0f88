//! The open tables of a database, of all its families: the bounds on what they take, and which are closed.
//! How a family's tables are opened is [`super::cache`]'s business.
//!
//! A file number belongs to one family, so it names a table here.
//!
//! What opening a table reads (index, filters, properties) stays in memory and is charged to a budget
//! (`metadata_budget`). Two kinds of open tables are charged: tables in the list here, of which the least
//! recently used are closed if there is no room; and tables pinned elsewhere (the files of a version hold
//! their tables, so that look-ups need no lock). A table in use stays open until its last user drops it.
//!
//! The number of open tables does not bound descriptors. A mapped table has no descriptor. The file of a
//! table that is not mapped is closed and reopened as needed, while its index and filters stay in memory
//! (`env::on_demand`).
//!
//! Thread rule: any thread. One mutex guards the list. Under it no file is opened, read or closed, and no
//! other database is asked to give memory back.

use super::metadata_budget::{MetadataBudget, pinnable};
use super::reader::Table;
use crate::env::on_demand::OnDemandFiles;
use crate::env::{Env, RandomAccessFile};
use crate::error::Result;
use crate::util::lock::Mutex;
use crate::util::shared_budget::{Holder, Membership};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The open tables of a database.
pub struct OpenTables {
    env: Arc<dyn Env>,
    files: Arc<OnDemandFiles>,
    /// The bytes of metadata that this database's open tables may take.
    budget: usize,
    process: &'static MetadataBudget,
    membership: Membership,
    openings: AtomicU64,
    /// A copy of `List::pinned_bytes`, readable without the lock.
    pinned_bytes: AtomicUsize,
    list: Mutex<List>,
}

/// Permission to keep one table open outside the list, as long as its file is part of a version. Dropping it
/// returns its bytes to the budget.
pub struct PinPermit {
    open_tables: Arc<OpenTables>,
    number: u64,
    bytes: usize,
}

/// What the open tables of a database take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableUsage {
    /// Open tables: with a descriptor, with a mapping, or with neither while only their metadata is in
    /// memory.
    pub tables: usize,
    /// Bytes of memory that their indexes, filters and properties take.
    pub bytes: usize,
    /// Open descriptors.
    pub descriptors: usize,
    /// How often a table was opened, and so an index was read and parsed, since the database was opened.
    pub openings: u64,
}

#[derive(Default)]
struct List {
    /// The listed tables, by file number.
    tables: HashMap<u64, Listed>,
    /// Time of last use (see `clock`) to file number.
    by_age: BTreeMap<u64, u64>,
    clock: u64,
    /// Bytes of the listed tables.
    bytes: usize,
    /// How often each file is pinned, by file number.
    pinned: HashMap<u64, usize>,
    pinned_bytes: usize,
}

struct Listed {
    table: Arc<Table>,
    bytes: usize,
    /// The value of `List::clock` at the last use.
    used: u64,
}

impl OpenTables {
    /// No open tables. `max_files`: descriptors that tables may hold at once. `budget`: bytes of metadata
    /// that open tables may take.
    pub fn new(env: Arc<dyn Env>, max_files: usize, budget: usize) -> Arc<Self> {
        Self::in_process(env, max_files, budget, MetadataBudget::of_process())
    }

    fn in_process(
        env: Arc<dyn Env>,
        max_files: usize,
        budget: usize,
        process: &'static MetadataBudget,
    ) -> Arc<Self> {
        process.join(budget);
        Arc::new(OpenTables {
            files: OnDemandFiles::new(env.clone(), max_files),
            env,
            budget,
            process,
            membership: Membership::default(),
            openings: AtomicU64::new(0),
            pinned_bytes: AtomicUsize::new(0),
            list: Mutex::default(),
        })
    }

    /// The table of file `number`; calls `open` if it is not open. Two threads that miss the same table may
    /// both open it; one of the two is kept.
    pub fn find(
        self: &Arc<Self>,
        number: u64,
        open: impl FnOnce() -> Result<Arc<Table>>,
    ) -> Result<Arc<Table>> {
        if let Some(table) = self.list.lock().get(number) {
            return Ok(table);
        }
        self.openings.fetch_add(1, Ordering::Relaxed);
        let opened = open()?;
        let bytes = opened.memory_usage();
        let mut closed = Vec::new();
        {
            let mut list = self.list.lock();
            if let Some(table) = list.get(number) {
                drop(list);
                return Ok(table);
            }
            if list.pinned.contains_key(&number) {
                return Ok(opened);
            }
            list.insert(number, opened.clone(), bytes);
            // Must precede the release of the list: after that, another database may ask for these bytes.
            self.process.shared.add(self, bytes);
            self.shrink(&mut list, self.budget, &mut closed);
        }
        drop(closed);
        self.keep_within_process();
        Ok(opened)
    }

    /// Registers the file of a table that was just opened as `path`, and returns the file to read through: it
    /// is closed and opened again as the bound on descriptors demands.
    pub fn adopt(&self, path: PathBuf, file: Arc<dyn RandomAccessFile>) -> Arc<dyn RandomAccessFile> {
        self.files.adopt(path, file)
    }

    /// A permit to keep one more table open outside the list, and so usable without a search of the list.
    /// `None` if there is no room. The table leaves the list, so that it is not charged twice.
    pub fn try_pin(self: &Arc<Self>, number: u64, table: &Table) -> Option<PinPermit> {
        let bytes = table.memory_usage();
        let fits = |pinned: usize| pinned.checked_add(bytes).is_some_and(|sum| sum <= pinnable(self.budget));
        if !fits(self.pinned_bytes.load(Ordering::Relaxed)) || !self.process.try_pin(bytes) {
            return None;
        }
        let mut closed = Vec::new();
        {
            let mut list = self.list.lock();
            if !fits(list.pinned_bytes) {
                drop(list);
                self.process.unpin(bytes);
                return None;
            }
            list.pinned_bytes += bytes;
            self.pinned_bytes.store(list.pinned_bytes, Ordering::Relaxed);
            *list.pinned.entry(number).or_default() += 1;
            self.process.shared.add(self, bytes);
            closed.extend(self.remove(&mut list, number));
            self.shrink(&mut list, self.budget, &mut closed);
        }
        drop(closed);
        self.keep_within_process();
        Some(PinPermit { open_tables: self.clone(), number, bytes })
    }

    /// Drops the table of a file that is about to be removed.
    pub fn evict(&self, number: u64) {
        let removed = self.remove(&mut self.list.lock(), number);
        drop(removed);
    }

    /// What the open tables take at the moment.
    pub fn usage(&self) -> TableUsage {
        let list = self.list.lock();
        TableUsage {
            tables: list.tables.len() + list.pinned.len(),
            bytes: list.bytes + list.pinned_bytes,
            descriptors: self.files.open(),
            openings: self.openings.load(Ordering::Relaxed),
        }
    }

    /// The environment that files are opened through.
    pub fn env(&self) -> &Arc<dyn Env> {
        &self.env
    }

    /// Takes a table off the list, and its bytes off the budget of the process.
    fn remove(&self, list: &mut List, number: u64) -> Option<Arc<Table>> {
        let removed = list.remove(number)?;
        self.process.shared.sub(removed.bytes);
        Some(removed.table)
    }

    /// Moves the least recently used tables to `closed` until list and pins take at most `budget` bytes; one
    /// table may always stay. Returns how many bytes that frees.
    fn shrink(&self, list: &mut List, budget: usize, closed: &mut Vec<Arc<Table>>) -> usize {
        let mut freed = 0;
        while list.bytes + list.pinned_bytes > budget && list.tables.len() > 1 {
            let Some((_, &number)) = list.by_age.first_key_value() else { break };
            let before = list.bytes;
            closed.extend(self.remove(list, number));
            freed += before - list.bytes;
        }
        freed
    }

    /// If the databases of this process together are over the limit, has them close tables, this one first.
    fn keep_within_process(&self) {
        let excess = self.process.excess();
        if excess > 0 {
            let freed = self.give_back(excess);
            if freed < excess {
                self.process.shared.reclaim(excess - freed);
            }
        }
    }
}

impl Holder for OpenTables {
    fn give_back(&self, wanted: usize) -> usize {
        let mut closed = Vec::new();
        let freed = {
            let mut list = self.list.lock();
            let budget = (list.bytes + list.pinned_bytes).saturating_sub(wanted);
            self.shrink(&mut list, budget, &mut closed)
        };
        drop(closed);
        freed
    }

    fn holds_any(&self) -> bool {
        self.list.lock().tables.len() > 1
    }

    fn membership(&self) -> &Membership {
        &self.membership
    }
}

impl Drop for OpenTables {
    fn drop(&mut self) {
        // No pins are left, since each pin holds the open tables.
        self.process.shared.sub(self.list.get_mut().bytes);
        self.process.leave(self.budget);
    }
}

impl Drop for PinPermit {
    fn drop(&mut self) {
        let mut list = self.open_tables.list.lock();
        list.pinned_bytes -= self.bytes;
        self.open_tables.pinned_bytes.store(list.pinned_bytes, Ordering::Relaxed);
        if let Some(count) = list.pinned.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                list.pinned.remove(&self.number);
            }
        }
        drop(list);
        self.open_tables.process.unpin(self.bytes);
        self.open_tables.process.shared.sub(self.bytes);
    }
}

impl List {
    /// Looks a table up and makes it the most recently used one.
    fn get(&mut self, number: u64) -> Option<Arc<Table>> {
        let listed = self.tables.get_mut(&number)?;
        self.clock += 1;
        self.by_age.remove(&listed.used);
        self.by_age.insert(self.clock, number);
        listed.used = self.clock;
        Some(listed.table.clone())
    }

    fn insert(&mut self, number: u64, table: Arc<Table>, bytes: usize) {
        self.clock += 1;
        self.by_age.insert(self.clock, number);
        self.bytes += bytes;
        self.tables.insert(number, Listed { table, bytes, used: self.clock });
    }

    fn remove(&mut self, number: u64) -> Option<Listed> {
        let removed = self.tables.remove(&number)?;
        self.by_age.remove(&removed.used);
        self.bytes -= removed.bytes;
        Some(removed)
    }
}

#[cfg(test)]
mod tests;
