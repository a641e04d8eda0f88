//! Case 39: comparators and environments that panic, contradict themselves, or call their own database. No
//! thread waits permanently, acknowledged writes stay, and batches are atomic.

use super::support::{WRITE, entry, put_group, scan};
use crate::fuzz::archive::{disk, path};
use crate::fuzz::exercise::Setting;
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use terrace::Comparator;
use terrace::env::fault::{FaultEnv, FaultKind, FaultRule};
use terrace::env::mem::MemEnv;
use terrace::{Db, ErrorKind, Options, ReadOptions, Result, WriteBatch, WriteOptions};

/// The longest wait for an event that should happen soon.
const PATIENCE: Duration = Duration::from_secs(120);

/// A comparator with a function of the test.
struct Callback<F>(F);

impl<F: Fn(&[u8], &[u8]) -> Ordering + Send + Sync> Comparator for Callback<F> {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        (self.0)(a, b)
    }
    fn name(&self) -> Vec<u8> {
        b"test.Callback".to_vec()
    }
}

fn open_with(env: &MemEnv, compare: impl Fn(&[u8], &[u8]) -> Ordering + Send + Sync + 'static) -> Result<Db> {
    let options = Options {
        create_if_missing: true,
        comparator: Arc::new(Callback(compare)),
        level0_file_num_compaction_trigger: 2,
        ..Setting::default().options(env)
    };
    Db::open(&options, &path())
}

fn has(db: &Db, key: &[u8]) -> bool {
    db.get(&ReadOptions::default(), key).expect("a get").is_some()
}

/// Runs `body` on a thread of its own. Fails if it has not ended after `PATIENCE`.
fn within_patience(body: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        body();
        let _ = sender.send(());
    });
    if receiver.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits until background work has reported its failure.
fn wait_for_background_error(db: &Db) -> String {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(error) = db.background_error() {
            return error.to_error().to_string();
        }
        assert!(std::time::Instant::now() < deadline, "no background error");
        std::thread::yield_now();
    }
}

/// The sequence numbers of such a batch were used, but not published: the next write published them, and with
/// them the half of the batch that was in the memtable.
#[test]
fn a_batch_whose_write_panicked_is_never_seen_by_half() {
    let env = disk(&[], false);
    let armed = Arc::new(AtomicBool::new(false));
    let trap = armed.clone();
    let db = open_with(&env, move |a, b| {
        assert!(!trap.load(SeqCst) || (a != b"boom" && b != b"boom"), "seeded");
        a.cmp(b)
    })
    .expect("open");
    db.put(&WRITE, b"m", b"before").expect("a put");
    let mut batch = WriteBatch::new();
    [b"a".as_slice(), b"boom", b"z"].iter().for_each(|key| batch.put(key, b"batch"));
    armed.store(true, SeqCst);
    catch_unwind(AssertUnwindSafe(|| db.write(&WRITE, &batch))).expect_err("the comparator panics");
    armed.store(false, SeqCst);

    for refused in [db.put(&WRITE, b"n", b"after"), db.flush(), db.compact_range(None, None)] {
        let error = refused.expect_err("no write after a panic").to_string();
        assert!(error.contains("internal error: a write panicked"), "{error}");
    }
    assert!(has(&db, b"m") && !has(&db, b"a") && !has(&db, b"z") && !has(&db, b"n"));
    assert_eq!(scan(&db).0, [b"m"]);
    db.close().expect("a close");
    let db = open_with(&env, |a, b| a.cmp(b)).expect("open");
    // The complete batch was in the WAL.
    assert_eq!(scan(&db).0, [b"a".as_slice(), b"boom", b"m", b"z"]);
    db.put(&WRITE, b"n", b"after").expect("a put");
}

