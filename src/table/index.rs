//! The index of an open table: for each data block, a separator (a key at or after the block's last key and
//! before the next block's first) and the block's handle.
//!
//! Parsed once, when the table is opened, into flat arrays made for searching:
//!
//! ```text
//! common    the common prefix of the user keys of all separators but the last
//! prefixes  a u64 for each of those: the next 8 bytes of its user key, big-endian, padded with zeros; every
//!           16th once more
//! slots     16 bytes a block: offset u64, size u32, end of its key in `keys` u32
//! keys      the rest of each separator, concatenated: user key after `common`, 8 bytes of trailer
//! ```
//! A search compares the target with `common` once. Then it finds the target's next 8 bytes among `prefixes`,
//! where the order of the numbers is that of the keys. Whole keys are compared only if prefixes are equal.
//! The last separator is kept whole and compared last: often it is shortened to a single byte, so that it has
//! nothing in common with the others. Under another comparator than the bytewise one there are neither
//! `common` nor `prefixes`, and whole keys are compared.
//!
//! The order of the keys is not trusted: a search among unordered keys ends just as soon, somewhere. Handles
//! are checked to lie within the file, to ascend, and not to overlap, so that a scan reads no more bytes than
//! the file has.
//!
//! Shared between threads; nothing changes after `parse`.

use super::block::{BadBlock, Block, compare_bytewise};
use super::footer::{BLOCK_TRAILER_SIZE, BlockHandle};
use super::rocksdb_index::{BadEntry, IndexForm, RocksDbIndexEntries};
use crate::format::common_prefix::{CommonPrefix, Place, common_prefix_length, first_eight};
use crate::format::internal_key::{InternalKeyComparator, TRAILER_SIZE, user_key};
use std::cmp::Ordering;
use std::fmt;

/// The data blocks of a table, by ordinal (0 is the first block).
#[derive(Default)]
pub(super) struct Index {
    common: CommonPrefix,
    prefixes: Prefixes,
    slots: Box<[Slot]>,
    keys: Box<[u8]>,
}

/// Ascending numbers, and a copy of every 16th of them. A search goes through the copies, which are few
/// enough to stay in a cache near the processor, and then touches two lines of the rest. A binary search of
/// all would touch a line a step.
#[derive(Default)]
struct Prefixes {
    samples: Box<[u64]>,
    numbers: Box<[u64]>,
}

const SAMPLED: usize = 16;

impl Prefixes {
    fn new(numbers: Vec<u64>) -> Self {
        let samples = numbers.as_chunks::<SAMPLED>().0.iter().map(|group| group[SAMPLED - 1]).collect();
        Prefixes { samples, numbers: numbers.into() }
    }

    #[inline]
    fn len(&self) -> usize {
        self.numbers.len()
    }

    #[inline]
    fn get(&self, at: usize) -> Option<u64> {
        self.numbers.get(at).copied()
    }

    /// The place of the first number at or after `number`; `len()` if there is none. Among unordered numbers,
    /// any place.
    #[inline]
    fn find(&self, number: u64) -> usize {
        let start = self.samples.partition_point(|&sample| sample < number) * SAMPLED;
        let group = &self.numbers[start..self.numbers.len().min(start + SAMPLED)];
        start + group.partition_point(|&other| other < number)
    }
}

struct Slot {
    offset: u64,
    size: u32,
    key_end: u32,
}

/// Why an index block cannot be used. The number is the ordinal of the bad entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadIndex {
    Block(BadBlock),
    ShortKey(usize),
    Handle(usize),
    Order(usize),
    KeysTooLong,
}

impl fmt::Display for BadIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadIndex::Block(bad) => bad.fmt(f),
            BadIndex::ShortKey(ordinal) => write!(f, "index key {ordinal} is shorter than 8 bytes"),
            BadIndex::Handle(ordinal) => write!(f, "index entry {ordinal} has a bad block handle"),
            BadIndex::Order(ordinal) => write!(f, "index key {ordinal} is not after the one before"),
            BadIndex::KeysTooLong => f.write_str("index keys longer than the index accounts for"),
        }
    }
}

