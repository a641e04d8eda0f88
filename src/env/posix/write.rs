//! A file written through a buffer: tables, the MANIFEST, CURRENT, LOG.
//!
//! Invariants: after the first failure nothing more is written, and every operation returns that failure. A
//! child of `fork` that drops its copy writes nothing.
//!
//! Thread rule: one writer.

use super::place::Place;
use super::{fork, sys};
use crate::env::{CreateMode, WritableFile};
use crate::error::{Error, Result};
use crate::util::fork::ProcessGeneration;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// In bytes. A full buffer is handed to the system.
const BUFFER_SIZE: usize = 64 << 10;

/// A buffer takes at most this many bytes until more data makes it `BUFFER_SIZE`.
const SMALL_BUFFER_SIZE: usize = 4 << 10;

/// After this many bytes the system is asked to begin write-back to the device, so that `sync` has little
/// left to wait for. Half the size of a table: smaller files are not written before `sync`.
const WRITE_BACK_SIZE: u64 = 1 << 20;

/// The error that every later operation on a file returns: its first failure, or that the file is closed.
#[derive(Default)]
pub struct Poison {
    error: Option<Error>,
    closed_well: bool,
}

impl Poison {
    /// The sticky error, if there is one.
    #[inline]
    pub fn check(&self) -> Result<()> {
        match &self.error {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        }
    }

    /// Makes the failure of an operation sticky, unless an earlier one is.
    pub fn note<T>(&mut self, path: &Path, outcome: io::Result<T>) -> Result<T> {
        outcome.map_err(|error| self.error.get_or_insert_with(|| Error::from_os(path, &error)).clone())
    }

    /// Clears the sticky error: what failed was undone.
    pub fn forget(&mut self) {
        self.error = None;
    }

    /// Records that the file was closed: unless it has failed before, later operations fail for that reason.
    /// Returns the first failure, if there was one.
    pub fn close(&mut self, path: &Path) -> Result<()> {
        self.check()?;
        self.closed_well = true;
        self.error = Some(Error::io(format!("{}: the file is closed", path.display())));
        Ok(())
    }

    /// The result of closing a closed file: its first failure, if it had one.
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
    /// `None` after `close`.
    file: Option<File>,
    path: PathBuf,
    buffer: Vec<u8>,
    /// The length of the file in bytes, without the buffer.
    length: u64,
    /// Bytes handed to the system since write-back was last requested.
    written: u64,
    poison: Poison,
    /// True after a failed sync: it is unknown which bytes are on disk. Also true if the file is not in
    /// append mode: then `take_back` cannot move the position at which the next write happens.
    is_lost: bool,
    process: ProcessGeneration,
}

impl BufferedFile {
    /// `appends`: the file is in append mode, so that every write goes to its end.
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
            process: ProcessGeneration::current(),
        }
    }

    /// Hands bytes to the system, unless they would exceed the limit on file sizes.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.length + bytes.len() as u64;
        self.with_file(|file| match end > sys::file_size_limit() {
            // The system call that would report this raises a signal as well.
            true => Err(io::Error::from_raw_os_error(libc::EFBIG)),
            // `write_all` repeats interrupted and short writes, and reports a write of 0 bytes as an error.
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

    /// Runs `call` on the file, unless the file is poisoned. A failure of `call` poisons the file.
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
        // A file of a few lines gets a small buffer: a process may have thousands of such files open.
        if self.buffer.len() + data.len() > SMALL_BUFFER_SIZE
            && self.buffer.capacity() < BUFFER_SIZE
            && self.buffer.try_reserve_exact(room).is_err()
        {
            // There is no memory for a buffer: write directly.
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

    fn share_beginning(&mut self, source: &Path, length: u64) -> Result<u64> {
        self.poison.check()?;
        let Some(file) = self.file.as_mut().filter(|_| self.length == 0 && self.buffer.is_empty()) else {
            return Ok(0);
        };
        let shared = sys::share_beginning(file, source, length.min(sys::file_size_limit()));
        if shared > 0 {
            self.with_file(|file| file.seek(SeekFrom::Start(shared)))?;
            self.length = shared;
        }
        Ok(shared)
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
        let cut = sys::retry(|| file.set_len(length)).and_then(|()| file.sync_all()); // see log.rs
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
        // In a child of `fork`: the parent still has these bytes in its own buffer.
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