#[test]
fn writers_in_a_crowd_end_when_the_log_panics() {
    within_patience(|| {
        for nth in [1, 2, 50, 333] {
            let disk = disk(&[], false);
            let faults = FaultEnv::new(disk.shared());
            let options = Options {
                create_if_missing: true,
                env: faults.shared(),
                ..Setting::default().options(&disk)
            };
            let db = Db::open(&options, &path()).expect("open");
            let rule = FaultRule::new([FaultKind::Append]).path_suffix(".log").nth(nth).once();
            let rule = faults.add(rule.on_hit(|_, _| panic!("seeded")));
            let acknowledged = Mutex::new(BTreeSet::new());
            std::thread::scope(|scope| {
                for thread in 0..8u32 {
                    let (db, acknowledged) = (&db, &acknowledged);
                    scope.spawn(move || {
                        for number in 0..100 {
                            let key = format!("{thread}/{number:03}").into_bytes();
                            let sync = WriteOptions { sync: number % 7 == 0 };
                            if let Ok(Ok(())) = catch_unwind(AssertUnwindSafe(|| db.put(&sync, &key, b"v"))) {
                                acknowledged.lock().expect("no panic under it").insert(key);
                            }
                        }
                    });
                }
            });
            assert_eq!(rule.hits(), 1);
            drop(rule);
            let error = db.put(&WRITE, b"late", b"v").expect_err("no write after a panic").to_string();
            assert!(error.contains("internal error"), "{error}");
            let acknowledged = acknowledged.into_inner().expect("no panic under it");
            acknowledged.iter().for_each(|key| assert!(has(&db, key), "{}", key.escape_ascii()));
            let _ = db.close();
            let db = Db::open(&Setting::default().options(&disk), &path()).expect("open");
            acknowledged.iter().for_each(|key| assert!(has(&db, key), "{}", key.escape_ascii()));
            assert!(!has(&db, b"late"));
        }
    });
}

#[test]
fn a_panic_in_background_work_makes_the_database_read_only_and_nobody_waits() {
    let places = [
        (FaultKind::Create, ".ldb", 1),
        (FaultKind::Append, ".ldb", 1),
        (FaultKind::Sync, ".ldb", 1),
        (FaultKind::Close, ".ldb", 1),
        (FaultKind::Open, ".ldb", 1),
        (FaultKind::Append, "MANIFEST", 1),
        (FaultKind::Sync, "MANIFEST", 1),
        (FaultKind::Remove, ".log", 1),
        // The third table is the output of the compaction.
        (FaultKind::Create, ".ldb", 3),
        (FaultKind::Sync, ".ldb", 3),
        (FaultKind::Sync, "MANIFEST", 3),
        (FaultKind::Remove, ".ldb", 1),
    ];
    for (kind, part, nth) in places {
        within_patience(move || {
            let case = format!("{kind:?} {part} {nth}");
            let disk = disk(&[], false);
            let faults = FaultEnv::new(disk.shared());
            let options = Options {
                create_if_missing: true,
                env: faults.shared(),
                ..Setting::default().options(&disk)
            };
            let db = Db::open(&options, &path()).expect("open");
            put_group(&db, 'a', 0..50);
            let rule = faults.add(
                FaultRule::new([kind]).path_contains(part).nth(nth).once().on_hit(|_, _| panic!("seeded")),
            );
            std::thread::scope(|scope| {
                let other = scope.spawn(|| db.compact_range(None, None));
                let results = [db.flush(), db.put(&WRITE, b"b", b"v"), db.compact_range(None, None)];
                let more = [db.put(&WRITE, b"a000+", b"v"), db.compact_range(None, None)];
                drop((results, more, other.join().expect("a panic has left the database")));
            });
            // A worker for which nobody waits may do the removal.
            let error = wait_for_background_error(&db);
            assert_eq!(rule.hits(), 1, "{case}");
            assert!(error.contains("internal error in a background thread: seeded"), "{case}: {error}");
            let put = db.put(&WRITE, b"c", b"v").expect_err("a put").to_string();
            assert!(put.contains("internal error"), "{case}: {put}");
            assert!(db.flush().is_err() || db.compact_range(None, None).is_err(), "{case}");
            assert!(db.resume().is_err(), "{case}");
            let read = |db: &Db| {
                for number in 0..50 {
                    let (key, value) = entry('a', number);
                    let found = db.get(&ReadOptions::default(), &key).expect("a get");
                    assert!(found == Some(value), "{case}");
                }
                assert!(scan(db).1.is_ok() && !has(db, b"c"), "{case}");
            };
            read(&db);
            db.close().expect("a close");
            drop(rule);
            read(&Db::open(&options, &path()).expect("open"));
        });
    }
}

/// All operations of a program.
fn use_in_every_way(db: &Db, round: u32) {
    for number in 0..60 {
        let _ = db.put(&WRITE, format!("k{:03}", number * 7 % 60).as_bytes(), &[b'v'; 2000]);
        let _ = db.get(&ReadOptions::default(), format!("k{number:03}").as_bytes());
    }
    let snapshot = db.snapshot();
    let _ = db.delete(&WRITE, b"k007");
    let mut iterator = db.iter(&ReadOptions { snapshot: Some(&snapshot), ..ReadOptions::default() });
    iterator.seek_to_first();
    for step in 0..500u32 {
        match (iterator.valid(), step % 5) {
            (false, 0) => iterator.seek_to_last(),
            (false, _) => iterator.seek(b"k030"),
            (true, 3 | 4) => iterator.prev(),
            (true, _) => iterator.next(),
        }
    }
    let _ = db.flush();
    if round % 2 == 1 {
        let _ = db.compact_range(Some(b"k010"), Some(b"k040"));
        let _ = db.compact_range(None, None);
    }
    db.approximate_sizes(&[(b"a", b"z")]).expect("sizes");
    db.property(b"leveldb.sstables");
}

