//! Table files read by `pread` whose descriptors are opened on demand.
//!
//! A table that is not mapped is read through a descriptor. A database may have more tables than the process
//! may have descriptors. So each descriptor can be closed, and the next read opens the file again: a holder
//! of the file (a table, an iterator) holds no descriptor. The clock algorithm chooses the file to close: one
//! that was not read since the hand last passed it, and that no thread is reading now.
//!
//! A file that is opened again must be the same file: if another file has taken its name, reads fail.
//!
//! Thread rule: any thread. Lock order: an entry's, then the ring's. A thread that holds the ring's lock only
//! tries an entry's. No file is opened, read or closed under the ring's lock.

use super::posix::descriptors::TableDescriptors;
use super::{Env, FileIdentity, RandomAccessFile, ReadMode};
use crate::error::{Error, Result};
use crate::util::lock::Mutex;
use crate::util::shared_budget::{Holder, Membership};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The descriptors through which one database reads its tables.
pub struct OnDemandFiles {
    env: Arc<dyn Env>,
    /// The largest number of open descriptors, not counting those that are being read at the moment.
    limit: usize,
    process: &'static TableDescriptors,
    membership: Membership,
    open: AtomicUsize,
    ring: Mutex<Ring>,
}

/// The open files, each in a slot.
#[derive(Default)]
struct Ring {
    slots: Vec<Option<Arc<Entry>>>,
    free: Vec<usize>,
    /// The clock hand: the slot to examine next.
    hand: usize,
}

/// The part of a file that the ring shares.
struct Entry {
    state: Mutex<State>,
    /// True if the file was read since the hand passed it.
    used: AtomicBool,
}

#[derive(Default)]
struct State {
    /// The open file and its slot in the ring.
    open: Option<(Arc<dyn RandomAccessFile>, usize)>,
}

/// One file, open or closed.
struct OnDemandFile {
    files: Arc<OnDemandFiles>,
    path: PathBuf,
    identity: Option<FileIdentity>,
    entry: Arc<Entry>,
}

impl OnDemandFiles {
    /// No open files; at most `limit` open descriptors (at least 1), and no more than the process can spare.
    pub fn new(env: Arc<dyn Env>, limit: usize) -> Arc<Self> {
        let process = TableDescriptors::of_process();
        process.refresh();
        Arc::new(OnDemandFiles {
            env,
            limit: limit.max(1),
            process,
            membership: Membership::default(),
            open: AtomicUsize::new(0),
            ring: Mutex::default(),
        })
    }

    /// The number of open descriptors.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Registers `file`, which was just opened as `path`, and returns the file to read through. A mapped file
    /// is returned as it is.
    pub fn adopt(
        self: &Arc<Self>,
        path: PathBuf,
        file: Arc<dyn RandomAccessFile>,
    ) -> Arc<dyn RandomAccessFile> {
        if file.mapping().is_some() {
            return file;
        }
        let identity = file.identity();
        let entry = Arc::new(Entry { state: Mutex::default(), used: AtomicBool::new(true) });
        self.put(&entry, &mut entry.state.lock(), file);
        self.keep_within_limits();
        Arc::new(OnDemandFile { files: self.clone(), path, identity, entry })
    }

    /// Counts an open file and puts it into a slot.
    fn put(self: &Arc<Self>, entry: &Arc<Entry>, state: &mut State, file: Arc<dyn RandomAccessFile>) {
        // Count before the file is in the ring, where another thread may find and close it.
        self.open.fetch_add(1, Ordering::Relaxed);
        self.process.opened(self);
        let mut ring = self.ring.lock();
        let slot = ring.free.pop().unwrap_or_else(|| {
            ring.slots.push(None);
            ring.slots.len() - 1
        });
        ring.slots[slot] = Some(entry.clone());
        state.open = Some((file, slot));
    }

    fn keep_within_limits(&self) {
        let surplus = self.open().saturating_sub(self.limit);
        if surplus > 0 {
            self.give_back(surplus);
        }
        self.process.keep_within_limit();
    }
}

impl Holder for OnDemandFiles {
    fn give_back(&self, wanted: usize) -> usize {
        let mut closed = Vec::new();
        self.ring.lock().take(wanted, &mut closed);
        let count = closed.len();
        drop(closed);
        self.open.fetch_sub(count, Ordering::Relaxed);
        self.process.closed(count);
        count
    }

    fn holds_any(&self) -> bool {
        self.open() > 0
    }

    fn membership(&self) -> &Membership {
        &self.membership
    }
}

impl Ring {
    /// Takes up to `wanted` files that no thread is reading out of the ring.
    fn take(&mut self, wanted: usize, taken: &mut Vec<Arc<dyn RandomAccessFile>>) {
        // Two rounds: the first clears the marks of files used before it, the second may take these files.
        for _ in 0..2 * self.slots.len() {
            if taken.len() >= wanted {
                return;
            }
            let slot = self.hand;
            self.hand = (slot + 1) % self.slots.len();
            let Some(entry) = &self.slots[slot] else { continue };
            if entry.used.swap(false, Ordering::Relaxed) {
                continue;
            }
            let Some(mut state) = entry.state.try_lock() else { continue };
            if let Some((file, _)) = state.open.take_if(|(file, _)| Arc::strong_count(file) == 1) {
                taken.push(file);
                drop(state);
                self.slots[slot] = None;
                self.free.push(slot);
            }
        }
    }
}

impl OnDemandFile {
    /// The open file; opens it if it is closed.
    fn file(&self) -> Result<Arc<dyn RandomAccessFile>> {
        let mut state = self.entry.state.lock();
        if let Some((file, _)) = &state.open {
            if !self.entry.used.load(Ordering::Relaxed) {
                self.entry.used.store(true, Ordering::Relaxed);
            }
            return Ok(file.clone());
        }
        // The entry stays locked, so that other threads that want this file wait for this open.
        let file = self.files.env.open_random_access(&self.path, ReadMode::Positioned)?;
        if file.identity() != self.identity {
            return Err(Error::io(format!(
                "{}: another file has taken the place of this table since it was opened; put the table back, or close the \
                 database and repair it",
                self.path.display()
            )));
        }
        self.entry.used.store(true, Ordering::Relaxed);
        self.files.put(&self.entry, &mut state, file.clone());
        drop(state);
        self.files.keep_within_limits();
        Ok(file)
    }
}

impl RandomAccessFile for OnDemandFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        self.file()?.read_at(offset, buffer)
    }

    fn will_need(&self, offset: u64, length: u64) {
        if let Ok(file) = self.file() {
            file.will_need(offset, length);
        }
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.identity
    }
}

impl Drop for OnDemandFile {
    fn drop(&mut self) {
        let open = self.entry.state.lock().open.take();
        if let Some((file, slot)) = open {
            let mut ring = self.files.ring.lock();
            ring.slots[slot] = None;
            ring.free.push(slot);
            drop(ring);
            drop(file);
            self.files.open.fetch_sub(1, Ordering::Relaxed);
            self.files.process.closed(1);
        }
    }
}

#[cfg(test)]
mod tests;
