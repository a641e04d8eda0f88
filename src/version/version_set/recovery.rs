//! The state at the end of a MANIFEST, from its edits.
//!
//! Edits are applied one by one, from the empty state. The memory that takes is in proportion to the files
//! that are alive. The edits of a group are applied together, when its last one was read; a group without its
//! last edit was never durable, and does not count.
//!
//! Thread rule: used by one thread.

use super::{CompactPointers, DEFAULT_FAMILY_NAME, FILE_NUMBER_LIMIT, FamilyVersion, VersionSet};
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::family_set::FamilySet;
use crate::format::internal_key::MAX_SEQUENCE;
use crate::language::Language;
use crate::version::Version;
use crate::version::builder::VersionBuilder;
use crate::version::version_edit::VersionEdit;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What the opener knows of a family: the name of its comparator, and a version of it without files.
pub struct FamilyBase {
    /// The name of the user comparator.
    pub comparator_name: Vec<u8>,
    /// The family without files.
    pub version: Version,
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
    /// No table has an entry with a higher sequence number.
    pub last_sequence: u64,
    /// The last sequence number before the first entry of the oldest WAL. `None`: unknown, because RocksDB
    /// has written the MANIFEST.
    pub logged_before: Option<u64>,
}

/// Applies the edits of a MANIFEST one by one.
pub struct VersionRecovery<'a> {
    /// The base of the family with this name; `None`: the opener does not name the family.
    base_of: &'a dyn Fn(&[u8]) -> Option<FamilyBase>,
    families: FamilySet<FamilyRecovery>,
    /// Their names.
    names: HashSet<Vec<u8>>,
    group: Vec<VersionEdit>,
    language: Language,
    /// The highest number that a family has had.
    highest_family: ColumnFamilyId,
    has_comparator: bool,
    log_number: Option<u64>,
    prev_log_number: Option<u64>,
    next_file_number: Option<u64>,
    last_sequence: Option<u64>,
    min_log_number_to_keep: u64,
    logged_before: Option<u64>,
}

struct FamilyRecovery {
    name: Vec<u8>,
    /// `None`: the opener does not name the family. What its edits say is not looked at, since its order is
    /// unknown.
    opened: Option<OpenedFamily>,
    compact_pointers: CompactPointers,
    log_number: u64,
}

struct OpenedFamily {
    comparator_name: Vec<u8>,
    builder: VersionBuilder,
}

impl FamilyRecovery {
    fn new(name: &[u8], base: Option<FamilyBase>) -> Self {
        let open = |base: FamilyBase| OpenedFamily {
            comparator_name: base.comparator_name,
            builder: VersionBuilder::new(Arc::new(base.version)),
        };
        FamilyRecovery {
            name: name.to_vec(),
            opened: base.map(open),
            compact_pointers: Default::default(),
            log_number: 0,
        }
    }
}

impl<'a> VersionRecovery<'a> {
    /// Starts without edits. `base_of` gives the base of the family with a name, `None` if the opener does
    /// not name the family.
    pub fn new(base_of: &'a dyn Fn(&[u8]) -> Option<FamilyBase>) -> Self {
        let default_family = FamilyRecovery::new(DEFAULT_FAMILY_NAME, base_of(DEFAULT_FAMILY_NAME));
        VersionRecovery {
            base_of,
            families: FamilySet::new(default_family),
            names: HashSet::from([DEFAULT_FAMILY_NAME.to_vec()]),
            group: Vec::new(),
            language: Language::LevelDb,
            highest_family: ColumnFamilyId::DEFAULT,
            has_comparator: false,
            log_number: None,
            prev_log_number: None,
            next_file_number: None,
            last_sequence: None,
            min_log_number_to_keep: 0,
            logged_before: None,
        }
    }

    /// Applies the next edit. InvalidArgument if a family has another comparator; Corruption if the edit
    /// contradicts those before it. After an error the object must not be used any more.
    pub fn apply(&mut self, edit: VersionEdit) -> Result<()> {
        let expected = self.group.last().and_then(|last| last.beyond.group_remaining);
        match (expected, edit.beyond.group_remaining) {
            (None, None) => return self.apply_one(edit),
            (None, Some(_)) => {}
            (Some(before), Some(remaining)) if remaining.checked_add(1) == Some(before) => {}
            _ => return Err(corruption("the edits of a group are not counted right")),
        }
        let is_last = edit.beyond.group_remaining == Some(0);
        self.group.push(edit);
        match is_last {
            true => std::mem::take(&mut self.group).into_iter().try_for_each(|edit| self.apply_one(edit)),
            false => Ok(()),
        }
    }

