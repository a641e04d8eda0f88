//! Tests of fault rules.

use super::*;
use crate::env::mem::{CrashChoice, MemEnv, MemOptions};
use crate::env::read_file;

fn faulty() -> (MemEnv, FaultEnv) {
    let mem = MemEnv::with_journal();
    let faults = FaultEnv::new(mem.shared());
    (mem, faults)
}

fn create(env: &FaultEnv, path: &str) -> Result<Box<dyn WritableFile>> {
    env.create_writable(Path::new(path), CreateMode::New)
}

fn errno<T>(outcome: Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.errno())
}

#[test]
fn without_rules_everything_passes_and_is_counted() {
    let (mem, env) = faulty();
    env.create_dir(Path::new("/d")).unwrap();
    let mut file = create(&env, "/d/a").unwrap();
    file.append(b"abc").unwrap();
    file.append_record(&[1; 7], b"x").unwrap();
    file.flush().unwrap();
    file.sync().unwrap();
    file.close().unwrap();
    env.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
    env.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(env.file_size(Path::new("/d/b")).unwrap(), 11);
    assert_eq!(env.children(Path::new("/d")).unwrap(), ["b"]);
    assert_eq!(read_file(&env, Path::new("/d/b"), 100).unwrap().len(), 11);
    let file = env.open_random_access(Path::new("/d/b"), ReadMode::Mapped).unwrap();
    assert_eq!(file.read_at(1, &mut [0; 100]).unwrap(), 10);
    drop(env.lock_file(Path::new("/d/LOCK")).unwrap());
    env.remove_file(Path::new("/d/b")).unwrap();
    env.remove_file(Path::new("/d/LOCK")).unwrap();
    env.remove_dir(Path::new("/d")).unwrap();
    env.spawn("t", Box::new(|| {})).unwrap().join().unwrap();
    assert!(!env.exists(Path::new("/d")));
    let expected = [2, 3, 1, 2, 0, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1];
    assert_eq!(FaultKind::ALL.map(|kind| env.count(kind)), expected);
    assert_eq!(env.operations(), expected.iter().sum());
    assert!(mem.files().is_empty());
}

#[test]
fn the_nth_operation_fails_once_or_from_then_on() {
    let (_, env) = faulty();
    let once = env.add(FaultRule::new([FaultKind::Create]).nth(2).once());
    let outcomes: Vec<bool> = (0..4).map(|n| create(&env, &format!("/{n}")).is_ok()).collect();
    assert_eq!(outcomes, [true, false, true, true]);
    assert_eq!((once.matches(), once.hits()), (4, 1));
    assert_eq!(once.last_hit(), Some((FaultKind::Create, "/1".into())));
    drop(once);
    let sticky = env.add(FaultRule::new([FaultKind::Create]).nth(2).errno(libc::ENOSPC));
    let outcomes: Vec<Option<i32>> = (4..8).map(|n| errno(create(&env, &format!("/{n}")))).collect();
    assert_eq!(outcomes, [None, Some(28), Some(28), Some(28)]);
    sticky.set_enabled(false);
    create(&env, "/5").unwrap();
    sticky.set_enabled(true);
    assert!(create(&env, "/9").is_err());
    drop(sticky);
    create(&env, "/9").unwrap();
}

#[test]
fn every_kind_can_fail_and_then_has_not_happened() {
    let (mem, env) = faulty();
    create(&env, "/f").unwrap().append(b"x").unwrap();
    env.create_dir(Path::new("/d")).unwrap();
    let mut reader = env.open_sequential(Path::new("/f")).unwrap();
    let table = env.open_random_access(Path::new("/f"), ReadMode::Positioned).unwrap();
    let before = (mem.files(), mem.operation_count());
    let path = Path::new("/f");
    let rule = env.add(FaultRule::any().errno(libc::EACCES));
    let failures = [
        errno(env.open_sequential(path)),
        errno(env.open_random_access(path, ReadMode::Mapped)),
        errno(create(&env, "/g")),
        errno(env.create_log(Path::new("/g"), LogFileOptions { mapped: true, expected_size: 0 })),
        errno(env.children(Path::new("/"))),
        errno(env.remove_file(path)),
        errno(env.create_dir(Path::new("/e"))),
        errno(env.remove_dir(Path::new("/d"))),
        errno(env.file_size(path)),
        errno(env.rename(path, Path::new("/h"))),
        errno(env.sync_dir(Path::new("/"))),
        errno(env.lock_file(path)),
        errno(env.spawn("thread", Box::new(|| panic!("it was started")))),
        errno(reader.read(&mut [0; 1])),
        errno(table.read_at(0, &mut [0; 1])),
    ];
    assert_eq!(failures, [Some(libc::EACCES); 15]);
    assert_eq!(rule.hits(), 15);
    assert_eq!((mem.files(), mem.operation_count()), before);
}

