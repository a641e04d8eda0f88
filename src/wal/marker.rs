//! The marker: an empty batch with which every WAL that we create begins.
//!
//! Its sequence number is one more than the last one logged before, so that a reader knows where the previous
//! WAL must end. A WAL of another implementation has no such information: the numbers of LevelDB's may follow
//! a gap, and all of its records count nevertheless.
//!
//! ```text
//! | FIRST, 8 bytes: the sequence number | LAST, 4 bytes: 0 entries |
//! ```
//! Every reader of the format joins the two fragments to a batch without entries and ignores it. No other
//! writer splits so short a record at the beginning of a block, so an empty batch that a user of LevelDB
//! wrote is never mistaken for a marker.
//!
//! Thread rule: pure functions.

use crate::batch::HEADER_SIZE as BATCH_HEADER_SIZE;
use crate::format::internal_key::SequenceNumber;
use crate::record::writer::fragment;
use crate::record::{FIRST, HEADER_SIZE, LAST};
use crate::util::coding::fixed64_at;

/// The bytes of the marker in its WAL.
pub const MARKER_SIZE: usize = 2 * HEADER_SIZE + BATCH_HEADER_SIZE;

/// The marker of a WAL whose first entry may have the number `sequence`, as stored in the file.
pub fn encode(sequence: SequenceNumber) -> Vec<u8> {
    let mut bytes = fragment(FIRST, &sequence.to_le_bytes());
    bytes.extend(fragment(LAST, &[0; BATCH_HEADER_SIZE - size_of::<SequenceNumber>()]));
    bytes
}

/// The sequence number of the marker, if `record` is one. `record` is the first record of a WAL, and ends at
/// the offset `end`.
pub fn decode(record: &[u8], end: u64) -> Option<SequenceNumber> {
    let is_marker =
        end == MARKER_SIZE as u64 && record.len() == BATCH_HEADER_SIZE && record.ends_with(&[0; 4]);
    if is_marker { fixed64_at(record, 0) } else { None }
}
