//! Version edits and their bytes, as the case files of `tests/testdata/version_edit` say them, and records
//! that were cut or changed anywhere.

use super::*;
use crate::util::test_support::run_case_files;
use crate::version::test_support::edits::{parse_edit, show_edit};

/// Every field, with large numbers.
const FULL: &str = "comparator foo\\0bar; log 1125899906842624; previous-log 0; next-file 1125899906842824; \
    last-sequence 72057594037927935; pointer L0 x@900; pointer L1 x@900; pointer L6 x@900; delete L4 1125899906843324; \
    delete L0 5; add L3 1125899906842924:foo@1125899906842924-zoo@1125899906843524,DEL size=1125899906843024; \
    add L6 1:foo@1-zoo@2,DEL size=0";

fn encoded(edit: &VersionEdit) -> Vec<u8> {
    encoded_in(Language::LevelDb, edit)
}

fn encoded_in(language: Language, edit: &VersionEdit) -> Vec<u8> {
    let mut bytes = Vec::new();
    edit.encode(language, &mut bytes);
    bytes
}

#[test]
fn a_record_cut_short_is_refused_or_ends_between_fields() {
    let bytes = encoded(&parse_edit(FULL));
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
    assert_eq!(whole_prefixes, 12); // one before each field
}

#[test]
fn changed_bytes_never_panic() {
    let bytes = encoded(&parse_edit(FULL));
    for position in 0..bytes.len() {
        for change in 1..=255 {
            let mut changed = bytes.clone();
            changed[position] ^= change;
            let _ = VersionEdit::decode(&changed);
        }
    }
}

#[test]
fn the_case_files_hold() {
    run_case_files(
        "version_edit",
        || (),
        |(), case| match case.directive.as_str() {
            "encode" => {
                let language =
                    if case.take_flag("rocksdb").unwrap() { Language::RocksDb } else { Language::LevelDb };
                let record = encoded_in(language, &parse_edit(&case.input.replace('\n', ";")));
                let decoded = VersionEdit::decode(&record).unwrap();
                assert_eq!(encoded_in(language, &decoded), record);
                let (decoded, fields) = (show_edit(&decoded), fields(&record));
                assert_eq!(decoded.split("; ").count(), fields.len().max(1));
                decoded.split("; ").zip(&fields).map(|(text, bytes)| format!("{text}\n  {bytes}")).collect()
            }
            "decode" => {
                let decode = |line: &str| match VersionEdit::decode(&parse_bytes(line)) {
                    Ok(edit) => format!("{line}: {}\n", show_edit(&edit)),
                    Err(error) => format!("{line}: {error}\n"),
                };
                case.input.lines().map(decode).collect()
            }
            other => panic!("no directive: {other}"),
        },
    );
}

#[test]
fn an_edit_says_which_new_tables_are_in_leveldbs_language() {
    let text = "next-file 9; add L0 5:a@1-b@2 sequences=1-2; add L1 6:a@1-b@2 sequences=1-2";
    for logged_before in [Some(7), None] {
        let mut edit = parse_edit(text);
        edit.beyond.logged_before = logged_before;
        edit.new_files[0].1.note_language(Language::LevelDb);
        edit.new_files[1].1.note_language(Language::RocksDb);
        let languages = |language| {
            let decoded = VersionEdit::decode(&encoded_in(language, &edit)).unwrap();
            decoded.new_files.iter().map(|(_, file)| file.language()).collect::<Vec<_>>()
        };
        // An edit of RocksDB's, without `logged before`, says nothing.
        let other = logged_before.map(|_| Language::RocksDb);
        assert_eq!(languages(Language::RocksDb), [Some(Language::LevelDb), other]);
    }
    let decoded = VersionEdit::decode(&encoded_in(Language::LevelDb, &parse_edit(text))).unwrap();
    assert!(decoded.new_files.iter().all(|(_, file)| file.language() == Some(Language::LevelDb)));
    // RocksDB skips a field without bit 6, as long as its contents have a length.
    let edit = parse_edit("add L0 5:a@1-b@2 sequences=1-2");
    edit.new_files[0].1.note_language(Language::LevelDb);
    let record = encoded_in(Language::RocksDb, &edit);
    assert!(record.ends_with(&[0x0d, 1, 5, 0x81, 0x7e, 0, 1]), "{record:02x?}");
    assert_eq!(0x3f01 & 1 << 6, 0);
}

/// The bytes of words: hexadecimal digits, or text in quotes.
fn parse_bytes(line: &str) -> Vec<u8> {
    let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).expect("hex");
    let word = |word: &str| match word.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => text.as_bytes().to_vec(),
        None => word.as_bytes().chunks(2).map(hex).collect(),
    };
    line.split_whitespace().flat_map(word).collect()
}

/// A line for each field of a valid record: its bytes, with their names. It is read here by the format alone.
fn fields(mut record: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !record.is_empty() {
        let mut line = format!("{} ", hex(take_varint(&mut record).0));
        let tag = line.trim().to_owned();
        let (name, parts): (_, &[&str]) = match tag.as_str() {
            "01" => ("comparator", &["*name"]),
            "02" => ("log number", &["number"]),
            "03" => ("next file number", &["number"]),
            "04" => ("last sequence number", &["number"]),
            "05" => ("compact pointer", &["level", "*key"]),
            "06" => ("deleted file", &["level", "number"]),
            "07" => ("new file", &["level", "number", "size", "*smallest", "*largest"]),
            "09" => ("previous log number", &["number"]),
            "0a" => ("oldest WAL to keep", &["number"]),
            "67" => (
                "new file",
                &[
                    "level",
                    "number",
                    "size",
                    "*smallest",
                    "*largest",
                    "lowest",
                    "highest",
                    "epoch tag",
                    "*epoch bytes",
                    "end",
                ],
            ),
            "c801" => ("column family", &["number"]),
            "c901" => ("added family", &["*name"]),
            "ca01" => ("dropped family", &[]),
            "cb01" => ("highest family", &["number"]),
            "ac02" => ("rest of the group", &["number"]),
            "f17f" => ("logged before", &["*number bytes"]),
            _ => panic!("tag {tag}"),
        };
        line += name;
        for part in parts {
            let (bytes, number) = take_varint(&mut record);
            line += &match part.strip_prefix('*') {
                None => format!(", {part} {}", hex(bytes)),
                Some(part) => {
                    let content = record.split_off(..number as usize).unwrap();
                    let (text, trailer) = match part {
                        "name" => (content, &[][..]),
                        "epoch bytes" | "number bytes" => content.split_at(0),
                        _ => content.split_at(content.len() - 8),
                    };
                    format!(", {part} {} \"{}\" {}", hex(bytes), text.escape_ascii(), hex(trailer))
                }
            };
        }
        lines.push(line.trim_end().to_owned() + "\n");
    }
    lines
}

fn take_varint<'a>(rest: &mut &'a [u8]) -> (&'a [u8], u64) {
    let length = rest.iter().position(|byte| byte & 0x80 == 0).expect("a whole varint") + 1;
    let bytes = rest.split_off(..length).unwrap();
    (bytes, bytes.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
