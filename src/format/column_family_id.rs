//! The number of a column family. A database in LevelDB's language has one family, the default one. A number
//! is never used again after its family was dropped.

/// The number of a column family in the WAL and in the MANIFEST.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ColumnFamilyId(pub u32);

impl ColumnFamilyId {
    /// The family that every database has. Its records are exactly LevelDB's bytes.
    pub const DEFAULT: ColumnFamilyId = ColumnFamilyId(0);
}
