//! An encoder of snappy's raw format, which [`super`] describes.
//!
//! Matches of at least four bytes are found through a hash table of positions and extended in both
//! directions. Positions without a match are skipped with strides that grow. Offsets are below 64 KiB, so
//! that no copy takes more than three bytes.
//!
//! The table is not cleared between blocks. Positions continue to count from block to block, and a position
//! of an earlier block is treated as the beginning of this block. That is as good a candidate as any other
//! and is compared like any other.
//!
//! Thread rule: an encoder belongs to one writer.

#![allow(unsafe_code)]

use std::ptr;

/// The table has at most this many bits of index: its 32 KiB are half of a usual first-level cache.
const MAX_TABLE_BITS: u32 = 13;
const MIN_TABLE_BITS: u32 = 8;

/// No match begins in the last `MARGIN` bytes of a block, so that all reads can be whole words.
const MARGIN: usize = 15;

/// After `1 << STRIDE_BITS` positions without a match, the stride grows by one.
const STRIDE_BITS: usize = 4;

/// Offsets of copies are less than this.
const WINDOW: usize = 1 << 16;

/// A literal of at most this many bytes is copied by one fixed-size copy.
const QUICK_LITERAL: usize = 64;

/// Compresses blocks one after another.
pub struct Encoder {
    /// For each hash, the last position with it: counted from `base`, or of an earlier block.
    table: Box<[u32; 1 << MAX_TABLE_BITS]>,
    /// Is added to the positions of the next block. Never 0.
    base: u32,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder::new()
    }
}

impl Encoder {
    /// An encoder with an empty table.
    pub fn new() -> Self {
        Encoder { table: Box::new([0; 1 << MAX_TABLE_BITS]), base: 1 }
    }

    /// The room in bytes that `compress` needs for a block of `length` bytes. `None` for blocks longer than
    /// snappy's format allows.
    pub fn room_for(length: usize) -> Option<usize> {
        u32::try_from(length).ok()?;
        // A literal costs one byte in addition to its own, three from 256 bytes on. The shortest copy saves
        // at least one byte of four.
        length.checked_add(length / 6 + 32 + QUICK_LITERAL)
    }

    /// Compresses `block` into `output`, and returns the compressed length. `None` if `output` is shorter
    /// than [`Encoder::room_for`] says, or the block is too long.
    pub fn compress(&mut self, block: &[u8], output: &mut [u8]) -> Option<usize> {
        if output.len() < Self::room_for(block.len())? {
            return None;
        }
        let mut length = block.len() as u32;
        let mut at = 0;
        while length >= 0x80 {
            output[at] = length as u8 | 0x80;
            length >>= 7;
            at += 1;
        }
        output[at] = length as u8;
        at += 1;
        let next_base = self.base.checked_add(block.len() as u32).unwrap_or_else(|| {
            self.table.fill(0);
            self.base = 1;
            // The positions of a block of the largest length end at 2^32 - MARGIN.
            1u32.saturating_add(block.len() as u32)
        });
        let bits = (block.len() / 4 * 3).max(1).next_power_of_two().trailing_zeros();
        let shift = 32 - bits.clamp(MIN_TABLE_BITS, MAX_TABLE_BITS);
        // SAFETY: `output` has the room that `elements` needs: the whole room less the at most five bytes of
        // the length.
        let end = unsafe { elements(block, output.as_mut_ptr().add(at), &mut self.table, self.base, shift) };
        self.base = next_base;
        // SAFETY: both point into `output`.
        usize::try_from(unsafe { end.offset_from(output.as_ptr()) }).ok()
    }
}

