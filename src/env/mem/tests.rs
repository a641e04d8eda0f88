//! Tests of files in memory, and of the disks that crashes leave.

use super::*;
use crate::env::read_file;
use crate::error::ErrorKind;
use std::path::PathBuf;

const LOG: LogFileOptions = LogFileOptions { mapped: false, expected_size: 0 };
const MAPPED_LOG: LogFileOptions = LogFileOptions { mapped: true, expected_size: 0 };

fn contents(env: &MemEnv, path: &str) -> Option<Vec<u8>> {
    read_file(env, Path::new(path), 1 << 30).ok()
}

fn create(env: &MemEnv, path: &str, data: &[u8]) -> Box<dyn WritableFile> {
    let mut file = env.create_writable(Path::new(path), CreateMode::New).unwrap();
    file.append(data).unwrap();
    file.flush().unwrap();
    file
}

fn errno<T>(outcome: Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.errno())
}

/// The disks that `seeds` random choices leave of the current state of `env`.
fn random_disks(env: &MemEnv, seeds: u64, garbage: bool) -> impl Iterator<Item = MemEnv> {
    let point = env.crash_point(usize::MAX);
    (0..seeds).map(move |seed| point.disk(CrashChoice::Random { seed, garbage }))
}

#[test]
fn names_behave_as_on_a_real_file_system() {
    let env = MemEnv::new();
    let path = Path::new;
    assert_eq!(errno(env.create_dir(path("/a/b"))), Some(libc::ENOENT));
    env.create_dir(path("/a")).unwrap();
    env.create_dir(path("/a")).unwrap();
    env.create_dir(path("/a/b")).unwrap();
    create(&env, "/a/x", b"one");
    create(&env, "a/b/y", b"two");
    assert_eq!(contents(&env, "/a/../a/./b/y").unwrap(), b"two");
    assert_eq!(env.children(path("/a")).unwrap(), ["b", "x"]);
    assert_eq!(errno(env.create_writable(path("/a/x"), CreateMode::New)), Some(libc::EEXIST));
    assert_eq!(errno(env.create_log(path("/a/x"), LOG)), Some(libc::EEXIST));
    assert_eq!(errno(env.create_writable(path("/a/b"), CreateMode::Truncate)), Some(libc::EISDIR));
    assert_eq!(errno(env.create_dir(path("/a/x"))), Some(libc::EEXIST));
    assert_eq!(errno(env.create_dir(path("/a/x/z"))), Some(libc::ENOTDIR));
    assert_eq!(errno(env.remove_dir(path("/a"))), Some(libc::ENOTEMPTY));
    assert_eq!(errno(env.remove_file(path("/a/b"))), Some(libc::EISDIR));
    assert_eq!(errno(env.rename(path("/a/x"), path("/a/b"))), Some(libc::EISDIR));
    assert_eq!(errno(env.sync_dir(path("/a/x"))), Some(libc::ENOTDIR));
    let missing = env.open_sequential(path("/a/none")).err().unwrap();
    assert_eq!(missing.to_string(), "NotFound: /a/none: No such file or directory");
    env.sync_dir(path("")).unwrap();

    env.rename(path("/a/x"), path("/a/b/y")).unwrap();
    assert!(!env.exists(path("/a/x")));
    assert_eq!(contents(&env, "/a/b/y").unwrap(), b"one");
    env.rename(path("/a/b"), path("/c")).unwrap();
    assert_eq!(contents(&env, "/c/y").unwrap(), b"one");
    assert_eq!(env.files(), [(PathBuf::from("/c/y"), b"one".to_vec())]);
    env.remove_file(path("/c/y")).unwrap();
    env.remove_dir(path("/c")).unwrap();
    assert_eq!(env.children(path("/")).unwrap(), ["a"]);
}

