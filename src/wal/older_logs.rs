//! Former WALs with records that are not synced. They stay open until the next sync, or until they are not
//! needed.
//!
//! The list is shared by the WAL writer and the remover of obsolete files, since a WAL is closed before it is
//! removed. Each of them closes the WALs that it takes out while the list is locked. So a WAL that is not in
//! the list any more is closed.
//!
//! Thread rule: any thread.

use super::wal_file::Log;
use crate::error::Result;
use crate::util::lock::{Mutex, MutexGuard};

/// The WALs, oldest first.
#[derive(Default)]
pub struct OlderLogs(Mutex<Vec<Log>>);

impl OlderLogs {
    /// Closes the WALs with numbers below `min_log_number`: durable tables hold their contents. Returns the
    /// first error: the system may have lost records that a recovery would still read.
    pub fn release(&self, min_log_number: u64) -> Result<()> {
        let mut logs = self.lock();
        let mut result = Ok(());
        for mut log in logs.extract_if(.., |log| log.number < min_log_number) {
            result = result.and(log.writer.close_unneeded());
        }
        result
    }

    /// The locked list, for the WAL writer.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Log>> {
        self.0.lock()
    }
}
