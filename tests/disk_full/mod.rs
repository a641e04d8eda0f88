//! A real file system that is full: a tmpfs of 24 MiB, mounted for the test, which therefore needs root.
//! Reads continue, nothing acknowledged is lost, and writes succeed again without any action once there is
//! space.
//!
//! (`fault` tests the same at every operation, on a disk in memory.)

use crate::c_programs;
use crate::support::scratch;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use terrace::{Db, Options, ReadOptions, WriteOptions};

/// A mounted tmpfs. Dropping it unmounts it.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a Path) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "terrace-test"])
            .arg(path)
            .status()
            .expect("mount: install it (package mount)");
        assert!(status.success(), "cannot mount a tmpfs: this test runs as root (sudo make test)");
        SmallDisk(path)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn value(number: u64) -> Vec<u8> {
    // A value that hardly compresses.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..1000)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

fn check(db: &Db, model: &BTreeMap<String, u64>) {
    for (key, &number) in model {
        let found = db.get(&ReadOptions::default(), key.as_bytes()).expect("a read on a full disk");
        assert!(found == Some(value(number)), "{key}");
    }
}

/// Writes until the disk is full. Acknowledged writes are added to the model.
fn fill(db: &Db, model: &mut BTreeMap<String, u64>, first: u64) -> terrace::Error {
    for number in first..first + 100_000 {
        let key = format!("key{:06}", number * 7919 % 1_000_000);
        match db.put(&WriteOptions::default(), key.as_bytes(), &value(number)) {
            Ok(()) => drop(model.insert(key, number)),
            Err(error) => return error,
        }
    }
    panic!("24 MiB took a hundred thousand values of a thousand bytes");
}

fn a_full_disk(mmap_wal: bool) {
    let scratch = scratch();
    let disk = SmallDisk::mount(scratch.path());
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![1; 8 << 20]).unwrap();
    let path = disk.0.join("db");
    let options =
        Options { create_if_missing: true, write_buffer_size: 256 << 10, mmap_wal, ..Options::default() };
    let db = Db::open(&options, &path).unwrap();
    let mut model = BTreeMap::new();

    let error = fill(&db, &mut model, 0);
    assert!(error.is_no_space(), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "the message names no file: {error}");
    assert!(model.len() > 3000, "{} values fit", model.len());
    check(&db, &model);
    // A compaction or the removal of an old WAL may have freed enough space already. Whatever `resume`
    // returns, nothing is lost.
    if let Err(error) = db.resume() {
        assert!(error.is_no_space() && db.background_error().is_some(), "{error}");
    }
    check(&db, &model);

    // There is space again: background work is retried, and writes succeed again.
    std::fs::remove_file(&ballast).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = db.put(&WriteOptions { sync: true }, b"after", &value(1)) {
        assert!(error.is_no_space() && Instant::now() < deadline, "{error}");
        std::thread::yield_now();
    }
    model.insert("after".into(), 1);
    check(&db, &model);
    drop(db);

    let db = Db::open(&options, &path).unwrap();
    check(&db, &model);
    db.compact_range(None, None).unwrap();
    check(&db, &model);

    // The disk is full again; the database is closed in this state, and opened when there is space again.
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let error = fill(&db, &mut model, 200_000);
    assert!(error.is_no_space(), "{error}");
    drop(db);
    std::fs::remove_file(&ballast).unwrap();
    check(&Db::open(&options, &path).unwrap(), &model);
}

#[test]
fn a_full_disk_stops_writes_until_it_has_space_and_loses_nothing() {
    a_full_disk(true);
}

#[test]
fn a_full_disk_under_a_plain_log_too() {
    a_full_disk(false);
}

#[test]
fn a_c_program_is_told_of_a_full_disk_and_goes_on_when_it_has_space() {
    let (programs, scratch) = (scratch(), scratch());
    let disk = SmallDisk::mount(scratch.path());
    std::fs::write(disk.0.join("ballast"), vec![1; 8 << 20]).unwrap();
    let said = c_programs::run_with("background_error_test.c", programs.path(), &[disk.0]);
    assert!(said.starts_with("PASS"), "{said}");
}

/// Runs a program of a test with file systems in files.
fn run(program: &str, arguments: &[&str], path: &[&Path]) {
    let status = Command::new(program).args(arguments).args(path).status();
    let status =
        status.unwrap_or_else(|error| panic!("{program}: {error}: install e2fsprogs, xfsprogs and mount"));
    assert!(status.success(), "{program} {arguments:?} failed: this test needs root and loop devices");
}