/// Writes the elements of a block, and returns the end of the output.
///
/// # Safety
/// `out` has room for [`Encoder::room_for`] the block's length, less five bytes.
#[inline(never)]
unsafe fn elements(
    block: &[u8],
    mut out: *mut u8,
    table: &mut [u32; 1 << MAX_TABLE_BITS],
    base: u32,
    shift: u32,
) -> *mut u8 {
    assert!((32 - MAX_TABLE_BITS..32).contains(&shift));
    let hash = |word: u32| (word.wrapping_mul(0x1e35_a7bd) >> shift) as usize;
    let (start, length) = (block.as_ptr(), block.len());
    // SAFETY (of all three): only called with positions in the block that are followed by as many bytes as
    // are read.
    let byte = |at: usize| unsafe { *start.add(at) };
    let word32 = |at: usize| u32::from_le(unsafe { start.add(at).cast::<u32>().read_unaligned() });
    let word64 = |at: usize| u64::from_le(unsafe { start.add(at).cast::<u64>().read_unaligned() });
    // Puts a position into the table and returns the previous position with this hash; if that is of an
    // earlier block, 0.
    let swap = |table: &mut [u32; 1 << MAX_TABLE_BITS], at: usize, word: u32| {
        // SAFETY: the hash has at most MAX_TABLE_BITS bits.
        let entry = unsafe { table.get_unchecked_mut(hash(word)) };
        let before = entry.saturating_sub(base) as usize;
        *entry = base + at as u32;
        before
    };
    // The position of the first byte that is not encoded yet.
    let mut pending = 0;
    let limit = length.saturating_sub(MARGIN);
    if limit > 0 {
        swap(table, 0, word32(0));
    }
    let mut at = 1;
    'elements: while at < limit {
        let mut stride = 1 << STRIDE_BITS;
        let mut candidate;
        // Positions below `limit` are followed by more than MARGIN bytes, and all positions in the table are
        // below `at`.
        loop {
            let word = word32(at);
            candidate = swap(table, at, word);
            if word32(candidate) == word && at - candidate < WINDOW {
                break;
            }
            at += stride >> STRIDE_BITS;
            stride += 1;
            if at >= limit {
                break 'elements;
            }
        }
        while at > pending && candidate > 0 && byte(at - 1) == byte(candidate - 1) {
            at -= 1;
            candidate -= 1;
        }
        if at > pending {
            // SAFETY: the literal lies in the block, and the output has room for the longest encoding of the
            // block.
            out = unsafe { put_literal(out, &block[pending..], at - pending) };
        }
        loop {
            let mut matching = 4;
            loop {
                if at + matching + 8 > length {
                    let more =
                        (at + matching..length).take_while(|&i| block[i] == block[i - (at - candidate)]);
                    matching += more.count();
                    break;
                }
                let difference = word64(at + matching) ^ word64(candidate + matching);
                if difference != 0 {
                    matching += (difference.trailing_zeros() / 8) as usize;
                    break;
                }
                matching += 8;
            }
            // SAFETY: the output has room for the longest encoding of the block.
            out = unsafe { put_copy(out, at - candidate, matching) };
            at += matching;
            pending = at;
            if at >= limit {
                break 'elements;
            }
            // The end of a match often is the beginning of the next one.
            let words = word64(at - 1);
            swap(table, at - 1, words as u32);
            let word = (words >> 8) as u32;
            candidate = swap(table, at, word);
            if word32(candidate) != word || at - candidate >= WINDOW {
                break;
            }
        }
        at += 1;
    }
    if pending < length {
        // SAFETY: as above.
        out = unsafe { put_literal(out, &block[pending..], length - pending) };
    }
    out
}

/// Writes the first `length` bytes of `bytes`, at least one, as a literal, and returns its end.
///
/// # Safety
/// `out` has room for the literal and [`QUICK_LITERAL`] bytes more; `length` is at most the length of
/// `bytes`.
#[inline(always)]
unsafe fn put_literal(out: *mut u8, bytes: &[u8], length: usize) -> *mut u8 {
    let less = length - 1;
    // SAFETY: at most five bytes of tag, then the literal. The fixed-size copy reads no more than `bytes`
    // has.
    unsafe {
        let out = if less < 60 {
            *out = (less as u8) << 2;
            out.add(1)
        } else {
            put_long_tag(out, less as u32)
        };
        if length <= QUICK_LITERAL && bytes.len() >= QUICK_LITERAL {
            type Literal = [u8; QUICK_LITERAL];
            out.cast::<Literal>().write_unaligned(bytes.as_ptr().cast::<Literal>().read_unaligned());
        } else {
            ptr::copy_nonoverlapping(bytes.as_ptr(), out, length);
        }
        out.add(length)
    }
}

/// Writes the tag of a literal of `less + 1` bytes, which is more than 60.
///
/// # Safety
/// `out` has room for five bytes.
#[inline(never)]
unsafe fn put_long_tag(out: *mut u8, less: u32) -> *mut u8 {
    let bytes = (4 - less.leading_zeros() / 8).max(1);
    // SAFETY: writes one byte and the four bytes of `less`, of which the significant ones come first.
    unsafe {
        *out = (59 + bytes as u8) << 2;
        out.add(1).cast::<[u8; 4]>().write_unaligned(less.to_le_bytes());
        out.add(1 + bytes as usize)
    }
}

