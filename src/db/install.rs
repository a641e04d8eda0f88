//! Installs edits: the only place where the edits of a job become the current state.
//!
//! One group of edits at a time. The installing thread marks the MANIFEST busy, prepares the edits and the
//! versions that they lead to, releases the mutex for the I/O, and commits afterwards. The order is: persist,
//! then install. No compaction is picked while the MANIFEST is busy. So the level of a flushed table, which
//! is chosen when its edit is prepared, is still right when the edit is installed.
//!
//! Thread rule: any thread that holds the state mutex.

use crate::db::background::errors::Severity;
use crate::db::background::file_gc::Superseded;
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::error::{Error, Result};
use crate::language::Language;
use crate::util::lock::MutexGuard;
use crate::version::manifest::ManifestWriter;
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::{EditCounters, PreparedEdits};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;

impl DbShared {
    /// Writes the edits that `make_edits` returns to the MANIFEST as one group, and makes them the current
    /// state. `make_edits` runs when the MANIFEST is free for this group; if it fails, nothing is written and
    /// nothing has changed. `on_commit` runs when the edits are durable, before the new state is published.
    /// Releases the mutex while it writes.
    ///
    /// After another error only the background error has changed. The outcome on disk is unknown, so nothing
    /// may be removed before the next MANIFEST is durable. The flush worker writes that MANIFEST.
    pub(super) fn install(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        make_edits: impl FnOnce(&mut DbState) -> Result<Vec<VersionEdit>>,
        on_commit: impl FnOnce(&mut DbState),
    ) -> Result<Superseded> {
        while state.manifest.is_busy() {
            self.state_changed.wait(state);
        }
        state.manifest.begin();
        // If this thread panics, the MANIFEST must not stay busy.
        let result = catch_unwind(AssertUnwindSafe(|| self.write_edits(state, make_edits)));
        state.manifest.end();
        match result.unwrap_or_else(|panic| resume_unwind(panic)) {
            Ok(prepared) => {
                let versions = state.versions.commit(&prepared);
                state.wals.set_flushed_sequence(prepared.counters.logged_before);
                for file in &prepared.removed_files {
                    file.mark_deleted(&self.file_gc.tables);
                }
                on_commit(state);
                self.release_wals_before(state, prepared.counters.min_log_number);
                self.manifest_is_durable(state);
                let mut super_versions = Vec::with_capacity(prepared.edits.len());
                for edit in &prepared.edits {
                    if state.versions.has(edit.column_family) {
                        super_versions.push(self.publish(edit.column_family, state));
                    }
                }
                self.clear_background_error(state, Severity::Manifest);
                self.state_changed.notify_all();
                Ok(Superseded { _super_versions: super_versions, _versions: versions })
            }
            Err(NotInstalled::Refused(error)) => {
                self.state_changed.notify_all(); // the MANIFEST is free again
                Err(error)
            }
            Err(NotInstalled::Failed(severity, error)) => {
                self.record_background_error(state, severity, &error);
                Err(error)
            }
        }
    }

    /// Writes a new MANIFEST after the last one could not be written, or because the recovered state must
    /// become durable.
    pub(super) fn renew_manifest(&self, state: &mut MutexGuard<'_, DbState>) -> Result<Superseded> {
        self.install(state, |_| Ok(vec![VersionEdit::default()]), |_| {})
    }

    fn write_edits(
        &self,
        state: &mut MutexGuard<'_, DbState>,
        make_edits: impl FnOnce(&mut DbState) -> Result<Vec<VersionEdit>>,
    ) -> std::result::Result<PreparedEdits, NotInstalled> {
        let edits = make_edits(state).map_err(NotInstalled::Refused)?;
        let mut manifest = state.manifest.take_writer(self.env.file_size_limit());
        // The MANIFEST takes its number before the next file number is read: every reader of the edits,
        // LevelDB too, gives that next number to a new MANIFEST of its own.
        let new_number = manifest.is_none().then(|| self.new_file_number());
        let next_file_number = self.next_file_number.load(Ordering::Relaxed);
        let min_log_number = state.min_log_number_after(&edits);
        let logged_before = state.wals.sequence_before(min_log_number);
        let counters = EditCounters { next_file_number, logged_before, min_log_number };
        // An edit that cannot be applied is a defect: a retry would fail too.
        let prepared = state
            .versions
            .prepare(edits, counters)
            .map_err(|error| NotInstalled::Failed(Severity::UntilReopened, error))?;
        let before = EditCounters {
            next_file_number,
            logged_before: state.wals.flushed_sequence(),
            min_log_number: state.versions.min_log_number(),
        };
        let language = state.versions.language();
        let new = new_number.map(|number| (number, state.versions.snapshot(before)));
        let mut new_size = None;
        let result = MutexGuard::unlocked(state, || {
            if let Some((number, snapshot)) = new {
                let new = self.new_manifest(number, language, &snapshot)?;
                new_size = Some(new.file_size());
                manifest = Some(new);
            }
            match &mut manifest {
                Some(manifest) => manifest.append(&prepared.edits),
                None => Err(Error::io("no MANIFEST to write to")),
            }
        });
        if let Some(size) = new_size {
            let unreferenced = state.manifest.replaced(size);
            unreferenced.into_iter().for_each(|number| self.file_gc.tables.push(number));
        }
        match result {
            Ok(()) => {
                state.manifest.written(manifest);
                Ok(prepared)
            }
            // The outcome is unknown: the next edit goes to a new MANIFEST.
            Err(error) => {
                state.manifest.failed(new_tables(&prepared.edits));
                Err(NotInstalled::Failed(Severity::Manifest, error))
            }
        }
    }

    /// Writes a new MANIFEST, makes CURRENT name it, and removes the older MANIFESTs.
    fn new_manifest(
        &self,
        number: u64,
        language: Language,
        snapshot: &[VersionEdit],
    ) -> Result<ManifestWriter> {
        let manifest = ManifestWriter::create(&self.env, &self.path, number, language, snapshot)?;
        self.remove_manifests_before(number);
        Ok(manifest)
    }
}

/// Why edits were not installed.
enum NotInstalled {
    /// They are not to be: nothing was written.
    Refused(Error),
    /// They could not be written.
    Failed(Severity, Error),
}

/// The tables that the edits add. A table that an edit moves between levels existed before and is not among
/// them.
fn new_tables(edits: &[VersionEdit]) -> impl Iterator<Item = u64> {
    edits.iter().flat_map(|edit| {
        edit.new_files.iter().map(|(_, file)| file.number).filter(|&number| !edit.deletes(number))
    })
}