impl From<BadBlock> for BadIndex {
    fn from(bad: BadBlock) -> Self {
        BadIndex::Block(bad)
    }
}

impl From<BadEntry> for BadIndex {
    fn from(BadEntry(ordinal): BadEntry) -> Self {
        BadIndex::Handle(ordinal)
    }
}

/// Collects the entries of an index block.
struct Collector<'a> {
    comparator: &'a InternalKeyComparator,
    slots: Vec<Slot>,
    /// The separators, whole, concatenated.
    keys: Vec<u8>,
    max_key_bytes: usize,
    /// The length of the common prefix of all user keys so far but the last.
    common: usize,
    /// Where the next block may begin.
    free_from: u64,
}

impl Index {
    /// Parses an index block whose data blocks all end at or before `data_limit`. `check_order`: the keys
    /// must ascend (their order is not checked otherwise). If an entry is bad, the index has the entries
    /// before it.
    pub fn parse(
        contents: &[u8],
        form: IndexForm,
        comparator: &InternalKeyComparator,
        data_limit: u64,
        check_order: bool,
    ) -> (Index, Option<BadIndex>) {
        let mut collector = Collector {
            comparator,
            // Entries are hardly ever shorter.
            slots: Vec::with_capacity(contents.len() / 20),
            keys: Vec::with_capacity(contents.len()),
            // LevelDB and this code store index keys whole. A writer that shares prefixes gains little. Keys
            // that expand more than this are made to exhaust memory.
            max_key_bytes: contents.len().saturating_mul(16).saturating_add(1 << 20).min(u32::MAX as usize),
            common: usize::MAX,
            free_from: 0,
        };
        let bad = match form == IndexForm::default() {
            true => collector.collect(contents, data_limit, check_order),
            false => collector.collect_rocksdb(contents, form, data_limit, check_order),
        }
        .err();
        (collector.finish(), bad)
    }

    /// The number of data blocks.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Where block `ordinal` is; `ordinal` is less than `len()`.
    #[inline]
    pub fn handle(&self, ordinal: usize) -> BlockHandle {
        let slot = &self.slots[ordinal];
        BlockHandle { offset: slot.offset, size: u64::from(slot.size) }
    }

    /// The only block that can hold the first entry at or after `target`; `len()` if `target` is after all
    /// separators.
    #[inline]
    pub fn find(&self, comparator: &InternalKeyComparator, target: &[u8]) -> usize {
        self.find_of(comparator, user_key(target), || target)
    }

