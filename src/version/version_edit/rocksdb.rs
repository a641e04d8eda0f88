//! The fields of a version edit that RocksDB's language has beside LevelDB's.
//!
//! ```text
//! 10   number of the oldest WAL to keep
//! 100  level | number | size | smallest bytes | largest bytes | lowest sequence | highest sequence
//! 102  level | number | path | size | and so on as 100
//! 103  as 100, then fields: tag varint32 | bytes ... ended by tag 1
//! 200  number of the family that the edit is about (without it: 0)
//! 201  name bytes                                    the family is created
//! 202                                                the family is dropped
//! 203  highest number that a family ever had
//! 300  so many edits of the group follow
//! a tag with bit 13: bytes, which whoever does not know the tag ignores
//! ```
//! Tags 100, 102 and 103 are new files; only 103 is written. Of its fields, two are written: 13, the epoch
//! number, by which RocksDB orders the files of level 0; and 16129, without contents, ours: the table is in
//! LevelDB's language. A field whose tag has bit 6 must be understood, the others may be ignored.

use super::{
    BeyondLevelDb, MAX_NUMBER, VersionEdit, malformed, put_numbers, take_key, take_level, take_number,
};
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::{InternalKey, MAX_SEQUENCE, TRAILER_SIZE, rocksdb_feature};
use crate::language::Language;
use crate::util::coding::{get_bytes, get_varint32, get_varint64, put_bytes, put_varint32, put_varint64};
use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;

const MIN_LOG_NUMBER_TO_KEEP: u32 = 10;
const NEW_FILE_2: u32 = 100;
const NEW_FILE_3: u32 = 102;
const NEW_FILE_4: u32 = 103;
const COLUMN_FAMILY: u32 = 200;
const COLUMN_FAMILY_ADD: u32 = 201;
const COLUMN_FAMILY_DROP: u32 = 202;
const MAX_COLUMN_FAMILY: u32 = 203;
const IN_ATOMIC_GROUP: u32 = 300;
const BLOB_FILE_TAGS: [u32; 2] = [400, 401];

/// Tags with this bit are followed by bytes that may be ignored.
const IGNORABLE: u32 = 1 << 13;

/// Ours, among the ignorable tags, of which RocksDB counts its own up from 8193: the last sequence number
/// before the oldest WAL that is needed, a varint64.
const LOGGED_BEFORE: u32 = 0x3ff1;

/// Ours too: the edit is the first of its group. Nothing follows.
const STARTS_GROUP: u32 = 0x3ff2;

const FIELD_END: u32 = 1;
const FIELD_OLDEST_BLOB_FILE: u32 = 4;
const FIELD_EPOCH: u32 = 13;
/// Ours, of a table in LevelDB's language. Nothing follows. RocksDB ignores it.
const FIELD_LEVELDB_TABLE: u32 = 0x3f01;
/// A field whose tag has this bit must not be ignored.
const FIELD_MUST_BE_UNDERSTOOD: u32 = 1 << 6;

/// The form of a new file's entry.
#[derive(PartialEq, Eq)]
enum NewFileForm {
    Second,
    Third,
    Fourth,
}

impl VersionEdit {
    /// Appends new files, and the fields that LevelDB does not have.
    pub(super) fn encode_beyond(&self, dst: &mut Vec<u8>) {
        let last_sequence = self.last_sequence.unwrap_or(MAX_SEQUENCE);
        for (level, file) in &self.new_files {
            encode_new_file(dst, *level, file, last_sequence);
        }
        let BeyondLevelDb { new_family, drops_family, max_column_family, logged_before, .. } = &self.beyond;
        let group_remaining = self.beyond.group_remaining.map(u64::from);
        let id = u64::from(self.column_family.0);
        put_numbers(
            dst,
            [
                (MAX_COLUMN_FAMILY, max_column_family.map(|id| u64::from(id.0))),
                (MIN_LOG_NUMBER_TO_KEEP, self.beyond.min_log_number_to_keep),
                (COLUMN_FAMILY, (id != 0).then_some(id)),
            ],
        );
        if let Some(name) = new_family {
            put_varint32(dst, COLUMN_FAMILY_ADD);
            put_bytes(dst, name);
        }
        if *drops_family {
            put_varint32(dst, COLUMN_FAMILY_DROP);
        }
        put_numbers(dst, [(IN_ATOMIC_GROUP, group_remaining)]);
        if self.beyond.starts_group {
            put_varint32(dst, STARTS_GROUP);
            put_bytes(dst, &[]);
        }
        if let Some(sequence) = *logged_before {
            put_varint32(dst, LOGGED_BEFORE);
            put_bytes(dst, &varint64(sequence));
        }
    }

