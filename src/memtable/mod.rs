//! What is mutable lives in memory: a skiplist in an arena, the memtable over it, and the list of those that wait to be
//! written to a table.

pub mod list;
// The noun of the file is the noun of the folder.
#[allow(clippy::module_inception)]
pub mod memtable;
pub mod skiplist;

#[cfg(test)]
mod look_up_tests;
#[cfg(test)]
mod tests;
