//! The queue of what users have requested: ranges to be compacted, and the upgrade of all tables.
//!
//! Thread rule: guarded by the state mutex.

use crate::background::reply::Reply;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::InternalKey;
use std::collections::{HashSet, VecDeque};

/// The target of a manual compaction of all levels.
#[derive(Clone, Copy)]
pub struct Target {
    /// The level at which it ends.
    pub deepest: usize,
    /// Files with this epoch or a higher one were written by jobs that began after the request. `u64::MAX`:
    /// none.
    pub rewritten_from: u64,
}

/// A range of one level to be compacted.
pub struct ManualCompaction {
    /// The family of the range.
    pub family: ColumnFamilyId,
    /// The level whose files move down.
    pub level: usize,
    /// The compaction of all levels of which this one is a step.
    pub target: Target,
    /// Where the rest of the range begins; `None`: unbounded.
    pub begin: Option<InternalKey>,
    /// The last user key of the range; `None`: unbounded.
    pub end: Option<Vec<u8>>,
}

/// What a request is about.
pub enum ManualWork {
    /// A range is compacted.
    Range(ManualCompaction),
    /// All tables of LevelDB's language are upgraded; a table is a piece.
    Upgrade(TableUpgrade),
}

/// The upgrade of all tables, as far as it has got.
#[derive(Default)]
pub struct TableUpgrade {
    /// The tables whose upgrade has begun: none is tried twice.
    tried: HashSet<u64>,
    /// The first table that is damaged or not understood. The others are upgraded before this is answered.
    error: Option<Error>,
}

/// The requests, in the order in which they came. One piece of the first request runs at a time.
#[derive(Default)]
pub struct ManualQueue {
    requests: VecDeque<Request>,
    /// Has a table been upgraded since another compaction was picked?
    has_upgraded: bool,
}

struct Request {
    work: ManualWork,
    /// Answered when all of it is done.
    reply: Reply,
    /// Does a worker run a piece of it?
    is_running: bool,
    /// Is the piece that runs the last one of the range?
    is_last_piece: bool,
}

impl ManualQueue {
    /// Adds a request at the end of the queue.
    pub fn push(&mut self, range: ManualCompaction, reply: Reply) {
        self.push_work(ManualWork::Range(range), reply);
    }

    /// Adds the request to upgrade all tables.
    pub fn push_upgrade(&mut self, reply: Reply) {
        self.push_work(ManualWork::Upgrade(TableUpgrade::default()), reply);
    }

    fn push_work(&mut self, work: ManualWork, reply: Reply) {
        self.requests.push_back(Request { work, reply, is_running: false, is_last_piece: false });
    }

    /// The number of requests.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Are there no requests?
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The request of which a piece is to be picked; `None` if there is no request, or a piece runs.
    pub fn next(&self) -> Option<&ManualWork> {
        self.requests.front().filter(|request| !request.is_running).map(|request| &request.work)
    }

    /// Records that a piece of `next` runs. The rest of its range begins at `next_begin` (`None`: there is no
    /// rest).
    pub fn piece_begins(&mut self, next_begin: Option<InternalKey>) {
        let Some(request) = self.requests.front_mut() else { return };
        request.is_running = true;
        match (next_begin, &mut request.work) {
            (Some(next), ManualWork::Range(range)) => range.begin = Some(next),
            _ => request.is_last_piece = true,
        }
    }

    /// Has the first request, to upgrade all tables, tried this one?
    pub fn has_tried_to_upgrade(&self, number: u64) -> bool {
        match self.next() {
            Some(ManualWork::Upgrade(upgrade)) => upgrade.tried.contains(&number),
            _ => false,
        }
    }

    /// Records that the upgrade of a table runs, as a piece of `next`.
    pub fn upgrade_begins(&mut self, number: u64) {
        let Some(request) = self.requests.front_mut() else { return };
        if let ManualWork::Upgrade(upgrade) = &mut request.work {
            upgrade.tried.insert(number);
            request.is_running = true;
            self.has_upgraded = true;
        }
    }

    /// The first request, to upgrade all tables, has tried them all: answers and removes it.
    pub fn finish_upgrade(&mut self) {
        if let Some(ManualWork::Upgrade(upgrade)) = self.requests.front_mut().map(|request| &mut request.work)
        {
            let result = upgrade.error.take().map_or(Ok(()), Err);
            self.finish_first(result);
        }
    }

    /// Is it the turn of other compactions? They and the upgrades of a request take turns, since a request to
    /// upgrade all tables of a large database takes long.
    pub fn take_turn_of_others(&mut self) -> bool {
        std::mem::take(&mut self.has_upgraded)
    }

