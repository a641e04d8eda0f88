//! The whole-table filter: which user keys a table may have. A probe touches one cache line.
//!
//! It is the meta block `terrace.filter`, which LevelDB and RocksDB ignore; never compressed:
//!
//! ```text
//! | padding u8 0..64, zeros | line, 64 bytes, for each 51 keys | number of lines u32 | version u8 = 1 |
//! ```
//! The padding puts the lines at multiples of 64 in the file, and so on cache lines of a mapping of it. It is
//! a blocked Bloom filter: the 64-bit hash `h` of a key names one line (its upper half, scaled to the number
//! of lines) and 6 bits there (the six highest groups of 9 bits of `h * MIX`; bit `b` is bit `b mod 8` of
//! byte `b / 8`). With 10 bits per key, 0.95 percent of the keys that the table lacks pass.
//!
//! Equal keys must be equal bytes, so only tables in the bytewise order have this filter. The reader trusts
//! nothing: a block that contradicts the format is no filter. A builder is used by one thread; everything
//! else is shared between threads.

use crate::util::coding::{fixed32_at, put_fixed32};
use crate::util::hash::hash64;
use std::ops::Range;

/// The name of the meta block.
pub const WHOLE_TABLE_FILTER_BLOCK: &[u8] = b"terrace.filter";

const VERSION: u8 = 1;
const LINE_SIZE: usize = 64;
/// The bytes that follow the lines: number of lines and version.
const TAIL_SIZE: usize = 5;
/// Bits of the filter for each key.
pub const BITS_PER_KEY: usize = 10;
/// A prime near 2^64 divided by the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c55;
const SEED: u64 = 0;

/// The hash of a user key for whole-table filters. Computed once for all tables of a look-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyHash(u64);

impl KeyHash {
    /// Hashes a user key.
    #[inline]
    pub fn of(user_key: &[u8]) -> Self {
        KeyHash(hash64(user_key, SEED))
    }

    /// The line of this hash, of `lines` lines (fewer than 2^32).
    #[inline]
    fn line(self, lines: usize) -> usize {
        (((self.0 >> 32) * lines as u64) >> 32) as usize
    }

    /// The bits of this hash in its line.
    #[inline]
    fn bits(self) -> [usize; 6] {
        let mixed = self.0.wrapping_mul(MIX);
        std::array::from_fn(|probe| (mixed >> (55 - 9 * probe)) as usize & 0x1ff)
    }
}

/// Collects the keys of one table.
#[derive(Default)]
pub struct WholeTableFilterBuilder {
    hashes: Vec<u64>,
}

impl WholeTableFilterBuilder {
    /// Adds a user key. The versions of one key must follow each other; they count once.
    #[inline]
    pub fn add_key(&mut self, user_key: &[u8]) {
        let KeyHash(hash) = KeyHash::of(user_key);
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
        }
    }

    /// The whole block, to be written at `offset`. `None` if there are no keys, or too many.
    pub fn finish(self, offset: u64) -> Option<Vec<u8>> {
        let lines = (self.hashes.len() as u64 * BITS_PER_KEY as u64).div_ceil(LINE_SIZE as u64 * 8);
        let lines = u32::try_from(lines).ok().filter(|&lines| lines > 0)? as usize;
        let mut contents = block_at(offset, &vec![0; lines * LINE_SIZE]);
        let places = self::lines(&contents)?;
        let (places, _) = contents[places].as_chunks_mut::<LINE_SIZE>();
        for hash in self.hashes.into_iter().map(KeyHash) {
            let line = &mut places[hash.line(lines)];
            for bit in hash.bits() {
                line[bit / 8] |= 1 << (bit % 8);
            }
        }
        Some(contents)
    }
}

/// The block with these lines, to be written at `offset`.
pub fn block_at(offset: u64, lines: &[u8]) -> Vec<u8> {
    let padding = (offset.next_multiple_of(LINE_SIZE as u64) - offset) as usize;
    let mut contents = Vec::with_capacity(padding + lines.len() + TAIL_SIZE);
    contents.resize(padding, 0);
    contents.extend_from_slice(lines);
    put_fixed32(&mut contents, (lines.len() / LINE_SIZE) as u32);
    contents.push(VERSION);
    contents
}

/// Where the lines are in a filter block. `None` if it contradicts the format.
pub fn lines(contents: &[u8]) -> Option<Range<usize>> {
    let end = contents.len().checked_sub(TAIL_SIZE)?;
    let lines = fixed32_at(contents, end)? as usize;
    let start = end.checked_sub(lines.checked_mul(LINE_SIZE)?)?;
    (contents.last() == Some(&VERSION) && lines > 0 && start < LINE_SIZE).then_some(start..end)
}

