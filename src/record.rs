//! The record format of WALs and MANIFESTs (LevelDB's log format).
//!
//! A file is a sequence of blocks of 32768 bytes, the last of which may be shorter. A block is a sequence of
//! fragments:
//!
//! ```text
//! | checksum u32 | length u16 | type u8 | payload (length bytes) |
//! ```
//! The checksum is the masked CRC-32C of type and payload. A record that fits the rest of its block is one
//! FULL fragment. Any other record is a FIRST, any number of MIDDLE, and a LAST fragment, each as long as its
//! block allows. If fewer than 7 bytes are left in a block, they are zero, and the next fragment begins with
//! the next block. Type 0 with length 0 is space that was preallocated and never written.
//!
//! A reader that meets damage resynchronizes at the next block.
//!
//! Thread rule: a reader or writer is used by one thread at a time.

pub mod reader;
pub mod writer;

#[cfg(test)]
pub(crate) mod test_support;

/// The size of a block, in bytes.
pub const BLOCK_SIZE: usize = 32768;

/// The size of a fragment's header, in bytes.
pub const HEADER_SIZE: usize = 7;

/// Space that was never written.
const ZERO: u8 = 0;
/// A whole record.
const FULL: u8 = 1;
/// The beginning of a record that continues in the next fragment.
pub(crate) const FIRST: u8 = 2;
/// A fragment of a record that began in an earlier block and continues in the next one.
const MIDDLE: u8 = 3;
/// The end of a record that began in an earlier fragment.
pub(crate) const LAST: u8 = 4;
