//! The open tables of a database, bounded in number.
//!
//! Two kinds count against the capacity: tables in the list here, the least recently used of which is closed when there is
//! no room, and tables pinned elsewhere (files of a version hold their table, so that a look-up needs no lock), of which
//! there are at most three quarters of the capacity. A table in use stays open until its last user drops it.
//!
//! One mutex guards the list; nothing is opened, read or closed under it.

use super::TableOptions;
use super::reader::Table;
use crate::env::{Env, ReadMode};
use crate::error::{Error, Result};
use crate::format::file_name;
use crate::util::lock::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The open tables of a database, at most as many as `max_open_files` allows.
pub struct TableCache {
    env: Arc<dyn Env>,
    db: PathBuf,
    options: Arc<TableOptions>,
    read_mode: ReadMode,
    capacity: usize,
    list: Mutex<List>,
}

/// A place among the tables that stay open as long as their file is part of a version. Dropping it gives the place back.
pub struct PinPermit {
    cache: Arc<TableCache>,
    number: u64,
}

#[derive(Default)]
struct List {
    /// By file number: the table, and when it was used last.
    tables: HashMap<u64, (Arc<Table>, u64)>,
    /// File numbers by that time.
    by_age: BTreeMap<u64, u64>,
    clock: u64,
    /// How often each file is pinned, and the sum of that.
    pinned: HashMap<u64, usize>,
    pins: usize,
}

impl TableCache {
    /// `capacity`: tables open at once.
    pub fn new(
        env: Arc<dyn Env>,
        db: PathBuf,
        options: Arc<TableOptions>,
        read_mode: ReadMode,
        capacity: usize,
    ) -> Arc<Self> {
        Arc::new(TableCache { env, db, options, read_mode, capacity, list: Mutex::default() })
    }

    /// The open table of file `number`, opened if need be (`.ldb`, else `.sst`; missing: "Corruption: N missing files" is the
    /// caller's business, here NotFound with the path). A file whose size is not `file_size` is Corruption. Two threads that
    /// miss the same table may both open it; one of the two is kept.
    pub fn find(&self, number: u64, file_size: u64) -> Result<Arc<Table>> {
        if let Some(table) = self.list.lock().get(number) {
            return Ok(table);
        }
        let opened = self.open(number, file_size)?;
        let mut closed = Vec::new();
        let mut list = self.list.lock();
        if let Some(table) = list.get(number) {
            drop(list);
            return Ok(table);
        }
        if !list.pinned.contains_key(&number) {
            list.insert(number, opened.clone());
            list.shrink(self.capacity, &mut closed);
        }
        drop(list);
        Ok(opened)
    }

    /// A permit to keep one more table open outside of the cache's own list (and so without a look-up), while there is room.
    /// The table leaves the list, so that it is not counted twice.
    pub fn try_pin(self: &Arc<Self>, number: u64) -> Option<PinPermit> {
        let mut closed = Vec::new();
        let mut list = self.list.lock();
        if list.pins >= self.capacity - self.capacity / 4 {
            return None;
        }
        list.pins += 1;
        *list.pinned.entry(number).or_default() += 1;
        closed.extend(list.remove(number));
        list.shrink(self.capacity, &mut closed);
        drop(list);
        Some(PinPermit { cache: self.clone(), number })
    }

    /// Forgets the table of a file that is going to be removed.
    pub fn evict(&self, number: u64) {
        let removed = self.list.lock().remove(number);
        drop(removed);
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
        let actual = self.env.file_size(&path)?;
        if actual != file_size {
            return Err(Error::corruption_in(
                &path,
                format_args!("the file has {actual} bytes, not the {file_size} bytes it was written with"),
            ));
        }
        Table::open(self.options.clone(), file, path, file_size)
    }
}

impl Drop for PinPermit {
    fn drop(&mut self) {
        let mut list = self.cache.list.lock();
        list.pins -= 1;
        if let Some(count) = list.pinned.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                list.pinned.remove(&self.number);
            }
        }
    }
}

impl List {
    /// The table, which becomes the most recently used one.
    fn get(&mut self, number: u64) -> Option<Arc<Table>> {
        let (table, used) = self.tables.get_mut(&number)?;
        self.clock += 1;
        self.by_age.remove(used);
        self.by_age.insert(self.clock, number);
        *used = self.clock;
        Some(table.clone())
    }

    fn insert(&mut self, number: u64, table: Arc<Table>) {
        self.clock += 1;
        self.by_age.insert(self.clock, number);
        self.tables.insert(number, (table, self.clock));
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Table>> {
        let (table, used) = self.tables.remove(&number)?;
        self.by_age.remove(&used);
        Some(table)
    }

    /// Moves the oldest tables to `closed` until list and pins fit `capacity`; one table may always stay.
    fn shrink(&mut self, capacity: usize, closed: &mut Vec<Arc<Table>>) {
        let room = capacity.saturating_sub(self.pins).max(1);
        while self.tables.len() > room {
            let Some((_, number)) = self.by_age.pop_first() else { return };
            closed.extend(self.tables.remove(&number).map(|(table, _)| table));
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