/// May the key with this hash be among the filter's keys?
#[inline]
pub fn may_match(lines: &[u8], hash: KeyHash) -> bool {
    let (lines, _) = lines.as_chunks::<LINE_SIZE>();
    lines.get(hash.line(lines.len())).is_none_or(|line| line_may_match(line, hash))
}

/// Are all bits of the hash set? One branch for all: they are in one cache line.
#[inline]
fn line_may_match(line: &[u8; LINE_SIZE], hash: KeyHash) -> bool {
    let (words, _) = line.as_chunks::<8>();
    hash.bits().into_iter().fold(1, |all, bit| all & u64::from_le_bytes(words[bit / 64]) >> (bit % 64)) & 1
        != 0
}

/// Lines that were read into memory, aligned to cache lines.
pub struct LoadedLines(Box<[Line]>);

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u8; LINE_SIZE]);

impl LoadedLines {
    /// Copies these lines.
    pub fn copy_of(lines: &[u8]) -> Self {
        LoadedLines(lines.as_chunks::<LINE_SIZE>().0.iter().map(|line| Line(*line)).collect())
    }

    /// As the function [`may_match`], for these lines.
    #[inline]
    pub fn may_match(&self, hash: KeyHash) -> bool {
        self.0.get(hash.line(self.0.len())).is_none_or(|line| line_may_match(&line.0, hash))
    }

    /// The memory that the lines take, in bytes.
    pub fn memory_usage(&self) -> usize {
        size_of_val(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_of(keys: impl Iterator<Item = String>, offset: u64) -> Vec<u8> {
        let mut builder = WholeTableFilterBuilder::default();
        keys.for_each(|key| builder.add_key(key.as_bytes()));
        builder.finish(offset).unwrap()
    }

    fn key(number: u32) -> String {
        format!("{number:016}")
    }

    #[test]
    fn every_key_matches_and_less_than_one_other_in_a_hundred() {
        for count in [1, 2, 50, 51, 52, 1000, 40_000] {
            for offset in [0, 1, 63, 64, 100] {
                let block = block_of((0..count).map(key), offset);
                let lines = lines(&block).unwrap();
                assert_eq!((offset + lines.start as u64) % 64, 0);
                assert!(block.len() < count as usize * 10 / 8 + 64 + 64 + TAIL_SIZE);
                let loaded = LoadedLines::copy_of(&block[lines.clone()]);
                let matches = |key: String| {
                    let hash = KeyHash::of(key.as_bytes());
                    let answer = may_match(&block[lines.clone()], hash);
                    assert_eq!(loaded.may_match(hash), answer);
                    answer
                };
                assert!((0..count).all(|number| matches(key(number))));
                let others = (0..20_000).filter(|&number| matches(key(number) + ".")).count();
                assert!(count < 1000 || others < 200 + 30, "{others} of 20,000 pass, of {count} keys");
            }
        }
    }

    #[test]
    fn the_bytes_stay_what_they_are() {
        // Files have them.
        let block = block_of(["a", "b", "b", "c"].map(String::from).into_iter(), 60);
        let mut set = Vec::new();
        for (at, byte) in block[4..68].iter().enumerate() {
            set.extend((0..8).filter(|bit| byte >> bit & 1 != 0).map(|bit| at * 8 + bit));
        }
        assert_eq!(
            set,
            [8, 25, 86, 101, 131, 215, 216, 232, 255, 306, 321, 349, 372, 417, 421, 459, 461, 475]
        );
        assert_eq!((&block[..4], &block[68..]), (&[0; 4][..], &[1, 0, 0, 0, 1][..]));
        let hash = KeyHash(0xfedc_ba98_7654_3210);
        assert_eq!((hash.line(1), hash.line(1000), hash.line(u32::MAX as usize)), (0, 995, 4_275_878_551));
    }

    #[test]
    fn nothing_makes_no_filter() {
        assert!(WholeTableFilterBuilder::default().finish(0).is_none());
    }

    #[test]
    fn blocks_that_make_no_sense_are_no_filters() {
        let block = block_of((0..100).map(key), 10);
        assert!(lines(&block).is_some());
        for length in 0..block.len() {
            assert_eq!(lines(&block[..length]), None);
        }
        for (at, byte) in [(1, 2), (1, 0), (5, 1), (5, 0), (5, 3), (2, 0xff)] {
            let mut damaged = block.clone();
            let at = damaged.len() - at;
            damaged[at] = byte;
            assert_eq!(lines(&damaged), None, "{byte} at {at}");
        }
        assert_eq!(lines(&[&[0; 64][..], &block].concat()), None, "too much padding");
        assert_eq!(lines(&[0, 0, 0, 0, 1]), None, "no lines");
        assert!(may_match(&[], KeyHash::of(b"k")));
    }
}
