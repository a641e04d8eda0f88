//! Runs a workload, and records when each write was acknowledged.

use super::oracle::{Contents, History, Write, key, value};
use super::workload::{FAMILIES, KEYS, Operation, Setup, Workload};
use std::sync::Arc;
use terrace::env::Env;
use terrace::env::mem::{CrashChoice, MemEnv};
use terrace::{ColumnFamilyHandle, Db, Error, ReadOptions, WriteBatch, WriteOptions};

/// The directory of the database; its parent is the root.
pub const PATH: &str = "/db";

/// A database during a workload.
pub struct Driver {
    setup: Setup,
    disk: MemEnv,
    env: Arc<dyn Env>,
    db: Option<Db>,
    /// The number of writes before the last open.
    opened_after: usize,
    /// The writes so far.
    pub history: History,
}

impl Driver {
    /// A database on `disk`, used through `env`, with the contents `base`. It is not open yet.
    pub fn new(setup: &Setup, disk: &MemEnv, env: Arc<dyn Env>, base: Contents) -> Driver {
        let env = setup.env(env);
        let history = History::new(base);
        Driver { setup: *setup, disk: disk.clone(), env, db: None, opened_after: 0, history }
    }

    /// The database; `None` if it is not open.
    pub fn db(&self) -> Option<&Db> {
        self.db.as_ref()
    }

    /// Opens the database, if it is not open.
    pub fn open(&mut self) -> Result<&Db, Error> {
        if self.db.is_none() {
            self.db = Some(self.setup.open(&self.setup.options(self.env.clone()))?);
            self.opened_after = self.history.len();
        }
        Ok(self.db.as_ref().expect("just opened"))
    }

    /// Checks the contents of the open database.
    pub fn check_live(&self, found: &Contents) -> Result<(), String> {
        self.history.explain_live(found, self.opened_after)
    }

    /// Closes the database, if it is open.
    pub fn close(&mut self) -> Result<(), Error> {
        self.db.take().map_or(Ok(()), Db::close)
    }

    /// Runs one operation. Opens the database first if an earlier open has failed.
    pub fn apply(&mut self, operation: &Operation) -> Result<(), Error> {
        match operation {
            Operation::Put { key, length, sync } => self.write(&[(*key, Some(*length))], *sync, true),
            Operation::Delete { key, sync } => self.write(&[(*key, None)], *sync, true),
            Operation::Batch { changes, sync } => self.write(changes, *sync, false),
            Operation::Rotate => self.open()?.rotate_memtable(),
            Operation::Flush => self.open()?.flush().map(|()| self.note_barrier()),
            Operation::Compact => {
                let db = self.open()?;
                let named = FAMILIES.iter().filter_map(|name| db.column_family(name));
                let families: Vec<_> = std::iter::once(db.default_column_family()).chain(named).collect();
                families.iter().try_for_each(|family| db.compact_range_cf(family, None, None))?;
                self.note_barrier();
                Ok(())
            }
            Operation::FlushFamily { key } => {
                let family = self.family_of(*key)?;
                let db = self.open()?;
                db.flush_cf(&family.unwrap_or_else(|| db.default_column_family()))
            }
            Operation::Recreate { key } => self.recreate(*key),
            Operation::Upgrade => self.open()?.upgrade_tables(),
            Operation::Reopen => {
                let closed = self.close();
                self.open()?;
                closed
            }
        }
    }

    fn note_barrier(&mut self) {
        self.history.record_barrier(self.disk.operation_count());
    }

    fn write(&mut self, changes: &[(u8, Option<usize>)], sync: bool, alone: bool) -> Result<(), Error> {
        self.open()?;
        let names = changes;
        let families: Vec<_> =
            names.iter().map(|&(number, _)| self.family_of(number)).collect::<Result<_, _>>()?;
        let number = self.history.len();
        let changes: Vec<_> = names
            .iter()
            .map(|&(name, length)| (key(name), length.map(|length| value(number, name, length))))
            .collect();
        let start = self.disk.operation_count();
        let db = self.db.as_ref().expect("just opened");
        let options = WriteOptions { sync };
        let result = match (&changes[..], &families[..]) {
            ([(key, Some(value))], [None]) if alone => db.put(&options, key, value),
            ([(key, None)], [None]) if alone => db.delete(&options, key),
            ([(key, Some(value))], [Some(family)]) if alone => db.put_cf(family, &options, key, value),
            ([(key, None)], [Some(family)]) if alone => db.delete_cf(family, &options, key),
            _ => {
                let mut batch = WriteBatch::new();
                for ((key, value), family) in changes.iter().zip(&families) {
                    match (value, family) {
                        (Some(value), None) => batch.put(key, value),
                        (None, None) => batch.delete(key),
                        (Some(value), Some(family)) => batch.put_cf(family, key, value),
                        (None, Some(family)) => batch.delete_cf(family, key),
                    }
                }
                db.write(&options, &batch)
            }
        };
        let end = self.disk.operation_count();
        let failed = result.is_err();
        let left_traces = (start..end).any(|index| is_log_write(&self.disk.describe_operation(index)));
        self.history.record(Write { start, end, sync, failed, left_traces, changes });
        result
    }

