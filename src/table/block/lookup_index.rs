//! An index of a block that the block cache keeps. With it a look-up finds its key without searching the
//! block.
//!
//! ```text
//! index    | count u16 | common u8 | common bytes | eight u64 * count | offset u16 * count |
//! ```
//! All keys of the block share their first `common` bytes. An entry's *eight* is a number: the 8 bytes of its
//! user key that follow those, with zeros after a shorter key. The eights ascend. So the target's eight is
//! found by binary search in a few neighbouring lines of memory, where a search of the block would visit
//! restart points and then decode one entry after the other, each on lines of its own. The entry itself then
//! decides whether it has the target's key. The bytes that it shares with the key before it are known to be
//! equal to the target's by then, since no indexed entry shares more than `common` + 8 bytes. An entry that
//! shares bytes of its trailer, as versions of one key do, does not decide: then the block is searched in the
//! usual way.
//!
//! A block for which these rules do not hold gets an index of count 0, and is searched in the usual way,
//! which reports what is wrong. Damaged blocks are among these, and blocks with wrong restart points, which
//! only a search by restart points would notice. The index is for the bytewise order only. It is built from
//! the block in memory and never stored; its numbers are in the machine's byte order.

use crate::format::common_prefix::{common_prefix_length, first_eight};
use crate::format::internal_key::{TRAILER_SIZE, trailer, user_key};
use crate::table::block::{Block, BlockResult, Entry, check_type, prefetch, with_joined};

/// The longest block that gets an index, in bytes.
pub const MAX_INDEXED_BLOCK: usize = u16::MAX as usize;

const HEADER: usize = 3;

/// The bytes of a line of the processor's cache.
const LINE: usize = 64;

/// Builds the index of a block. Count 0 if the block cannot be indexed.
pub fn lookup_index_of(bytes: &[u8]) -> Vec<u8> {
    try_index(bytes).unwrap_or_else(|| vec![0; HEADER])
}

/// `None` if the block is damaged, too long, or breaks the rules above.
fn try_index(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() > MAX_INDEXED_BLOCK {
        return None;
    }
    let block = Block::parse(bytes).ok()?;
    // For each entry: where it begins, how many bytes it shares, and where its user key ends in `keys`.
    let (mut entries, mut keys, mut key) = (Vec::new(), Vec::new(), Vec::new());
    let (mut offset, mut restarts, mut common) = (0, 0, usize::from(u8::MAX));
    while offset < block.limit {
        let entry = block.entry(offset).ok()?;
        if restarts < block.num_restarts && block.restart(restarts) == offset {
            restarts += 1;
            key.clear();
        }
        if entry.shared as usize > key.len() {
            return None;
        }
        key.truncate(entry.shared as usize);
        key.extend_from_slice(block.suffix(&entry));
        if key.len() < TRAILER_SIZE {
            return None;
        }
        check_type(&key, offset).ok()?;
        let user = user_key(&key);
        let first_end = entries.first().map_or(user.len(), |&(_, _, end)| end);
        keys.extend_from_slice(user);
        common = common_prefix_length(&keys[..first_end.min(common)], user);
        entries.push((offset as u16, entry.shared as usize, keys.len()));
        offset = entry.end();
    }
    if restarts != block.num_restarts {
        return None;
    }
    let count = u16::try_from(entries.len()).ok()?;
    let mut index = Vec::with_capacity(HEADER + common + entries.len() * 10);
    index.extend_from_slice(&count.to_ne_bytes());
    index.push(common as u8);
    index.extend_from_slice(keys.get(..common)?);
    let (mut start, mut last) = (0, 0);
    for &(_, shared, end) in &entries {
        let eight = first_eight(&keys[start..end], common);
        if eight < last || shared > common + 8 {
            return None;
        }
        index.extend_from_slice(&eight.to_ne_bytes());
        (start, last) = (end, eight);
    }
    for (offset, _, _) in entries {
        index.extend_from_slice(&offset.to_ne_bytes());
    }
    Some(index)
}

/// A parsed index.
struct LookupIndex<'a> {
    common: &'a [u8],
    eights: &'a [[u8; 8]],
    offsets: &'a [[u8; 2]],
}

