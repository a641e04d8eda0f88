//! stub
use super::compaction::Compaction;
use crate::format::NUM_LEVELS;
use crate::format::internal_key::InternalKey;
use crate::version::file_metadata::FileMetaData;
use crate::version::version::Version;
use std::sync::Arc;

/// What the choice depends on.
#[derive(Clone, Debug)]
pub struct PickerOptions {
    /// Level-0 files.
    pub level0_file_num_compaction_trigger: usize,
    /// Bytes of level 1.
    pub max_bytes_for_level_base: u64,
    /// Bytes of an output.
    pub max_file_size: u64,
}

/// How much a level needs compaction: >= 1 is due. Files being compacted don't count.
pub fn score(version: &Version, level: usize, options: &PickerOptions) -> f64 {
    todo!()
}

/// Is a size compaction due? (Cheap: called after every install.)
pub fn needs_compaction(version: &Version, options: &PickerOptions) -> bool {
    todo!()
}

/// The size compaction to run now: of the highest score whose files are free; round robin by `compact_pointers`.
pub fn pick_size(
    version: &Arc<Version>,
    options: &PickerOptions,
    compact_pointers: &[Option<InternalKey>; NUM_LEVELS],
) -> Option<Compaction> {
    todo!()
}

/// The compaction of a file that was read in vain too often; None if it is no longer part of the version or is busy.
pub fn pick_seek(
    version: &Arc<Version>,
    options: &PickerOptions,
    level: usize,
    file: &Arc<FileMetaData>,
) -> Option<Compaction> {
    todo!()
}

/// What a manual compaction of a range at one level does next.
pub enum ManualPick {
    /// Nothing of the level overlaps the range: done.
    Done,
    /// Files are busy: ask again when the running compaction is installed.
    Busy,
    /// Run this; if `next_begin` is set, go on from that user key afterwards.
    Run {
        /// What to run.
        compaction: Box<Compaction>,
        /// Where the rest of the range begins (exclusive of the files taken).
        next_begin: Option<InternalKey>,
    },
}

/// A piece of the manual compaction of user keys [begin, end] at `level` (None = unbounded; `begin` as an internal key, since a piece may end inside).
pub fn pick_manual(
    version: &Arc<Version>,
    options: &PickerOptions,
    level: usize,
    begin: Option<&InternalKey>,
    end: Option<&[u8]>,
) -> ManualPick {
    todo!()
}
