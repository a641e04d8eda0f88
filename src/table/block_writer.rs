//! Appends the parts of a table to its file.
//!
//! A writer is used by one thread.

use super::block_builder::BlockBuilder;
use super::footer::{BLOCK_TRAILER_SIZE, BlockHandle, Footer};
use crate::compression::{Compressor, TYPE_RAW};
use crate::env::WritableFile;
use crate::error::Result;
use crate::util::crc32c;
use std::path::Path;

/// How the metaindex is stored.
pub(super) enum MetaindexForm {
    /// Uncompressed.
    Raw,
    /// Compressed, if that saves enough space.
    Compressed,
}

/// Appends blocks to a file, and knows their offsets.
pub(super) struct BlockWriter {
    file: Box<dyn WritableFile>,
    /// Bytes written so far.
    offset: u64,
    /// Bytes at the beginning of the file that are those of the table that is copied.
    shared: u64,
    compressor: Compressor,
}

impl BlockWriter {
    /// A writer that appends to `file`, which must be empty.
    pub(super) fn new(file: Box<dyn WritableFile>, compressor: Compressor) -> Self {
        BlockWriter { file, offset: 0, shared: 0, compressor }
    }

    /// Compresses later blocks with `compressor`.
    pub(super) fn set_compressor(&mut self, compressor: Compressor) {
        self.compressor = compressor;
    }

    /// Bytes written so far: where the next block begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Hands the bytes written to the operating system. Does not sync.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }

    /// The file, to sync and to close it.
    pub(super) fn into_file(self) -> Box<dyn WritableFile> {
        self.file
    }

    /// Writes a block, compressed if that saves enough space.
    pub(super) fn write_compressed(&mut self, contents: &[u8]) -> Result<BlockHandle> {
        match self.compressor.compress(contents) {
            Some((stored, type_byte)) => write_block(&mut *self.file, &mut self.offset, stored, type_byte),
            None => self.write_raw(contents),
        }
    }

    /// Writes a block uncompressed.
    pub(super) fn write_raw(&mut self, contents: &[u8]) -> Result<BlockHandle> {
        write_block(&mut *self.file, &mut self.offset, contents, TYPE_RAW)
    }

    /// Writes a block in its stored form, with its trailer. Bytes that the file shares are there already.
    pub(super) fn write_stored(&mut self, stored: &[u8]) -> Result<BlockHandle> {
        let size = (stored.len() as u64).saturating_sub(BLOCK_TRAILER_SIZE as u64);
        let handle = BlockHandle { offset: self.offset, size };
        let shared = self.shared.saturating_sub(self.offset).min(stored.len() as u64);
        if shared < stored.len() as u64 {
            self.file.append(&stored[shared as usize..])?;
        }
        self.offset += stored.len() as u64;
        Ok(handle)
    }

    /// Before a table is copied whose data blocks are the first `length` bytes of the file at `source`: takes
    /// them by reference, if the file system can. `write_stored` then writes what is left of them.
    pub(super) fn share_beginning(&mut self, source: &Path, length: u64) -> Result<()> {
        debug_assert_eq!(self.offset, 0);
        self.shared = self.file.share_beginning(source, length)?;
        Ok(())
    }

    /// Writes the metaindex, which has the names of meta blocks and where they are. Names are there in
    /// bytewise order, as LevelDB's reader expects.
    pub(super) fn write_metaindex(
        &mut self,
        meta_blocks: &mut [(Vec<u8>, BlockHandle)],
        form: MetaindexForm,
    ) -> Result<BlockHandle> {
        meta_blocks.sort_by(|a, b| a.0.cmp(&b.0));
        let mut metaindex = BlockBuilder::new(1);
        let mut encoded = Vec::new();
        for (name, handle) in meta_blocks {
            encoded.clear();
            handle.encode(&mut encoded);
            metaindex.add(0, name, &encoded)?;
        }
        let contents = metaindex.finish()?;
        match form {
            MetaindexForm::Raw => self.write_raw(contents),
            MetaindexForm::Compressed => self.write_compressed(contents),
        }
    }

    /// Appends the footer of a table.
    pub(super) fn write_footer(&mut self, footer: Footer) -> Result<()> {
        let mut bytes = Vec::new();
        footer.encode(&mut bytes);
        self.file.append(&bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

fn write_block(
    file: &mut dyn WritableFile,
    offset: &mut u64,
    stored: &[u8],
    type_byte: u8,
) -> Result<BlockHandle> {
    let handle = BlockHandle { offset: *offset, size: stored.len() as u64 };
    let crc = crc32c::mask(crc32c::extend(crc32c::value(stored), &[type_byte]));
    let mut trailer = [type_byte; BLOCK_TRAILER_SIZE];
    trailer[1..].copy_from_slice(&crc.to_le_bytes());
    file.append(stored)?;
    file.append(&trailer)?;
    *offset += stored.len() as u64 + BLOCK_TRAILER_SIZE as u64;
    Ok(handle)
}
