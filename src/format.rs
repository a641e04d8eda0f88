//! Vocabulary of all floors above: internal keys and how they are printed, file names, column family ids, and
//! the limits on lengths.

pub mod column_family_id;
pub mod common_prefix;
pub mod display_key;
pub mod family_set;
pub mod file_name;
pub mod internal_key;
pub mod limits;

/// The number of levels of the tree: levels 0 to 6.
pub const NUM_LEVELS: usize = 7;
