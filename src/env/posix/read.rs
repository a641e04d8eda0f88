//! Files read sequentially (WALs, the MANIFEST, CURRENT) and at any offset (tables).
//!
//! Thread rule: a sequential file has one reader; a random-access file has any number, without a lock.

use super::mapping::ReadMapping;
use super::place::{Place, Status};
use super::sys;
use crate::env::{FileIdentity, RandomAccessFile, ReadMode, SequentialFile};
use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

/// Reads at `offset` until `buffer` is full or the file ends. Returns the number of bytes read.
fn read_fully_at(file: &File, mut offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    if offset.checked_add(buffer.len() as u64).is_none_or(|end| i64::try_from(end).is_err()) {
        // The system would return EINVAL. No file reaches that far, so there is nothing to read.
        return Ok(0);
    }
    while filled < buffer.len() {
        match sys::retry(|| file.read_at(&mut buffer[filled..], offset))? {
            0 => break,
            count => {
                filled += count;
                offset += count as u64;
            }
        }
    }
    Ok(filled)
}

/// Opens a file for sequential reading.
pub fn open_sequential(place: Place<'_>) -> Result<Box<dyn SequentialFile>> {
    let file = place.open_file_or_device(libc::O_RDONLY)?;
    sys::advise_sequential(&file);
    Ok(Box::new(PosixSequentialFile { file, path: place.path().to_path_buf(), offset: 0 }))
}

struct PosixSequentialFile {
    file: File,
    path: PathBuf,
    offset: u64,
}

impl SequentialFile for PosixSequentialFile {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = read_fully_at(&self.file, self.offset, buffer)
            .map_err(|error| Error::from_os(&self.path, &error))?;
        self.offset += count as u64;
        Ok(count)
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        self.offset = self.offset.saturating_add(bytes);
        Ok(())
    }
}

/// Opens a file for reading at any offset: through a mapping if the mode asks for one and the system allows
/// it, else by `pread`.
pub fn open_random_access(place: Place<'_>, mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
    let file = place.open_file(libc::O_RDONLY)?;
    if mode == ReadMode::Mapped {
        let size = place.named(Status::of(&file))?.len();
        if let Ok(mapping) = ReadMapping::new(&file, size) {
            return Ok(Arc::new(MappedFile(mapping)));
        }
    }
    Ok(Arc::new(PositionedFile { file, path: place.path().to_path_buf() }))
}

struct MappedFile(ReadMapping);

impl RandomAccessFile for MappedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let bytes = self.0.bytes();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let count = buffer.len().min(bytes.len() - start);
        buffer[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn mapping(&self) -> Option<&[u8]> {
        Some(self.0.bytes())
    }

    fn will_need(&self, offset: u64, length: u64) {
        self.0.will_need(offset, length);
    }
}

struct PositionedFile {
    file: File,
    path: PathBuf,
}

impl RandomAccessFile for PositionedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        read_fully_at(&self.file, offset, buffer).map_err(|error| Error::from_os(&self.path, &error))
    }

    fn will_need(&self, offset: u64, length: u64) {
        sys::advise_will_need(&self.file, offset, length);
    }

    fn identity(&self) -> Option<FileIdentity> {
        let metadata = self.file.metadata().ok()?;
        Some(FileIdentity { device: metadata.dev(), inode: metadata.ino(), size: metadata.len() })
    }
}
