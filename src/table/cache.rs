//! The open tables of a database.
//!
//! What opening a table reads (index, filters, properties) stays in memory, charged to a budget (`metadata_budget`). Two kinds
//! are charged: tables in the list here, the least recently used of which are closed when there is no room, and tables pinned elsewhere
//! (files of a version hold their table, so that a look-up needs no lock). A table in use stays open until its last user
//! drops it.
//!
//! How many tables are open says nothing of descriptors: a mapped table has none, and the file of another is closed and opened again as
//! need be, while its index and filter stay (`env::on_demand`).
//!
//! Thread rule: any thread. One mutex guards the list; nothing is opened, read or closed under it, nor is another database asked for
//! memory.

use super::TableOptions;
use super::metadata_budget::{MetadataBudget, pinnable};
use super::reader::Table;
use crate::env::on_demand::OnDemandFiles;
use crate::env::{Env, ReadMode};
use crate::error::{Error, Result};
use crate::format::file_name;
use crate::options::DEFAULT_TABLE_METADATA_BUDGET;
use crate::util::lock::Mutex;
use crate::util::shared_budget::{Holder, Membership};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The open tables of a database.
pub struct TableCache {
    env: Arc<dyn Env>,
    db: PathBuf,
    options: Arc<TableOptions>,
    read_mode: ReadMode,
    files: Arc<OnDemandFiles>,
    /// Bytes that its tables may take.
    budget: usize,
    process: &'static MetadataBudget,
    membership: Membership,
    openings: AtomicU64,
    /// Of `List::pinned_bytes`; to be asked without a lock.
    pinned_bytes: AtomicUsize,
    list: Mutex<List>,
}

/// A place among the tables that stay open as long as their file is part of a version. Dropping it gives the place back.
pub struct PinPermit {
    cache: Arc<TableCache>,
    number: u64,
    bytes: usize,
}

/// What the tables of a database take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableUsage {
    /// Tables that are open, whether by a descriptor, by a mapping, or by what is in memory of them alone.
    pub tables: usize,
    /// Bytes of memory that their indexes, filters and properties take.
    pub bytes: usize,
    /// Descriptors.
    pub descriptors: usize,
    /// How often a table was opened, and so its index read and parsed.
    pub openings: u64,
}

#[derive(Default)]
struct List {
    /// By file number.
    tables: HashMap<u64, Listed>,
    /// File numbers by when they were used last.
    by_age: BTreeMap<u64, u64>,
    clock: u64,
    /// Of `tables`.
    bytes: usize,
    /// How often each file is pinned.
    pinned: HashMap<u64, usize>,
    pinned_bytes: usize,
}

struct Listed {
    table: Arc<Table>,
    bytes: usize,
    /// When it was used last.
    used: u64,
}

impl TableCache {
    /// `max_files`: descriptors that tables may hold at once. The budget of memory is the default one.
    pub fn new(
        env: Arc<dyn Env>,
        db: PathBuf,
        options: Arc<TableOptions>,
        read_mode: ReadMode,
        max_files: usize,
    ) -> Arc<Self> {
        Self::with_budget(env, db, options, read_mode, max_files, DEFAULT_TABLE_METADATA_BUDGET)
    }

    /// `budget`: bytes that open tables may take.
    pub fn with_budget(
        env: Arc<dyn Env>,
        db: PathBuf,
        options: Arc<TableOptions>,
        read_mode: ReadMode,
        max_files: usize,
        budget: usize,
    ) -> Arc<Self> {
        Self::in_process(env, db, options, read_mode, max_files, budget, MetadataBudget::of_process())
    }

    fn in_process(
        env: Arc<dyn Env>,
        db: PathBuf,
        options: Arc<TableOptions>,
        read_mode: ReadMode,
        max_files: usize,
        budget: usize,
        process: &'static MetadataBudget,
    ) -> Arc<Self> {
        process.join(budget);
        Arc::new(TableCache {
            files: OnDemandFiles::new(env.clone(), max_files),
            env,
            db,
            options,
            read_mode,
            budget,
            process,
            membership: Membership::default(),
            openings: AtomicU64::new(0),
            pinned_bytes: AtomicUsize::new(0),
            list: Mutex::default(),
        })
    }

