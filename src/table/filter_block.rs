//! The filter block, in LevelDB's format: one filter for each 2 KiB of data-block offsets.
//!
//! ```text
//! | filter 0 | filter 1 | ... | offset of each filter u32 | offset of that array u32 | 11 u8 |
//! ```
//! Filter `i` covers the user keys of the data blocks that begin in `[i * 2048, (i + 1) * 2048)`.
//!
//! The reader trusts nothing: if the bytes contradict the format, every key may match.

use crate::filter_policy::FilterPolicy;
use crate::util::coding::{fixed32_at, put_fixed32};
use std::ops::Range;
use std::sync::Arc;

/// A filter covers 2^`BASE_LOG` bytes of data-block offsets.
const BASE_LOG: u8 = 11;

/// Collects the keys of one table, block by block.
pub struct FilterBlockBuilder {
    policy: Arc<dyn FilterPolicy>,
    /// The keys of the filter under construction, concatenated, and where each begins.
    keys: Vec<u8>,
    starts: Vec<usize>,
    /// The finished filters, and where each begins.
    contents: Vec<u8>,
    offsets: Vec<u32>,
}

impl FilterBlockBuilder {
    /// A builder for a table whose first block begins at offset 0.
    pub fn new(policy: Arc<dyn FilterPolicy>) -> Self {
        FilterBlockBuilder {
            policy,
            keys: Vec::new(),
            starts: Vec::new(),
            contents: Vec::new(),
            offsets: Vec::new(),
        }
    }

    /// The name of the block in the metaindex.
    pub fn name(&self) -> Vec<u8> {
        [b"filter.", self.policy.name().as_slice()].concat()
    }

    /// Begins the next data block, at `offset`.
    pub fn start_block(&mut self, offset: u64) {
        while (self.offsets.len() as u64) < offset >> BASE_LOG {
            self.finish_filter();
        }
    }

    /// Adds a user key of the current data block.
    #[inline]
    pub fn add_key(&mut self, user_key: &[u8]) {
        self.starts.push(self.keys.len());
        self.keys.extend_from_slice(user_key);
    }

    /// Bytes of the finished filters, their offsets and the trailer included.
    pub fn size_estimate(&self) -> usize {
        self.contents.len() + self.offsets.len() * 4 + 5
    }

    /// The whole block. `None` if it is longer than `limit` or 4 GiB: a table can do without.
    pub fn finish(mut self, limit: usize) -> Option<Vec<u8>> {
        if !self.starts.is_empty() {
            self.finish_filter();
        }
        // Offsets only grow: if the last one fits 32 bits, all do.
        if self.size_estimate() > limit.min(u32::MAX as usize) {
            return None;
        }
        let array = self.contents.len() as u32;
        for &offset in &self.offsets {
            put_fixed32(&mut self.contents, offset);
        }
        put_fixed32(&mut self.contents, array);
        self.contents.push(BASE_LOG);
        Some(self.contents)
    }

    fn finish_filter(&mut self) {
        self.offsets.push(self.contents.len() as u32);
        if self.starts.is_empty() {
            return;
        }
        let ends = self.starts.iter().skip(1).copied().chain([self.keys.len()]);
        let keys: Vec<&[u8]> =
            self.starts.iter().zip(ends).map(|(&start, end)| &self.keys[start..end]).collect();
        self.policy.create_filter(&keys, &mut self.contents);
        self.keys.clear();
        self.starts.clear();
    }
}

/// Where the filters are in a filter block.
#[derive(Clone, Copy, Debug)]
pub struct FilterBlockLayout {
    array: usize,
    count: usize,
    base_log: u8,
}

impl FilterBlockLayout {
    /// Parses the end of a filter block. `None` if it contradicts the format.
    pub fn parse(contents: &[u8]) -> Option<Self> {
        let array_end = contents.len().checked_sub(5)?;
        let array = fixed32_at(contents, array_end)? as usize;
        let count = array_end.checked_sub(array)? / 4;
        let base_log = *contents.last()?;
        (base_log < 64).then_some(FilterBlockLayout { array, count, base_log })
    }

