//! Who writes, and what is written together.
//!
//! A lone writer takes the writer lock, encodes its record into the writer's own buffer and commits it: one lock, no
//! allocation, no condition variable. In a crowd, writers append their entries to the pending group; the first of a group
//! is its leader, waits for the writer lock, takes the whole group and commits it as one record of the log. The others wait
//! for the group's outcome, spinning briefly, then parked.
//!
//! One record is one batch of the log: a group is recovered whole or not at all, so each batch in it is too.

use crate::batch::write_batch::HEADER_SIZE;
use crate::error::{Error, Result};
use crate::memtable::memtable::MemtableWriter;
use crate::util::lock::atomic::{AtomicBool, Ordering};
use crate::util::lock::{Condvar, Mutex, MutexGuard};
use crate::util::sync::CachePadded;
use crate::wal::writer::WalWriter;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What the one writer at a time owns.
pub struct WriterState {
    /// The log; `None` once the database is closed.
    pub wal: Option<WalWriter>,
    /// The right to insert into the active memtable.
    pub memtable: MemtableWriter,
    /// The sequence number of the last entry written.
    pub last_sequence: u64,
    /// The record under construction, kept for its memory.
    pub record: Vec<u8>,
}

/// What the members of a group have to write.
pub struct Members {
    /// Header space, then the entries of all members.
    pub record: Vec<u8>,
    /// Entries.
    pub count: u32,
    /// Does any member want its write to be durable?
    pub sync: bool,
}

/// Bytes at which a group takes no more members: they write on their own, behind it.
pub const MAX_GROUP_BYTES: usize = 1 << 20;

/// Bytes of a batch that is not copied into a group.
pub const MAX_MEMBER_BYTES: usize = 128 << 10;

/// The group that is forming.
struct Pending {
    members: Members,
    writers: u32,
    group: Arc<Group>,
}

impl Pending {
    /// No members.
    fn new(mut record: Vec<u8>) -> Self {
        record.clear();
        record.resize(HEADER_SIZE, 0);
        let members = Members { record, count: 0, sync: false };
        Pending { members, writers: 0, group: Arc::new(Group::default()) }
    }
}

/// The turns of writers: a value that one of them has at a time, and the group that forms behind it. Order of locks: the turn
/// before the group.
pub struct WriteQueue<W> {
    turn: CachePadded<Mutex<Turn<W>>>,
    pending: Mutex<Pending>,
    /// Has the group any member? A hint that saves its lock.
    has_pending: AtomicBool,
}

struct Turn<W> {
    value: W,
    /// The buffer of the group committed last, kept for its memory.
    spare: Vec<u8>,
}

/// A writer's turn.
pub struct TurnGuard<'a, W>(MutexGuard<'a, Turn<W>>);

impl<W> Deref for TurnGuard<'_, W> {
    type Target = W;

    #[inline]
    fn deref(&self) -> &W {
        &self.0.value
    }
}

impl<W> DerefMut for TurnGuard<'_, W> {
    #[inline]
    fn deref_mut(&mut self) -> &mut W {
        &mut self.0.value
    }
}

impl<W> WriteQueue<W> {
    /// Nobody writes.
    pub fn new(value: W) -> Self {
        WriteQueue {
            turn: CachePadded::new(Mutex::new(Turn { value, spare: Vec::new() })),
            pending: Mutex::new(Pending::new(Vec::new())),
            has_pending: AtomicBool::new(false),
        }
    }

    /// Waits for a turn.
    #[inline]
    pub fn lock(&self) -> TurnGuard<'_, W> {
        TurnGuard(self.turn.lock())
    }

    /// A turn, if nobody else has it or stands in the group.
    #[inline]
    pub fn try_alone(&self) -> Option<TurnGuard<'_, W>> {
        if self.has_pending.load(Ordering::Relaxed) {
            return None;
        }
        self.turn.try_lock().map(TurnGuard)
    }

    /// Writes with others: `join` adds the caller's entries to the group, and `commit` writes a group, at its turn. Only the first
    /// member's `commit` runs, for all of them, and they all get its result. An error of `join`, which has added nothing, is the
    /// caller's alone. `None`, and nothing was called: the group is full.
    pub fn write_in_group(
        &self,
        join: impl FnOnce(&mut Members) -> Result<()>,
        commit: impl FnOnce(&mut W, &mut Members) -> Result<()>,
    ) -> Option<Result<()>> {
        let (group, is_leader) = {
            let mut pending = self.pending.lock();
            if pending.members.record.len() > MAX_GROUP_BYTES || pending.members.count > u32::MAX / 2 {
                return None;
            }
            if let Err(error) = join(&mut pending.members) {
                return Some(Err(error));
            }
            pending.writers += 1;
            self.has_pending.store(true, Ordering::Relaxed);
            (pending.group.clone(), pending.writers == 1)
        };
        if !is_leader {
            return Some(group.wait());
        }
        let guard = FinishOnUnwind(&group);
        let result = self.lead(commit);
        std::mem::forget(guard);
        group.finish(result.clone());
        Some(result)
    }

    /// Waits for the leader's turn, takes the group that has formed meanwhile, and commits it.
    fn lead(&self, commit: impl FnOnce(&mut W, &mut Members) -> Result<()>) -> Result<()> {
        let mut turn = self.turn.lock();
        let mut members = {
            let mut pending = self.pending.lock();
            self.has_pending.store(false, Ordering::Relaxed);
            let next = Pending::new(std::mem::take(&mut turn.spare));
            std::mem::replace(&mut *pending, next).members
        };
        let result = commit(&mut turn.value, &mut members);
        turn.spare = members.record;
        result
    }
}

/// A leader that panics still tells its group.
struct FinishOnUnwind<'a>(&'a Group);

impl Drop for FinishOnUnwind<'_> {
    fn drop(&mut self) {
        self.0.finish(Err(Error::io("internal error: the leader of the write group panicked")));
    }
}

/// The outcome of a group.
#[derive(Default)]
struct Group {
    finished: AtomicBool,
    result: Mutex<Option<Result<()>>>,
    wake: Condvar,
}

impl Group {
    /// Tells all members.
    fn finish(&self, result: Result<()>) {
        *self.result.lock() = Some(result);
        self.finished.store(true, Ordering::Release);
        self.wake.notify_all();
    }

    /// Waits for the leader.
    fn wait(&self) -> Result<()> {
        const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };
        for _ in 0..SPINS {
            if self.finished.load(Ordering::Acquire) {
                break;
            }
            std::hint::spin_loop();
        }
        let mut result = self.result.lock();
        loop {
            if let Some(result) = &*result {
                return result.clone();
            }
            self.wake.wait(&mut result);
        }
    }
}

#[cfg(all(test, loom))]
mod models;
