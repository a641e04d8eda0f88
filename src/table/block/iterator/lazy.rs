//! A block iterator that also opens blocks that are decompressed while it moves: all that [`BlockIterator`]
//! does not know of [`LazyBlock`](super::super::LazyBlock).
//!
//! To the inner iterator, such a block ends where the decompressed bytes end. Before each move, this iterator
//! has the bytes decompressed that the move looks at, and lets the inner one see them: for a move forward
//! those of the next entry, for a seek those up to the entry found, for all others the whole block. So a
//! move forward never meets the false end, or an entry that is cut there.
//!
//! Invariants while `decoder` is set, which is as long as the block is not whole:
//! - `block.loaded` is the block's buffer, and `block.bytes` leads to it.
//! - `block.limit` is the end of the entries, or that of the decompressed bytes if that is earlier. The
//!   current entry lies before it. The restart points, which are not there yet, are not read: only seeks and
//!   moves backward of the inner iterator do that.
//! - The buffer is written to only by `decode`, which derives all pointers into it again.
//!
//! Used by one thread at a time; may move between threads.

use super::super::lazy_block::{LazyBlock, LazyDecoder, WholeOrPart};
use super::super::prefix_scan::Outcome;
use super::super::{BlockBuffer, BlockResult};
use super::{BlockIterator, BlockOwner, Loaded};
use crate::error::Result;
use crate::table::footer::BlockHandle;
use std::ops::Deref;
use std::sync::Arc;

/// What blocks may lie in that are decompressed on demand.
pub trait LazyBlockOwner: BlockOwner {
    /// The stored form of a block, followed by some of the bytes that follow it in the file.
    fn stored(&self, handle: BlockHandle) -> &[u8];
}

/// A position in a block that is whole, or is decompressed as far as the iterator looks. What the position is
/// can be asked of the inner iterator, to which this one derefs.
pub struct LazyBlockIterator<T> {
    block: BlockIterator<T>,
    /// `None` if the block is whole, or no block is open.
    decoder: Option<LazyDecoder>,
}

impl<T> Deref for LazyBlockIterator<T> {
    type Target = BlockIterator<T>;
    #[inline]
    fn deref(&self) -> &BlockIterator<T> {
        &self.block
    }
}

impl<T: LazyBlockOwner> LazyBlockIterator<T> {
    /// An iterator without a block, for blocks of `owner`.
    pub fn new(owner: Arc<T>) -> Self {
        LazyBlockIterator { block: BlockIterator::new(owner), decoder: None }
    }

    /// As [`BlockIterator::change_owner`].
    pub fn change_owner(&mut self, owner: Arc<T>) {
        self.decoder = None;
        self.block.change_owner(owner);
    }

    /// As [`BlockIterator::close`].
    pub fn close(&mut self) {
        self.decoder = None;
        self.block.close();
    }

