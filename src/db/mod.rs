//! The only place where the floors meet, and where the one state mutex lives.
//!
//! `state` says what a database is made of and in which order its locks are taken. Writes: `write`, `write_group`,
//! `write_stall`. Reads: `get`, `iterator`, `snapshot`. Background: `schedule`, `install`, `background_error`,
//! `resume`, `manual_compaction`, `idle_compaction`, `workers`,
//! `seek_compaction`, `obsolete_files`. Life: `open`, `recovery`, `unconfirmed`, `destroy`, `repair`, and `close` here.

mod background_error;
mod dead_spans;
mod destroy;
mod dump;
mod flush_due;
mod get;
mod idle_compaction;
mod install;
mod iterator;
mod lost;
mod manual_compaction;
mod obsolete_files;
mod open;
mod properties;
mod recovery;
mod repair;
mod resume;
mod schedule;
mod seek_compaction;
mod snapshot;
mod state;
mod unconfirmed;
mod workers;
mod write;
mod write_group;
mod write_stall;

#[cfg(test)]
mod tests;

pub use background_error::{BackgroundError, Severity};
pub use destroy::destroy;
pub use dump::dump_file;
pub use iterator::DbIterator;
pub use repair::repair;
pub use snapshot::Snapshot;

use crate::error::Result;
use crate::options::ReadOptions;
use crate::util::fork::keep_for_ever;
use state::DbInner;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// An open database. All methods may be called from any thread at once. Dropping it closes it.
///
/// It belongs to the process that opened it. In a child made by `fork` every operation fails ("... used after fork"), and
/// closing or dropping it does nothing; so it is with iterators and snapshots. A child whose parent had no other call running
/// when it forked may open other databases, and this one when its parent has closed it.
pub struct Db {
    inner: Arc<DbInner>,
}

impl Db {
    /// An iterator over the state now, or at `options.snapshot`; not valid until positioned.
    pub fn iter(&self, options: &ReadOptions) -> DbIterator {
        DbIterator::new(&self.inner, options)
    }

    /// The state now, to be read later.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.inner)
    }

    /// Fails in a child of the process that opened the database, as all operations do there.
    pub fn check_process(&self) -> Result<()> {
        self.inner.check_process()
    }

    /// The directory, as it was given to `open`.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Why background work or writes have stopped, if they have.
    pub fn background_error(&self) -> Option<BackgroundError> {
        if !self.inner.process.is_current() {
            return Some(BackgroundError::for_ever(self.inner.forked_error()));
        }
        if self.inner.is_inside_comparator() {
            return Some(BackgroundError::for_ever(self.inner.reentered_error()));
        }
        self.inner.state.lock().failures.worst().cloned()
    }

    /// Starts a new memtable and a new log; the old memtable is flushed in the background. What LevelDB does on a write of NULL.
    pub fn rotate_memtable(&self) -> Result<()> {
        self.inner.check_caller()?;
        self.inner.make_room(&mut self.inner.writer.lock(), true)?;
        self.inner.state.lock().flush_due.hurry();
        self.inner.flush_waker.wake();
        Ok(())
    }

    /// Writes all that is in memory to tables, durably, waits for it, and removes the logs that held it. Nothing in memory: returns at
    /// once, mostly.
    pub fn flush(&self) -> Result<()> {
        let inner = &self.inner;
        inner.check_caller()?;
        {
            let mut writer = inner.writer.lock();
            if !writer.memtable.memtable().is_empty() {
                inner.make_room(&mut writer, true)?;
            }
        }
        let mut state = inner.state.lock();
        let target = state.memtables.active_log_number;
        while !state.memtables.immutables.is_empty() && state.versions.log_number < target {
            inner.refusal(&state)?;
            if let Some(failure) = &state.failures.flush {
                return Err(failure.to_error());
            }
            state.flush_due.hurry();
            inner.flush_waker.wake();
            inner.wait_for_workers(&mut state);
        }
        drop(state);
        if !inner.is_confirmed() {
            inner.confirm()?;
        }
        inner.removal_step();
        Ok(())
    }

    /// Closes: refuses new operations, stops background work, closes the log, releases the lock. What is in
    /// the log is read back at the next open; what the log of the last life held is in a table by now, if the disk takes it, so
    /// that nothing is read back twice. Iterators and snapshots may be dropped later. With the last database of the process its
    /// threads end too.
    ///
    /// Returns the first error of closing the log; the database is closed all the same. In a child of the process that opened
    /// it, does nothing; within a comparator it fails, and the database stays open for ever.
    pub fn close(self) -> Result<()> {
        self.inner.close()
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        let _ = self.inner.close();
        if !self.inner.process.is_current() || self.inner.is_inside_comparator() {
            // A child lets go of nothing that its parent had: that would go through locks which may be held there for ever.
            // The memory is shared with the parent until one of them writes to it. And what was not closed, because a comparator
            // has asked for it, works on.
            keep_for_ever(self.inner.clone());
        }
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({})", self.inner.path.display())
    }
}

impl DbInner {
    fn close(&self) -> Result<()> {
        if !self.process.is_current() {
            return Ok(()); // the parent's threads, log and lock
        }
        if self.is_inside_comparator() {
            return Err(self.reentered_error()); // it stays open
        }
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        {
            let mut state = self.state.lock();
            self.update_attention(&state);
            state.manual.clear();
            self.state_changed.notify_all();
        }
        self.stop_workers();
        self.flush_at_close();
        let wal = self.writer.lock().wal.take();
        let result = wal.map_or(Ok(()), |mut wal| wal.close());
        self.removal_step();
        let (lock, lines) = {
            let mut state = self.state.lock();
            state.manifest = None;
            (state.lock.take(), std::mem::take(&mut state.log_lines))
        };
        self.write_log_lines(lines);
        self.info_log.log(format_args!("closed"));
        drop(lock);
        result
    }
}
