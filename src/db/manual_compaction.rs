//! Compaction of a range on request.
//!
//! The caller flushes, then asks for each level from 0 down to the last but one that has the range, and waits for each. A
//! level is worked off in pieces by the compaction workers; the request stands in a queue, with a reply sender.

use super::Db;
use super::state::DbInner;
use crate::background::command::{Reply, reply_and_ticket};
use crate::error::Result;
use crate::format::NUM_LEVELS;
use crate::format::internal_key::{InternalKey, MAX_SEQUENCE, ValueType};

/// A request, as far as it has got.
pub struct ManualCompaction {
    /// The level whose files move down.
    pub level: usize,
    /// The level it ends at, if further requests follow this one.
    pub deepest: usize,
    /// Where the rest of the range begins; `None`: at the beginning.
    pub begin: Option<InternalKey>,
    /// The last user key; `None`: at the end.
    pub end: Option<Vec<u8>>,
    /// Answered when the whole range is done.
    pub reply: Reply,
    /// A worker runs a piece of it.
    pub is_running: bool,
    /// Nothing is left behind the piece that runs.
    pub is_last_piece: bool,
}

impl Db {
    /// Flushes, then compacts all that overlaps the user keys [`begin`, `end`] (`None` = unbounded) into the deepest level that holds
    /// any of it; returns when that is done and durable. The files it has read are removed soon after, before `close` returns. A range that is empty, or ends before it begins, is fine. Other compactions go on
    /// meanwhile. Fails with the error that stopped the flush or a compaction, or when the database is closed.
    pub fn compact_range(&self, begin: Option<&[u8]>, end: Option<&[u8]>) -> Result<()> {
        self.flush()?;
        let deepest = {
            let state = self.inner.state.lock();
            let version = state.versions.current();
            (1..NUM_LEVELS).rev().find(|&level| version.overlaps(level, begin, end)).unwrap_or(1)
        };
        for level in 0..deepest {
            self.inner.compact_towards(deepest, level, begin, end)?;
        }
        Ok(())
    }
}

impl DbInner {
    /// Compacts the range at one level into the next, and waits.
    #[cfg(test)]
    pub(super) fn compact_level(&self, level: usize, begin: Option<&[u8]>, end: Option<&[u8]>) -> Result<()> {
        self.compact_towards(level + 1, level, begin, end)
    }

    /// Compacts the range at one level into the next, or one behind that where it is to get to level `deepest` anyway, and waits.
    fn compact_towards(
        &self,
        deepest: usize,
        level: usize,
        begin: Option<&[u8]>,
        end: Option<&[u8]>,
    ) -> Result<()> {
        let (reply, ticket) = reply_and_ticket();
        {
            let mut state = self.state.lock();
            self.refusal(&state)?;
            state.manual.push_back(ManualCompaction {
                level,
                deepest,
                begin: begin.map(|key| InternalKey::new(key, MAX_SEQUENCE, ValueType::Value)),
                end: end.map(<[u8]>::to_vec),
                reply,
                is_running: false,
                is_last_piece: false,
            });
        }
        self.compaction_waker.wake();
        ticket.wait()
    }
}