    /// Does the MANIFEST end within a group? Then nothing may be appended to it.
    pub fn is_within_group(&self) -> bool {
        !self.group.is_empty()
    }

    fn apply_one(&mut self, edit: VersionEdit) -> Result<()> {
        if edit.beyond.was_read {
            self.language = Language::RocksDb;
        }
        self.change_families(&edit)?;
        let id = edit.column_family;
        if !edit.beyond.drops_family {
            let Some(family) = self.families.get_mut(id) else {
                return Err(corruption(format_args!(
                    "an edit is about column family {}, which is not there",
                    id.0
                )));
            };
            self.has_comparator |= id == ColumnFamilyId::DEFAULT && edit.comparator.is_some();
            family.apply(&edit)?;
        }
        if id == ColumnFamilyId::DEFAULT {
            self.log_number = edit.log_number.or(self.log_number);
        }
        self.prev_log_number = edit.prev_log_number.or(self.prev_log_number);
        self.next_file_number = edit.next_file_number.or(self.next_file_number);
        self.last_sequence = edit.last_sequence.or(self.last_sequence);
        self.logged_before = edit.beyond.logged_before.or(self.logged_before);
        let keep = edit.beyond.min_log_number_to_keep.unwrap_or(0);
        self.min_log_number_to_keep = self.min_log_number_to_keep.max(keep);
        Ok(())
    }

    /// Creates or drops the edit's family, if it says so.
    fn change_families(&mut self, edit: &VersionEdit) -> Result<()> {
        let id = edit.column_family;
        if let Some(highest) = edit.beyond.max_column_family {
            // RocksDB says it where it drops a family, not where it creates one.
            if highest < self.highest_family {
                return Err(corruption(format_args!(
                    "the highest column family is {}, and there was one with the number {}",
                    highest.0, self.highest_family.0
                )));
            }
            self.highest_family = highest;
        }
        if let Some(name) = &edit.beyond.new_family {
            if self.families.get(id).is_some() || !self.names.insert(name.clone()) {
                let name = name.escape_ascii();
                return Err(corruption(format_args!("column family {} ({name}) is added twice", id.0)));
            }
            self.families.insert(id, FamilyRecovery::new(name, (self.base_of)(name)));
            self.highest_family = self.highest_family.max(id);
        }
        if edit.beyond.drops_family {
            let Some(dropped) = self.families.remove(id) else {
                return Err(corruption(format_args!("column family {} is dropped and was not there", id.0)));
            };
            self.names.remove(&dropped.name);
        }
        Ok(())
    }

    /// The names of the families that are there.
    pub fn names(&self) -> Vec<Vec<u8>> {
        self.families.iter().map(|(_, family)| family.name.clone()).collect()
    }

    /// The state that the edits lead to. InvalidArgument if there are families that the opener does not name.
    /// Corruption if a counter is missing or out of range.
    pub fn finish(self) -> Result<(VersionSet, RecoveredCounters)> {
        let required = |value: Option<u64>, name| {
            value.ok_or_else(|| {
                corruption(format_args!("no {name} entry in the MANIFEST; repair the database"))
            })
        };
        let mut counters = RecoveredCounters {
            log_number: required(self.log_number, "log number")?,
            prev_log_number: self.prev_log_number.unwrap_or(0),
            next_file_number: required(self.next_file_number, "next file number")?,
            last_sequence: required(self.last_sequence, "last sequence number")?,
            logged_before: self.logged_before,
        };
        if !self.has_comparator {
            required(None, "comparator")?;
        }
        refuse_unnamed(&self.families)?;
        let versions = VersionSet {
            language: self.language,
            families: self.families.try_map(|family| family.finish(self.language))?,
            max_column_family: self.highest_family,
            min_log_number_to_keep: self.min_log_number_to_keep,
            last_sequence: counters.last_sequence,
            may_have_old_tables: true,
        };
        check_owners(&versions)?;
        // RocksDB's MANIFESTs do not say it: whoever opens the table learns it.
        let unknown = versions.live_files().filter(|file| file.language().is_none());
        unknown.for_each(|file| file.note_language(Language::LevelDb));
        check_ranges(&versions, &mut counters)?;
        Ok((versions, counters))
    }
}

