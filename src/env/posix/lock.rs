//! The LOCK file: one database directory is open at most once, in one process.
//!
//! Between processes: the locks of `record_lock`. Within the process: a registry of the held files by device
//! and inode, so that a directory reached by two names counts as one. The registry is asked before the file
//! is opened, and its mutex is held from that question until the file is locked or refused.
//!
//! If the record lock belongs to the process, closing any descriptor of the file would release it. So the
//! file is opened only once. If another descriptor of it is opened nevertheless (the name changed between the
//! question and the opening), the holder of the lock keeps that descriptor and closes it together with its
//! own. If another library of this process (LevelDB itself) holds the file, this is unknown before the file
//! is opened, and closing the descriptor again would release that library's lock: then the descriptor stays
//! open permanently.
//!
//! A child of `fork` has neither its parent's locks nor its registry: it is refused as any other process is.
//!
//! Thread rule: any thread.

use super::fork::{self, PerProcess};
use super::place::{Identity, Place, Status};
use super::record_lock::{self, Owner};
use super::sys;
use crate::env::FileLock;
use crate::error::{Error, Result};
use crate::util::fork::ProcessGeneration;
use crate::util::lock::Mutex;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::Path;

/// A locked file.
struct Held {
    identity: Identity,
    owner: Owner,
    /// Descriptors opened by callers that were refused. Closed together with the lock.
    other_descriptors: Vec<File>,
}

/// The files that this process holds.
#[derive(Default)]
struct Registry(Vec<Held>);

impl Registry {
    fn find(&mut self, identity: Identity) -> Option<&mut Held> {
        self.0.iter_mut().find(|held| held.identity == identity)
    }

    /// Keeps or closes `file` and returns `None` if the file is held: the caller is then refused. Returns
    /// `file` otherwise.
    fn keep_if_held(&mut self, identity: Identity, file: File) -> Option<File> {
        match self.find(identity) {
            None => return Some(file),
            Some(Held { owner: Owner::Process, other_descriptors, .. }) => other_descriptors.push(file),
            Some(_) => drop(file),
        }
        None
    }

    /// Removes what `lock` added. The caller closes the returned descriptors.
    fn remove(&mut self, identity: Identity) -> Vec<File> {
        let removed = self.0.extract_if(.., |held| held.identity == identity);
        removed.flat_map(|held| held.other_descriptors).collect()
    }
}

static HELD: PerProcess<Mutex<Registry>> = PerProcess::new();

/// How often to start again if a `destroy` unlinks the file while it is being locked.
const ATTEMPTS: usize = 8;

fn already_held(path: &Path) -> Error {
    Error::io(format!("lock {}: already held by process", path.display()))
}

/// LevelDB's message, `lock <path>: <why>`: its "file name" is `lock <path>`.
fn not_locked(path: &Path, error: &io::Error) -> Error {
    let mut name = OsString::from("lock ");
    name.push(path);
    Error::from_os(Path::new(&name), error)
}

/// Takes the lock, creating the file if it is missing. Does not wait.
pub fn lock(place: Place<'_>) -> Result<Box<dyn FileLock>> {
    place.named(fork::watch())?;
    let mut registry = HELD.get().lock();
    for _ in 0..ATTEMPTS {
        match place.status() {
            Ok(status) if registry.find(status.identity()).is_some() => {
                return Err(already_held(place.path()));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return place.named(Err(error)),
            _ => {}
        }
        let file = place.open_file(libc::O_RDWR | libc::O_CREAT)?;
        let identity = place.named(Status::of(&file))?.identity();
        let Some(file) = registry.keep_if_held(identity, file) else {
            return Err(already_held(place.path()));
        };
        let owner = match record_lock::lock_exclusive(&file) {
            Ok(owner) => owner,
            Err(error) => {
                if record_lock::is_locked_by_this_process(&file) {
                    // Another library of this process holds the lock: see the top of this file.
                    let _ = file.into_raw_fd();
                }
                return Err(not_locked(place.path(), &error));
            }
        };
        // A lock on a file that has lost its name excludes nobody: start again.
        if place.status().is_ok_and(|status| status.identity() == identity) {
            registry.0.push(Held { identity, owner, other_descriptors: Vec::new() });
            fork::close_in_children(file.as_raw_fd());
            let process = ProcessGeneration::current();
            return Ok(Box::new(PosixLock { file: Some(file), identity, owner, process }));
        }
        record_lock::unlock(&file, owner);
    }
    Err(not_locked(place.path(), &io::Error::from_raw_os_error(libc::EAGAIN)))
}

struct PosixLock {
    file: Option<File>,
    identity: Identity,
    owner: Owner,
    process: ProcessGeneration,
}

impl FileLock for PosixLock {}

impl Drop for PosixLock {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if !self.process.is_current() {
            // The lock is the parent's, and in this process the descriptor may already be another file's (see
            // `fork`).
            let _ = file.into_raw_fd();
            return;
        }
        let mut registry = HELD.get().lock();
        fork::keep(file.as_raw_fd());
        record_lock::unlock(&file, self.owner);
        let _ = sys::close(file);
        drop(registry.remove(self.identity));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> (Identity, File) {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        (Status::of(&file).unwrap().identity(), file)
    }

    #[test]
    fn a_second_descriptor_of_a_file_locked_by_the_process_stays_open_until_the_lock_ends() {
        let dir = tempfile::tempdir().unwrap();
        let mut registry = Registry::default();
        for (name, owner) in [("process", Owner::Process), ("open file", Owner::OpenFile)] {
            let (identity, first) = open(&dir.path().join(name));
            assert!(registry.keep_if_held(identity, first).is_some(), "nobody holds it");
            registry.0.push(Held { identity, owner, other_descriptors: Vec::new() });
            for _ in 0..2 {
                let (identity, again) = open(&dir.path().join(name));
                assert!(registry.keep_if_held(identity, again).is_none());
            }
            let kept = registry.remove(identity);
            assert_eq!(kept.len(), if owner == Owner::Process { 2 } else { 0 });
            assert!(registry.find(identity).is_none());
        }
    }
}
