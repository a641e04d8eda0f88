//! A database with column families whose MANIFEST, WAL or tables have false contents: an error that names the
//! file and the trouble, and no file changed.

use super::support::{WRITE, manifest, open_with, scan};
use crate::fuzz::archive::{Files, disk, files, path};
use crate::fuzz::exercise::Setting;
use crate::fuzz::mend;
use std::sync::Arc;
use terrace::env::mem::MemEnv;
use terrace::internals::format::internal_key::{InternalKey, ValueType};
use terrace::internals::util::coding::{put_bytes, put_varint32, put_varint64};
use terrace::{ColumnFamilyHandle, Comparator, Db, Error, Options, ReadOptions, Result, WriteBatch};

/// What is expected of an open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Corruption,
    NotSupported,
    InvalidArgument,
}
use Kind::{Corruption, InvalidArgument, NotSupported};

/// Two families, 1 `index` with a table and 2 `log`; 3 was dropped. The WAL has a batch over both.
fn database() -> Files {
    super::support::database(
        |_| (),
        |db| {
            let new = |name: &str| db.create_column_family(name, &small()).expect("a new family");
            let (index, log) = (new("index"), new("log"));
            db.drop_column_family(&new("dropped")).expect("a drop");
            put(db, [&index, &log], "flushed");
            db.flush_cf(&index).expect("a flush");
            put(db, [&index, &log], "logged");
        },
    )
}

fn small() -> Options {
    Options { write_buffer_size: 64 << 10, ..Options::default() }
}

/// Puts a key into two families and into the default one, in one batch.
fn put(db: &Db, families: [&ColumnFamilyHandle; 2], key: &str) {
    let mut batch = WriteBatch::new();
    batch.put(key.as_bytes(), b"value");
    families.iter().for_each(|family| batch.put_cf(family, key.as_bytes(), b"value"));
    db.write(&WRITE, &batch).expect("a write");
}

fn open_families(env: &MemEnv, paranoid: bool, of_index: &Options) -> Result<(Db, Vec<ColumnFamilyHandle>)> {
    let options = Options { paranoid_checks: paranoid, ..Setting::default().options(env) };
    Db::open_with_families(&options, &path(), &[("index", of_index), ("log", &options)])
}

/// Asserts that an open fails with an error of this kind that says all of `what`, and changes no file.
fn assert_refused(case: &str, content: &Files, paranoid: bool, kind: Kind, what: &[&str]) {
    let env = disk(content, false);
    let before = files(&env);
    for _ in 0..2 {
        let opened = open_families(&env, paranoid, &small());
        assert_kind(case, &opened.map(drop).expect_err(case), kind, what);
        assert!(files(&env) == before, "{case}: files have changed");
    }
}

fn assert_kind(case: &str, error: &Error, kind: Kind, what: &[&str]) {
    let is_kind = match kind {
        Corruption => error.is_corruption(),
        NotSupported => error.is_not_supported(),
        InvalidArgument => error.kind() == terrace::ErrorKind::InvalidArgument,
    };
    let text = error.to_string();
    assert!(is_kind, "{case}: {text}");
    what.iter().for_each(|part| assert!(text.contains(part), "{case}: `{part}` is not in: {text}"));
}

/// One field of an edit.
enum Field<'a> {
    /// A tag and numbers.
    Numbers(u32, &'a [u64]),
    /// A tag and bytes.
    Bytes(u32, &'a [u8]),
    /// Tag 103: level, number, the sequence numbers, and the tags and bytes of its fields.
    File(u64, u64, [u64; 2], &'a [(u32, &'a [u8])]),
}
use Field::{Bytes, File, Numbers};

