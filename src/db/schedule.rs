//! What the workers do: one flush worker, which also removes obsolete files, and the compaction workers.
//!
//! Each step asks the state what is to be done, does it without the mutex, and installs the outcome. Priority: flush (its own
//! worker, never behind a compaction), then manual, then size, then seek compactions. A step that panics leaves the
//! database readable and refusing writes; nobody waits for ever.

use super::background_error::Severity;
use super::state::{DbInner, DbState};
use crate::background::worker::Next;
use crate::compaction::compaction::Compaction;
use crate::compaction::job as compaction_job;
use crate::compaction::picker::{self, ManualPick};
use crate::error::{Error, Result};
use crate::flush::job::{self as flush_job, JobContext};
use crate::util::lock::MutexGuard;
use crate::version::version_edit::VersionEdit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

impl DbInner {
    /// A step of the flush worker.
    pub(super) fn flush_step(&self) -> Next {
        self.guarded(|| {
            self.remove_obsolete_tables();
            let mut state = self.state.lock();
            if self.is_closed() {
                return Next::Stop;
            }
            let severity = state.background_error.as_ref().map(|kept| kept.severity);
            if severity == Some(Severity::UntilReopened) {
                return Next::Wait;
            }
            if severity == Some(Severity::ReplaceLog) {
                drop(state);
                if self.replace_poisoned_log().is_err() {
                    return self.retry_later();
                }
                state = self.state.lock();
            }
            if state.memtables.immutables.is_empty() {
                return Next::Wait;
            }
            // A log that fails while this flush runs is not replaced yet: the next flush cures that.
            let cures = if severity == Some(Severity::ReplaceLog) { severity } else { None };
            match self.flush_immutables(state, cures.unwrap_or(Severity::Retrying)) {
                Ok(()) => Next::Again,
                Err(_) => self.retry_later(),
            }
        })
    }

    /// A step of a compaction worker.
    pub(super) fn compaction_step(&self) -> Next {
        self.guarded(|| {
            let mut state = self.state.lock();
            if self.is_closed() {
                return Next::Stop;
            }
            if state.background_error.as_ref().is_some_and(|error| !error.is_retried()) {
                return Next::Wait;
            }
            if state.manifest_busy {
                // Picked again when the edit under way is installed: see `install`.
                while state.manifest_busy && !self.is_closed() {
                    self.state_changed.wait(&mut state);
                }
                return Next::Again;
            }
            let Some((compaction, is_manual)) = self.pick(&mut state) else { return self.settle(state) };
            match self.run_compaction(state, compaction, is_manual) {
                Ok(()) => Next::Again,
                Err(_) => self.retry_later(),
            }
        })
    }

    /// There is nothing to compact (any more: the work that failed may have been a request, which was answered). Where nothing is
    /// left to be tried again, that error is over; a MANIFEST that could not be written is written for its own sake.
    fn settle(&self, mut state: MutexGuard<'_, DbState>) -> Next {
        if !state.memtables.immutables.is_empty() || !state.running.is_empty() {
            return Next::Wait;
        }
        match state.background_error.as_ref().map(|kept| kept.severity) {
            Some(Severity::Retrying) => self.clear_background_error(&mut state, Severity::Retrying),
            Some(Severity::Manifest) => {
                let result = self.install(&mut state, |_| VersionEdit::default(), |_| {});
                drop(state);
                if result.is_err() {
                    return self.retry_later();
                }
            }
            _ => {}
        }
        Next::Wait
    }

