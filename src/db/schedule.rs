//! What the workers do: one flush worker and the compaction workers. (One more removes files: see `obsolete_files`.) They run on
//! threads that the databases of a process share (see `workers`).
//!
//! Each step asks the state what is to be done, does it without the mutex, and installs the outcome. Priority: flush (its own
//! worker, never behind a compaction), then manual, then size, then seek compactions. A step that panics leaves the
//! database readable and refusing writes; nobody waits for ever.

use super::background_error::{BackgroundError, Severity};
use super::state::{DbInner, DbState};
use crate::background::pool::Next;
use crate::compaction::compaction::{Compaction, CompactionReason};
use crate::compaction::job as compaction_job;
use crate::compaction::picker::{self, ManualPick, PickerOptions};
use crate::comparator::ComparatorFailed;
use crate::error::{Error, Result};
use crate::flush::job::{self as flush_job, JobContext};
use crate::format::limits::MAX_MEMTABLE_BYTES;
use crate::util::lock::MutexGuard;
use crate::version::version_edit::VersionEdit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a flush asks that closing does not cut short.
static NEVER: AtomicBool = AtomicBool::new(false);

impl DbInner {
    /// A step of the flush worker.
    pub(super) fn flush_step(&self) -> Next {
        self.guarded(|| {
            let mut state = self.state.lock();
            let lines = std::mem::take(&mut state.log_lines);
            if !lines.is_empty() {
                MutexGuard::unlocked(&mut state, || self.write_log_lines(lines));
            }
            if self.is_closed() {
                return Next::Wait;
            }
            if self.has_files_to_remove() {
                self.removal_waker.wake(); // the last reference to a file was dropped: its dropper woke this worker
            }
            self.flush_or_recover(state)
        })
    }

    /// The flush in closing, by the caller, when no worker runs any more: of what the opening has read. The next opening finds it
    /// where it is otherwise, and would have to read it again.
    pub(super) fn flush_at_close(&self) {
        self.guarded(|| {
            let state = self.state.lock();
            if self.has_kept_logs(&state) && state.failures.worst().is_none() {
                let _ = self.flush_immutables(state, false);
            }
            Next::Wait
        });
    }