#[test]
fn directories_need_not_exist_under_leveldbs_rules() {
    let env = MemEnv::with_options(MemOptions { leveldb_rules: true, ..MemOptions::default() });
    let path = Path::new;
    assert!(env.children(path("/a")).unwrap().is_empty());
    env.remove_dir(path("/a/b")).unwrap();
    env.sync_dir(path("/a/b")).unwrap();
    assert!(!env.exists(path("/a")));
    create(&env, "a/b/file", b"text");
    env.create_dir(path("/c/d")).unwrap();
    env.create_dir(path("/c/d")).unwrap();
    drop(env.lock_file(path("/e/f/LOCK")).unwrap());
    env.rename(path("/a/b/file"), path("/g/h/file")).unwrap();
    assert_eq!(contents(&env, "/g/h/file").unwrap(), b"text");
    assert!(env.children(path("/a/b")).unwrap().is_empty());
    assert_eq!(env.children(path("/")).unwrap(), ["a", "c", "e", "g"]);
    // A file is not a directory under these rules either, and reading creates nothing.
    assert_eq!(errno(env.create_writable(path("/g/h/file/x"), CreateMode::New)), Some(libc::ENOTDIR));
    assert_eq!(errno(env.open_random_access(path("/i/x"), ReadMode::Mapped)), Some(libc::ENOENT));
    assert_eq!(errno(env.file_size(path("/i/x"))), Some(libc::ENOENT));
    assert!(!env.exists(path("/i")));
}

#[test]
fn a_read_past_the_end_fails_under_leveldbs_rules() {
    for leveldb_rules in [false, true] {
        let env = MemEnv::with_options(MemOptions { leveldb_rules, ..MemOptions::default() });
        create(&env, "/file", b"12345");
        let file = env.open_random_access(Path::new("/file"), ReadMode::Positioned).unwrap();
        let mut buffer = [0; 10];
        assert_eq!(file.read_at(3, &mut buffer).unwrap(), 2);
        assert_eq!(file.read_at(5, &mut buffer).unwrap(), 0);
        for offset in [6, 1000, u64::MAX] {
            let read = file.read_at(offset, &mut buffer).map_err(|error| error.kind());
            assert_eq!(read, if leveldb_rules { Err(ErrorKind::IoError) } else { Ok(0) });
        }
        let mut file = env.open_sequential(Path::new("/file")).unwrap();
        file.skip(100).unwrap();
        assert_eq!(file.read(&mut buffer).unwrap(), 0);
    }
}

#[test]
fn files_are_written_and_read_in_every_mode() {
    for mappings in [false, true] {
        let env = MemEnv::with_options(MemOptions { mappings, ..MemOptions::default() });
        let path = Path::new("/file");
        let mut file = env.create_writable(path, CreateMode::New).unwrap();
        file.append(b"buffered").unwrap();
        assert_eq!(env.file_size(path).unwrap(), 0);
        file.flush().unwrap();
        assert_eq!(env.file_size(path).unwrap(), 8);
        file.append(&[7; 100_000]).unwrap();
        file.close().unwrap();
        assert!(file.append(b"x").is_err());
        let mut file = env.create_writable(path, CreateMode::Append).unwrap();
        file.append(b"end").unwrap();
        drop(file);
        for mode in [ReadMode::Mapped, ReadMode::Positioned] {
            let file = env.open_random_access(path, mode).unwrap();
            assert_eq!(file.mapping().is_some(), mappings && mode == ReadMode::Mapped);
            let mut buffer = [0; 8];
            assert_eq!(file.read_at(0, &mut buffer).unwrap(), 8);
            assert_eq!(&buffer, b"buffered");
            assert_eq!(file.read_at(100_008, &mut buffer).unwrap(), 3);
            assert_eq!(&buffer[..3], b"end");
            assert_eq!(file.read_at(u64::MAX, &mut buffer).unwrap(), 0);
        }
        let mut file = env.open_sequential(path).unwrap();
        file.skip(100_009).unwrap();
        assert_eq!(file.read(&mut [0; 8]).unwrap(), 2);
        file.skip(u64::MAX).unwrap();
        assert_eq!(file.read(&mut [0; 8]).unwrap(), 0);
        drop(env.create_writable(path, CreateMode::Truncate).unwrap());
        assert_eq!(env.file_size(path).unwrap(), 0);
    }
}

