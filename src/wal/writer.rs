//! The log that is written to, and what is not durable yet of it and of the logs before it.
//!
//! What a successful `sync` promises holds for *everything* appended before it, so it makes durable, in this
//! order: the older logs that have unsynced records, the names of logs (in their directory), this log. A new
//! log's name is not durable until then: the directory is synced once for each log, not when it is created,
//! since most writes never ask for it.
//!
//! A log begins with a marker (see `marker`), written together with its first record: an empty log stays empty.
//!
//! One thread at a time. After a failed append, sync or close nobody knows what the files hold, so nothing
//! is ever appended or synced again: every later call fails with the first error. What was acknowledged is
//! still in memtables; when those are in durable tables, a new `WalWriter` may take over. An append or a sync that was refused
//! before it did anything is another matter: then `poisoned` says nothing, and all is as it was before the call.

use super::marker;
use super::older_logs::OlderLogs;
use crate::env::{CreateMode, Env, LogFileOptions};
use crate::error::{Error, Result};
use crate::format::file_name;
use crate::format::internal_key::SequenceNumber;
use crate::record::writer::RecordWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One log file.
pub(super) struct Log {
    pub(super) number: u64,
    /// The last sequence number of the logs before it.
    logged_before: SequenceNumber,
    pub(super) writer: RecordWriter,
    /// It has records that were not synced.
    is_dirty: bool,
    /// A crash of the machine would leave its name in the directory.
    is_name_durable: bool,
}

/// The log that is written to, and what is still not durable of it and of the logs before it.
pub struct WalWriter {
    env: Arc<dyn Env>,
    db: PathBuf,
    options: LogFileOptions,
    current: Log,
    /// Replaced logs with unsynced records.
    older: Arc<OlderLogs>,
    failure: Option<Error>,
    /// A sync has failed, or the close that stands for one: see `spoil`.
    sync_failed: bool,
}

impl WalWriter {
    /// Creates `<db>/<number>.log` (exclusively). Logs that replace it later are made with the same options. `logged_before` is the
    /// last sequence number of the logs before it: its marker says so, which is written with the first record.
    pub fn create(
        env: &Arc<dyn Env>,
        db: &Path,
        number: u64,
        options: LogFileOptions,
        logged_before: SequenceNumber,
    ) -> Result<Self> {
        let current = Self::create_log(env, db, number, options, logged_before)?;
        Ok(Self::with(env, db, options, current))
    }

    /// Goes on with the log `number` that was closed cleanly at `size` bytes (reuse_logs): it is as long, and
    /// ends with the end of a record. Whether what it holds is durable is not known, so the first `sync`
    /// makes it so. An empty one gets a marker, as if it were new.
    pub fn reopen(
        env: &Arc<dyn Env>,
        db: &Path,
        number: u64,
        size: u64,
        options: LogFileOptions,
        logged_before: SequenceNumber,
    ) -> Result<Self> {
        let path = file_name::log(db, number);
        let found = env.file_size(&path)?;
        if found != size {
            let what = format_args!("expected a log of {size} bytes to go on with, found {found}");
            return Err(Error::corruption_in(&path, what));
        }
        let file = env.create_writable(&path, CreateMode::Append)?;
        let writer = match size {
            0 => RecordWriter::with_prologue(file, marker::encode(logged_before + 1)),
            _ => RecordWriter::new(file, size),
        };
        let current = Log { number, logged_before, writer, is_dirty: true, is_name_durable: false };
        Ok(Self::with(env, db, options, current))
    }

    fn with(env: &Arc<dyn Env>, db: &Path, options: LogFileOptions, current: Log) -> Self {
        let (env, db) = (Arc::clone(env), db.to_path_buf());
        WalWriter { env, db, options, current, older: Arc::default(), failure: None, sync_failed: false }
    }

    fn create_log(
        env: &Arc<dyn Env>,
        db: &Path,
        number: u64,
        options: LogFileOptions,
        logged_before: SequenceNumber,
    ) -> Result<Log> {
        let file = env.create_log(&file_name::log(db, number), options)?;
        let writer = RecordWriter::with_prologue(file, marker::encode(logged_before + 1));
        Ok(Log { number, logged_before, writer, is_dirty: false, is_name_durable: false })
    }

    /// Its number.
    #[inline]
    pub fn number(&self) -> u64 {
        self.current.number
    }

    /// Bytes of the current log.
    #[inline]
    pub fn file_size(&self) -> u64 {
        self.current.writer.file_size()
    }

    /// Has anything been appended that the last `sync` did not make durable?
    pub fn has_unsynced_records(&self) -> bool {
        self.current.is_dirty || !self.older.lock().is_empty()
    }

    /// Replaced logs with unsynced records, for who removes logs.
    pub fn older(&self) -> &Arc<OlderLogs> {
        &self.older
    }

    /// Keeps replaced logs in this list, where none are yet.
    pub fn share_older(&mut self, older: Arc<OlderLogs>) {
        self.older = older;
    }

