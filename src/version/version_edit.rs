//! A version edit: a change of the set of files, and one record of a MANIFEST. LevelDB's format; `rocksdb`
//! has the fields that RocksDB's language has beside it.
//!
//! A record is a sequence of fields. Each is a varint32 tag and what follows it (`level` is a varint32,
//! numbers are varint64, `bytes` a varint32 length and that many bytes):
//!
//! ```text
//! 1  comparator name bytes         5  level | internal key bytes                     compact pointer
//! 2  log number                    6  level | number                                 deleted file
//! 3  next file number              7  level | number | size | smallest internal key bytes
//! 4  last sequence number               | largest internal key bytes                 new file
//! 9  previous log number
//! ```
//! A reader refuses an unknown tag: it must not act on a MANIFEST that says more than the reader understands.
//! Whether a smallest key is above its largest is not checked here, since that takes the comparator.

mod rocksdb;

use super::file_metadata::FileMetaData;
use crate::error::{Error, Result};
use crate::format::NUM_LEVELS;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::{InternalKey, MAX_SEQUENCE, ParsedInternalKey};
use crate::language::Language;
use crate::util::coding::{get_bytes, get_varint32, get_varint64, put_bytes, put_varint32, put_varint64};
use std::fmt;
use std::sync::Arc;

const COMPARATOR: u32 = 1;
const LOG_NUMBER: u32 = 2;
const NEXT_FILE_NUMBER: u32 = 3;
const LAST_SEQUENCE: u32 = 4;
const COMPACT_POINTER: u32 = 5;
const DELETED_FILE: u32 = 6;
const NEW_FILE: u32 = 7;
// LevelDB used 8 for large values, before its first release.
const PREVIOUS_LOG_NUMBER: u32 = 9;

/// File numbers and sizes above this are refused. No real number gets that high, and computations with lower
/// ones do not overflow.
const MAX_NUMBER: u64 = i64::MAX as u64;

/// A change of the set of files, and of the counters that a MANIFEST keeps.
#[derive(Clone, Default)]
pub struct VersionEdit {
    /// The column family that changes. In LevelDB's language it is the default one, and not in the record.
    pub column_family: ColumnFamilyId,
    /// The name of the user comparator.
    pub comparator: Option<Vec<u8>>,
    /// WALs with lower numbers are no longer needed.
    pub log_number: Option<u64>,
    /// A WAL that was being flushed when the edit was written. Always written as 0, as LevelDB does; old
    /// directories have other values.
    pub prev_log_number: Option<u64>,
    /// No file has this number or a higher one.
    pub next_file_number: Option<u64>,
    /// The last sequence number that is used in what the edit makes durable.
    pub last_sequence: Option<u64>,
    /// (level, key): where the next size compaction of the level starts.
    pub compact_pointers: Vec<(usize, InternalKey)>,
    /// (level, number)
    pub deleted_files: Vec<(usize, u64)>,
    /// (level, file)
    pub new_files: Vec<(usize, Arc<FileMetaData>)>,
    /// What only RocksDB's language can say.
    pub beyond: BeyondLevelDb,
}

/// The fields of an edit that LevelDB's language does not have.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BeyondLevelDb {
    /// Was a tag read that LevelDB does not know? Then the MANIFEST is in RocksDB's language.
    pub was_read: bool,
    /// The family is created, and has this name.
    pub new_family: Option<Vec<u8>>,
    /// The family is dropped.
    pub drops_family: bool,
    /// No family ever had a higher number.
    pub max_column_family: Option<ColumnFamilyId>,
    /// No family needs a WAL with a lower number, whatever its own log number is.
    pub min_log_number_to_keep: Option<u64>,
    /// The last sequence number before the first entry of the oldest WAL that is needed. Ours: RocksDB
    /// ignores it, and it is gone once RocksDB has written a MANIFEST.
    pub logged_before: Option<u64>,
    /// The edit is one of a group that counts as a whole or not at all; so many follow.
    pub group_remaining: Option<u32>,
    /// The edit is the first of its group. Ours: RocksDB ignores it.
    pub starts_group: bool,
}

impl VersionEdit {
    /// Appends the MANIFEST record to `dst`. In LevelDB's language the bytes are LevelDB's own.
    pub fn encode(&self, language: Language, dst: &mut Vec<u8>) {
        if let Some(name) = &self.comparator {
            put_varint32(dst, COMPARATOR);
            put_bytes(dst, name);
        }
        put_numbers(
            dst,
            [
                (LOG_NUMBER, self.log_number),
                (PREVIOUS_LOG_NUMBER, self.prev_log_number),
                (NEXT_FILE_NUMBER, self.next_file_number),
                (LAST_SEQUENCE, self.last_sequence),
            ],
        );
        for (level, key) in &self.compact_pointers {
            put_varint32(dst, COMPACT_POINTER);
            put_varint32(dst, *level as u32);
            put_bytes(dst, key.encoded());
        }
        for &(level, number) in &self.deleted_files {
            put_varint32(dst, DELETED_FILE);
            put_varint32(dst, level as u32);
            put_varint64(dst, number);
        }
        match language {
            Language::LevelDb => self.encode_new_files(dst),
            Language::RocksDb => self.encode_beyond(dst),
        }
    }

