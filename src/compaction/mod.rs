//! Choosing is pure, running is I/O.
#[allow(clippy::module_inception)]
pub mod compaction;
pub mod job;
pub mod picker;
