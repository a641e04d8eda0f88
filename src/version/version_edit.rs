//! A version edit: a change of the set of files, and one record of a MANIFEST. LevelDB's format.
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

use super::file_metadata::FileMetaData;
use crate::error::{Error, Result};
use crate::format::NUM_LEVELS;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::{InternalKey, MAX_SEQUENCE, ParsedInternalKey};
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
    /// The column family that changes. Only the default one exists; it has no tag in the record.
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
}

impl VersionEdit {
    /// Appends the MANIFEST record to `dst`, with the fields in LevelDB's order.
    pub fn encode(&self, dst: &mut Vec<u8>) {
        debug_assert_eq!(self.column_family, ColumnFamilyId::DEFAULT);
        if let Some(name) = &self.comparator {
            put_varint32(dst, COMPARATOR);
            put_bytes(dst, name);
        }
        for (tag, number) in [
            (LOG_NUMBER, self.log_number),
            (PREVIOUS_LOG_NUMBER, self.prev_log_number),
            (NEXT_FILE_NUMBER, self.next_file_number),
            (LAST_SEQUENCE, self.last_sequence),
        ] {
            if let Some(number) = number {
                put_varint32(dst, tag);
                put_varint64(dst, number);
            }
        }
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
        for (level, file) in &self.new_files {
            put_varint32(dst, NEW_FILE);
            put_varint32(dst, *level as u32);
            put_varint64(dst, file.number);
            put_varint64(dst, file.file_size);
            put_bytes(dst, file.smallest.encoded());
            put_bytes(dst, file.largest.encoded());
        }
    }

    /// Decodes a MANIFEST record. Corruption names the field.
    pub fn decode(record: &[u8]) -> Result<Self> {
        let mut edit = VersionEdit::default();
        let mut rest = record;
        while !rest.is_empty() {
            let tag = get_varint32(&mut rest).ok_or_else(|| malformed("invalid tag"))?;
            edit.decode_field(tag, &mut rest)?;
        }
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
                self.new_files.push((level, Arc::new(file)));
            }
            _ => return Err(malformed(format_args!("unknown tag {tag}"))),
        }
        Ok(())
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
            .finish()
    }
}

#[cfg(test)]
mod tests;
