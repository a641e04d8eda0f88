//! The first MANIFEST of a directory that was put together from tables: by a repair, or by an export.
//!
//! Thread rule: by whoever holds the directory's LOCK.

use crate::env::Env;
use crate::error::Result;
use crate::format::internal_key::SequenceNumber;
use crate::language::Language;
use crate::version::Version;
use crate::version::file_metadata::FileMetaData;
use crate::version::manifest::ManifestWriter;
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::{EditCounters, VersionSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a MANIFEST in LevelDB's language and makes CURRENT name it, durably. It has the files of `base` and
/// `new_files`, whose contents and names are durable, and needs no WAL. Returns the state and the number of
/// the MANIFEST.
pub(in crate::db) fn write(
    env: &Arc<dyn Env>,
    path: &Path,
    base: Arc<Version>,
    new_files: Vec<(usize, Arc<FileMetaData>)>,
    next_file_number: &AtomicU64,
    last_sequence: SequenceNumber,
) -> Result<(VersionSet, u64)> {
    let comparator_name = base.table_cache.options().comparator_name.clone();
    let mut versions = VersionSet::new(Language::LevelDb, comparator_name, base);
    let log_number = Some(next_file_number.fetch_add(1, Ordering::Relaxed));
    let edit = VersionEdit { log_number, new_files, ..VersionEdit::default() };
    let manifest_number = next_file_number.fetch_add(1, Ordering::Relaxed);
    let next_file_number = next_file_number.load(Ordering::Relaxed);
    let counters =
        EditCounters { next_file_number, logged_before: last_sequence, min_log_number: next_file_number };
    let prepared = versions.prepare(vec![edit], counters)?;
    drop(versions.commit(&prepared));
    let snapshot = versions.snapshot(counters);
    ManifestWriter::create(env, path, manifest_number, versions.language(), &snapshot)?;
    Ok((versions, manifest_number))
}
