//! Cases 18 to 21: MANIFEST and CURRENT have false contents, or are missing.

use super::child::{End, child};
use super::support::{
    GROUP, assert_corruption, assert_group, assert_refused, database, manifest, open, open_with, put_group,
    scan,
};
use crate::fuzz::archive::{Files, disk, files, path};
use crate::fuzz::exercise::Setting;
use crate::fuzz::mend;
use crate::support::terrace_path;
use terrace::internals::format::internal_key::{InternalKey, ValueType};
use terrace::internals::language::Language;
use terrace::internals::util::coding::{put_bytes, put_varint32, put_varint64};
use terrace::internals::version::file_metadata::FileMetaData;
use terrace::internals::version::version_edit::VersionEdit;
use terrace::{ErrorKind, ReadOptions};

/// Two tables below level 0, and a WAL.
fn tables_and_log() -> Files {
    database(
        |_| (),
        |db| {
            for group in ['a', 'b'] {
                put_group(db, group, GROUP);
                db.flush().expect("a flush");
            }
            put_group(db, 'c', GROUP);
        },
    )
}

/// The files with changed edits in the MANIFEST.
fn with_edits(files: &Files, change: impl FnOnce(&mut Vec<VersionEdit>)) -> Files {
    let mut files = files.clone();
    let manifest = manifest(&mut files);
    let records = mend::parse_records(&manifest.1);
    let mut edits: Vec<_> =
        records.iter().map(|record| VersionEdit::decode(record).expect("a good edit")).collect();
    change(&mut edits);
    let records: Vec<_> = edits
        .iter()
        .map(|edit| {
            let mut record = Vec::new();
            edit.encode(Language::LevelDb, &mut record);
            record
        })
        .collect();
    manifest.1 = mend::frame_records(&records);
    files
}

/// The files with one more record in the MANIFEST.
fn with_record(files: &Files, record: Vec<u8>) -> Files {
    let mut files = files.clone();
    let manifest = manifest(&mut files);
    let mut records = mend::parse_records(&manifest.1);
    records.push(record);
    manifest.1 = mend::frame_records(&records);
    files
}

fn key(user: &str) -> InternalKey {
    InternalKey::new(user.as_bytes(), 1, ValueType::Value)
}

/// The last table that the edits add: its level and its metadata.
fn last_table(edits: &[VersionEdit]) -> (usize, FileMetaData) {
    let (level, file) = edits.iter().rev().find_map(|edit| edit.new_files.last()).expect("a table");
    (*level, FileMetaData::new(file.number, file.file_size, file.smallest.clone(), file.largest.clone()))
}

#[test]
pub(super) fn a_manifest_that_contradicts_itself_is_refused() {
    type Change = fn(&mut Vec<VersionEdit>);
    let changes: [(&str, Change, &str); 12] = [
        (
            "a table twice at its level",
            |edits| {
                let (level, file) = last_table(edits);
                edits.push(VersionEdit { new_files: vec![(level, file.into())], ..VersionEdit::default() });
            },
            "has it already",
        ),
        (
            "a table at two levels",
            |edits| {
                let (_, file) = last_table(edits);
                edits.push(VersionEdit { new_files: vec![(6, file.into())], ..VersionEdit::default() });
            },
            "has it already",
        ),
        (
            "the removal of a table that is not there",
            |edits| edits.push(VersionEdit { deleted_files: vec![(2, 999)], ..VersionEdit::default() }),
            "where it is not",
        ),
        (
            "the removal of a table from another level",
            |edits| {
                let (level, file) = last_table(edits);
                let deleted_files = vec![(level + 1, file.number)];
                edits.push(VersionEdit { deleted_files, ..VersionEdit::default() });
            },
            "where it is not",
        ),
        (
            "tables of a level that overlap",
            |edits| {
                let (level, file) = last_table(edits);
                assert!(level > 0);
                let other = FileMetaData::new(file.number + 1, 100, file.smallest.clone(), key("zzz"));
                edits.push(VersionEdit { new_files: vec![(level, other.into())], ..VersionEdit::default() });
            },
            "overlap at level",
        ),
        (
            "a table whose keys are the wrong way round",
            |edits| {
                let other = FileMetaData::new(999, 100, key("z"), key("y"));
                edits.push(VersionEdit { new_files: vec![(5, other.into())], ..VersionEdit::default() });
            },
            "above its largest",
        ),
        (
            "a table that is missing",
            |edits| {
                let other = FileMetaData::new(999, 100, key("y"), key("z"));
                edits.push(VersionEdit { new_files: vec![(5, other.into())], ..VersionEdit::default() });
            },
            "000999.ldb",
        ),
        (
            "a file number counter near its end",
            |edits| {
                edits.push(VersionEdit { next_file_number: Some((1 << 62) + 1), ..VersionEdit::default() })
            },
            "next file number",
        ),
        ("no log number", |edits| edits.iter_mut().for_each(|edit| edit.log_number = None), "log number"),
        (
            "no file number counter",
            |edits| edits.iter_mut().for_each(|edit| edit.next_file_number = None),
            "next file number",
        ),
        (
            "no sequence number",
            |edits| edits.iter_mut().for_each(|edit| edit.last_sequence = None),
            "last sequence",
        ),
        ("no comparator", |edits| edits.iter_mut().for_each(|edit| edit.comparator = None), "comparator"),
    ];
    let files = tables_and_log();
    for (case, change, what) in changes {
        assert_refused(case, &with_edits(&files, change), &[what]);
    }
    assert_refused("no edit at all", &with_edits(&files, Vec::clear), &["MANIFEST-"]);
}

