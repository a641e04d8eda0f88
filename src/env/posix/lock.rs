//! The LOCK file: one database directory, one process, one opener.
//!
//! Between processes: the locks of `record_lock`. Within the process: a registry of the files held, by device and inode, so that a
//! directory reached by two names is one. It is asked before the file is opened. Its mutex is held from the question to the
//! answer.
//!
//! Where the record lock is the process's, closing any descriptor of the file would end it. So the file is opened once; should
//! another descriptor of it be opened all the same (the name has changed hands between the question and the opening), its holder
//! keeps that and closes it with its own. Where another library of this process (LevelDB itself) has the file, nobody can
//! know before it is opened, and closing it again would end that library's lock: then the descriptor stays open, for good.
//!
//! A child of `fork` does not have its parent's locks, nor its registry: what it opens is refused as any other process is.

use super::fork::{self, PerProcess};
use super::place::{Identity, Place, Status};
use super::record_lock::{self, Owner};
use super::sys;
use crate::env::FileLock;
use crate::error::{Error, Result};
use crate::util::fork::Generation;
use crate::util::lock::Mutex;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::path::Path;

/// A file that is locked.
struct Held {
    identity: Identity,
    owner: Owner,
    /// Opened by others, who were refused. Closed with the lock.
    other_descriptors: Vec<File>,
}

/// The files that this process holds.
#[derive(Default)]
struct Registry(Vec<Held>);

impl Registry {
    fn find(&mut self, identity: Identity) -> Option<&mut Held> {
        self.0.iter_mut().find(|held| held.identity == identity)
    }

    /// Takes `file` if it is one that is held; the caller is refused then.
    fn keep_if_held(&mut self, identity: Identity, file: File) -> Option<File> {
        match self.find(identity) {
            None => return Some(file),
            Some(Held { owner: Owner::Process, other_descriptors, .. }) => other_descriptors.push(file),
            Some(_) => drop(file),
        }
        None
    }

    /// Ends what `lock` began; the descriptors of the others are the caller's to close.
    fn remove(&mut self, identity: Identity) -> Vec<File> {
        let removed = self.0.extract_if(.., |held| held.identity == identity);
        removed.flat_map(|held| held.other_descriptors).collect()
    }
}

static HELD: PerProcess<Mutex<Registry>> = PerProcess::new();

/// How often to start again when the file is unlinked (by a database that is being destroyed) while it is locked.
const ATTEMPTS: usize = 8;

fn already_held(path: &Path) -> Error {
    Error::io(format!("lock {}: already held by process", path.display()))
}

/// LevelDB's message, `lock <path>: <why>`: its "file name" is the two words.
fn not_locked(path: &Path, error: &io::Error) -> Error {
    let mut name = OsString::from("lock ");
    name.push(path);
    Error::from_os(Path::new(&name), error)
}

/// Takes the lock, creating the file if it is missing. Never waits.
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
                    // Another library's, see the head of this file.
                    let _ = file.into_raw_fd();
                }
                return Err(not_locked(place.path(), &error));
            }
        };
        // A lock on a file that has lost its name excludes nobody.
        if place.status().is_ok_and(|status| status.identity() == identity) {
            registry.0.push(Held { identity, owner, other_descriptors: Vec::new() });
            fork::close_in_children(file.as_raw_fd());
            let process = Generation::current();
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
    process: Generation,
}

impl FileLock for PosixLock {}

impl Drop for PosixLock {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if !self.process.is_current() {
            // The parent's lock; and the descriptor may be another file's by now, see `fork`.
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
