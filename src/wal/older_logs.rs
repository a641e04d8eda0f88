//! Logs that were replaced, and hold records that are not synced: open until the next sync, or until nobody needs them.
//!
//! Shared by the writer of the log and by who removes files: a log is closed before it is removed. Each closes what it takes out with
//! the list locked, so that what is in it no more is closed.
//!
//! Thread rule: everything may be called from any thread.

use super::writer::Log;
use crate::error::Result;
use crate::util::lock::{Mutex, MutexGuard};

/// The logs, oldest first.
#[derive(Default)]
pub struct OlderLogs(Mutex<Vec<Log>>);

impl OlderLogs {
    /// Closes those with numbers below `min_log_number`: what they held is in durable tables. Returns the first error: the system may
    /// have lost records that a reader of the logs would still go by.
    pub fn release(&self, min_log_number: u64) -> Result<()> {
        let mut logs = self.lock();
        let mut result = Ok(());
        for mut log in logs.extract_if(.., |log| log.number < min_log_number) {
            result = result.and(log.writer.close_unneeded());
        }
        result
    }

    /// The list, for the writer of the log.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Log>> {
        self.0.lock()
    }
}
