//! The database: the floor where all modules below are put together, and the owner of the one state mutex.
//!
//! `shared` has the parts of an open database and the order of its locks. `state` is what the state mutex
//! guards. `install` is the only place where an edit becomes the current state. The folders: `open`
//! (creation, recovery), `write`, `read`, `families` (creation, dropping, export, import, the switch of
//! language), `background` (workers, errors, removal of files), `admin` (repair, destroy, dump, properties).
//! The public handle `Db` is in this file.

mod admin;
mod background;
mod families;
mod family;
mod install;
mod manifest_state;
mod open;
mod read;
mod shared;
mod state;
mod wal_set;
mod write;

#[cfg(test)]
mod tests;

pub use admin::destroy::destroy;
pub use admin::dump::dump_file;
pub use admin::repair::repair;
pub use background::errors::{BackgroundError, Severity};
pub use families::ColumnFamilyHandle;
pub use read::iterator::DbIterator;
pub use read::options::ReadOptions;
pub use read::snapshot::Snapshot;

use crate::db::family::FamilyRef;
use crate::db::shared::DbShared;
use crate::db::write::stall::Switch;
use crate::error::Result;
use crate::format::column_family_id::ColumnFamilyId;
use crate::options::ReadAt;
use crate::util::fork::leak_in_child;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// An open database. All methods may be called from any thread at once. Dropping it closes it.
///
/// ```
/// use std::sync::Arc;
/// use terrace::{Db, Options, ReadOptions, WriteOptions};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("db");
/// let options = Options { create_if_missing: true, ..Options::default() };
/// let db = Arc::new(Db::open(&options, &path)?);
///
/// // Any number of threads may read and write.
/// let writer = std::thread::spawn({
///     let db = db.clone();
///     move || db.put(&WriteOptions::default(), b"key", b"value")
/// });
/// writer.join().expect("no panic")?;
///
/// let options = ReadOptions::default();
/// assert_eq!(db.get(&options, b"key")?.as_deref(), Some(&b"value"[..]));
/// // Without a copy of the value:
/// assert_eq!(db.get_with(&options, b"key", |value| value.len())?, Some(5));
///
/// db.delete(&WriteOptions { sync: true, ..WriteOptions::default() }, b"key")?; // durable on return
/// assert_eq!(db.get(&options, b"key")?, None); // an absent key is no error
/// db.flush()?; // all entries are in tables, and the WALs are gone
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It belongs to the process that opened it. In a child made by `fork` every operation fails ("... used after
/// fork"), and closing or dropping it does nothing; the same holds for iterators and snapshots. A child whose
/// parent had no other call running when it forked may open other databases, and this one after its parent
/// has closed it.
pub struct Db {
    inner: Arc<DbShared>,
}

impl Db {
    /// An iterator over the current state, or over the state of `options.snapshot`. Not valid until it is
    /// positioned. If the snapshot is of another database, the iterator never becomes valid and its `status`
    /// is InvalidArgument.
    pub fn iter(&self, options: &ReadOptions<'_>) -> DbIterator {
        DbIterator::new(&self.inner, FamilyRef::Default, options.resolve(&self.inner).ok())
    }

    /// As `iter`, at a sequence number whose snapshot the caller holds.
    pub(crate) fn iter_at(&self, read: ReadAt) -> DbIterator {
        DbIterator::new(&self.inner, FamilyRef::Default, Some(read))
    }

    /// A snapshot of the current state, for later reads.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.inner)
    }

    /// Fails in a child of the process that opened the database, as every operation on the database
    /// does.
    pub(crate) fn check_process(&self) -> Result<()> {
        self.inner.check_process()
    }

    /// The directory of the database, as it was given to `open`.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The error that has stopped background work or writes, if there is one. In a child process, and inside
    /// of a user's comparator: the error that every operation fails with there.
    pub fn background_error(&self) -> Option<BackgroundError> {
        if !self.inner.process.is_current() {
            return Some(BackgroundError::permanent(self.inner.forked_error(), self.inner.env.now()));
        }
        if self.inner.is_inside_comparator() {
            return Some(BackgroundError::permanent(self.inner.reentered_error(), self.inner.env.now()));
        }
        self.inner.state.lock().errors.worst().cloned()
    }

    /// Starts a new memtable and a new WAL; the old memtable is flushed in the background. Waits like a write
    /// if too many memtables wait for their flush or level 0 is full. LevelDB does this on a write of NULL.
    pub fn rotate_memtable(&self) -> Result<()> {
        self.inner.check_caller()?;
        self.inner.make_room(&mut self.inner.writer.lock(), ColumnFamilyId::DEFAULT, Switch::Now)?;
        self.inner.state.lock().flush_at_once();
        self.inner.flush_waker.wake();
        Ok(())
    }

    /// Writes everything in memory to tables, durably, waits for that, and removes the WALs that held it: of
    /// all column families. Usually returns at once if nothing is in memory. Fails with the error that stops
    /// flushes or writes, or when the database is closed.
    pub fn flush(&self) -> Result<()> {
        self.inner.flush_families(None)
    }

    /// Closes the database: refuses new operations, stops background work, closes the WAL, releases the lock.
    /// Entries in the WAL are replayed at the next open. Entries that this open recovered from older WALs are
    /// flushed to a table now, unless background work or writes have stopped with an error, so that they are
    /// not replayed again. Iterators and snapshots may be dropped later. Closing the last database of the
    /// process also ends the library's background threads.
    ///
    /// Returns the first error of closing the WAL; the database is closed nevertheless. In a child of the
    /// process that opened the database, does nothing. Called from within a comparator, fails, and the
    /// database stays open permanently.
    pub fn close(self) -> Result<()> {
        self.inner.close()
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        let _ = self.inner.close();
        if !self.inner.process.is_current() || self.inner.is_inside_comparator() {
            // A child must not release what its parent held: that would go through locks which may be held
            // permanently there. The memory is shared with the parent until one of them writes to it. A
            // database whose close was refused inside of a comparator is leaked too: it stays open.
            leak_in_child(self.inner.clone());
        }
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Db({})", self.inner.path.display())
    }
}

