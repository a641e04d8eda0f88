//! The record format that the WAL and the MANIFEST share.
//!
//! A file is a sequence of blocks of 32768 bytes, the last of which may be cut short. A block is a sequence
//! of fragments:
//!
//! ```text
//! | checksum u32 | length u16 | type u8 | payload (length bytes) |
//! ```
//! The checksum is the masked CRC-32C of type and payload. A record that fits what is left of its block is
//! one FULL fragment; another is FIRST, any number of MIDDLE, LAST, each as long as its block allows. Where
//! fewer than 7 bytes are left in a block they are zero, and the next fragment begins with the next block.
//! Type 0 with length 0 is space that was preallocated and never written.
//!
//! A reader that meets damage finds its way again at the next block.

pub mod reader;
pub mod writer;

#[cfg(test)]
pub(crate) mod fake_env;

/// Bytes of a block.
pub const BLOCK_SIZE: usize = 32768;

/// Bytes before the payload of a fragment.
pub const HEADER_SIZE: usize = 7;

/// Space never written.
const ZERO: u8 = 0;
/// A whole record.
const FULL: u8 = 1;
/// The beginning of a record that continues in the next fragment.
pub(crate) const FIRST: u8 = 2;
/// A record that began in an earlier block and goes on in the next one.
const MIDDLE: u8 = 3;
/// The end of a record that began in an earlier fragment.
pub(crate) const LAST: u8 = 4;
