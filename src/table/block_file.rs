//! Reads stored blocks from a table's file: checks bounds, verifies checksums, decompresses.
//!
//! ```text
//! stored block | contents | compression u8 | masked CRC-32C u32 of contents and compression byte |
//! ```
//! Shared between threads, without locks. Bytes in a mapping are read where they are; other bytes are read
//! into a buffer of the thread.

use super::block::{self, BlockBuffer, BlockBytes, filled_with, load_bytes};
use super::checksum::Checksums;
use super::footer::{BLOCK_TRAILER_SIZE, BlockHandle, FoundFooter};
use crate::compression::{self, Compression, DECODER_SLACK, DecompressError, TYPE_RAW};
use crate::env::RandomAccessFile;
use crate::error::{Error, Result};
use crate::language::Language;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of a table.
pub(super) struct BlockFile {
    file: Arc<dyn RandomAccessFile>,
    path: PathBuf,
    /// The offset of the footer. No block may reach past it.
    limit: u64,
    /// What the numbers of compressions mean.
    language: Language,
    checksums: Checksums,
}

impl BlockFile {
    /// `limit` is the offset of the footer.
    pub fn new(file: Arc<dyn RandomAccessFile>, path: PathBuf, limit: u64, found: &FoundFooter) -> Self {
        BlockFile { file, path, limit, language: found.footer.language, checksums: found.checksums }
    }

    /// Do the blocks have the checksums that are written too? Only then a stored block can be copied.
    pub fn has_usual_checksums(&self) -> bool {
        self.checksums == Checksums::USUAL
    }

    pub fn language(&self) -> Language {
        self.language
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    #[cold]
    pub fn corruption(&self, what: impl fmt::Display) -> Error {
        Error::corruption_in(&self.path, what)
    }

    /// The error for a block whose bytes contradict the format: a Corruption with the file and the block's
    /// offset.
    #[cold]
    pub fn bad_block(&self, handle: BlockHandle, what: impl fmt::Display) -> Error {
        self.corruption(format_args!("{what}, in the block at offset {}", handle.offset))
    }

    /// The contents of a block that lies uncompressed in a mapping. The checksum is not verified.
    #[inline]
    pub fn raw_in_mapping(&self, handle: BlockHandle) -> Option<&[u8]> {
        let stored = self.in_mapping(handle, self.file.mapping()?)?;
        let (contents, trailer) = stored.split_at(handle.size as usize);
        (trailer[0] == TYPE_RAW).then_some(contents)
    }

    /// A block in a mapping in its stored form, with its trailer.
    #[inline]
    pub fn whole_in_mapping(&self, handle: BlockHandle) -> Option<&[u8]> {
        self.in_mapping(handle, self.file.mapping()?)
    }

    /// The stored form of a block in a mapping, followed by up to `DECODER_SLACK` bytes of what follows it.
    #[inline]
    pub fn stored_in_mapping(&self, handle: BlockHandle) -> Option<&[u8]> {
        let mapping = self.file.mapping()?;
        let end = usize::try_from(handle.end()?).ok().filter(|&end| end <= mapping.len())?;
        mapping.get(usize::try_from(handle.offset).ok()?..mapping.len().min(end + DECODER_SLACK))
    }

    /// The bytes at `offset`, if they are in a mapping.
    #[inline]
    pub fn bytes_in_mapping(&self, offset: usize, length: usize) -> Option<&[u8]> {
        self.file.mapping()?.get(offset..)?.get(..length)
    }

    /// Verifies the checksum of a block in a mapping.
    #[inline(never)]
    pub fn verify_in_mapping(&self, handle: BlockHandle) -> Result<()> {
        match self.file.mapping().and_then(|mapping| self.in_mapping(handle, mapping)) {
            Some(stored) => self.verify(handle, stored),
            None => Err(self.truncated(handle)),
        }
    }

    /// Is the file mapped?
    #[inline]
    pub fn is_mapped(&self) -> bool {
        self.file.mapping().is_some()
    }

    /// Prefetches the stored bytes of a block in a mapping.
    #[inline]
    pub fn prefetch(&self, handle: BlockHandle) {
        if let Some(stored) = self.file.mapping().and_then(|mapping| self.in_mapping(handle, mapping)) {
            block::prefetch(stored);
        }
    }

    /// As [`BlockFile::load`], but always into a buffer that the caller owns.
    pub fn load_own(&self, handle: BlockHandle, verify_checksum: bool) -> Result<BlockBuffer> {
        self.with_stored(handle, verify_checksum, |contents, type_byte| {
            let bad = |error| self.bad_stream(handle, error);
            if compression::is_streamed(type_byte) {
                return self.decompress_streamed(handle, contents, type_byte);
            }
            let length = compression::decompressed_length(type_byte, contents).map_err(bad)?;
            let mut buffer = BlockBuffer::new(length)?;
            compression::decompress(type_byte, contents, &mut buffer).map_err(bad)?;
            Ok(buffer)
        })
    }

    /// Reads a block and decompresses it. A block that lies uncompressed in a mapping stays there.
    pub fn load(&self, handle: BlockHandle, verify_checksum: bool) -> Result<BlockBytes<'_>> {
        if let Some(contents) = self.raw_in_mapping(handle) {
            self.check_bounds(handle)?;
            if verify_checksum {
                self.verify_in_mapping(handle)?;
            }
            return Ok(BlockBytes::InPlace(contents));
        }
        self.with_stored(handle, verify_checksum, |contents, type_byte| {
            let bad = |error| self.bad_stream(handle, error);
            if compression::is_streamed(type_byte) {
                let block = self.decompress_streamed(handle, contents, type_byte)?;
                return load_bytes(block.len(), |slots| Ok(filled_with(slots, &block)));
            }
            let length = compression::decompressed_length(type_byte, contents).map_err(bad)?;
            load_bytes(length, |slots| match type_byte {
                TYPE_RAW => Ok(filled_with(slots, contents)),
                _ => compression::decompress_new(type_byte, contents, slots).map_err(bad),
            })
        })
        .map(|bytes| BlockBytes::Loaded(bytes.into()))
    }

