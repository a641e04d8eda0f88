//! The steps of the compaction worker. Priority: manual compactions, then size, then seek, then idle ones,
//! then upgrades of tables.
//!
//! A step picks a compaction under the state mutex, runs it without the mutex, and installs the outcome.
//!
//! Thread rule: a step runs on up to `max_background_compactions` threads at the same time.

use crate::background::pool::Next;
use crate::column_family::ColumnFamily;
use crate::compaction::context::PickerOptions;
use crate::compaction::job as compaction_job;
use crate::compaction::picker::{self, ManualPick};
use crate::compaction::{Compaction, upgrade};
use crate::db::background::errors::Severity;
use crate::db::background::file_gc::Superseded;
use crate::db::background::manual_queue::ManualWork;
use crate::db::family::FamilyState;
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::job::context::JobContext;
use crate::util::lock::MutexGuard;
use crate::version::file_metadata::FileMetaData;
use crate::version::version_edit::VersionEdit;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A compaction to be run now, and its family.
type Picked = (ColumnFamilyId, Compaction);

impl DbShared {
    /// One step of the compaction worker.
    pub(in crate::db) fn compaction_step(&self) -> Next {
        self.guarded(|| {
            let mut state = self.state.lock();
            if self.is_closed() {
                return Next::Wait;
            }
            if state.manifest.is_busy() {
                // No compaction is picked before the edit that is being written is installed: see `install`.
                while state.manifest.is_busy() && !self.is_closed() {
                    self.state_changed.wait(&mut state);
                }
                return Next::Again;
            }
            if let Some(failure) = state.errors.database()
                && failure.severity != Severity::ReplaceLog
            {
                // Without a MANIFEST nothing can be installed. A failed WAL does not stop compactions: they
                // may free space on the disk.
                let error = failure.to_error();
                state.manual.fail_waiting(&error);
                return Next::Wait;
            }
            let now = self.env.now();
            match self.pick(&mut state, now) {
                // If the compaction fails, the error says when it is picked again.
                Some((family, compaction)) => {
                    let _ = self.run_compaction(state, family, compaction);
                    Next::Again
                }
                None => self.wait_for_work(&mut state, now),
            }
        })
    }

    /// Nothing can be compacted now. Returns for how long the worker sleeps.
    fn wait_for_work(&self, state: &mut DbState, now: Instant) -> Next {
        if let Some(time) = state.errors.compaction().and_then(|failure| failure.time_to_retry(now)) {
            return Next::WaitAtMost(time);
        }
        if !state.is_compacting() {
            self.compaction_succeeded(state, None);
        }
        let droppable_at = |(id, _)| {
            let options = self.picker_options(id, state);
            picker::next_droppable_deletions(state.versions.current(id), &options)
        };
        let droppable_at = state.families.iter().filter_map(droppable_at).min().unwrap_or(u64::MAX);
        self.tombstones_droppable_at.store(droppable_at, Ordering::SeqCst);
        if self.oldest_snapshot() >= droppable_at {
            return Next::Again; // the snapshot was released before this store
        }
        if state.manual.next().is_some() {
            return Next::Wait; // a manual compaction waits for others, whose end wakes this worker
        }
        let times = state.families.iter().flat_map(|(_, family)| {
            let waits_for_flush = !family.memtables.immutables.is_empty();
            let last_switch = family.flush_policy.last_switch();
            [family.idle.time_left(now), family.seeks.time_left(waits_for_flush, last_switch, now)]
        });
        times.flatten().min().map_or(Next::Wait, Next::WaitAtMost)
    }

    /// The error that keeps level 0 of a family from getting smaller, if there is one. Writers return it
    /// instead of waiting.
    pub(in crate::db) fn compactions_are_stuck(
        &self,
        state: &DbState,
        family: ColumnFamilyId,
    ) -> Option<Error> {
        let failure = state.errors.compaction()?;
        let (version, pointers) = (state.versions.current(family), state.versions.compact_pointers(family));
        let is_due = || picker::pick_size(version, &self.picker_options(family, state), pointers).is_some();
        let continues = !state.errors.pauses_compactions()
            && (!state.families[family].in_progress.is_empty() || is_due());
        (!continues).then(|| failure.to_error())
    }