    /// The filter of the data block that begins at `block_offset`. `None` if there is no usable one. An empty
    /// filter is not usable: a data block has keys, and an empty filter would hide them.
    #[inline]
    pub fn filter(&self, contents: &[u8], block_offset: u64) -> Option<Range<usize>> {
        let index =
            usize::try_from(block_offset >> self.base_log).ok().filter(|&index| index < self.count)?;
        let entry = self.array + index * 4;
        // The offset of the array follows the last filter's offset, and so is the end of the last filter.
        let (start, end) = (fixed32_at(contents, entry)? as usize, fixed32_at(contents, entry + 4)? as usize);
        (start < end && end <= self.array).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter_policy::BloomFilterPolicy;
    use crate::util::hash::hash32 as hash;

    /// A policy whose filter is the list of the keys' hashes.
    struct HashList;

    impl FilterPolicy for HashList {
        fn name(&self) -> Vec<u8> {
            b"HashList".to_vec()
        }
        fn create_filter(&self, keys: &[&[u8]], dst: &mut Vec<u8>) {
            for key in keys {
                put_fixed32(dst, hash(key, 1));
            }
        }
        fn key_may_match(&self, key: &[u8], filter: &[u8]) -> bool {
            filter.chunks(4).any(|chunk| chunk == hash(key, 1).to_le_bytes())
        }
    }

    fn may_match(contents: &[u8], offset: u64, key: &str) -> bool {
        match FilterBlockLayout::parse(contents).and_then(|layout| layout.filter(contents, offset)) {
            Some(range) => HashList.key_may_match(key.as_bytes(), &contents[range]),
            None => true,
        }
    }

    #[test]
    fn an_empty_block_matches_everything() {
        let contents = FilterBlockBuilder::new(Arc::new(HashList)).finish(u32::MAX as usize).unwrap();
        assert_eq!(contents, b"\0\0\0\0\x0b");
        assert!(may_match(&contents, 0, "foo"));
        assert!(may_match(&contents, 100_000, "foo"));
    }

    #[test]
    fn blocks_of_the_same_two_kibibytes_share_a_filter() {
        let mut builder = FilterBlockBuilder::new(Arc::new(HashList));
        builder.start_block(100);
        for key in ["foo", "bar", "box"] {
            builder.add_key(key.as_bytes());
        }
        builder.start_block(200);
        builder.add_key(b"box");
        builder.start_block(300);
        builder.add_key(b"hello");
        let contents = builder.finish(u32::MAX as usize).unwrap();
        for key in ["foo", "bar", "box", "hello"] {
            assert!(may_match(&contents, 100, key));
        }
        assert!(!may_match(&contents, 100, "missing"));
        assert!(!may_match(&contents, 100, "other"));
    }

    #[test]
    fn blocks_further_apart_have_filters_of_their_own() {
        let mut builder = FilterBlockBuilder::new(Arc::new(HashList));
        for (offset, keys) in
            [(0, &["foo"][..]), (2000, &["bar"]), (3100, &["box"]), (9000, &["box", "hello"])]
        {
            builder.start_block(offset);
            keys.iter().for_each(|key| builder.add_key(key.as_bytes()));
        }
        let contents = builder.finish(u32::MAX as usize).unwrap();
        for (offset, matching) in [(0, &["foo", "bar"][..]), (3100, &["box"]), (9000, &["box", "hello"])] {
            for key in ["foo", "bar", "box", "hello"] {
                assert_eq!(may_match(&contents, offset, key), matching.contains(&key), "{key} at {offset}");
            }
        }
    }

    #[test]
    fn an_empty_filter_hides_nothing() {
        let mut builder = FilterBlockBuilder::new(Arc::new(BloomFilterPolicy::new(10)));
        builder.add_key(b"foo");
        builder.start_block(5000);
        builder.add_key(b"bar");
        let mut contents = builder.finish(u32::MAX as usize).unwrap();
        let layout = FilterBlockLayout::parse(&contents).unwrap();
        assert_eq!((layout.filter(&contents, 0), layout.filter(&contents, 2048)), (Some(0..9), None));
        // The array begins where the second filter ends; the first filter is made to end at 0.
        contents[18 + 4..18 + 8].fill(0);
        assert_eq!(layout.filter(&contents, 0), None);
    }

    #[test]
    fn filters_that_are_too_long_for_their_offsets_are_left_out() {
        let build = |limit| {
            let mut builder = FilterBlockBuilder::new(Arc::new(BloomFilterPolicy::new(10)));
            for block in 0..10 {
                builder.start_block(block * 2048);
                builder.add_key(b"foo");
            }
            let size = builder.size_estimate();
            (builder.finish(limit), size)
        };
        let whole = build(u32::MAX as usize).0.expect("a filter block").len();
        assert_eq!(whole, 10 * 9 + 10 * 4 + 5);
        assert_eq!(build(whole).0.map(|contents| contents.len()), Some(whole));
        assert_eq!(build(whole - 1), (None, whole - 9 - 4));
    }

    #[test]
    fn damaged_blocks_match_or_say_no_but_never_panic() {
        let mut builder = FilterBlockBuilder::new(Arc::new(BloomFilterPolicy::new(10)));
        builder.start_block(0);
        builder.add_key(b"foo");
        builder.start_block(5000);
        builder.add_key(b"bar");
        let contents = builder.finish(u32::MAX as usize).unwrap();
        for length in 0..contents.len() {
            may_match(&contents[..length], 5000, "bar");
        }
        for at in 0..contents.len() {
            for byte in [0, 0x7f, 0xff] {
                let mut damaged = contents.clone();
                damaged[at] = byte;
                for offset in [0, 2048, 5000, u64::MAX] {
                    may_match(&damaged, offset, "bar");
                }
            }
        }
        let mut beyond = contents.clone();
        let array = contents.len() - 5 - 12;
        beyond[array + 4..array + 8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(may_match(&beyond, 0, "missing"), "an offset beyond the filters");
        assert!(may_match(&[&contents[..contents.len() - 1], &[64]].concat(), 0, "missing"));
    }
}
