//! Eight defects by which LevelDB loses acknowledged writes, lets a second process open the database, or is
//! crashed by a file. Each is shown with Google's library on real files, in processes of their own, and shown
//! to be absent in Terrace. (`crash` tests crashes at all other moments, on a disk in memory, which LevelDB
//! cannot use.)
//!
//! The tests assert both sides: if a later LevelDB fixes a defect, the test fails.

use super::child::{Child, End, Story, child};
use super::forge::Parts;
use super::support::Victim;
use crate::fuzz::archive::Files;
use crate::support::leveldb_c::{self, Library, OpenOptions};
use crate::support::{Tool, c_compiler, google_path, repository, scratch, terrace_path};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use terrace::Compression;
use terrace::internals::table::footer::BlockHandle;
use terrace::internals::util::coding::put_varint32;
use terrace::{Db, Options, WriteOptions};

/// LevelDB and Terrace.
fn libraries() -> [(&'static str, PathBuf); 2] {
    [("LevelDB", google_path()), ("Terrace", terrace_path())]
}

/// A scratch directory and a database directory in it, by the kernel's names.
fn place() -> (TempDir, PathBuf) {
    let scratch = scratch();
    let directory = scratch.path().canonicalize().expect("a path").join("db");
    fs::create_dir(&directory).expect("a directory");
    (scratch, directory)
}

/// The files of a directory whose names end with `end`.
fn files_of(directory: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    files.sort();
    files
}

/// The keys of the acknowledged writes of a child.
fn acknowledged(story: &Story, step: &str) -> BTreeSet<String> {
    let keys = story.lines.iter().filter_map(|line| {
        let key = line.strip_prefix(step)?.strip_suffix(": ok")?.split_whitespace().next()?;
        Some(key.to_owned())
    });
    keys.collect()
}

/// The keys of a scan in a new process. The open must succeed.
fn reopened(library: &Path, directory: &Path) -> BTreeSet<String> {
    let story = child(library, directory, "open\nscan\nclose").run();
    assert_eq!((story.line("open"), &story.end), (Some("ok"), &End::Whole), "{story:?}");
    story.scanned().into_iter().collect()
}

/// Writes files into a database directory.
fn write_files(directory: &Path, files: &Files) {
    for (name, content) in files {
        fs::write(directory.join(name), content).expect("a file");
    }
}

/// A preloaded disk that records the synced state: see `disk.c`.
struct Disk {
    library: PathBuf,
    directory: PathBuf,
    shadow: PathBuf,
}

impl Disk {
    fn new(scratch: &TempDir, directory: &Path) -> Disk {
        let (library, shadow) = (scratch.path().join("disk.so"), scratch.path().join("shadow"));
        c_compiler()
            .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o"])
            .args([&library, &repository().join("tests/hostile/holes/disk.c")])
            .args(["-ldl"])
            .run();
        fs::create_dir_all(shadow.join("content")).expect("a directory");
        Disk { library, directory: directory.to_owned(), shadow }
    }

    fn under(&self, child: Child) -> Child {
        child
            .env("LD_PRELOAD", &self.library)
            .env("DISK_DIRECTORY", &self.directory)
            .env("DISK_SHADOW", &self.shadow)
    }

    /// Writes to `to` the state after a crash: the contents at their last sync, under the names at the
    /// directory's last sync, or under all names.
    fn crash(&self, to: &Path, all_names: bool) {
        fs::create_dir(to).expect("a directory");
        let names: Vec<String> = if all_names {
            let paths = files_of(&self.directory, "");
            paths
                .iter()
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect()
        } else {
            let names = fs::read_to_string(self.shadow.join("names")).expect("a sync of the directory");
            names.lines().map(str::to_owned).collect()
        };
        for name in names {
            let content = fs::read(self.shadow.join("content").join(&name)).unwrap_or_default();
            fs::write(to.join(name), content).expect("a file");
        }
    }
}

/// H1. An append to the WAL fails half-way. LevelDB continues to append to the file, and no recovery finds
/// the writes that it puts and syncs after the partial record.
#[test]
fn h1_synced_writes_behind_a_failed_append_are_lost_by_leveldb_alone() {
    for (name, library) in libraries() {
        let (_scratch, directory) = place();
        let behind: String = (0..20).map(|number| format!("sync behind{number}\n")).collect();
        let script = format!(
            "create\nbuffer 100000000\nopen\nsync before\nlimit\nput failed 9000000\nunlimit\n{behind}get before 0 0\nkill"
        );
        let story = child(&library, &directory, &script).run();
        assert_eq!(story.end, End::Killed, "{name}: {story:?}");
        let failed = story.line("put failed 9000000").expect("an answer");
        assert!(failed.contains("File too large"), "{name}: {failed}");
        let (acknowledged, found) = (acknowledged(&story, "sync "), reopened(&library, &directory));
        let lost = acknowledged.difference(&found).count();
        match name {
            "LevelDB" => assert_eq!((acknowledged.len(), lost), (21, 20), "{found:?}"),
            _ => assert_eq!(lost, 0, "{story:?}"),
        }
    }
}

/// H2. A second open in one process fails. LevelDB then closes LOCK, which releases the lock of the first
/// open.
#[test]
fn h2_a_failed_second_opening_lets_another_process_in_with_leveldb_alone() {
    for (name, library) in libraries() {
        let (_scratch, directory) = place();
        assert_eq!(child(&library, &directory, "create\nopen\nclose").run().end, End::Whole);
        let loaded = Library::open(&library).expect("the library");
        let open = || leveldb_c::Db::open(loaded, &directory, &OpenOptions::default());
        let holder = open().expect("open");
        let refused = open().err().expect("refused").to_string();
        assert!(refused.contains("already held by process"), "{name}: {refused}");
        let other = child(&library, &directory, "open\nclose").run();
        let answer = other.line("open").expect("an answer");
        match name {
            "LevelDB" => assert_eq!(answer, "ok"),
            _ => assert!(answer.contains("Resource temporarily unavailable"), "{answer}"),
        }
        holder.close();
    }
}

/// H3. CURRENT is lost. LevelDB with `create_if_missing` creates a new database and removes every table of
/// the old one.
#[test]
fn h3_tables_beside_a_lost_current_are_removed_by_leveldb_alone() {
    for (name, library) in libraries() {
        let (_scratch, directory) = place();
        let keys: String = (0..50).map(|number| format!("sync key{number:03}\n")).collect();
        let story = child(&library, &directory, &format!("create\nopen\n{keys}compact\nclose")).run();
        assert_eq!((story.end, tables_of(&directory)), (End::Whole, 1), "{name}");
        let current = fs::read(directory.join("CURRENT")).expect("CURRENT");
        fs::remove_file(directory.join("CURRENT")).expect("CURRENT");
        let story = child(&library, &directory, "create\nopen\nscan\nclose").run();
        match name {
            "LevelDB" => {
                assert_eq!((story.line("open"), story.scanned().len()), (Some("ok"), 0), "{story:?}");
                assert_eq!(tables_of(&directory), 0);
            }
            _ => {
                let refused = story.line("open").expect("an answer");
                assert!(refused.starts_with("Corruption: ") && refused.contains("CURRENT"), "{refused}");
                assert_eq!(tables_of(&directory), 1);
                fs::write(directory.join("CURRENT"), current).expect("CURRENT");
                assert_eq!(reopened(&library, &directory).len(), 50);
            }
        }
    }
}

fn tables_of(directory: &Path) -> usize {
    files_of(directory, ".ldb").len()
}

/// Writes 90 KB without sync, which switches the memtable of 64 KiB and its WAL; the flush never completes.
/// Then makes a synced write.
fn a_synced_write_after_a_change_of_logs(library: &Path, disk: &Disk) -> Story {
    let older: String = (0..180).map(|number| format!("put older{number:03} 500\n")).collect();
    let script = format!("create\nbuffer 65536\nopen\n{older}sync last\nkill");
    let story = disk.under(child(library, &disk.directory, &script)).env("DISK_HOLD", ".ldb").run();
    assert_eq!((&story.end, story.line("sync last")), (&End::Killed, Some("ok")), "{story:?}");
    assert_eq!(story.succeeded("put older"), 180);
    assert!(files_of(&disk.directory, ".log").len() > 1, "the log was not replaced");
    story
}

/// H4. A synced write goes to a new WAL. LevelDB has not synced the directory: after a crash, the WAL may
/// have no name.
#[test]
fn h4_a_synced_write_is_in_a_log_without_a_name_with_leveldb_alone() {
    for (name, library) in libraries() {
        let (scratch, directory) = place();
        let disk = Disk::new(&scratch, &directory);
        a_synced_write_after_a_change_of_logs(&library, &disk);
        let crashed = scratch.path().join("crashed");
        disk.crash(&crashed, false);
        let found = reopened(&library, &crashed);
        assert_eq!(found.contains("last"), name == "Terrace", "{name}: {found:?}");
    }
}

/// H5. A synced write follows writes in an older WAL, which LevelDB never syncs: after a crash they are lost,
/// but the synced write is there.
#[test]
fn h5_what_precedes_a_synced_write_in_an_older_log_is_lost_by_leveldb_alone() {
    for (name, library) in libraries() {
        let (scratch, directory) = place();
        let disk = Disk::new(&scratch, &directory);
        a_synced_write_after_a_change_of_logs(&library, &disk);
        let crashed = scratch.path().join("crashed");
        disk.crash(&crashed, true);
        let found = reopened(&library, &crashed);
        assert!(found.contains("last"), "{name}: {found:?}");
        let older = found.iter().filter(|key| key.starts_with("older")).count();
        match name {
            "LevelDB" => assert!(older < 100, "{older}"),
            _ => assert_eq!(older, 180),
        }
    }
}

/// H6. With `reuse_logs`, LevelDB appends to a WAL that ends in a torn record. Its next recovery drops the
/// block, with the writes that were synced into it meanwhile.
#[test]
fn h6_what_is_synced_behind_a_torn_record_with_reuse_logs_is_lost_by_leveldb_alone() {
    let (scratch, directory) = place();
    // The rest of a record of 200 bytes whose writer was killed.
    let torn = [[0x12, 0x34, 0x56, 0x78, 200, 0, 1].as_slice(), &[b'x'; 30]].concat();
    let tear = |library: &Path, directory: &Path| {
        assert_eq!(child(library, directory, "create\nopen\nsync before\nclose").run().end, End::Whole);
        let log = files_of(directory, ".log").pop().expect("a log");
        let content = [fs::read(&log).expect("the log"), torn.clone()].concat();
        fs::write(log, content).expect("the log");
    };

    let program = scratch.path().join("reuse_logs");
    Tool::new("c++", "g++")
        .args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&program, &repository().join("tests/hostile/holes/reuse_logs.cc")])
        .args(["-lleveldb"])
        .run();
    tear(&google_path(), &directory);
    let said = Tool::new(program.to_str().expect("a path"), "g++").args([&directory]).run();
    assert_eq!(said.lines().count(), 10, "{said}");
    let found = reopened(&google_path(), &directory);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["before"]);

    let ours = scratch.path().join("ours");
    fs::create_dir(&ours).expect("a directory");
    tear(&terrace_path(), &ours);
    let options = Options { reuse_logs: true, ..Options::default() };
    let db = Db::open(&options, &ours).expect("open");
    for number in 0..10 {
        let key = format!("behind{number}");
        db.put(&WriteOptions { sync: true }, key.as_bytes(), b"v").expect("a put");
    }
    // The directory as a kill would leave it.
    let copy = scratch.path().join("copy");
    crate::support::copy_database(&ours, &copy);
    assert_eq!(reopened(&terrace_path(), &copy).len(), 11);
}