    /// Decompresses a block of zlib or zstd, whose length is known only after decompression.
    #[cold]
    fn decompress_streamed(
        &self,
        handle: BlockHandle,
        contents: &[u8],
        type_byte: u8,
    ) -> Result<BlockBuffer> {
        BlockBuffer::filled_by(|block| {
            compression::decompress_streamed(self.language, type_byte, contents, block)
        })
        .map_err(|error| self.bad_stream(handle, error))
    }

    /// The codec of a block. `None` if the block is uncompressed, cannot be read, or has an unknown codec.
    pub fn compression_of(&self, handle: BlockHandle) -> Option<Compression> {
        let type_byte = self.type_byte(handle).ok()?;
        let mut beginning = [0; 4];
        let beginning = match self.whole_in_mapping(handle) {
            Some(stored) => &stored[..(handle.size as usize).min(4)],
            None => {
                let length = self.file.read_at(handle.offset, &mut beginning).ok()?;
                &beginning[..length.min(handle.size as usize)]
            }
        };
        Compression::of_block(self.language, type_byte, beginning)
    }

    /// The type byte of a block. The checksum is not verified.
    pub fn type_byte(&self, handle: BlockHandle) -> Result<u8> {
        self.check_bounds(handle)?;
        if let Some(stored) = self.whole_in_mapping(handle) {
            return Ok(stored[handle.size as usize]);
        }
        let mut type_byte = [0; 1];
        match self.file.read_at(handle.offset + handle.size, &mut type_byte)? {
            1 => Ok(type_byte[0]),
            _ => Err(self.truncated(handle)),
        }
    }