impl FamilyRecovery {
    fn apply(&mut self, edit: &VersionEdit) -> Result<()> {
        let Some(opened) = &mut self.opened else { return Ok(()) };
        if let Some(name) = &edit.comparator
            && *name != opened.comparator_name
        {
            let of_family = match self.name == DEFAULT_FAMILY_NAME {
                true => String::new(),
                false => format!("column family '{}': ", self.name.escape_ascii()),
            };
            return Err(Error::invalid_argument(format!(
                "{of_family}{} does not match existing comparator : {}",
                name.escape_ascii(),
                opened.comparator_name.escape_ascii()
            )));
        }
        opened.builder.apply(edit)?;
        for (level, key) in &edit.compact_pointers {
            self.compact_pointers[*level] = Some(key.clone());
        }
        self.log_number = edit.log_number.unwrap_or(self.log_number);
        Ok(())
    }

    fn finish(self, language: Language) -> Result<FamilyVersion> {
        let mut opened = self.opened.ok_or_else(|| corruption("a column family was not opened"))?;
        if language == Language::RocksDb {
            opened.builder.infer_epochs();
        }
        Ok(FamilyVersion {
            name: self.name,
            comparator_name: opened.comparator_name,
            current: Arc::new(opened.builder.finish()?),
            compact_pointers: self.compact_pointers,
            log_number: self.log_number,
        })
    }
}

/// InvalidArgument that names the families which the opener does not name.
fn refuse_unnamed(families: &FamilySet<FamilyRecovery>) -> Result<()> {
    let unnamed = families.iter().filter(|(_, family)| family.opened.is_none());
    let names: Vec<String> = unnamed.map(|(_, family)| family.name.escape_ascii().to_string()).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(Error::invalid_argument(format!(
        "column families are not opened: {}; every family of a database must be named to open it",
        names.join(", ")
    )))
}

/// Corruption if two families have the same table: if one of them removed it, the other would lose it.
fn check_owners(versions: &VersionSet) -> Result<()> {
    let mut owners = HashMap::new();
    for (id, family) in versions.families() {
        for file in family.current.levels.iter().flatten() {
            if let Some(other) = owners.insert(file.number, id) {
                return Err(corruption(format_args!(
                    "table file {} is in column family {} and in column family {}; repair the database",
                    file.number, other.0, id.0
                )));
            }
        }
    }
    Ok(())
}

/// Corruption if a number is out of range. Raises the next file number above every number that the MANIFEST
/// names: a new WAL or table with a lower one would count as older.
fn check_ranges(versions: &VersionSet, counters: &mut RecoveredCounters) -> Result<()> {
    let highest_table = versions.live_files().map(|file| file.number).max().unwrap_or(0);
    let highest_epoch = versions.live_files().map(|file| file.epoch()).max().unwrap_or(0);
    let highest_log = versions.families().map(|(_, family)| family.log_number).max().unwrap_or(0);
    for (what, number, limit) in [
        ("next file number", counters.next_file_number, FILE_NUMBER_LIMIT),
        ("last sequence number", counters.last_sequence, MAX_SEQUENCE),
        ("log number", highest_log.max(counters.log_number), FILE_NUMBER_LIMIT - 1),
        ("previous log number", counters.prev_log_number, FILE_NUMBER_LIMIT - 1),
        ("number of the oldest WAL to keep", versions.min_log_number_to_keep, FILE_NUMBER_LIMIT - 1),
        ("number of table file", highest_table, FILE_NUMBER_LIMIT - 1),
        ("epoch number of a table file", highest_epoch, FILE_NUMBER_LIMIT - 1),
    ] {
        if number > limit {
            return Err(corruption(format_args!(
                "the {what} {number} of the MANIFEST is out of range; repair the database"
            )));
        }
    }
    let highest = [highest_table, highest_epoch, highest_log, counters.prev_log_number];
    let next = highest.into_iter().fold(versions.min_log_number_to_keep, u64::max) + 1;
    counters.next_file_number = counters.next_file_number.max(next);
    counters.log_number = versions.min_log_number();
    Ok(())
}

#[cold]
fn corruption(what: impl std::fmt::Display) -> Error {
    Error::corruption(what.to_string())
}