#[test]
fn a_lock_is_held_once_and_by_nobody_after_a_crash() {
    let env = MemEnv::with_journal();
    let path = Path::new("/LOCK");
    let lock = env.lock_file(path).unwrap();
    let refused = env.lock_file(Path::new("/./LOCK")).err().unwrap();
    assert_eq!(refused.to_string(), "IO error: lock /./LOCK: already held by process");
    drop(env.crash_clone(CrashChoice::Everything).lock_file(path).unwrap());
    drop(lock);
    drop(env.lock_file(path).unwrap());
}

#[test]
fn a_manual_clock_moves_only_when_it_is_moved() {
    let env = MemEnv::with_options(MemOptions { manual_clock: Some(5), ..MemOptions::default() });
    assert_eq!(env.now_micros(), 5);
    env.sleep_micros(10);
    env.advance_micros(100);
    assert_eq!(env.now_micros(), 115);
    assert_eq!(env.crash_clone(CrashChoice::Everything).now_micros(), 115);
    assert!(MemEnv::new().now_micros() > 1_700_000_000_000_000);
}

#[test]
fn contents_are_durable_by_a_sync_of_the_file_and_names_by_one_of_the_directory() {
    let env = MemEnv::with_journal();
    let mut file = create(&env, "/f", b"synced");
    file.sync().unwrap();
    assert_eq!(contents(&env.crash_clone(CrashChoice::OnlySynced), "/f"), None);
    env.sync_dir(Path::new("/")).unwrap();
    file.append(b", not synced").unwrap();
    file.flush().unwrap();
    assert_eq!(contents(&env.crash_clone(CrashChoice::OnlySynced), "/f").unwrap(), b"synced");
    assert_eq!(contents(&env.crash_clone(CrashChoice::Everything), "/f").unwrap(), b"synced, not synced");
    file.append(b", in the program's buffer").unwrap();
    assert_eq!(contents(&env.crash_clone(CrashChoice::Everything), "/f").unwrap(), b"synced, not synced");
    // The name survives without the contents.
    create(&env, "/g", b"lost");
    env.sync_dir(Path::new("/")).unwrap();
    assert_eq!(contents(&env.crash_clone(CrashChoice::OnlySynced), "/g").unwrap(), b"");
}

#[test]
fn every_prefix_of_the_journal_is_the_disk_at_that_moment() {
    let env = MemEnv::with_journal();
    let mut moments = vec![env.files()];
    let note = |moments: &mut Vec<_>| {
        assert_eq!(env.operation_count(), moments.len());
        moments.push(env.files());
    };
    env.create_dir(Path::new("/d")).unwrap();
    note(&mut moments);
    let mut file = env.create_writable(Path::new("/d/tmp"), CreateMode::New).unwrap();
    note(&mut moments);
    for _ in 0..3 {
        file.append(&[1; 700]).unwrap();
        file.flush().unwrap();
        note(&mut moments);
    }
    file.sync().unwrap();
    note(&mut moments);
    env.rename(Path::new("/d/tmp"), Path::new("/d/CURRENT")).unwrap();
    note(&mut moments);
    drop(env.create_writable(Path::new("/d/CURRENT"), CreateMode::Truncate).unwrap());
    note(&mut moments);
    env.rename(Path::new("/d"), Path::new("/e")).unwrap();
    note(&mut moments);
    env.sync_dir(Path::new("/")).unwrap();
    note(&mut moments);
    env.remove_file(Path::new("/e/CURRENT")).unwrap();
    note(&mut moments);
    let mut point = env.crash_point(0);
    for (operations, files) in moments.iter().enumerate() {
        point.advance_to(operations);
        assert_eq!(point.disk(CrashChoice::Everything).files(), *files, "{operations}");
        assert_eq!(env.disk_at(operations, CrashChoice::Everything).files(), *files, "{operations}");
    }
    assert_eq!(env.describe_operation(6), "6: rename /d/tmp to CURRENT");
    assert_eq!(env.describe_operation(2), "2: write /d/tmp [0, 700)");
    assert_eq!(env.describe_operation(99), "99: no such operation");
}