/// H7. A table whose lengths wrap 32 bits, or point past its end: LevelDB reads out of bounds, or allocates
/// more memory than there is, and the process ends.
#[test]
fn h7_a_table_that_lies_about_lengths_ends_processes_with_leveldb_alone() {
    let uncompressed = |options: &mut Options| options.compression = Compression::None;
    let parts = |table: &[u8]| Parts::of(table).expect("a table");
    let wrapped = Victim::new(uncompressed).damage(|table| {
        let mut parts = parts(&table);
        let mut entry = vec![0];
        put_varint32(&mut entry, u32::MAX - 10); // not shared
        put_varint32(&mut entry, 20); // the value; the sum wraps to 9
        let block = &mut parts.data[1];
        block[..entry.len()].copy_from_slice(&entry);
        parts.lay_out().finish()
    });
    let huge = Victim::new(uncompressed).damage(|table| {
        let mut layout = parts(&table).lay_out();
        layout.index[1].1 = BlockHandle { offset: 100, size: 1 << 40 };
        layout.finish()
    });
    for (case, victim) in [("wrapped", wrapped), ("huge", huge)] {
        for (name, library) in libraries() {
            let (_scratch, directory) = place();
            write_files(&directory, &victim.files);
            let story = child(&library, &directory, "open\nget s 0 0\nscan\nclose").run();
            match name {
                "LevelDB" => assert!(matches!(story.end, End::Crashed(_)), "{case}: {story:?}"),
                _ => {
                    assert_eq!(story.end, End::Whole, "{case}: {story:?}");
                    let scan = story.line("scan").expect("a scan");
                    assert!(scan.contains("Corruption: ") && scan.contains(&victim.table), "{case}: {scan}");
                }
            }
        }
    }
}

