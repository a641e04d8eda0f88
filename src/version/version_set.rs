//! The current version of each family, and what the MANIFEST says beside the files.
//!
//! Lives under the state mutex, and does no I/O: an edit is prepared here (numbers filled in, the next version built),
//! written by whoever holds the right to write the MANIFEST, and then committed here. Between the two no other edit is
//! prepared.

use super::builder::VersionBuilder;
use super::file_metadata::FileMetaData;
use super::level::Level;
use super::version::Version;
use super::version_edit::VersionEdit;
use crate::error::{Error, Result};
use crate::format::NUM_LEVELS;
use crate::format::internal_key::InternalKey;
use std::sync::Arc;

/// File numbers are below it, so that there is always a higher one. A stray file whose name says more is no reason to use the
/// numbers up; in a MANIFEST it is damage.
pub const FILE_NUMBER_LIMIT: u64 = 1 << 62;

/// The files of every family (one, so far) and the counters of the MANIFEST.
pub struct VersionSet {
    comparator_name: Vec<u8>,
    current: Arc<Version>,
    /// Where the next size compaction of each level starts.
    pub compact_pointers: [Option<InternalKey>; NUM_LEVELS],
    /// Logs below it are no longer needed.
    pub log_number: u64,
}

/// An edit ready to be written, and the version it leads to.
pub struct PreparedEdit {
    /// To be appended to the MANIFEST.
    pub edit: VersionEdit,
    /// The state behind it.
    pub version: Arc<Version>,
    /// Files that are part of no level behind it.
    pub removed_files: Vec<Arc<FileMetaData>>,
}

/// The counters a MANIFEST ends with.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecoveredCounters {
    /// Logs below it are not replayed...
    pub log_number: u64,
    /// ...but for this one (0 for none; only LevelDB before 2011 wrote another).
    pub prev_log_number: u64,
    /// No file of the MANIFEST has this number or a higher one.
    pub next_file_number: u64,
    /// Of everything in tables.
    pub last_sequence: u64,
}

impl VersionSet {
    /// Starts with `version` and nothing else.
    pub fn new(comparator_name: Vec<u8>, version: Arc<Version>) -> Self {
        VersionSet { comparator_name, current: version, compact_pointers: Default::default(), log_number: 0 }
    }

    /// The state that the edits of a MANIFEST lead to, from the empty state of `base`.
    pub fn recover(
        comparator_name: Vec<u8>,
        base: Version,
        edits: &[VersionEdit],
    ) -> Result<(Self, RecoveredCounters)> {
        let mut builder = VersionBuilder::new(Arc::new(base));
        let mut counters = [None; 4];
        let mut compact_pointers: [Option<InternalKey>; NUM_LEVELS] = Default::default();
        for edit in edits {
            if let Some(name) = &edit.comparator
                && *name != comparator_name
            {
                return Err(Error::invalid_argument(format!(
                    "{} does not match existing comparator : {}",
                    name.escape_ascii(),
                    comparator_name.escape_ascii()
                )));
            }
            builder.apply(edit)?;
            for (level, key) in &edit.compact_pointers {
                compact_pointers[*level] = Some(key.clone());
            }
            let fields = [edit.log_number, edit.prev_log_number, edit.next_file_number, edit.last_sequence];
            for (counter, field) in counters.iter_mut().zip(fields) {
                *counter = field.or(*counter);
            }
        }
        let required = |value: Option<u64>, name| {
            value.ok_or_else(|| {
                Error::corruption(format!("no {name} entry in the MANIFEST; repair the database"))
            })
        };
        let counters = RecoveredCounters {
            log_number: required(counters[0], "log number")?,
            prev_log_number: counters[1].unwrap_or(0),
            next_file_number: required(counters[2], "next file number")?,
            last_sequence: required(counters[3], "last sequence number")?,
        };
        if edits.iter().all(|edit| edit.comparator.is_none()) {
            required(None, "comparator")?;
        }
        if counters.next_file_number > FILE_NUMBER_LIMIT {
            return Err(Error::corruption(format!(
                "next file number {} of the MANIFEST is out of range; repair the database",
                counters.next_file_number
            )));
        }
        if counters.last_sequence > crate::format::internal_key::MAX_SEQUENCE {
            return Err(Error::corruption(
                "last sequence number of the MANIFEST is out of range; repair the database",
            ));
        }
        let current = Arc::new(builder.finish()?);
        let highest = current.levels.iter().filter_map(Level::highest_number).max().unwrap_or(0);
        if highest >= FILE_NUMBER_LIMIT {
            // New tables would have lower numbers, and level 0 is ordered by them.
            return Err(Error::corruption(format!(
                "the number of table file {highest} is out of range; repair the database"
            )));
        }
        let log_number = counters.log_number;
        Ok((VersionSet { comparator_name, current, compact_pointers, log_number }, counters))
    }

    /// The current version.
    pub fn current(&self) -> &Arc<Version> {
        &self.current
    }

    /// Fills in what every edit carries and builds the version it leads to.
    pub fn prepare(
        &self,
        mut edit: VersionEdit,
        next_file_number: u64,
        last_sequence: u64,
    ) -> Result<PreparedEdit> {
        edit.log_number = Some(edit.log_number.unwrap_or(self.log_number));
        edit.prev_log_number = Some(0);
        edit.next_file_number = Some(next_file_number);
        edit.last_sequence = Some(last_sequence);
        let mut builder = VersionBuilder::new(self.current.clone());
        builder.apply(&edit)?;
        let removed_files = builder.removed_files();
        Ok(PreparedEdit { version: Arc::new(builder.finish()?), edit, removed_files })
    }

    /// The edit that describes the whole current state: what a new MANIFEST begins with.
    pub fn snapshot(&self, next_file_number: u64, last_sequence: u64) -> VersionEdit {
        VersionEdit {
            comparator: Some(self.comparator_name.clone()),
            log_number: Some(self.log_number),
            prev_log_number: Some(0),
            next_file_number: Some(next_file_number),
            last_sequence: Some(last_sequence),
            compact_pointers: (0..NUM_LEVELS)
                .filter_map(|level| Some((level, self.compact_pointers[level].clone()?)))
                .collect(),
            new_files: (0..NUM_LEVELS)
                .flat_map(|level| self.current.levels[level].iter().map(move |file| (level, file.clone())))
                .collect(),
            ..VersionEdit::default()
        }
    }

    /// Makes a prepared edit, which is durable now, the current state; returns the version before it.
    pub fn commit(&mut self, prepared: &PreparedEdit) -> Arc<Version> {
        for (level, key) in &prepared.edit.compact_pointers {
            self.compact_pointers[*level] = Some(key.clone());
        }
        self.log_number = prepared.edit.log_number.unwrap_or(self.log_number);
        std::mem::replace(&mut self.current, prepared.version.clone())
    }
}