/// A file for a file system of that many MiB, and the directory where it will be mounted.
fn image(scratch: &Path, name: &str, mib: u64) -> (std::path::PathBuf, std::path::PathBuf) {
    let (image, place) = (scratch.join(format!("{name}.image")), scratch.join(name));
    std::fs::File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("an image");
    std::fs::create_dir(&place).expect("a directory");
    (image, place)
}

/// Mounts a file system that is in a file.
fn mount_ext4(scratch: &Path, name: &str, default_options: &str, options: &str) -> std::path::PathBuf {
    let (image, place) = image(scratch, name, 24);
    run("mkfs.ext4", &["-q"], &[&image]);
    run("tune2fs", &["-o", default_options], &[&image]);
    run("mount", &["-o", options], &[&image, &place]);
    place
}

/// On ext4 that journals data, a store into a mapped WAL that was synced raises SIGBUS after the file system
/// is shut down.
#[test]
fn a_log_is_mapped_on_ext4_but_not_where_data_is_journalled() {
    let cases = [
        ("ordered", "user_xattr", "loop", true),
        ("by option", "user_xattr", "loop,data=journal", false),
        ("by default", "journal_data", "loop", false),
    ];
    for (name, default_options, mount_options, is_mapped) in cases {
        let scratch = scratch();
        let place = mount_ext4(scratch.path(), name, default_options, mount_options);
        let _unmount = SmallDisk(&place);
        let options = Options { create_if_missing: true, ..Options::default() };
        let db = Db::open(&options, &place.join("db")).unwrap();
        db.put(&WriteOptions::default(), b"key", b"value").unwrap();
        let names = std::fs::read_dir(place.join("db")).unwrap().map(|entry| entry.unwrap().path());
        let log = names.into_iter().find(|path| path.extension().is_some_and(|e| e == "log")).unwrap();
        // A mapped WAL has preallocated space after its records.
        assert_eq!(std::fs::metadata(log).unwrap().len() % 4096 == 0, is_mapped, "{name}");
        drop(db);
    }
}

/// Bytes that are used in the file system of `path`.
fn used_space(path: &Path) -> u64 {
    run("sync", &["-f"], &[path]);
    let output = Command::new("df").args(["-B1", "--output=used"]).arg(path).output().expect("df");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace().last().and_then(|number| number.parse().ok()).expect("a number of bytes")
}

/// XFS can share the blocks of two files.
#[test]
fn upgraded_tables_share_their_data_with_the_old_ones_where_the_file_system_can() {
    let scratch = scratch();
    let (image, place) = image(scratch.path(), "xfs", 320);
    run("mkfs.xfs", &["-q", "-m", "reflink=1"], &[&image]);
    run("mount", &["-o", "loop"], &[&image, &place]);
    let _unmount = SmallDisk(&place);
    let options = Options { create_if_missing: true, ..Options::default() };
    let db = Db::open(&options, &place.join("db")).unwrap();
    let mut random = crate::support::random::Random::new(1);
    for i in 0..30_000 {
        let value: Vec<u8> = (0..1000).map(|_| random.next() as u8).collect();
        db.put(&WriteOptions::default(), format!("key{i:06}").as_bytes(), &value).unwrap();
    }
    db.compact_range(None, None).unwrap();
    let contents = |db: &Db| {
        let mut iterator = db.iter(&ReadOptions::default());
        iterator.seek_to_first();
        let mut entries = Vec::new();
        while iterator.valid() {
            entries.push((iterator.key().to_vec(), iterator.value().to_vec()));
            iterator.next();
        }
        iterator.status().unwrap();
        entries
    };
    let written = contents(&db);
    // The old tables stay as long as there is an iterator.
    let iterator = db.iter(&ReadOptions::default());
    let before = used_space(&place);
    let family = db.create_column_family("family", &options).unwrap();
    db.upgrade_tables().unwrap();
    assert_eq!(db.property(b"terrace.tables-to-upgrade").as_deref(), Some("0"));
    let more = used_space(&place).saturating_sub(before);
    assert!(more < 6 << 20, "{more} bytes more for tables of 30 MB");
    assert!(contents(&db) == written);
    drop((iterator, family, db));
}
