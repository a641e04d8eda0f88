//! Compactions. Choosing one is pure, running one is I/O.
//!
//! `picker` decides which level needs a compaction and which files take part (`picker/expand` has the rules
//! that make a set of files safe to merge), from what `context` lends it. A [`Compaction`] is the choice
//! (`plan`). `in_progress` has the running compactions, which a new one must not cross. `job` runs a
//! compaction, in several subcompactions in parallel if it is large, and returns a version edit; `inputs` has
//! the iterators that it reads. `upgrade` runs a compaction that only changes the language of a table.

mod boundary_cursors;
pub mod context;
pub mod in_progress;
mod inputs;
pub mod job;
pub mod picker;
mod plan;
mod subcompaction;
pub mod upgrade;

pub use plan::{Compaction, CompactionReason};

#[cfg(test)]
pub(crate) mod test_support;
