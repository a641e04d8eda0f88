//! The effects of a failure, and of its end, outside of [`ErrorState`](super::errors::ErrorState): which
//! threads are woken, what writers see, which lines go to LOG.
//!
//! Thread rule: under the state mutex.

use crate::compaction::Compaction;
use crate::db::background::errors::{Moment, Severity};
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::error::Error;

impl DbShared {
    /// The present moment, by both clocks.
    pub(in crate::db) fn moment(&self) -> Moment {
        Moment { monotonic: self.env.now(), micros: self.env.now_micros() }
    }

    /// Records that the MANIFEST, the WAL or the engine has failed.
    pub(in crate::db) fn record_background_error(
        &self,
        state: &mut DbState,
        severity: Severity,
        error: &Error,
    ) {
        let line = state.errors.database_failed(severity, error, self.moment());
        self.errors_changed(state, line);
        self.update_write_gate(state);
    }

    /// Records that a flush has failed. It will be retried.
    pub(in crate::db) fn flush_failed(&self, state: &mut DbState, error: &Error) {
        let line = state.errors.flush_failed(error, self.moment());
        self.errors_changed(state, line);
    }

    /// Records that a compaction has failed. It will be retried. Its inputs must not be marked busy any more.
    pub(in crate::db) fn compaction_failed(
        &self,
        state: &mut DbState,
        compaction: &Compaction,
        error: &Error,
    ) {
        let lines = state.errors.compaction_failed(compaction, error, self.moment());
        self.errors_changed(state, lines);
    }

    /// Ends the failure of the database, unless its severity is higher than this.
    pub(in crate::db) fn clear_background_error(&self, state: &mut DbState, severity: Severity) {
        if let Some(line) = state.errors.database_recovered(severity) {
            self.errors_changed(state, Some(line));
            self.update_write_gate(state);
        }
    }

    /// Records that a flush has succeeded, which ends the failure of flushes.
    pub(in crate::db) fn flush_succeeded(&self, state: &mut DbState) {
        if let Some(line) = state.errors.flush_succeeded() {
            self.errors_changed(state, Some(line));
        }
    }

    /// Records that a compaction of `level` has succeeded (`None`: there is nothing to compact), which ends a
    /// failure of that level.
    pub(in crate::db) fn compaction_succeeded(&self, state: &mut DbState, level: Option<usize>) {
        if let Some(line) = state.errors.compaction_succeeded(level) {
            self.errors_changed(state, Some(line));
        }
    }

    /// Wakes all waiting threads, and the flush worker if there are lines for LOG.
    fn errors_changed(&self, state: &mut DbState, lines: impl IntoIterator<Item = String>) {
        self.state_changed.notify_all();
        let before = state.info_lines.len();
        state.info_lines.extend(lines);
        if state.info_lines.len() > before {
            self.flush_waker.wake();
        }
    }

    /// Writes lines to LOG. Call it without the state mutex.
    pub(in crate::db) fn write_info_lines(&self, lines: Vec<String>) {
        for line in lines {
            self.info_log.log(format_args!("{line}"));
        }
    }
}
