//! The unit of writing is the payload of a WAL record.
pub mod decode;
pub mod write_batch;