impl DbShared {
    /// Flushes one family, or all of them, and waits for that.
    fn flush_families(&self, only: Option<ColumnFamilyId>) -> Result<()> {
        self.check_caller()?;
        let targets = self.switch_filled_memtables(only)?;
        let mut state = self.state.lock();
        for (family, target) in targets {
            while state.families.get(family).is_some_and(|family| !family.memtables.immutables.is_empty())
                && state.versions.log_number(family) < target
            {
                self.refusal(&state)?;
                if let Some(failure) = state.errors.flush() {
                    return Err(failure.to_error());
                }
                state.flush_at_once();
                self.flush_waker.wake();
                self.wait_for_workers(&mut state);
            }
        }
        drop(state);
        if !self.is_recovery_settled() {
            self.settle_recovery()?;
        }
        self.removal_step();
        Ok(())
    }

    /// Switches the memtables of these families that have entries. Returns the families, and the WAL with
    /// which what each one writes from now on begins.
    fn switch_filled_memtables(&self, only: Option<ColumnFamilyId>) -> Result<Vec<(ColumnFamilyId, u64)>> {
        let mut writer = self.writer.lock();
        let of_writer = writer.families.iter().filter(|(id, _)| only.is_none_or(|only| only == *id));
        let filled = of_writer.filter(|(_, family)| !family.memtable.memtable().is_empty());
        for id in filled.map(|(id, _)| id).collect::<Vec<_>>() {
            match self.make_room(&mut writer, id, Switch::Now) {
                // The family was dropped while this flush waited. The others are flushed.
                Err(_) if only.is_none() && self.is_gone(&writer, id) => {}
                result => result?,
            }
        }
        let state = self.state.lock();
        let asked = state.families.iter().filter(|(id, _)| only.is_none_or(|only| only == *id));
        Ok(asked.map(|(id, family)| (id, family.memtables.active_log_number)).collect())
    }

    fn close(&self) -> Result<()> {
        if !self.process.is_current() {
            return Ok(()); // the threads, the WAL and the lock are the parent's
        }
        if self.is_inside_comparator() {
            return Err(self.reentered_error()); // the database stays open
        }
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        {
            let mut state = self.state.lock();
            self.update_write_gate(&state);
            state.manual.close();
            self.state_changed.notify_all();
        }
        self.stop_workers();
        self.flush_at_close();
        let wal = self.writer.lock().wal.take();
        let result = wal.map_or(Ok(()), |mut wal| wal.close());
        self.removal_step();
        let (lock, lines) = {
            let mut state = self.state.lock();
            state.manifest.close();
            (state.lock.take(), std::mem::take(&mut state.info_lines))
        };
        self.write_info_lines(lines);
        self.info_log.log(format_args!("closed"));
        drop(lock);
        result
    }
}
