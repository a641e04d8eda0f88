//! Runs a workload, and writes down what was acknowledged when.

use super::oracle::{Contents, History, Write, key, value};
use super::workload::{Operation, Setup, Workload};
use std::path::Path;
use std::sync::Arc;
use terrace::env::Env;
use terrace::env::mem::{CrashChoice, MemEnv};
use terrace::{Db, Error, ReadOptions, WriteBatch, WriteOptions};

/// The directory of the database; its parent is the root.
pub const PATH: &str = "/db";

/// A database while a workload runs.
pub struct Driver {
    setup: Setup,
    disk: MemEnv,
    env: Arc<dyn Env>,
    db: Option<Db>,
    /// How much was written before it was opened.
    opened_after: usize,
    /// What was written so far.
    pub history: History,
}

impl Driver {
    /// A database on `disk`, which is reached through `env` and holds `base`; not open yet.
    pub fn new(setup: &Setup, disk: &MemEnv, env: Arc<dyn Env>, base: Contents) -> Driver {
        let env = setup.env(env);
        let history = History::new(base);
        Driver { setup: *setup, disk: disk.clone(), env, db: None, opened_after: 0, history }
    }

    /// The open database.
    pub fn db(&self) -> Option<&Db> {
        self.db.as_ref()
    }

    /// Opens it, if it is not open.
    pub fn open(&mut self) -> Result<&Db, Error> {
        if self.db.is_none() {
            self.db = Some(Db::open(&self.setup.options(self.env.clone()), Path::new(PATH))?);
            self.opened_after = self.history.len();
        }
        Ok(self.db.as_ref().expect("just opened"))
    }

    /// Does the open database show what it must?
    pub fn check_live(&self, found: &Contents) -> Result<(), String> {
        self.history.explain_live(found, self.opened_after)
    }

    /// Closes it, if it is open.
    pub fn close(&mut self) -> Result<(), Error> {
        self.db.take().map_or(Ok(()), Db::close)
    }

    /// Does one thing, opening the database first where that failed before.
    pub fn apply(&mut self, operation: &Operation) -> Result<(), Error> {
        match operation {
            Operation::Put { key, length, sync } => self.write(&[(*key, Some(*length))], *sync, true),
            Operation::Delete { key, sync } => self.write(&[(*key, None)], *sync, true),
            Operation::Batch { changes, sync } => self.write(changes, *sync, false),
            Operation::Rotate => self.open()?.rotate_memtable(),
            Operation::Flush => self.open()?.flush().map(|()| self.note_barrier()),
            Operation::Compact => self.open()?.compact_range(None, None).map(|()| self.note_barrier()),
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
        let number = self.history.len();
        let changes: Vec<_> = changes
            .iter()
            .map(|&(name, length)| (key(name), length.map(|length| value(number, name, length))))
            .collect();
        let start = self.disk.operation_count();
        let db = self.db.as_ref().expect("just opened");
        let options = WriteOptions { sync };
        let result = match &changes[..] {
            [(key, Some(value))] if alone => db.put(&options, key, value),
            [(key, None)] if alone => db.delete(&options, key),
            _ => {
                let mut batch = WriteBatch::new();
                for (key, value) in &changes {
                    match value {
                        Some(value) => batch.put(key, value),
                        None => batch.delete(key),
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
}

fn is_log_write(operation: &str) -> bool {
    operation.contains(": write ") && operation.contains(".log ")
}

/// A workload that has run, without an error.
pub struct Run {
    /// The disk, and all that happened to it.
    pub disk: MemEnv,
    /// What was written.
    pub history: History,
    /// When the database was open for the first time.
    pub opened: usize,
}

/// A disk on which the first part of a workload is durable, and what it holds.
pub fn prepare(setup: &Setup, before: &[Operation]) -> Result<(MemEnv, Contents), Error> {
    let disk = MemEnv::with_journal();
    if before.is_empty() {
        return Ok((disk, Contents::new()));
    }
    let mut driver = Driver::new(setup, &disk, disk.shared(), Contents::new());
    before.iter().try_for_each(|operation| driver.apply(operation))?;
    driver.close()?;
    Ok((disk.crash_clone(CrashChoice::Everything), driver.history.now().clone()))
}

/// Runs a workload to its end and closes the database: a crash may come while it closes, too.
pub fn run(workload: &Workload) -> Result<Run, Error> {
    let (disk, base) = prepare(&workload.setup, &workload.before)?;
    let mut driver = Driver::new(&workload.setup, &disk, disk.shared(), base);
    driver.open()?;
    let opened = disk.operation_count();
    workload.operations.iter().try_for_each(|operation| driver.apply(operation))?;
    driver.close()?;
    Ok(Run { disk, history: driver.history, opened })
}

/// All that a database holds, read by iteration and again key by key.
pub fn contents(db: &Db) -> Result<Contents, String> {
    let options = ReadOptions { verify_checksums: true, ..ReadOptions::default() };
    let mut iterator = db.iter(&options);
    let mut contents = Contents::new();
    iterator.seek_to_first();
    while iterator.valid() {
        contents.insert(iterator.key().to_vec(), Arc::new(iterator.value().to_vec()));
        iterator.next();
    }
    iterator.status().map_err(|error| format!("iteration fails: {error}"))?;
    for number in 0..super::workload::KEYS {
        let key = key(number);
        let got = db.get(&options, &key).map_err(|error| format!("get fails: {error}"))?;
        if got.as_ref() != contents.get(&key).map(|value| &**value) {
            return Err(format!("get of {} differs from iteration", key.escape_ascii()));
        }
    }
    Ok(contents)
}