    /// The error after which it refuses, if there was one.
    pub fn poisoned(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Appends one batch; it has reached the system (survives `kill -9`) on return. After an error: poisoned, or nothing of it is
    /// there.
    #[inline]
    pub fn add_record(&mut self, payload: &[u8]) -> Result<()> {
        self.add_record_in_two(payload, &[])
    }

    /// The same of a batch in two pieces, which are not copied where the second is long.
    #[inline]
    pub fn add_record_in_two(&mut self, head: &[u8], tail: &[u8]) -> Result<()> {
        self.check()?;
        self.current.is_dirty = true;
        let result = self.current.writer.add_record_in_two(head, tail);
        if result.is_err() {
            self.failure = self.current.writer.poisoned().cloned();
        }
        result
    }

    /// Cuts off the records from the one on that begins at `start` of the current log. They were not synced. On an error they may be
    /// there or not: poisoned.
    pub fn take_back(&mut self, start: u64) -> Result<()> {
        self.check()?;
        let result = self.current.writer.take_back(start);
        self.remember(result)
    }

    /// Makes durable: every older log that is still dirty, the names of the logs, this log, in that order.
    /// After an error: poisoned; a failed sync is never tried again. But not where the directory could not even be opened.
    pub fn sync(&mut self) -> Result<()> {
        self.check()?;
        if !self.has_unsynced_records() {
            return Ok(());
        }
        let result = self.sync_older().and_then(|()| match self.sync_names() {
            Err(error) if error.is_refusal() => Ok(Some(error)),
            result => result.and_then(|()| self.sync_current()).map(|()| None),
        });
        match result {
            Ok(None) => Ok(()),
            Ok(Some(refusal)) => Err(refusal),
            Err(error) => {
                self.sync_failed = true;
                self.spoil();
                self.remember(Err(error))
            }
        }
    }

    /// After a failed sync the log reads as if all of it had been written, and a later sync says nothing of what was not. So the
    /// log must not be gone on with, not by the next opening either: a zero behind the last record shows that it was not closed
    /// cleanly, and readers take it for a torn tail.
    fn spoil(&self) {
        let path = file_name::log(&self.db, self.current.number);
        let file = self.env.create_writable(&path, CreateMode::Append);
        // As well as it can be done: on a disk that takes nothing at all there is no mark.
        let _ = file.and_then(|mut file| file.append(&[0]).and_then(|()| file.close()));
    }

    fn sync_older(&mut self) -> Result<()> {
        for log in self.older.lock().iter_mut().filter(|log| log.is_dirty) {
            log.writer.sync()?;
            log.is_dirty = false;
        }
        Ok(())
    }

    fn sync_names(&mut self) -> Result<()> {
        if !self.current.is_name_durable || self.older.lock().iter().any(|log| !log.is_name_durable) {
            self.env.sync_dir(&self.db)?;
            self.current.is_name_durable = true;
        }
        Ok(())
    }

    fn sync_current(&mut self) -> Result<()> {
        self.current.writer.sync()?;
        self.current.is_dirty = false;
        for mut log in self.older.lock().drain(..) {
            let _ = log.writer.close(); // all of it is durable: nothing is lost by this error
        }
        Ok(())
    }

    /// Goes over to a new log, before which `last_sequence` was the last number of anything logged: the current one becomes an older log, which stays open until it is synced or
    /// released. Where the new one can't be created, nothing changes and the current one goes on.
    pub fn rotate(&mut self, number: u64, last_sequence: SequenceNumber) -> Result<()> {
        self.check()?;
        debug_assert!(number > self.current.number);
        // Numbers that no record carries are not missing.
        let is_empty = self.current.writer.file_size() == 0;
        let logged_before = if is_empty { self.current.logged_before } else { last_sequence };
        let new = Self::create_log(&self.env, &self.db, number, self.options, logged_before)?;
        let mut old = std::mem::replace(&mut self.current, new);
        if old.is_dirty {
            self.older.lock().push(old);
        } else {
            let _ = old.writer.close(); // all of it is durable, or it is empty
        }
        Ok(())
    }

    /// Forgets (closes) older logs with numbers below `min_log_number`: what they held is in durable tables.
    /// A failure to close one shows in the next append: the system may have lost records that a reader of the
    /// logs would still go by.
    pub fn release_older(&mut self, min_log_number: u64) {
        if let Err(error) = self.older.release(min_log_number) {
            self.failure.get_or_insert(error);
        }
    }

    /// Closes all; the current log is cut to its length (after a failed sync, to one byte more). Returns the first error, if only that of an earlier
    /// operation.
    pub fn close(&mut self) -> Result<()> {
        for mut log in self.older.lock().drain(..) {
            if let Err(error) = log.writer.close() {
                self.failure.get_or_insert(error);
            }
        }
        if let Err(error) = self.current.writer.close() {
            self.sync_failed |= self.failure.is_none();
            self.failure.get_or_insert(error);
        }
        if std::mem::take(&mut self.sync_failed) {
            self.spoil(); // perhaps again: the log was cut to its length
        }
        self.check()
    }

    #[inline]
    fn check(&self) -> Result<()> {
        match &self.failure {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    #[inline]
    fn remember(&mut self, result: Result<()>) -> Result<()> {
        if let Err(error) = &result {
            self.failure.get_or_insert(error.clone());
        }
        result
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
