//! The current version of each column family, and the other state that the MANIFEST keeps.
//!
//! An edit is prepared here (numbers filled in, the next version built), then written by the thread that
//! holds the right to write the MANIFEST, then committed here. No other edit is prepared in between.
//!
//! Thread rule: no I/O and no lock of its own; in an open database guarded by the state mutex.

mod recovery;

pub use recovery::{FamilyBase, RecoveredCounters, VersionRecovery};

use super::builder::VersionBuilder;
use super::file_metadata::FileMetaData;
use super::version_edit::VersionEdit;
use crate::error::{Error, Result};
use crate::format::NUM_LEVELS;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::family_set::FamilySet;
use crate::format::internal_key::InternalKey;
use crate::language::Language;
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

/// The name of the family that every database has.
pub const DEFAULT_FAMILY_NAME: &[u8] = b"default";

/// The state of one family that the MANIFEST keeps.
pub struct FamilyVersion {
    name: Vec<u8>,
    comparator_name: Vec<u8>,
    current: Arc<Version>,
    compact_pointers: CompactPointers,
    /// WALs with lower numbers have no entry of the family that is not in its tables.
    log_number: u64,
}

impl FamilyVersion {
    /// A family without history: `version`, and entries in WALs from `log_number` on.
    pub fn new(name: Vec<u8>, comparator_name: Vec<u8>, version: Arc<Version>, log_number: u64) -> Self {
        let compact_pointers = Default::default();
        FamilyVersion { name, comparator_name, current: version, compact_pointers, log_number }
    }

    /// The name of the family.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The current version.
    pub fn current(&self) -> &Arc<Version> {
        &self.current
    }
}

/// The files of every family.
pub struct VersionSet {
    language: Language,
    families: FamilySet<FamilyVersion>,
    /// No family ever had a higher number.
    max_column_family: ColumnFamilyId,
    /// RocksDB's language: no family needs WALs with lower numbers, as the last durable edit says it.
    min_log_number_to_keep: u64,
    /// RocksDB's language: the last sequence number of the last durable edit. It covers every table, and
    /// never goes down.
    last_sequence: u64,
    /// RocksDB's language: some table may be in LevelDB's.
    may_have_old_tables: bool,
}

/// What every edit says of the whole database.
#[derive(Clone, Copy, Debug)]
pub struct EditCounters {
    /// No file has this number or a higher one.
    pub next_file_number: u64,
    /// The last sequence number before the first entry of the oldest WAL that is needed once the edit is
    /// durable.
    pub logged_before: u64,
    /// The number of that WAL.
    pub min_log_number: u64,
}

/// Edits that are ready to be written as one group, and the versions that they lead to.
pub struct PreparedEdits {
    /// The edits to be appended to the MANIFEST; at most one for each family, except that the creation of a
    /// family with files takes two.
    pub edits: Vec<VersionEdit>,
    /// What they say of the whole database.
    pub counters: EditCounters,
    last_sequence: u64,
    /// The version that each edit leads to. `None`: the edit is about a family that the group creates or
    /// drops.
    versions: Vec<Option<Arc<Version>>>,
    /// Files that no level has any more after the edits.
    pub removed_files: Vec<Arc<FileMetaData>>,
}

impl VersionSet {
    /// The default family with `version` and nothing else.
    pub fn new(language: Language, comparator_name: Vec<u8>, version: Arc<Version>) -> Self {
        let default_family = FamilyVersion::new(DEFAULT_FAMILY_NAME.to_vec(), comparator_name, version, 0);
        VersionSet {
            language,
            families: FamilySet::new(default_family),
            max_column_family: ColumnFamilyId::DEFAULT,
            min_log_number_to_keep: 0,
            last_sequence: 0,
            may_have_old_tables: false,
        }
    }

    /// The language of the MANIFEST.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The next MANIFEST is in RocksDB's language; `last_sequence` covers every table.
    pub fn speak_rocksdb(&mut self, last_sequence: u64) {
        self.language = Language::RocksDb;
        self.last_sequence = self.last_sequence.max(last_sequence);
        self.may_have_old_tables = true;
    }

    /// May some table be in LevelDB's language although the directory is in RocksDB's?
    pub fn may_have_old_tables(&self) -> bool {
        self.may_have_old_tables && self.language == Language::RocksDb
    }