    /// Records that the piece that ran has ended. The request continues with the rest of its range, or is
    /// answered.
    pub fn piece_ends(&mut self, result: &Result<()>) {
        let Some(request) = self.requests.front_mut() else { return };
        request.is_running = false;
        if let ManualWork::Upgrade(upgrade) = &mut request.work {
            match result {
                Ok(()) => {}
                Err(error) if error.is_unreadable_block() => {
                    upgrade.error.get_or_insert_with(|| error.clone());
                }
                Err(_) => self.finish_first(result.clone()),
            }
            return;
        }
        if result.is_err() || request.is_last_piece {
            self.finish_first(result.clone());
        }
    }

    /// Answers the first request and removes it.
    pub fn finish_first(&mut self, result: Result<()>) {
        if let Some(request) = self.requests.pop_front() {
            request.reply.send(result);
        }
    }

    /// Answers all requests with an error, except one of which a piece runs: the worker of that piece answers
    /// it.
    pub fn fail_waiting(&mut self, error: &Error) {
        let kept = usize::from(self.requests.front().is_some_and(|request| request.is_running));
        self.requests.drain(kept..).for_each(|request| request.reply.send(Err(error.clone())));
    }

    /// Answers all requests with an error.
    pub fn fail_all(&mut self, error: &Error) {
        self.requests.drain(..).for_each(|request| request.reply.send(Err(error.clone())));
    }

    /// Drops all requests. Their callers get the error that the database is closed.
    pub fn close(&mut self) {
        self.requests.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::background::reply::{Ticket, reply_and_ticket};
    use crate::format::internal_key::ValueType;

    fn range(level: usize) -> ManualCompaction {
        let target = Target { deepest: 6, rewritten_from: u64::MAX };
        ManualCompaction { family: ColumnFamilyId::DEFAULT, level, target, begin: None, end: None }
    }

    fn begin(queue: &ManualQueue) -> Option<&InternalKey> {
        match queue.next() {
            Some(ManualWork::Range(range)) => range.begin.as_ref(),
            _ => panic!("a range is next"),
        }
    }

    fn outcome(ticket: Ticket) -> Result<()> {
        ticket.wait(|| false)
    }

    #[test]
    fn a_request_runs_piece_by_piece_and_is_answered_after_the_last() {
        let mut queue = ManualQueue::default();
        let (reply, ticket) = reply_and_ticket();
        queue.push(range(1), reply);
        let rest = InternalKey::new(b"m", 7, ValueType::Value);
        assert!(begin(&queue).is_none());
        queue.piece_begins(Some(rest.clone()));
        assert!(queue.next().is_none(), "one piece at a time");
        queue.piece_ends(&Ok(()));
        assert_eq!(begin(&queue), Some(&rest));
        queue.piece_begins(None);
        queue.piece_ends(&Ok(()));
        assert!(queue.is_empty());
        outcome(ticket).unwrap();
    }

    #[test]
    fn a_failure_answers_all_but_the_one_that_runs() {
        let mut queue = ManualQueue::default();
        let (first, first_ticket) = reply_and_ticket();
        let (second, second_ticket) = reply_and_ticket();
        queue.push(range(1), first);
        queue.push(range(2), second);
        queue.piece_begins(None);
        queue.fail_waiting(&Error::io("the MANIFEST"));
        assert_eq!(queue.len(), 1);
        assert_eq!(outcome(second_ticket).unwrap_err().message(), "the MANIFEST");
        queue.piece_ends(&Err(Error::io("the job")));
        assert_eq!(outcome(first_ticket).unwrap_err().message(), "the job");
    }

    #[test]
    fn who_waits_when_the_database_is_closed_gets_an_error() {
        let mut queue = ManualQueue::default();
        let (reply, ticket) = reply_and_ticket();
        queue.push(range(1), reply);
        queue.close();
        assert!(outcome(ticket).is_err());
    }

    #[test]
    fn an_upgrade_passes_over_damaged_tables_and_ends_at_other_errors() {
        let mut queue = ManualQueue::default();
        let mut request = || {
            let (reply, ticket) = reply_and_ticket();
            queue.push_upgrade(reply);
            ticket
        };
        let (first, second) = (request(), request());
        for number in [7, 8] {
            assert!(!queue.has_tried_to_upgrade(number));
            queue.upgrade_begins(number);
            assert!(queue.next().is_none(), "one table at a time");
            assert!(queue.take_turn_of_others() && !queue.take_turn_of_others());
            queue.piece_ends(&Err(Error::corruption(format!("table {number}"))));
            assert!(queue.has_tried_to_upgrade(number));
        }
        queue.upgrade_begins(9);
        queue.piece_ends(&Ok(()));
        queue.finish_upgrade();
        assert_eq!(outcome(first).unwrap_err().message(), "table 7");
        assert!(!queue.has_tried_to_upgrade(7), "another request tries it again");
        queue.upgrade_begins(7);
        queue.piece_ends(&Err(Error::io("the disk")));
        assert_eq!(outcome(second).unwrap_err().message(), "the disk");
        assert!(queue.is_empty());
    }
}
