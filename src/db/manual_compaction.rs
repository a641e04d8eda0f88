//! Compaction of a range on request.
//!
//! The caller flushes, then asks for each level from 0 down to the last but one that has the range, and waits for each. A
//! level is worked off in pieces by the compaction workers; the request stands in a queue, with a reply sender. What was
//! rewritten on the way into one level, and meets nothing at the next, is moved there.

use super::Db;
use super::state::DbInner;
use crate::background::command::{Reply, reply_and_ticket};
use crate::error::{Error, Result};
use crate::format::NUM_LEVELS;
use crate::format::internal_key::{InternalKey, MAX_SEQUENCE, ValueType};
use std::sync::atomic::Ordering;

/// A request, as far as it has got.
pub struct ManualCompaction {
    /// The level whose files move down.
    pub level: usize,
    /// What it is a step of.
    pub target: Target,
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

/// Where a compaction of all levels is to end.
#[derive(Clone, Copy)]
pub struct Target {
    /// At this level.
    pub deepest: usize,
    /// Files numbered so, or higher, were written by jobs begun since it was asked for.
    pub rewritten_from: u64,
}

impl Db {
    /// Flushes, then compacts all that overlaps the user keys [`begin`, `end`] (`None` = unbounded) into the deepest level that holds
    /// any of it; returns when that is done and durable, and the files it has read are removed (but for those that iterators still read). A range that is empty, or ends before it begins, is fine. Other compactions go on
    /// meanwhile. Fails with the error that stopped the flush or a compaction, or when the database is closed.
    pub fn compact_range(&self, begin: Option<&[u8]>, end: Option<&[u8]>) -> Result<()> {
        self.flush()?;
        let (deepest, rewritten_from) = {
            let state = self.inner.state.lock();
            let version = state.versions.current();
            // A job that runs already may keep what a snapshot that is gone has needed.
            let rewritten_from = match state.running.is_empty() {
                true => self.inner.next_file_number.load(Ordering::Relaxed),
                false => u64::MAX,
            };
            let is_met = |&level: &usize| version.overlaps(level, begin, end);
            ((1..NUM_LEVELS).rev().find(is_met).unwrap_or(1), rewritten_from)
        };
        for level in 0..deepest {
            let target = Target { deepest, rewritten_from };
            let mut result = self.inner.compact_towards(target, level, begin, end);
            if result.as_ref().is_err_and(Error::is_no_space) {
                // What the level before has replaced may not have been removed yet.
                self.inner.removal_step();
                result = self.inner.compact_towards(target, level, begin, end);
            }
            result?;
        }
        self.inner.removal_step();
        Ok(())
    }
}

impl DbInner {
    /// Compacts the range at one level into the next, and waits.
    #[cfg(test)]
    pub(super) fn compact_level(&self, level: usize, begin: Option<&[u8]>, end: Option<&[u8]>) -> Result<()> {
        self.compact_towards(Target { deepest: level + 1, rewritten_from: u64::MAX }, level, begin, end)
    }

    /// Compacts the range at one level into the next, or one behind that where it is to get there anyway, and waits.
    fn compact_towards(
        &self,
        target: Target,
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
                target,
                begin: begin.map(|key| InternalKey::new(key, MAX_SEQUENCE, ValueType::Value)),
                end: end.map(<[u8]>::to_vec),
                reply,
                is_running: false,
                is_last_piece: false,
            });
        }
        self.compaction_waker.wake();
        ticket.wait(|| self.help_workers())
    }
}
