//! The changing state of an open database. Each part owns its state behind methods; this struct only puts the
//! parts together.
//!
//! Thread rule: guarded by the state mutex. `shared` has the order of locks.

use crate::db::background::errors::ErrorState;
use crate::db::background::manual_queue::ManualQueue;
use crate::db::background::upgrade_cursor::UpgradeCursor;
use crate::db::family::FamilyState;
use crate::db::manifest_state::ManifestState;
use crate::db::open::recovery_debt::RecoveryDebt;
use crate::db::wal_set::WalSet;
use crate::env::FileLock;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::family_set::FamilySet;
use crate::language::Language;
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::VersionSet;

/// What the state mutex guards.
pub struct DbState {
    /// Memtables, compactions in progress and policies of each family.
    pub families: FamilySet<FamilyState>,
    /// The files of each family.
    pub versions: VersionSet,
    /// The MANIFEST that edits are appended to.
    pub manifest: ManifestState,
    /// The WALs that exist, and which of them recovery would need.
    pub wals: WalSet,
    /// Compactions of ranges that users have requested.
    pub manual: ManualQueue,
    /// Where the search for the next table to upgrade begins.
    pub upgrade_cursor: UpgradeCursor,
    /// Why background work or writes have stopped.
    pub errors: ErrorState,
    /// The recovered state that is not durable yet; `None`: all of it is durable.
    pub debt: Option<RecoveryDebt>,
    /// Lines for LOG, which the flush worker writes without the mutex.
    pub info_lines: Vec<String>,
    /// The lock on LOCK; taken out and released at close.
    pub lock: Option<Box<dyn FileLock>>,
}

impl DbState {
    /// Does any family have a memtable that waits for its flush?
    pub fn has_immutables(&self) -> bool {
        self.families.iter().any(|(_, family)| !family.memtables.immutables.is_empty())
    }

    /// Is any compaction in progress?
    pub fn is_compacting(&self) -> bool {
        self.families.iter().any(|(_, family)| !family.in_progress.is_empty())
    }

    /// The number of the oldest WAL that recovery would need once `edits` are durable.
    pub fn min_log_number_after(&self, edits: &[VersionEdit]) -> u64 {
        let is_dropped = |id| edits.iter().any(|edit| edit.column_family == id && edit.beyond.drops_family);
        let after = |(id, family): (ColumnFamilyId, &FamilyState)| {
            let edit = edits.iter().find(|edit| edit.column_family == id);
            edit.and_then(|edit| edit.log_number).unwrap_or_else(|| match self.versions.language() {
                Language::LevelDb => self.versions.log_number(id),
                Language::RocksDb => family.memtables.oldest_needed_log(),
            })
        };
        let families = self.families.iter().filter(|&(id, _)| !is_dropped(id));
        families.map(after).min().unwrap_or(0)
    }

    /// The families with memtables that wait for their flush.
    pub fn families_with_immutables(&self) -> Vec<ColumnFamilyId> {
        let waiting = self.families.iter().filter(|(_, family)| !family.memtables.immutables.is_empty());
        waiting.map(|(id, _)| id).collect()
    }

    /// Makes the flush of all memtables that are immutable now due at once, because a caller waits for it.
    pub fn flush_at_once(&mut self) {
        self.families.iter_mut().for_each(|(_, family)| family.flush_policy.flush_at_once());
    }
}
