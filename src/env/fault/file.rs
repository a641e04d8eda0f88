//! Files that ask the rules before they do anything.
//!
//! Thread rule: as of the files inside.

use super::rule::Failure;
use super::{FaultEnv, FaultKind};
use crate::env::{FileIdentity, RandomAccessFile, SequentialFile, WritableFile};
use crate::error::{Error, Result};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file read from its beginning on.
pub struct FaultSequentialFile {
    env: FaultEnv,
    path: PathBuf,
    inner: Box<dyn SequentialFile>,
}

impl FaultSequentialFile {
    /// Reads `inner`.
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

/// A file read anywhere.
pub struct FaultRandomAccessFile {
    env: FaultEnv,
    path: PathBuf,
    inner: Arc<dyn RandomAccessFile>,
}

impl FaultRandomAccessFile {
    /// Reads `inner`.
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

/// A file written to. Its first failure is that of every later operation.
pub struct FaultWritableFile {
    env: FaultEnv,
    path: PathBuf,
    inner: Box<dyn WritableFile>,
    failed: Option<Error>,
}

impl FaultWritableFile {
    /// Writes `inner`.
    pub fn new(env: FaultEnv, path: &Path, inner: Box<dyn WritableFile>) -> Self {
        FaultWritableFile { env, path: path.to_path_buf(), inner, failed: None }
    }

    /// Asks the rules, and does `call`, or what of it a failure leaves to be done by `failing`.
    fn run(
        &mut self,
        kind: FaultKind,
        call: impl FnOnce(&mut dyn WritableFile) -> Result<()>,
        failing: impl FnOnce(&mut dyn WritableFile, &Failure) -> Result<()>,
    ) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = match self.env.meet(kind, &self.path) {
            None => call(&mut *self.inner),
            Some(failure) => {
                let done =
                    if failure.after { call(&mut *self.inner) } else { failing(&mut *self.inner, &failure) };
                done.and(Err(failure.error(&self.path)))
            }
        };
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
        }
        outcome
    }
}

/// The first `length` bytes of `data`, as far as there are.
fn head(data: &[u8], length: usize) -> &[u8] {
    &data[..length.min(data.len())]
}

impl WritableFile for FaultWritableFile {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        self.run(
            FaultKind::Append,
            |file| file.append(data),
            |file, failure| match failure.short {
                Some(bytes) => file.append(head(data, bytes)).and_then(|()| file.flush()),
                None => Ok(()),
            },
        )
    }

    fn append_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        self.run(
            FaultKind::Append,
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

    fn flush(&mut self) -> Result<()> {
        self.run(FaultKind::Flush, |file| file.flush(), |_, _| Ok(()))
    }

    fn sync(&mut self) -> Result<()> {
        // The bytes are written; that they are durable is what fails.
        self.run(FaultKind::Sync, |file| file.sync(), |file, _| file.flush())
    }

    fn close(&mut self) -> Result<()> {
        if let Some(error) = &self.failed {
            // What failed is closed all the same (and a log cut to its length), as a real file is.
            let _ = self.inner.close();
            return Err(error.clone());
        }
        self.run(FaultKind::Close, |file| file.close(), |file, _| file.close())
    }

    fn close_unneeded(&mut self) -> Result<()> {
        self.run(FaultKind::Close, |file| file.close_unneeded(), |file, _| file.close_unneeded())
    }
}