#[test]
fn what_is_synced_survives_every_choice_and_what_is_not_takes_every_form() {
    let env = MemEnv::with_journal();
    let mut file = create(&env, "/f", &[1; 1000]);
    file.sync().unwrap();
    env.sync_dir(Path::new("/")).unwrap();
    file.append(&[2; 3000]).unwrap();
    file.flush().unwrap();
    let (mut torn, mut hole, mut short, mut garbage) = (false, false, false, false);
    for disk in random_disks(&env, 300, true) {
        let contents = contents(&disk, "/f").unwrap();
        assert_eq!(contents[..1000], [1; 1000]);
        assert!(contents.len() == 1000 || contents.len() == 4000, "a write has one size");
        short |= contents.len() == 1000;
        for block in contents[1000..].chunk_by(|a, b| a == b) {
            hole |= block[0] == 0;
            torn |= block[0] == 2 && block.len() < 3000;
            garbage |= block[0] != 0 && block[0] != 2;
        }
        // Blocks survive as a whole: the bytes 1024 to 1535 survive together.
        if contents.len() == 4000 && contents[1024] == 2 {
            assert_eq!(contents[1024..1536], [2; 512]);
        }
    }
    assert!(torn && hole && short && garbage);
    assert!(
        random_disks(&env, 300, false).all(|disk| {
            contents(&disk, "/f").unwrap()[1000..].iter().all(|&byte| byte == 0 || byte == 2)
        })
    );
}

#[test]
fn a_block_is_found_as_it_was_between_two_writes_never_as_a_mixture() {
    let env = MemEnv::with_journal();
    let mut file = create(&env, "/f", b"a");
    env.sync_dir(Path::new("/")).unwrap();
    for piece in [b"b", b"c", b"d"] {
        file.append(piece).unwrap();
        file.flush().unwrap();
    }
    let mut seen = HashSet::new();
    for disk in random_disks(&env, 300, false) {
        let contents = contents(&disk, "/f").unwrap();
        let data = contents.iter().take_while(|&&byte| byte != 0).count();
        assert_eq!(&contents[..data], &b"abcd"[..data]);
        assert!(contents[data..].iter().all(|&byte| byte == 0));
        seen.insert((data, contents.len()));
    }
    // Five versions of the block combined with five sizes; a smaller size cuts the block.
    assert_eq!(seen.len(), 15);
}

#[test]
fn one_change_is_dropped_and_all_others_kept() {
    let env = MemEnv::with_journal();
    let mut file = create(&env, "/f", &[1; 512]);
    for byte in [2, 3] {
        file.append(&[byte; 512]).unwrap();
        file.flush().unwrap();
    }
    create(&env, "/g", b"g");
    env.rename(Path::new("/g"), Path::new("/h")).unwrap();
    let point = env.crash_point(usize::MAX);
    assert_eq!(point.unsynced(), [0, 1, 2, 3, 4, 5, 6]);
    let drop_one = |index| point.disk(CrashChoice::DropOne(index));
    assert_eq!(contents(&drop_one(0), "/f"), None);
    assert_eq!(contents(&drop_one(0), "/h").unwrap(), b"g");
    assert_eq!(contents(&drop_one(2), "/f").unwrap(), [[1; 512], [0; 512], [3; 512]].concat());
    // The contents of the last write are lost, its size is not.
    assert_eq!(contents(&drop_one(3), "/f").unwrap(), [[1; 512], [2; 512], [0; 512]].concat());
    // The new name of a rename does not depend on the removal of the old one.
    assert_eq!(contents(&drop_one(4), "/h").unwrap(), b"g");
    assert_eq!((contents(&drop_one(6), "/g").unwrap(), contents(&drop_one(6), "/h")), (b"g".to_vec(), None));

    file.sync().unwrap();
    env.sync_dir(Path::new("/")).unwrap();
    assert_eq!(env.crash_point(usize::MAX).unsynced(), [5]);
    assert_eq!(contents(&env.crash_clone(CrashChoice::DropOne(2)), "/f").unwrap().len(), 1536);
}

