//! The flush worker: it flushes, and maintains what flushes depend on. It also writes pending lines to LOG,
//! writes a missing MANIFEST, replaces a poisoned WAL, and frees the memory of flushed memtables.
//!
//! A step asks the state for the next task ([`next_task`], which is pure), does it without the mutex, and
//! installs the outcome. A flush never waits for a compaction.
//!
//! Thread rule: one step at a time.

use crate::background::pool::Next;
use crate::column_family::ColumnFamily;
use crate::db::background::errors::{BackgroundError, Severity};
use crate::db::background::file_gc::Superseded;
use crate::db::family::FamilyRef;
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::error::Result;
use crate::flush::job as flush_job;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::limits::MAX_MEMTABLE_BYTES;
use crate::memtable::Memtable;
use crate::util::lock::MutexGuard;
use crate::version::file_metadata::FileMetaData;
use crate::version::version_edit::VersionEdit;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// The `shutting_down` flag of a flush that close does not interrupt.
static NEVER: AtomicBool = AtomicBool::new(false);

/// The input of `next_task`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Situation {
    /// The failure of the database, and the time until its cure is due (`None`: now; without meaning if it is
    /// permanent).
    database: Option<(Severity, Option<Duration>)>,
    /// Set if flushes fail: the time until the next try (`None`: now).
    flush: Option<Option<Duration>>,
    /// Would the next edit begin a new MANIFEST?
    is_manifest_missing: bool,
    /// Must a MANIFEST be written even if there is no edit?
    must_write_manifest: bool,
    /// Has this step replaced the poisoned WAL? Then the entries of that WAL must be flushed.
    is_wal_replaced: bool,
    /// The family whose immutable memtables are due first, and the time until then; `None`: no memtable is
    /// immutable.
    due: Option<(ColumnFamilyId, Duration)>,
    /// How much longer the memory of flushed memtables is kept.
    keeps_memory: Duration,
}

/// The next task of the flush worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Task {
    /// Sleep until the worker is woken.
    Wait,
    /// Sleep until the worker is woken, but not longer than this.
    WaitAtMost(Duration),
    /// Write a new MANIFEST.
    RenewManifest { cures_failure: bool },
    /// Give the writer another WAL.
    ReplaceWal,
    /// Flush the immutable memtables of a family.
    Flush(ColumnFamilyId),
    /// Free the memory of flushed memtables after this time.
    GiveMemoryBack(Duration),
}

/// The next task. The order of the questions is the order of urgency: without a MANIFEST nothing can be
/// installed, and writers are refused until a poisoned WAL is replaced.
fn next_task(situation: &Situation) -> Task {
    if let Some((severity, time_to_retry)) = situation.database {
        if severity == Severity::UntilReopened {
            return Task::Wait;
        }
        if let Some(time) = time_to_retry {
            return Task::WaitAtMost(time);
        }
        if situation.is_manifest_missing {
            return Task::RenewManifest { cures_failure: true };
        }
        if severity == Severity::ReplaceLog && !situation.is_wal_replaced {
            return Task::ReplaceWal;
        }
    }
    if (situation.due.is_none() || situation.flush.is_some()) && situation.must_write_manifest {
        return Task::RenewManifest { cures_failure: false };
    }
    let Some((family, time)) = situation.due else {
        return Task::GiveMemoryBack(situation.keeps_memory);
    };
    if !time.is_zero() && !situation.is_wal_replaced {
        return Task::WaitAtMost(time);
    }
    match situation.flush {
        Some(Some(time)) => Task::WaitAtMost(time),
        Some(None) | None => Task::Flush(family),
    }
}

/// The flush of one family: what it takes, and what it has written.
struct Flush {
    id: ColumnFamilyId,
    family: FamilyRef,
    /// Oldest first.
    memtables: Vec<Arc<Memtable>>,
    /// The tables, until a version has them.
    files: Vec<Arc<FileMetaData>>,
    /// The level and the size in bytes of each table.
    written: Vec<(usize, u64)>,
    micros: u64,
}

impl Flush {
    fn of(state: &DbState, id: ColumnFamilyId, max_bytes: usize) -> Self {
        let of_family = &state.families[id];
        Flush {
            id,
            family: of_family.family.clone(),
            memtables: of_family.memtables.immutables.oldest_within(max_bytes),
            files: Vec::new(),
            written: Vec::new(),
            micros: 0,
        }
    }
}

/// The families that are flushed together with `due`. Entries of an earlier process may be in WALs that are
/// not durable. If a batch among them is over several families, its parts must become durable together, in
/// one group. A poisoned WAL is needed until the entries of all families are in tables.
fn families_of_flush(state: &DbState, due: ColumnFamilyId, replaces_wal: bool) -> Vec<ColumnFamilyId> {
    match replaces_wal || state.has_recovered_entries() {
        true => state.families_with_immutables(),
        false => vec![due],
    }
}

