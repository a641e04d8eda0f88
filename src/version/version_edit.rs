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
mod tests {
    use super::*;
    use crate::format::internal_key::ValueType;

    fn key(user_key: &str, sequence: u64, value_type: ValueType) -> InternalKey {
        InternalKey::new(user_key.as_bytes(), sequence, value_type)
    }

    fn file(number: u64, size: u64) -> Arc<FileMetaData> {
        let smallest = key("foo", (1 << 50) + number, ValueType::Value);
        let largest = key("zoo", (1 << 50) + 600 + number, ValueType::Deletion);
        Arc::new(FileMetaData::new(number, size, smallest, largest))
    }

    fn full_edit() -> VersionEdit {
        VersionEdit {
            comparator: Some(b"foo\0bar".to_vec()),
            log_number: Some(1 << 50),
            prev_log_number: Some(0),
            next_file_number: Some((1 << 50) + 200),
            last_sequence: Some(MAX_SEQUENCE),
            compact_pointers: (0..7).map(|level| (level, key("x", 900, ValueType::Value))).collect(),
            deleted_files: vec![(4, (1 << 50) + 700), (0, 5)],
            new_files: vec![(3, file((1 << 50) + 300, (1 << 50) + 400)), (6, file(1, 0))],
            ..VersionEdit::default()
        }
    }

    fn encoded(edit: &VersionEdit) -> Vec<u8> {
        let mut bytes = Vec::new();
        edit.encode(&mut bytes);
        bytes
    }

    fn failure(record: &[u8]) -> String {
        let error = VersionEdit::decode(record).unwrap_err();
        assert!(error.is_corruption());
        error.message().to_string()
    }

    #[test]
    fn everything_round_trips() {
        for edit in [VersionEdit::default(), full_edit()] {
            let bytes = encoded(&edit);
            let decoded = VersionEdit::decode(&bytes).unwrap();
            assert_eq!(format!("{decoded:?}"), format!("{edit:?}"));
            assert_eq!(encoded(&decoded), bytes);
        }
    }

    #[test]
    fn bytes_are_leveldbs() {
        // The first record of every LevelDB database, and a record with a file.
        let edit = VersionEdit {
            comparator: Some(b"leveldb.BytewiseComparator".to_vec()),
            log_number: Some(0),
            next_file_number: Some(2),
            last_sequence: Some(0),
            ..VersionEdit::default()
        };
        assert_eq!(encoded(&edit), b"\x01\x1aleveldb.BytewiseComparator\x02\x00\x03\x02\x04\x00");
        let file = FileMetaData::new(5, 300, key("a", 1, ValueType::Value), key("b", 2, ValueType::Deletion));
        let edit = VersionEdit {
            log_number: Some(6),
            prev_log_number: Some(0),
            compact_pointers: vec![(1, key("c", 3, ValueType::Value))],
            deleted_files: vec![(2, 200)],
            new_files: vec![(0, Arc::new(file))],
            ..VersionEdit::default()
        };
        let mut expected = b"\x02\x06\x09\x00".to_vec();
        expected.extend_from_slice(b"\x05\x01\x09c\x01\x03\0\0\0\0\0\0");
        expected.extend_from_slice(b"\x06\x02\xc8\x01");
        expected.extend_from_slice(b"\x07\x00\x05\xac\x02\x09a\x01\x01\0\0\0\0\0\0\x09b\x00\x02\0\0\0\0\0\0");
        assert_eq!(encoded(&edit), expected);
    }

    #[test]
    fn a_record_cut_short_is_refused_or_ends_between_fields() {
        let bytes = encoded(&full_edit());
        let mut whole_prefixes = 0;
        for cut in 0..bytes.len() {
            match VersionEdit::decode(&bytes[..cut]) {
                Ok(edit) => {
                    assert_eq!(encoded(&edit), bytes[..cut]);
                    whole_prefixes += 1;
                }
                Err(error) => assert!(error.message().starts_with("VersionEdit: "), "{error}"),
            }
        }
        assert_eq!(whole_prefixes, 16); // one before each field
    }

    #[test]
    fn changed_bytes_never_panic() {
        let bytes = encoded(&full_edit());
        for position in 0..bytes.len() {
            for change in 1..=255 {
                let mut changed = bytes.clone();
                changed[position] ^= change;
                let _ = VersionEdit::decode(&changed);
            }
        }
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        let key_of = |length: u8| {
            let mut bytes = vec![length];
            bytes.resize(1 + usize::from(length), 0);
            bytes
        };
        assert_eq!(failure(b"\x01\x05abc"), "VersionEdit: comparator name");
        assert_eq!(failure(b"\x02"), "VersionEdit: log number");
        assert_eq!(failure(b"\x09\x80"), "VersionEdit: previous log number");
        assert_eq!(failure(b"\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "VersionEdit: next file number");
        assert_eq!(failure(b"\x04\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "VersionEdit: last sequence number");
        assert_eq!(failure(&[b"\x05\x01", &key_of(7)[..]].concat()), "VersionEdit: compaction pointer");
        assert_eq!(failure(&[b"\x05\x07", &key_of(8)[..]].concat()), "VersionEdit: compaction pointer");
        assert_eq!(failure(b"\x06\x07\x01"), "VersionEdit: deleted file");
        assert_eq!(failure(b"\x06\x06"), "VersionEdit: deleted file");
        let new_file = |level: u8, smallest: &[u8], largest: &[u8]| {
            [&[7, level, 1, 1], smallest, largest].concat() // tag, level, number 1, size 1
        };
        assert!(VersionEdit::decode(&new_file(6, &key_of(8), &key_of(9))).is_ok());
        for record in [
            new_file(7, &key_of(8), &key_of(8)),
            new_file(0, &key_of(7), &key_of(8)),
            new_file(0, &key_of(8), &key_of(0)),
            new_file(0, &key_of(8), b"\x08\x02\0\0\0\0\0\0\0"), // type 2
            new_file(0, &key_of(8), b""),
        ] {
            assert_eq!(failure(&record), "VersionEdit: new-file entry");
        }
        assert_eq!(failure(b"\x08\x01"), "VersionEdit: unknown tag 8");
        assert_eq!(failure(b"\xc8\x01\x01"), "VersionEdit: unknown tag 200");
        assert_eq!(failure(b"\x02\x01\xff"), "VersionEdit: invalid tag");
    }
}
