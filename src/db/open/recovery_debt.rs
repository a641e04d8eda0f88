//! State recovered from files of an earlier process that this process has not yet made durable itself.
//!
//! Files that recovery reads may not be durable. Their writer may have been killed between a write and its
//! sync; or the sync may have failed, after which the system does not report the loss again. An open that
//! writes nothing uses the files all the same. So two things are forbidden until a MANIFEST of this process
//! describes the state, and the entries of recovered WALs are in tables that it names:
//!
//! - no file is removed that the recovered state does not need, except WALs without entries;
//! - no synced write begins, since its promise covers every write before it.
//!
//! Any edit settles the first half of the debt, since the first edit of this process begins a new MANIFEST.
//! If there is a reason (files to remove, a synced write, a flush that a caller asks for) the flush worker
//! does not wait for an edit.
//!
//! Thread rule: guarded by the state mutex. Writers see in the write gate whether there is a debt.

use std::path::PathBuf;

/// The debt: what was recovered and is not durable yet.
pub struct RecoveryDebt {
    /// WALs with lower numbers were recovered, and their entries are only in memory.
    first_own_wal: u64,
    /// Files that the recovered state does not need. They are removed when a MANIFEST of this process is
    /// durable.
    leftovers: Vec<PathBuf>,
    /// Does a caller wait until the debt is settled?
    is_wanted: bool,
}

impl RecoveryDebt {
    /// WALs below `first_own_wal` were recovered; the recovered state does not need the files `leftovers`.
    pub fn new(first_own_wal: u64, leftovers: Vec<PathBuf>) -> Self {
        RecoveryDebt { first_own_wal, leftovers, is_wanted: false }
    }

    /// Records that a caller waits until the debt is settled.
    pub fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Are there files that may not be removed yet?
    pub fn has_leftovers(&self) -> bool {
        !self.leftovers.is_empty()
    }

    /// Must a MANIFEST be written even if there is no edit?
    pub fn must_write_manifest(&self) -> bool {
        self.is_wanted || self.has_leftovers()
    }

    /// Are entries of an earlier process only in memory, if WALs below `min_log_number` are not needed?
    pub fn has_recovered_entries(&self, min_log_number: u64) -> bool {
        min_log_number < self.first_own_wal
    }

    /// Records that a MANIFEST of this process is durable. Returns the files that may be removed now.
    pub fn manifest_is_durable(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.leftovers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_until_a_manifest_of_this_process_is_durable() {
        let mut debt = RecoveryDebt::new(9, vec![PathBuf::from("/db/000003.ldb")]);
        assert!(debt.has_leftovers() && debt.must_write_manifest());
        assert_eq!(debt.manifest_is_durable(), [PathBuf::from("/db/000003.ldb")]);
        assert!(!debt.has_leftovers() && !debt.must_write_manifest());
        assert!(debt.has_recovered_entries(8), "a recovered memtable is not flushed yet");
        assert!(!debt.has_recovered_entries(9));
    }

    #[test]
    fn without_files_to_remove_only_a_caller_who_waits_asks_for_a_manifest() {
        let mut debt = RecoveryDebt::new(9, Vec::new());
        assert!(!debt.must_write_manifest());
        debt.want();
        assert!(debt.must_write_manifest());
    }
}