impl<'a> LookupIndex<'a> {
    /// `None` if the index is damaged or has count 0.
    #[inline]
    fn parse(index: &'a [u8]) -> Option<Self> {
        let (&[count_low, count_high, common], rest) = index.split_first_chunk::<HEADER>()?;
        let count = usize::from(u16::from_ne_bytes([count_low, count_high]));
        let (common, rest) = rest.split_at_checked(usize::from(common))?;
        let (eights, offsets) = rest.split_at_checked(count * 8)?;
        let (eights, offsets) = (eights.as_chunks().0, offsets.as_chunks().0);
        (count != 0 && offsets.len() == count).then_some(LookupIndex { common, eights, offsets })
    }
}

/// The target of a look-up: a user key, and the trailer up to which versions are visible.
#[derive(Clone, Copy)]
pub struct LookupTarget<'a> {
    /// The user key, in the caller's memory.
    pub user_key: &'a [u8],
    /// An entry with a greater trailer is too new.
    pub trailer: u64,
}

/// As [`Block::get`], by the block's index. If the index does not decide, `found` is given back and nothing
/// has been done.
#[inline]
pub fn get_by_lookup_index<R, F: FnOnce(&[u8], &[u8]) -> R>(
    bytes: &[u8],
    index: &[u8],
    target: LookupTarget<'_>,
    found: F,
) -> Result<BlockResult<Option<R>>, F> {
    // Without the prefetch, the search would wait for one line of memory after the other.
    prefetch(index);
    prefetch(&bytes[bytes.len().saturating_sub(LINE)..]);
    let Some(index) = LookupIndex::parse(index) else { return Err(found) };
    let looked_up = Block::parse(bytes).and_then(|block| Ok((block, index.find(&block, target)?)));
    match looked_up {
        Ok((_, Noted::Missing)) => Ok(Ok(None)),
        Ok((_, Noted::Unclear)) => Err(found),
        Ok((block, Noted::Found(entry))) => {
            let value = block.slice(entry.value(), entry.value_length);
            let shared = &target.user_key[..entry.shared as usize];
            Ok(Ok(Some(with_joined(shared, block.suffix(&entry), |key| found(key, value)))))
        }
        Err(bad) => Ok(Err(bad)),
    }
}

/// The answer of the index for a target.
enum Noted {
    /// The entry. The bytes that it shares with the key before it are the target's first bytes.
    Found(Entry),
    Missing,
    /// An entry shares bytes of the trailer: it is one of several versions of a key.
    Unclear,
}

