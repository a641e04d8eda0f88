//! Former WALs with records that are not synced. They stay open until the next sync, or until they are not
//! needed.
//!
//! The list is shared by the WAL writer, by flushes, which sync WALs whose entries several families share,
//! and by the remover of obsolete files, since a WAL is closed before it is removed. A WAL is closed while
//! the list is locked. So a WAL that is not in the list any more is closed. It is synced without the lock of
//! the list, so that a memtable switch does not wait for the disk.
//!
//! Thread rule: any thread. The lock of the list comes before that of a WAL in it.

use super::wal_file::Log;
use crate::error::Result;
use crate::util::lock::Mutex;
use std::sync::Arc;

/// The WALs, oldest first.
#[derive(Default)]
pub struct OlderLogs {
    list: Mutex<Vec<OlderLog>>,
}

#[derive(Clone)]
pub(super) struct OlderLog {
    number: u64,
    log: Arc<Mutex<Log>>,
}

impl OlderLogs {
    /// Closes the WALs with numbers below `min_log_number`: durable tables hold their contents. Returns the
    /// first error: the system may have lost records that a recovery would still read.
    pub fn release(&self, min_log_number: u64) -> Result<()> {
        let mut list = self.list.lock();
        let mut result = Ok(());
        for OlderLog { log, .. } in list.extract_if(.., |log| log.number < min_log_number) {
            let mut log = log.lock();
            log.is_dirty = false; // a sync that waits for this lock has nothing to do any more
            result = result.and(log.writer.close_unneeded());
        }
        result
    }

    /// Makes the records of the WALs below `number` durable, and the names of these WALs: `sync_dir` syncs
    /// the directory. An error may mean that records are lost.
    pub fn make_durable(&self, number: u64, sync_dir: impl FnOnce() -> Result<()>) -> Result<()> {
        let logs = self.below(number);
        self.sync_each(&logs)?;
        if logs.iter().any(|log| !log.log.lock().is_name_durable) {
            sync_dir()?;
            logs.iter().for_each(|log| log.log.lock().is_name_durable = true);
        }
        Ok(())
    }

    /// Makes the records of all these WALs durable. Their names may not be.
    pub(super) fn sync(&self) -> Result<()> {
        self.sync_each(&self.below(u64::MAX))
    }

    pub(super) fn below(&self, number: u64) -> Vec<OlderLog> {
        self.list.lock().iter().filter(|log| log.number < number).cloned().collect()
    }

    pub(super) fn sync_each(&self, logs: &[OlderLog]) -> Result<()> {
        for OlderLog { log, .. } in logs {
            let mut log = log.lock();
            if log.is_dirty {
                log.writer.sync()?;
                log.is_dirty = false;
            }
        }
        Ok(())
    }

    /// Adds a WAL, which is newer than all others.
    pub(super) fn push(&self, log: Log) {
        self.list.lock().push(OlderLog { number: log.number, log: Arc::new(Mutex::new(log)) });
    }

    /// Are there none?
    pub(super) fn is_empty(&self) -> bool {
        self.list.lock().is_empty()
    }

    /// Would the name of each survive a crash of the machine?
    pub(super) fn are_names_durable(&self) -> bool {
        self.list.lock().iter().all(|log| log.log.lock().is_name_durable)
    }

    /// Closes all of them. Returns the first error.
    pub(super) fn close(&self) -> Result<()> {
        let mut list = self.list.lock();
        let mut result = Ok(());
        for OlderLog { log, .. } in list.drain(..) {
            let mut log = log.lock();
            log.is_dirty = false;
            result = result.and(log.writer.close());
        }
        result
    }
}