    /// As `find`, where the caller has the user key of `target`, and builds the internal key only if `target`
    /// is called.
    #[inline]
    pub fn find_of<'k>(
        &self,
        comparator: &InternalKeyComparator,
        user_key: &[u8],
        target: impl Fn() -> &'k [u8],
    ) -> usize {
        if !comparator.is_bytewise() {
            let target = target();
            return partition_point(0, self.len(), |at| comparator.compare(self.key(at), target).is_lt());
        }
        let at = self.find_bytewise(user_key, &target);
        let is_last = at == self.prefixes.len() && at < self.len();
        if is_last && compare_bytewise(self.key(at), target()).is_lt() { self.len() } else { at }
    }

    /// The first block, the last one excepted, whose separator is at or after `target`; the last block if
    /// there is none.
    #[inline]
    fn find_bytewise<'k>(&self, user_key: &[u8], target: &impl Fn() -> &'k [u8]) -> usize {
        let prefix = match self.common.place(user_key) {
            Place::Before => return 0,
            Place::After => return self.prefixes.len(),
            Place::Inside(prefix) => prefix,
        };
        let first = self.prefixes.find(prefix);
        if self.prefixes.get(first) != Some(prefix) {
            return first;
        }
        self.find_among_ties(first, prefix, target())
    }

    /// As `find_bytewise`, from the first block whose prefix equals the target's.
    #[inline(never)]
    fn find_among_ties(&self, first: usize, prefix: u64, target: &[u8]) -> usize {
        let mut last = first + 1;
        if self.prefixes.get(last) == Some(prefix) {
            let end = self.prefixes.len();
            last = partition_point(last, end, |at| self.prefixes.get(at) == Some(prefix));
        }
        let rest = &target[self.common.length()..];
        partition_point(first, last, |at| compare_bytewise(self.key(at), rest).is_lt())
    }

    /// Is the internal key before the separator of block `ordinal`?
    pub fn is_before_separator(
        &self,
        comparator: &InternalKeyComparator,
        ordinal: usize,
        key: &[u8],
    ) -> bool {
        self.compare_to_separator(comparator, ordinal, key).is_lt()
    }

    /// Is the internal key after the separator of block `ordinal`?
    pub fn is_behind_separator(
        &self,
        comparator: &InternalKeyComparator,
        ordinal: usize,
        key: &[u8],
    ) -> bool {
        self.compare_to_separator(comparator, ordinal, key).is_gt()
    }

    /// Compares the internal key with the separator of block `ordinal`.
    #[inline]
    fn compare_to_separator(
        &self,
        comparator: &InternalKeyComparator,
        ordinal: usize,
        key: &[u8],
    ) -> Ordering {
        let separator = self.key(ordinal);
        if !comparator.is_bytewise() {
            return comparator.compare(key, separator);
        }
        let common = if ordinal < self.prefixes.len() { self.common.bytes() } else { &[] };
        let user = user_key(key);
        match user.get(..common.len()) {
            Some(start) if start == common => compare_bytewise(&key[common.len()..], separator),
            // The user key does not begin with all the common bytes: it is shorter or differs.
            _ => user.cmp(common),
        }
    }

    /// The user key of the separator of block `ordinal`: at or after every user key of that block.
    pub fn separator(&self, ordinal: usize) -> Vec<u8> {
        let common = if ordinal < self.prefixes.len() { self.common.bytes() } else { &[] };
        [common, user_key(self.key(ordinal))].concat()
    }

    /// The memory that the index takes, in bytes.
    pub fn memory_usage(&self) -> usize {
        self.common.length()
            + (self.prefixes.len() + self.prefixes.samples.len()) * 8
            + size_of_val(&*self.slots)
            + self.keys.len()
    }

    /// The separator of a block, as stored here: without `common`, the last one whole.
    #[inline]
    fn key(&self, ordinal: usize) -> &[u8] {
        let start = if ordinal == 0 { 0 } else { self.slots[ordinal - 1].key_end as usize };
        &self.keys[start..self.slots[ordinal].key_end as usize]
    }
}