#[test]
fn an_earlier_change_is_dropped_and_a_later_kept() {
    let env = MemEnv::with_journal();
    create(&env, "/a", b"a");
    let mut file = create(&env, "/b", b"b");
    file.append(&[7; 600]).unwrap();
    file.flush().unwrap();
    create(&env, "/c", b"c");
    let disk = env.crash_clone(CrashChoice::DropEarlierKeepLater(3, 4));
    assert_eq!(contents(&disk, "/a").unwrap(), b"a");
    // The later write brings the block that it shares with the dropped one.
    assert_eq!(contents(&disk, "/b").unwrap(), [b"b".as_slice(), &[7; 600]].concat());
    assert_eq!(contents(&disk, "/c"), None);
    let disk = env.crash_clone(CrashChoice::DropEarlierKeepLater(2, 5));
    assert_eq!((contents(&disk, "/b"), contents(&disk, "/c").unwrap()), (None, b"".to_vec()));
}

#[test]
fn names_survive_singly_and_a_rename_whole() {
    let env = MemEnv::with_journal();
    create(&env, "/CURRENT", b"old").sync().unwrap();
    env.sync_dir(Path::new("/")).unwrap();
    create(&env, "/tmp", b"new").sync().unwrap();
    env.rename(Path::new("/tmp"), Path::new("/CURRENT")).unwrap();
    create(&env, "/x", b"").close().unwrap();
    let mut seen = HashSet::new();
    for disk in random_disks(&env, 200, true) {
        let state = (contents(&disk, "/CURRENT").unwrap(), disk.exists(Path::new("/tmp")));
        assert!(
            [(b"old".to_vec(), false), (b"old".to_vec(), true), (b"new".to_vec(), false)].contains(&state)
        );
        seen.insert((state, disk.exists(Path::new("/x"))));
    }
    assert_eq!(seen.len(), 6);
    env.sync_dir(Path::new("/")).unwrap();
    assert!(random_disks(&env, 50, true).all(|disk| contents(&disk, "/CURRENT").unwrap() == b"new"));
}

#[test]
fn what_is_in_a_directory_is_lost_with_its_name() {
    let env = MemEnv::with_journal();
    let dir = Path::new("/new");
    env.create_dir(dir).unwrap();
    create(&env, "/new/f", b"x").sync().unwrap();
    env.sync_dir(dir).unwrap();
    assert!(!env.crash_clone(CrashChoice::OnlySynced).exists(dir));
    env.sync_dir(Path::new("/")).unwrap();
    assert_eq!(contents(&env.crash_clone(CrashChoice::OnlySynced), "/new/f").unwrap(), b"x");
    env.rename(dir, Path::new("/final")).unwrap();
    assert!(env.crash_clone(CrashChoice::OnlySynced).exists(dir));
    assert_eq!(contents(&env.crash_clone(CrashChoice::Everything), "/final/f").unwrap(), b"x");
}

#[test]
fn a_crashed_disk_is_durable_and_crashes_again() {
    let env = MemEnv::with_journal();
    create(&env, "/f", b"one");
    let disk = env.crash_clone(CrashChoice::Everything);
    assert_eq!(disk.operation_count(), 0);
    let mut file = disk.create_writable(Path::new("/f"), CreateMode::Append).unwrap();
    file.append(b"two").unwrap();
    file.flush().unwrap();
    create(&disk, "/g", b"");
    assert_eq!(contents(&disk.crash_clone(CrashChoice::OnlySynced), "/f").unwrap(), b"one");
    assert!(!disk.crash_clone(CrashChoice::OnlySynced).exists(Path::new("/g")));
    assert_eq!(contents(&disk, "/f").unwrap(), b"onetwo");
    // The first disk does not change.
    assert_eq!(contents(&env, "/f").unwrap(), b"one");
}