impl DbShared {
    /// One step of the flush worker.
    pub(in crate::db) fn flush_step(&self) -> Next {
        self.guarded(|| {
            let mut state = self.state.lock();
            let lines = std::mem::take(&mut state.info_lines);
            if !lines.is_empty() {
                MutexGuard::unlocked(&mut state, || self.write_info_lines(lines));
            }
            if self.is_closed() {
                return Next::Wait;
            }
            if self.file_gc.has_work() {
                self.removal_waker.wake(); // the thread that made a file obsolete woke only this worker
            }
            self.run_next_task(state)
        })
    }

    fn run_next_task<'a>(&'a self, mut state: MutexGuard<'a, DbState>) -> Next {
        let mut is_wal_replaced = false;
        loop {
            match next_task(&self.situation(&state, is_wal_replaced, self.env.now())) {
                Task::Wait => return Next::Wait,
                Task::WaitAtMost(time) => return Next::WaitAtMost(time),
                Task::RenewManifest { cures_failure } => {
                    // If it fails, the error says when it is retried.
                    let renewed = self.renew_manifest(&mut state);
                    drop(state);
                    if renewed.is_ok() && cures_failure {
                        self.compaction_waker.wake(); // compactions have waited for the MANIFEST
                    }
                    return Next::Again;
                }
                Task::ReplaceWal => {
                    drop(state);
                    if self.replace_poisoned_wal().is_err() {
                        return Next::Again; // the error says when it is retried
                    }
                    is_wal_replaced = true;
                    state = self.state.lock();
                }
                Task::Flush(family) => {
                    // If the flush fails, the error says when it is retried.
                    let families = families_of_flush(&state, family, is_wal_replaced);
                    let _ = self.flush_immutables(state, &families, is_wal_replaced);
                    return Next::Again;
                }
                Task::GiveMemoryBack(time) => {
                    drop(state);
                    return self.give_memory_back(time);
                }
            }
        }
    }

    fn situation(&self, state: &DbState, is_wal_replaced: bool, now: Instant) -> Situation {
        let time_to_retry = |failure: &BackgroundError| failure.time_to_retry(now);
        let due = state.families.iter().filter_map(|(id, family)| {
            let waiting = family.memtables.immutables.len();
            let max_number = family.family.or(&self.default_family).options.max_write_buffer_number;
            Some((id, family.flush_policy.time_until_flush(waiting, max_number, now)?))
        });
        let keeps_memory =
            state.families.iter().map(|(_, family)| family.flush_policy.time_to_keep_memory(now));
        Situation {
            database: state.errors.database().map(|failure| (failure.severity, time_to_retry(failure))),
            flush: state.errors.flush().map(time_to_retry),
            is_manifest_missing: state.manifest.is_missing(),
            must_write_manifest: state.must_write_manifest(),
            is_wal_replaced,
            due: due.min_by_key(|&(_, time)| time),
            keeps_memory: keeps_memory.max().unwrap_or_default(),
        }
    }

    /// The flush during close, on the caller's thread, when no step of a worker runs any more. It flushes
    /// entries that this open has recovered, so that the next open does not have to recover them again. Not
    /// after an error.
    pub(in crate::db) fn flush_at_close(&self) {
        self.guarded(|| {
            let state = self.state.lock();
            let families = state.families_with_immutables();
            if !families.is_empty() && state.has_recovered_entries() && state.errors.worst().is_none() {
                let _ = self.flush_immutables(state, &families, false);
            }
            Next::Wait
        });
    }

    /// Called when there is nothing to flush. Frees the idle memory of flushed memtables after `time`, unless
    /// a new memtable takes it before.
    fn give_memory_back(&self, time: Duration) -> Next {
        if self.memtable_store.idle_bytes() == 0 {
            return Next::Wait;
        }
        if time.is_zero() {
            self.memtable_store.clear();
            return Next::Wait;
        }
        Next::WaitAtMost(time)
    }

    /// Writes all immutable memtables of each family (or as many as the index of one table can surely hold)
    /// to one table each, and installs the tables as one group. With `replaces_wal` it takes all memtables:
    /// then every entry of the poisoned WAL, which was replaced, is in tables.
    fn flush_immutables(
        &self,
        mut state: MutexGuard<'_, DbState>,
        families: &[ColumnFamilyId],
        replaces_wal: bool,
    ) -> Result<()> {
        let max_bytes = if replaces_wal { usize::MAX } else { MAX_MEMTABLE_BYTES };
        let mut flushes: Vec<Flush> =
            families.iter().map(|&family| Flush::of(&state, family, max_bytes)).collect();
        let written = self.write_tables(&mut state, &mut flushes);
        let is_job_error = written.is_err();
        match written.and_then(|()| self.install_flushes(&mut state, &mut flushes)) {
            Ok(superseded) => {
                self.flush_succeeded(&mut state);
                if replaces_wal {
                    // Writes were refused since the WAL was replaced. So all memtables before it are flushed,
                    // and the edits name the new WAL as the oldest needed one.
                    self.clear_background_error(&mut state, Severity::ReplaceLog);
                }
                drop(state);
                drop((flushes, superseded));
                self.compaction_waker.wake();
                self.removal_waker.wake();
                Ok(())
            }
            Err(error) => {
                let is_dropped = flushes.iter().any(|flush| !state.versions.has(flush.id));
                if is_job_error && !self.is_closed() && !is_dropped {
                    self.flush_failed(&mut state, &error);
                }
                if is_job_error || is_dropped {
                    // No MANIFEST names the tables. (After a failed installation one may.)
                    self.discard_tables(flushes.iter_mut().flat_map(|flush| flush.files.drain(..)));
                }
                drop(state);
                drop(flushes);
                Err(error)
            }
        }
    }

    /// Runs the flush jobs without the mutex. With several families their WALs are made durable afterwards: a
    /// batch over families must not survive a power failure in the table of one of them only.
    fn write_tables(&self, state: &mut MutexGuard<'_, DbState>, flushes: &mut [Flush]) -> Result<()> {
        let is_recovered = state.has_recovered_entries();
        let has_several = state.families.has_several();
        for flush in flushes.iter_mut() {
            let started = self.env.now_micros();
            let family = flush.family.clone();
            if !state.versions.has(flush.id) {
                return Err(family.or(&self.default_family).dropped_error()); // while another one was flushed
            }
            let version = state.versions.current(flush.id).clone();
            let mut context = self.job_context(family.or(&self.default_family), state);
            if is_recovered {
                context.shutting_down = &NEVER; // see `flush_at_close`
            }
            let number = self.new_file_number();
            flush.files = MutexGuard::unlocked(state, || {
                context.found_compression.look(&version, context.table_cache);
                drop(version);
                flush_job::run(&flush.memtables, number, &context)
            })?;
            flush.micros = self.env.now_micros().saturating_sub(started);
        }
        if !has_several {
            return Ok(());
        }
        let synced = MutexGuard::unlocked(state, || {
            self.older_logs.make_durable(u64::MAX, || self.env.sync_dir(&self.path))
        });
        synced.inspect_err(|error| match error.is_refusal() {
            true => {} // nothing was tried: the flush is
            false => self.record_background_error(state, Severity::UntilReopened, error),
        })
    }

    /// Installs the tables of the flushes, as one group of edits.
    fn install_flushes(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        flushes: &mut [Flush],
    ) -> Result<Superseded> {
        let flushes = RefCell::new(flushes); // the first closure has run when the second one does
        self.install(
            state,
            |state| flushes.borrow_mut().iter_mut().map(|flush| self.edit_of_flush(state, flush)).collect(),
            |state| {
                for flush in flushes.borrow_mut().iter_mut() {
                    let of_family = &mut state.families[flush.id];
                    // The caller holds the memtables too, and drops them without the mutex.
                    drop(of_family.memtables.immutables.remove_oldest(flush.memtables.len()));
                    of_family.flush_policy.flushed(!of_family.memtables.immutables.is_empty());
                    of_family.note_flush(flush.micros, &flush.written);
                    flush.files.clear(); // the version has them
                }
            },
        )
    }

    /// The edit that a flush leads to. Fails if the family was dropped.
    fn edit_of_flush(&self, state: &DbState, flush: &mut Flush) -> Result<VersionEdit> {
        let Some(of_family) = state.families.get(flush.id) else {
            return Err(flush.family.or(&self.default_family).dropped_error());
        };
        let mut edit = VersionEdit {
            column_family: flush.id,
            log_number: Some(of_family.memtables.log_number_after(flush.memtables.len())),
            ..VersionEdit::default()
        };
        for file in &flush.files {
            let (smallest, largest) = (file.smallest.user_key(), file.largest.user_key());
            let level = self.level_for_flush(state, flush.id, smallest, largest);
            flush.written.push((level, file.file_size));
            edit.new_files.push((level, file.clone()));
        }
        Ok(edit)
    }

    /// The level of a flushed table: below level 0 only if nothing there overlaps it, running compactions
    /// included.
    fn level_for_flush(
        &self,
        state: &DbState,
        family: ColumnFamilyId,
        smallest: &[u8],
        largest: &[u8],
    ) -> usize {
        let of_family = &state.families[family];
        let ColumnFamily { options, comparator, .. } = of_family.family.or(&self.default_family);
        let max_file_size = options.max_file_size as u64;
        let level = state.versions.current(family).level_for_flush(smallest, largest, max_file_size);
        of_family.in_progress.level_for_flush(comparator, level, smallest, largest)
    }
}

#[cfg(test)]
mod tests;
