//! The only place where a job's edit becomes the current state.
//!
//! After a failed write nobody knows whether the MANIFEST has the edit. So nothing more is written to it, and nothing is removed
//! that it may name, until another MANIFEST has taken its place; the flush worker sees to that (`cure_manifest`).
//!
//! One edit at a time: who installs marks the MANIFEST busy, prepares the edit and the version it leads to, lets the mutex go
//! for the I/O, then commits. Persist, then install. While the MANIFEST is busy no compaction is picked, so that a flush may
//! be placed below level 0 by what it sees when it prepares its edit.

use super::background_error::Severity;
use super::state::{DbInner, DbState};
use crate::column_family::super_version::SuperVersion;
use crate::error::{Error, Result};
use crate::version::manifest::{ManifestError, ManifestWriter};
use crate::version::version::Version;
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::PreparedEdit;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A MANIFEST that has grown past this, and past the size of what it describes, is replaced by a new one.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// States that were replaced, to be dropped outside of the mutex (files they alone held become obsolete then).
#[must_use]
pub(super) struct Replaced(#[allow(dead_code)] Arc<SuperVersion>, #[allow(dead_code)] Arc<Version>);

impl DbInner {
    /// Writes the edit that `make_edit` returns to the MANIFEST and makes it the current state. `make_edit` runs when it is
    /// this edit's turn, `on_commit` when it is durable, before the new state is published. Releases the mutex while it writes.
    ///
    /// On an error nothing has changed but the background error; the outcome on disk is unknown, so nothing may be removed.
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
        let result = self.write_edit(state, make_edit);
        state.manifest_busy = false;
        match result {
            Ok(prepared) => {
                let before = state.versions.commit(&prepared);
                state.flushed_sequence = prepared.edit.last_sequence.unwrap_or(state.flushed_sequence);
                for file in &prepared.removed_files {
                    file.mark_deleted(&self.obsolete);
                }
                on_commit(state);
                let replaced = Replaced(self.publish(state), before);
                self.clear_background_error(state, Severity::Manifest);
                self.state_changed.notify_all();
                Ok(replaced)
            }
            Err(error) => {
                self.record_background_error(state, Severity::Manifest, &error);
                Err(error)
            }
        }
    }

    /// Writes a new MANIFEST of the current state after a write to the last one has failed. Releases the mutex meanwhile.
    pub(super) fn cure_manifest(&self, state: &mut MutexGuard<'_, DbState>) -> Result<Replaced> {
        self.install(state, |_| VersionEdit::default(), |_| {})
    }

    fn write_edit(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        make_edit: impl FnOnce(&mut DbState) -> VersionEdit,
    ) -> Result<PreparedEdit> {
        let edit = make_edit(state);
        let next_file_number = self.next_file_number.load(Ordering::Relaxed);
        let log_number = edit.log_number.unwrap_or(state.versions.log_number);
        let oldest_needed = state.logs.iter().find(|log| log.number >= log_number);
        let last_sequence = oldest_needed.map_or(state.flushed_sequence, |log| log.begins_after);
        let prepared = state.versions.prepare(edit, next_file_number, last_sequence)?;
        let mut manifest = state.manifest.take().filter(|manifest| manifest.file_size() < MAX_MANIFEST_BYTES);
        let snapshot = match &manifest {
            Some(_) => None,
            None => Some(state.versions.snapshot(next_file_number, state.flushed_sequence)),
        };
        let result = MutexGuard::unlocked(state, || {
            let begins = snapshot.is_some();
            if let Some(snapshot) = snapshot {
                manifest = Some(self.new_manifest(&[snapshot])?);
            }
            match &mut manifest {
                Some(manifest) => manifest.append(&prepared.edit).map(|()| begins),
                None => Err(Error::io("no MANIFEST to write to")),
            }
        });
        match result {
            Ok(begun) => {
                state.manifest = manifest;
                if begun {
                    // CURRENT durably names a MANIFEST that knows nothing of them.
                    state.unconfirmed_tables.drain(..).for_each(|number| self.obsolete.push(number));
                }
                Ok(prepared)
            }
            Err(error) => {
                // The outcome is unknown: the next edit goes to a new MANIFEST. (A moved file is in the version already.)
                let (new_files, before) = (&prepared.edit.new_files, state.versions.current());
                let is_new = |number| before.levels.iter().all(|level| level.position(number).is_none());
                let numbers = new_files.iter().map(|(_, file)| file.number).filter(|&number| is_new(number));
                let numbers: Vec<u64> = numbers.collect();
                state.unconfirmed_tables.extend(numbers);
                Err(error)
            }
        }
    }

    /// Writes a new MANIFEST, makes CURRENT name it, and removes the ones before it.
    pub(super) fn new_manifest(&self, snapshot: &[VersionEdit]) -> Result<ManifestWriter> {
        let number = self.new_file_number();
        let mut snapshot = snapshot.to_vec();
        if let Some(edit) = snapshot.last_mut() {
            edit.next_file_number = Some(self.next_file_number.load(Ordering::Relaxed));
        }
        let manifest = ManifestWriter::create(&self.env, &self.path, number, &snapshot)
            .map_err(|ManifestError { error, .. }| error)?;
        self.remove_manifests_before(number);
        Ok(manifest)
    }
}