#[test]
pub(super) fn a_manifest_with_fields_out_of_range_is_refused_and_the_field_named() {
    let record = |tag: u32, numbers: &[u64], keys: &[&[u8]]| {
        let mut record = Vec::new();
        put_varint32(&mut record, tag);
        numbers.iter().for_each(|&number| put_varint64(&mut record, number));
        keys.iter().for_each(|key| put_bytes(&mut record, key));
        record
    };
    let good = key("y");
    let good = good.encoded();
    let records = [
        ("a log number of 64 bits", record(2, &[u64::MAX], &[]), "log number"),
        ("a file number counter of 64 bits", record(3, &[u64::MAX], &[]), "next file number"),
        ("a sequence number of 57 bits", record(4, &[1 << 56], &[]), "last sequence number"),
        ("level 7", record(7, &[7, 9, 100], &[good, good]), "new-file entry"),
        ("level 2^32 - 1", record(7, &[u64::from(u32::MAX), 9, 100], &[good, good]), "new-file entry"),
        ("level 2^32", record(7, &[1 << 32, 9, 100], &[good, good]), "new-file entry"),
        ("a size of 64 bits", record(7, &[1, 9, u64::MAX], &[good, good]), "new-file entry"),
        ("a short smallest key", record(7, &[1, 9, 100], &[b"1234567", good]), "new-file entry"),
        (
            "a largest key of an unknown type",
            record(7, &[1, 9, 100], &[good, b"y\x09\0\0\0\0\0\0\0"]),
            "new-file entry",
        ),
        ("a pointer to level 7", record(5, &[7], &[good]), "compaction pointer"),
        ("a removal from level 9", record(6, &[9, 5], &[]), "deleted file"),
        ("an unknown tag", record(99, &[1], &[]), "unknown tag 99"),
        ("tag 0", vec![0], "unknown tag 0"),
        ("a field cut short", vec![7, 1, 9], "new-file entry"),
    ];
    let files = tables_and_log();
    for (case, record, what) in records {
        assert_refused(case, &with_record(&files, record), &["MANIFEST-", what, " at offset "]);
    }
    let other = with_edits(&files, |edits| edits[0].comparator = Some(b"other.Comparator".to_vec()));
    let env = disk(&other, false);
    let error = open(&env, false).expect_err("another comparator");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(self::files(&env) == disk_files(&other));
}