    /// Runs a step; a panic in it ends writes, not the process.
    fn guarded(&self, step: impl FnOnce() -> Next) -> Next {
        catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
            let what = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            let mut state = self.state.lock();
            let error = Error::io(format!("internal error in a background thread: {what}"));
            self.record_background_error(&mut state, Severity::UntilReopened, &error);
            state.manifest_busy = false;
            self.state_changed.notify_all();
            Next::Wait
        })
    }

    fn retry_later(&self) -> Next {
        let state = self.state.lock();
        match &state.background_error {
            _ if self.is_closed() => Next::Stop,
            Some(error) if error.is_retried() => Next::WaitAtMost(error.backoff()),
            Some(_) => Next::Wait,
            None => Next::Again,
        }
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
            info_log: &self.info_log,
        }
    }

    /// Writes all immutable memtables to one table and installs it. If no memtable is left behind then, the MANIFEST names the log
    /// that is written to, and an error of severity `cures` is over.
    fn flush_immutables(&self, mut state: MutexGuard<'_, DbState>, cures: Severity) -> Result<()> {
        let started = self.env.now_micros();
        let memtables =
            state.memtables.immutables.oldest_first().map(|i| i.memtable.clone()).collect::<Vec<_>>();
        let flushed = memtables.len();
        let context = self.job_context();
        let number = self.new_file_number();
        let outcome = MutexGuard::unlocked(&mut state, || flush_job::run(&memtables, number, &context));
        let result = outcome.and_then(|file| {
            let bytes = file.as_ref().map_or(0, |file| file.file_size);
            let mut level = 0;
            let mut unneeded_logs = Vec::new();
            let replaced = self.install(
                &mut state,
                |state| {
                    let mut edit = VersionEdit {
                        log_number: Some(state.memtables.log_number_behind(flushed)),
                        ..VersionEdit::default()
                    };
                    if let Some(file) = file {
                        level =
                            self.level_for_flush(state, file.smallest.user_key(), file.largest.user_key());
                        edit.new_files.push((level, file));
                    }
                    edit
                },
                |state| {
                    // The caller holds the memtables, and drops them without the mutex.
                    drop(state.memtables.immutables.remove_oldest(flushed));
                    let needed = state.versions.log_number;
                    unneeded_logs = self.take_unneeded_logs(state, needed);
                    self.min_log_number.store(needed, Ordering::Release);
                },
            )?;
            state.stats[level].micros += self.env.now_micros().saturating_sub(started);
            state.stats[level].bytes_written += bytes;
            Ok((replaced, unneeded_logs))
        });
        match result {
            Ok((replaced, unneeded_logs)) => {
                let is_behind = !state.memtables.immutables.is_empty();
                self.clear_background_error(&mut state, if is_behind { Severity::Retrying } else { cures });
                self.state_changed.notify_all();
                drop(state);
                drop((memtables, replaced));
                self.compaction_waker.wake();
                self.remove_logs(&unneeded_logs);
                Ok(())
            }
            Err(error) => {
                if !self.is_closed() {
                    self.record_background_error(&mut state, Severity::Retrying, &error);
                }
                self.state_changed.notify_all();
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

    /// The compaction to run now, marked as running: manual before size before seek.
    fn pick(&self, state: &mut DbState) -> Option<(Compaction, bool)> {
        let DbState { running, versions, manual: requests, seek_candidate, .. } = state;
        let options = self.picker_options(running);
        let version = versions.current().clone();
        while let Some(manual) = requests.front_mut() {
            if manual.is_running {
                break;
            }
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
                    return Some((*compaction, true));
                }
                ManualPick::Busy => break,
                ManualPick::Done => {
                    if let Some(manual) = requests.pop_front() {
                        manual.reply.send(Ok(()));
                    }
                }
            }
        }
        if let Some(compaction) = picker::pick_size(&version, &options, &versions.compact_pointers) {
            return Some((compaction, false));
        }
        let (level, file) = seek_candidate.take()?;
        Some((picker::pick_seek(&version, &options, level, &file)?, false))
    }

    fn run_compaction(
        &self,
        mut state: MutexGuard<'_, DbState>,
        compaction: Compaction,
        is_manual: bool,
    ) -> Result<()> {
        state.running.add(&compaction);
        let context = self.job_context();
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
                Ok(outcome.edit)
            })
        };
        let is_job_error = outcome.is_err();
        let result = outcome.and_then(|edit| self.install(&mut state, |_| edit, |_| {}));
        state.running.remove(&compaction);
        match result {
            Ok(replaced) => {
                self.clear_background_error(&mut state, Severity::Retrying);
                self.state_changed.notify_all();
                drop(state);
                drop(replaced);
                drop(compaction);
                self.compaction_waker.wake();
                // Who waits for a manual compaction finds the space given back.
                self.remove_obsolete_tables();
                if is_manual {
                    self.end_manual_piece(&mut self.state.lock(), &Ok(()));
                }
                Ok(())
            }
            Err(error) => {
                if is_manual {
                    self.end_manual_piece(&mut state, &Err(error.clone()));
                }
                if is_job_error && !self.is_closed() {
                    let fatal = self.options.paranoid_checks && error.is_corruption();
                    let severity = if fatal { Severity::UntilReopened } else { Severity::Retrying };
                    self.record_background_error(&mut state, severity, &error);
                }
                self.state_changed.notify_all();
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