/// The record of an edit with these fields.
fn edit(fields: &[Field<'_>]) -> Vec<u8> {
    let mut record = Vec::new();
    let key = |user: &[u8]| InternalKey::new(user, 1, ValueType::Value);
    for field in fields {
        match field {
            Numbers(tag, numbers) => {
                put_varint32(&mut record, *tag);
                numbers.iter().for_each(|&number| put_varint64(&mut record, number));
            }
            Bytes(tag, bytes) => {
                put_varint32(&mut record, *tag);
                put_bytes(&mut record, bytes);
            }
            File(level, number, sequences, more) => {
                put_varint32(&mut record, 103);
                [*level, *number, 100].iter().for_each(|&number| put_varint64(&mut record, number));
                put_bytes(&mut record, key(b"x").encoded());
                put_bytes(&mut record, key(b"y").encoded());
                sequences.iter().for_each(|&number| put_varint64(&mut record, number));
                for (tag, bytes) in *more {
                    put_varint32(&mut record, *tag);
                    put_bytes(&mut record, bytes);
                }
                put_varint32(&mut record, 1);
            }
        }
    }
    record
}

/// A new family with this number and name.
fn add<'a>(id: &'a [u64], name: &'a str) -> [Field<'a>; 2] {
    [Numbers(200, id), Bytes(201, name.as_bytes())]
}

