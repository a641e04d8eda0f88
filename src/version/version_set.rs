//! The current version of each column family, and the other state that the MANIFEST keeps.
//!
//! An edit is prepared here (numbers filled in, the next version built), then written by the thread that
//! holds the right to write the MANIFEST, then committed here. No other edit is prepared in between.
//!
//! Thread rule: no I/O and no lock of its own; in an open database guarded by the state mutex.

use super::builder::VersionBuilder;
use super::file_metadata::FileMetaData;
use super::level::Level;
use super::version_edit::VersionEdit;
use crate::error::{Error, Result};
use crate::format::NUM_LEVELS;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::family_set::FamilySet;
use crate::format::internal_key::{InternalKey, MAX_SEQUENCE};
use crate::version::Version;
use std::sync::Arc;

/// The highest next file number that a MANIFEST may have. Files and WALs have lower numbers. A higher number
/// would be refused when it is read, so it is refused before it is written.
pub const FILE_NUMBER_LIMIT: u64 = 1 << 62;

/// No database creates this many files. A file in the directory with this number or a higher one, far above
/// the MANIFEST's own numbers, is a stray. It does not count when the next number is chosen, so that it
/// cannot use the numbers up.
pub const STRAY_FILE_NUMBER: u64 = 1 << 48;

/// The directory may have files that its MANIFEST has not counted yet, but never this many.
const MAX_UNCOUNTED_FILES: u64 = 1 << 32;

/// Does a file with this number count, if the MANIFEST's next file number is `next_file_number`?
pub fn is_counted(number: u64, next_file_number: u64) -> bool {
    number < STRAY_FILE_NUMBER.max(next_file_number.saturating_add(MAX_UNCOUNTED_FILES))
}

/// Can a MANIFEST have this next file number? NotSupported if the numbers are used up.
pub fn check_file_numbers(next_file_number: u64) -> Result<()> {
    if next_file_number <= FILE_NUMBER_LIMIT {
        return Ok(());
    }
    Err(Error::not_supported(format!(
        "the database has used up its file numbers (the next one is {next_file_number}); repair it, which counts anew"
    )))
}

/// Where the next size compaction of each level starts.
pub type CompactPointers = [Option<InternalKey>; NUM_LEVELS];

/// The state of one family that the MANIFEST keeps.
struct FamilyVersion {
    comparator_name: Vec<u8>,
    current: Arc<Version>,
    compact_pointers: CompactPointers,
    /// WALs with lower numbers have no entry of the family that is not in its tables.
    log_number: u64,
}

/// The files of every family.
pub struct VersionSet {
    families: FamilySet<FamilyVersion>,
}

/// Edits that are ready to be written as one group, and the versions that they lead to.
pub struct PreparedEdits {
    /// The edits to be appended to the MANIFEST; at most one for each family.
    pub edits: Vec<VersionEdit>,
    /// The last sequence number of the entries in tables, once the edits are durable.
    pub last_sequence: u64,
    /// The version that each edit leads to.
    versions: Vec<Arc<Version>>,
    /// Files that no level has any more after the edits.
    pub removed_files: Vec<Arc<FileMetaData>>,
}

/// The counters at the end of a MANIFEST.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecoveredCounters {
    /// WALs with lower numbers are not replayed, except `prev_log_number`.
    pub log_number: u64,
    /// A WAL with a lower number that is replayed too; 0 for none. Only LevelDB before 2011 wrote another
    /// value than 0.
    pub prev_log_number: u64,
    /// No file of the MANIFEST has this number or a higher one.
    pub next_file_number: u64,
    /// The last sequence number of the entries in tables.
    pub last_sequence: u64,
}

/// Applies the edits of a MANIFEST one by one, from the empty state of `base`. Its memory is in proportion to
/// the files that are alive.
pub struct VersionRecovery {
    comparator_name: Vec<u8>,
    builder: VersionBuilder,
    compact_pointers: CompactPointers,
    has_comparator: bool,
    log_number: Option<u64>,
    prev_log_number: Option<u64>,
    next_file_number: Option<u64>,
    last_sequence: Option<u64>,
}

impl VersionRecovery {
    /// Starts from `base`, without edits.
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

    /// Applies the next edit. InvalidArgument if the database has another comparator. After an error the
    /// object must not be used any more.
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

    /// The state that the edits lead to. Corruption if a counter is missing or out of range.
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
        // A new WAL or table with a lower number than a known one would count as older.
        let highest = highest_table.max(counters.log_number).max(counters.prev_log_number);
        counters.next_file_number = counters.next_file_number.max(highest + 1);
        let default_family = FamilyVersion {
            comparator_name: self.comparator_name,
            current,
            compact_pointers: self.compact_pointers,
            log_number: counters.log_number,
        };
        Ok((VersionSet { families: FamilySet::new(default_family) }, counters))
    }
}

