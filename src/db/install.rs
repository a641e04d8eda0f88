//! The only place where a job's edit becomes the current state.
//!
//! One edit at a time: who installs marks the MANIFEST busy, prepares the edit and the version it leads to, lets the mutex go
//! for the I/O, then commits. Persist, then install. While the MANIFEST is busy no compaction is picked, so that a flush may
//! be placed below level 0 by what it sees when it prepares its edit.

use super::background_error::Severity;
use super::state::{DbInner, DbState};
use crate::column_family::super_version::SuperVersion;
use crate::error::{Error, Result};
use crate::util::lock::MutexGuard;
use crate::version::manifest::{ManifestError, ManifestWriter};
use crate::version::version::Version;
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::PreparedEdit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A MANIFEST is replaced by a new one when it has grown past this, and past twice what it began with: the description of
/// a large database alone may be longer.
const MIN_MANIFEST_LIMIT: u64 = 16 << 20;

/// Bytes at which a MANIFEST is replaced that has this many when it describes the whole state.
pub(super) fn manifest_limit(bytes: u64) -> u64 {
    MIN_MANIFEST_LIMIT.max(bytes.saturating_mul(2))
}

/// States that were replaced, to be dropped outside of the mutex (files they alone held become obsolete then).
#[must_use]
pub struct Replaced(#[allow(dead_code)] Arc<SuperVersion>, #[allow(dead_code)] Arc<Version>);

impl DbInner {
    /// Writes the edit that `make_edit` returns to the MANIFEST and makes it the current state. `make_edit` runs when it is
    /// this edit's turn, `on_commit` when it is durable, before the new state is published. Releases the mutex while it writes.
    ///
    /// On an error nothing has changed but the background error; the outcome on disk is unknown, so nothing may be removed
    /// before the next MANIFEST is durable. The flush worker sees to that.
    pub(super) fn install(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        make_edit: impl FnOnce(&mut DbState) -> VersionEdit,
        on_commit: impl FnOnce(&mut DbState),
    ) -> Result<Replaced> {
        while state.manifest_busy {
            self.state_changed.wait(state);
        }
        state.manifest_busy = true;
        // Whoever else panics meanwhile, the right to write stays here.
        let result = catch_unwind(AssertUnwindSafe(|| self.write_edit(state, make_edit)));
        state.manifest_busy = false;
        match result.unwrap_or_else(|panic| resume_unwind(panic)) {
            Ok(prepared) => {
                let before = state.versions.commit(&prepared);
                state.flushed_sequence = prepared.edit.last_sequence.unwrap_or(state.flushed_sequence);
                for file in &prepared.removed_files {
                    file.mark_deleted(&self.obsolete);
                }
                on_commit(state);
                self.manifest_is_durable(state);
                let replaced = Replaced(self.publish(state), before);
                self.clear_background_error(state, Severity::Manifest);
                self.state_changed.notify_all();
                Ok(replaced)
            }
            Err((severity, error)) => {
                self.record_background_error(state, severity, &error);
                Err(error)
            }
        }
    }

    /// Writes a new MANIFEST in the place of one that could not be written.
    pub(super) fn renew_manifest(&self, state: &mut MutexGuard<'_, DbState>) -> Result<Replaced> {
        self.install(state, |_| VersionEdit::default(), |_| {})
    }

    fn write_edit(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        make_edit: impl FnOnce(&mut DbState) -> VersionEdit,
    ) -> std::result::Result<PreparedEdit, (Severity, Error)> {
        let edit = make_edit(state);
        // One that may not grow any more is followed by another before it fails.
        let limit = state.manifest_limit.min(self.env.file_size_limit() / 2);
        let mut manifest = state.manifest.take().filter(|manifest| manifest.file_size() < limit);
        // Its number is taken first: who reads the edits, LevelDB too, gives the next number to a MANIFEST of its own.
        let new_number = manifest.is_none().then(|| self.new_file_number());
        let next_file_number = self.next_file_number.load(Ordering::Relaxed);
        let log_number = edit.log_number.unwrap_or(state.versions.log_number);
        let oldest_needed = state.logs.iter().find(|log| log.number >= log_number);
        let last_sequence = oldest_needed.map_or(state.flushed_sequence, |log| log.begins_after);
        // An edit that does not fit is a defect: it would not fit the next time either.
        let prepared = state
            .versions
            .prepare(edit, next_file_number, last_sequence)
            .map_err(|error| (Severity::UntilReopened, error))?;
        let new = new_number
            .map(|number| (number, state.versions.snapshot(next_file_number, state.flushed_sequence)));
        let mut new_limit = None;
        let result = MutexGuard::unlocked(state, || {
            if let Some((number, snapshot)) = new {
                let new = self.new_manifest(number, snapshot)?;
                new_limit = Some(manifest_limit(new.file_size()));
                manifest = Some(new);
            }
            match &mut manifest {
                Some(manifest) => manifest.append(&prepared.edit),
                None => Err(Error::io("no MANIFEST to write to")),
            }
        });
        if let Some(limit) = new_limit {
            // What failed edits left behind is in no MANIFEST that counts.
            state.manifest_limit = limit;
            state.orphans.drain(..).for_each(|number| self.obsolete.push(number));
        }
        match result {
            Ok(()) => {
                state.manifest = manifest;
                Ok(prepared)
            }
            // The outcome is unknown: the next edit goes to a new MANIFEST.
            Err(error) => {
                let is_moved = |number| prepared.edit.deleted_files.iter().any(|&(_, other)| other == number);
                let new = prepared.edit.new_files.iter().map(|(_, file)| file.number);
                state.orphans.extend(new.filter(|&number| !is_moved(number)));
                Err((Severity::Manifest, error))
            }
        }
    }

    /// Writes a new MANIFEST, makes CURRENT name it, and removes the ones before it.
    fn new_manifest(&self, number: u64, snapshot: VersionEdit) -> Result<ManifestWriter> {
        let manifest = ManifestWriter::create(&self.env, &self.path, number, &[snapshot])
            .map_err(|ManifestError { error, .. }| error)?;
        self.remove_manifests_before(number);
        Ok(manifest)
    }
}