/// A MANIFEST as LevelDB leaves it after years, as it never replaces its MANIFEST while it runs: each edit
/// adds a file and deletes the one before. The memory of an open, of a repair and of the dumps is
/// proportional to the live files.
#[test]
pub(super) fn a_manifest_of_many_edits_is_read_in_the_memory_of_what_is_alive() {
    let peak = |edits: u64| {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let directory = scratch.path().join("db");
        for (name, contents) in with_edits(&tables_and_log(), |written| {
            let next = written.iter().filter_map(|edit| edit.next_file_number).max().expect("a number");
            for number in next..next + edits {
                let new = FileMetaData::new(number, 1 << 20, key("x0"), key(&format!("x{}", "9".repeat(60))));
                written.push(VersionEdit {
                    next_file_number: Some(number + 1),
                    deleted_files: if number > next { vec![(3, number - 1)] } else { Vec::new() },
                    new_files: vec![(3, new.into())],
                    ..VersionEdit::default()
                });
            }
            let last = VersionEdit { deleted_files: vec![(3, next + edits - 1)], ..VersionEdit::default() };
            written.push(last);
        }) {
            std::fs::create_dir_all(&directory).expect("a directory");
            std::fs::write(directory.join(name), contents).expect("a file");
        }
        let script = "open\nscan\nclose\nrepair\nopen\nscan\nclose";
        let story = child(&terrace_path(), &directory, script).run();
        assert_eq!((&story.end, story.scanned().len()), (&End::Whole, 300), "{story:?}");
        story.peak_kib
    };
    let (few, many) = (peak(10), peak(100_000));
    assert!(many < few + 4096, "{few} KiB for 10 edits, {many} KiB for 100,000 of 20 MB");
}

/// The files in the order in which a disk lists them.
fn disk_files(content: &Files) -> Files {
    files(&disk(content, false))
}

/// Sequence numbers were compared only below 2^62; a table with a larger one counted as the oldest of level
/// 0.
#[test]
pub(super) fn a_table_number_that_leaves_no_higher_ones_is_refused() {
    let mut files = tables_and_log();
    let mut renamed = None;
    let number = (1 << 62) + 5;
    files = with_edits(&files, |edits| {
        let (level, file) = last_table(edits);
        let other = FileMetaData::new(number, file.file_size, file.smallest.clone(), file.largest.clone());
        renamed = Some(file.number);
        let deleted_files = vec![(level, file.number)];
        edits.push(VersionEdit {
            deleted_files,
            new_files: vec![(level, other.into())],
            ..VersionEdit::default()
        });
    });
    let old = format!("{:06}.ldb", renamed.expect("a table"));
    files
        .iter_mut()
        .filter(|(name, _)| *name == old)
        .for_each(|(name, _)| *name = format!("{number:06}.ldb"));
    assert_refused("a table with a number of 63 bits", &files, &["out of range"]);
}

#[test]
pub(super) fn a_torn_manifest_gives_its_last_whole_edit_or_names_what_is_missing() {
    let files = database(
        |_| (),
        |db| {
            put_group(db, 'a', 0..20);
            db.flush().expect("a flush");
            put_group(db, 'a', 5..25);
            db.flush().expect("a flush");
            db.compact_range(None, None).expect("a compaction");
            put_group(db, 'c', 0..10);
        },
    );
    let whole = manifest(&mut files.clone()).1.clone();
    let edits = mend::parse_records(&whole).len();
    let (mut opened, mut refused) = (0, 0);
    for cut in 0..=whole.len() {
        let mut torn = files.clone();
        manifest(&mut torn).1.truncate(cut);
        let case = format!("torn at {cut}");
        let count = mend::parse_records(&whole[..cut]).len();
        for paranoid in [false, true] {
            let env = disk(&torn, false);
            match open(&env, paranoid) {
                Ok(db) => {
                    let (keys, status) = scan(&db);
                    assert!(status.is_ok(), "{case}: {status:?}");
                    assert!(count < edits || keys.len() == 35, "{case}: {} keys", keys.len());
                    opened += 1;
                }
                Err(error) => {
                    assert_corruption(&case, &error, &[]);
                    assert!(count < edits, "{case}: {error}");
                    assert!(self::files(&env) == disk_files(&torn), "{case}: files have changed");
                    refused += 1;
                }
            }
        }
    }
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}

