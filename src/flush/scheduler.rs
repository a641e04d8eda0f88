//! What waits to be flushed: column families, first come first served, each at most once.
//!
//! A plain queue under the state mutex. It holds no reference to memtables: a worker that takes a request flushes, of those of the
//! family that are there then, the ones up to the request's. A family that fills up again while it waits does not wait twice;
//! its request then covers the younger memtable too.

use crate::format::column_family_id::ColumnFamilyId;
use std::collections::VecDeque;
use std::fmt;

/// Why a family is flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlushReason {
    /// Its memtable is full.
    WriteBufferFull,
    /// A log that it holds back takes too much space.
    WalFull,
    /// The user asked for it.
    Manual,
    /// A manual compaction compacts what is in memory, too.
    ManualCompaction,
    /// The database was opened, and its logs were read.
    Recovery,
    /// The database tries to leave an error behind.
    ErrorRecovery,
    /// The database closes.
    Shutdown,
}

impl fmt::Display for FlushReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FlushReason::WriteBufferFull => "write buffer full",
            FlushReason::WalFull => "log full",
            FlushReason::Manual => "manual flush",
            FlushReason::ManualCompaction => "manual compaction",
            FlushReason::Recovery => "recovery",
            FlushReason::ErrorRecovery => "error recovery",
            FlushReason::Shutdown => "shutdown",
        })
    }
}

/// A family that is to be flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlushRequest {
    /// Which.
    pub column_family: ColumnFamilyId,
    /// Why (the first reason, if there were several).
    pub reason: FlushReason,
    /// The number of a memtable, in the order in which the family's were made: it and all older ones are to be flushed.
    pub up_to_memtable: u64,
}

/// The queue.
#[derive(Debug, Default)]
pub struct FlushScheduler {
    queue: VecDeque<FlushRequest>,
}

impl FlushScheduler {
    /// Nothing waits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a request at the end; one of the same family that waits already is extended instead, and keeps its place. True if
    /// it is a new one, and so a worker must be woken.
    pub fn schedule(&mut self, request: FlushRequest) -> bool {
        if let Some(queued) = self.find(request.column_family) {
            queued.up_to_memtable = queued.up_to_memtable.max(request.up_to_memtable);
            return false;
        }
        self.queue.push_back(request);
        true
    }

    /// Takes the request that has waited longest.
    pub fn take_next(&mut self) -> Option<FlushRequest> {
        self.queue.pop_front()
    }

    /// Puts a request back whose flush failed: it is the next again, and covers what was asked for meanwhile.
    pub fn put_back(&mut self, request: FlushRequest) {
        let younger = self.remove(request.column_family);
        let up_to_memtable = younger.map_or(0, |younger| younger.up_to_memtable).max(request.up_to_memtable);
        self.queue.push_front(FlushRequest { up_to_memtable, ..request });
    }

    /// Forgets a family, which was dropped, say; what waited is returned.
    pub fn remove(&mut self, column_family: ColumnFamilyId) -> Option<FlushRequest> {
        let index = self.queue.iter().position(|request| request.column_family == column_family)?;
        self.queue.remove(index)
    }

    /// Is the family waiting?
    pub fn is_queued(&self, column_family: ColumnFamilyId) -> bool {
        self.queue.iter().any(|request| request.column_family == column_family)
    }

    /// How many families wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Does nothing wait?
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn find(&mut self, column_family: ColumnFamilyId) -> Option<&mut FlushRequest> {
        self.queue.iter_mut().find(|request| request.column_family == column_family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(family: u32, up_to_memtable: u64) -> FlushRequest {
        FlushRequest {
            column_family: ColumnFamilyId(family),
            reason: FlushReason::WriteBufferFull,
            up_to_memtable,
        }
    }

    #[test]
    fn families_are_served_in_the_order_they_came() {
        let mut scheduler = FlushScheduler::new();
        for family in [3, 1, 2] {
            assert!(scheduler.schedule(request(family, 1)));
        }
        assert_eq!(scheduler.len(), 3);
        let order: Vec<_> = std::iter::from_fn(|| scheduler.take_next()).collect();
        assert_eq!(order, [request(3, 1), request(1, 1), request(2, 1)]);
        assert!(scheduler.is_empty());
    }

    #[test]
    fn a_family_waits_once_and_keeps_its_place_and_its_first_reason() {
        let mut scheduler = FlushScheduler::new();
        scheduler.schedule(request(1, 4));
        scheduler.schedule(request(2, 1));
        let manual = FlushRequest { reason: FlushReason::Manual, ..request(1, 6) };
        assert!(!scheduler.schedule(manual));
        assert!(!scheduler.schedule(request(1, 5)));
        assert_eq!(scheduler.len(), 2);
        assert_eq!(scheduler.take_next(), Some(request(1, 6)));
        // A family that is being flushed may wait again.
        assert!(scheduler.schedule(request(1, 7)));
        assert_eq!(scheduler.take_next(), Some(request(2, 1)));
    }

    #[test]
    fn a_request_put_back_is_the_next_again() {
        let mut scheduler = FlushScheduler::new();
        scheduler.schedule(request(1, 1));
        scheduler.schedule(request(2, 1));
        let first = scheduler.take_next().unwrap();
        scheduler.schedule(request(1, 2));
        scheduler.put_back(first);
        assert_eq!(scheduler.take_next(), Some(request(1, 2)));
        assert_eq!(scheduler.take_next(), Some(request(2, 1)));
        assert_eq!(scheduler.take_next(), None);
    }

    #[test]
    fn a_dropped_family_no_longer_waits() {
        let mut scheduler = FlushScheduler::new();
        scheduler.schedule(request(1, 1));
        assert!(scheduler.is_queued(ColumnFamilyId(1)));
        assert_eq!(scheduler.remove(ColumnFamilyId(1)), Some(request(1, 1)));
        assert_eq!(scheduler.remove(ColumnFamilyId(1)), None);
        assert!(!scheduler.is_queued(ColumnFamilyId(1)));
        assert_eq!(scheduler.take_next(), None);
    }
}