    /// The open table of file `number`, opened if need be (`.ldb`, else `.sst`; missing: "Corruption: N missing files" is the
    /// caller's business, here NotFound with the path). A file whose size is not `file_size` is Corruption. Two threads that
    /// miss the same table may both open it; one of the two is kept.
    pub fn find(self: &Arc<Self>, number: u64, file_size: u64) -> Result<Arc<Table>> {
        if let Some(table) = self.list.lock().get(number) {
            return Ok(table);
        }
        let opened = self.open(number, file_size)?;
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
            // Before another database can ask for it, which it can once the list is let go.
            self.process.shared.add(self, bytes);
            self.shrink(&mut list, self.budget, &mut closed);
        }
        drop(closed);
        self.keep_within_process();
        Ok(opened)
    }

    /// A permit to keep one more table open outside of the cache's own list (and so without a look-up), while there is room.
    /// The table leaves the list, so that it is not charged twice.
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
        Some(PinPermit { cache: self.clone(), number, bytes })
    }

    /// Forgets the table of a file that is going to be removed.
    pub fn evict(&self, number: u64) {
        let removed = self.remove(&mut self.list.lock(), number);
        drop(removed);
    }

    /// What the open tables take now.
    pub fn usage(&self) -> TableUsage {
        let list = self.list.lock();
        TableUsage {
            tables: list.tables.len() + list.pinned.len(),
            bytes: list.bytes + list.pinned_bytes,
            descriptors: self.files.open(),
            openings: self.openings.load(Ordering::Relaxed),
        }
    }

    /// What tables have in common.
    pub fn options(&self) -> &Arc<TableOptions> {
        &self.options
    }

    /// The directory.
    pub fn db(&self) -> &Path {
        &self.db
    }

    /// The system.
    pub fn env(&self) -> &Arc<dyn Env> {
        &self.env
    }

    fn open(&self, number: u64, file_size: u64) -> Result<Arc<Table>> {
        self.openings.fetch_add(1, Ordering::Relaxed);
        let path = file_name::table(&self.db, number);
        let not_found = match self.open_path(path, file_size) {
            Err(error) if error.is_not_found() => error,
            other => return other,
        };
        match self.open_path(file_name::old_table(&self.db, number), file_size) {
            Err(error) if error.is_not_found() => Err(not_found),
            other => other,
        }
    }

    fn open_path(&self, path: PathBuf, file_size: u64) -> Result<Arc<Table>> {
        let file = self.env.open_random_access(&path, self.read_mode)?;
        let actual = match (file.mapping(), file.identity()) {
            (Some(mapping), _) => mapping.len() as u64,
            (None, Some(identity)) => identity.size,
            (None, None) => self.env.file_size(&path)?,
        };
        if actual != file_size {
            return Err(Error::corruption_in(
                &path,
                format_args!("the file has {actual} bytes, not the {file_size} bytes it was written with"),
            ));
        }
        let file = self.files.adopt(path.clone(), file);
        Table::open(self.options.clone(), file, path, file_size)
    }

    /// Takes a table out of the list.
    fn remove(&self, list: &mut List, number: u64) -> Option<Arc<Table>> {
        let removed = list.remove(number)?;
        self.process.shared.sub(removed.bytes);
        Some(removed.table)
    }

    /// Moves the tables used least recently to `closed` until list and pins take no more than `budget`; one table may always stay.
    /// Returns how many bytes that frees.
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

    /// Has databases of the process, this one first, close tables if all together take too much.
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

impl Holder for TableCache {
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

impl Drop for TableCache {
    fn drop(&mut self) {
        // There are no pins, since each holds the cache.
        self.process.shared.sub(self.list.get_mut().bytes);
        self.process.leave(self.budget);
    }
}

impl Drop for PinPermit {
    fn drop(&mut self) {
        let mut list = self.cache.list.lock();
        list.pinned_bytes -= self.bytes;
        self.cache.pinned_bytes.store(list.pinned_bytes, Ordering::Relaxed);
        if let Some(count) = list.pinned.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                list.pinned.remove(&self.number);
            }
        }
        drop(list);
        self.cache.process.unpin(self.bytes);
        self.cache.process.shared.sub(self.bytes);
    }
}

impl List {
    /// The table, which becomes the most recently used one.
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
#[path = "cache_tests.rs"]
mod tests;
