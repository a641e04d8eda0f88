//! `leveldb_snapshot_t`: a state of the database that stays readable.
//!
//! Programs use snapshots after they have released them: in the read options of an iterator that they never
//! move, and when they release one twice. So the memory of a handle is never freed. A released handle reads
//! the latest state. It stays in a pool of the process, and is reused after [`RESTING`] other handles have
//! been released: memory is bounded by the largest number of snapshots held at one time.
//!
//! Thread rule: any thread. A released handle may be used while other threads create and release snapshots.
#![allow(unsafe_code)]

use super::boundary::{contain, guard_quietly};
use super::db::leveldb_t;
use super::handle;
use crate::db::Snapshot;
use crate::env::posix::fork::PerProcess;
use crate::util::lock::Mutex;
use std::collections::VecDeque;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// No snapshot. (No sequence number has this value: they have 56 bits.)
pub(super) const LATEST: u64 = u64::MAX;

/// Number of released handles above which the oldest of them is reused.
const RESTING: usize = 256;

static RELEASED: PerProcess<Mutex<VecDeque<&'static leveldb_snapshot_t>>> = PerProcess::new();

/// A state of the database that stays readable; see leveldb_create_snapshot().
#[allow(non_camel_case_types)]
pub struct leveldb_snapshot_t {
    /// The sequence number that the handle reads; [`LATEST`] after its release.
    sequence: AtomicU64,
    /// The core's snapshot, from `handle::give`; NULL after the release.
    held: AtomicPtr<Snapshot>,
}

impl leveldb_snapshot_t {
    /// The sequence number, which read options copy.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// A handle, new or reused, that holds `snapshot`.
    pub(super) fn create(snapshot: Snapshot) -> &'static leveldb_snapshot_t {
        let mut released = RELEASED.get().lock();
        let rested = if released.len() > RESTING { released.pop_front() } else { None };
        drop(released);
        let slot = rested.unwrap_or_else(|| {
            Box::leak(Box::new(leveldb_snapshot_t {
                sequence: AtomicU64::new(LATEST),
                held: AtomicPtr::new(ptr::null_mut()),
            }))
        });
        slot.sequence.store(snapshot.sequence(), Ordering::Release);
        slot.held.store(handle::give(snapshot), Ordering::Release);
        slot
    }

    /// Releases the core's snapshot. Does nothing if it is released already.
    fn release(&'static self) {
        let held = self.held.swap(ptr::null_mut(), Ordering::AcqRel);
        if held.is_null() {
            return;
        }
        self.sequence.store(LATEST, Ordering::Release);
        // SAFETY: `held` came from `give` in `create`, and the thread that swaps it out is its only owner.
        drop(unsafe { handle::take_back(held) });
        RELEASED.get().lock().push_back(self);
    }
}

/// Creates a snapshot: keeps the current state of the database readable through
/// leveldb_readoptions_set_snapshot(), until leveldb_release_snapshot(). An iterator created at a snapshot
/// may outlive it. Returns NULL only if `db` is NULL, if an internal error occurs, or if the parent of this
/// process opened the database.
///
/// # Safety
/// `db` is NULL or an open database.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_create_snapshot(db: *mut leveldb_t) -> *const leveldb_snapshot_t {
    guard_quietly(ptr::null(), || {
        // SAFETY: as the caller promises.
        let db = unsafe { handle::required(db, "db") }?;
        let snapshot = db.run(|db| db.check_process().map(|()| db.snapshot()))?;
        Ok(ptr::from_ref(leveldb_snapshot_t::create(snapshot)))
    })
}

/// Releases a snapshot. `db` is ignored, so the database may have been closed before. Read options that use
/// the snapshot read the latest state from now on. Using or releasing the handle once more is harmless until
/// it is reused for another snapshot, which happens after 256 later releases at the earliest.
///
/// # Safety
/// `snapshot` is NULL or came from leveldb_create_snapshot().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_release_snapshot(db: *mut leveldb_t, snapshot: *const leveldb_snapshot_t) {
    let _ = db;
    contain((), || {
        // SAFETY: NULL or a handle of `create`; those are never freed.
        if let Some(snapshot) = unsafe { handle::lend(snapshot) } {
            snapshot.release();
        }
    });
}
