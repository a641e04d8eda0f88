//! The marker: an empty batch with which every log that we create begins.
//!
//! Its sequence number is one more than the last that was logged before, so that a reader knows where the log before must end. A
//! log that other programs made says nothing of the kind: LevelDB's may follow a gap, and every record of it counts all the same.
//!
//! ```text
//! | FIRST, 8 bytes: the sequence number | LAST, 4 bytes: 0 entries |
//! ```
//! Every reader of the format puts the two fragments together to a batch without entries, and passes over it. No writer but
//! ours divides so short a record at the beginning of a block, so an empty batch that a user of LevelDB wrote is never taken
//! for it.

use crate::batch::HEADER_SIZE as BATCH_HEADER_SIZE;
use crate::format::internal_key::SequenceNumber;
use crate::record::writer::fragment;
use crate::record::{FIRST, HEADER_SIZE, LAST};
use crate::util::coding::fixed64_at;

/// Bytes that the marker takes of its log.
pub const MARKER_SIZE: usize = 2 * HEADER_SIZE + BATCH_HEADER_SIZE;

/// The marker of a log whose first entry may have the number `sequence`, as it lies in the file.
pub fn encode(sequence: SequenceNumber) -> Vec<u8> {
    let mut bytes = fragment(FIRST, &sequence.to_le_bytes());
    bytes.extend(fragment(LAST, &[0; BATCH_HEADER_SIZE - size_of::<SequenceNumber>()]));
    bytes
}

/// The sequence number of the marker, if the first record of a log, which ends at this offset, is one.
pub fn decode(record: &[u8], end: u64) -> Option<SequenceNumber> {
    let is_marker =
        end == MARKER_SIZE as u64 && record.len() == BATCH_HEADER_SIZE && record.ends_with(&[0; 4]);
    if is_marker { fixed64_at(record, 0) } else { None }
}
