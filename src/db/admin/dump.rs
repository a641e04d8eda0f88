//! Prints a file of a database as text, line by line, in the form of LevelDB's `DumpFile`.
//!
//! The file may be damaged. What cannot be read is named in the text, and the dump continues after it if
//! possible.

use crate::batch::decode::BatchEntry;
use crate::batch::write_batch::WriteBatch;
use crate::env::{Env, ReadMode, parent_of};
use crate::error::{Error, Result};
use crate::format::display_key::{DisplayBytes, DisplayKey};
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
                _ = writeln!(text, "  put '{}' '{}'", DisplayBytes(key), DisplayBytes(value));
            }
            Ok(BatchEntry::Delete(key)) => _ = writeln!(text, "  del '{}'", DisplayBytes(key)),
            Ok(BatchEntry::PutCf(id, key, value)) => {
                _ = writeln!(text, "  put family {id} '{}' '{}'", DisplayBytes(key), DisplayBytes(value));
            }
            Ok(BatchEntry::DeleteCf(id, key)) => {
                _ = writeln!(text, "  del family {id} '{}'", DisplayBytes(key));
            }
            Err(error) => _ = writeln!(text, "  error: {error}"),
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
        _ = write!(text, "\n  CompactPointer: {level} {}", DisplayKey(key.encoded()));
    }
    for (level, number) in &edit.deleted_files {
        _ = write!(text, "\n  RemoveFile: {level} {number}");
    }
    for (level, file) in &edit.new_files {
        let (smallest, largest) = (DisplayKey(file.smallest.encoded()), DisplayKey(file.largest.encoded()));
        let (number, size) = (file.number, file.file_size);
        _ = write!(text, "\n  AddFile: {level} {number} {size} {smallest} .. {largest}");
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
        let value = DisplayBytes(iterator.value());
        let text = match ParsedInternalKey::parse(iterator.key()) {
            Some(key) => {
                let kind = if key.value_type == ValueType::Deletion { "del" } else { "val" };
                format!("'{}' @ {} : {kind} => '{value}'\n", DisplayBytes(key.user_key), key.sequence)
            }
            None => format!("badkey '{}' => '{value}'\n", DisplayBytes(iterator.key())),
        };
        line(&text)?;
        iterator.next();
    }
    match iterator.status() {
        Ok(()) => Ok(()),
        Err(error) => line(&format!("iterator error: {error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Db;
    use crate::env::mem::MemEnv;

    fn dumped(env: &MemEnv, name: &str) -> String {
        let mut text = String::new();
        let mut line = |part: &str| {
            text.push_str(part);
            Ok(())
        };
        dump_file(env, &Path::new("/db").join(name), &mut line).unwrap();
        text
    }

    #[test]
    fn logs_manifests_and_tables_are_dumped_as_leveldb_dumps_them() {
        let env = MemEnv::new();
        let options = Options { env: env.shared(), create_if_missing: true, ..Options::default() };
        let db = Db::open(&options, Path::new("/db")).unwrap();
        let mut batch = WriteBatch::new();
        batch.put(b"k\n", b"it's \\");
        batch.delete(b"x");
        db.write(&Default::default(), &batch).unwrap();
        let names =
            || env.children(Path::new("/db")).unwrap().into_iter().map(|name| name.into_string().unwrap());
        let log = names().find(|name| name.ends_with(".log")).unwrap();
        let text = dumped(&env, &log);
        assert!(text.ends_with("sequence 1\n  put 'k\\x0a' 'it's \\'\n  del 'x'\n"), "{text}");
        db.flush().unwrap();
        let table = names().find(|name| name.ends_with(".ldb")).unwrap();
        let text = dumped(&env, &table);
        assert_eq!(text, "'k\\x0a' @ 1 : val => 'it's \\'\n'x' @ 2 : del => ''\n");
        let manifest = names().find(|name| name.starts_with("MANIFEST")).unwrap();
        let text = dumped(&env, &manifest);
        assert!(text.contains("VersionEdit {\n  Comparator: leveldb.BytewiseComparator"), "{text}");
        assert!(text.contains(" 'k\\x0a' @ 1 : 1 .. 'x' @ 2 : 0\n}\n"), "{text}");
    }
}
