//! `leveldb_snapshot_t`: a state of the database that stays readable.
//!
//! Programs name snapshots that they have released: in the read options of an iterator that they never move, and when they release
//! one twice. So a handle is never given back to the allocator. A released handle reads the latest state, and waits in a pool of
//! the process until it is used again, after [`RESTING`] others: memory is bounded by the most snapshots held at one time.
//!
//! Thread rule: any thread. A released handle may be named while other threads create and release.
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

/// No snapshot: sequence numbers have 56 bits.
pub(super) const LATEST: u64 = u64::MAX;

/// How many released handles there are before the oldest of them is used again.
const RESTING: usize = 256;

static RELEASED: PerProcess<Mutex<VecDeque<&'static leveldb_snapshot_t>>> = PerProcess::new();

/// A state of the database that stays readable; see leveldb_create_snapshot().
#[allow(non_camel_case_types)]
pub struct leveldb_snapshot_t {
    /// What is read through the handle; [`LATEST`] once it is released.
    sequence: AtomicU64,
    /// What keeps that state, from `handle::give`; NULL once it is released.
    held: AtomicPtr<Snapshot>,
}

impl leveldb_snapshot_t {
    /// What read options remember of it.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// A handle that holds `snapshot`.
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

    /// Releases what is held; nothing if that is done.
    fn release(&'static self) {
        let held = self.held.swap(ptr::null_mut(), Ordering::AcqRel);
        if held.is_null() {
            return;
        }
        self.sequence.store(LATEST, Ordering::Release);
        // SAFETY: from `give` in `create`, and whoever swaps it out is its only owner.
        drop(unsafe { handle::take_back(held) });
        RELEASED.get().lock().push_back(self);
    }
}

/// Keeps the state of the database as it is now readable, through leveldb_readoptions_set_snapshot(), until
/// leveldb_release_snapshot(). An iterator made at a snapshot outlives it. Returns NULL only if `db` is NULL, an
/// internal error occurs, or the database was opened by the parent of this process.
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

/// Releases a snapshot. `db` is not looked at: releasing a snapshot of a database that was closed is fine. Read options that
/// name it read the latest state from now on, and naming or releasing it once more does no harm, until its handle stands for
/// another snapshot: that happens after 256 later releases at the earliest.
///
/// # Safety
/// `snapshot` is NULL or came from leveldb_create_snapshot().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_release_snapshot(db: *mut leveldb_t, snapshot: *const leveldb_snapshot_t) {
    let _ = db;
    contain((), || {
        // SAFETY: NULL or a handle of `create`, and those live for ever.
        if let Some(snapshot) = unsafe { handle::lend(snapshot) } {
            snapshot.release();
        }
    });
}
