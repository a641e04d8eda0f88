//! The bodies of the fuzz targets: operations on hostile bytes. The integration suite shares them; it replays
//! their corpus and makes its own mutations.
//!
//! A body panics if a promise is broken. Results that are correct for damaged bytes (an error, fewer entries)
//! are accepted. Nothing here depends on a fuzzer, on the real file system or on a clock.

pub mod archive;
pub mod bases;
pub mod exercise;
pub mod mend;
pub mod parsers;
pub mod targets;
