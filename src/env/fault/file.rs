//! Files that apply the rules before each operation.
//!
//! Thread rule: that of the wrapped files.

use super::rule::Failure;
use super::{FaultEnv, FaultKind};
use crate::env::{Env, FileIdentity, RandomAccessFile, SequentialFile, WritableFile};
use crate::error::{Error, Result};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file read from its beginning.
pub struct FaultSequentialFile {
    env: FaultEnv,
    path: PathBuf,
    inner: Box<dyn SequentialFile>,
}

impl FaultSequentialFile {
    pub fn new(env: FaultEnv, path: &Path, inner: Box<dyn SequentialFile>) -> Self {
        FaultSequentialFile { env, path: path.to_path_buf(), inner }
    }
}

impl SequentialFile for FaultSequentialFile {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self.env.meet(FaultKind::Read, &self.path) {
            Some(failure) => Err(failure.error(&self.path)),
            None => self.inner.read(buffer),
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        self.inner.skip(bytes)
    }
}

/// A file read at any offset.
pub struct FaultRandomAccessFile {
    env: FaultEnv,
    path: PathBuf,
    inner: Arc<dyn RandomAccessFile>,
}

impl FaultRandomAccessFile {
    pub fn new(env: FaultEnv, path: &Path, inner: Arc<dyn RandomAccessFile>) -> Self {
        FaultRandomAccessFile { env, path: path.to_path_buf(), inner }
    }
}

impl RandomAccessFile for FaultRandomAccessFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        match self.env.meet(FaultKind::Read, &self.path) {
            Some(failure) => Err(failure.error(&self.path)),
            None => self.inner.read_at(offset, buffer),
        }
    }

    fn will_need(&self, offset: u64, length: u64) {
        self.inner.will_need(offset, length);
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.inner.identity()
    }
}

/// A file open for writing. Every operation after the first failure returns that failure, until `take_back`
/// succeeds.
pub struct FaultWritableFile {
    env: FaultEnv,
    path: PathBuf,
    inner: Box<dyn WritableFile>,
    failed: Option<Error>,
    /// True if the failed operation was a sync.
    is_lost: bool,
    /// The length of the file in bytes.
    length: u64,
    is_closed: bool,
}

impl FaultWritableFile {
    /// Writes to `inner`, whose length is `length` bytes.
    pub fn new(env: FaultEnv, path: &Path, inner: Box<dyn WritableFile>, length: u64) -> Self {
        env.note_opened(path);
        let path = path.to_path_buf();
        FaultWritableFile { env, path, inner, failed: None, is_lost: false, length, is_closed: false }
    }

    /// Records that the file is closed, whatever the outcome of the close.
    fn note_closed(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.env.note_closed(&self.path);
        }
    }

    /// Applies the rules, then runs `call`. If a rule fails the operation, runs `failing` instead, which does
    /// the part that happens before the failure.
    fn run(
        &mut self,
        kind: FaultKind,
        call: impl FnOnce(&mut dyn WritableFile) -> Result<()>,
        failing: impl FnOnce(&mut dyn WritableFile, &Failure) -> Result<()>,
    ) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.run_met(self.env.meet(kind, &self.path), kind, call, failing)
    }

    /// As `run`, for an append of `bytes`, which the limit on file sizes may cut short.
    fn run_append(
        &mut self,
        bytes: usize,
        call: impl FnOnce(&mut dyn WritableFile) -> Result<()>,
        failing: impl FnOnce(&mut dyn WritableFile, &Failure) -> Result<()>,
    ) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let room = self.env.file_size_limit().saturating_sub(self.length);
        let too_large = (bytes as u64 > room).then(|| Failure::too_large(room));
        let failure = self.env.meet(FaultKind::Append, &self.path).or(too_large);
        self.run_met(failure, FaultKind::Append, call, failing)?;
        self.length += bytes as u64;
        Ok(())
    }

    fn run_met(
        &mut self,
        failure: Option<Failure>,
        kind: FaultKind,
        call: impl FnOnce(&mut dyn WritableFile) -> Result<()>,
        failing: impl FnOnce(&mut dyn WritableFile, &Failure) -> Result<()>,
    ) -> Result<()> {
        let outcome = match failure {
            None => call(&mut *self.inner),
            Some(failure) => {
                let done =
                    if failure.after { call(&mut *self.inner) } else { failing(&mut *self.inner, &failure) };
                done.and(Err(failure.error(&self.path)))
            }
        };
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
            self.is_lost |= kind == FaultKind::Sync;
        }
        outcome
    }
}

/// The first `length` bytes of `data`, or all if there are fewer.
fn head(data: &[u8], length: usize) -> &[u8] {
    &data[..length.min(data.len())]
}

impl WritableFile for FaultWritableFile {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        self.run_append(
            data.len(),
            |file| file.append(data),
            |file, failure| match failure.short {
                Some(bytes) => file.append(head(data, bytes)).and_then(|()| file.flush()),
                None => Ok(()),
            },
        )
    }

    fn append_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        self.run_append(
            header.len() + payload.len(),
            |file| file.append_record(header, payload),
            |file, failure| match failure.short {
                Some(bytes) => file
                    .append(head(header, bytes))
                    .and_then(|()| file.append(head(payload, bytes.saturating_sub(header.len()))))
                    .and_then(|()| file.flush()),
                None => Ok(()),
            },
        )
    }

    fn append_record_in_pieces(&mut self, header: &[u8; 7], pieces: &mut [IoSlice<'_>]) -> Result<()> {
        let payload = pieces.iter().flat_map(|piece| piece.iter().copied()).collect::<Vec<u8>>();
        self.append_record(header, &payload)
    }

    fn take_back(&mut self, length: u64) -> Result<()> {
        if let Some(error) = self.failed.as_ref().filter(|_| self.is_lost) {
            return Err(error.clone());
        }
        if let Some(failure) = self.env.meet(FaultKind::TakeBack, &self.path) {
            return Err(failure.error(&self.path));
        }
        self.inner.take_back(length)?;
        self.failed = None;
        self.length = length;
        Ok(())
    }

    fn share_beginning(&mut self, source: &Path, length: u64) -> Result<u64> {
        let shared = self.inner.share_beginning(source, length)?;
        self.length += shared;
        Ok(shared)
    }

    fn flush(&mut self) -> Result<()> {
        self.run(FaultKind::Flush, |file| file.flush(), |_, _| Ok(()))
    }

    fn sync(&mut self) -> Result<()> {
        // The bytes are written; only their durability fails.
        self.run(FaultKind::Sync, |file| file.sync(), |file, _| file.flush())
    }

    fn close(&mut self) -> Result<()> {
        if let Some(error) = &self.failed {
            // A file that has failed is closed nevertheless (and a WAL truncated to its length), as a real
            // one is.
            let error = error.clone();
            let _ = self.inner.close();
            self.note_closed();
            return Err(error);
        }
        let outcome = self.run(FaultKind::Close, |file| file.close(), |file, _| file.close());
        self.note_closed();
        outcome
    }

    fn close_unneeded(&mut self) -> Result<()> {
        let outcome =
            self.run(FaultKind::Close, |file| file.close_unneeded(), |file, _| file.close_unneeded());
        self.note_closed();
        outcome
    }
}

impl Drop for FaultWritableFile {
    fn drop(&mut self) {
        self.note_closed();
    }
}
