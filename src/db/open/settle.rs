//! Settles the [`RecoveryDebt`] of an open, and makes callers wait for that.
//!
//! Thread rule: any thread; each function locks the state mutex, or is called under it.

use crate::db::open::recovery_debt::RecoveryDebt;
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::error::Result;

impl DbState {
    /// Are there files that may be removed once a MANIFEST of this process is durable?
    pub(in crate::db) fn has_leftovers_in_debt(&self) -> bool {
        self.debt.as_ref().is_some_and(RecoveryDebt::has_leftovers)
    }

    /// Must a MANIFEST be written even if there is no edit?
    pub(in crate::db) fn must_write_manifest(&self) -> bool {
        self.manifest.is_missing() && self.debt.as_ref().is_some_and(RecoveryDebt::must_write_manifest)
    }

    /// Are entries of an earlier process only in memory?
    pub(in crate::db) fn has_recovered_entries(&self) -> bool {
        let min_log_number = self.versions.min_log_number();
        self.debt.as_ref().is_some_and(|debt| debt.has_recovered_entries(min_log_number))
    }
}

impl DbShared {
    /// Returns when the recovered state is durable, usually at once.
    #[cold]
    pub(in crate::db) fn settle_recovery(&self) -> Result<()> {
        let mut state = self.state.lock();
        loop {
            self.refusal(&state)?;
            let Some(debt) = &mut state.debt else { return Ok(()) };
            debt.want();
            if let Some(failure) = state.errors.flush() {
                return Err(failure.to_error());
            }
            state.flush_at_once();
            self.flush_waker.wake();
            self.wait_for_workers(&mut state);
        }
    }

    /// Records that a MANIFEST of this process is durable which describes `state`.
    pub(in crate::db) fn manifest_is_durable(&self, state: &mut DbState) {
        let min_log_number = state.versions.min_log_number();
        let Some(debt) = &mut state.debt else { return };
        let leftovers = debt.manifest_is_durable();
        if !debt.has_recovered_entries(min_log_number) {
            state.debt = None;
            self.update_write_gate(state);
        }
        if !leftovers.is_empty() {
            self.file_gc.add_paths(leftovers);
            self.removal_waker.wake();
        }
    }
}