#[test]
fn a_mapped_log_has_zeros_behind_its_end_until_it_is_closed() {
    let env = MemEnv::with_journal();
    let mut log = env.create_log(Path::new("/1.log"), MAPPED_LOG).unwrap();
    env.sync_dir(Path::new("/")).unwrap();
    log.append_record(&[1; 7], b"payload").unwrap();
    log.append(&[9; 3]).unwrap();
    let killed = contents(&env.crash_clone(CrashChoice::Everything), "/1.log").unwrap();
    assert_eq!(&killed[..17], b"\x01\x01\x01\x01\x01\x01\x01payload\x09\x09\x09");
    assert!(killed.len() > 1000 && killed[17..].iter().all(|&byte| byte == 0));
    // The header is the last write of a record.
    let before = env.operation_count() - 2;
    let killed = contents(&env.disk_at(before, CrashChoice::Everything), "/1.log").unwrap();
    assert_eq!(&killed[..14], b"\0\0\0\0\0\0\0payload");
    log.append_record(&[2; 7], &[3; 40_000]).unwrap();
    log.close().unwrap();
    assert_eq!(env.file_size(Path::new("/1.log")).unwrap(), 17 + 7 + 40_000);
    // The final truncation may be lost like any other change.
    let point = env.crash_point(usize::MAX);
    let cut = *point.unsynced().last().unwrap();
    assert!(contents(&point.disk(CrashChoice::DropOne(cut)), "/1.log").unwrap().len() > 40_024);
    // Allocated space reads as zeros, never as garbage.
    log = env.create_log(Path::new("/2.log"), MAPPED_LOG).unwrap();
    env.sync_dir(Path::new("/")).unwrap();
    log.append_record(&[1; 7], &[1; 5000]).unwrap();
    for disk in random_disks(&env, 100, true) {
        assert!(contents(&disk, "/2.log").unwrap().iter().all(|&byte| byte <= 1));
    }
}

#[test]
fn a_truncation_survives_or_not() {
    let env = MemEnv::with_journal();
    create(&env, "/f", &[1; 2000]).sync().unwrap();
    env.sync_dir(Path::new("/")).unwrap();
    let mut file = env.create_writable(Path::new("/f"), CreateMode::Truncate).unwrap();
    file.append(&[2; 600]).unwrap();
    file.flush().unwrap();
    assert_eq!(contents(&env.crash_clone(CrashChoice::OnlySynced), "/f").unwrap(), [1; 2000]);
    assert_eq!(contents(&env.crash_clone(CrashChoice::Everything), "/f").unwrap(), [2; 600]);
    // Truncated bytes do not reappear where a later write is missing.
    let point = env.crash_point(usize::MAX);
    let write = *point.unsynced().last().unwrap();
    assert_eq!(contents(&point.disk(CrashChoice::DropOne(write)), "/f").unwrap(), [0; 600]);
    file.sync().unwrap();
    assert_eq!(contents(&env.crash_clone(CrashChoice::OnlySynced), "/f").unwrap(), [2; 600]);
}

#[test]
fn a_sync_after_a_failed_one_does_not_bring_back_what_was_lost() {
    let env = MemEnv::with_journal();
    let mut file = create(&env, "/f", &[1; 512]);
    file.sync().unwrap();
    env.sync_dir(Path::new("/")).unwrap();
    file.append(&[2; 1000]).unwrap();
    file.flush().unwrap();
    env.forget_unsynced(Path::new("/f"));
    file.append(&[3; 1000]).unwrap();
    file.sync().unwrap();
    // All readers still see the writes, and a kill keeps them, but the disk has only the block that the later
    // write shares with the lost one.
    let whole = [[1; 512].as_slice(), &[2; 1000], &[3; 1000]].concat();
    assert_eq!(contents(&env, "/f").unwrap(), whole);
    assert_eq!(contents(&env.crash_clone(CrashChoice::Everything), "/f").unwrap(), whole);
    let mut lost = whole.clone();
    lost[512..1024].fill(0);
    assert_eq!(contents(&env.crash_clone(CrashChoice::OnlySynced), "/f").unwrap(), lost);
    file.append(&[4; 100]).unwrap();
    file.sync().unwrap();
    lost.extend_from_slice(&[4; 100]);
    assert_eq!(contents(&env.crash_clone(CrashChoice::OnlySynced), "/f").unwrap(), lost);
}

#[test]
fn a_disk_without_a_journal_can_be_copied() {
    let env = MemEnv::new();
    create(&env, "/f", b"x");
    assert_eq!(env.operation_count(), 0);
    let copy = env.crash_clone(CrashChoice::OnlySynced);
    create(&env, "/g", b"y");
    assert_eq!(copy.files(), [(PathBuf::from("/f"), b"x".to_vec())]);
}
