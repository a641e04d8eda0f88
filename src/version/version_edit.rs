//! stub
use super::file_metadata::FileMetaData;
use crate::error::Result;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::InternalKey;
use std::sync::Arc;

/// A change of the set of files, as one MANIFEST record.
#[derive(Clone, Default)]
pub struct VersionEdit {
    /// The family it is about (the default one writes no tag).
    pub column_family: ColumnFamilyId,
    /// Comparator name.
    pub comparator: Option<Vec<u8>>,
    /// Logs below it are no longer needed.
    pub log_number: Option<u64>,
    /// A log being compacted (always written 0, as LevelDB does; old directories have others).
    pub prev_log_number: Option<u64>,
    /// Next file number.
    pub next_file_number: Option<u64>,
    /// Last sequence number used by what the edit makes durable.
    pub last_sequence: Option<u64>,
    /// Where the next compaction of a level starts.
    pub compact_pointers: Vec<(usize, InternalKey)>,
    /// (level, number)
    pub deleted_files: Vec<(usize, u64)>,
    /// (level, file)
    pub new_files: Vec<(usize, Arc<FileMetaData>)>,
}

impl VersionEdit {
    /// The MANIFEST record.
    pub fn encode(&self, dst: &mut Vec<u8>) {
        todo!()
    }
    /// From a MANIFEST record; Corruption names the field.
    pub fn decode(record: &[u8]) -> Result<Self> {
        todo!()
    }
}
