//! The words that every upper floor speaks: internal keys, file names, column family ids, and how long things may be.

pub mod column_family_id;
pub mod common_prefix;
pub mod file_name;
pub mod internal_key;
pub mod limits;

/// Levels of the tree, 0 to 6.
pub const NUM_LEVELS: usize = 7;