    /// Flushes what there is to flush. First it cures what has failed and is due to be tried again: a lost MANIFEST, a full log.
    fn flush_or_recover<'a>(&'a self, mut state: MutexGuard<'a, DbState>) -> Next {
        if let Some(failure) = &state.failures.database {
            if !failure.is_retried() {
                return Next::Wait;
            }
            if let Some(time) = failure.time_to_retry() {
                return Next::WaitAtMost(time);
            }
        }
        let severity = state.failures.database_severity();
        if severity.is_some() && state.manifest.is_none() && !state.manifest_busy {
            return match self.renew_manifest(&mut state) {
                Ok(replaced) => {
                    drop(state);
                    drop(replaced);
                    self.compaction_waker.wake(); // it has waited for this
                    Next::Again
                }
                Err(_) => Next::Again, // waits until it is due again
            };
        }
        let replaces_log = severity == Some(Severity::ReplaceLog);
        if replaces_log {
            drop(state);
            if self.replace_poisoned_log().is_err() {
                return Next::Again; // waits until it is due again
            }
            state = self.state.lock();
        }
        let waiting = state.memtables.immutables.len();
        if (waiting == 0 || state.failures.flush.is_some()) && self.wants_manifest(&state) {
            let replaced = self.renew_manifest(&mut state);
            drop(state);
            drop(replaced); // if it failed, it is due again
            return Next::Again;
        }
        match state.flush_due.time_left(waiting, self.options.max_write_buffer_number, Instant::now()) {
            None => {
                let time = state.flush_due.time_to_keep_memory(Instant::now());
                drop(state);
                return self.keep_memory(time);
            }
            Some(time) if !time.is_zero() && !replaces_log => return Next::WaitAtMost(time),
            Some(_) => {}
        }
        if let Some(time) = state.failures.flush.as_ref().and_then(BackgroundError::time_to_retry) {
            return Next::WaitAtMost(time);
        }
        // Succeeds, or is due again later.
        let _ = self.flush_immutables(state, replaces_log);
        Next::Again
    }

    /// There is nothing to flush: what flushed memtables left goes in this `time`, unless another takes it.
    fn keep_memory(&self, time: Duration) -> Next {
        if self.memtable_store.idle_bytes() == 0 {
            return Next::Wait;
        }
        if time.is_zero() {
            self.memtable_store.clear();
            return Next::Wait;
        }
        Next::WaitAtMost(time)
    }

    /// A step of a compaction worker.
    pub(super) fn compaction_step(&self) -> Next {
        self.guarded(|| {
            let mut state = self.state.lock();
            if self.is_closed() {
                return Next::Wait;
            }
            if state.manifest_busy {
                // Picked again when the edit under way is installed: see `install`.
                while state.manifest_busy && !self.is_closed() {
                    self.state_changed.wait(&mut state);
                }
                return Next::Again;
            }
            if let Some(failure) = &state.failures.database {
                // Without a MANIFEST nothing can be installed. (A full log is another matter: a compaction may make room.)
                if failure.severity != Severity::ReplaceLog {
                    let error = failure.to_error();
                    // The first one's worker answers it, if it is at work.
                    let kept = usize::from(state.manual.front().is_some_and(|manual| manual.is_running));
                    for manual in state.manual.drain(kept..) {
                        manual.reply.send(Err(error.clone()));
                    }
                    return Next::Wait;
                }
            }
            let picked = self.pick(&mut state).or_else(|| {
                let may_be_idle = self.options.idle_compaction;
                let compaction = may_be_idle.then(|| self.pick_idle(&mut state, Instant::now()))??;
                Some((compaction, false))
            });
            let Some((compaction, is_manual)) = picked else {
                return self.wait_for_work(&mut state);
            };
            // Succeeds, or is due again later.
            let _ = self.run_compaction(state, compaction, is_manual);
            Next::Again
        })
    }

    /// There is nothing to compact now.
    fn wait_for_work(&self, state: &mut DbState) -> Next {
        if let Some(time) = state.failures.compaction.as_ref().and_then(BackgroundError::time_to_retry) {
            return Next::WaitAtMost(time);
        }
        if state.running.is_empty() {
            self.compaction_succeeded(state, None);
        }
        let options = self.picker_options(&state.running);
        let wait_for = picker::next_droppable_deletions(state.versions.current(), &options);
        self.deletions_wait_for.store(wait_for.unwrap_or(u64::MAX), Ordering::SeqCst);
        if wait_for.is_some_and(|sequence| self.oldest_snapshot() >= sequence) {
            return Next::Again; // the snapshot went before it could know that it was waited for
        }
        let times =
            [self.time_to_idle_compaction(state), self.time_to_seek_compaction(state, Instant::now())];
        times.into_iter().flatten().min().map_or(Next::Wait, Next::WaitAtMost)
    }

    /// The error that keeps level 0 from getting smaller, if there is one: writers need not wait for it.
    pub(super) fn compactions_are_stuck(&self, state: &DbState) -> Option<Error> {
        let failure = state.failures.compaction.as_ref()?;
        let options = self.picker_options(&state.running);
        let go_on = !state.failures.pauses_compactions
            && (!state.running.is_empty()
                || picker::pick_size(state.versions.current(), &options, &state.versions.compact_pointers)
                    .is_some());
        (!go_on).then(|| failure.to_error())
    }

    /// Runs a step; a panic in it ends writes, not the process.
    pub(super) fn guarded(&self, step: impl FnOnce() -> Next) -> Next {
        catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
            let what = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .or_else(|| panic.downcast_ref::<ComparatorFailed>().map(|failed| failed.0.clone()))
                .unwrap_or_default();
            let mut state = self.state.lock();
            let error = Error::io(format!("internal error in a background thread: {what}"));
            self.record_background_error(&mut state, Severity::UntilReopened, &error);
            state.manual.drain(..).for_each(|manual| manual.reply.send(Err(error.clone())));
            Next::Wait
        })
    }

    fn job_context(&self) -> JobContext<'_> {
        JobContext {
            env: &self.env,
            db: &self.path,
            table_cache: &self.family.table_cache,
            next_file_number: &self.next_file_number,
            snapshots: self.snapshots_to_keep(),
            shutting_down: &self.closed,
            paranoid_checks: self.options.paranoid_checks,
            max_subcompactions: self.options.max_subcompactions,
            found_compression: &self.found_compression,
            info_log: &self.info_log,
        }
    }

    /// Writes all immutable memtables (or as many as one table can surely index) to one table and installs it. `replaces_log`: with the
    /// last of them goes all that a full log, which was replaced, holds.
    fn flush_immutables(&self, mut state: MutexGuard<'_, DbState>, replaces_log: bool) -> Result<()> {
        let started = self.env.now_micros();
        let most = if replaces_log { usize::MAX } else { MAX_MEMTABLE_BYTES };
        let memtables = state.memtables.immutables.oldest_within(most);
        let flushed = memtables.len();
        let mut context = self.job_context();
        if self.has_kept_logs(&state) {
            context.shutting_down = &NEVER; // see `flush_at_close`
        }
        let number = self.new_file_number();
        let version = state.versions.current().clone();
        let outcome = MutexGuard::unlocked(&mut state, || {
            self.found_compression.look(&version, &self.family.table_cache);
            drop(version);
            flush_job::run(&memtables, number, &context)
        });
        let is_job_error = outcome.is_err();
        let result = outcome.and_then(|files| {
            let mut written = Vec::new();
            let replaced = self.install(
                &mut state,
                |state| {
                    let mut edit = VersionEdit {
                        log_number: Some(state.memtables.log_number_behind(flushed)),
                        ..VersionEdit::default()
                    };
                    for file in files {
                        let (smallest, largest) = (file.smallest.user_key(), file.largest.user_key());
                        let level = self.level_for_flush(state, smallest, largest);
                        written.push((level, file.file_size));
                        edit.new_files.push((level, file));
                    }
                    edit
                },
                |state| {
                    // The caller holds the memtables, and drops them without the mutex.
                    drop(state.memtables.immutables.remove_oldest(flushed));
                    state.flush_due.flushed(!state.memtables.immutables.is_empty());
                    let needed = state.versions.log_number;
                    self.hand_over_logs(state, needed);
                    self.min_log_number.store(needed, Ordering::Release);
                },
            )?;
            let level = written.first().map_or(0, |&(level, _)| level);
            state.stats[level].micros += self.env.now_micros().saturating_sub(started);
            for (level, bytes) in written {
                state.stats[level].bytes_written += bytes;
            }
            Ok(replaced)
        });
        match result {
            Ok(replaced) => {
                self.flush_succeeded(&mut state);
                if replaces_log {
                    // Nothing was written since, so the MANIFEST names the log that is written to.
                    self.clear_background_error(&mut state, Severity::ReplaceLog);
                }
                drop(state);
                drop((memtables, replaced));
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

    /// Where a flushed table goes: below level 0 only where nothing overlaps it, not even what a compaction is writing.
    fn level_for_flush(&self, state: &DbState, smallest: &[u8], largest: &[u8]) -> usize {
        let max_file_size = self.options.max_file_size as u64;
        let level = state.versions.current().level_for_flush(smallest, largest, max_file_size);
        state.running.level_for_flush(&self.family.comparator, level, smallest, largest)
    }

    /// The compaction to run now, and whether it is a manual one: manual before size before seek. Nothing new is begun while
    /// a manual one waits for others to end, so that it has its turn; nothing but a manual one before a failed one is due again.
    fn pick(&self, state: &mut DbState) -> Option<(Compaction, bool)> {
        let DbState { running, versions, manual: requests, failures, .. } = state;
        let options = self.picker_options(running);
        let version = versions.current().clone();
        while let Some(manual) = requests.front_mut() {
            if manual.is_running {
                break; // one piece at a time; others go on beside it
            }
            let options = PickerOptions { rewritten_from: manual.target.rewritten_from, ..options };
            match picker::pick_manual(
                &version,
                &options,
                manual.level,
                manual.begin.as_ref(),
                manual.end.as_deref(),
            ) {
                ManualPick::Run { compaction, next_begin } => {
                    manual.is_running = true;
                    match next_begin {
                        Some(next) => manual.begin = Some(next),
                        // Nothing is left behind this piece: the request ends with it.
                        None => manual.is_last_piece = true,
                    }
                    let goes_on = manual.target.deepest > manual.level + 1;
                    let compaction =
                        if goes_on { picker::through_level_1(&options, *compaction) } else { *compaction };
                    return Some((compaction, true));
                }
                // A damaged table that was set aside does not end by itself.
                ManualPick::Busy if failures.release_damaged() => {}
                ManualPick::Busy => return None,
                ManualPick::Done => {
                    if let Some(manual) = requests.pop_front() {
                        manual.reply.send(Ok(()));
                    }
                }
            }
        }
        if let Some(failure) = &failures.compaction {
            if failure.time_to_retry().is_none() {
                failures.release_damaged();
            } else if failures.pauses_compactions {
                return None;
            }
        }
        if let Some(compaction) = picker::pick_size(&version, &options, &versions.compact_pointers) {
            return Some((compaction, false));
        }
        Some((self.pick_seek(state, Instant::now())?, false))
    }

    fn run_compaction(
        &self,
        mut state: MutexGuard<'_, DbState>,
        compaction: Compaction,
        is_manual: bool,
    ) -> Result<()> {
        state.running.add(&compaction);
        let context = self.job_context();
        let level = compaction.level;
        let more_work =
            picker::needs_compaction(state.versions.current(), &self.picker_options(&state.running));
        let outcome = if compaction.is_trivial_move() {
            Ok(move_edit(&compaction))
        } else {
            MutexGuard::unlocked(&mut state, || {
                if more_work {
                    self.compaction_waker.wake(); // another worker may find something that doesn't overlap
                }
                let outcome = compaction_job::run(&compaction, &context)?;
                let mut state = self.state.lock();
                let stats = &mut state.stats[compaction.output_level];
                stats.micros += outcome.micros;
                stats.bytes_read += outcome.bytes_read;
                stats.bytes_written += outcome.bytes_written;
                match compaction.reason {
                    CompactionReason::Idle => state.idle.bytes_written += outcome.bytes_written,
                    CompactionReason::Seek => state.seeks.bytes_written += outcome.bytes_written,
                    CompactionReason::Size | CompactionReason::Manual | CompactionReason::ManualMove => {}
                }
                Ok(outcome.edit)
            })
        };
        let is_job_error = outcome.is_err();
        let result = outcome.and_then(|edit| self.install(&mut state, |_| edit, |_| {}));
        state.running.remove(&compaction);
        match result {
            Ok(replaced) => {
                self.compaction_succeeded(&mut state, Some(level));
                self.retire(replaced, compaction); // before who waits is told: it removes what this leaves
                if is_manual {
                    self.end_manual_piece(&mut state, &Ok(()));
                }
                drop(state);
                self.compaction_waker.wake();
                Ok(())
            }
            Err(error) => {
                // An error of installing is noted there; one of closing is none.
                if is_job_error && !self.is_closed() {
                    if self.options.paranoid_checks && error.is_corruption() {
                        self.record_background_error(&mut state, Severity::UntilReopened, &error);
                    } else if !is_manual {
                        self.compaction_failed(&mut state, &compaction, &error);
                    }
                }
                // Last: who is told of the error finds writes refused, if they are.
                if is_manual {
                    self.end_manual_piece(&mut state, &Err(error.clone()));
                }
                Err(error)
            }
        }
    }

    /// A piece of the first manual compaction has ended: it goes on with the rest, or is answered.
    fn end_manual_piece(&self, state: &mut DbState, result: &Result<()>) {
        let Some(manual) = state.manual.front_mut() else { return };
        manual.is_running = false;
        if (result.is_err() || manual.is_last_piece)
            && let Some(manual) = state.manual.pop_front()
        {
            manual.reply.send(result.clone());
        }
    }
}

/// The edit of a compaction that needs no job: its one file, the same metadata, one level down.
fn move_edit(compaction: &Compaction) -> VersionEdit {
    VersionEdit {
        deleted_files: compaction.inputs[0].iter().map(|file| (compaction.level, file.number)).collect(),
        new_files: compaction.inputs[0].iter().map(|file| (compaction.output_level, file.clone())).collect(),
        compact_pointers: compaction
            .compact_pointer
            .iter()
            .map(|key| (compaction.level, key.clone()))
            .collect(),
        ..VersionEdit::default()
    }
}
