//! Reads a block: its entries, and where a key is. The bytes come from a file and are not trusted.
//!
//! ```text
//! entry    | shared varint32 | unshared varint32 | value length varint32 | key suffix | value |
//! block    | entry ... | restart offset u32 ... | number of restarts u32 |
//! ```
//!
//! A [`Block`] is a borrowed view, made anew (three loads) for every look-up. In the bytewise order, look-ups
//! do not build the keys that they pass: see `prefix_scan`. `BlockIterator` moves over a block that it
//! keeps alive, [`LazyBlockIterator`] also over one that is decompressed meanwhile (`lazy_block`).
//!
//! Every offset and length that comes from the bytes is checked before it is used. A contradiction to the
//! format is a [`BadBlock`], which the table turns into a Corruption with the file and the block's offset.
//! Keys that are out of order cause wrong answers or a `BadBlock`, and no more work than the block has
//! entries.

#![allow(unsafe_code)]

mod buffer;
mod iterator;
mod lazy_block;
mod lookup_index;
mod prefix_scan;
mod single_entry;

#[cfg(test)]
mod tests;

pub use buffer::BlockBuffer;
pub use iterator::{BlockOwner, LazyBlockIterator, LazyBlockOwner};
pub use lazy_block::{LazyBlock, WholeOrPart};
pub use lookup_index::{LookupTarget, MAX_INDEXED_BLOCK, get_by_lookup_index, lookup_index_of};
pub use single_entry::{single_entry_value, single_entry_value_length};

use crate::error::{Error, Result};
use crate::format::internal_key::{
    InternalKeyComparator, TRAILER_SIZE, ValueType, rocksdb_feature, trailer, user_key,
};
use crate::util::cache::CachedBlock;
use crate::util::coding::{fixed32_at, get_varint32};
use prefix_scan::{Outcome, Scan};
use std::cmp::Ordering;
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::sync::Arc;

/// A contradiction to the format in a block, and the byte of the block where it was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadBlock {
    pub(super) what: &'static str,
    pub(super) at: usize,
}

impl fmt::Display for BadBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad block: {} at its byte {}", self.what, self.at)
    }
}

/// The result of reading in a block.
pub type BlockResult<T> = std::result::Result<T, BadBlock>;

#[cold]
fn bad<T>(what: &'static str, at: usize) -> BlockResult<T> {
    Err(BadBlock { what, at })
}

/// The bytes of a block: in place in a mapping, or in memory of their own, which the block cache may share.
pub enum BlockBytes<'a> {
    /// In the mapping of the table's file; uncompressed there.
    InPlace(&'a [u8]),
    /// Read into memory, and decompressed if the stored form is compressed. May be shared with the block
    /// cache.
    Loaded(CachedBlock),
    /// As `Loaded`, but for one reader only, in a buffer that returns to a pool.
    Own(BlockBuffer),
}

impl Deref for BlockBytes<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            BlockBytes::InPlace(bytes) => bytes,
            BlockBytes::Loaded(bytes) => bytes.block(),
            BlockBytes::Own(buffer) => buffer,
        }
    }
}

/// Prefetches the first 4 KiB of `bytes`. They are read next, in order, but the reader would wait for each
/// line of memory.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes[..bytes.len().min(4 << 10)].chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect that a program could observe, and the address is that of a byte of
        // a slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// A block with at most this many restart points has all their keys prefetched before the binary search.
const PREFETCHED_RESTARTS: u32 = 8;

/// The limit of the prefetch of the entries that follow a restart point and are scanned next, in bytes.
const MAX_PREFETCHED_RUN: u32 = 2 << 10;

/// Makes a block's memory of `length` bytes, which `fill` writes and returns whole. The length comes from a
/// file: if memory is short, that is an error, not an abort.
pub fn load_bytes(
    length: usize,
    fill: impl for<'b> FnOnce(&'b mut [MaybeUninit<u8>]) -> Result<&'b mut [u8]>,
) -> Result<Arc<[u8]>> {
    const PROBE_FROM: usize = 1 << 20;
    const CLEARED_BELOW: usize = 64 << 10;
    if length >= PROBE_FROM && Vec::<u8>::new().try_reserve_exact(length).is_err() {
        return Err(Error::io(format!("no memory for a block of {length} bytes")));
    }
    let mut bytes = Arc::<[u8]>::new_uninit_slice(length);
    let slots = Arc::get_mut(&mut bytes).expect("a new reference count");
    if length < CLEARED_BELOW {
        // Clearing brings the memory into the processor's cache faster than the writes that follow would.
        slots.fill(MaybeUninit::new(0));
    }
    let start = slots.as_ptr().cast::<u8>();
    let filled = fill(slots)?;
    assert!(filled.as_ptr() == start && filled.len() == length);
    // SAFETY: `fill` returned `length` initialized bytes from `start` on, as was just checked.
    Ok(unsafe { bytes.assume_init() })
}