#[test]
fn paths_are_matched_by_end_and_by_part_and_renames_by_either_name() {
    let (_, env) = faulty();
    let tables = env.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb"));
    let current = env.add(FaultRule::new([FaultKind::Rename]).path_suffix("CURRENT"));
    let manifest = env.add(FaultRule::manifest_sync_error());
    assert!(create(&env, "/1.ldb").is_err());
    create(&env, "/1.ldb.tmp").unwrap();
    assert!(env.rename(Path::new("/1.ldb.tmp"), Path::new("/CURRENT")).is_err());
    env.rename(Path::new("/1.ldb.tmp"), Path::new("/2.ldb")).unwrap();
    let mut file = create(&env, "/MANIFEST-000001").unwrap();
    file.append(b"x").unwrap();
    assert_eq!(file.sync().unwrap_err().to_string(), "IO error: /MANIFEST-000001: Input/output error");
    assert_eq!((tables.hits(), current.hits(), manifest.hits()), (1, 1, 1));
}

#[test]
fn a_file_that_failed_stays_failed() {
    let (_, env) = faulty();
    let mut file = create(&env, "/f").unwrap();
    let rule = env.add(FaultRule::no_space().once());
    assert_eq!(errno(file.append(b"x")), Some(libc::ENOSPC));
    drop(rule);
    for outcome in
        [file.append(b"y"), file.append_record(&[1; 7], b"z"), file.flush(), file.sync(), file.close()]
    {
        assert_eq!(errno(outcome), Some(libc::ENOSPC));
    }
}

#[test]
fn a_failed_append_can_be_taken_back_and_a_failed_sync_can_not() {
    let (mem, env) = faulty();
    let mut file = create(&env, "/f").unwrap();
    file.append(b"before").unwrap();
    file.flush().unwrap();
    let rule = env.add(FaultRule::new([FaultKind::Append]).errno(libc::ENOMEM).short_write(3));
    assert_eq!(errno(file.append(b"failed")), Some(libc::ENOMEM));
    drop(rule);
    assert_eq!(mem.files()[0].1, b"beforefai");
    let rule = env.add(FaultRule::new([FaultKind::TakeBack]));
    assert_eq!(errno(file.take_back(6)), Some(libc::EIO));
    drop(rule);
    assert_eq!(errno(file.append(b"x")), Some(libc::ENOMEM));
    file.take_back(6).unwrap();
    file.append(b"x").unwrap();
    let rule = env.add(FaultRule::new([FaultKind::Sync]));
    file.sync().unwrap_err();
    drop(rule);
    assert_eq!(errno(file.take_back(6)), Some(libc::EIO));
    assert_eq!((errno(file.append(b"y")), mem.files()[0].1.as_slice()), (Some(libc::EIO), &b"beforex"[..]));
}

#[test]
fn files_that_may_not_become_larger_take_what_fits() {
    let (mem, env) = faulty();
    env.limit_file_size(10);
    let mut file = create(&env, "/f").unwrap();
    file.append(b"eight by").unwrap();
    assert_eq!(errno(file.append(b"tes")), Some(libc::EFBIG));
    assert_eq!(mem.files()[0].1, b"eight byte");
    file.take_back(8).unwrap();
    file.append(b"te").unwrap();
    assert_eq!(errno(file.append(b"s")), Some(libc::EFBIG));
    env.limit_file_size(u64::MAX);
    let mut file = env.create_writable(Path::new("/f"), CreateMode::Append).unwrap();
    file.append(b"s").unwrap();
    assert_eq!(env.file_size_limit(), u64::MAX);
}

