//! Snapshots: handles of sequence numbers whose state stays readable.

use crate::db::shared::DbShared;
use crate::util::fork::leak_in_child;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A state of the database that stays readable. May be used from any thread, and may outlive the database.
/// Dropping it releases the state.
///
/// ```
/// # use terrace::{Db, Options, ReadOptions, WriteOptions};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("db");
/// # let options = Options { create_if_missing: true, ..Options::default() };
/// # let db = Db::open(&options, &path)?;
/// db.put(&WriteOptions::default(), b"key", b"old")?;
/// let snapshot = db.snapshot();
/// db.put(&WriteOptions::default(), b"key", b"new")?;
///
/// let then = ReadOptions { snapshot: Some(&snapshot), ..ReadOptions::default() };
/// assert_eq!(db.get(&then, b"key")?.as_deref(), Some(&b"old"[..]));
/// assert_eq!(db.get(&ReadOptions::default(), b"key")?.as_deref(), Some(&b"new"[..]));
///
/// let mut iterator = db.iter(&then);
/// drop(snapshot); // the iterator keeps what it needs
/// iterator.seek_to_first();
/// assert_eq!(iterator.value(), b"old");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Snapshot {
    db: Arc<DbShared>,
    sequence: u64,
}

impl Snapshot {
    pub(in crate::db) fn new(db: &Arc<DbShared>) -> Self {
        if !db.process.is_current() {
            // A child of the process that opened the database cannot read anyway.
            return Snapshot { db: db.clone(), sequence: 0 };
        }
        let mut snapshots = db.snapshots.lock();
        let sequence = db.last_sequence.load(Ordering::Acquire);
        snapshots.acquire(sequence);
        Snapshot { db: db.clone(), sequence }
    }

    /// Is it a snapshot of this database?
    pub(in crate::db) fn is_of(&self, db: &DbShared) -> bool {
        std::ptr::eq(&*self.db, db)
    }

    /// The sequence number of the state.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if !self.db.process.is_current() {
            leak_in_child(self.db.clone()); // see `Db`'s drop
            return;
        }
        let was_oldest = self.db.snapshots.lock().release(self.sequence);
        // Does a table of tombstones wait for this release? (The compaction worker stores its sequence number
        // before it looks at the oldest snapshot once more. So one of the two threads notices.)
        let waiting = || self.db.tombstones_droppable_at.load(Ordering::SeqCst) <= self.db.oldest_snapshot();
        if was_oldest && !self.db.is_closed() && waiting() {
            self.db.compaction_waker.wake();
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({})", self.sequence)
    }
}
