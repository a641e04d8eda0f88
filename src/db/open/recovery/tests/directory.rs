//! Directories of databases, as the case files write them.

use crate::batch::write_batch::WriteBatch;
use crate::comparator::bytewise;
use crate::env::{CreateMode, Env};
use crate::language::Language;
use crate::record::test_support::FakeEnv;
use crate::record::writer::RecordWriter;
use crate::util::test_support::unescape;
use crate::version::test_support::edits::parse_edit;
use crate::wal::marker;
use std::collections::BTreeMap;
use std::path::Path;

/// Names and contents.
pub(super) type Directory = BTreeMap<String, Vec<u8>>;

/// Adds a file to the directory. `MANIFEST-000002 log 3; ... | log 5; ...`: its edits; CURRENT names the
/// first MANIFEST. `000003.log after=8 9:a,b*1000 11:-c`: a WAL of ours, whose marker says that 8 was logged
/// before it, with two batches; the first has the sequence numbers 9 and 10, and the second of its values has
/// 1,000 bytes. Without `after` it is a WAL of LevelDB's. Another line is the name of a file, and its text,
/// with escapes.
pub(super) fn add_file(directory: &mut Directory, line: &str) -> String {
    let (name, contents) = line.split_once(' ').unwrap_or((line, ""));
    if name.starts_with("MANIFEST") {
        directory.entry("CURRENT".to_string()).or_insert_with(|| format!("{name}\n").into_bytes());
        let edits: Vec<_> =
            contents.split(" | ").enumerate().map(|(nth, edit)| encode(edit, nth == 0)).collect();
        let (offsets, bytes) = framed(&edits, None);
        return put(directory, name, offsets, bytes);
    }
    if !name.ends_with(".log") {
        directory.insert(name.to_string(), unescape(contents));
        return format!("{name}\n");
    }
    let mut words: Vec<_> = contents.split_whitespace().collect();
    let after =
        words.first().and_then(|word| word.strip_prefix("after=")).map(|after| after.parse::<u64>().unwrap());
    words.drain(..usize::from(after.is_some()));
    let batches: Vec<_> = words.into_iter().map(|word| parse_batch(word).rep().to_vec()).collect();
    let (offsets, bytes) = framed(&batches, after);
    put(directory, name, offsets, bytes)
}

/// The record of an edit. The first one has a comparator.
fn encode(edit: &str, is_first: bool) -> Vec<u8> {
    let mut edit = parse_edit(edit);
    if is_first && edit.comparator.is_none() {
        edit.comparator = Some(bytewise().name());
    }
    let mut record = Vec::new();
    edit.encode(Language::LevelDb, &mut record);
    record
}

fn put(directory: &mut Directory, name: &str, offsets: Vec<u64>, bytes: Vec<u8>) -> String {
    let text = format!("{name}: records at {offsets:?}, {} bytes\n", bytes.len());
    directory.insert(name.to_string(), bytes);
    text
}

fn parse_batch(text: &str) -> WriteBatch {
    let (sequence, entries) = text.split_once(':').expect("sequence:entries");
    let mut batch = WriteBatch::new();
    for entry in entries.split(',').filter(|entry| !entry.is_empty()) {
        match (entry.strip_prefix('-'), entry.split_once('*')) {
            (Some(key), _) => batch.delete(key.as_bytes()),
            (None, Some((key, length))) => batch.put(key.as_bytes(), &vec![b'v'; length.parse().unwrap()]),
            (None, None) => batch.put(entry.as_bytes(), b"v"),
        }
    }
    batch.set_sequence(sequence.parse().unwrap());
    batch
}

/// The offsets of the records, and the bytes of the file; with the marker of our WALs if something was logged
/// before.
fn framed(records: &[Vec<u8>], after: Option<u64>) -> (Vec<u64>, Vec<u8>) {
    let env = FakeEnv::default();
    let file = env.create_writable(Path::new("/file"), CreateMode::New).unwrap();
    let mut writer = match after {
        Some(last) => RecordWriter::with_prologue(file, marker::encode(last + 1)),
        None => RecordWriter::new(file, 0),
    };
    let mut offsets = Vec::new();
    for record in records {
        let is_after_marker = after.is_some() && offsets.is_empty();
        offsets.push(if is_after_marker { marker::MARKER_SIZE as u64 } else { writer.file_size() });
        writer.add_record(record).unwrap();
    }
    (offsets, env.contents("/file"))
}