    fn encode_new_files(&self, dst: &mut Vec<u8>) {
        debug_assert_eq!(self.column_family, ColumnFamilyId::DEFAULT);
        for (level, file) in &self.new_files {
            put_varint32(dst, NEW_FILE);
            put_varint32(dst, *level as u32);
            put_varint64(dst, file.number);
            put_varint64(dst, file.file_size);
            put_bytes(dst, file.smallest.encoded());
            put_bytes(dst, file.largest.encoded());
        }
    }

    /// Does the edit delete file `number` at some level?
    pub fn deletes(&self, number: u64) -> bool {
        self.deleted_files.iter().any(|&(_, other)| other == number)
    }

    /// Decodes a MANIFEST record of either language. Corruption names the field; NotSupported names a feature
    /// of RocksDB that is not supported.
    pub fn decode(record: &[u8]) -> Result<Self> {
        let mut edit = VersionEdit::default();
        let mut rest = record;
        while !rest.is_empty() {
            let tag = get_varint32(&mut rest).ok_or_else(|| malformed("invalid tag"))?;
            edit.decode_field(tag, &mut rest)?;
        }
        edit.note_languages();
        Ok(edit)
    }

    fn decode_field(&mut self, tag: u32, src: &mut &[u8]) -> Result<()> {
        match tag {
            COMPARATOR => {
                let name = get_bytes(src).ok_or_else(|| malformed("comparator name"))?;
                self.comparator = Some(name.to_vec());
            }
            LOG_NUMBER => self.log_number = Some(take_number(src, MAX_NUMBER, "log number")?),
            PREVIOUS_LOG_NUMBER => {
                self.prev_log_number = Some(take_number(src, MAX_NUMBER, "previous log number")?);
            }
            NEXT_FILE_NUMBER => {
                self.next_file_number = Some(take_number(src, MAX_NUMBER, "next file number")?);
            }
            LAST_SEQUENCE => {
                self.last_sequence = Some(take_number(src, MAX_SEQUENCE, "last sequence number")?);
            }
            COMPACT_POINTER => {
                const FIELD: &str = "compaction pointer";
                self.compact_pointers.push((take_level(src, FIELD)?, take_key(src, FIELD)?));
            }
            DELETED_FILE => {
                const FIELD: &str = "deleted file";
                self.deleted_files.push((take_level(src, FIELD)?, take_number(src, MAX_NUMBER, FIELD)?));
            }
            NEW_FILE => {
                const FIELD: &str = "new-file entry";
                let level = take_level(src, FIELD)?;
                let number = take_number(src, MAX_NUMBER, FIELD)?;
                let file_size = take_number(src, MAX_NUMBER, FIELD)?;
                let smallest = take_key(src, FIELD)?;
                let largest = take_key(src, FIELD)?;
                let file = FileMetaData::new(number, file_size, smallest, largest);
                self.new_files.push((level, Arc::new(file.with_language(Language::LevelDb))));
            }
            _ => return self.decode_beyond(tag, src),
        }
        Ok(())
    }
}

fn put_numbers<const N: usize>(dst: &mut Vec<u8>, fields: [(u32, Option<u64>); N]) {
    for (tag, number) in fields {
        if let Some(number) = number {
            put_varint32(dst, tag);
            put_varint64(dst, number);
        }
    }
}

#[cold]
fn malformed(what: impl fmt::Display) -> Error {
    Error::corruption(format!("VersionEdit: {what}"))
}

fn take_number(src: &mut &[u8], max: u64, field: &str) -> Result<u64> {
    get_varint64(src).filter(|&number| number <= max).ok_or_else(|| malformed(field))
}

fn take_level(src: &mut &[u8], field: &str) -> Result<usize> {
    let level = get_varint32(src).map(|level| level as usize);
    level.filter(|&level| level < NUM_LEVELS).ok_or_else(|| malformed(field))
}

fn take_key(src: &mut &[u8], field: &str) -> Result<InternalKey> {
    let bytes = get_bytes(src).filter(|bytes| ParsedInternalKey::parse(bytes).is_some());
    InternalKey::decode(bytes.ok_or_else(|| malformed(field))?)
}

impl fmt::Debug for VersionEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new_files: Vec<_> = self
            .new_files
            .iter()
            .map(|(level, file)| (level, file.number, file.file_size, &file.smallest, &file.largest))
            .collect();
        f.debug_struct("VersionEdit")
            .field("column_family", &self.column_family)
            .field("comparator", &self.comparator.as_deref().map(|name| name.escape_ascii().to_string()))
            .field("log_number", &self.log_number)
            .field("prev_log_number", &self.prev_log_number)
            .field("next_file_number", &self.next_file_number)
            .field("last_sequence", &self.last_sequence)
            .field("compact_pointers", &self.compact_pointers)
            .field("deleted_files", &self.deleted_files)
            .field("new_files", &new_files)
            .field("beyond", &self.beyond)
            .finish()
    }
}

impl fmt::Debug for BeyondLevelDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeyondLevelDb")
            .field("new_family", &self.new_family.as_deref().map(|name| name.escape_ascii().to_string()))
            .field("drops_family", &self.drops_family)
            .field("max_column_family", &self.max_column_family)
            .field("min_log_number_to_keep", &self.min_log_number_to_keep)
            .field("logged_before", &self.logged_before)
            .field("group_remaining", &self.group_remaining)
            .field("starts_group", &self.starts_group)
            .finish()
    }
}

#[cfg(test)]
mod tests;
