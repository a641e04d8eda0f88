//! An iterator over a block of internal keys. It keeps the block alive, and is reused from block to block.
//!
//! The current key is either in the block (an entry that shares nothing) or in `key_buffer`. Moving backward
//! needs the entries between a restart point and the current entry: their lengths are read once per run and
//! kept in `run`. A key is then put together from the bytes that it shares with the key just left, and from
//! the suffixes of the few entries before it.
//!
//! `lazy` is an iterator over this one for blocks that are decompressed while it moves. Here all bytes of the
//! entries, up to `limit`, are there.
//!
//! Used by one thread at a time; may move between threads.

#![allow(unsafe_code)]

mod backward;
mod lazy;

pub use lazy::{LazyBlockIterator, LazyBlockOwner};

use super::{BadBlock, Block, BlockBuffer, BlockBytes, BlockResult, Entry, bad, check_type, prefetch};
use crate::error::Result;
use crate::format::internal_key::{
    InternalKeyComparator, KeyPrefix, TRAILER_SIZE, ValueType, trailer, user_key,
};
use crate::table::block::prefix_scan::{Outcome, Scan};
use crate::util::cache::CachedBlock;
use std::ptr::NonNull;
use std::sync::Arc;

/// What blocks may lie in: a table with its mapping.
pub trait BlockOwner: Send + Sync {
    /// The order of the entries of its blocks.
    fn comparator(&self) -> &InternalKeyComparator;
}

/// A position in a block. The block's bytes lie in `T`, or in memory of their own (`loaded`).
pub struct BlockIterator<T> {
    /// The block's bytes. Valid as long as `owner` and `loaded` are not changed.
    bytes: *const u8,
    length: usize,
    /// As in [`Block`]; 0 if no block is open.
    limit: u32,
    num_restarts: u32,
    /// The current key: in the block, or in `key_buffer`.
    key: *const u8,
    /// 0 if the iterator stands on no entry.
    key_length: u32,
    value: u32,
    value_length: u32,
    /// The offset where the current entry begins.
    current: u32,
    /// `try_next_user_key` only moves to entries that end at or before this offset: `limit`, or 0 unless
    /// `bytewise`.
    quick_limit: u32,
    /// The prefix of the current key, valid if `has_prefix`.
    prefix: KeyPrefix,
    has_prefix: bool,
    /// Holds the current key if `key` points here.
    key_buffer: Vec<u8>,
    /// The entries from a restart point up to the current one. Empty if they are not known.
    run: Vec<Entry>,
    bad: Option<BadBlock>,
    /// The owner of the block's bytes, unless `owner` is.
    loaded: Loaded,
    /// Is the owner's comparator the bytewise one?
    bytewise: bool,
    owner: Arc<T>,
}