    /// Records that all tables were seen to be in RocksDB's language.
    pub fn no_old_tables(&mut self) {
        self.may_have_old_tables = false;
    }

    /// The tables in LevelDB's language of a directory in RocksDB's, and those whose language is not known
    /// yet.
    pub fn old_tables(&self) -> impl Iterator<Item = &Arc<FileMetaData>> {
        let files = self.may_have_old_tables().then(|| self.live_files());
        files.into_iter().flatten().filter(|file| file.is_old())
    }

    /// All families, in the order of their numbers.
    pub fn families(&self) -> impl Iterator<Item = (ColumnFamilyId, &FamilyVersion)> {
        self.families.iter()
    }

    /// A family of the set.
    pub fn family(&self, id: ColumnFamilyId) -> &FamilyVersion {
        &self.families[id]
    }

    /// Has there ever been a family with this number, or may there have been?
    pub fn has_had(&self, id: ColumnFamilyId) -> bool {
        id <= self.max_column_family
    }

    /// Is there such a family?
    pub fn has(&self, family: ColumnFamilyId) -> bool {
        self.families.get(family).is_some()
    }

    /// The number of the family with this name.
    pub fn find(&self, name: &[u8]) -> Option<ColumnFamilyId> {
        self.families.iter().find(|(_, family)| family.name == name).map(|(id, _)| id)
    }

    /// The number of the next family to be created; `None`: the numbers are used up.
    pub fn next_column_family(&self) -> Option<ColumnFamilyId> {
        self.max_column_family.0.checked_add(1).map(ColumnFamilyId)
    }

    /// Adds a family that a durable edit has created.
    pub fn add_family(&mut self, id: ColumnFamilyId, family: FamilyVersion) {
        self.families.insert(id, family);
    }

    /// Takes out a family that a durable edit has dropped.
    pub fn remove_family(&mut self, id: ColumnFamilyId) -> Option<FamilyVersion> {
        self.families.remove(id)
    }

    /// The current version of a family.
    pub fn current(&self, family: ColumnFamilyId) -> &Arc<Version> {
        &self.families[family].current
    }

    /// Where the next size compaction of each level of a family starts.
    pub fn compact_pointers(&self, family: ColumnFamilyId) -> &CompactPointers {
        &self.families[family].compact_pointers
    }

    /// WALs with lower numbers have no entry of the family that is not in its tables, by the MANIFEST.
    pub fn log_number(&self, family: ColumnFamilyId) -> u64 {
        self.families[family].log_number
    }

    /// By the MANIFEST no family needs WALs with lower numbers.
    pub fn min_log_number(&self) -> u64 {
        let of_families = self.families.iter().map(|(_, family)| family.log_number).min();
        of_families.unwrap_or(0).max(self.min_log_number_to_keep)
    }

    /// Files of all families.
    pub fn live_files(&self) -> impl Iterator<Item = &Arc<FileMetaData>> {
        self.families.iter().flat_map(|(_, family)| family.current.levels.iter().flatten())
    }

    /// Fills in what every edit carries, and builds the versions that the edits lead to. An edit may be about
    /// a family that an edit before it creates. NotSupported if a MANIFEST cannot have the next file number.
    /// Corruption if an edit contradicts the current version.
    pub fn prepare(&self, mut edits: Vec<VersionEdit>, counters: EditCounters) -> Result<PreparedEdits> {
        check_file_numbers(counters.next_file_number)?;
        let (mut versions, mut removed_files) = (Vec::with_capacity(edits.len()), Vec::new());
        let new_files = edits.iter().flat_map(|edit| &edit.new_files);
        let highest = new_files.filter_map(|(_, file)| Some(file.sequence_range()?.1)).max().unwrap_or(0);
        let last_sequence = match self.language {
            Language::LevelDb => counters.logged_before,
            Language::RocksDb => self.last_sequence.max(counters.logged_before).max(highest),
        };
        let (mut remaining, is_group) = (edits.len() as u32, edits.len() > 1);
        let mut created = None;
        for (index, edit) in edits.iter_mut().enumerate() {
            self.fill_in(edit, counters, last_sequence);
            remaining -= 1;
            edit.beyond.starts_group = is_group && index == 0;
            edit.beyond.group_remaining = is_group.then_some(remaining);
            if edit.beyond.new_family.is_some() {
                created = Some(edit.column_family);
            }
            if created == Some(edit.column_family) || edit.beyond.drops_family {
                versions.push(None);
                continue;
            }
            let mut builder = VersionBuilder::new(self.families[edit.column_family].current.clone());
            builder.apply(edit)?;
            removed_files.append(&mut builder.removed_files());
            versions.push(Some(Arc::new(builder.finish()?)));
        }
        Ok(PreparedEdits { edits, counters, last_sequence, versions, removed_files })
    }