    /// NotSupported if a block is undamaged but has an encoding that this build cannot read.
    pub fn check_understood(&self, handle: BlockHandle) -> Result<()> {
        match self.with_stored(handle, false, |_, type_byte| Ok(compression::is_streamed(type_byte))) {
            Ok(true) => match self.load_own(handle, true) {
                Err(error) if error.is_not_supported() => Err(error),
                _ => Ok(()), // other errors appear when it is read
            },
            Err(error) if !error.is_corruption() => Err(error),
            _ => Ok(()),
        }
    }

    /// Hands the stored contents of a block and its type byte to `body`. Errors get the file's name.
    #[inline]
    fn with_stored<R>(
        &self,
        handle: BlockHandle,
        verify_checksum: bool,
        body: impl FnOnce(&[u8], u8) -> Result<R>,
    ) -> Result<R> {
        self.with_whole(handle, verify_checksum, |stored| {
            let (contents, trailer) = stored.split_at(stored.len() - BLOCK_TRAILER_SIZE);
            body(contents, trailer[0])
        })
    }

    /// Hands a block in its stored form, with its trailer, to `body`. Errors get the file's name.
    #[inline]
    pub fn with_whole<R>(
        &self,
        handle: BlockHandle,
        verify_checksum: bool,
        body: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        self.check_bounds(handle)?;
        let checked = |stored: &[u8]| {
            if verify_checksum {
                self.verify(handle, stored)?;
            }
            body(stored)
        };
        let result = match self.file.mapping() {
            Some(mapping) => match self.in_mapping(handle, mapping) {
                Some(stored) => checked(stored),
                None => Err(self.truncated(handle)),
            },
            None => {
                let mut stored = BlockBuffer::new(handle.size as usize + BLOCK_TRAILER_SIZE)?;
                match self.file.read_at(handle.offset, &mut stored) {
                    Ok(length) if length == stored.len() => checked(&stored),
                    Ok(_) => Err(self.truncated(handle)),
                    Err(error) => Err(error),
                }
            }
        };
        result.map_err(|error| match error.path() {
            Some(_) => error,
            None => error.context(self.path.display()),
        })
    }

    /// Tells the system that these bytes will be read soon.
    pub fn will_need(&self, offset: u64, length: u64) {
        self.file.will_need(offset, length);
    }

    fn check_bounds(&self, handle: BlockHandle) -> Result<()> {
        match handle.end() {
            Some(end) if end <= self.limit && usize::try_from(end).is_ok() => Ok(()),
            _ => Err(self.corruption(format_args!(
                "block of {} bytes at offset {} reaches past the end of the file",
                handle.size, handle.offset
            ))),
        }
    }

    #[inline]
    fn in_mapping<'a>(&self, handle: BlockHandle, mapping: &'a [u8]) -> Option<&'a [u8]> {
        mapping.get(usize::try_from(handle.offset).ok()?..usize::try_from(handle.end()?).ok()?)
    }

    #[cold]
    fn truncated(&self, handle: BlockHandle) -> Error {
        self.corruption(format_args!("truncated block read at offset {}", handle.offset))
    }

    /// Verifies the checksum of `stored`, which is contents and trailer.
    fn verify(&self, handle: BlockHandle, stored: &[u8]) -> Result<()> {
        let fits = stored.split_last_chunk::<4>().is_some_and(|(summed, checksum)| {
            self.checksums.fit(handle.offset, summed, u32::from_le_bytes(*checksum))
        });
        match fits {
            true => Ok(()),
            false => {
                Err(self.corruption(format_args!("block checksum mismatch at offset {}", handle.offset)))
            }
        }
    }

    #[cold]
    fn bad_stream(&self, handle: BlockHandle, error: DecompressError) -> Error {
        let what = format_args!("{error} at offset {}", handle.offset);
        match error {
            _ if error.is_not_understood() => Error::not_supported_in(&self.path, what),
            DecompressError::NoMemory => Error::io(format!("{}: {what}", self.path.display())),
            _ => self.corruption(what),
        }
    }
}
