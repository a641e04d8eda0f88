//! A file written through a buffer: tables, the MANIFEST, CURRENT, LOG.
//!
//! Invariants: after the first failure nothing is written any more and every operation repeats that failure; a child of
//! `fork` that drops its copy writes nothing. Thread rule: one writer.

use super::place::Place;
use super::{fork, sys};
use crate::env::{CreateMode, WritableFile};
use crate::error::{Error, Result};
use crate::util::fork::Generation;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes gathered before they are handed to the system.
const BUFFER_SIZE: usize = 64 << 10;

/// What a buffer takes, at most, before there is reason for a large one.
const SMALL_BUFFER_SIZE: usize = 4 << 10;

/// Bytes after which the system is asked to begin writing them to the device, so that `sync` finds little left to wait for. Half of a
/// table: of a smaller file nothing is written before it must be.
const WRITE_BACK_SIZE: u64 = 1 << 20;

/// The error that every later operation on a file returns: its first failure, or that it was closed.
#[derive(Default)]
pub struct Poison {
    error: Option<Error>,
    closed_well: bool,
}

impl Poison {
    /// May the file be operated on?
    #[inline]
    pub fn check(&self) -> Result<()> {
        match &self.error {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// Makes an operation's failure sticky, unless one before it is.
    pub fn note<T>(&mut self, path: &Path, outcome: io::Result<T>) -> Result<T> {
        outcome.map_err(|error| self.error.get_or_insert_with(|| Error::from_os(path, &error)).clone())
    }

    /// What failed was undone.
    pub fn forget(&mut self) {
        self.error = None;
    }

    /// The file was closed: unless it has failed before, operations fail for that reason from now on. Returns how it went.
    pub fn close(&mut self, path: &Path) -> Result<()> {
        self.check()?;
        self.closed_well = true;
        self.error = Some(Error::io(format!("{}: the file is closed", path.display())));
        Ok(())
    }

    /// What closing a closed file returns: its first failure, if it had one.
    pub fn close_again(&self) -> Result<()> {
        if self.closed_well { Ok(()) } else { self.check() }
    }
}

/// Opens a buffered file for appending.
pub fn create(place: Place<'_>, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
    place.named(fork::watch())?;
    let file = place.open_file_or_device(match mode {
        CreateMode::New => libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL,
        CreateMode::Truncate => libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC,
        CreateMode::Append => libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND,
    })?;
    Ok(Box::new(BufferedFile::new(file, place.path(), mode == CreateMode::Append)))
}

struct BufferedFile {
    /// `None` once closed.
    file: Option<File>,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Bytes of the file.
    length: u64,
    /// Bytes handed to the system since it was asked to write them back.
    written: u64,
    poison: Poison,
    /// A sync has failed: nobody knows what is on disk. Or it is not appended to: `take_back` can't move where it is written.
    is_lost: bool,
    process: Generation,
}

impl BufferedFile {
    /// `appends`: whatever is written goes to the end of the file.
    fn new(file: File, path: &Path, appends: bool) -> Self {
        let length = if appends { file.metadata().map_or(0, |metadata| metadata.len()) } else { 0 };
        BufferedFile {
            file: Some(file),
            path: path.to_path_buf(),
            buffer: Vec::new(),
            length,
            written: 0,
            poison: Poison::default(),
            is_lost: !appends,
            process: Generation::current(),
        }
    }

    /// Hands bytes to the system, if it would take all of them.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.length + bytes.len() as u64;
        self.with_file(|file| match end > sys::file_size_limit() {
            // (The call that says so would raise a signal, too.)
            true => Err(io::Error::from_raw_os_error(libc::EFBIG)),
            // write_all repeats interrupted and short writes, and calls a write of nothing an error.
            false => file.write_all(bytes),
        })?;
        self.length = end;
        self.written += bytes.len() as u64;
        if self.written >= WRITE_BACK_SIZE {
            self.written = 0;
            self.with_file(|file| sys::begin_write_back(file))?;
        }
        Ok(())
    }

    /// Runs `call` on the file unless the file is poisoned; its failure poisons.
    fn with_file<T>(&mut self, call: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T> {
        self.poison.check()?;
        match &mut self.file {
            Some(file) => {
                let outcome = call(file);
                self.poison.note(&self.path, outcome)
            }
            None => self.poison.note(&self.path, Err(io::Error::from_raw_os_error(libc::EBADF))),
        }
    }
}

impl WritableFile for BufferedFile {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        self.poison.check()?;
        let room = BUFFER_SIZE - self.buffer.len();
        // A file of a few lines, of which a process may have thousands open, has a buffer of a few.
        if self.buffer.len() + data.len() > SMALL_BUFFER_SIZE
            && self.buffer.capacity() < BUFFER_SIZE
            && self.buffer.try_reserve_exact(room).is_err()
        {
            // There is no memory for a buffer.
            self.flush()?;
            return self.write(data);
        }
        if data.len() <= room {
            self.buffer.extend_from_slice(data);
            return Ok(());
        }
        let (head, rest) = data.split_at(room);
        self.buffer.extend_from_slice(head);
        self.flush()?;
        if rest.len() < BUFFER_SIZE {
            self.buffer.extend_from_slice(rest);
            return Ok(());
        }
        self.write(rest)
    }

    fn flush(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let outcome = if buffer.is_empty() { self.poison.check() } else { self.write(&buffer) };
        self.buffer = buffer;
        self.buffer.clear();
        outcome
    }

    fn take_back(&mut self, length: u64) -> Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| !self.is_lost) else {
            let error = || Error::io(format!("{}: can't be cut to {length} bytes", self.path.display()));
            return self.poison.check().and_then(|()| Err(error()));
        };
        let cut = sys::retry(|| file.set_len(length)).and_then(|()| file.sync_all()); // see the log's
        cut.map_err(|error| Error::from_os(&self.path, &error))?;
        self.buffer.clear();
        self.length = length;
        self.poison.forget();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.written = 0;
        let synced = self.with_file(|file| file.sync_data());
        self.is_lost |= synced.is_err();
        synced
    }

    fn close(&mut self) -> Result<()> {
        let _ = self.flush();
        let Some(file) = self.file.take() else { return self.poison.close_again() };
        let _ = self.poison.note(&self.path, sys::close(file));
        self.poison.close(&self.path)
    }
}