impl LookupIndex<'_> {
    #[inline]
    fn find(&self, block: &Block<'_>, target: LookupTarget<'_>) -> BlockResult<Noted> {
        let (user, common) = (target.user_key, self.common.len());
        if common_prefix_length(user, self.common) < common {
            return Ok(Noted::Missing);
        }
        let eight = first_eight(user, common);
        let first = self.eights.partition_point(|&other| u64::from_ne_bytes(other) < eight);
        let rest = self.eights[first..].iter().zip(&self.offsets[first..]);
        for (_, &offset) in rest.take_while(|(other, _)| u64::from_ne_bytes(**other) == eight) {
            let offset = u16::from_ne_bytes(offset);
            let behind = &block.bytes[usize::from(offset).min(block.bytes.len())..];
            prefetch(&behind[..behind.len().min(3 * LINE)]);
            let entry = block.entry(offset.into())?;
            let (shared, suffix) = (entry.shared as usize, block.suffix(&entry));
            if suffix.len() < TRAILER_SIZE {
                return Ok(Noted::Unclear);
            }
            let is_same = shared <= user.len() && user_key(suffix) == &user[shared..];
            if is_same && trailer(suffix) <= target.trailer {
                return Ok(Noted::Found(entry));
            }
        }
        Ok(Noted::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparator::bytewise;
    use crate::format::internal_key::{InternalKeyComparator, LookupKey};
    use crate::table::block_builder::BlockBuilder;
    use crate::table::test_support::{TestRandom, internal};

    type Found = BlockResult<Option<(Vec<u8>, Vec<u8>)>>;

    fn found(key: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (key.to_vec(), value.to_vec())
    }

    fn by_block(bytes: &[u8], key: &LookupKey) -> Found {
        let order = InternalKeyComparator::new(bytewise());
        Block::parse(bytes).and_then(|block| block.get(&order, key.internal_key(), found))
    }

    /// `None`: the index does not decide.
    fn by_index(bytes: &[u8], index: &[u8], key: &LookupKey) -> Option<Found> {
        let target = LookupTarget { user_key: key.user_key(), trailer: key.trailer() };
        get_by_lookup_index(bytes, index, target, found).ok()
    }

    /// A random key of one of several shapes.
    fn user_key_of(shape: u64, random: &mut TestRandom) -> Vec<u8> {
        match shape {
            0 => format!("{:016}", random.below(300)).into_bytes(),
            1 => format!("{}", random.below(300)).into_bytes(),
            2 => (0..random.below(4)).map(|_| [0, 1, 0xff][random.below(3) as usize]).collect(),
            3 => format!("user:{:04}:{}", random.below(5), random.below(90)).into_bytes(),
            4 => [&b"common"[..], &random.next().to_be_bytes(), &random.next().to_be_bytes()].concat(),
            _ => [vec![b'x'; random.below(30) as usize], vec![0; random.below(3) as usize]].concat(),
        }
    }

    fn block_of(keys: &[(Vec<u8>, u64)], interval: usize) -> Vec<u8> {
        let mut builder = BlockBuilder::new(interval);
        let mut last = Vec::new();
        for (at, (user, sequence)) in keys.iter().enumerate() {
            let key = internal(user, *sequence);
            builder.add(common_prefix_length(&last, &key), &key, format!("value {at}").as_bytes()).unwrap();
            last = key;
        }
        builder.finish().unwrap().to_vec()
    }

    #[test]
    fn notes_find_what_the_block_finds() {
        let mut noted = [0; 6];
        for seed in 0..600 {
            let (random, shape) = (&mut TestRandom(seed), seed % 6);
            let mut keys: Vec<_> = (0..random.below(60) + 1)
                .map(|_| (user_key_of(shape, random), random.below(4) + 1))
                .collect();
            keys.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
            keys.dedup();
            let bytes = block_of(&keys, random.below(20) as usize + 1);
            let index = lookup_index_of(&bytes);
            for _ in 0..100 {
                let mut user = match random.below(3) {
                    0 => user_key_of(shape, random),
                    _ => keys[random.below(keys.len() as u64) as usize].0.clone(),
                };
                match random.below(8) {
                    0 => user.push(random.below(2) as u8),
                    1 => _ = user.pop(),
                    _ => {}
                }
                let key = LookupKey::new(&user, random.below(6));
                if let Some(answer) = by_index(&bytes, &index, &key) {
                    assert_eq!(answer, by_block(&bytes, &key), "seed {seed}, {user:?}@{}", key.sequence());
                    noted[shape as usize] += 1;
                }
            }
        }
        assert!(noted.iter().all(|&count| count > 1000), "{noted:?}");
    }

    #[test]
    fn damaged_blocks_get_no_notes_or_answer_as_without() {
        let keys: Vec<_> = (0..40).map(|at| (format!("key{at:05}").into_bytes(), 3)).collect();
        let whole = block_of(&keys, 4);
        let mut refused = 0;
        for at in 0..whole.len() {
            for change in [1, 0x10, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                let index = lookup_index_of(&bytes);
                for number in [0, 13, 39, 40] {
                    let user = format!("key{number:05}");
                    let key = LookupKey::new(user.as_bytes(), 9);
                    match by_index(&bytes, &index, &key) {
                        None => refused += 1,
                        // Damage that leaves a block well-formed: the answer may lack entries that a scan
                        // from a damaged restart point finds.
                        Some(answer) => assert!(answer.is_ok()),
                    }
                }
            }
        }
        assert!(refused > 100, "{refused}");
        for at in Block::parse(&whole).unwrap().limit as usize..whole.len() {
            for change in [1, 0x10, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                assert_eq!(
                    lookup_index_of(&bytes).len(),
                    HEADER,
                    "restart points changed at {at} by {change}"
                );
            }
        }
        for length in 0..whole.len() {
            assert_eq!(lookup_index_of(&whole[..length]).len(), HEADER, "cut at {length}");
        }
    }

    #[test]
    fn notes_that_make_no_sense_are_none() {
        let bytes = block_of(&[(b"a".to_vec(), 1)], 4);
        let key = LookupKey::new(b"a", 1);
        let index = lookup_index_of(&bytes);
        assert!(by_index(&bytes, &index, &key).is_some());
        for length in 0..index.len() {
            assert!(by_index(&bytes, &index[..length], &key).is_none(), "cut at {length}");
        }
        assert_eq!(lookup_index_of(&vec![0; MAX_INDEXED_BLOCK + 1]), [0; HEADER]);
        assert_eq!(lookup_index_of(&[]), [0; HEADER]);
    }
}
