//! The record format that the WAL and the MANIFEST share: 32 KiB blocks.
pub mod reader;
pub mod writer;
