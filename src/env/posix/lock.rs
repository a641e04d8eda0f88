//! The LOCK file: one database directory, one process, one opener.
//!
//! Between processes: an open-file-description lock, which conflicts with the fcntl lock of LevelDB, and flock, which is
//! what goleveldb takes. Neither is lost when some other descriptor of the file is closed, as fcntl locks are.
//!
//! Within the process: a registry of the files held, by device and inode, so that a directory reached by two names is
//! one. It is asked before the file is opened. Its mutex is held from the question to the answer. Where another library of
//! this process (LevelDB itself) has the file, nobody can know before it is opened, and closing it again would end that
//! library's fcntl lock: then the descriptor stays open, for good.
//!
//! A child of `fork` does not have its parent's locks, nor its registry: what it opens is refused as any other process is.

use super::fork::{self, PerProcess};
use super::{create_options, descriptors, sys};
use crate::env::FileLock;
use crate::error::{Error, Result};
use crate::util::fork::Generation;
use crate::util::lock::Mutex;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device and inode.
type Identity = (u64, u64);

static HELD: PerProcess<Mutex<Vec<Identity>>> = PerProcess::new();

/// How often to start again when the file is unlinked (by a database that is being destroyed) while it is locked.
const ATTEMPTS: usize = 8;

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn refuse_held(held: &[Identity], identity: Identity, path: &Path) -> Result<()> {
    if held.contains(&identity) {
        return Err(Error::io(format!("lock {}: already held by process", path.display())));
    }
    Ok(())
}

/// LevelDB's message, `lock <path>: <why>`: its "file name" is the two words.
fn not_locked(path: &Path, error: &io::Error) -> Error {
    let mut name = OsString::from("lock ");
    name.push(path);
    Error::from_os(Path::new(&name), error)
}

/// Takes the lock, creating the file if it is missing. Never waits.
pub fn lock(path: &Path) -> Result<Box<dyn FileLock>> {
    let with_path = |error: io::Error| Error::from_os(path, &error);
    fork::watch().map_err(with_path)?;
    let mut held = HELD.get().lock();
    for _ in 0..ATTEMPTS {
        match std::fs::metadata(path) {
            Ok(metadata) => refuse_held(&held, identity(&metadata), path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(with_path(error)),
        }
        let mut options = create_options();
        options.read(true).write(true).create(true).truncate(false);
        let file = descriptors::with_room(|| options.open(path)).map_err(with_path)?;
        let file_identity = identity(&file.metadata().map_err(with_path)?);
        refuse_held(&held, file_identity, path)?;
        if let Err(error) = sys::lock_exclusive(&file) {
            if sys::is_locked_by_this_process(&file) {
                // Another library's, see the head of this file.
                let _ = file.into_raw_fd();
            }
            return Err(not_locked(path, &error));
        }
        // A lock on a file that has lost its name excludes nobody.
        if std::fs::metadata(path).is_ok_and(|metadata| identity(&metadata) == file_identity) {
            held.push(file_identity);
            fork::close_in_children(file.as_raw_fd());
            let process = Generation::current();
            return Ok(Box::new(PosixLock { file: Some(file), identity: file_identity, process }));
        }
        sys::unlock(&file);
    }
    Err(not_locked(path, &io::Error::from_raw_os_error(libc::EAGAIN)))
}

struct PosixLock {
    file: Option<File>,
    identity: Identity,
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
        let mut held = HELD.get().lock();
        fork::keep(file.as_raw_fd());
        sys::unlock(&file);
        let _ = sys::close(file);
        held.retain(|identity| *identity != self.identity);
    }
}