/// The files with more records in the MANIFEST.
fn with_edits(files: &Files, edits: &[&[Field<'_>]]) -> Files {
    let mut files = files.clone();
    let manifest = manifest(&mut files);
    let mut records = mend::parse_records(&manifest.1);
    records.extend(edits.iter().map(|fields| edit(fields)));
    manifest.1 = mend::frame_records(&records);
    files
}

#[test]
fn a_manifest_that_contradicts_itself_about_families_is_refused() {
    let highest = Numbers(203, &[9]);
    let [three, nine] = [&[3u64][..], &[9][..]];
    let cases: [(&str, &[&[Field<'_>]], Kind, &str); 20] = [
        ("a number twice", &[&add(&[1], "again")], Corruption, "column family 1 (again) is added twice"),
        ("the default family again", &[&add(&[0], "again")], Corruption, "is added twice"),
        ("a name twice", &[&[highest], &add(nine, "index")], Corruption, "9 (index) is added twice"),
        ("the name of the default family", &[&add(&[3], "default")], Corruption, "(default) is added twice"),
        (
            "a drop of what never was",
            &[&[Numbers(200, nine), Numbers(202, &[])]],
            Corruption,
            "column family 9 is dropped and was not there",
        ),
        (
            "a second drop",
            &[&[Numbers(200, three), Numbers(202, &[])]],
            Corruption,
            "column family 3 is dropped and was not there",
        ),
        ("a drop of family 0", &[&[Numbers(202, &[])]], Corruption, "column family 0 is dropped"),
        (
            "an edit of what never was",
            &[&[Numbers(200, nine), Numbers(2, &[5])]],
            Corruption,
            "about column family 9, which is not there",
        ),
        (
            "an edit of what was dropped",
            &[&[Numbers(200, three), Numbers(2, &[5])]],
            Corruption,
            "about column family 3, which is not there",
        ),
        (
            "a group that ends too early",
            &[&[Numbers(2, &[5]), Numbers(300, &[2])], &[Numbers(300, &[0])]],
            Corruption,
            "not counted right",
        ),
        (
            "a group that counts up",
            &[&[Numbers(300, &[1])], &[Numbers(300, &[2])]],
            Corruption,
            "not counted right",
        ),
        (
            "an edit amidst a group",
            &[&[Numbers(300, &[1])], &[Numbers(2, &[5])]],
            Corruption,
            "not counted right",
        ),
        (
            "a field of a file that must be understood",
            &[&[File(1, 90, [1, 2], &[(13, &[1]), (65, b"?")])]],
            NotSupported,
            "field 65 of a new-file entry",
        ),
        ("a blob file of a file", &[&[File(1, 90, [1, 2], &[(4, &[1])])]], NotSupported, "blob files"),
        (
            "an inverted range of sequence numbers",
            &[&[File(1, 90, [7, 6], &[(13, &[1])])]],
            Corruption,
            "sequence numbers of file 90 from 7 to 6",
        ),
        ("epoch 0", &[&[File(1, 90, [1, 2], &[(13, &[0])])]], Corruption, "epoch number of file 90"),
        ("level 7", &[&[File(7, 90, [1, 2], &[(13, &[1])])]], Corruption, "new-file entry"),
        ("a file that is not there", &[&[File(1, 90, [1, 2], &[(13, &[1])])]], Corruption, "000090."),
        ("a blob file", &[&[Numbers(400, &[1])]], NotSupported, "blob files"),
        ("a tag that may not be ignored", &[&[Numbers(301, &[1])]], Corruption, "unknown tag 301"),
    ];
    let files = database();
    for (case, edits, kind, what) in cases {
        let damaged = with_edits(&files, edits);
        for paranoid in [false, true] {
            assert_refused(case, &damaged, paranoid, kind, &[what, "/db/"]);
        }
    }
    // What may be ignored: an unknown tag with bit 13, an unknown field of a file of which bit 6 is not set.
    let ignored = with_edits(&files, &[&[Bytes(0x2fff, b"?")]]);
    assert_whole("a tag that may be ignored", &ignored);
}

/// Asserts that the database opens, and has both keys in all families.
fn assert_whole(case: &str, content: &Files) {
    for paranoid in [false, true] {
        let env = disk(content, false);
        let (db, handles) =
            open_families(&env, paranoid, &small()).unwrap_or_else(|error| panic!("{case}: {error}"));
        for family in [&db.default_column_family(), &handles[0], &handles[1]] {
            for key in ["flushed", "logged"] {
                let found = db.get_cf(family, &ReadOptions::default(), key.as_bytes()).expect(case);
                assert_eq!(found.as_deref(), Some(&b"value"[..]), "{case}: {key}");
            }
        }
    }
}

#[test]
fn a_table_of_two_families_is_refused() {
    let mut files = database();
    let records = mend::parse_records(&manifest(&mut files).1);
    let has_table = |record: &&Vec<u8>| {
        let edit = terrace::internals::version::version_edit::VersionEdit::decode(record);
        edit.is_ok_and(|edit| !edit.new_files.is_empty() && edit.column_family.0 == 1)
    };
    let mut stolen = records.iter().rev().find(has_table).expect("a table of `index`").clone();
    // The same edit for family 2: of two numbers of a family, the last one counts.
    stolen.extend(edit(&[Numbers(200, &[2])]));
    let manifest = manifest(&mut files);
    manifest.1 = mend::frame_records(&[records, vec![stolen]].concat());
    for paranoid in [false, true] {
        assert_refused(
            "a table of two families",
            &files,
            paranoid,
            Corruption,
            &["/db/", "is in column family 1 and in column family 2"],
        );
    }
}

/// The newest WAL.
fn log(files: &mut Files) -> &mut (String, Vec<u8>) {
    let logs = files.iter_mut().filter(|(name, _)| name.ends_with(".log"));
    logs.max_by(|a, b| a.0.cmp(&b.0)).expect("a WAL")
}

/// The files with one more batch in the WAL: of one entry as its header says, but with these bytes.
fn with_batch(files: &Files, count: u32, entries: &[u8]) -> Files {
    let mut files = files.clone();
    let log = log(&mut files);
    let mut records = mend::parse_records(&log.1);
    let last = records.last().expect("a batch");
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let next = number(&last[..8]) + u64::from(last[8]);
    records.push([&next.to_le_bytes()[..], &count.to_le_bytes(), entries].concat());
    log.1 = mend::frame_records(&records);
    files
}

#[test]
fn a_wal_with_entries_of_what_is_not_supported_is_refused_and_the_feature_named() {
    let files = database();
    let name = log(&mut files.clone()).0.clone();
    let features = [
        (2, "a merge operand"),
        (6, "a merge operand"),
        (7, "a single delete"),
        (8, "a single delete"),
        (9, "a two-phase commit"),
        (10, "a two-phase commit"),
        (11, "a two-phase commit"),
        (12, "a two-phase commit"),
        (14, "a range deletion"),
        (15, "a range deletion"),
        (16, "a reference to a blob file"),
        (17, "a reference to a blob file"),
        (18, "a two-phase commit"),
        (19, "a two-phase commit"),
        (22, "a wide-column entity"),
        (23, "a wide-column entity"),
        (24, "a put with a preferred sequence number"),
        (25, "a put with a preferred sequence number"),
    ];
    for (tag, feature) in features {
        let damaged = with_batch(&files, 1, &[tag, 1, 1, b'k', 1, b'v']);
        for paranoid in [false, true] {
            let what = [&*name, feature, &format!("(type {tag})"), "/db/", " at offset "];
            assert_refused(&format!("type {tag}"), &damaged, paranoid, NotSupported, &what);
        }
    }
}

#[test]
fn a_wal_that_contradicts_itself_about_families_is_refused_with_paranoid_checks() {
    let files = database();
    let name = log(&mut files.clone()).0.clone();
    // Types 20, 21 and 26 do not exist. Of a batch, log data (3) and nothing (13) do not count.
    let cases: [(&str, u32, &[u8]); 9] = [
        ("type 20", 1, &[20, 1, b'k']),
        ("type 21", 1, &[21, 1, b'k']),
        ("type 26", 1, &[26, 1, b'k']),
        ("log data counted", 2, &[1, 1, b'k', 1, b'v', 3, 1, b'd']),
        ("nothing counted", 2, &[1, 1, b'k', 1, b'v', 13]),
        ("an entry that is not counted", 1, &[1, 1, b'k', 1, b'v', 5, 1, 1, b'k', 1, b'v']),
        ("log data cut short", 1, &[1, 1, b'k', 1, b'v', 3, 9, b'd']),
        ("no number of a family", 1, &[5]),
        ("a number of a family of 33 bits", 1, &[5, 0xff, 0xff, 0xff, 0xff, 0x1f, 1, b'k', 1, b'v']),
    ];
    for (case, count, entries) in cases {
        let damaged = with_batch(&files, count, entries);
        assert_refused(case, &damaged, true, Corruption, &[&name, "/db/", " at offset "]);
        // Without paranoid checks, the batch is left out and the damage reported.
        let env = disk(&damaged, false);
        let (db, _) = open_families(&env, false, &small()).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(db.get(&ReadOptions::default(), b"k").expect(case), None, "{case}");
        let damage = db.property(b"terrace.recovery-damage").expect("a property");
        assert!(damage.contains(&name), "{case}: {damage}");
    }
}

#[test]
fn a_batch_for_a_family_above_the_highest_is_refused_and_one_for_a_dropped_family_is_passed_over() {
    let files = database();
    let name = log(&mut files.clone()).0.clone();
    for id in [4, 9, 100] {
        let damaged = with_batch(&files, 1, &[5, id, 1, b'k', 1, b'v']);
        for paranoid in [false, true] {
            let what = [&*name, &format!("column family {id}"), "/db/"];
            assert_refused("a family above the highest", &damaged, paranoid, Corruption, &what);
        }
    }
    let of_dropped = with_batch(&files, 2, &[5, 3, 1, b'k', 1, b'v', 4, 3, 1, b'k']);
    assert_whole("entries of a dropped family", &of_dropped);
    // Log data and nothing may be between the entries.
    let with_more = with_batch(&files, 1, &[13, 3, 2, b'd', b'd', 5, 1, 1, b'k', 1, b'v', 13]);
    assert_whole("log data", &with_more);
    let (db, handles) = open_families(&disk(&with_more, false), true, &small()).expect("open");
    let found = db.get_cf(&handles[0], &ReadOptions::default(), b"k").expect("get");
    assert_eq!(found.as_deref(), Some(&b"v"[..]));
}

#[test]
fn entries_of_families_in_a_directory_of_leveldbs_language_are_damage() {
    let files = super::support::database(|_| (), |db| db.put(&WRITE, b"key", b"value").expect("a put"));
    let name = log(&mut files.clone()).0.clone();
    for entries in [&[5, 1, 1, b'k', 1, b'v'][..], &[5, 0, 1, b'k', 1, b'v'], &[4, 1, 1, b'k']] {
        let damaged = with_batch(&files, 1, entries);
        super::support::assert_refused_when("a family", &damaged, true, &[&name, " at offset "]);
        let env = disk(&damaged, false);
        let db = open_with(&env, |_| ()).expect("open");
        assert_eq!(scan(&db).0, [b"key"]);
    }
}

#[test]
fn a_table_of_another_format_version_or_checksum_is_refused_and_stays() {
    let files = database();
    let name = files.iter().find(|(name, _)| name.ends_with(".sst")).expect("a table").0.clone();
    // Checksum type u8, two handles in 40 bytes, version u32, magic number.
    let changes: [(usize, u8, &str); 7] = [
        (12, 0, "format version 0"),
        (12, 1, "format version 1"),
        (12, 8, "format version 8"),
        (12, 255, "format version 255"),
        (53, 5, "checksum type 5"),
        (53, 128, "checksum type 128"),
        (53, 255, "checksum type 255"),
    ];
    for (from_end, byte, what) in changes {
        let mut damaged = files.clone();
        let table = &mut damaged.iter_mut().find(|(other, _)| *other == name).expect("the table").1;
        let at = table.len() - from_end;
        table[at] = byte;
        let table = table.clone();
        for paranoid in [false, true] {
            let env = disk(&damaged, false);
            let (db, handles) = open_families(&env, paranoid, &small()).expect(what);
            let read = ReadOptions::default();
            let error = db.get_cf(&handles[0], &read, b"flushed").expect_err(what);
            assert_kind(what, &error, NotSupported, &[what, &name, "/db/"]);
            db.put_cf(&handles[0], &WRITE, b"flushed", b"again").expect("a put");
            db.compact_range_cf(&handles[0], None, None).expect_err(what);
            assert!(db.get_cf(&handles[1], &read, b"flushed").expect("another family").is_some());
            drop((db, handles));
            assert!(files_of(&env).contains(&(name.clone(), table.clone())), "{what}: the table is changed");
        }
    }
}

fn files_of(env: &MemEnv) -> Files {
    files(env)
}

/// An order that the families were not created with.
struct Other;

impl Comparator for Other {
    fn name(&self) -> Vec<u8> {
        b"test.Other".to_vec()
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> std::cmp::Ordering {
        b.cmp(a)
    }

    fn find_shortest_separator(&self, _: &mut Vec<u8>, _: &[u8]) {}

    fn find_short_successor(&self, _: &mut Vec<u8>) {}
}

#[test]
fn an_open_with_other_families_or_orders_names_them_and_changes_nothing() {
    let content = database();
    let env = disk(&content, false);
    let before = files(&env);
    let options = Setting::default().options(&env);
    let reverse = Options { comparator: Arc::new(Other), ..options.clone() };
    let refused = |named: &[(&str, &Options)], what: &[&str]| {
        let error = Db::open_with_families(&options, &path(), named).map(drop).expect_err(what[0]);
        assert_kind(what[0], &error, InvalidArgument, what);
        assert!(files(&env) == before, "{}: files have changed", what[0]);
    };
    refused(&[], &["index, log"]);
    refused(&[("log", &options)], &["not opened: index;"]);
    refused(&[("index", &options), ("log", &options), ("dropped", &options)], &["not found: dropped"]);
    refused(&[("index", &options), ("log", &options), ("a\0b", &options)], &["NUL"]);
    refused(&[("index", &options), ("log", &options), (&"x".repeat(5000), &options)], &["4096"]);
    refused(&[("index", &options), ("log", &reverse)], &["column family 'log'", "test.Other"]);
    refused(&[("default", &reverse), ("index", &options), ("log", &options)], &["test.Other"]);
    assert_whole("after all this", &content);
}