    /// As [`BlockIterator::open`].
    pub fn open(&mut self, load: impl for<'a> FnOnce(&'a T) -> Result<WholeOrPart<'a>>) -> Result<()> {
        self.decoder = None;
        let mut part = None;
        self.block.open(|owner| match load(owner)? {
            WholeOrPart::Whole(bytes) => Ok(Some(bytes)),
            WholeOrPart::Part(lazy) => {
                part = Some(lazy);
                Ok(None)
            }
        })?;
        if let Some(LazyBlock { decoder, buffer }) = part {
            debug_assert!(self.block.bytewise);
            self.block.loaded = Loaded::Own(buffer);
            self.decoder = Some(decoder);
        }
        Ok(())
    }

    /// Moves to the first entry of the block.
    pub fn seek_to_first(&mut self) {
        if self.decoder.is_none()
            || self.prepares(|decoder, source, buffer| decoder.decode_entry(source, buffer, 0))
        {
            self.block.seek_to_first();
        }
    }

    /// Moves to the last entry of the block.
    pub fn seek_to_last(&mut self) {
        if self.decoder.is_none() || self.prepares(LazyDecoder::decode_all) {
            self.block.seek_to_last();
        }
    }

    /// Moves to the first entry at or after `target`.
    pub fn seek(&mut self, target: &[u8]) {
        if self.decoder.is_none() {
            self.block.seek(target);
        } else {
            self.seek_in_steps(target);
        }
    }

    /// Moves to the next entry. Call only while valid.
    #[inline]
    pub fn next(&mut self) {
        if self.decoder.is_none() || self.prepares_next() {
            self.block.next();
        }
    }

    /// As [`BlockIterator::try_next_user_key`].
    #[inline(always)]
    pub fn try_next_user_key(&mut self, with_prefix: bool) -> Option<u64> {
        match self.block.try_next_user_key(with_prefix) {
            None if self.decoder.is_some() => self.try_next_user_key_once_decoded(with_prefix),
            stepped => stepped,
        }
    }

    /// Moves to the previous entry. Call only while valid.
    pub fn prev(&mut self) {
        if self.decoder.is_none() || self.prepares(LazyDecoder::decode_all) {
            self.block.prev();
        }
    }

    #[inline(never)]
    fn seek_in_steps(&mut self, target: &[u8]) {
        self.block.clear_position();
        let moved = match self.decode(|decoder, source, buffer| decoder.scan(source, buffer, target)) {
            Ok(Outcome::Found { entry, .. }) => self.block.stand_on_found(&entry, target),
            Ok(Outcome::End) => Ok(()),
            // The block is whole now.
            Ok(Outcome::Unclear) => return self.block.seek(target),
            Err(bad) => Err(bad),
        };
        if let Err(bad) = moved {
            self.block.fail(bad);
        }
    }

    #[inline(never)]
    fn try_next_user_key_once_decoded(&mut self, with_prefix: bool) -> Option<u64> {
        let (limit, next) = (self.block.limit, self.block.next_offset());
        let decoded = self.decode(|decoder, source, buffer| decoder.decode_entry(source, buffer, next));
        if decoded.is_err() || self.block.limit == limit {
            return None;
        }
        self.block.try_next_user_key(with_prefix)
    }

    #[inline(never)]
    fn prepares_next(&mut self) -> bool {
        let next = self.block.next_offset();
        self.prepares(|decoder, source, buffer| decoder.decode_entry(source, buffer, next))
    }

    /// As `decode`. Returns false if the block is damaged; the iterator is not valid then.
    #[inline]
    fn prepares(
        &mut self,
        work: impl FnOnce(&mut LazyDecoder, &[u8], &mut BlockBuffer) -> BlockResult<()>,
    ) -> bool {
        let decoded = self.decode(work);
        if let Err(bad) = decoded {
            self.block.fail(bad);
        }
        decoded.is_ok()
    }

    /// Lets `work` decompress more of the block, from its stored form into its buffer. Call only if it is not
    /// whole.
    fn decode<R>(
        &mut self,
        work: impl FnOnce(&mut LazyDecoder, &[u8], &mut BlockBuffer) -> BlockResult<R>,
    ) -> BlockResult<R> {
        let block = &mut self.block;
        let (Some(decoder), Loaded::Own(buffer)) = (&mut self.decoder, &mut block.loaded) else {
            unreachable!("a block that is not whole has a decoder and a buffer");
        };
        let result = work(decoder, block.owner.stored(decoder.handle()), buffer);
        let view = decoder.beginning(buffer);
        (block.limit, block.num_restarts) = (view.limit, view.num_restarts);
        (block.bytes, block.length) = (view.bytes.as_ptr(), view.bytes.len());
        block.quick_limit = block.limit;
        if block.key_length != 0 && block.key != block.key_buffer.as_ptr() {
            // The key is stored whole, right before its value.
            block.key = block.bytes.wrapping_add((block.value - block.key_length) as usize);
        }
        if decoder.is_done() {
            self.decoder = None;
        }
        result
    }
}