/// Copies `bytes` to `slots`, which must be as many, and returns these as bytes.
pub fn filled_with<'b>(slots: &'b mut [MaybeUninit<u8>], bytes: &[u8]) -> &'b mut [u8] {
    assert_eq!(slots.len(), bytes.len());
    // SAFETY: the slots are lent out mutably, so they do not overlap the bytes; both have the same length.
    // After the copy all slots are initialized.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), slots.as_mut_ptr().cast::<u8>(), bytes.len());
        &mut *(std::ptr::from_mut(slots) as *mut [u8])
    }
}

/// The lengths and places of an entry in its block. All lie before the block's `limit`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Where the entry begins in the block.
    offset: u32,
    /// How many bytes of the key are those of the previous entry's key.
    shared: u32,
    /// Where the other bytes of the key are, and how many.
    suffix: u32,
    suffix_length: u32,
    value_length: u32,
}

impl Entry {
    #[inline]
    fn value(&self) -> u32 {
        self.suffix + self.suffix_length
    }

    /// Where the next entry begins.
    #[inline]
    fn end(&self) -> u32 {
        self.value() + self.value_length
    }
}

/// A borrowed view of a block's bytes.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    bytes: &'a [u8],
    /// The offset where the entries end and the restart offsets begin. At least 4 bytes follow it, unless it
    /// is 0.
    limit: u32,
    num_restarts: u32,
}