/// H8. A repair accepts WAL records without checking their checksums.
#[test]
fn h8_a_repair_takes_over_damaged_log_records_with_leveldb_alone() {
    for (name, library) in libraries() {
        let (_scratch, directory) = place();
        let keys: String = (0..50).map(|number| format!("put key{number:03} 100\n")).collect();
        let story = child(&library, &directory, &format!("create\nopen\n{keys}kill")).run();
        assert_eq!(story.end, End::Killed);
        let log = files_of(&directory, ".log").pop().expect("a log");
        let mut content = fs::read(&log).expect("the log");
        content[40] ^= 1; // in the value of the first record
        fs::write(&log, content).expect("the log");
        let story = child(&library, &directory, "repair\nopen\nget key 50 100\nclose").run();
        assert_eq!((story.line("repair"), &story.end), (Some("ok"), &End::Whole), "{story:?}");
        let wrong = story.line("get key 50 100").expect("an answer").contains(" 1 wrong");
        assert_eq!(wrong, name == "LevelDB", "{name}: {story:?}");
    }
}

/// H8. The rename of CURRENT to a new MANIFEST is carried out but reported as failed. LevelDB removes the
/// MANIFEST that CURRENT names.
#[test]
fn h8_a_switch_of_current_that_is_said_to_have_failed_ends_the_database_with_leveldb_alone() {
    for (name, library) in libraries() {
        let (scratch, directory) = place();
        let disk = Disk::new(&scratch, &directory);
        let story = child(&library, &directory, "create\nopen\nsync key\nclose").run();
        assert_eq!(story.end, End::Whole);
        // Terrace replaces its MANIFEST only when there is a reason.
        let (script, switching) = match name {
            "LevelDB" => ("open\nclose", "open"),
            _ => ("open\nsync refused\nclose", "sync refused"),
        };
        let failed = disk.under(child(&library, &directory, script));
        let failed = failed.env("DISK_RENAME", "done, and failed").run();
        let answer = failed.line(switching).expect("an answer");
        assert!(answer.contains("Input/output error"), "{name}: {failed:?}");
        let after = child(&library, &directory, "open\nscan\nclose").run();
        match name {
            "LevelDB" => {
                let refused = after.line("open").expect("an answer");
                assert!(refused.contains("CURRENT points to a non-existent file"), "{refused}");
            }
            _ => assert_eq!((after.line("open"), after.scanned().len()), (Some("ok"), 1), "{after:?}"),
        }
    }
}
