//! The unit of writing is the payload of a WAL record.
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

/// Bytes before the entries: sequence u64, count u32.
pub const HEADER_SIZE: usize = 12;
