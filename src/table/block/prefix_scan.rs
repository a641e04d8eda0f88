//! A scan of a block in the bytewise order that does not build the keys it passes.
//!
//! Two things are remembered of the key last passed, which is before the target: `matched`, the number of
//! bytes that its user key has in common with the target; and `decided`, whether the byte after those belongs
//! to its user key and is lower than the target's. An entry that shares more than `matched` bytes with that
//! key has the lower byte too, so it is passed without a look at its key. An entry that shares at most
//! `matched` bytes begins like the target, so its suffix alone decides. Rare cases (versions of one key that
//! share bytes of their trailers) are `Unclear`.
//!
//! A scan of a block that is decompressed in steps stops where it needs more bytes. `run_within` continues it
//! from there.

use crate::format::common_prefix::common_prefix_length;
use crate::format::internal_key::{TRAILER_SIZE, trailer, user_key};
use crate::table::block::{Block, BlockResult, Entry, bad};

/// The most bytes that the three lengths of an entry take.
pub(super) const MAX_ENTRY_HEADER: u32 = 15;

/// Where a scan ended.
pub(super) enum Outcome {
    /// At the first entry at or after the target. The bytes that it shares are the target's first bytes too.
    Found { entry: Entry, same_user_key: bool },
    /// After the last entry.
    End,
    /// At a key that cannot be compared without building the keys before it.
    Unclear,
}

/// Where a call of `run_within` stopped.
pub(super) enum Progress {
    /// The scan has ended.
    Ended(Outcome),
    /// Before an entry that needs bytes of the block up to this offset, or some of them.
    Needs(u32),
}

/// A scan for the first entry at or after a target.
pub(super) struct Scan {
    /// The offset of the next entry.
    offset: u32,
    matched: usize,
    decided: bool,
    key_length: usize,
}

impl Scan {
    /// A scan that begins at a restart point.
    #[inline]
    pub(super) fn from(restart: u32) -> Self {
        Scan { offset: restart, matched: 0, decided: false, key_length: 0 }
    }

    /// Scans a block to the end of the scan.
    #[inline]
    pub(super) fn run(mut self, block: &Block<'_>, target: &[u8]) -> BlockResult<Outcome> {
        match self.run_within(block, target, u32::MAX)? {
            Progress::Ended(outcome) => Ok(outcome),
            Progress::Needs(_) => unreachable!("all bytes are there"),
        }
    }

    /// Scans on, as far as `available` bytes of the block allow (`u32::MAX`: all are there).
    #[inline]
    pub(super) fn run_within(
        &mut self,
        block: &Block<'_>,
        target: &[u8],
        available: u32,
    ) -> BlockResult<Progress> {
        let target_user = user_key(target);
        while self.offset < block.limit {
            if available < self.offset.saturating_add(MAX_ENTRY_HEADER) {
                return Ok(Progress::Needs(self.offset.saturating_add(MAX_ENTRY_HEADER)));
            }
            let entry = block.entry(self.offset)?;
            if available < entry.end() {
                return Ok(Progress::Needs(entry.end()));
            }
            self.offset = entry.end();
            let (shared, suffix_length) = (entry.shared as usize, entry.suffix_length as usize);
            if shared > self.key_length {
                return bad("key shares more than there is", entry.offset as usize);
            }
            self.key_length = shared + suffix_length;
            if shared > self.matched {
                if self.decided {
                    continue;
                }
                return Ok(Progress::Ended(Outcome::Unclear));
            }
            if suffix_length < TRAILER_SIZE {
                return Ok(Progress::Ended(Outcome::Unclear));
            }
            // Mostly the first byte that is not shared decides.
            if suffix_length > TRAILER_SIZE && shared < target_user.len() {
                let (byte, wanted) = (block.bytes[entry.suffix as usize], target_user[shared]);
                if byte < wanted {
                    (self.matched, self.decided) = (shared, true);
                    continue;
                }
                if byte > wanted {
                    return Ok(Progress::Ended(Outcome::Found { entry, same_user_key: false }));
                }
            }
            let suffix = block.suffix(&entry);
            let (suffix_user, rest) = (user_key(suffix), &target_user[shared..]);
            // Both internal keys have at least eight bytes to compare, however short their user keys are.
            let common =
                common_prefix_length(suffix, &target[shared..]).min(suffix_user.len()).min(rest.len());
            (self.matched, self.decided) = (shared + common, false);
            match (suffix_user.get(common), rest.get(common)) {
                (Some(byte), Some(wanted)) if byte < wanted => self.decided = true,
                (Some(_), _) => {
                    return Ok(Progress::Ended(Outcome::Found { entry, same_user_key: false }));
                }
                (None, Some(_)) => {}
                (None, None) if trailer(suffix) <= trailer(target) => {
                    return Ok(Progress::Ended(Outcome::Found { entry, same_user_key: true }));
                }
                (None, None) => {}
            }
        }
        Ok(Progress::Ended(Outcome::End))
    }
}