/// Writes copies of `length` bytes, at least four, from `offset` bytes before, and returns their end.
///
/// # Safety
/// `out` has room for four bytes, and for three per 64 bytes of the length. `offset` is below [`WINDOW`], and
/// not 0.
#[inline(always)]
unsafe fn put_copy(mut out: *mut u8, offset: usize, mut length: usize) -> *mut u8 {
    let long = |length: usize| (offset as u32) << 8 | (length as u32 - 1) << 2 | 2;
    // SAFETY: each write has four bytes, of which three or two count.
    unsafe {
        while length > 64 {
            // The last piece must have at least the four bytes that the short form can express.
            let piece = if length >= 68 { 64 } else { 60 };
            out.cast::<[u8; 4]>().write_unaligned(long(piece).to_le_bytes());
            out = out.add(3);
            length -= piece;
        }
        if length >= 12 || offset >= 2048 {
            out.cast::<[u8; 4]>().write_unaligned(long(length).to_le_bytes());
            return out.add(3);
        }
        *out = ((offset >> 8) << 5 | (length - 4) << 2 | 1) as u8;
        *out.add(1) = offset as u8;
        out.add(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::{TYPE_SNAPPY, decompress};

    fn compressed(encoder: &mut Encoder, block: &[u8]) -> Vec<u8> {
        let mut output = vec![0xa5; Encoder::room_for(block.len()).unwrap()];
        let length = encoder.compress(block, &mut output).unwrap();
        output.truncate(length);
        output
    }

    /// Both decoders decompress the result to the block. Returns the compressed length.
    fn check(encoder: &mut Encoder, block: &[u8]) -> usize {
        let stored = compressed(encoder, block);
        assert!(snap::raw::Decoder::new().decompress_vec(&stored).unwrap() == block, "the crate's decoder");
        let mut ours = vec![0; block.len()];
        decompress(TYPE_SNAPPY, &stored, &mut ours).unwrap();
        assert!(ours == block, "our decoder");
        stored.len()
    }

    struct Random(u64);

    impl Random {
        fn next(&mut self) -> usize {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) as usize
        }
    }

    /// Noise and repetitions of all lengths and distances.
    fn mixture(random: &mut Random, length: usize) -> Vec<u8> {
        let mut block = Vec::with_capacity(length);
        while block.len() < length {
            let run = [3, 5, 20, 70, 300, 5000][random.next() % 6];
            let run = (1 + random.next() % run).min(length - block.len());
            if block.is_empty() || random.next().is_multiple_of(3) {
                block.extend((0..run).map(|_| random.next() as u8));
            } else {
                let reach = [1, 7, 20, 2047, 2050, 65_600, 200_000][random.next() % 7];
                let from = block.len() - (1 + random.next() % reach).min(block.len());
                (0..run).for_each(|i| block.push(block[from + i]));
            }
        }
        block
    }

    #[test]
    fn decoders_give_back_what_was_compressed() {
        let (mut encoder, mut random) = (Encoder::new(), Random(7));
        let most = if cfg!(miri) { 24 } else { 300 };
        for length in 0..most {
            let block = mixture(&mut random, length);
            check(&mut encoder, &block);
            check(&mut encoder, &vec![b'a'; length]);
        }
        let rounds = if cfg!(miri) { 2 } else { 200 };
        for round in 0..rounds {
            let block =
                mixture(&mut random, [4096, 5000, 70_000, 300_000][round % if cfg!(miri) { 1 } else { 4 }]);
            check(&mut encoder, &block);
        }
    }

    #[test]
    fn what_cannot_be_compressed_grows_by_little() {
        let (mut encoder, mut random) = (Encoder::new(), Random(3));
        for length in [1, 59, 60, 61, 256, 257, 4096, 65_536, 65_537, 1 << 20] {
            let length = if cfg!(miri) { length.min(300) } else { length };
            let noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            assert!(check(&mut encoder, &noise) <= length + 10);
        }
        // The worst case of the format: copies of four bytes from far away, with one byte between them.
        let words: Vec<[u8; 4]> = (0..2000u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
        let mut block = words.concat();
        words.iter().rev().for_each(|word| {
            block.extend_from_slice(word);
            block.push(random.next() as u8);
        });
        assert!(check(&mut encoder, &block) < Encoder::room_for(block.len()).unwrap() - QUICK_LITERAL);
    }

    #[test]
    fn it_compresses_as_well_as_the_crate() {
        let (mut encoder, mut random) = (Encoder::new(), Random(11));
        let words: Vec<Vec<u8>> = (0..500)
            .map(|_| (0..2 + random.next() % 9).map(|_| b'a' + (random.next() % 26) as u8).collect())
            .collect();
        let length = if cfg!(miri) { 1000 } else { 200_000 };
        let mut text = Vec::new();
        while text.len() < length {
            text.extend_from_slice(&words[random.next() % 30 * (random.next() % 17)]);
            text.push(b' ');
        }
        for size in [text.len(), 4096] {
            let size = size.min(text.len());
            let (mut ours, mut theirs) = (0, 0);
            for block in text.chunks(size) {
                ours += check(&mut encoder, block);
                theirs += snap::raw::Encoder::new().compress_vec(block).unwrap().len();
            }
            assert!(ours <= theirs + theirs / 100, "{ours} bytes, the crate {theirs}");
        }
    }

    #[test]
    fn positions_begin_again_when_they_run_out() {
        let mut encoder = Encoder::new();
        let block = b"a block that repeats itself, a block that repeats itself".repeat(9);
        let expected = compressed(&mut encoder, &block);
        for base in [u32::MAX - 10, u32::MAX - block.len() as u32, u32::MAX - block.len() as u32 - 1] {
            encoder.base = base;
            for _ in 0..3 {
                assert_eq!(check(&mut encoder, &block), expected.len());
            }
        }
    }

    #[test]
    fn too_little_room_is_refused() {
        let room = Encoder::room_for(100).unwrap();
        assert_eq!(Encoder::new().compress(&[7; 100], &mut vec![0; room - 1]), None);
        assert_eq!(Encoder::room_for(usize::MAX), None);
    }
}