    /// An edit of ours says which new tables are in LevelDB's language: the others are not. In an edit of
    /// RocksDB's, any may be.
    pub(super) fn note_languages(&self) {
        let unknown = self.new_files.iter().filter(|(_, file)| file.language().is_none());
        if self.beyond.logged_before.is_some() {
            unknown.for_each(|(_, file)| file.note_language(Language::RocksDb));
        }
    }

    /// Decodes a field that LevelDB does not have.
    pub(super) fn decode_beyond(&mut self, tag: u32, src: &mut &[u8]) -> Result<()> {
        match tag {
            MIN_LOG_NUMBER_TO_KEEP => {
                let number = take_number(src, MAX_NUMBER, "number of the oldest WAL to keep")?;
                self.beyond.min_log_number_to_keep = Some(number);
            }
            NEW_FILE_2 => self.new_files.push(take_new_file(src, &NewFileForm::Second)?),
            NEW_FILE_3 => self.new_files.push(take_new_file(src, &NewFileForm::Third)?),
            NEW_FILE_4 => self.new_files.push(take_new_file(src, &NewFileForm::Fourth)?),
            COLUMN_FAMILY => self.column_family = take_family(src, "column family")?,
            COLUMN_FAMILY_ADD => {
                let name = get_bytes(src).ok_or_else(|| malformed("name of a column family"))?;
                self.beyond.new_family = Some(name.to_vec());
            }
            COLUMN_FAMILY_DROP => self.beyond.drops_family = true,
            MAX_COLUMN_FAMILY => {
                self.beyond.max_column_family = Some(take_family(src, "highest column family")?);
            }
            IN_ATOMIC_GROUP => {
                let remaining = get_varint32(src).ok_or_else(|| malformed("rest of a group"))?;
                self.beyond.group_remaining = Some(remaining);
            }
            LOGGED_BEFORE => {
                const FIELD: &str = "last sequence number before the oldest WAL";
                let mut bytes = get_bytes(src).ok_or_else(|| malformed(FIELD))?;
                self.beyond.logged_before = Some(take_number(&mut bytes, MAX_SEQUENCE, FIELD)?);
            }
            STARTS_GROUP => {
                get_bytes(src).ok_or_else(|| malformed("start of a group"))?;
                self.beyond.starts_group = true;
            }
            _ if BLOB_FILE_TAGS.contains(&tag) => return Err(not_supported("blob files")),
            _ if tag & IGNORABLE != 0 => {
                get_bytes(src).ok_or_else(|| malformed(format_args!("tag {tag}")))?;
            }
            _ => return Err(malformed(format_args!("unknown tag {tag}"))),
        }
        self.beyond.was_read = true;
        Ok(())
    }
}

#[cold]
fn not_supported(feature: &str) -> Error {
    Error::not_supported(format!("VersionEdit: {feature} of RocksDB"))
}

fn varint64(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_varint64(&mut bytes, number);
    bytes
}

