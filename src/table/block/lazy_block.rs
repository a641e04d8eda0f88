//! A compressed block in a mapping, decompressed only as far as readers look.
//!
//! A look-up in a block that the cache does not keep needs, on average, the first half of the block. The
//! number of restart points stands at the very end of a block. So it must be known from an earlier time when
//! the block was read whole; its checksum was verified then too.
//!
//! Only in the bytewise order, where a search can begin at the first entry without building keys. A
//! `LazyBlock` belongs to one reader: a look-up (`get`), or a `LazyBlockIterator`.

use crate::compression::{DECODER_SLACK, PartialDecoder};
use crate::error::Result;
use crate::format::internal_key::InternalKeyComparator;
use crate::table::block::prefix_scan::{MAX_ENTRY_HEADER, Outcome, Progress, Scan};
use crate::table::block::{BadBlock, Block, BlockBuffer, BlockBytes, BlockResult};
use crate::table::footer::BlockHandle;

/// The least number of bytes that one step decompresses.
const STEP: usize = 1 << 10;

/// A block with all its bytes, or a block that is decompressed on demand.
pub enum WholeOrPart<'a> {
    /// All bytes are there.
    Whole(BlockBytes<'a>),
    /// Decompressed as far as readers have looked.
    Part(LazyBlock),
}

/// A block whose beginning is decompressed.
pub struct LazyBlock {
    pub(super) decoder: LazyDecoder,
    /// Longer than the block, which saves the decoder checks.
    pub(super) buffer: BlockBuffer,
}

/// How far a block is decompressed. Every method that takes `source` takes the stored block and bytes that
/// follow it; `buffer` is the block's.
pub(super) struct LazyDecoder {
    handle: BlockHandle,
    decoder: PartialDecoder,
    /// Where the entries end in the whole block.
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
        Ok(Some(LazyBlock { decoder: LazyDecoder { handle, decoder, limit, num_restarts }, buffer }))
    }

    /// As [`Block::get`]. `source` as in `new`.
    pub fn get<R>(
        &mut self,
        comparator: &InternalKeyComparator,
        source: &[u8],
        target: &[u8],
        found: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> BlockResult<Option<R>> {
        let LazyBlock { decoder, buffer } = self;
        match decoder.scan(source, buffer, target)? {
            Outcome::Found { same_user_key: false, .. } | Outcome::End => Ok(None),
            Outcome::Found { entry, .. } => decoder.block(buffer).hand_over(target, &entry, found).map(Some),
            Outcome::Unclear => decoder.block(buffer).get(comparator, target, found),
        }
    }
}

impl LazyDecoder {
    /// Where the block is stored in its file.
    pub(super) fn handle(&self) -> BlockHandle {
        self.handle
    }

    /// Is all of the block decompressed?
    #[inline]
    pub(super) fn is_done(&self) -> bool {
        self.decoder.done() == self.decoder.length()
    }

    /// How many bytes are decompressed; `u32::MAX` if all are.
    #[inline]
    fn available(&self) -> u32 {
        if self.is_done() { u32::MAX } else { self.decoder.done() as u32 }
    }

    /// A view of the whole block. The content of bytes that are not decompressed yet is arbitrary.
    #[inline]
    fn block<'b>(&self, buffer: &'b BlockBuffer) -> Block<'b> {
        let bytes = &buffer[..self.decoder.length()];
        Block { bytes, limit: self.limit, num_restarts: self.num_restarts }
    }

    /// A view of the block whose entries end where the decompressed bytes end, if not before. The last one
    /// may be cut there. Its restart points can be read only if all of the block is decompressed.
    #[inline]
    pub(super) fn beginning<'b>(&self, buffer: &'b BlockBuffer) -> Block<'b> {
        Block { limit: self.limit.min(self.available()), ..self.block(buffer) }
    }

    /// Decompresses up to `end` and at least one step further, or all of it if there is less.
    fn decode(&mut self, source: &[u8], buffer: &mut BlockBuffer, end: u32) -> BlockResult<()> {
        let wanted = (self.decoder.done() + STEP).max(end as usize);
        let stored = (self.handle.size as usize).min(source.len());
        self.decoder.decode(source, stored, buffer, wanted).map_err(|_| {
            let at = self.decoder.done();
            BadBlock { what: "corrupted compressed contents", at }
        })
    }

    #[inline]
    fn decode_up_to(&mut self, source: &[u8], buffer: &mut BlockBuffer, end: u32) -> BlockResult<()> {
        if self.available() >= end { Ok(()) } else { self.decode(source, buffer, end) }
    }

    /// Decompresses all of the block.
    pub(super) fn decode_all(&mut self, source: &[u8], buffer: &mut BlockBuffer) -> BlockResult<()> {
        self.decode_up_to(source, buffer, u32::MAX)
    }

    /// Decompresses the bytes of the entry at `offset`, if there is one: its lengths, then all of it.
    pub(super) fn decode_entry(
        &mut self,
        source: &[u8],
        buffer: &mut BlockBuffer,
        offset: u32,
    ) -> BlockResult<()> {
        self.decode_up_to(source, buffer, offset.saturating_add(MAX_ENTRY_HEADER))?;
        if offset >= self.limit {
            return Ok(());
        }
        let end = self.block(buffer).entry(offset)?.end();
        self.decode_up_to(source, buffer, end)
    }

    /// Finds the first entry at or after `target`, decompressing as far as needed. If that cannot be told
    /// without building keys, all of the block is decompressed.
    #[inline(always)]
    pub(super) fn scan(
        &mut self,
        source: &[u8],
        buffer: &mut BlockBuffer,
        target: &[u8],
    ) -> BlockResult<Outcome> {
        let mut scan = Scan::from(0);
        loop {
            match scan.run_within(&self.block(buffer), target, self.available())? {
                Progress::Needs(end) => self.decode(source, buffer, end)?,
                Progress::Ended(outcome) => {
                    if let Outcome::Unclear = outcome {
                        self.decode_all(source, buffer)?;
                    }
                    return Ok(outcome);
                }
            }
        }
    }
}
