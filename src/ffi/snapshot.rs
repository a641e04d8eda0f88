//! `leveldb_snapshot_t`: a state of the database that stays readable.
#![allow(unsafe_code)]

use super::boundary::{contain, guard_quietly};
use super::db::leveldb_t;
use super::handle;
use crate::db::Snapshot;
use std::ptr;

/// A state of the database that stays readable; see leveldb_create_snapshot().
#[allow(non_camel_case_types)]
pub struct leveldb_snapshot_t {
    snapshot: Snapshot,
}

impl leveldb_snapshot_t {
    /// What read options remember of it.
    pub(super) fn sequence(&self) -> u64 {
        self.snapshot.sequence()
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
        Ok(handle::give(leveldb_snapshot_t { snapshot }).cast_const())
    })
}

/// Releases a snapshot. `db` is not looked at: releasing a snapshot of a database that was closed is fine.
///
/// # Safety
/// `snapshot` is NULL or a snapshot that is not used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leveldb_release_snapshot(db: *mut leveldb_t, snapshot: *const leveldb_snapshot_t) {
    let _ = db;
    // SAFETY: the caller gives up a handle that came from leveldb_create_snapshot.
    contain((), || drop(unsafe { handle::take_back(snapshot.cast_mut()) }));
}