/// The memory that holds the open block.
enum Loaded {
    None,
    Shared(#[allow(dead_code)] CachedBlock),
    Own(#[allow(dead_code)] BlockBuffer),
}

// SAFETY: the pointers lead into memory that `owner`, `loaded` and `key_buffer` own, and that nobody writes
// to while others read it. All three may be moved to another thread (`T` is shared with others: hence Sync).
unsafe impl<T: Send + Sync> Send for BlockIterator<T> {}

/// A key is copied in one piece of this many bytes if the source has as many.
const COPY: usize = 32;

impl<T: BlockOwner> BlockIterator<T> {
    /// An iterator without a block, for blocks of `owner`.
    pub fn new(owner: Arc<T>) -> Self {
        BlockIterator {
            bytes: NonNull::dangling().as_ptr(),
            length: 0,
            limit: 0,
            num_restarts: 0,
            key: std::ptr::null(),
            key_length: 0,
            value: 0,
            value_length: 0,
            current: 0,
            quick_limit: 0,
            prefix: KeyPrefix::default(),
            has_prefix: false,
            key_buffer: Vec::new(),
            run: Vec::new(),
            bad: None,
            loaded: Loaded::None,
            bytewise: owner.comparator().is_bytewise(),
            owner,
        }
    }

    /// The owner of the blocks.
    #[inline]
    pub fn owner(&self) -> &Arc<T> {
        &self.owner
    }

    /// Releases the block. From now on the iterator is for blocks of `owner`.
    pub fn change_owner(&mut self, owner: Arc<T>) {
        self.close();
        self.bytewise = owner.comparator().is_bytewise();
        self.owner = owner;
    }

    /// Releases the block. The iterator then stands on no entry.
    pub fn close(&mut self) {
        self.clear_position();
        self.limit = 0;
        self.num_restarts = 0;
        self.quick_limit = 0;
        self.bytes = NonNull::dangling().as_ptr();
        self.length = 0;
        self.loaded = Loaded::None;
    }

    /// Opens another block, which `load` finds in the owner or reads. The iterator then stands on no entry. A
    /// block that cannot be parsed counts as an empty one with a [`BlockIterator::corruption`]. `None`: no
    /// block is opened.
    pub fn open(&mut self, load: impl for<'a> FnOnce(&'a T) -> Result<Option<BlockBytes<'a>>>) -> Result<()> {
        self.close();
        // `load` is declared for any lifetime of the owner's borrow, so it can only return bytes that live as
        // long as the owner (or are static). The owner is in an `Arc` that this iterator keeps; it does not
        // move and is never lent out mutably.
        let Some(bytes) = load(&self.owner)? else { return Ok(()) };
        let block = match Block::parse(&bytes) {
            Ok(block) => block,
            Err(bad) => {
                self.bad = Some(bad);
                return Ok(());
            }
        };
        (self.limit, self.num_restarts) = (block.limit, block.num_restarts);
        (self.bytes, self.length) = (bytes.as_ptr(), bytes.len());
        self.quick_limit = if self.bytewise { self.limit } else { 0 };
        self.loaded = match bytes {
            BlockBytes::InPlace(_) => Loaded::None,
            BlockBytes::Loaded(bytes) => {
                prefetch(bytes.block());
                Loaded::Shared(bytes)
            }
            BlockBytes::Own(buffer) => Loaded::Own(buffer),
        };
        Ok(())
    }

    /// A view of the open block.
    ///
    /// # Safety
    /// The caller drops the view before the block is released: by `close`, by `open`, or by the drop of the
    /// iterator.
    #[inline]
    unsafe fn block<'b>(&self) -> Block<'b> {
        // SAFETY: `open` (or `lazy`, whenever it has written to the block) set pointer and length from a
        // slice of the owner or of `loaded`. Neither has changed since, and nobody has written to them.
        // Without a block the pointer is dangling and the length 0. The lifetime is the caller's duty.
        let bytes = unsafe { std::slice::from_raw_parts(self.bytes, self.length) };
        Block { bytes, limit: self.limit, num_restarts: self.num_restarts }
    }

    /// Does the iterator stand on an entry?
    #[inline]
    pub fn valid(&self) -> bool {
        self.key_length != 0
    }

    /// The current internal key, at least 8 bytes; empty if the iterator is not valid.
    #[inline]
    pub fn key(&self) -> &[u8] {
        if !self.valid() {
            return &[];
        }
        // SAFETY: while `key_length` is not 0, `key` leads to that many bytes of the block or of
        // `key_buffer`. Both only change under `&mut self`.
        unsafe { std::slice::from_raw_parts(self.key, self.key_length as usize) }
    }

    /// The current value; empty if the iterator is not valid.
    #[inline]
    pub fn value(&self) -> &[u8] {
        if !self.valid() {
            return &[];
        }
        // SAFETY: while the iterator is valid, the value lies among the block's entries: `Block::entry`
        // checked it.
        unsafe { std::slice::from_raw_parts(self.bytes.add(self.value as usize), self.value_length as usize) }
    }

    /// The current key and value.
    #[inline(always)]
    pub fn entry(&self) -> (&[u8], &[u8]) {
        (self.key(), self.value())
    }

    /// The contradiction to the format that was found since the last seek. The iterator is not valid then.
    #[inline]
    pub fn corruption(&self) -> Option<BadBlock> {
        self.bad
    }

    /// Moves to the first entry of the block.
    pub fn seek_to_first(&mut self) {
        self.clear_position();
        self.step_to(0);
    }

    /// Moves to the last entry of the block.
    pub fn seek_to_last(&mut self) {
        self.clear_position();
        self.current = self.limit;
        self.step_back(0);
    }

    /// Moves to the first entry at or after `target`.
    pub fn seek(&mut self, target: &[u8]) {
        self.clear_position();
        if self.limit != 0
            && let Err(bad) = self.try_seek(target)
        {
            self.fail(bad);
        }
    }

    /// Moves to the next entry. Call only while valid.
    #[inline]
    pub fn next(&mut self) {
        self.run.clear();
        self.step_to(self.next_offset());
    }

    /// Where the entry after the current one begins.
    #[inline]
    fn next_offset(&self) -> u32 {
        self.value + self.value_length
    }

    /// Fast path of `next`. Moves to the next entry and returns its trailer, if that entry lies in this block
    /// and its user key can be proven, without rebuilding keys, to be above the current one (bytewise order).
    /// In every other case, and if the lengths are large, returns `None` and does not move. `with_prefix`:
    /// the caller will ask for the new key's prefix. Call only while valid.
    #[inline(always)]
    pub fn try_next_user_key(&mut self, with_prefix: bool) -> Option<u64> {
        const TRAILER: u32 = TRAILER_SIZE as u32;
        let offset = self.next_offset();
        if offset >= self.quick_limit {
            return None;
        }
        // SAFETY: `offset` was just checked against `quick_limit`, which is at most `limit`, and at least
        // eight bytes of the block follow `limit`: a restart offset and the restart count.
        let word = unsafe { self.bytes.add(offset as usize).cast::<u32>().read_unaligned() };
        let word = u32::from_le(word);
        let (shared, suffix_length) = (word & 0xff, word >> 8 & 0xff);
        let (header, value_length) = match word & 0x8080_8080 {
            0 | 0x8000_0000 => (3, word >> 16 & 0x7f),
            0x0080_0000 => (4, word >> 16 & 0x7f | word >> 24 << 7),
            _ => return None,
        };
        let suffix = u64::from(offset) + header;
        let end = suffix + u64::from(suffix_length) + u64::from(value_length);
        // If the block ends in the middle of the lengths, the entry ends after `quick_limit`.
        if end > u64::from(self.quick_limit)
            || suffix_length <= TRAILER
            || shared + TRAILER >= self.key_length
        {
            return None;
        }
        let entry = Entry { offset, shared, suffix: suffix as u32, suffix_length, value_length };
        // SAFETY: the suffix has at least nine bytes and ends at or before `quick_limit`. The shared bytes
        // are fewer than those of the current user key.
        let (byte, previous, trailer) = unsafe {
            let start = self.bytes.add(suffix as usize);
            let trailer = start.add(suffix_length as usize - TRAILER_SIZE).cast::<u64>().read_unaligned();
            (*start, *self.key.add(shared as usize), u64::from_le(trailer))
        };
        // Mostly the first byte that is not shared is above the byte that it replaces. Then the order is
        // right, and the user key differs.
        if trailer as u8 > ValueType::Value as u8 || byte <= previous && !self.is_plainly_above(&entry) {
            return None;
        }
        if with_prefix {
            // SAFETY: sixteen bytes from the suffix's start lie in the block: the suffix has at least nine,
            // and eight follow `limit`.
            let start = unsafe { self.bytes.add(suffix as usize).cast::<[u8; 16]>().read() };
            self.prefix = self.key_prefix().replaced(shared, &start, suffix_length - TRAILER);
        }
        self.has_prefix = with_prefix;
        self.extend_key(&entry);
        self.run.clear();
        self.take_place(&entry);
        Some(trailer)
    }

    /// Is the user key of `entry`, the next one, above the current user key? The caller has checked that
    /// `entry` has at least one byte of user key that is not shared, and that it shares fewer bytes than the
    /// current user key has.
    #[inline(never)]
    fn is_plainly_above(&self, entry: &Entry) -> bool {
        // SAFETY: the view is local, and nothing here releases the block.
        let suffix = unsafe { self.block() }.suffix(entry);
        user_key(suffix) > &user_key(self.key())[entry.shared as usize..]
    }

    /// The prefix of the current key. It is kept in a field: reading it from the buffer right after the key
    /// was written there in pieces would stall the processor.
    #[inline]
    pub fn key_prefix(&self) -> KeyPrefix {
        if self.has_prefix { self.prefix } else { KeyPrefix::of(self.key()) }
    }

    fn clear_position(&mut self) {
        self.key_length = 0;
        self.bad = None;
        self.run.clear();
    }

    #[cold]
    fn fail(&mut self, bad: BadBlock) {
        self.key_length = 0;
        self.run.clear();
        self.bad = Some(bad);
    }

    fn try_seek(&mut self, target: &[u8]) -> BlockResult<()> {
        // SAFETY: the view is local, and nothing here releases the block.
        let block = unsafe { self.block() };
        let from = block.seek_restart(target, self.owner.comparator())?;
        if self.bytewise {
            match Scan::from(from).run(&block, target)? {
                Outcome::Found { entry, .. } => return self.stand_on_found(&entry, target),
                Outcome::End => return Ok(()),
                Outcome::Unclear => {}
            }
        }
        let comparator = self.owner.comparator();
        if let Some(entry) = block.find_by_comparator(from, target, comparator, &mut self.key_buffer)? {
            check_type(&self.key_buffer, entry.offset)?;
            self.key = self.key_buffer.as_ptr();
            self.stand_on(&entry);
        }
        Ok(())
    }

    /// Makes `entry`, which a scan for `target` has found, the current one.
    #[inline]
    fn stand_on_found(&mut self, entry: &Entry, target: &[u8]) -> BlockResult<()> {
        // SAFETY: the view is local, and nothing here releases the block.
        let suffix = unsafe { self.block() }.suffix(entry);
        check_type(suffix, entry.offset)?;
        if entry.shared == 0 {
            self.key = suffix.as_ptr();
        } else {
            self.key_buffer.clear();
            self.key_buffer.reserve(2 * COPY);
            self.key_buffer.extend_from_slice(&target[..entry.shared as usize]);
            self.key_buffer.extend_from_slice(suffix);
            self.key = self.key_buffer.as_ptr();
        }
        self.stand_on(entry);
        Ok(())
    }

    /// Makes `entry` the current one. `key` is set already.
    #[inline]
    fn stand_on(&mut self, entry: &Entry) {
        self.take_place(entry);
        self.has_prefix = false;
    }

    /// As [`Self::stand_on`], where `prefix` and `has_prefix` are set already too.
    #[inline]
    fn take_place(&mut self, entry: &Entry) {
        self.key_length = entry.shared + entry.suffix_length;
        self.value = entry.value();
        self.value_length = entry.value_length;
        self.current = entry.offset;
    }

    /// Moves to the entry at `offset`: the one that follows the current entry, or 0 without a current entry.
    #[inline]
    fn step_to(&mut self, offset: u32) {
        if offset >= self.limit {
            self.key_length = 0;
        } else if let Err(bad) = self.try_step_to(offset) {
            self.fail(bad);
        }
    }

    #[inline]
    fn try_step_to(&mut self, offset: u32) -> BlockResult<()> {
        // SAFETY: the view is local, and nothing here releases the block.
        let block: Block<'_> = unsafe { self.block() };
        let entry = block.entry(offset)?;
        let suffix = block.suffix(&entry);
        if entry.shared > self.key_length {
            return bad("key shares more than there is", offset as usize);
        }
        let Some(key_length) = entry.shared.checked_add(entry.suffix_length) else {
            return bad("key too long", offset as usize);
        };
        if (key_length as usize) < TRAILER_SIZE {
            return bad("internal key shorter than 8 bytes", offset as usize);
        }
        if self.bytewise && !follows(self.key(), entry.shared as usize, suffix) {
            return bad("keys out of order", offset as usize);
        }
        self.extend_key(&entry);
        self.stand_on(&entry);
        check_type(self.key(), offset)
    }

    /// Makes the key of `entry` the current one. If it shares nothing, it stays in the block; else it is put
    /// together in the buffer: the bytes shared with the current key, then the suffix.
    #[inline(always)]
    fn extend_key(&mut self, entry: &Entry) {
        let (shared, suffix_length) = (entry.shared as usize, entry.suffix_length as usize);
        let source = self.bytes.wrapping_add(entry.suffix as usize);
        if shared == 0 {
            self.key = source;
            return;
        }
        let fits = suffix_length <= COPY
            && entry.suffix as usize + COPY <= self.length
            && shared + COPY <= self.key_buffer.capacity();
        let is_in_block = self.key != self.key_buffer.as_ptr();
        if !fits || is_in_block && shared > COPY {
            return self.extend_key_slowly(entry);
        }
        // SAFETY: COPY bytes of the block are read and COPY bytes of the buffer are written, all checked
        // above: a current key in the block lies before `entry`. The buffer is no part of the block. The
        // length set covers bytes that were there or are copied first (`shared` is at most the current key's
        // length), and bytes that are written.
        unsafe {
            let buffer = self.key_buffer.as_mut_ptr();
            if is_in_block {
                std::ptr::copy_nonoverlapping(self.key, buffer, COPY);
                self.key = buffer;
            }
            std::ptr::copy_nonoverlapping(source, buffer.add(shared), COPY);
            self.key_buffer.set_len(shared + suffix_length);
        }
    }

    #[inline(never)]
    fn extend_key_slowly(&mut self, entry: &Entry) {
        let (shared, suffix_length) = (entry.shared as usize, entry.suffix_length as usize);
        // SAFETY: the view is local, and nothing here releases the block.
        let suffix = unsafe { self.block() }.suffix(entry);
        if self.key == self.key_buffer.as_ptr() {
            self.key_buffer.truncate(shared);
        } else {
            self.key_buffer.clear();
            // SAFETY: the key lies in the block here (not in the buffer), and `shared` was checked against
            // its length.
            let prefix = unsafe { std::slice::from_raw_parts(self.key, shared) };
            self.key_buffer.extend_from_slice(prefix);
        }
        self.key_buffer.reserve(suffix_length.max(2 * COPY));
        self.key_buffer.extend_from_slice(suffix);
        self.key = self.key_buffer.as_ptr();
    }
}

/// Is the key that consists of the first `shared` bytes of `previous` and of `suffix` at or after `previous`,
/// in the bytewise order? Equal keys are accepted: LevelDB's repair may leave such tables. Without a previous
/// key the answer is yes.
#[inline]
fn follows(previous: &[u8], shared: usize, suffix: &[u8]) -> bool {
    let previous_user = user_key(previous);
    if suffix.len() > TRAILER_SIZE && shared < previous_user.len() && suffix[0] > previous[shared] {
        return true;
    }
    previous.is_empty() || follows_with_equal_bytes(previous, shared, suffix)
}

/// [`follows`], where the first byte that is not shared does not decide.
#[inline(never)]
fn follows_with_equal_bytes(previous: &[u8], shared: usize, suffix: &[u8]) -> bool {
    let previous_user = user_key(previous);
    let user_length = shared + suffix.len() - TRAILER_SIZE;
    if user_length >= shared && shared <= previous_user.len() {
        let (suffix_user, packed) = (user_key(suffix), trailer(suffix));
        let order = suffix_user.cmp(&previous_user[shared..]);
        return order.then_with(|| trailer(previous).cmp(&packed)).is_ge();
    }
    if user_length == previous_user.len() {
        // The user keys are equal, since the shared bytes reach into the trailer.
        let mut packed = [0; TRAILER_SIZE];
        let from_previous = shared - user_length;
        packed[..from_previous].copy_from_slice(&previous[user_length..shared]);
        packed[from_previous..].copy_from_slice(suffix);
        return u64::from_le_bytes(packed) <= trailer(previous);
    }
    let key = [&previous[..shared], suffix].concat();
    let order = user_key(&key).cmp(previous_user);
    order.then_with(|| trailer(previous).cmp(&trailer(&key))).is_ge()
}
