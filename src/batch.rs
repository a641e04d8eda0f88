//! Write batches: the unit of writing, and the payload of a WAL record.
//!
//! ```text
//! | sequence u64 | count u32 | entry ... |
//! entry: | 1 | key bytes | value bytes |           put
//!        | 0 | key bytes |                         delete
//!        | 5 | family | key bytes | value bytes |  put into a column family
//!        | 4 | family | key bytes |                delete from a column family
//! ```
//! The first two are LevelDB's. The others are RocksDB's, in WALs of its language only; `family` is a
//! varint32. `bytes` is a varint32 length and that many bytes. The i-th entry (from 0) has the sequence
//! number `sequence + i`.

pub mod decode;
pub mod write_batch;

/// The size of the header in bytes: sequence u64, count u32.
pub const HEADER_SIZE: usize = 12;
