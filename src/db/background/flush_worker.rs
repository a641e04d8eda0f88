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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
                    let _ = self.flush_immutables(state, family, is_wal_replaced);
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
            let max_number = self.families[id].options.max_write_buffer_number;
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
            let waiting = state.families.iter().find(|(_, family)| !family.memtables.immutables.is_empty());
            if let Some((family, _)) = waiting
                && state.has_recovered_entries()
                && state.errors.worst().is_none()
            {
                let _ = self.flush_immutables(state, family, false);
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

    /// Writes all immutable memtables of a family (or as many as the index of one table can surely hold) to
    /// one table, and installs it. With `replaces_wal` it takes all of them: then every entry of the poisoned
    /// WAL, which was replaced, is in tables.
    fn flush_immutables(
        &self,
        mut state: MutexGuard<'_, DbState>,
        family: ColumnFamilyId,
        replaces_wal: bool,
    ) -> Result<()> {
        let started = self.env.now_micros();
        let max_bytes = if replaces_wal { usize::MAX } else { MAX_MEMTABLE_BYTES };
        let memtables = state.families[family].memtables.immutables.oldest_within(max_bytes);
        let written = self.write_table(&mut state, family, &memtables);
        let is_job_error = written.is_err();
        let installed =
            written.and_then(|files| self.install_flush(&mut state, family, memtables.len(), files, started));
        match installed {
            Ok(superseded) => {
                self.flush_succeeded(&mut state);
                if replaces_wal {
                    // Writes were refused since the WAL was replaced. So all memtables before it are flushed,
                    // and the edit names the new WAL as the oldest needed one.
                    self.clear_background_error(&mut state, Severity::ReplaceLog);
                }
                drop(state);
                drop((memtables, superseded));
                self.compaction_waker.wake();
                self.removal_waker.wake();
                Ok(())
            }
            Err(error) => {
                if is_job_error && !self.is_closed() {
                    self.flush_failed(&mut state, &error);
                }
                Err(error)
            }
        }
    }

    /// Runs the flush job without the mutex. Returns the tables.
    fn write_table(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        family: ColumnFamilyId,
        memtables: &[Arc<Memtable>],
    ) -> Result<Vec<Arc<FileMetaData>>> {
        let mut context = self.job_context(family);
        if state.has_recovered_entries() {
            context.shutting_down = &NEVER; // see `flush_at_close`
        }
        let number = self.new_file_number();
        let version = state.versions.current(family).clone();
        MutexGuard::unlocked(state, || {
            context.found_compression.look(&version, context.table_cache);
            drop(version);
            flush_job::run(memtables, number, &context)
        })
    }

    /// Installs `files`, which hold the entries of the `flushed` oldest immutable memtables.
    fn install_flush(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        family: ColumnFamilyId,
        flushed: usize,
        files: Vec<Arc<FileMetaData>>,
        started: u64,
    ) -> Result<Superseded> {
        let mut written = Vec::new();
        let superseded = self.install(
            state,
            |state| {
                let mut edit = VersionEdit {
                    column_family: family,
                    log_number: Some(state.families[family].memtables.log_number_after(flushed)),
                    ..VersionEdit::default()
                };
                for file in files {
                    let (smallest, largest) = (file.smallest.user_key(), file.largest.user_key());
                    let level = self.level_for_flush(state, family, smallest, largest);
                    written.push((level, file.file_size));
                    edit.new_files.push((level, file));
                }
                vec![edit]
            },
            |state| {
                let of_family = &mut state.families[family];
                // The caller holds the memtables too, and drops them without the mutex.
                drop(of_family.memtables.immutables.remove_oldest(flushed));
                of_family.flush_policy.flushed(!of_family.memtables.immutables.is_empty());
                let needed = state.versions.min_log_number();
                self.hand_over_wals(state, needed);
                self.min_log_number.store(needed, Ordering::Release);
            },
        )?;
        let stats = &mut state.families[family].stats;
        let level = written.first().map_or(0, |&(level, _)| level);
        stats[level].micros += self.env.now_micros().saturating_sub(started);
        for (level, bytes) in written {
            stats[level].bytes_written += bytes;
        }
        Ok(superseded)
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
        let ColumnFamily { options, comparator, .. } = &self.families[family];
        let max_file_size = options.max_file_size as u64;
        let level = state.versions.current(family).level_for_flush(smallest, largest, max_file_size);
        state.families[family].in_progress.level_for_flush(comparator, level, smallest, largest)
    }
}

#[cfg(test)]
mod tests;