    fn fill_in(&self, edit: &mut VersionEdit, counters: EditCounters, last_sequence: u64) {
        let log_number = self.families.get(edit.column_family).map(|family| family.log_number);
        edit.log_number = edit.log_number.or(log_number);
        edit.prev_log_number = Some(0);
        edit.next_file_number = Some(counters.next_file_number);
        edit.last_sequence = Some(last_sequence);
        if self.language == Language::RocksDb {
            edit.beyond.min_log_number_to_keep = Some(counters.min_log_number);
            edit.beyond.logged_before = Some(counters.logged_before);
        }
    }

    /// The edits that describe the whole current state: what a new MANIFEST begins with. `counters` are those
    /// of the state itself.
    pub fn snapshot(&self, counters: EditCounters) -> Vec<VersionEdit> {
        let last_sequence = match self.language {
            Language::LevelDb => counters.logged_before,
            Language::RocksDb => self.last_sequence.max(counters.logged_before),
        };
        self.families
            .iter()
            .flat_map(|(id, family)| self.describe(id, family, counters, last_sequence))
            .collect()
    }

    /// The edits that describe a family: one in LevelDB's language; in RocksDB's, one that creates the family
    /// (the default one exists already) and says its comparator, and one with its files.
    fn describe(
        &self,
        id: ColumnFamilyId,
        family: &FamilyVersion,
        counters: EditCounters,
        last_sequence: u64,
    ) -> Vec<VersionEdit> {
        let mut first = VersionEdit {
            column_family: id,
            comparator: Some(family.comparator_name.clone()),
            ..VersionEdit::default()
        };
        let mut files = match self.language {
            Language::LevelDb => std::mem::take(&mut first),
            Language::RocksDb => VersionEdit { column_family: id, ..VersionEdit::default() },
        };
        files.compact_pointers = (0..NUM_LEVELS)
            .filter_map(|level| Some((level, family.compact_pointers[level].clone()?)))
            .collect();
        files.new_files = family.current.new_files();
        self.fill_in(&mut files, counters, last_sequence);
        if self.language == Language::LevelDb {
            return vec![files];
        }
        if id == ColumnFamilyId::DEFAULT {
            files.beyond.max_column_family = Some(self.max_column_family);
        } else {
            first.beyond.new_family = Some(family.name.clone());
            first.log_number = files.log_number;
        }
        vec![first, files]
    }

    /// Makes prepared edits, which are durable now, the current state. Returns the versions that they
    /// replace.
    pub fn commit(&mut self, prepared: &PreparedEdits) -> Vec<Arc<Version>> {
        self.last_sequence = prepared.last_sequence;
        let new_files = prepared.edits.iter().flat_map(|edit| &edit.new_files);
        self.may_have_old_tables |= new_files.into_iter().any(|(_, file)| file.is_old());
        self.min_log_number_to_keep = match self.language {
            Language::LevelDb => 0,
            Language::RocksDb => prepared.counters.min_log_number,
        };
        let mut replaced = Vec::new();
        for (edit, version) in prepared.edits.iter().zip(&prepared.versions) {
            self.max_column_family =
                self.max_column_family.max(edit.beyond.max_column_family.unwrap_or_default());
            let (Some(version), Some(family)) = (version, self.families.get_mut(edit.column_family)) else {
                continue; // the caller adds or removes the family
            };
            for (level, key) in &edit.compact_pointers {
                family.compact_pointers[*level] = Some(key.clone());
            }
            family.log_number = edit.log_number.unwrap_or(family.log_number);
            replaced.push(std::mem::replace(&mut family.current, version.clone()));
        }
        replaced
    }
}

#[cfg(test)]
mod tests;