impl VersionSet {
    /// The default family with `version` and nothing else.
    pub fn new(comparator_name: Vec<u8>, version: Arc<Version>) -> Self {
        let (compact_pointers, log_number) = Default::default();
        let default_family =
            FamilyVersion { comparator_name, current: version, compact_pointers, log_number };
        VersionSet { families: FamilySet::new(default_family) }
    }

    /// The current version of a family.
    pub fn current(&self, family: ColumnFamilyId) -> &Arc<Version> {
        &self.families[family].current
    }

    /// Where the next size compaction of each level of a family starts.
    pub fn compact_pointers(&self, family: ColumnFamilyId) -> &CompactPointers {
        &self.families[family].compact_pointers
    }

    /// WALs with lower numbers have no entry of the family that is not in its tables.
    pub fn log_number(&self, family: ColumnFamilyId) -> u64 {
        self.families[family].log_number
    }

    /// No family needs WALs with lower numbers.
    pub fn min_log_number(&self) -> u64 {
        self.families.iter().map(|(_, family)| family.log_number).min().unwrap_or(0)
    }

    /// The same, once `edits` are durable.
    pub fn min_log_number_after(&self, edits: &[VersionEdit]) -> u64 {
        let after = |(id, family): (ColumnFamilyId, &FamilyVersion)| {
            let edit = edits.iter().find(|edit| edit.column_family == id);
            edit.and_then(|edit| edit.log_number).unwrap_or(family.log_number)
        };
        self.families.iter().map(after).min().unwrap_or(0)
    }

    /// Files of all families.
    pub fn live_files(&self) -> impl Iterator<Item = &Arc<FileMetaData>> {
        self.families.iter().flat_map(|(_, family)| family.current.levels.iter().flatten())
    }

    /// Fills in what every edit carries, and builds the versions that the edits lead to. NotSupported if a
    /// MANIFEST cannot have the next file number. Corruption if an edit contradicts the current version.
    pub fn prepare(
        &self,
        mut edits: Vec<VersionEdit>,
        next_file_number: u64,
        last_sequence: u64,
    ) -> Result<PreparedEdits> {
        check_file_numbers(next_file_number)?;
        let (mut versions, mut removed_files) = (Vec::with_capacity(edits.len()), Vec::new());
        for edit in &mut edits {
            let family = &self.families[edit.column_family];
            edit.log_number = Some(edit.log_number.unwrap_or(family.log_number));
            edit.prev_log_number = Some(0);
            edit.next_file_number = Some(next_file_number);
            edit.last_sequence = Some(last_sequence);
            let mut builder = VersionBuilder::new(family.current.clone());
            builder.apply(edit)?;
            removed_files.append(&mut builder.removed_files());
            versions.push(Arc::new(builder.finish()?));
        }
        Ok(PreparedEdits { edits, last_sequence, versions, removed_files })
    }

    /// The edits that describe the whole current state: what a new MANIFEST begins with.
    pub fn snapshot(&self, next_file_number: u64, last_sequence: u64) -> Vec<VersionEdit> {
        let describe = |(id, family): (ColumnFamilyId, &FamilyVersion)| VersionEdit {
            column_family: id,
            comparator: Some(family.comparator_name.clone()),
            log_number: Some(family.log_number),
            prev_log_number: Some(0),
            next_file_number: Some(next_file_number),
            last_sequence: Some(last_sequence),
            compact_pointers: (0..NUM_LEVELS)
                .filter_map(|level| Some((level, family.compact_pointers[level].clone()?)))
                .collect(),
            new_files: (0..NUM_LEVELS)
                .flat_map(|level| family.current.levels[level].iter().map(move |file| (level, file.clone())))
                .collect(),
            ..VersionEdit::default()
        };
        self.families.iter().map(describe).collect()
    }

    /// Makes prepared edits, which are durable now, the current state. Returns the versions that they
    /// replace.
    pub fn commit(&mut self, prepared: &PreparedEdits) -> Vec<Arc<Version>> {
        let versions = prepared.edits.iter().zip(&prepared.versions);
        let replace = |(edit, version): (&VersionEdit, &Arc<Version>)| {
            let family = &mut self.families[edit.column_family];
            for (level, key) in &edit.compact_pointers {
                family.compact_pointers[*level] = Some(key.clone());
            }
            family.log_number = edit.log_number.unwrap_or(family.log_number);
            std::mem::replace(&mut family.current, version.clone())
        };
        versions.map(replace).collect()
    }
}

#[cfg(test)]
mod tests;
