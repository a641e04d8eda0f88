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
use crate::format::internal_key::{InternalKey, MAX_SEQUENCE};
use std::sync::Arc;

/// No MANIFEST says a next file number above it, nor a file or a log with this number: it would be refused when it is read, so
/// it is refused when it is to be written.
pub const FILE_NUMBER_LIMIT: u64 = 1 << 62;

/// No database comes to so many files by itself. A file in the directory whose name says this number or a higher one, and that
/// the MANIFEST's own numbers are far from, is a stray: it does not count when the next number is chosen, so that it can't use the
/// numbers up.
pub const STRAY_FILE_NUMBER: u64 = 1 << 48;

/// A directory has files that its MANIFEST has not counted yet, but never so many.
const MAX_UNCOUNTED_FILES: u64 = 1 << 32;

/// Does a file of this number count where the MANIFEST's next one is `next_file_number`?
pub fn is_counted(number: u64, next_file_number: u64) -> bool {
    number < STRAY_FILE_NUMBER.max(next_file_number.saturating_add(MAX_UNCOUNTED_FILES))
}

/// Can a MANIFEST say this next file number? NotSupported: the numbers are used up.
pub fn check_file_numbers(next_file_number: u64) -> Result<()> {
    if next_file_number <= FILE_NUMBER_LIMIT {
        return Ok(());
    }
    Err(Error::not_supported(format!(
        "the database has used up its file numbers (the next one is {next_file_number}); repair it, which counts anew"
    )))
}

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

/// Follows the edits of a MANIFEST, one after another, from the empty state of `base`. What it holds is in proportion to the
/// files that are alive.
pub struct VersionRecovery {
    comparator_name: Vec<u8>,
    builder: VersionBuilder,
    compact_pointers: [Option<InternalKey>; NUM_LEVELS],
    has_comparator: bool,
    log_number: Option<u64>,
    prev_log_number: Option<u64>,
    next_file_number: Option<u64>,
    last_sequence: Option<u64>,
}

impl VersionRecovery {
    /// No edit was read yet.
    pub fn new(comparator_name: Vec<u8>, base: Version) -> Self {
        VersionRecovery {
            comparator_name,
            builder: VersionBuilder::new(Arc::new(base)),
            compact_pointers: Default::default(),
            has_comparator: false,
            log_number: None,
            prev_log_number: None,
            next_file_number: None,
            last_sequence: None,
        }
    }

    /// The next edit. InvalidArgument: the database has another comparator. After an error it is of no more use.
    pub fn apply(&mut self, edit: VersionEdit) -> Result<()> {
        if let Some(name) = &edit.comparator {
            if *name != self.comparator_name {
                return Err(Error::invalid_argument(format!(
                    "{} does not match existing comparator : {}",
                    name.escape_ascii(),
                    self.comparator_name.escape_ascii()
                )));
            }
            self.has_comparator = true;
        }
        self.builder.apply(&edit)?;
        for (level, key) in edit.compact_pointers {
            self.compact_pointers[level] = Some(key);
        }
        self.log_number = edit.log_number.or(self.log_number);
        self.prev_log_number = edit.prev_log_number.or(self.prev_log_number);
        self.next_file_number = edit.next_file_number.or(self.next_file_number);
        self.last_sequence = edit.last_sequence.or(self.last_sequence);
        Ok(())
    }

    /// The state that the edits lead to.
    pub fn finish(self) -> Result<(VersionSet, RecoveredCounters)> {
        let required = |value: Option<u64>, name| {
            value.ok_or_else(|| {
                Error::corruption(format!("no {name} entry in the MANIFEST; repair the database"))
            })
        };
        let mut counters = RecoveredCounters {
            log_number: required(self.log_number, "log number")?,
            prev_log_number: self.prev_log_number.unwrap_or(0),
            next_file_number: required(self.next_file_number, "next file number")?,
            last_sequence: required(self.last_sequence, "last sequence number")?,
        };
        if !self.has_comparator {
            required(None, "comparator")?;
        }
        let current = Arc::new(self.builder.finish()?);
        let highest_table = current.levels.iter().filter_map(Level::highest_number).max().unwrap_or(0);
        for (what, number, limit) in [
            ("next file number", counters.next_file_number, FILE_NUMBER_LIMIT),
            ("last sequence number", counters.last_sequence, MAX_SEQUENCE),
            ("log number", counters.log_number, FILE_NUMBER_LIMIT - 1),
            ("previous log number", counters.prev_log_number, FILE_NUMBER_LIMIT - 1),
            ("number of table file", highest_table, FILE_NUMBER_LIMIT - 1),
        ] {
            if number > limit {
                return Err(Error::corruption(format!(
                    "the {what} {number} of the MANIFEST is out of range; repair the database"
                )));
            }
        }
        // A new log or table with a lower number than one that is known would count for an older one.
        let highest = highest_table.max(counters.log_number).max(counters.prev_log_number);
        counters.next_file_number = counters.next_file_number.max(highest + 1);
        let versions = VersionSet {
            comparator_name: self.comparator_name,
            current,
            compact_pointers: self.compact_pointers,
            log_number: counters.log_number,
        };
        Ok((versions, counters))
    }
}

impl VersionSet {
    /// Starts with `version` and nothing else.
    pub fn new(comparator_name: Vec<u8>, version: Arc<Version>) -> Self {
        VersionSet { comparator_name, current: version, compact_pointers: Default::default(), log_number: 0 }
    }

    /// The current version.
    pub fn current(&self) -> &Arc<Version> {
        &self.current
    }

    /// Fills in what every edit carries and builds the version it leads to. NotSupported: a MANIFEST can't say such a number.
    pub fn prepare(
        &self,
        mut edit: VersionEdit,
        next_file_number: u64,
        last_sequence: u64,
    ) -> Result<PreparedEdit> {
        check_file_numbers(next_file_number)?;
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
