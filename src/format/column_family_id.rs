//! The number of a column family. A directory in LevelDB's language has one family, the default one.

/// A column family's number in the log and in the MANIFEST.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ColumnFamilyId(pub u32);

impl ColumnFamilyId {
    /// The family every database has; it writes exactly LevelDB's bytes.
    pub const DEFAULT: ColumnFamilyId = ColumnFamilyId(0);
}
