//! The contents of files in memory, and the handles that read and write them.
//!
//! Contents are shared pointers. A write copies them if another holder exists: a mapping, or the image of a
//! crashed disk.
//!
//! Thread rule: readers and one writer of a file may run at the same time. Each file open for writing has one
//! writer.

use super::MemEnv;
use super::journal::Change;
use super::tree::NodeId;
use crate::env::{RandomAccessFile, SequentialFile, WritableFile};
use crate::error::{Error, Result};
use crate::util::lock::RwLock;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// In bytes, as in the real environment.
const BUFFER_SIZE: usize = 64 << 10;
/// The step by which a mapped WAL gets space, in bytes: smaller than a real one, so that journals stay small
/// and steps are frequent.
const LOG_STEP: u64 = 8 << 10;

/// The contents of a file.
#[derive(Default)]
pub struct FileNode(RwLock<Arc<Vec<u8>>>);

impl FileNode {
    /// A file with these contents.
    pub fn with_contents(contents: Arc<Vec<u8>>) -> Self {
        FileNode(RwLock::new(contents))
    }

    /// A reference to the current contents, which later writes do not change.
    pub fn snapshot(&self) -> Arc<Vec<u8>> {
        self.0.read().clone()
    }

    /// In bytes.
    pub fn length(&self) -> u64 {
        self.0.read().len() as u64
    }
}

/// Changes `contents` as a `pwrite` at `offset` does. A gap before `offset` is filled with zeros.
pub fn write_at(contents: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = offset as usize;
    let end = start + data.len();
    if start == contents.len() {
        contents.extend_from_slice(data);
        return;
    }
    if contents.len() < end {
        contents.resize(end, 0);
    }
    contents[start..end].copy_from_slice(data);
}

fn read_at(contents: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
    let count = buffer.len().min(contents.len() - start);
    buffer[..count].copy_from_slice(&contents[start..start + count]);
    count
}

impl RandomAccessFile for FileNode {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        Ok(read_at(&self.0.read(), offset, buffer))
    }
}

/// A file that refuses reads that begin past its end: see [`MemOptions::leveldb_rules`](super::MemOptions).
pub struct EndedFile {
    path: PathBuf,
    file: Arc<FileNode>,
}

impl EndedFile {
    /// `file`, opened as `path`.
    pub fn new(path: &Path, file: Arc<FileNode>) -> Self {
        EndedFile { path: path.to_path_buf(), file }
    }
}

impl RandomAccessFile for EndedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let contents = self.file.0.read();
        let length = contents.len();
        if offset > length as u64 {
            let path = self.path.display();
            return Err(Error::io(format!("{path}: a read at {offset}, past the end of {length} bytes")));
        }
        Ok(read_at(&contents, offset, buffer))
    }
}

/// The contents of a file at the moment it was opened.
pub struct MemMapping(Arc<Vec<u8>>);

impl MemMapping {
    /// A snapshot of the contents of `file`.
    pub fn new(file: &FileNode) -> Self {
        MemMapping(file.snapshot())
    }
}

impl RandomAccessFile for MemMapping {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        Ok(read_at(&self.0, offset, buffer))
    }

    fn mapping(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

/// A file read from its beginning.
pub struct MemSequentialFile {
    file: Arc<FileNode>,
    offset: u64,
}

impl MemSequentialFile {
    /// Starts at the first byte.
    pub fn new(file: Arc<FileNode>) -> Self {
        MemSequentialFile { file, offset: 0 }
    }
}

impl SequentialFile for MemSequentialFile {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.file.read_at(self.offset, buffer)?;
        self.offset += count as u64;
        Ok(count)
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        self.offset = self.offset.saturating_add(bytes);
        Ok(())
    }
}

/// An open file whose changes are journaled.
pub struct MemFile {
    env: MemEnv,
    path: PathBuf,
    node: NodeId,
    file: Arc<FileNode>,
}

impl MemFile {
    /// The file `node` of `env`, opened as `path`.
    pub fn new(env: MemEnv, path: &Path, node: NodeId, file: Arc<FileNode>) -> Self {
        MemFile { env, path: path.to_path_buf(), node, file }
    }

