//! Compaction of a range on request.
//!
//! The caller flushes. Then it requests a compaction of each level that is above the deepest level with any
//! of the range, from level 0 down, and waits for each. The compaction worker compacts a level in pieces; the
//! request waits in a queue, together with a reply sender. A file that this request has rewritten on the way
//! into one level, and that overlaps nothing at the next, is moved there.
//!
//! Thread rule: any thread. The request is in the `ManualQueue`, under the state mutex.

use crate::background::reply::reply_and_ticket;
use crate::db::Db;
use crate::db::background::manual_queue::{ManualCompaction, Target};
use crate::db::families::ColumnFamilyHandle;
use crate::db::shared::DbShared;
use crate::db::write::stall::no_such_family;
use crate::error::{Error, Result};
use crate::format::NUM_LEVELS;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::{InternalKey, MAX_SEQUENCE, ValueType};
use std::sync::atomic::Ordering;

impl Db {
    /// Flushes, then compacts everything that overlaps the user keys [`begin`, `end`] (`None`: unbounded)
    /// into the deepest level that holds any of it. Returns when that is done and durable, and the files that
    /// it has read are removed (except those that iterators still read). A range that is empty, or ends
    /// before it begins, is no error. Other compactions continue meanwhile. Fails with the error that stopped
    /// the flush or a compaction, or when the database is closed.
    pub fn compact_range(&self, begin: Option<&[u8]>, end: Option<&[u8]>) -> Result<()> {
        self.inner.compact_range(ColumnFamilyId::DEFAULT, begin, end)
    }

    /// As `compact_range`, in a column family. InvalidArgument if the family is of another database, or was
    /// dropped.
    pub fn compact_range_cf(
        &self,
        family: &ColumnFamilyHandle,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> Result<()> {
        self.inner.compact_range(family.of(&self.inner)?.id, begin, end)
    }
}

impl DbShared {
    fn compact_range(&self, family: ColumnFamilyId, begin: Option<&[u8]>, end: Option<&[u8]>) -> Result<()> {
        self.flush_families(Some(family))?;
        let target = self.manual_target(family, begin, end)?;
        for level in 0..target.deepest {
            let mut result = self.compact_towards(family, target, level, begin, end);
            if result.as_ref().is_err_and(Error::is_no_space) {
                // The files that the compaction of the previous level has replaced may not have been removed
                // yet.
                self.removal_step();
                result = self.compact_towards(family, target, level, begin, end);
            }
            result?;
        }
        self.removal_step();
        Ok(())
    }

    /// The deepest level that has any of the range, and the lowest number of files that are written by jobs
    /// that begin now.
    fn manual_target(
        &self,
        family: ColumnFamilyId,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> Result<Target> {
        let state = self.state.lock();
        let Some(of_family) = state.families.get(family) else { return Err(no_such_family(family)) };
        let version = state.versions.current(family);
        // A job that runs already may keep entries for a snapshot that has been released since. Its outputs
        // do not count as rewritten.
        let rewritten_from = match of_family.in_progress.is_empty() {
            true => self.next_file_number.load(Ordering::Relaxed),
            false => u64::MAX,
        };
        let has_any = |&level: &usize| version.overlaps(level, begin, end);
        let deepest = (1..NUM_LEVELS).rev().find(has_any).unwrap_or(1);
        Ok(Target { deepest, rewritten_from })
    }

    /// Compacts the range at one level of the default family into the next, and waits for it.
    #[cfg(test)]
    pub(in crate::db) fn compact_level(
        &self,
        level: usize,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> Result<()> {
        let target = Target { deepest: level + 1, rewritten_from: u64::MAX };
        self.compact_towards(ColumnFamilyId::DEFAULT, target, level, begin, end)
    }

    /// Compacts the range at one level into the next, or from level 0 into level 2 if the target is deeper
    /// than level 1. Waits for it.
    fn compact_towards(
        &self,
        family: ColumnFamilyId,
        target: Target,
        level: usize,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> Result<()> {
        let (reply, ticket) = reply_and_ticket();
        let range = ManualCompaction {
            family,
            level,
            target,
            begin: begin.map(|key| InternalKey::new(key, MAX_SEQUENCE, ValueType::Value)),
            end: end.map(<[u8]>::to_vec),
        };
        {
            let mut state = self.state.lock();
            self.refusal(&state)?;
            state.manual.push(range, reply);
        }
        self.compaction_waker.wake();
        ticket.wait(|| self.help_workers())
    }
}
