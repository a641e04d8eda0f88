//! The current WAL, and what is not durable yet of it and of the WALs before it.
//!
//! A successful `sync` covers *everything* appended before it. So it makes durable, in this order: the older
//! WALs that have unsynced records, the names of the WALs (in their directory), the current WAL. The name of
//! a new WAL is not durable before that: the directory is synced once per WAL, and not when the WAL is
//! created, since most writes never ask for a sync.
//!
//! A WAL begins with a marker (see `marker`), which is written together with its first record: an empty WAL
//! stays an empty file.
//!
//! After a failed append, sync or close the contents of the files are unknown, so nothing is ever appended or
//! synced again: every later call fails with the first error. What was acknowledged is still in memtables;
//! when these are in durable tables, a new `WalWriter` may take over. An append or a sync that was refused
//! before it did anything is different: `poisoned` then returns `None`, and everything is as it was before
//! the call.
//!
//! Thread rule: one thread at a time.

use super::marker;
use super::older_logs::OlderLogs;
use super::wal_file::Log;
use crate::env::{CreateMode, Env, LogFileOptions};
use crate::error::{Error, Result};
use crate::format::file_name;
use crate::format::internal_key::SequenceNumber;
use crate::record::writer::RecordWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The current WAL, and what is not durable yet of it and of the WALs before it.
pub struct WalWriter {
    env: Arc<dyn Env>,
    db: PathBuf,
    options: LogFileOptions,
    current: Log,
    /// Former WALs with unsynced records.
    older: Arc<OlderLogs>,
    failure: Option<Error>,
    /// True after a failed sync, or after a failed close that stands for one: see `mark_torn`.
    sync_failed: bool,
}

impl WalWriter {
    /// Creates `<db>/<number>.log`, which must not exist. Later WALs are created with the same options.
    /// `logged_before` is the last sequence number of the WALs before it, for the marker, which is written
    /// with the first record.
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

    /// Continues the WAL `number`, which was closed cleanly at `size` bytes (reuse_logs): the file has that
    /// length and ends with a whole record. It is unknown whether its contents are durable, so the first
    /// `sync` makes them durable. An empty WAL gets a marker, as if it were new.
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

    /// The number of the current WAL.
    #[inline]
    pub fn number(&self) -> u64 {
        self.current.number
    }

    /// The length of the current WAL in bytes.
    #[inline]
    pub fn file_size(&self) -> u64 {
        self.current.writer.file_size()
    }

    /// True if anything was appended that the last `sync` did not make durable.
    pub fn has_unsynced_records(&self) -> bool {
        self.current.is_dirty || !self.older.is_empty()
    }

    /// The former WALs with unsynced records, for the remover of obsolete files.
    pub fn older(&self) -> &Arc<OlderLogs> {
        &self.older
    }

    /// Uses `older` as the list of former WALs. The present list must be empty.
    pub fn share_older(&mut self, older: Arc<OlderLogs>) {
        self.older = older;
    }

    /// The error after which every call fails, if there was one.
    pub fn poisoned(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Appends one batch. When this returns, the batch has reached the system and survives `kill -9`. After
    /// an error, either nothing of the batch is in the file, or the writer is poisoned.
    #[inline]
    #[cfg(any(test, feature = "test-support"))]
    pub fn add_record(&mut self, payload: &[u8]) -> Result<()> {
        self.add_record_in_two(payload, &[])
    }

    /// As `add_record`, for a batch in two pieces, which are not copied if the second one is long.
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

    /// Removes the records of the current WAL from the one at `start` on, which must not have been synced.
    /// After an error they may or may not be in the file, and the writer is poisoned.
    pub fn take_back(&mut self, start: u64) -> Result<()> {
        self.check()?;
        let result = self.current.writer.take_back(start);
        self.remember(result)
    }

    /// Makes durable, in this order: every older WAL with unsynced records, the names of the WALs, the
    /// current WAL. An error poisons the writer, since a failed sync is never retried. Exception: if the
    /// directory could not even be opened, the writer is not poisoned.
    pub fn sync(&mut self) -> Result<()> {
        self.check()?;
        if !self.has_unsynced_records() {
            return Ok(());
        }
        let result = self.older.sync().and_then(|()| match self.sync_names() {
            Err(error) if error.is_refusal() => Ok(Some(error)),
            result => result.and_then(|()| self.sync_current()).map(|()| None),
        });
        match result {
            Ok(None) => Ok(()),
            Ok(Some(refusal)) => Err(refusal),
            Err(error) => {
                self.sync_failed = true;
                self.mark_torn();
                self.remember(Err(error))
            }
        }
    }

    /// After a failed sync the WAL can be read as if all of it had been written, and a later sync says
    /// nothing about what was not. So the WAL must not be continued, by the next open either. A zero byte
    /// after the last record shows that the WAL was not closed cleanly; readers treat it as a torn tail.
    fn mark_torn(&self) {
        let path = file_name::log(&self.db, self.current.number);
        let file = self.env.create_writable(&path, CreateMode::Append);
        // Best effort: a disk that accepts nothing at all gets no mark.
        let _ = file.and_then(|mut file| file.append(&[0]).and_then(|()| file.close()));
    }

    fn sync_names(&mut self) -> Result<()> {
        if !self.current.is_name_durable || !self.older.are_names_durable() {
            self.env.sync_dir(&self.db)?;
            self.current.is_name_durable = true;
        }
        Ok(())
    }

    fn sync_current(&mut self) -> Result<()> {
        self.current.writer.sync()?;
        self.current.is_dirty = false;
        let _ = self.older.close(); // all of it is durable: an error loses nothing
        Ok(())
    }

    /// Switches to a new WAL. `last_sequence` is the last sequence number logged before it. The current WAL
    /// becomes an older one, which stays open until it is synced or released. If the new WAL cannot be
    /// created, nothing changes and the current one continues.
    pub fn rotate(&mut self, number: u64, last_sequence: SequenceNumber) -> Result<()> {
        self.check()?;
        debug_assert!(number > self.current.number);
        // If the current WAL has no record, numbers beyond its `logged_before` are not missing: no record has
        // them.
        let is_empty = self.current.writer.file_size() == 0;
        let logged_before = if is_empty { self.current.logged_before } else { last_sequence };
        let new = Self::create_log(&self.env, &self.db, number, self.options, logged_before)?;
        let mut old = std::mem::replace(&mut self.current, new);
        if old.is_dirty {
            self.older.push(old);
        } else {
            let _ = old.writer.close(); // all of it is durable, or it is empty
        }
        Ok(())
    }

    /// Closes older WALs with numbers below `min_log_number`: durable tables hold their contents. If a close
    /// fails, the next append returns the error: the system may have lost records that a recovery would still
    /// read.
    pub fn release_older(&mut self, min_log_number: u64) {
        if let Err(error) = self.older.release(min_log_number) {
            self.failure.get_or_insert(error);
        }
    }

    /// Closes all WALs. The current one is truncated to its length (after a failed sync, to one byte more).
    /// Returns the first error, even of an earlier operation.
    pub fn close(&mut self) -> Result<()> {
        if let Err(error) = self.older.close() {
            self.failure.get_or_insert(error);
        }
        if let Err(error) = self.current.writer.close() {
            self.sync_failed |= self.failure.is_none();
            self.failure.get_or_insert(error);
        }
        if std::mem::take(&mut self.sync_failed) {
            self.mark_torn(); // again if need be: the close truncated the file
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
mod tests;
