//! Write batches: the unit of writing, and the payload of a WAL record (LevelDB's format).
//!
//! ```text
//! | sequence u64 | count u32 | entry ... |
//! entry: | 1 | key bytes | value bytes |  put
//!        | 0 | key bytes |                delete
//! ```
//! `bytes` is a varint32 length and that many bytes. The i-th entry (from 0) has the sequence number
//! `sequence + i`.

pub mod decode;
pub mod write_batch;

/// The size of the header in bytes: sequence u64, count u32.
pub const HEADER_SIZE: usize = 12;