impl<'a> Block<'a> {
    /// Checks the restart count. A block that claims no restart point is empty.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> BlockResult<Self> {
        let Some((entries_and_restarts, count)) = bytes.split_last_chunk::<4>() else {
            return bad("too short", 0);
        };
        if bytes.len() > u32::MAX as usize {
            return bad("longer than 4 GiB", 0);
        }
        let num_restarts = u32::from_le_bytes(*count);
        if num_restarts == 0 {
            return Ok(Block { bytes, limit: 0, num_restarts });
        }
        if num_restarts as usize > entries_and_restarts.len() / 4 {
            return bad("restart count too high", entries_and_restarts.len());
        }
        let limit = (entries_and_restarts.len() - num_restarts as usize * 4) as u32;
        let block = Block { bytes, limit, num_restarts };
        if block.restart(0) != 0 { bad("first restart point not 0", limit as usize) } else { Ok(block) }
    }

    /// The offset in restart slot `index < num_restarts`. It is not checked against the entries.
    #[inline]
    fn restart(&self, index: u32) -> u32 {
        fixed32_at(self.bytes, self.limit as usize + index as usize * 4).unwrap_or(u32::MAX)
    }

    #[inline]
    fn slice(&self, start: u32, length: u32) -> &'a [u8] {
        &self.bytes[start as usize..start as usize + length as usize]
    }

    #[inline]
    fn suffix(&self, entry: &Entry) -> &'a [u8] {
        self.slice(entry.suffix, entry.suffix_length)
    }

    /// Decodes the lengths of the entry at `offset`.
    #[inline]
    fn entry(&self, offset: u32) -> BlockResult<Entry> {
        if offset >= self.limit {
            return bad("entry outside", offset as usize);
        }
        // SAFETY: `offset` was just checked against `limit`, and at least four bytes of the block follow
        // `limit`.
        let word = unsafe { self.bytes.as_ptr().add(offset as usize).cast::<u32>().read_unaligned() };
        let word = u32::from_le(word);
        if word & 0x0080_8080 != 0 {
            return self.entry_with_long_lengths(offset);
        }
        let (shared, suffix_length, value_length) = (word & 0x7f, word >> 8 & 0x7f, word >> 16 & 0x7f);
        let entry = Entry { offset, shared, suffix: offset.wrapping_add(3), suffix_length, value_length };
        // The lengths are small, so the sum can only wrap when the limit is within 300 bytes of 4 GiB.
        if u64::from(offset) + 3 + u64::from(suffix_length + value_length) > u64::from(self.limit) {
            return bad("entry too long", offset as usize);
        }
        Ok(entry)
    }

    #[inline(never)]
    fn entry_with_long_lengths(&self, offset: u32) -> BlockResult<Entry> {
        let mut rest = &self.bytes[offset as usize..self.limit as usize];
        let before = rest.len();
        let mut length = || get_varint32(&mut rest);
        let (Some(shared), Some(suffix_length), Some(value_length)) = (length(), length(), length()) else {
            return bad("entry without lengths", offset as usize);
        };
        if u64::from(suffix_length) + u64::from(value_length) > rest.len() as u64 {
            return bad("entry too long", offset as usize);
        }
        let suffix = offset + (before - rest.len()) as u32;
        Ok(Entry { offset, shared, suffix, suffix_length, value_length })
    }

    /// The whole internal key at the restart point `offset`.
    #[inline]
    fn restart_key(&self, offset: u32) -> BlockResult<&'a [u8]> {
        let entry = self.entry(offset)?;
        if entry.shared != 0 || (entry.suffix_length as usize) < TRAILER_SIZE {
            return bad("bad key at restart point", offset as usize);
        }
        Ok(self.suffix(&entry))
    }

    /// Prefetches `length` bytes at `offset`.
    #[inline]
    fn prefetch(&self, offset: u32, length: u32) {
        let start = (offset as usize).min(self.bytes.len());
        let end = (start + length as usize).min(self.bytes.len());
        prefetch(&self.bytes[start..end]);
    }

    /// Binary search for the last restart point whose key is before `target`, or the first restart point if
    /// there is none.
    #[inline]
    fn seek_restart(&self, target: &[u8], comparator: &InternalKeyComparator) -> BlockResult<u32> {
        let (mut left, mut right) = (0, self.num_restarts.saturating_sub(1));
        let (mut left_offset, mut right_offset) = (0, self.limit);
        if right < PREFETCHED_RESTARTS {
            // Whatever half the search takes, the keys that it compares are on their way from memory.
            (1..=right).for_each(|index| self.prefetch(self.restart(index), 1));
        }
        while left < right {
            let middle = left + (right - left).div_ceil(2);
            let offset = self.restart(middle);
            if offset < left_offset || offset > right_offset {
                return bad("restart points not ascending", self.limit as usize + middle as usize * 4);
            }
            let key = self.restart_key(offset)?;
            let order = if comparator.is_bytewise() {
                compare_bytewise(key, target)
            } else {
                comparator.compare(key, target)
            };
            if order.is_lt() {
                (left, left_offset) = (middle, offset);
            } else {
                (right, right_offset) = (middle - 1, offset);
            }
        }
        self.prefetch(left_offset, right_offset.saturating_sub(left_offset).min(MAX_PREFETCHED_RUN));
        Ok(left_offset)
    }

    /// Scans from the restart point `from` for the first entry at or after `target`. Builds every key in
    /// `key`, and leaves the key of the entry found there.
    fn find_by_comparator(
        &self,
        from: u32,
        target: &[u8],
        comparator: &InternalKeyComparator,
        key: &mut Vec<u8>,
    ) -> BlockResult<Option<Entry>> {
        key.clear();
        let mut offset = from;
        while offset < self.limit {
            let entry = self.entry(offset)?;
            if entry.shared as usize > key.len() {
                return bad("key shares more than there is", offset as usize);
            }
            key.truncate(entry.shared as usize);
            key.extend_from_slice(self.suffix(&entry));
            if key.len() < TRAILER_SIZE {
                return bad("internal key shorter than 8 bytes", offset as usize);
            }
            if comparator.compare(key, target).is_ge() {
                return Ok(Some(entry));
            }
            offset = entry.end();
        }
        Ok(None)
    }

    /// Finds the first entry at or after `target`. If its user key is the target's, hands its key and value
    /// to `found`.
    #[inline]
    pub fn get<R>(
        &self,
        comparator: &InternalKeyComparator,
        target: &[u8],
        found: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> BlockResult<Option<R>> {
        let from = self.seek_restart(target, comparator)?;
        if comparator.is_bytewise() {
            match Scan::from(from).run(self, target)? {
                Outcome::Found { same_user_key: false, .. } | Outcome::End => return Ok(None),
                Outcome::Found { entry, .. } => return self.hand_over(target, &entry, found).map(Some),
                Outcome::Unclear => {}
            }
        }
        let mut key = Vec::with_capacity(target.len() + 64);
        match self.find_by_comparator(from, target, comparator, &mut key)? {
            Some(entry)
                if comparator.compare_user_keys(user_key(&key), user_key(target)) == Ordering::Equal =>
            {
                check_type(&key, entry.offset)?;
                Ok(Some(found(&key, self.slice(entry.value(), entry.value_length))))
            }
            _ => Ok(None),
        }
    }

    /// Hands key and value of `entry` to `found`. The bytes that `entry` shares are the first bytes of
    /// `target`.
    #[inline]
    fn hand_over<R>(
        &self,
        target: &[u8],
        entry: &Entry,
        found: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> BlockResult<R> {
        let suffix = self.suffix(entry);
        check_type(suffix, entry.offset)?;
        let value = self.slice(entry.value(), entry.value_length);
        Ok(with_joined(&target[..entry.shared as usize], suffix, |key| found(key, value)))
    }

    /// Walks over all entries, first to last. Keys may be of any kind: for meta blocks, and for parsing an
    /// index.
    pub fn entries(&self) -> Entries<'a> {
        Entries { block: *self, offset: 0, whole: None, key: Vec::new() }
    }
}

