//! Prints a file of a database as text, line by line, in the form of LevelDB's `DumpFile`.
//!
//! The file may be damaged. What cannot be read is named in the text, and the dump continues after it if
//! possible.

use crate::batch::decode::BatchEntry;
use crate::batch::write_batch::WriteBatch;
use crate::env::{Env, ReadMode, parent_of};
use crate::error::{Error, Result};
use crate::format::file_name::{self, FileType};
use crate::format::internal_key::{ParsedInternalKey, ValueType};
use crate::options::{Options, ReadAt};
use crate::record::reader::{ReadOutcome, RecordReader};
use crate::table::standalone::UserKeyTable;
use crate::version::version_edit::VersionEdit;
use std::fmt::Write;
use std::path::Path;

/// Hands the text of the file at `path` (a WAL, a MANIFEST or a table, by its name) to `line`, item by item,
/// each with its line feed, in the form of LevelDB's dump. The marker at the beginning of a WAL of ours
/// appears as the empty batch that it is. InvalidArgument for a file of another kind.
pub fn dump_file(env: &dyn Env, path: &Path, line: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    match path.file_name().and_then(file_name::parse) {
        Some(FileType::Log(_)) => dump_records(env, path, line, batch_text),
        Some(FileType::Manifest(_)) => dump_records(env, path, line, edit_text),
        Some(FileType::Table(_)) => dump_table(env, path, line),
        Some(_) => Err(Error::invalid_argument(format!("{}: not a dump-able file type", path.display()))),
        None => Err(Error::invalid_argument(format!("{}: unknown file type", path.display()))),
    }
}

/// Appends printable bytes as they are, and others as `\x` and two hexadecimal digits.
fn escape(bytes: &[u8], text: &mut String) {
    for &byte in bytes {
        match byte {
            b' '..=b'~' => text.push(byte as char),
            _ => _ = write!(text, "\\x{byte:02x}"),
        }
    }
}

fn dump_records(
    env: &dyn Env,
    path: &Path,
    line: &mut dyn FnMut(&str) -> Result<()>,
    describe: fn(&[u8], &mut String),
) -> Result<()> {
    // Through a held directory no device is opened; reading one might not end.
    let held = env.hold_dir(parent_of(path))?;
    let env = held.as_deref().unwrap_or(env);
    let mut reader = RecordReader::new(env.open_sequential(path)?, path.to_path_buf());
    let mut record = Vec::new();
    loop {
        let mut text = String::new();
        match reader.read_record(&mut record)? {
            ReadOutcome::Record => {
                _ = write!(text, "--- offset {}; ", reader.record_offset());
                describe(&record, &mut text);
            }
            ReadOutcome::Damage(damage) => {
                _ = writeln!(text, "corruption: {} bytes; {}", damage.bytes, damage.error)
            }
            ReadOutcome::Hole(offset) => _ = writeln!(text, "corruption: zeros at offset {offset}"),
            ReadOutcome::End => return Ok(()),
        }
        line(&text)?;
    }
}

fn batch_text(record: &[u8], text: &mut String) {
    let too_small = record.len() < crate::batch::HEADER_SIZE;
    if too_small {
        _ = writeln!(text, "log record length {} is too small", record.len());
        return;
    }
    let batch = match WriteBatch::from_rep(record.to_vec()) {
        Ok(batch) => batch,
        Err(error) => {
            _ = writeln!(text, "error: {error}");
            return;
        }
    };
    _ = writeln!(text, "sequence {}", batch.sequence());
    for entry in batch.iter() {
        match entry {
            Ok(BatchEntry::Put(key, value)) => {
                text.push_str("  put '");
                escape(key, text);
                text.push_str("' '");
                escape(value, text);
                text.push_str("'\n");
            }
            Ok(BatchEntry::Delete(key)) => {
                text.push_str("  del '");
                escape(key, text);
                text.push_str("'\n");
            }
            Err(error) => _ = writeln!(text, "  error: {error}"),
        }
    }
}

/// Appends an internal key as `'user key' @ sequence : type`.
fn key_text(internal_key: &[u8], text: &mut String) {
    match ParsedInternalKey::parse(internal_key) {
        Some(key) => {
            text.push('\'');
            escape(key.user_key, text);
            _ = write!(text, "' @ {} : {}", key.sequence, key.value_type as u8);
        }
        None => {
            text.push_str("(bad)");
            escape(internal_key, text);
        }
    }
}

fn edit_text(record: &[u8], text: &mut String) {
    let edit = match VersionEdit::decode(record) {
        Ok(edit) => edit,
        Err(error) => {
            _ = writeln!(text, "{error}");
            return;
        }
    };
    text.push_str("VersionEdit {");
    if let Some(comparator) = &edit.comparator {
        _ = write!(text, "\n  Comparator: {}", String::from_utf8_lossy(comparator));
    }
    let numbers = [
        ("LogNumber", edit.log_number),
        ("PrevLogNumber", edit.prev_log_number),
        ("NextFile", edit.next_file_number),
        ("LastSeq", edit.last_sequence),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            _ = write!(text, "\n  {name}: {number}");
        }
    }
    for (level, key) in &edit.compact_pointers {
        _ = write!(text, "\n  CompactPointer: {level} ");
        key_text(key.encoded(), text);
    }
    for (level, number) in &edit.deleted_files {
        _ = write!(text, "\n  RemoveFile: {level} {number}");
    }
    for (level, file) in &edit.new_files {
        _ = write!(text, "\n  AddFile: {level} {} {} ", file.number, file.file_size);
        key_text(file.smallest.encoded(), text);
        text.push_str(" .. ");
        key_text(file.largest.encoded(), text);
    }
    text.push_str("\n}\n");
}

fn dump_table(env: &dyn Env, path: &Path, line: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    let size = env.file_size(path)?;
    let file = env.open_random_access(path, ReadMode::Positioned)?;
    // The entries are only scanned, so the comparator does not matter.
    let table = UserKeyTable::open(&Options::default(), file, path.to_path_buf(), size)?;
    let mut iterator = table.iter(ReadAt { fill_cache: false, ..ReadAt::default() });
    iterator.seek_to_first();
    while iterator.valid() {
        let mut text = String::new();
        match ParsedInternalKey::parse(iterator.key()) {
            Some(key) => {
                text.push('\'');
                escape(key.user_key, &mut text);
                let kind = if key.value_type == ValueType::Deletion { "del" } else { "val" };
                _ = write!(text, "' @ {} : {kind} => '", key.sequence);
            }
            None => {
                text.push_str("badkey '");
                escape(iterator.key(), &mut text);
                text.push_str("' => '");
            }
        }
        escape(iterator.value(), &mut text);
        text.push_str("'\n");
        line(&text)?;
        iterator.next();
    }
    match iterator.status() {
        Ok(()) => Ok(()),
        Err(error) => line(&format!("iterator error: {error}\n")),
    }
}
