//! The upgrade of tables: after the switch of a directory to RocksDB's language, its tables in LevelDB's
//! language become tables in RocksDB's, one after the other. RocksDB up to 10 reads both kinds, RocksDB 11
//! only its own.
//!
//! An upgrade is a compaction of one file, which stays at its level (`compaction/upgrade`). It is marked
//! busy, retried and set aside as the inputs of every compaction are. By itself the worker upgrades a table
//! when there is nothing else to do. On request (`Db::upgrade_tables`) it does so at once; the request is in
//! the `ManualQueue`.
//!
//! Thread rule: under the state mutex, but for the call of the user.

use crate::background::reply::reply_and_ticket;
use crate::compaction::{Compaction, CompactionReason};
use crate::db::Db;
use crate::db::background::compaction_worker::ManualTurn;
use crate::db::background::upgrade_cursor::OldTable;
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::language::Language;
use crate::util::lock::MutexGuard;
use std::time::Instant;

impl Db {
    /// Upgrades all tables of all families that are in LevelDB's language: they become tables in RocksDB's,
    /// with the same entries at the same levels, which RocksDB from 11 on requires. Returns when that is done
    /// and durable; the old files are removed as soon as nobody reads them. The database does the same by
    /// itself in the background, when there is nothing else to do; the property
    /// `terrace.tables-to-upgrade` says how many tables are left. May be called from any thread, while
    /// others read and write.
    ///
    /// InvalidArgument if the directory is in LevelDB's language: only the first column family switches it to
    /// RocksDB's. A damaged table stays as it is; the others are upgraded, and then the error names it. Also
    /// fails with the error that stopped an upgrade, or when the database is closed.
    pub fn upgrade_tables(&self) -> Result<()> {
        self.inner.upgrade_tables()
    }
}

impl DbShared {
    fn upgrade_tables(&self) -> Result<()> {
        self.check_caller()?;
        // A flush that began before the switch writes a table in LevelDB's language.
        if self.begin_upgrade()?.has_immutables() {
            self.flush_families(None)?;
        }
        let (reply, ticket) = reply_and_ticket();
        self.begin_upgrade()?.manual.push_upgrade(reply);
        self.compaction_waker.wake();
        let result = ticket.wait(|| self.help_workers());
        self.removal_step();
        result
    }

    /// The state, if tables can be upgraded now.
    fn begin_upgrade(&self) -> Result<MutexGuard<'_, DbState>> {
        let state = self.state.lock();
        self.refusal(&state)?;
        match state.versions.language() {
            Language::RocksDb => Ok(state),
            Language::LevelDb => Err(Error::invalid_argument(
                "the directory is in LevelDB's language, and so are its tables; create a column family first, \
                 which switches it to RocksDB's language",
            )),
        }
    }

    /// The next table of the request to upgrade all tables, which is the first in the queue. `None`: look at
    /// the queue again.
    pub(in crate::db) fn pick_requested_upgrade(&self, state: &mut DbState) -> Option<ManualTurn> {
        let DbState { versions, manual, upgrade_cursor, errors, .. } = state;
        let is_wanted = |number| !manual.has_tried_to_upgrade(number);
        match upgrade_cursor.next(versions, CompactionReason::ManualUpgrade, is_wanted) {
            OldTable::Found(family, compaction) => {
                manual.upgrade_begins(compaction.inputs[0][0].number);
                Some(ManualTurn::Runs(family, compaction))
            }
            // A table that was set aside is marked busy, and no running compaction will clear the mark.
            OldTable::Busy if errors.release_damaged() => None,
            OldTable::Busy => Some(ManualTurn::Waits),
            OldTable::None => {
                manual.finish_upgrade();
                None
            }
        }
    }

    /// The table to upgrade now, if nothing else is to be done.
    pub(in crate::db) fn pick_upgrade(
        &self,
        state: &mut DbState,
        now: Instant,
    ) -> Option<(ColumnFamilyId, Compaction)> {
        if !state.versions.may_have_old_tables() || has_other_work(state, now) {
            return None;
        }
        let DbState { versions, upgrade_cursor, .. } = state;
        match upgrade_cursor.next(versions, CompactionReason::Upgrade, |_| true) {
            OldTable::Found(family, compaction) => Some((family, *compaction)),
            OldTable::Busy => None,
            OldTable::None => {
                versions.no_old_tables();
                None
            }
        }
    }
}

/// Is there anything that comes before an upgrade, also if it cannot begin yet? Whoever ends that wakes the
/// worker.
fn has_other_work(state: &DbState, now: Instant) -> bool {
    let is_paused = state.errors.compaction().is_some_and(|failure| failure.time_to_retry(now).is_some())
        && state.errors.pauses_compactions();
    let waits_for_quiet = state
        .families
        .iter()
        .any(|(_, family)| family.idle.time_left(now).is_some() || family.seeks.has_candidate());
    is_paused
        || waits_for_quiet
        || state.errors.flush().is_some()
        || state.errors.database().is_some()
        || state.is_compacting()
        || !state.manual.is_empty()
        || state.has_immutables()
}