impl Collector<'_> {
    fn collect(&mut self, contents: &[u8], data_limit: u64, check_order: bool) -> Result<(), BadIndex> {
        let mut entries = Block::parse(contents)?.entries();
        while let Some((key, mut value)) = entries.next()? {
            let handle = BlockHandle::decode(&mut value).ok_or(BadIndex::Handle(self.slots.len()))?;
            self.add(key, handle, data_limit, check_order)?;
        }
        Ok(())
    }

    /// As `collect`, from a block in another form than LevelDB's.
    #[cold]
    fn collect_rocksdb(
        &mut self,
        contents: &[u8],
        form: IndexForm,
        data_limit: u64,
        check_order: bool,
    ) -> Result<(), BadIndex> {
        let mut entries = RocksDbIndexEntries::new(contents, form)?;
        while let Some((key, handle)) = entries.next()? {
            self.add(key, handle, data_limit, check_order)?;
        }
        Ok(())
    }

    #[inline]
    fn add(
        &mut self,
        key: &[u8],
        handle: BlockHandle,
        data_limit: u64,
        check_order: bool,
    ) -> Result<(), BadIndex> {
        let ordinal = self.slots.len();
        if key.len() < TRAILER_SIZE {
            return Err(BadIndex::ShortKey(ordinal));
        }
        let end = handle.end().filter(|&end| end <= data_limit).ok_or(BadIndex::Handle(ordinal))?;
        let size = u32::try_from(handle.size).map_err(|_| BadIndex::Handle(ordinal))?;
        if handle.offset < self.free_from {
            return Err(BadIndex::Handle(ordinal));
        }
        self.free_from = end;
        if check_order && ordinal > 0 && self.comparator.compare(key, self.last_key()).is_le() {
            return Err(BadIndex::Order(ordinal));
        }
        if self.keys.len() + key.len() > self.max_key_bytes {
            return Err(BadIndex::KeysTooLong);
        }
        // This runs one key late, because the last separator does not count.
        if ordinal > 0 {
            let last_user = user_key(self.last_key());
            self.common = common_prefix_length(last_user, &self.keys[..self.common.min(last_user.len())]);
        }
        self.keys.extend_from_slice(key);
        self.slots.push(Slot { offset: handle.offset, size, key_end: self.keys.len() as u32 });
        Ok(())
    }

    fn last_key(&self) -> &[u8] {
        let start = self.slots.len().checked_sub(2).map_or(0, |before| self.slots[before].key_end as usize);
        &self.keys[start..]
    }

    /// Removes `common` from the keys and computes the prefixes.
    fn finish(mut self) -> Index {
        if !self.comparator.is_bytewise() || self.slots.is_empty() {
            let (slots, keys) = (self.slots.into(), self.keys.into());
            return Index { slots, keys, ..Index::default() };
        }
        let last = self.slots.len() - 1;
        let common = if last == 0 { &[] } else { &self.keys[..self.common] };
        let common = CommonPrefix::new(common);
        let mut prefixes = Vec::with_capacity(last);
        let mut keys = Vec::with_capacity(self.keys.len() - last * common.length());
        let mut start = 0;
        for (ordinal, slot) in self.slots.iter_mut().enumerate() {
            let mut key = &self.keys[start..slot.key_end as usize];
            start = slot.key_end as usize;
            if ordinal < last {
                prefixes.push(first_eight(user_key(key), common.length()));
                key = &key[common.length()..];
            }
            keys.extend_from_slice(key);
            slot.key_end = keys.len() as u32;
        }
        Index { common, prefixes: Prefixes::new(prefixes), slots: self.slots.into(), keys: keys.into() }
    }
}

/// The first place in `first..last` for which `is_before` is false. The places for which it is true must come
/// first.
#[inline]
fn partition_point(mut first: usize, mut last: usize, mut is_before: impl FnMut(usize) -> bool) -> usize {
    while first < last {
        let middle = first + (last - first) / 2;
        if is_before(middle) { first = middle + 1 } else { last = middle }
    }
    first
}

const _: () = assert!(BLOCK_TRAILER_SIZE == 5 && size_of::<Slot>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found_as_by_a_binary_search() {
        for length in (0..70).chain([255, 256, 257, 271, 272, 273, 4095, 4096, 4097, 70_000]) {
            let numbers: Vec<u64> = (0..length).map(|i| i / 3 * 10 + 5).collect();
            let prefixes = Prefixes::new(numbers.clone());
            assert_eq!(prefixes.len(), numbers.len());
            let step = length as usize / 500 + 1;
            for number in (0..length / 3 * 10 + 20).step_by(step).chain([u64::MAX]) {
                let place = numbers.partition_point(|&other| other < number);
                assert_eq!(prefixes.find(number), place, "{number} among {length}");
                assert_eq!(prefixes.get(place), numbers.get(place).copied());
            }
        }
        let most = Prefixes::new(vec![u64::MAX; 32]);
        assert_eq!((most.find(u64::MAX), most.find(0)), (0, 0));
    }

    #[test]
    fn prefixes_in_no_order_are_found_somewhere() {
        for length in 0..600u64 {
            let prefixes =
                Prefixes::new((0..length).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect());
            for number in [0, 1, 1 << 63, u64::MAX, 12_345] {
                assert!(prefixes.find(number) <= length as usize);
            }
        }
    }
}
