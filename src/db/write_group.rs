//! Who writes, and what is written together.
//!
//! A lone writer takes the writer lock, encodes its record into the writer's own buffer and commits it: one lock, no
//! allocation, no condition variable. In a crowd, writers append their entries to the pending group; the first of a group
//! is its leader, waits for the writer lock, takes the whole group and commits it as one record of the log. The others wait
//! for the group's outcome, spinning briefly, then parked.
//!
//! One record is one batch of the log: a group is recovered whole or not at all, so each batch in it is too.

use crate::batch::write_batch::HEADER_SIZE;
use crate::error::Result;
use crate::memtable::memtable::MemtableWriter;
use crate::util::lock::{Condvar, Mutex};
use crate::wal::writer::WalWriter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The buffer of the group committed last, kept for its memory.
    pub spare: Vec<u8>,
}

/// The group that is forming.
pub struct Pending {
    /// Header space, then the entries of all members.
    pub record: Vec<u8>,
    /// Entries.
    pub count: u32,
    /// Members; the first is the leader.
    pub writers: u32,
    /// Does any member want its write to be durable?
    pub sync: bool,
    /// What the members wait for.
    pub group: Arc<Group>,
}

/// Bytes at which a group takes no more members: they write on their own, behind it.
pub const MAX_GROUP_BYTES: usize = 1 << 20;

/// Bytes of a batch that is not copied into a group.
pub const MAX_MEMBER_BYTES: usize = 128 << 10;

impl Pending {
    /// No members.
    pub fn new(mut record: Vec<u8>) -> Self {
        record.clear();
        record.resize(HEADER_SIZE, 0);
        Pending { record, count: 0, writers: 0, sync: false, group: Arc::new(Group::default()) }
    }
}

/// The outcome of a group.
#[derive(Default)]
pub struct Group {
    finished: AtomicBool,
    result: Mutex<Option<Result<()>>>,
    wake: Condvar,
}

impl Group {
    /// Tells all members.
    pub fn finish(&self, result: Result<()>) {
        *self.result.lock() = Some(result);
        self.finished.store(true, Ordering::Release);
        self.wake.notify_all();
    }

    /// Waits for the leader.
    pub fn wait(&self) -> Result<()> {
        const SPINS: u32 = 100;
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
