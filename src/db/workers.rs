//! The threads of background work: when they are asked for, waited for and stopped.
//!
//! Threads belong to the process (`background/pool.rs`); a database at rest has none. Nobody waits for ever because the system has
//! no thread left: who waits for background work does it himself then, a step at a time.

use super::state::{DbInner, DbState};
use crate::background::pool::Worker;
use crate::util::lock::MutexGuard;
use std::time::Duration;

/// Who waits looks so often whether there is a thread for the work.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl DbInner {
    /// Wakes those workers for which the opening has left work.
    pub(super) fn wake_workers(&self) {
        let (is_flush_due, has_tables) = {
            let state = self.state.lock();
            let is_flush_due = !state.memtables.immutables.is_empty()
                || !state.log_lines.is_empty()
                || self.wants_manifest(&state);
            (is_flush_due, state.versions.current().levels.iter().any(|level| !level.is_empty()))
        };
        if is_flush_due {
            self.flush_waker.wake();
        }
        if has_tables {
            self.compaction_waker.wake();
        }
        if self.has_files_to_remove() {
            self.removal_waker.wake();
        }
    }

    /// Waits until the state has changed in a way somebody may wait for, or not long; the caller looks, and wakes the workers it
    /// waits for, before it waits again. (A writer who holds the log may come here: a step that needs the log itself is run only
    /// after a failure, and of one that writer would know.)
    pub(super) fn wait_for_workers(&self, state: &mut MutexGuard<'_, DbState>) {
        let may_help = state.failures.database.is_none() && !self.is_closed();
        if may_help && self.all_workers().into_iter().any(Worker::is_starved) {
            MutexGuard::unlocked(state, || self.help_workers());
        } else {
            self.state_changed.wait_for(state, LOOK_AGAIN);
        }
    }

    fn all_workers(&self) -> [&Worker; 3] {
        [&self.flush_waker, &self.compaction_waker, &self.removal_waker]
    }

    /// Runs a step of each worker that the system has no thread for. Was there any?
    pub(super) fn help_workers(&self) -> bool {
        self.all_workers().map(Worker::run_if_starved).contains(&true)
    }

    /// No step of this database runs any more when it returns, and none will.
    pub(super) fn stop_workers(&self) {
        self.all_workers().into_iter().for_each(Worker::stop);
    }
}