#[test]
fn a_current_with_the_line_end_of_another_system_or_without_one_opens() {
    let files = tables_and_log();
    let name = manifest(&mut files.clone()).0.clone();
    for content in [format!("{name}\r\n"), name] {
        let mut touched = files.clone();
        let current = touched.iter_mut().find(|(name, _)| name == "CURRENT").expect("CURRENT");
        current.1 = content.into_bytes();
        let (touched, as_before) = (disk(&touched, false), disk(&files, false));
        let scan = |env| scan(&open(env, false).expect("it opens")).0;
        assert_eq!(scan(&touched), scan(&as_before));
    }
}

#[test]
pub(super) fn a_current_that_does_not_name_one_manifest_is_refused_and_nothing_is_created() {
    let files = tables_and_log();
    let name = manifest(&mut files.clone()).0.clone();
    let contents = [
        String::new(),
        "\n".into(),
        name[..name.len() - 1].into(),
        format!("{name}\n\n"),
        format!("{name}\n{name}\n"),
        format!("{name}\0\n"),
        format!("{name}\r"),
        format!("{name} \r\n"),
        "MANIFEST-999999\r\n".into(),
        "MANIFEST-999999".into(),
        format!(" {name}\n"),
        format!("../db/{name}\n"),
        format!("./{name}\n"),
        format!("/db/{name}\n"),
        "MANIFEST-\n".into(),
        "MANIFEST-x\n".into(),
        "MANIFEST--1\n".into(),
        "MANIFEST-999999\n".into(),
        "MANIFEST-18446744073709551616\n".into(),
        "000003.log\n".into(),
        "LOCK\n".into(),
        "CURRENT\n".into(),
        format!("{}\n", "x".repeat(5000)),
    ];
    for content in contents {
        let case = format!("CURRENT holds `{}`", content.escape_debug());
        let mut damaged = files.clone();
        let current = damaged.iter_mut().find(|(name, _)| name == "CURRENT").expect("CURRENT");
        current.1 = content.into_bytes();
        assert_refused(&case, &damaged, &[]);
        for error_if_exists in [false, true] {
            let env = disk(&damaged, false);
            let error = open_with(&env, |options| {
                options.create_if_missing = true;
                options.error_if_exists = error_if_exists;
            });
            let error = error.expect_err("refused");
            assert!(error.is_corruption() || error_if_exists, "{case}: {error}");
            assert!(self::files(&env) == disk_files(&damaged), "{case}: files have changed");
        }
    }
}

#[test]
pub(super) fn a_database_that_has_lost_current_is_not_created_anew_but_repaired() {
    let files = tables_and_log();
    let keep = |kinds: &[&str]| -> Files {
        let kept = files.iter().filter(|(name, _)| kinds.iter().any(|kind| name.contains(kind)));
        kept.cloned().collect()
    };
    for kinds in
        [&["MANIFEST", ".ldb", ".log"][..], &["MANIFEST"], &[".ldb"], &[".log"], &["MANIFEST", ".log"]]
    {
        let left = keep(kinds);
        let case = format!("{kinds:?} left");
        for create_if_missing in [false, true] {
            for paranoid in [false, true] {
                let env = disk(&left, false);
                let error = open_with(&env, |options| {
                    (options.create_if_missing, options.paranoid_checks) = (create_if_missing, paranoid);
                });
                let error = error.expect_err("refused");
                assert_corruption(&case, &error, &["/db/CURRENT", "missing", "repair"]);
                assert!(self::files(&env) == disk_files(&left), "{case}: files have changed");
            }
        }
        // A repair saves the entries that are there.
        let env = disk(&left, false);
        let repaired = terrace::repair(&Setting::default().options(&env), &path());
        repaired.unwrap_or_else(|error| panic!("{case}: {error}"));
        let db = open(&env, true).unwrap_or_else(|error| panic!("{case}: {error}"));
        if kinds.contains(&".ldb") {
            assert_group(&db, 'a', GROUP);
            assert_group(&db, 'b', GROUP);
        }
        if kinds.contains(&".log") {
            assert_group(&db, 'c', GROUP);
        }
        assert!(db.get(&ReadOptions::default(), b"absent").expect("a get").is_none());
    }
}