impl Drop for BufferedFile {
    fn drop(&mut self) {
        // The parent of a fork still has these bytes in its own buffer.
        if self.process.is_current() {
            let _ = self.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_of_a_file_is_the_failure_of_every_later_operation() {
        let on_device = |path: &str| {
            let device = File::options().write(true).open(path).unwrap();
            BufferedFile::new(device, Path::new(path), false)
        };
        let mut file = on_device("/dev/full");
        file.append(b"x").unwrap();
        let error = file.flush().unwrap_err();
        assert_eq!(error.to_string(), "IO error: /dev/full: No space left on device");
        for outcome in [file.append(b"y"), file.append(&[1; 200_000]), file.flush(), file.sync()] {
            assert_eq!(outcome.unwrap_err().to_string(), error.to_string());
        }
        assert_eq!(file.append_record(&[1; 7], b"z").unwrap_err().to_string(), error.to_string());
        assert_eq!(file.close().unwrap_err().to_string(), error.to_string());
        assert_eq!(file.close().unwrap_err().to_string(), error.to_string());

        // A failed sync is as final: /dev/null takes every write and cannot be synced.
        let mut file = on_device("/dev/null");
        file.append(b"x").unwrap();
        assert_eq!(file.sync().unwrap_err().errno(), Some(libc::EINVAL));
        assert_eq!(file.append(b"x").unwrap_err().errno(), Some(libc::EINVAL));
        assert_eq!(file.close().unwrap_err().errno(), Some(libc::EINVAL));
    }
}