    /// The number of the file.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// In bytes.
    pub fn length(&self) -> u64 {
        self.file.length()
    }

    /// Truncates the file, or extends it with zeros.
    pub fn set_size(&self, size: u64) {
        self.change(Change::SetSize { node: self.node, old: self.length(), new: size }, |contents| {
            contents.resize(size as usize, 0);
        });
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let copy = if self.env.shared.journal.is_some() { data.to_vec() } else { Vec::new() };
        self.change(Change::Write { node: self.node, offset, data: copy }, |contents| {
            write_at(contents, offset, data);
        });
    }

    fn sync(&self) {
        self.env.record(&self.path, || Change::SyncFile { node: self.node });
    }

    /// Journal and contents change together, so that the journal has the order of the changes.
    fn change(&self, change: Change, apply: impl FnOnce(&mut Vec<u8>)) {
        let apply = || apply(Arc::make_mut(&mut *self.file.0.write()));
        match &self.env.shared.journal {
            Some(journal) => journal.push_with(&self.path, change, apply),
            None => apply(),
        }
    }
}

/// A buffered file or a WAL, open for writing.
pub struct MemWritableFile {
    file: MemFile,
    buffer: Vec<u8>,
    position: u64,
    /// The end of the space allocated to a mapped WAL, in bytes; 0 for other files.
    allocated: u64,
    mapped: bool,
    closed: bool,
}

impl MemWritableFile {
    /// Appends to `file` through a buffer.
    pub fn buffered(file: MemFile) -> Self {
        Self::log(file, false)
    }

    /// Writes a WAL. If it is `mapped`, space is allocated ahead of its records.
    pub fn log(file: MemFile, mapped: bool) -> Self {
        let position = file.length();
        MemWritableFile { file, buffer: Vec::new(), position, allocated: 0, mapped, closed: false }
    }

    fn check_open(&self) -> Result<()> {
        if self.closed {
            return Err(Error::io(format!("{}: the file is closed", self.file.path.display())));
        }
        Ok(())
    }

    fn make_room(&mut self, bytes: u64) {
        let end = self.position + bytes;
        if self.mapped && end > self.allocated {
            self.allocated = end.div_ceil(LOG_STEP) * LOG_STEP;
            self.file.set_size(self.allocated);
        }
    }
}

impl WritableFile for MemWritableFile {
    fn append(&mut self, data: &[u8]) -> Result<()> {
        self.check_open()?;
        if self.buffer.len() + data.len() > BUFFER_SIZE {
            self.flush()?;
        }
        self.buffer.extend_from_slice(data);
        if self.mapped || self.buffer.len() >= BUFFER_SIZE { self.flush() } else { Ok(()) }
    }

    fn append_record(&mut self, header: &[u8; 7], payload: &[u8]) -> Result<()> {
        self.check_open()?;
        if self.mapped {
            self.make_room(7 + payload.len() as u64);
            if !payload.is_empty() {
                self.file.write(self.position + 7, payload);
            }
            self.file.write(self.position, header);
            self.position += 7 + payload.len() as u64;
            return Ok(());
        }
        self.buffer.extend_from_slice(header);
        self.buffer.extend_from_slice(payload);
        self.flush()
    }

    fn append_record_in_pieces(&mut self, header: &[u8; 7], pieces: &mut [IoSlice<'_>]) -> Result<()> {
        let payload = pieces.iter().flat_map(|piece| piece.iter().copied()).collect::<Vec<u8>>();
        self.append_record(header, &payload)
    }

    fn flush(&mut self) -> Result<()> {
        self.check_open()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.make_room(self.buffer.len() as u64);
        self.file.write(self.position, &self.buffer);
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn take_back(&mut self, length: u64) -> Result<()> {
        self.check_open()?;
        self.buffer.clear();
        self.file.set_size(length);
        self.file.sync();
        self.position = length;
        self.allocated = length;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.file.sync();
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        self.flush()?;
        if self.mapped && self.allocated > self.position {
            self.file.set_size(self.position);
        }
        self.closed = true;
        Ok(())
    }
}

impl Drop for MemWritableFile {
    fn drop(&mut self) {
        let _ = self.close();
    }
}
