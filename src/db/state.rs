//! The changing state of an open database. Each part owns its state behind methods; this struct only puts the
//! parts together.
//!
//! Thread rule: guarded by the state mutex. `shared` has the order of locks.

use crate::db::background::errors::ErrorState;
use crate::db::background::manual_queue::ManualQueue;
use crate::db::family::FamilyState;
use crate::db::manifest_state::ManifestState;
use crate::db::open::recovery_debt::RecoveryDebt;
use crate::db::wal_set::WalSet;
use crate::env::FileLock;
use crate::format::family_set::FamilySet;
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

    /// Makes the flush of all memtables that are immutable now due at once, because a caller waits for it.
    pub fn flush_at_once(&mut self) {
        self.families.iter_mut().for_each(|(_, family)| family.flush_policy.flush_at_once());
    }
}
