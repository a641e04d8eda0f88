//! A compressed block in a mapping that is decompressed no further than it is looked at.
//!
//! A look-up in a block that the cache does not keep needs, on average, its first half. How many restart points follow the
//! entries stands at the very end of a block, so it must be known from an earlier time when the block was read whole; its
//! checksum was verified then too.
//!
//! Belongs to one reader.

use super::scan::{Outcome, Scan};
use super::{BadBlock, Block, BlockBuffer, BlockResult};
use crate::compression::{DECODER_SLACK, PartialDecoder};
use crate::error::Result;
use crate::format::internal_key::InternalKeyComparator;
use crate::table::footer::BlockHandle;

/// A step on the way through a block.
const STEP: usize = 1 << 10;

/// A block of which the beginning is decompressed.
pub struct PartialBlock {
    handle: BlockHandle,
    decoder: PartialDecoder,
    buffer: BlockBuffer,
    limit: u32,
    num_restarts: u32,
}

impl PartialBlock {
    /// The block at `handle`, with nothing decompressed. `source`: its stored form, and what lies behind. `None` where it can't be
    /// one that has `num_restarts` restart points: then it must be read in the usual way, which tells what is wrong.
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
        Ok(Some(PartialBlock { handle, decoder, buffer, limit, num_restarts }))
    }

    /// Where it is stored.
    pub fn handle(&self) -> BlockHandle {
        self.handle
    }

    /// Decompresses at least as far as `end`, and a bit further; all of it, if there is less. `source` as in `new`.
    pub fn decode(&mut self, source: &[u8], end: u32) -> BlockResult<()> {
        let wanted = (self.decoder.done() + STEP).max(end as usize);
        let stored = (self.handle.size as usize).min(source.len());
        self.decoder.decode(source, stored, &mut self.buffer, wanted).map_err(|_| {
            let at = self.decoder.done();
            BadBlock { what: "corrupted compressed contents", at }
        })
    }

    /// Bytes that are there; `u32::MAX` when all are.
    #[inline]
    pub fn available(&self) -> u32 {
        if self.decoder.done() < self.decoder.length() { self.decoder.done() as u32 } else { u32::MAX }
    }

    /// The block; what is not available yet are some other bytes.
    #[inline]
    pub fn view(&self) -> Block<'_> {
        let bytes = &self.buffer[..self.decoder.length()];
        Block { bytes, limit: self.limit, num_restarts: self.num_restarts }
    }

    /// As [`Block::get`], for a comparator that is the bytewise one. `source` as in `new`.
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