/// Compares two internal keys over the bytewise order, eight bytes at a time.
#[inline]
pub(super) fn compare_bytewise(a: &[u8], b: &[u8]) -> Ordering {
    let (a_length, b_length) = (user_key(a).len(), user_key(b).len());
    let shorter = a_length.min(b_length);
    let mut at = 0;
    while at < shorter {
        // Trailers follow the user keys, so eight bytes can always be read.
        let (Some(x), Some(y)) = (a[at..].first_chunk::<8>(), b[at..].first_chunk::<8>()) else { break };
        let (x, y) = (u64::from_be_bytes(*x), u64::from_be_bytes(*y));
        if x != y {
            if at + ((x ^ y).leading_zeros() as usize / 8) < shorter {
                return x.cmp(&y);
            }
            break;
        }
        at += 8;
    }
    a_length.cmp(&b_length).then_with(|| trailer(b).cmp(&trailer(a)))
}

/// Refuses an internal key (or its last 8 bytes or more) whose value type is unknown.
#[inline]
fn check_type(key: &[u8], offset: u32) -> BlockResult<()> {
    match ValueType::from_u8(trailer(key) as u8) {
        Some(_) => Ok(()),
        None => bad(rocksdb_feature(trailer(key) as u8).unwrap_or("entry of unknown type"), offset as usize),
    }
}

/// Runs `body` on the concatenation of `a` and `b`. Does not allocate if that is short.
#[inline]
fn with_joined<R>(a: &[u8], b: &[u8], body: impl FnOnce(&[u8]) -> R) -> R {
    if a.is_empty() {
        return body(b);
    }
    let mut short = [0; 128];
    let length = a.len() + b.len();
    if length <= short.len() {
        short[..a.len()].copy_from_slice(a);
        short[a.len()..length].copy_from_slice(b);
        body(&short[..length])
    } else {
        body(&[a, b].concat())
    }
}

/// A walk over the entries of a block, made by [`Block::entries`].
pub struct Entries<'a> {
    block: Block<'a>,
    offset: u32,
    /// The last key, if it is stored whole.
    whole: Option<&'a [u8]>,
    /// The last key, built here, if it is not stored whole.
    key: Vec<u8>,
}

impl<'a> Entries<'a> {
    /// The key and value of the next entry; `None` after the last one.
    #[allow(clippy::should_implement_trait)] // the key is lent
    pub fn next(&mut self) -> BlockResult<Option<(&[u8], &'a [u8])>> {
        if self.offset >= self.block.limit {
            return Ok(None);
        }
        let entry = self.block.entry(self.offset)?;
        let (shared, suffix) = (entry.shared as usize, self.block.suffix(&entry));
        let value = self.block.slice(entry.value(), entry.value_length);
        if shared == 0 {
            self.offset = entry.end();
            self.whole = Some(suffix);
            return Ok(Some((suffix, value)));
        }
        if let Some(whole) = self.whole.take() {
            self.key.clear();
            self.key.extend_from_slice(whole);
        }
        if shared > self.key.len() {
            return bad("key shares more than there is", self.offset as usize);
        }
        self.offset = entry.end();
        self.key.truncate(shared);
        self.key.extend_from_slice(suffix);
        Ok(Some((&self.key, value)))
    }
}
