//! What an opening has read, and what may not be built upon before this life has made it durable.
//!
//! What is read was written by another life, perhaps not durably: that one may have been killed between a write and its sync,
//! or the sync may have failed, after which the system says nothing of it any more. An opening that writes nothing goes on with
//! it all the same. Until a MANIFEST of this life describes it, and what was in logs is in tables that this MANIFEST names:
//!
//! - no file is removed that the state read does not need, but for logs without entries;
//! - no synced write is begun: its promise holds for every write before it.
//!
//! Whatever is written to the MANIFEST confirms what was read, since the first edit begins a new one. Where there is a reason
//! (files to remove, a synced write, a flush that a caller asks for) the flush worker does not wait for such an edit.

use super::state::{DbInner, DbState};
use crate::error::Result;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// What was read and is not confirmed; under the state mutex.
pub struct Unconfirmed {
    /// Logs below it were read, and their entries are in memory only.
    pub first_own_log: u64,
    /// Files that the state read does not need, to be removed once a MANIFEST of this life is durable.
    pub leftovers: Vec<PathBuf>,
    /// Somebody waits for it.
    pub is_wanted: bool,
}

impl Unconfirmed {
    /// Is there a reason to write a MANIFEST for its own sake?
    fn wants_manifest(&self) -> bool {
        self.is_wanted || !self.leftovers.is_empty()
    }
}

impl DbState {
    /// Are there files to be removed once a MANIFEST of this life is durable?
    pub(super) fn has_unconfirmed_leftovers(&self) -> bool {
        self.unconfirmed.as_ref().is_some_and(|unconfirmed| !unconfirmed.leftovers.is_empty())
    }
}

impl DbInner {
    /// May a promise be built upon what the opening has read?
    #[inline]
    pub(super) fn is_confirmed(&self) -> bool {
        !self.unconfirmed.load(Ordering::Acquire)
    }

    /// Returns when what the opening has read is durable; at once, mostly.
    #[cold]
    pub(super) fn confirm(&self) -> Result<()> {
        let mut state = self.state.lock();
        loop {
            self.refusal(&state)?;
            let Some(unconfirmed) = &mut state.unconfirmed else { return Ok(()) };
            unconfirmed.is_wanted = true;
            if let Some(failure) = &state.failures.flush {
                return Err(failure.to_error());
            }
            state.flush_due.hurry();
            self.flush_waker.wake();
            self.wait_for_workers(&mut state);
        }
    }

    /// A MANIFEST of this life is durable, and describes `state`.
    pub(super) fn manifest_is_durable(&self, state: &mut DbState) {
        let Some(unconfirmed) = &mut state.unconfirmed else { return };
        if !unconfirmed.leftovers.is_empty() {
            self.leftovers.lock().paths.append(&mut unconfirmed.leftovers);
            self.removal_waker.wake();
        }
        if state.versions.log_number >= unconfirmed.first_own_log {
            state.unconfirmed = None;
            self.unconfirmed.store(false, Ordering::Release);
        }
    }

    /// Is a MANIFEST to be written though no edit is?
    pub(super) fn wants_manifest(&self, state: &DbState) -> bool {
        // There is one where only logs are left to be flushed.
        state.manifest.is_none()
            && !state.manifest_busy
            && state.unconfirmed.as_ref().is_some_and(Unconfirmed::wants_manifest)
    }

    /// Is there anything in memory that the last life wrote?
    pub(super) fn has_kept_logs(&self, state: &DbState) -> bool {
        state
            .unconfirmed
            .as_ref()
            .is_some_and(|unconfirmed| state.versions.log_number < unconfirmed.first_own_log)
    }
}
