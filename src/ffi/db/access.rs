//! The handle of an open database, and the way from it to the core.
//!
//! Invariant: after a panic in the core, the handle refuses writes. The panic may have left half of a change
//! in memory, while the files are consistent. Reads continue.

use crate::db::Db;
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// An open database; see leveldb_open().
#[allow(non_camel_case_types)]
pub struct leveldb_t {
    db: Db,
    /// Set by a panic in the core: writes are refused.
    defect: AtomicBool,
}

/// Sets a flag when it is dropped. A call that returns forgets it, so only a panic sets the flag; this costs
/// less than a check for a panic after each call.
struct Fuse<'a>(&'a AtomicBool);

impl Drop for Fuse<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl leveldb_t {
    pub(in crate::ffi) fn new(db: Db) -> Self {
        leveldb_t { db, defect: AtomicBool::new(false) }
    }

    /// Closes the database, also after a panic.
    pub(in crate::ffi) fn close(self) -> Result<()> {
        self.db.close()
    }

    /// Calls the core to read something.
    #[inline(always)]
    pub(in crate::ffi) fn run<R>(&self, body: impl FnOnce(&Db) -> Result<R>) -> Result<R> {
        let fuse = Fuse(&self.defect);
        let result = body(&self.db);
        std::mem::forget(fuse);
        result
    }

    /// Calls the core to change something.
    #[inline(always)]
    pub(in crate::ffi) fn change<R>(&self, body: impl FnOnce(&Db) -> Result<R>) -> Result<R> {
        if self.defect.load(Ordering::Relaxed) {
            return Err(read_only());
        }
        self.run(body)
    }
}

#[cold]
fn read_only() -> Error {
    Error::io("the database takes no writes after an internal error; close it and open it again")
}
