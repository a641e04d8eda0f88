//! Backward moves in a block. An entry does not tell where the previous one begins. So the run of entries
//! from the last restart point is read once, and visited from its end.
//!
//! Used by one thread at a time, as all of the iterator.

use super::super::{Block, BlockResult, Entry, bad, check_type};
use super::{BlockIterator, BlockOwner};
use crate::format::internal_key::TRAILER_SIZE;

impl<T: BlockOwner> BlockIterator<T> {
    /// Moves to the previous entry. Call only while valid.
    pub fn prev(&mut self) {
        // The bytes that the key just left shares with the one before it are still in the buffer.
        let shared = self.run.pop().map_or(0, |left| left.shared);
        self.step_back(shared);
    }

    /// Moves to the last entry of `run`. If `run` is empty, it is read again, up to the entry before
    /// `current`. The first `kept` bytes of that entry's key are in the buffer already.
    pub(super) fn step_back(&mut self, kept: u32) {
        if self.run.is_empty() && self.current == 0 {
            self.key_length = 0;
        } else if let Err(bad) = self.try_step_back(kept) {
            self.fail(bad);
        }
    }

    fn try_step_back(&mut self, mut kept: u32) -> BlockResult<()> {
        // SAFETY: the view is local, and nothing here releases the block.
        let block = unsafe { self.block() };
        if self.run.is_empty() {
            block.read_run(self.current, &mut self.run)?;
            kept = 0;
        }
        let Some((entry, before)) = self.run.split_last() else {
            return bad("no entry before the end", self.current as usize);
        };
        let entry = *entry;
        if entry.shared == 0 {
            self.key = block.suffix(&entry).as_ptr();
        } else {
            let shared = entry.shared as usize;
            self.key_buffer.resize(shared + entry.suffix_length as usize, 0);
            self.key_buffer[shared..].copy_from_slice(block.suffix(&entry));
            // The bytes in [kept, needed) come from the entries before; each of them supplies the end of that
            // range.
            let mut needed = entry.shared;
            for earlier in before.iter().rev() {
                if needed <= kept {
                    break;
                }
                if earlier.shared < needed {
                    let start = earlier.shared.max(kept);
                    let piece = block.slice(earlier.suffix + (start - earlier.shared), needed - start);
                    self.key_buffer[start as usize..needed as usize].copy_from_slice(piece);
                    needed = start;
                }
            }
            self.key = self.key_buffer.as_ptr();
        }
        self.stand_on(&entry);
        check_type(self.key(), entry.offset)
    }
}

impl Block<'_> {
    /// Fills `run` with the entries from the last restart point before `end` up to the one that ends at
    /// `end`. Checks that their keys are internal ones and share no more bytes than there are.
    fn read_run(&self, end: u32, run: &mut Vec<Entry>) -> BlockResult<()> {
        run.clear();
        let (mut left, mut right) = (0, self.num_restarts.saturating_sub(1));
        while left < right {
            let middle = left + (right - left).div_ceil(2);
            if self.restart(middle) < end {
                left = middle;
            } else {
                right = middle - 1;
            }
        }
        let mut offset = self.restart(left);
        let mut key_length = 0;
        while offset < end.min(self.limit) {
            let entry = self.entry(offset)?;
            if entry.shared > key_length {
                return bad("key shares more than there is", offset as usize);
            }
            key_length = entry.shared.saturating_add(entry.suffix_length);
            if (key_length as usize) < TRAILER_SIZE || key_length == u32::MAX {
                return bad("internal key of a bad length", offset as usize);
            }
            offset = entry.end();
            run.push(entry);
        }
        if offset == end { Ok(()) } else { bad("restart point inside an entry", end as usize) }
    }
}