#[test]
fn a_short_write_leaves_its_beginning() {
    let (mem, env) = faulty();
    let mut file = create(&env, "/f").unwrap();
    file.append(b"before ").unwrap();
    let rule = env.add(FaultRule::new([FaultKind::Append]).short_write(3));
    assert!(file.append(b"abcdef").is_err());
    drop((file, rule));
    assert_eq!(mem.files()[0].1, b"before abc");
    for (bytes, expected) in [(4, b"hhhh".as_slice()), (9, b"hhhhhhhpa")] {
        let _ = env.remove_file(Path::new("/log"));
        let options = LogFileOptions { mapped: false, expected_size: 0 };
        let mut log = env.create_log(Path::new("/log"), options).unwrap();
        let _rule = env.add(FaultRule::new([FaultKind::Append]).short_write(bytes));
        assert!(log.append_record(&[b'h'; 7], b"payload").is_err());
        drop(log);
        assert_eq!(mem.files()[1].1, expected);
    }
}

#[test]
fn a_failed_sync_has_written_but_made_nothing_durable_unless_it_is_to() {
    for after in [false, true] {
        let (mem, env) = faulty();
        env.sync_dir(Path::new("/")).unwrap();
        let mut file = create(&env, "/f").unwrap();
        env.sync_dir(Path::new("/")).unwrap();
        file.append(b"abc").unwrap();
        let rule = FaultRule::new([FaultKind::Sync]);
        let _rule = env.add(if after { rule.after() } else { rule });
        assert!(file.sync().is_err());
        assert_eq!(mem.files()[0].1, b"abc");
        let disk = mem.crash_clone(CrashChoice::OnlySynced);
        assert_eq!(disk.files()[0].1, if after { b"abc".as_slice() } else { b"" });
    }
}

#[test]
fn a_rename_that_fails_may_have_happened() {
    let (mem, env) = faulty();
    drop(create(&env, "/f"));
    let _rule = env.add(FaultRule::new([FaultKind::Rename]).after());
    assert!(env.rename(Path::new("/f"), Path::new("/g")).is_err());
    assert!(mem.exists(Path::new("/g")));
}

#[test]
fn a_hook_sees_every_hit() {
    let (mem, env) = faulty();
    let mut file = create(&env, "/f").unwrap();
    env.sync_dir(Path::new("/")).unwrap();
    file.append(b"abc").unwrap();
    let forget = mem.clone();
    let rule = FaultRule::new([FaultKind::Sync]).once().on_hit(move |_, path| {
        forget.create_writable(path, CreateMode::Append).unwrap().append(b"hook").unwrap();
        forget.forget_unsynced(path);
    });
    let rule = env.add(rule);
    assert!(file.sync().is_err());
    assert_eq!(rule.hits(), 1);
    assert!(mem.files()[0].1.starts_with(b"abc"));
}

#[test]
fn held_operations_wait_until_they_are_released() {
    let (mem, env) = faulty();
    let hold = env.add(FaultRule::new([FaultKind::Create]).path_suffix(".ldb").hold());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| create(&env, "/1.ldb").map(drop));
        assert!(hold.wait_for_hits(1));
        // Other operations continue meanwhile.
        drop(create(&env, "/1.log").unwrap());
        assert!(!mem.exists(Path::new("/1.ldb")));
        hold.release();
        waiting.join().unwrap().unwrap();
        create(&env, "/2.ldb").unwrap();
    });
    // Dropping the handle releases too.
    let hold = env.add(FaultRule::new([FaultKind::Remove]).hold());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| env.remove_file(Path::new("/1.ldb")));
        assert!(hold.wait_for_hits(1));
        drop(hold);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn delays_are_by_the_clock_underneath() {
    let mem = MemEnv::with_options(MemOptions { manual_clock: Some(0), ..MemOptions::default() });
    let env = FaultEnv::new(mem.shared());
    let count = env.add(FaultRule::any().count_only());
    let _delay = env.add(FaultRule::new([FaultKind::Create]).delay_micros(700));
    create(&env, "/f").unwrap();
    assert_eq!(env.now_micros(), 700);
    env.sleep_micros(300);
    assert_eq!(mem.now_micros(), 1000);
    assert_eq!(count.hits(), 1);
}

#[test]
fn a_file_that_is_removed_while_it_is_written_is_told() {
    let (_, env) = faulty();
    let (a, b) = (Path::new("/a"), Path::new("/b"));
    let mut file = create(&env, "/a").unwrap();
    file.close().unwrap();
    env.remove_file(a).unwrap();
    drop(create(&env, "/a").unwrap());
    env.rename(a, b).unwrap();
    assert!(env.removed_while_written().is_empty());
    let _file = env.create_writable(b, CreateMode::Append).unwrap();
    env.remove_file(b).unwrap();
    assert_eq!(env.removed_while_written(), [b]);
}