    /// The context that a job of the family borrows.
    pub(in crate::db) fn job_context<'a>(
        &'a self,
        family: &'a ColumnFamily,
        state: &DbState,
    ) -> JobContext<'a> {
        let ColumnFamily { table_cache, found_compression, .. } = family;
        JobContext {
            language: state.versions.language(),
            family: family.id,
            env: &self.env,
            db: &self.path,
            table_cache,
            next_file_number: &self.next_file_number,
            snapshots: self.snapshots_to_keep(),
            shutting_down: &self.closed,
            paranoid_checks: self.options.paranoid_checks,
            max_subcompactions: self.options.max_subcompactions,
            found_compression,
            info_log: &self.info_log,
        }
    }

    /// The compaction to run now: a due one, or else an idle one, or else the upgrade of a table.
    fn pick(&self, state: &mut DbState, now: Instant) -> Option<Picked> {
        if let Some(due) = self.pick_due(state, now) {
            return Some(due);
        }
        let is_idle = |(id, family): (ColumnFamilyId, &FamilyState)| {
            family.family.or(&self.default_family).options.idle_compaction.then_some(id)
        };
        let families: Vec<_> = state.families.iter().filter_map(is_idle).collect();
        let idle = families.into_iter().find_map(|id| Some((id, self.pick_idle(state, id, now)?)));
        idle.or_else(|| self.pick_upgrade(state, now))
    }

    /// The compaction that is due now. While a manual compaction waits for busy files, no other compaction
    /// begins, so that the manual one gets them. Until a failed compaction is due again, only manual ones run
    /// (unless the failure has set aside a table).
    fn pick_due(&self, state: &mut DbState, now: Instant) -> Option<Picked> {
        if state.manual.take_turn_of_others()
            && !Self::waits_for_retry(state, now)
            && let Some(due) = self.pick_by_size(state)
        {
            return Some(due);
        }
        match self.pick_manual(state) {
            ManualTurn::Runs(family, compaction) => return Some((family, *compaction)),
            ManualTurn::Waits => return None,
            ManualTurn::IsFree => {}
        }
        if Self::waits_for_retry(state, now) {
            return None;
        }
        let due = self.pick_by_size(state);
        if due.is_some() {
            return due;
        }
        let has_candidate =
            |(id, family): (ColumnFamilyId, &FamilyState)| family.seeks.has_candidate().then_some(id);
        let candidates: Vec<_> = state.families.iter().filter_map(has_candidate).collect();
        candidates.into_iter().find_map(|family| Some((family, self.pick_seek(state, family, now)?)))
    }

    /// Has a compaction failed that is not due again? If it is due, tables that were set aside are tried too.
    fn waits_for_retry(state: &mut DbState, now: Instant) -> bool {
        let Some(failure) = state.errors.compaction() else { return false };
        if failure.time_to_retry(now).is_none() {
            state.errors.release_damaged();
            return false;
        }
        state.errors.pauses_compactions()
    }

    /// The size compaction that is due.
    fn pick_by_size(&self, state: &DbState) -> Option<Picked> {
        let by_size = |family| {
            let (version, pointers) =
                (state.versions.current(family), state.versions.compact_pointers(family));
            picker::pick_size(version, &self.picker_options(family, state), pointers)
        };
        state.families.iter().find_map(|(family, _)| Some((family, by_size(family)?)))
    }

    /// The next piece of the first manual compaction in the queue.
    fn pick_manual(&self, state: &mut DbState) -> ManualTurn {
        while let Some(work) = state.manual.next() {
            let ManualWork::Range(manual) = work else {
                match self.pick_requested_upgrade(state) {
                    Some(turn) => return turn,
                    None => continue,
                }
            };
            let (family, target, level) = (manual.family, manual.target, manual.level);
            if !state.versions.has(family) {
                state.manual.finish_first(Err(Error::invalid_argument("the column family was dropped")));
                continue;
            }
            let options =
                PickerOptions { rewritten_from: target.rewritten_from, ..self.picker_options(family, state) };
            let version = state.versions.current(family);
            let (begin, end) = (manual.begin.as_ref(), manual.end.as_deref());
            match picker::pick_manual(version, &options, level, begin, end) {
                ManualPick::Run { compaction, next_begin } => {
                    let compaction = match target.deepest > level + 1 {
                        true => Box::new(picker::extend_to_level_2(&options, *compaction)),
                        false => compaction,
                    };
                    state.manual.piece_begins(next_begin);
                    return ManualTurn::Runs(family, compaction);
                }
                // A table that was set aside is marked busy, and no running compaction will clear the mark.
                ManualPick::Busy if state.errors.release_damaged() => {}
                ManualPick::Busy => return ManualTurn::Waits,
                ManualPick::Done => state.manual.finish_first(Ok(())),
            }
        }
        ManualTurn::IsFree
    }

    /// A read probed `file` of a family without a hit. A file that has used up its seeks becomes the
    /// candidate of a seek compaction.
    #[cold]
    pub(in crate::db) fn charge_seek(&self, id: ColumnFamilyId, level: usize, file: Arc<FileMetaData>) {
        if !file.charge_seek() || self.is_inside_comparator() {
            return;
        }
        // The last reference to the file may be this one: it is dropped without the mutex.
        let mut state = self.state.lock();
        let is_new = state.families.get_mut(id).is_some_and(|family| family.seeks.suggest(level, &file));
        drop(state);
        if is_new {
            self.compaction_waker.wake();
        }
    }

    /// The seek compaction to run now, if writers leave time for it; until then the candidate stays. A
    /// candidate that cannot be compacted, or whose compaction would exceed the limit, is dropped.
    pub(in crate::db) fn pick_seek(
        &self,
        state: &mut DbState,
        family: ColumnFamilyId,
        now: Instant,
    ) -> Option<Compaction> {
        let of_family = &mut state.families[family];
        let waits_for_flush = !of_family.memtables.immutables.is_empty();
        let last_switch = of_family.flush_policy.last_switch();
        let (level, file) = of_family.seeks.take(waits_for_flush, last_switch, now)?;
        let version = state.versions.current(family);
        let of_family = &state.families[family];
        let size: u64 = (0..version.levels.len()).map(|level| version.level_bytes(level)).sum();
        let compaction = picker::pick_seek(version, &self.picker_options(family, state), level, &file)
            .filter(|it| of_family.seeks.may_write(it.input_bytes(), size, of_family.bytes_written()));
        if compaction.is_none() {
            file.reset_allowed_seeks(); // so that not every other read suggests it again
        }
        compaction
    }

    /// The idle compaction, if nothing has been written for long enough.
    pub(in crate::db) fn pick_idle(
        &self,
        state: &mut DbState,
        family: ColumnFamilyId,
        now: Instant,
    ) -> Option<Compaction> {
        let candidate = self.mergeable_when_idle(state, family);
        let last_sequence = self.last_sequence.load(Ordering::Acquire);
        state.families[family].idle.pick(candidate, last_sequence, now)
    }

    fn mergeable_when_idle(&self, state: &DbState, family: ColumnFamilyId) -> Option<Compaction> {
        let has_other_work = state.is_compacting()
            || !state.manual.is_empty()
            || state.has_immutables()
            || state.errors.worst().is_some();
        if has_other_work {
            return None;
        }
        let compaction =
            picker::pick_idle(state.versions.current(family), &self.picker_options(family, state))?;
        let of_family = &state.families[family];
        let buffer = of_family.family.or(&self.default_family).options.write_buffer_size as u64;
        let bytes = compaction.input_bytes();
        of_family.idle.may_write(bytes, of_family.bytes_written(), buffer).then_some(compaction)
    }

    fn run_compaction(
        &self,
        mut state: MutexGuard<'_, DbState>,
        family: ColumnFamilyId,
        compaction: Compaction,
    ) -> Result<()> {
        state.families[family].in_progress.add(&compaction);
        let outcome = self.merge(&mut state, family, &compaction);
        let is_job_error = outcome.is_err();
        let result = outcome.and_then(|edit| match edit {
            Some(edit) => self.install_compaction(&mut state, edit),
            None => Ok(Superseded::default()),
        });
        if let Some(of_family) = state.families.get_mut(family) {
            of_family.in_progress.remove(&compaction);
        }
        let is_dropped = !state.versions.has(family);
        let (level, is_manual) = (compaction.level, compaction.reason.is_manual());
        match result {
            Ok(superseded) => {
                self.compaction_succeeded(&mut state, Some(level));
                self.retire(superseded, compaction); // before the caller is answered and removes the files
                if is_manual {
                    state.manual.piece_ends(&Ok(()));
                }
                drop(state);
                self.compaction_waker.wake();
                Ok(())
            }
            Err(error) => {
                // `install` records its own errors. A job that stops because the database is closing, or
                // whose family was dropped, has no error to record.
                if is_job_error && !self.is_closed() && !is_dropped {
                    if self.options.paranoid_checks && error.is_corruption() {
                        self.record_background_error(&mut state, Severity::UntilReopened, &error);
                    } else if !is_manual {
                        self.compaction_failed(&mut state, &compaction, &error);
                    }
                }
                // The caller is answered last: when it gets this error, writes are already refused if they
                // have to be.
                if is_manual {
                    state.manual.piece_ends(&Err(error.clone()));
                }
                drop(state); // the files of a dropped family are closed with the compaction
                Err(error)
            }
        }
    }

    /// Installs the edit of a compaction. If its family was dropped, the outputs are discarded.
    fn install_compaction(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        edit: VersionEdit,
    ) -> Result<Superseded> {
        let family = edit.column_family;
        let outputs: Vec<_> = edit.new_files.iter().map(|(_, file)| file.clone()).collect();
        let is_move = edit.new_files.iter().any(|(_, file)| edit.deletes(file.number));
        let make_edits = |state: &mut DbState| match state.versions.has(family) {
            true => Ok(vec![edit]),
            false => Err(Error::invalid_argument("the column family was dropped")),
        };
        let result = self.install(state, make_edits, |_| {});
        if result.is_err() && !state.versions.has(family) && !is_move {
            self.discard_tables(outputs);
        }
        result
    }

    /// Runs the job without the mutex, unless a trivial move makes it unnecessary. Returns the edit to be
    /// installed, if anything changes.
    fn merge(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        family: ColumnFamilyId,
        compaction: &Compaction,
    ) -> Result<Option<VersionEdit>> {
        if compaction.is_trivial_move() {
            return Ok(Some(move_edit(family, compaction)));
        }
        let of_family = state.families[family].family.clone();
        let context = self.job_context(of_family.or(&self.default_family), state);
        let version = state.versions.current(family);
        let is_more_due = picker::needs_compaction(version, &self.picker_options(family, state));
        let outcome = MutexGuard::unlocked(state, || {
            if is_more_due {
                self.compaction_waker.wake(); // another thread may find a compaction that does not overlap
            }
            match compaction.reason.is_upgrade() {
                true => upgrade::run(compaction, &context),
                false => compaction_job::run(compaction, &context).map(Some),
            }
        })?;
        let Some(outcome) = outcome else { return Ok(None) };
        if let Some(of_family) = state.families.get_mut(family) {
            of_family.note_compaction(compaction, &outcome);
        } // else it will not be installed
        Ok(Some(VersionEdit { column_family: family, ..outcome.edit }))
    }
}

/// Which compaction may be picked next.
pub(in crate::db) enum ManualTurn {
    /// A piece of a manual compaction.
    Runs(ColumnFamilyId, Box<Compaction>),
    /// None: a manual compaction waits for busy files.
    Waits,
    /// Any other one: no manual compaction is requested, or a piece of one is running.
    IsFree,
}

/// The edit of a trivial move: the same file, with the same metadata, at the output level.
fn move_edit(family: ColumnFamilyId, compaction: &Compaction) -> VersionEdit {
    VersionEdit {
        column_family: family,
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
