//! The queue of ranges that users have requested to be compacted.
//!
//! Thread rule: guarded by the state mutex.

use crate::background::reply::Reply;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::InternalKey;
use std::collections::VecDeque;

/// The target of a manual compaction of all levels.
#[derive(Clone, Copy)]
pub struct Target {
    /// The level at which it ends.
    pub deepest: usize,
    /// Files with this number or a higher one were written by jobs that began after the request. `u64::MAX`:
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

/// The requests, in the order in which they came. One piece of the first request runs at a time.
#[derive(Default)]
pub struct ManualQueue {
    requests: VecDeque<Request>,
}

struct Request {
    range: ManualCompaction,
    /// Answered when the whole range is done.
    reply: Reply,
    /// Does a worker run a piece of it?
    is_running: bool,
    /// Is the piece that runs the last one of the range?
    is_last_piece: bool,
}

impl ManualQueue {
    /// Adds a request at the end of the queue.
    pub fn push(&mut self, range: ManualCompaction, reply: Reply) {
        self.requests.push_back(Request { range, reply, is_running: false, is_last_piece: false });
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
    pub fn next(&self) -> Option<&ManualCompaction> {
        self.requests.front().filter(|request| !request.is_running).map(|request| &request.range)
    }

    /// Records that a piece of `next` runs. The rest of its range begins at `next_begin` (`None`: there is no
    /// rest).
    pub fn piece_begins(&mut self, next_begin: Option<InternalKey>) {
        let Some(request) = self.requests.front_mut() else { return };
        request.is_running = true;
        match next_begin {
            Some(next) => request.range.begin = Some(next),
            None => request.is_last_piece = true,
        }
    }

    /// Records that the piece that ran has ended. The request continues with the rest of its range, or is
    /// answered.
    pub fn piece_ends(&mut self, result: &Result<()>) {
        let Some(request) = self.requests.front_mut() else { return };
        request.is_running = false;
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

    fn outcome(ticket: Ticket) -> Result<()> {
        ticket.wait(|| false)
    }

    #[test]
    fn a_request_runs_piece_by_piece_and_is_answered_after_the_last() {
        let mut queue = ManualQueue::default();
        let (reply, ticket) = reply_and_ticket();
        queue.push(range(1), reply);
        let rest = InternalKey::new(b"m", 7, ValueType::Value);
        assert!(queue.next().unwrap().begin.is_none());
        queue.piece_begins(Some(rest.clone()));
        assert!(queue.next().is_none(), "one piece at a time");
        queue.piece_ends(&Ok(()));
        assert_eq!(queue.next().unwrap().begin.as_ref(), Some(&rest));
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
}
