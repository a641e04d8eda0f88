//! For tests of the picker: versions made by hand.

use crate::compaction::context::PickerOptions;
use crate::compaction::in_progress::CompactionsInProgress;
use crate::compaction::picker::expand;
use crate::compaction::{Compaction, CompactionReason};
use crate::comparator::bytewise;
use crate::env::ReadMode;
use crate::format::internal_key::{InternalKey, InternalKeyComparator, ValueType};
use crate::options::Options;
use crate::table::TableOptions;
use crate::table::cache::TableCache;
use crate::table::open_tables::OpenTables;
use crate::table::properties::TableProperties;
use crate::version::Version;
use crate::version::file_metadata::FileMetaData;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) mod text;
pub(crate) mod tree;

pub(crate) const MB: u64 = 1 << 20;

/// No compaction runs.
pub(crate) static NONE_RUNNING: CompactionsInProgress = CompactionsInProgress::new();

/// Four files at level 0, 10 MB at level 1, outputs of 2 MB; no snapshot is older than 1000.
pub(crate) const OPTIONS: PickerOptions<'static> = PickerOptions {
    level0_file_num_compaction_trigger: 4,
    max_bytes_for_level_base: 10 * MB,
    max_file_size: 2 * MB,
    oldest_snapshot: 1000,
    in_progress: &NONE_RUNNING,
    rewritten_from: u64::MAX,
};

/// The internal key of `user@sequence`, or of `user`, at sequence 100.
pub(crate) fn key(text: &str) -> InternalKey {
    let (user, sequence) = text.split_once('@').unwrap_or((text, "100"));
    InternalKey::new(user.as_bytes(), sequence.parse().unwrap(), ValueType::Value)
}

pub(crate) fn sized_file(number: u64, smallest: &str, largest: &str, bytes: u64) -> Arc<FileMetaData> {
    Arc::new(FileMetaData::new(number, bytes, key(smallest), key(largest)))
}

/// A file of 1 MB.
pub(crate) fn file(number: u64, smallest: &str, largest: &str) -> Arc<FileMetaData> {
    sized_file(number, smallest, largest, MB)
}

/// A file of 1 MB and 10,000 entries, so many of which are deletions, none newer than `largest_sequence`.
pub(crate) fn file_with_deletions(
    number: u64,
    smallest: &str,
    largest: &str,
    num_deletions: u64,
    largest_sequence: u64,
) -> Arc<FileMetaData> {
    let properties = TableProperties {
        num_entries: 10_000,
        num_deletions,
        raw_key_size: 240_000,
        largest_sequence,
        ..TableProperties::default()
    };
    Arc::new(FileMetaData::with_properties(number, MB, key(smallest), key(largest), properties))
}

/// A version of these files; those of level 0 in the order given, newest first.
pub(crate) fn version(levels: &[(usize, Vec<Arc<FileMetaData>>)]) -> Arc<Version> {
    let mut files: [Vec<Arc<FileMetaData>>; 7] = Default::default();
    for (level, of_level) in levels {
        files[*level] = of_level.clone();
    }
    let options = Options::default();
    let cache = TableCache::new(
        OpenTables::new(options.env.clone(), 10, options.table_metadata_budget),
        PathBuf::from("no directory"),
        Arc::new(TableOptions::new(&options)),
        ReadMode::Positioned,
    );
    Arc::new(Version::from_levels(files, InternalKeyComparator::new(bytewise()), cache))
}

/// The compaction that has these files of `level` as its seeds.
pub(crate) fn compaction_of(version: &Arc<Version>, level: usize, numbers: &[u64]) -> Compaction {
    let seeds: Vec<_> =
        version.levels[level].iter().filter(|file| numbers.contains(&file.number)).cloned().collect();
    expand::complete(version, &OPTIONS, CompactionReason::Size, level, &seeds).unwrap()
}

/// The numbers of files.
pub(crate) fn numbers(files: &[Arc<FileMetaData>]) -> Vec<u64> {
    files.iter().map(|file| file.number).collect()
}