/// `last_sequence` covers every table. It stands for the highest number in a table of LevelDB's about whose
/// numbers nothing is known. RocksDB uses the numbers of such a file only to order level 0, and all files
/// there are known (see `DbShared::prepare_for_families`).
fn encode_new_file(dst: &mut Vec<u8>, level: usize, file: &FileMetaData, last_sequence: u64) {
    put_varint32(dst, NEW_FILE_4);
    put_varint32(dst, level as u32);
    put_varint64(dst, file.number);
    put_varint64(dst, file.file_size);
    put_bytes(dst, file.smallest.encoded());
    put_bytes(dst, file.largest.encoded());
    let (lowest, highest) = file.sequence_range().unwrap_or((0, last_sequence));
    put_varint64(dst, lowest);
    put_varint64(dst, highest);
    put_varint32(dst, FIELD_EPOCH);
    put_bytes(dst, &varint64(file.epoch()));
    if file.language() == Some(Language::LevelDb) {
        put_varint32(dst, FIELD_LEVELDB_TABLE);
        put_bytes(dst, &[]);
    }
    put_varint32(dst, FIELD_END);
}

fn take_family(src: &mut &[u8], field: &str) -> Result<ColumnFamilyId> {
    get_varint32(src).map(ColumnFamilyId).ok_or_else(|| malformed(field))
}

fn take_new_file(src: &mut &[u8], form: &NewFileForm) -> Result<(usize, Arc<FileMetaData>)> {
    const FIELD: &str = "new-file entry";
    let level = take_level(src, FIELD)?;
    let number = take_number(src, MAX_NUMBER, FIELD)?;
    if *form == NewFileForm::Third && get_varint32(src).ok_or_else(|| malformed(FIELD))? != 0 {
        return Err(not_supported("files in several directories (db_paths)"));
    }
    let file_size = take_number(src, MAX_NUMBER, FIELD)?;
    let smallest = take_bound(src, FIELD)?;
    let largest = take_bound(src, FIELD)?;
    let lowest = take_number(src, MAX_SEQUENCE, FIELD)?;
    let highest = take_number(src, MAX_SEQUENCE, FIELD)?;
    if lowest > highest {
        return Err(malformed(format_args!("sequence numbers of file {number} from {lowest} to {highest}")));
    }
    let file = FileMetaData::new(number, file_size, smallest, largest).with_sequences(lowest, highest);
    let file = if *form == NewFileForm::Fourth { take_fields(src, file)? } else { file };
    Ok((level, Arc::new(file)))
}

/// A bound of a file. NotSupported if it is an entry of a feature that is not.
fn take_bound(src: &mut &[u8], field: &str) -> Result<InternalKey> {
    let mut probe = *src;
    let bytes = get_bytes(&mut probe).filter(|bytes| bytes.len() >= TRAILER_SIZE).unwrap_or_default();
    let type_number = bytes.len().checked_sub(TRAILER_SIZE).map(|at| bytes[at]);
    match type_number.and_then(rocksdb_feature) {
        Some(feature) => {
            Err(Error::not_supported(format!("VersionEdit: a table file that begins or ends with {feature}")))
        }
        None => take_key(src, field),
    }
}

/// The fields of a new file's entry.
fn take_fields(src: &mut &[u8], mut file: FileMetaData) -> Result<FileMetaData> {
    const FIELD: &str = "field of a new-file entry";
    loop {
        let tag = get_varint32(src).ok_or_else(|| malformed(FIELD))?;
        if tag == FIELD_END {
            return Ok(file);
        }
        let mut bytes = get_bytes(src).ok_or_else(|| malformed(FIELD))?;
        match tag {
            FIELD_EPOCH => {
                let epoch = get_varint64(&mut bytes).filter(|&epoch| (1..=MAX_NUMBER).contains(&epoch));
                if epoch.is_none() {
                    return Err(malformed(format_args!("epoch number of file {}", file.number)));
                }
                file = file.with_epoch(epoch);
            }
            FIELD_LEVELDB_TABLE => file.note_language(Language::LevelDb),
            FIELD_OLDEST_BLOB_FILE => return Err(not_supported("blob files")),
            _ if tag & FIELD_MUST_BE_UNDERSTOOD != 0 => {
                return Err(not_supported(&format!("field {tag} of a new-file entry")));
            }
            _ => {}
        }
    }
}