#[test]
fn a_comparator_that_contradicts_itself_does_no_harm_to_memory_and_ends() {
    type Compare = fn(u64, &[u8], &[u8]) -> Ordering;
    let compares: [(&str, Compare); 6] = [
        ("always less", |_, _, _| Ordering::Less),
        ("always greater", |_, _, _| Ordering::Greater),
        ("always equal", |_, _, _| Ordering::Equal),
        ("never equal", |_, a, b| a.cmp(b).then(Ordering::Less)),
        ("at random", |call, _, _| (call.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60).cmp(&7)),
        ("mostly right", |call, a, b| if call % 97 == 0 { b.cmp(a) } else { a.cmp(b) }),
    ];
    for (case, compare) in compares {
        within_patience(move || {
            let env = disk(&[], false);
            let calls = Arc::new(AtomicU64::new(0));
            for round in 0..6 {
                let calls = calls.clone();
                let opened = open_with(&env, move |a, b| compare(calls.fetch_add(1, SeqCst), a, b));
                // The MANIFEST may contradict this order meanwhile.
                let Ok(db) = opened else { continue };
                use_in_every_way(&db, round);
                let error = db.background_error().map(|error| error.to_error().to_string());
                assert!(!error.clone().unwrap_or_default().contains("internal error"), "{case}: {error:?}");
                let _ = db.close();
            }
        });
    }
}

thread_local! {
    /// Is this thread in a callback that calls the database?
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// The calls of a comparator on its own database. Calls that change it, wait for it or read its state are
/// refused.
fn call_back(db: &Db, call: u64) {
    let refused = |result: Result<()>| {
        let error = result.expect_err("a call from within a comparator");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains("from within a comparator"), "{error}");
    };
    match call % 14 {
        0 => refused(db.put(&WRITE, b"inside", b"v")),
        1 => refused(db.delete(&WRITE, b"k001")),
        2 => refused(db.write(&WriteOptions { sync: true }, &WriteBatch::new())),
        3 => refused(db.flush()),
        4 => refused(db.compact_range(None, None)),
        5 => refused(db.rotate_memtable()),
        6 => refused(db.resume()),
        7 => assert_eq!(db.property(b"leveldb.stats"), None),
        8 => assert!(db.background_error().is_some()),
        9 => drop(db.approximate_sizes(&[(b"a", b"z")])),
        10 => drop(db.snapshot()),
        11 | 12 => drop(db.get(&ReadOptions::default(), b"k030").expect("a get within a comparator")),
        _ => {
            let mut iterator = db.iter(&ReadOptions::default());
            iterator.seek(b"k020");
            iterator.status().expect("an iterator within a comparator");
        }
    }
}

#[test]
fn a_comparator_that_calls_its_database_reads_or_is_refused_and_nothing_hangs() {
    within_patience(|| {
        let env = disk(&[], false);
        let target: Arc<Mutex<Weak<Db>>> = Arc::default();
        let calls = Arc::new(AtomicU64::new(0));
        let (inside, counted) = (target.clone(), calls.clone());
        let compare = move |a: &[u8], b: &[u8]| {
            if !BUSY.replace(true) {
                if let Some(db) = inside.lock().ok().and_then(|db| db.upgrade()) {
                    let result =
                        catch_unwind(AssertUnwindSafe(|| call_back(&db, counted.fetch_add(1, SeqCst))));
                    BUSY.set(false);
                    if let Err(panic) = result {
                        std::panic::resume_unwind(panic);
                    }
                }
                BUSY.set(false);
            }
            a.cmp(b)
        };
        let db = Arc::new(open_with(&env, compare).expect("open"));
        *target.lock().expect("a lock") = Arc::downgrade(&db);
        std::thread::scope(|scope| {
            for round in 0..4 {
                let db = &db;
                scope.spawn(move || use_in_every_way(db, round));
            }
        });
        db.put(&WRITE, b"outside", b"v").expect("a put");
        db.compact_range(None, None).expect("a compaction");
        assert!(calls.load(SeqCst) > 10_000);
        assert!(db.background_error().is_none() && !has(&db, b"inside") && has(&db, b"outside"));
        *target.lock().expect("a lock") = Weak::new();
        let db = Arc::into_inner(db).expect("nobody else has it");
        db.close().expect("a close");
    });
}
