//! Moves over a block of internal keys that the iterator keeps alive; reused from block to block.
//!
//! The key it stands on is either in the block (an entry that shares nothing) or in `key_buffer`. Moving back needs the
//! entries between a restart point and the current one: their lengths are read once a run and kept in `run`, and a key
//! is put together from what it shares with the key just left and from the suffixes of the few entries before it.
//!
//! One thread at a time.

#![allow(unsafe_code)]

mod backward;

use super::scan::{MAX_ENTRY_HEADER, Outcome, Scan};
use super::{
    BadBlock, Block, BlockBuffer, BlockBytes, BlockResult, Entry, PartialBlock, WholeOrPart, bad, check_type,
    prefetch,
};
use crate::error::Result;
use crate::format::internal_key::{
    InternalKeyComparator, KeyPrefix, TRAILER_SIZE, ValueType, trailer, user_key,
};
use crate::table::footer::BlockHandle;
use crate::util::cache::CachedBlock;
use std::ptr::NonNull;
use std::sync::Arc;

/// What blocks may lie in: a table with its mapping.
pub trait BlockOwner: Send + Sync {
    /// The order of its entries.
    fn comparator(&self) -> &InternalKeyComparator;
    /// The stored form of a [`PartialBlock`], and some bytes that lie behind.
    fn stored(&self, handle: BlockHandle) -> &[u8];
}

/// A position in a block. The block's bytes lie in `T`, or in memory of their own.
pub struct BlockIterator<T> {
    /// The block, valid while `owner` and `loaded` are as they are.
    bytes: *const u8,
    length: usize,
    /// As in [`Block`]; 0 without a block.
    limit: u32,
    num_restarts: u32,
    /// Of a block that is decompressed in steps, the bytes that are there; `u32::MAX` if all are.
    available: u32,
    /// The current key: in the block, or in `key_buffer`.
    key: *const u8,
    /// 0: on no entry.
    key_length: u32,
    value: u32,
    value_length: u32,
    /// Where the current entry begins.
    current: u32,
    /// Quick steps go to entries that end before this: `limit`, or what is `available` of it; 0 unless `bytewise`.
    quick_limit: u32,
    /// Of the current key, if `has_prefix`.
    prefix: KeyPrefix,
    has_prefix: bool,
    /// Holds the current key if `key` points here.
    key_buffer: Vec<u8>,
    /// The entries from a restart point up to the current one; empty when not known.
    run: Vec<Entry>,
    bad: Option<BadBlock>,
    /// What owns the block's bytes, unless `owner` does.
    loaded: Loaded,
    /// Of the owner's comparator.
    bytewise: bool,
    owner: Arc<T>,
}

