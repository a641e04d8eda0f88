//! What is done to hostile bytes: the bodies of the fuzz targets, shared with the integration suite, which replays their corpus
//! and makes mutations of its own.
//!
//! A body panics where a promise is broken; what the bytes deserve (an error, fewer entries) it takes as an answer. Nothing here
//! depends on a fuzzer, on the real file system or on a clock.

pub mod archive;
pub mod bases;
pub mod exercise;
pub mod mend;
pub mod parsers;
pub mod targets;
