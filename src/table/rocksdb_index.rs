//! Index blocks in RocksDB's forms, from its format version 3 on. They become an `Index` like any other when
//! a table is opened.
//!
//! ```text
//! entry    | shared varint32 | unshared varint32 | size of the value varint32 * | key | value |
//! value    offset varint64, size varint64; with deltas and shared > 0: the signed difference (zigzag) of the
//!          size to that of the block before, which this one follows
//! ending   | restart points, u32 each | their number u32; bit 29 may be set: the keys are uniform |
//! ```
//! With deltas, the size marked by a star is left out. The keys are internal keys, or user keys, if the
//! separators without their trailers divide the blocks too. A user key stands for the last internal key with
//! that user key.
//!
//! Thread rule: used by one thread, while a table is opened.

use super::block::BadBlock;
use super::footer::{BLOCK_TRAILER_SIZE, BlockHandle};
use crate::format::internal_key::TRAILER_SIZE;
use crate::util::coding::{get_varint32, get_varint64};

/// The form of an index block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IndexForm {
    /// The keys are user keys.
    pub has_user_keys: bool,
    /// The handles are differences.
    pub has_deltas: bool,
}

/// The bit of the number of restart points that says that the keys are uniform, which helps some searches.
const UNIFORM: u32 = 1 << 29;

/// The entry with this ordinal cannot be read.
#[derive(Debug)]
pub(super) struct BadEntry(pub usize);

/// The entries of an index block.
pub(super) struct RocksDbIndexEntries<'a> {
    rest: &'a [u8],
    form: IndexForm,
    ordinal: usize,
    /// The current key, an internal key.
    key: Vec<u8>,
    handle: BlockHandle,
}

impl<'a> RocksDbIndexEntries<'a> {
    pub fn new(contents: &'a [u8], form: IndexForm) -> Result<Self, BadBlock> {
        let bad = |what| BadBlock { what, at: contents.len() };
        let (before, num_restarts) =
            contents.split_last_chunk::<4>().ok_or_else(|| bad("too small to be an index block"))?;
        let num_restarts = (u32::from_le_bytes(*num_restarts) & !UNIFORM) as usize;
        let restarts_size = num_restarts.checked_mul(4).filter(|&size| size <= before.len());
        let restarts_size = restarts_size.ok_or_else(|| bad("impossible number of restart points"))?;
        let rest = &before[..before.len() - restarts_size];
        Ok(RocksDbIndexEntries { rest, form, ordinal: 0, key: Vec::new(), handle: BlockHandle::default() })
    }

    /// The next separator, an internal key, and the handle of its block.
    pub fn next(&mut self) -> Result<Option<(&[u8], BlockHandle)>, BadEntry> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let ordinal = self.ordinal;
        self.take_entry().ok_or(BadEntry(ordinal))?;
        self.ordinal += 1;
        Ok(Some((&self.key, self.handle)))
    }

    fn take_entry(&mut self) -> Option<()> {
        let shared = get_varint32(&mut self.rest)? as usize;
        let unshared = get_varint32(&mut self.rest)? as usize;
        let value_size =
            if self.form.has_deltas { None } else { Some(get_varint32(&mut self.rest)? as usize) };
        if self.form.has_user_keys && self.ordinal > 0 {
            self.key.truncate(self.key.len() - TRAILER_SIZE);
        }
        if shared > self.key.len() || unshared > self.rest.len() {
            return None;
        }
        let (added, rest) = self.rest.split_at(unshared);
        self.rest = rest;
        self.key.truncate(shared);
        self.key.extend_from_slice(added);
        if self.form.has_user_keys {
            self.key.extend_from_slice(&[0; TRAILER_SIZE]);
        }
        match value_size {
            Some(size) if size <= self.rest.len() => {
                let (mut value, rest) = self.rest.split_at(size);
                self.rest = rest;
                self.handle = BlockHandle::decode(&mut value)?;
            }
            Some(_) => return None,
            None if shared == 0 => self.handle = BlockHandle::decode(&mut self.rest)?,
            None => self.handle = self.next_handle()?,
        }
        Some(())
    }

    fn next_handle(&mut self) -> Option<BlockHandle> {
        let zigzag = get_varint64(&mut self.rest)?;
        let delta = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        let BlockHandle { offset, size } = self.handle;
        let offset = offset.checked_add(size)?.checked_add(BLOCK_TRAILER_SIZE as u64)?;
        Some(BlockHandle { offset, size: size.checked_add_signed(delta)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All entries, or the error.
    fn entries(contents: &[u8], form: IndexForm) -> Result<Vec<(Vec<u8>, u64, u64)>, String> {
        let mut entries = RocksDbIndexEntries::new(contents, form).map_err(|bad| bad.to_string())?;
        let mut found = Vec::new();
        while let Some((key, handle)) = entries.next().map_err(|bad| format!("{bad:?}"))? {
            found.push((key.to_vec(), handle.offset, handle.size));
        }
        Ok(found)
    }

    const DELTAS: IndexForm = IndexForm { has_user_keys: true, has_deltas: true };

    #[test]
    fn user_keys_and_deltas_become_internal_keys_and_handles() {
        // "ab" at 0 with 100 bytes; "ac" behind it with 90; restart: "b" at 1000 with 300.
        let block = [
            &[0, 2, b'a', b'b', 0, 100][..],
            &[1, 1, b'c', 19],
            &[0, 1, b'b', 0xe8, 7, 0xac, 2],
            &[0, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0x20],
        ]
        .concat();
        let key = |user: &[u8]| [user, &[0; 8]].concat();
        let expected = vec![(key(b"ab"), 0, 100), (key(b"ac"), 105, 90), (key(b"b"), 1000, 300)];
        assert_eq!(entries(&block, DELTAS), Ok(expected));
    }

    #[test]
    fn internal_keys_with_whole_handles_are_leveldbs_form() {
        let mut block = vec![0, 9, 2, b'k', 1, 2, 3, 4, 5, 6, 7, 8, 50, 60];
        block.extend([0, 0, 0, 0, 1, 0, 0, 0]);
        let expected = vec![(vec![b'k', 1, 2, 3, 4, 5, 6, 7, 8], 50, 60)];
        assert_eq!(entries(&block, IndexForm::default()), Ok(expected));
    }

    #[test]
    fn what_is_cut_or_impossible_is_an_error() {
        let block = [&[0, 2, b'a', b'b', 0, 100][..], &[1, 1, b'c', 19]].concat();
        for cut in 1..block.len() {
            let cut_block = [&block[..cut], &[0; 4]].concat();
            let result = entries(&cut_block, DELTAS);
            assert!(result.is_err() || cut == 6, "{cut}: {result:?}");
        }
        assert!(entries(&[1, 2, 3], DELTAS).is_err());
        assert!(entries(&[0, 0, 0, 0, 9, 0, 0, 0], DELTAS).is_err(), "nine restart points");
        // More shared bytes than the key before has; a size below zero; an offset beyond 64 bits.
        assert!(entries(&[3, 1, b'a', 0, 0, 0, 0, 0, 0], DELTAS).is_err());
        assert!(entries(&[0, 1, b'a', 0, 1, 1, 1, b'b', 3, 0, 0, 0, 0], DELTAS).is_err());
        let far = [&[0, 1, b'a'][..], &[0xff; 9], &[1, 9, 1, 1, b'b', 0], &[0; 4]].concat();
        assert!(entries(&far, DELTAS).is_err());
    }
}