/// A block's memory.
enum Loaded {
    None,
    Shared(#[allow(dead_code)] CachedBlock),
    Own(#[allow(dead_code)] BlockBuffer),
    Part(PartialBlock),
    /// In `owner`, as it is stored: a block of one entry, which the iterator stands on. The length of its value.
    Alone(u32),
}

// SAFETY: the pointers lead into memory that `owner`, `loaded` and `key_buffer` own and that nobody writes to while
// others read it; all three may be moved to another thread (`T` is shared with others: hence Sync).
unsafe impl<T: Send + Sync> Send for BlockIterator<T> {}

/// Keys are copied in one piece of this size where the source has as much.
const COPY: usize = 32;

impl<T: BlockOwner> BlockIterator<T> {
    /// An iterator without a block, for blocks of `owner`.
    pub fn new(owner: Arc<T>) -> Self {
        BlockIterator {
            bytes: NonNull::dangling().as_ptr(),
            length: 0,
            limit: 0,
            num_restarts: 0,
            available: u32::MAX,
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

    /// What the blocks belong to.
    #[inline]
    pub fn owner(&self) -> &Arc<T> {
        &self.owner
    }

    /// Lets go of the block, and is for blocks of `owner` from now on.
    pub fn change_owner(&mut self, owner: Arc<T>) {
        self.close();
        self.bytewise = owner.comparator().is_bytewise();
        self.owner = owner;
    }

    /// Lets go of the block.
    pub fn close(&mut self) {
        self.clear_position();
        self.limit = 0;
        self.num_restarts = 0;
        self.available = u32::MAX;
        self.quick_limit = 0;
        self.bytes = NonNull::dangling().as_ptr();
        self.length = 0;
        self.loaded = Loaded::None;
    }

    /// Takes another block, which `load` finds in the owner or loads. The iterator stands on no entry then. A block that
    /// can't be parsed is an empty one with a [`BlockIterator::corruption`].
    pub fn open(&mut self, load: impl for<'a> FnOnce(&'a T) -> Result<WholeOrPart<'a>>) -> Result<()> {
        self.close();
        // Declared for any lifetime of the owner's borrow, `load` can only return bytes that live as long as the owner (or
        // for ever); the owner lies behind an `Arc` which this iterator keeps, unmoved and never lent out mutably.
        let bytes = match load(&self.owner)? {
            WholeOrPart::Whole(bytes) => bytes,
            WholeOrPart::Part(part) => {
                (self.limit, self.num_restarts) = (part.view().limit, part.view().num_restarts);
                (self.bytes, self.length) = (part.view().bytes.as_ptr(), part.view().bytes.len());
                self.available = part.available();
                self.quick_limit = if self.bytewise { self.limit.min(self.available) } else { 0 };
                self.loaded = Loaded::Part(part);
                return Ok(());
            }
        };
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

    /// Takes a block of a single entry as it is stored, and stands on that: `value` is the stored block, with its trailer. From here it
    /// can be moved forward, to the end, and nowhere else. `find` writes the internal key and returns the stored block and the
    /// length of the value; where it finds none, the iterator is without a block.
    pub fn open_alone(
        &mut self,
        find: impl for<'a> FnOnce(&'a T, &mut Vec<u8>) -> Option<(&'a [u8], u32)>,
    ) -> bool {
        self.close();
        // Its lifetime is that of the owner, as in `open`.
        let Some((stored, value_length)) = find(&self.owner, &mut self.key_buffer) else { return false };
        let Ok(stored_length) = u32::try_from(stored.len()) else { return false };
        (self.bytes, self.length) = (stored.as_ptr(), stored.len());
        // Nothing is available of the entries; moves that would look for one are told so. They are said to end with the first byte,
        // which the current one is beyond.
        (self.limit, self.available) = (1, 0);
        (self.key, self.key_length) = (self.key_buffer.as_ptr(), self.key_buffer.len() as u32);
        (self.value, self.value_length, self.current) = (0, stored_length, 0);
        self.has_prefix = false;
        self.loaded = Loaded::Alone(value_length);
        true
    }

    /// Of an entry that was taken as it is stored: the length of its value.
    #[inline]
    pub fn stored_value_length(&self) -> Option<u32> {
        match self.loaded {
            Loaded::Alone(value_length) => Some(value_length),
            _ => None,
        }
    }

    /// The block.
    ///
    /// # Safety
    /// The view must be dropped before the block is let go of: `close`, `open` and the drop of the iterator end it.
    #[inline]
    unsafe fn block<'b>(&self) -> Block<'b> {
        // SAFETY: `open` set both from a slice of the owner or of `loaded`, which still are what they were; nobody writes to
        // them. Without a block they are no bytes at a dangling address. The lifetime is the caller's duty.
        let bytes = unsafe { std::slice::from_raw_parts(self.bytes, self.length) };
        Block { bytes, limit: self.limit, num_restarts: self.num_restarts }
    }

    /// Does it stand on an entry?
    #[inline]
    pub fn valid(&self) -> bool {
        self.key_length != 0
    }

    /// The internal key it stands on, 8 bytes at least (empty while not valid).
    #[inline]
    pub fn key(&self) -> &[u8] {
        if !self.valid() {
            return &[];
        }
        // SAFETY: while `key_length` is not 0, `key` leads to that many bytes of the block or of `key_buffer`; both only
        // change under `&mut self`.
        unsafe { std::slice::from_raw_parts(self.key, self.key_length as usize) }
    }

    /// The value it stands on (empty while not valid).
    #[inline]
    pub fn value(&self) -> &[u8] {
        if !self.valid() {
            return &[];
        }
        // SAFETY: while valid, the value lies within the block's entries: `Block::entry` checked it.
        unsafe { std::slice::from_raw_parts(self.bytes.add(self.value as usize), self.value_length as usize) }
    }

    /// Key and value.
    #[inline(always)]
    pub fn entry(&self) -> (&[u8], &[u8]) {
        (self.key(), self.value())
    }

    /// What was found to contradict the format since the last seek; the iterator then is not valid.
    #[inline]
    pub fn corruption(&self) -> Option<BadBlock> {
        self.bad
    }

    /// Moves to the first entry.
    pub fn seek_to_first(&mut self) {
        self.clear_position();
        self.step_to(0);
    }

    /// Moves to the last entry.
    pub fn seek_to_last(&mut self) {
        self.clear_position();
        if let Err(bad) = self.provide(u32::MAX) {
            return self.fail(bad);
        }
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

    /// Moves to the next entry (only while valid).
    #[inline]
    pub fn next(&mut self) {
        self.run.clear();
        self.step_to(self.value + self.value_length);
    }

    /// Moves to the next entry (only while valid) if that lies in this block and its user key is plainly above the current
    /// one in the bytewise order; returns its trailer. Else, and where lengths are large, does not move. `with_prefix`: its prefix
    /// will be asked for.
    #[inline(always)]
    pub fn next_if_plain(&mut self, with_prefix: bool) -> Option<u64> {
        match self.step_if_plain(with_prefix) {
            None if self.available != u32::MAX => self.step_if_plain_once_decoded(with_prefix),
            stepped => stepped,
        }
    }

    /// `next_if_plain`, if all that it needs is there.
    #[inline(always)]
    fn step_if_plain(&mut self, with_prefix: bool) -> Option<u64> {
        const TRAILER: u32 = TRAILER_SIZE as u32;
        let offset = self.value + self.value_length;
        if offset >= self.quick_limit {
            return None;
        }
        // SAFETY: `offset` was just checked against `quick_limit`, which is at most `limit`, behind which the block has eight bytes
        // at least: a restart offset and their count.
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
        // Of an entry that is not decompressed as far as its lengths, these may be any; they end it behind what is there.
        if end > u64::from(self.quick_limit)
            || suffix_length <= TRAILER
            || shared + TRAILER >= self.key_length
        {
            return None;
        }
        let entry = Entry { offset, shared, suffix: suffix as u32, suffix_length, value_length };
        // SAFETY: the suffix has nine bytes at least and lies before `quick_limit`; what is shared is less than the current user
        // key.
        let (byte, previous, trailer) = unsafe {
            let start = self.bytes.add(suffix as usize);
            let trailer = start.add(suffix_length as usize - TRAILER_SIZE).cast::<u64>().read_unaligned();
            (*start, *self.key.add(shared as usize), u64::from_le(trailer))
        };
        // The first byte that is not shared mostly is above the one that was there: so the order is right, and this is another key.
        if trailer as u8 > ValueType::Value as u8 || byte <= previous && !self.is_plainly_above(&entry) {
            return None;
        }
        if with_prefix {
            // SAFETY: sixteen bytes from the suffix's start are within the block: nine, and eight behind `limit`.
            let start = unsafe { self.bytes.add(suffix as usize).cast::<[u8; 16]>().read() };
            self.prefix = self.key_prefix().replaced(shared, &start, suffix_length - TRAILER);
        }
        self.has_prefix = with_prefix;
        self.extend_key(&entry);
        self.run.clear();
        self.take_place(&entry);
        Some(trailer)
    }

    /// Decompresses the next entry of a block that is decompressed in steps, and steps there as `step_if_plain` does.
    #[inline(never)]
    fn step_if_plain_once_decoded(&mut self, with_prefix: bool) -> Option<u64> {
        let there = self.quick_limit;
        let offset = self.value + self.value_length;
        if !self.bytewise || self.provide_entry(offset).is_err() || self.quick_limit == there {
            return None;
        }
        self.step_if_plain(with_prefix)
    }

    /// Is the user key of `entry`, the next one, above the current key's? It has one byte at least behind what is shared, and that
    /// is less than the current user key.
    #[inline(never)]
    fn is_plainly_above(&self, entry: &Entry) -> bool {
        // SAFETY: the view is local, and nothing here lets go of the block.
        let suffix = unsafe { self.block() }.suffix(entry);
        user_key(suffix) > &user_key(self.key())[entry.shared as usize..]
    }

    /// The prefix of the key it stands on. It is kept aside: reading it from the buffer, right after the key was written there
    /// in pieces, would stall the processor.
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
        let (from, scanned) = if self.available == u32::MAX || !self.bytewise {
            self.provide(u32::MAX)?;
            // SAFETY: the view is local, and nothing here lets go of the block.
            let block = unsafe { self.block() };
            let from = block.seek_restart(target, self.owner.comparator())?;
            let bytewise = self.bytewise.then(|| Scan::from(from).run(&block, target, u32::MAX));
            (from, bytewise.transpose()?)
        } else {
            (0, Some(self.scan_in_steps(target)?))
        };
        // SAFETY: as above; steps are over.
        let block = unsafe { self.block() };
        if let Some(outcome) = scanned {
            match outcome {
                Outcome::Found { entry, .. } => {
                    let suffix = block.suffix(&entry);
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
                    self.stand_on(&entry);
                    return Ok(());
                }
                Outcome::End => return Ok(()),
                Outcome::Unclear | Outcome::Beyond(_) => {}
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

    /// Scans a block that is decompressed in steps, as far as it takes; all of it where the outcome is `Unclear`.
    fn scan_in_steps(&mut self, target: &[u8]) -> BlockResult<Outcome> {
        let mut scan = Scan::from(0);
        loop {
            // SAFETY: the view is dropped before the next step.
            let outcome = scan.run(&unsafe { self.block() }, target, self.available)?;
            match outcome {
                Outcome::Beyond(end) => self.provide(end)?,
                Outcome::Unclear => {
                    self.provide(u32::MAX)?;
                    return Ok(outcome);
                }
                _ => return Ok(outcome),
            }
        }
    }

    /// Decompresses at least so many bytes of the block, if it is one that is decompressed in steps.
    #[inline]
    fn provide(&mut self, end: u32) -> BlockResult<()> {
        if self.available >= end { Ok(()) } else { self.decode(end) }
    }

    #[inline(never)]
    fn decode(&mut self, end: u32) -> BlockResult<()> {
        let part = match &mut self.loaded {
            Loaded::Part(part) => part,
            Loaded::Alone(_) => return bad("an entry that is left as it is stored can only be passed", 0),
            _ => return Ok(()),
        };
        let result = part.decode(self.owner.stored(part.handle()), end);
        self.available = part.available();
        self.quick_limit = if self.bytewise { self.limit.min(self.available) } else { 0 };
        // The buffer stays where it is; but what was lent out before it was written to is not to be used any more.
        let bytes = part.view().bytes.as_ptr();
        if self.key_length != 0 && self.key != self.key_buffer.as_ptr() {
            self.key = bytes.wrapping_add(self.key.addr() - self.bytes.addr());
        }
        self.bytes = bytes;
        result
    }

    /// Decompresses what the entry at `offset` needs.
    #[inline(never)]
    fn provide_entry(&mut self, offset: u32) -> BlockResult<()> {
        self.provide(offset.saturating_add(MAX_ENTRY_HEADER))?;
        if offset >= self.limit {
            return Ok(());
        }
        // SAFETY: the view is local, and dropped before the next step.
        let end = unsafe { self.block() }.entry(offset)?.end();
        self.provide(end)
    }

    /// Takes the lengths from `entry`; `key` is set already.
    #[inline]
    fn stand_on(&mut self, entry: &Entry) {
        self.take_place(entry);
        self.has_prefix = false;
    }

    /// As [`Self::stand_on`], where what is known of the prefix is set already too.
    #[inline]
    fn take_place(&mut self, entry: &Entry) {
        self.key_length = entry.shared + entry.suffix_length;
        self.value = entry.value();
        self.value_length = entry.value_length;
        self.current = entry.offset;
    }

    /// Moves to the entry at `offset`, which is the one behind the current entry, or 0 with no current entry.
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
        if self.available != u32::MAX {
            self.provide_entry(offset)?;
        }
        // SAFETY: the view is local, and nothing here lets go of the block.
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

    /// Makes the key of `entry` the current one: what it shares with the current key, then its suffix, in the buffer; or as it is
    /// in the block, if it shares nothing.
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
        // SAFETY: COPY bytes of the block are read and COPY bytes of the buffer written, all checked above: a current key in the
        // block lies before `entry`. The buffer is no part of the block. The length set covers what was there or is copied first
        // (`shared` is at most the current key's length) and what was written.
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
        // SAFETY: the view is local, and nothing here lets go of the block.
        let suffix = unsafe { self.block() }.suffix(entry);
        if self.key == self.key_buffer.as_ptr() {
            self.key_buffer.truncate(shared);
        } else {
            self.key_buffer.clear();
            // SAFETY: the key lies in the block here (not in the buffer), and `shared` was checked against its length.
            let prefix = unsafe { std::slice::from_raw_parts(self.key, shared) };
            self.key_buffer.extend_from_slice(prefix);
        }
        self.key_buffer.reserve(suffix_length.max(2 * COPY));
        self.key_buffer.extend_from_slice(suffix);
        self.key = self.key_buffer.as_ptr();
    }
}

/// Is the key made of the first `shared` bytes of `previous` and `suffix` not before `previous`, in the bytewise order?
/// (Equal is fine: LevelDB's repair may leave such tables.) With no previous key it is.
#[inline]
fn follows(previous: &[u8], shared: usize, suffix: &[u8]) -> bool {
    let previous_user = user_key(previous);
    if suffix.len() > TRAILER_SIZE && shared < previous_user.len() && suffix[0] > previous[shared] {
        return true;
    }
    previous.is_empty() || follows_with_equal_bytes(previous, shared, suffix)
}

/// As [`follows`], where the first byte that is not shared does not tell.
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
        // The same user key, since the bytes shared reach into the trailer.
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
