//! Version edits, as the case files under `tests/testdata` write them.
//!
//! An edit is a line of fields with `; ` in between: `comparator leveldb.BytewiseComparator`, `log 3`,
//! `previous-log 0`, `next-file 5`, `last-sequence 7`, `pointer L1 c@3`, `delete L2 200` (file 200 of level
//! 2), `add L0 5:a@1-b@2,DEL size=300` (file 5 with its smallest and its largest key). A key is
//! `user@sequence`, and `,DEL` follows if it is that of a tombstone. RocksDB's language has more: `family 2`,
//! `new-family name`, `drop -`, `highest-family 2`, `keep-log 9`, `logged-before 100`, `group 1` (one edit
//! follows), and after the size of a file `sequences=1-9` and `epoch=4`.

use crate::format::column_family_id::ColumnFamilyId;
use crate::format::internal_key::{InternalKey, ValueType, trailer};
use crate::util::test_support::unescape;
use crate::version::Version;
use crate::version::file_metadata::FileMetaData;
use crate::version::version_edit::VersionEdit;
use std::sync::Arc;

pub(crate) fn parse_edit(line: &str) -> VersionEdit {
    let mut edit = VersionEdit::default();
    for field in line.split(';').map(str::trim).filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once(' ').expect("a name and a value");
        let number = || Some(value.parse().unwrap_or_else(|_| panic!("no number: {field}")));
        match name {
            "comparator" => edit.comparator = Some(unescape(value)),
            "log" => edit.log_number = number(),
            "previous-log" => edit.prev_log_number = number(),
            "next-file" => edit.next_file_number = number(),
            "last-sequence" => edit.last_sequence = number(),
            "keep-log" => edit.beyond.min_log_number_to_keep = number(),
            "logged-before" => edit.beyond.logged_before = number(),
            "family" => edit.column_family = family(value),
            "new-family" => edit.beyond.new_family = Some(unescape(value)),
            "drop" => edit.beyond.drops_family = true,
            "highest-family" => edit.beyond.max_column_family = Some(family(value)),
            "starts-group" => edit.beyond.starts_group = true,
            "group" => edit.beyond.group_remaining = Some(value.parse().unwrap()),
            "pointer" => {
                let (level, key) = parse_level(value);
                edit.compact_pointers.push((level, parse_key(key)));
            }
            "delete" => {
                let (level, number) = parse_level(value);
                edit.deleted_files.push((level, number.parse().unwrap()));
            }
            "add" => {
                let (level, file) = parse_level(value);
                edit.new_files.push((level, parse_file(file)));
            }
            _ => panic!("no field of an edit: {field}"),
        }
    }
    edit
}

fn family(text: &str) -> ColumnFamilyId {
    ColumnFamilyId(text.parse().expect("the number of a family"))
}

fn parse_level(text: &str) -> (usize, &str) {
    let (level, rest) = text.split_once(' ').expect("a level and more");
    (level.strip_prefix('L').and_then(|level| level.parse().ok()).expect("a level"), rest)
}

fn parse_file(text: &str) -> Arc<FileMetaData> {
    let (text, epoch) =
        text.split_once(" epoch=").map_or((text, None), |(rest, epoch)| (rest, epoch.parse().ok()));
    let (text, sequences) =
        text.split_once(" sequences=").map_or((text, None), |(rest, it)| (rest, Some(it)));
    let (file, size) = text.split_once(" size=").unwrap_or((text, "1000"));
    let (number, keys) = file.split_once(':').expect("number:smallest-largest");
    let (smallest, largest) = keys.split_once('-').expect("smallest-largest");
    let [smallest, largest] = [smallest, largest].map(parse_key);
    let file = FileMetaData::new(number.parse().unwrap(), size.parse().unwrap(), smallest, largest);
    if let Some((lowest, highest)) = sequences.and_then(|range| range.split_once('-')) {
        file.set_sequences(lowest.parse().unwrap(), highest.parse().unwrap());
    }
    Arc::new(file.with_epoch(epoch))
}

/// The key of `user@sequence` or `user@sequence,DEL`.
fn parse_key(text: &str) -> InternalKey {
    let (user, sequence) = text.split_once('@').expect("user@sequence");
    let (sequence, value_type) = match sequence.strip_suffix(",DEL") {
        Some(sequence) => (sequence, ValueType::Deletion),
        None => (sequence, ValueType::Value),
    };
    InternalKey::new(&unescape(user), sequence.parse().unwrap(), value_type)
}

/// The text of an edit.
pub(crate) fn show_edit(edit: &VersionEdit) -> String {
    let mut fields = Vec::new();
    if let Some(name) = &edit.comparator {
        fields.push(format!("comparator {}", name.escape_ascii()));
    }
    for (name, number) in [
        ("log", edit.log_number),
        ("previous-log", edit.prev_log_number),
        ("next-file", edit.next_file_number),
        ("last-sequence", edit.last_sequence),
    ] {
        fields.extend(number.map(|number| format!("{name} {number}")));
    }
    fields.extend(
        edit.compact_pointers.iter().map(|(level, key)| format!("pointer L{level} {}", show_key(key))),
    );
    fields.extend(edit.deleted_files.iter().map(|(level, number)| format!("delete L{level} {number}")));
    fields.extend(edit.new_files.iter().map(|(level, file)| format!("add L{level} {}", show_file(file))));
    fields.extend(edit.beyond.max_column_family.map(|id| format!("highest-family {}", id.0)));
    fields.extend(edit.beyond.min_log_number_to_keep.map(|number| format!("keep-log {number}")));
    if edit.column_family != ColumnFamilyId::DEFAULT {
        fields.push(format!("family {}", edit.column_family.0));
    }
    fields.extend(edit.beyond.new_family.iter().map(|name| format!("new-family {}", name.escape_ascii())));
    fields.extend(edit.beyond.drops_family.then(|| "drop -".to_string()));
    fields.extend(edit.beyond.starts_group.then(|| "starts-group -".to_string()));
    fields.extend(edit.beyond.group_remaining.map(|rest| format!("group {rest}")));
    fields.extend(edit.beyond.logged_before.map(|sequence| format!("logged-before {sequence}")));
    if fields.is_empty() { "nothing".to_string() } else { fields.join("; ") }
}

fn show_file(file: &FileMetaData) -> String {
    let [smallest, largest] = [&file.smallest, &file.largest].map(show_key);
    let sequences =
        file.sequence_range().map_or(String::new(), |(low, high)| format!(" sequences={low}-{high}"));
    let epoch = if file.epoch() == file.number { String::new() } else { format!(" epoch={}", file.epoch()) };
    format!("{}:{smallest}-{largest} size={}{sequences}{epoch}", file.number, file.file_size)
}

pub(crate) fn show_key(key: &InternalKey) -> String {
    let deletion = if trailer(key.encoded()) as u8 == ValueType::Deletion as u8 { ",DEL" } else { "" };
    format!("{}@{}{deletion}", key.user_key().escape_ascii(), key.sequence())
}

/// The files of each level that has any, a line each: `L1 5:a@1-b@2 size=1000, 6:c@3-d@4 size=1000`.
pub(crate) fn show_version(version: &Version) -> String {
    let levels = version.levels.iter().enumerate().filter(|(_, files)| !files.is_empty());
    let show =
        |files: &[Arc<FileMetaData>]| files.iter().map(|file| show_file(file)).collect::<Vec<_>>().join(", ");
    levels.map(|(level, files)| format!("L{level} {}\n", show(files))).collect()
}
