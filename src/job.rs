//! What all jobs that write tables share: flush, compaction, recovery and repair.
//!
//! `context` is what a job borrows from its database, `compaction_iterator` decides which entries stay, and
//! `table_output` writes the tables. A job runs without the state
//! mutex and installs nothing.

pub mod compaction_iterator;
pub mod context;
pub mod table_output;

#[cfg(test)]
pub(crate) mod test_support;