    /// Drops the family of a key, and creates another one with its name. For the history, the drop is a
    /// synced write that deletes all its keys. It is durable by itself, so everything before is made durable
    /// first.
    fn recreate(&mut self, number: u8) -> Result<(), Error> {
        let Some(name) = self.setup.family_of(number) else { return Ok(()) };
        self.write(&[], true, false)?;
        let setup = self.setup;
        let numbers = (0..KEYS).filter(|&number| setup.family_of(number) == Some(name));
        let changes = numbers.map(|number| (key(number), None)).collect();
        let dropped = self.family_of(number)?.expect("a key of a named family");
        let start = self.disk.operation_count();
        let db = self.db.as_ref().expect("just opened");
        let result = db.drop_column_family(&dropped);
        let end = self.disk.operation_count();
        let failed = result.is_err();
        self.history.record(Write { start, end, sync: true, failed, left_traces: true, changes });
        result?;
        self.family_of(number).map(drop)
    }

    /// The family that has the key; `None`: the default one. It is created if it is missing: after a drop,
    /// and after a creation that failed.
    fn family_of(&mut self, key: u8) -> Result<Option<ColumnFamilyHandle>, Error> {
        let Some(name) = self.setup.family_of(key) else { return Ok(None) };
        let options = self.setup.options(self.env.clone());
        let db = self.open()?;
        db.column_family(name).map_or_else(|| db.create_column_family(name, &options), Ok).map(Some)
    }
}

fn is_log_write(operation: &str) -> bool {
    operation.contains(": write ") && operation.contains(".log ")
}

/// A workload that has run without an error.
pub struct Run {
    /// The disk, with its recorded changes.
    pub disk: MemEnv,
    pub history: History,
    /// The moment after the first open.
    pub opened: usize,
}

/// Runs the first part of a workload. Returns a disk on which it is durable, and the contents of the
/// database.
pub fn prepare(setup: &Setup, before: &[Operation]) -> Result<(MemEnv, Contents), Error> {
    let disk = MemEnv::with_journal();
    if before.is_empty() {
        return Ok((disk, Contents::new()));
    }
    let setup = Setup { families: setup.families && !setup.switches, ..*setup };
    let mut driver = Driver::new(&setup, &disk, disk.shared(), Contents::new());
    before.iter().try_for_each(|operation| driver.apply(operation))?;
    driver.close()?;
    Ok((disk.crash_clone(CrashChoice::Everything), driver.history.now().clone()))
}

/// Runs a workload to its end and closes the database. (Crashes during the close are tested too.)
pub fn run(workload: &Workload) -> Result<Run, Error> {
    let (disk, base) = prepare(&workload.setup, &workload.before)?;
    let mut driver = Driver::new(&workload.setup, &disk, disk.shared(), base);
    driver.open()?;
    let opened = disk.operation_count();
    workload.operations.iter().try_for_each(|operation| driver.apply(operation))?;
    driver.close()?;
    Ok(Run { disk, history: driver.history, opened })
}

/// The contents of a database, of all its families. Checks that iteration and look-ups return the same, and
/// that no key is in two families.
pub fn contents(db: &Db) -> Result<Contents, String> {
    let options = ReadOptions { verify_checksums: true, ..ReadOptions::default() };
    let mut contents = Contents::new();
    let named = FAMILIES.iter().filter_map(|name| db.column_family(name));
    for family in std::iter::once(db.default_column_family()).chain(named) {
        let mut iterator = db.iter_cf(&family, &options);
        let mut of_family = Contents::new();
        iterator.seek_to_first();
        while iterator.valid() {
            of_family.insert(iterator.key().to_vec(), Arc::new(iterator.value().to_vec()));
            iterator.next();
        }
        iterator.status().map_err(|error| format!("iteration fails: {error}"))?;
        for number in 0..KEYS {
            let key = key(number);
            let got = db.get_cf(&family, &options, &key).map_err(|error| format!("get fails: {error}"))?;
            if got.as_ref() != of_family.get(&key).map(|value| &**value) {
                return Err(format!("get of {} differs from iteration", key.escape_ascii()));
            }
            if got.is_some() && contents.contains_key(&key) {
                return Err(format!("{} is in two families", key.escape_ascii()));
            }
        }
        contents.extend(of_family);
    }
    Ok(contents)
}
