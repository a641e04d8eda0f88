//! A compressed block in a mapping, decompressed only as far as readers look.
//!
//! A look-up in a block that the cache does not keep needs, on average, the first half of the block. The
//! number of restart points stands at the very end of a block. So it must be known from an earlier time when
//! the block was read whole; its checksum was verified then too.
//!
//! A `LazyBlock` belongs to one reader.

use crate::compression::{DECODER_SLACK, PartialDecoder};
use crate::error::Result;
use crate::format::internal_key::InternalKeyComparator;
use crate::table::block::prefix_scan::{Outcome, Scan};
use crate::table::block::{BadBlock, Block, BlockBuffer, BlockResult};
use crate::table::footer::BlockHandle;

/// The least number of bytes that one step decompresses.
const STEP: usize = 1 << 10;

/// A block whose beginning is decompressed.
pub struct LazyBlock {
    handle: BlockHandle,
    decoder: PartialDecoder,
    buffer: BlockBuffer,
    limit: u32,
    num_restarts: u32,
}

impl LazyBlock {
    /// The block at `handle`, with nothing decompressed yet. `source`: the stored block, and bytes that
    /// follow it. `None` if the block cannot have `num_restarts` restart points: the caller then reads it
    /// whole, which reports what is wrong.
    pub fn new(handle: BlockHandle, source: &[u8], num_restarts: u32) -> Result<Option<Self>> {
        let stored = &source[..source.len().min(handle.size as usize)];
        let Some(decoder) = PartialDecoder::new(stored) else { return Ok(None) };
        let behind_entries = (u64::from(num_restarts) + 1) * 4;
        let length = decoder.length() as u64;
        if num_restarts == 0 || length <= behind_entries || length / 64 > handle.size {
            return Ok(None);
        }
        let buffer = BlockBuffer::new(decoder.length() + DECODER_SLACK)?;
        let limit = (length - behind_entries) as u32;
        Ok(Some(LazyBlock { handle, decoder, buffer, limit, num_restarts }))
    }

    /// Where the block is stored in its file.
    pub fn handle(&self) -> BlockHandle {
        self.handle
    }

    /// Decompresses up to `end` and at least one step further, or all of it if there is less. `source` as in
    /// `new`.
    pub fn decode(&mut self, source: &[u8], end: u32) -> BlockResult<()> {
        let wanted = (self.decoder.done() + STEP).max(end as usize);
        let stored = (self.handle.size as usize).min(source.len());
        self.decoder.decode(source, stored, &mut self.buffer, wanted).map_err(|_| {
            let at = self.decoder.done();
            BadBlock { what: "corrupted compressed contents", at }
        })
    }

    /// How many bytes are decompressed; `u32::MAX` if all are.
    #[inline]
    pub fn available(&self) -> u32 {
        if self.decoder.done() < self.decoder.length() { self.decoder.done() as u32 } else { u32::MAX }
    }

    /// A view of the block. The content of bytes that are not available yet is arbitrary.
    #[inline]
    pub fn view(&self) -> Block<'_> {
        let bytes = &self.buffer[..self.decoder.length()];
        Block { bytes, limit: self.limit, num_restarts: self.num_restarts }
    }

    /// As [`Block::get`], for the bytewise comparator only. `source` as in `new`.
    pub fn get<R>(
        &mut self,
        comparator: &InternalKeyComparator,
        source: &[u8],
        target: &[u8],
        found: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> BlockResult<Option<R>> {
        let mut scan = Scan::from(0);
        loop {
            match scan.run(&self.view(), target, self.available())? {
                Outcome::Beyond(end) => self.decode(source, end)?,
                Outcome::Found { same_user_key: false, .. } | Outcome::End => return Ok(None),
                Outcome::Found { entry, .. } => {
                    return self.view().hand_over(target, &entry, found).map(Some);
                }
                Outcome::Unclear => {
                    self.decode(source, u32::MAX)?;
                    return self.view().get(comparator, target, found);
                }
            }
        }
    }
}
