//! The queue of writers, and the groups of writes that are committed as one.
//!
//! A writer that is alone takes the writer lock, encodes its record into the writer's own buffer and commits
//! it: one lock, no allocation, no condition variable. If several threads write, they append their entries to
//! the pending group. The first member of a group is its leader: it waits for the writer lock, takes the
//! whole group and commits it as one record of the WAL. The other members wait for the group's outcome, first
//! spinning briefly, then parked.
//!
//! One record is one batch in the WAL: a group is recovered whole or not at all, and so is each batch in it.

use crate::batch::write_batch::HEADER_SIZE;
use crate::db::family::FamilyRef;
use crate::error::{Error, Result};
use crate::format::family_set::FamilySet;
use crate::memtable::MemtableWriter;
use crate::util::lock::atomic::{AtomicBool, Ordering};
use crate::util::lock::{Condvar, Mutex, MutexGuard};
use crate::util::sync::CachePadded;
use crate::wal::writer::WalWriter;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The state that belongs to the thread that holds the writer lock.
pub struct WriterState {
    /// The WAL; `None` once the database is closed.
    pub wal: Option<WalWriter>,
    /// The right to insert into the active memtable of each family.
    pub families: FamilySet<FamilyWriter>,
    /// The sequence number of the last entry that was written.
    pub last_sequence: u64,
    /// The buffer of the record, kept for its memory.
    pub record: Vec<u8>,
    /// If there are several families: the length of the WAL at which all WALs together may have reached their
    /// limit.
    pub wal_check_at: u64,
}

/// What a writer needs of a family.
pub struct FamilyWriter {
    /// The family.
    pub(in crate::db) family: FamilyRef,
    /// The right to insert into its active memtable. (Boxed: it is large, and threads may have small stacks.)
    pub memtable: Box<MemtableWriter>,
}

impl WriterState {
    /// The right to insert into the active memtable of the default family.
    #[inline]
    pub fn memtable(&mut self) -> &mut MemtableWriter {
        &mut self.families.default_family_mut().memtable
    }
}

/// The entries that the members of a group write.
pub struct Members {
    /// Space for the header, then the entries of all members.
    pub record: Vec<u8>,
    /// The number of entries.
    pub count: u32,
    /// Does any member want its write to be durable?
    pub sync: bool,
    /// Is any entry for another family than the default one?
    pub is_spread: bool,
}

/// A group with more bytes than this takes no more members: later writers wait for the lock by themselves.
pub const MAX_GROUP_BYTES: usize = 1 << 20;

/// A payload with more bytes than this is not copied into a group.
pub const MAX_MEMBER_BYTES: usize = 128 << 10;

/// The group that is forming.
struct Pending {
    members: Members,
    writers: u32,
    group: Arc<Group>,
}

impl Pending {
    /// A group without members.
    fn new(mut record: Vec<u8>) -> Self {
        record.clear();
        record.resize(HEADER_SIZE, 0);
        let members = Members { record, count: 0, sync: false, is_spread: false };
        Pending { members, writers: 0, group: Arc::new(Group::default()) }
    }
}

/// The turns of writers: a value that one of them holds at a time, and the group that forms in the meantime.
/// Order of locks: the turn before the group.
pub struct WriteQueue<W> {
    turn: CachePadded<Mutex<Turn<W>>>,
    pending: Mutex<Pending>,
    /// Does the group have any member? A hint that saves taking its lock.
    has_pending: AtomicBool,
}

struct Turn<W> {
    value: W,
    /// The buffer of the group that was committed last, kept for its memory.
    spare: Vec<u8>,
}

/// A writer's turn; dropping it ends the turn.
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
    /// A queue without writers.
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

    /// A turn, if no other thread has it and no group is forming.
    #[inline]
    pub fn try_alone(&self) -> Option<TurnGuard<'_, W>> {
        if self.has_pending.load(Ordering::Relaxed) {
            return None;
        }
        self.turn.try_lock().map(TurnGuard)
    }

    /// Writes as a member of a group: `join` adds the caller's entries to the group, and `commit` writes a
    /// group when its turn comes. Only the first member's `commit` runs, on behalf of all, and all members
    /// get its result. An error of `join`, which must not have added anything, concerns only the caller.
    /// `None` if the group is full; then nothing was called.
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

    /// Waits for the leader's turn, takes the group that has formed by then, and commits it.
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

/// Ends the group with an error if its leader panics.
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
    /// Reports the result to all members.
    fn finish(&self, result: Result<()>) {
        *self.result.lock() = Some(result);
        self.finished.store(true, Ordering::Release);
        self.wake.notify_all();
    }

    /// Waits for the leader to finish.
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
