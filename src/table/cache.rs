//! The open tables of a database.
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
    cache: Arc<TableCache>,
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

impl TableCache {
    /// A cache with the default memory budget. `max_files`: descriptors that tables may hold at once.
    pub fn new(
        env: Arc<dyn Env>,
        db: PathBuf,
        options: Arc<TableOptions>,
        read_mode: ReadMode,
        max_files: usize,
    ) -> Arc<Self> {
        Self::with_budget(env, db, options, read_mode, max_files, DEFAULT_TABLE_METADATA_BUDGET)
    }

    /// As `new`. `budget`: bytes of metadata that open tables may take.
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

    /// The table of file `number`; opens it if needed (`.ldb`, else `.sst`). NotFound with the path if the
    /// file is missing; the caller turns that into "Corruption: N missing files". Corruption if the size of
    /// the file is not `file_size`. Two threads that miss the same table may both open it; one of the two is
    /// kept.
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
            // Must precede the release of the list: after that, another database may ask for these bytes.
            self.process.shared.add(self, bytes);
            self.shrink(&mut list, self.budget, &mut closed);
        }
        drop(closed);
        self.keep_within_process();
        Ok(opened)
    }

    /// A permit to keep one more table open outside the list, and so usable without a search of the cache.
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
        Some(PinPermit { cache: self.clone(), number, bytes })
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

    /// The options that all these tables share.
    pub fn options(&self) -> &Arc<TableOptions> {
        &self.options
    }

    /// The directory of the database.
    pub fn db(&self) -> &Path {
        &self.db
    }

    /// The environment that files are opened through.
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
        // No pins are left, since each pin holds the cache.
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
