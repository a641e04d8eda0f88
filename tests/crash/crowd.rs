//! Crashes while several threads write: their writes are committed in groups, so that one record of the WAL
//! has the writes of several threads.
//!
//! Each thread writes batches of two keys of its own, with the same increasing number in both. After a crash,
//! both keys of a thread have the same number. Let S be a synced write that was acknowledged: every write
//! that was acknowledged before S began is present. Let W be a write that is present: every write that was
//! acknowledged before W began is present.

use super::run::PATH;
use super::states::{Effort, choices, describe, open};
use super::workload::Setup;
use crate::support::random::{Random, announce, count, seeds};
use std::path::Path;
use std::sync::Barrier;
use terrace::env::mem::{CrashChoice, MemEnv};
use terrace::{Db, ReadOptions, WriteBatch, WriteOptions};

const THREADS: usize = 4;
const WRITES: usize = 20;
const RUNS: u64 = 4;

/// Seeds that found a defect: half of a header was lost at the end of a WAL, and the next WAL was replayed.
const FOUND: [u64; 1] = [1_795_239_435_000];

/// The moments at which a write was called and returned.
#[derive(Clone, Copy)]
struct Write {
    start: usize,
    end: usize,
    sync: bool,
}

fn keys(thread: usize) -> [Vec<u8>; 2] {
    ["a", "z"].map(|half| format!("{half}{thread}").into_bytes())
}

/// Runs the threads. Returns the writes of each thread, in order.
fn write_together(disk: &MemEnv, db: &Db, seed: u64) -> Vec<Vec<Write>> {
    let start = Barrier::new(THREADS);
    let write_alone = |thread: usize| {
        let mut random = Random::new(seed << 8 | thread as u64);
        start.wait();
        let write = |number: usize| {
            let mut batch = WriteBatch::new();
            // Some values are large enough to fill the memtable.
            let padding = vec![b'.'; random.pick(&[1, 50, 400, 3000])];
            keys(thread)
                .iter()
                .for_each(|key| batch.put(key, &[number.to_string().as_bytes(), &padding].concat()));
            let sync = random.one_in(5);
            let start = disk.operation_count();
            db.write(&WriteOptions { sync }, &batch).expect("a write");
            Write { start, end: disk.operation_count(), sync }
        };
        (1..=WRITES).map(write).collect()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || write_alone(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a writer")).collect()
    })
}

/// The number of writes of each thread that a database has.
fn found_in(db: &Db) -> Result<Vec<usize>, String> {
    let number = |key: &[u8]| -> Result<usize, String> {
        let value = db.get(&ReadOptions::default(), key).map_err(|error| format!("get fails: {error}"))?;
        let Some(value) = value else { return Ok(0) };
        let text = String::from_utf8(value).map_err(|_| "a value that nobody wrote".to_owned())?;
        text.trim_end_matches('.').parse().map_err(|_| format!("a value that nobody wrote: {text}"))
    };
    let both = |thread: usize| {
        let [a, z] = keys(thread);
        match (number(&a)?, number(&z)?) {
            (a, z) if a == z => Ok(a),
            (a, z) => Err(format!("I2: thread {thread}'s batch {a} is there by half, and {z} by the other")),
        }
    };
    (0..THREADS).map(both).collect()
}

/// Compares the writes found after a crash with the acknowledged ones.
fn check(writes: &[Vec<Write>], found: &[usize], crash: usize, gaps: bool) -> Result<(), String> {
    let all = || {
        writes
            .iter()
            .enumerate()
            .flat_map(|(thread, own)| own.iter().enumerate().map(move |(n, w)| (thread, n + 1, *w)))
    };
    for (thread, number, write) in all() {
        let is_found = number <= found[thread];
        if write.start >= crash && is_found {
            return Err(format!("I3: thread {thread}'s write {number} is there before it began"));
        }
        let is_durable = write.sync && write.end <= crash;
        if is_durable && !is_found {
            return Err(format!("I1: thread {thread}'s synced write {number} is lost"));
        }
        if !(is_durable || (is_found && !gaps)) {
            continue;
        }
        if let Some((other, lost, _)) = all().find(|(other, n, w)| w.end <= write.start && *n > found[*other])
        {
            let why = if is_durable { "durable" } else { "there" };
            return Err(format!(
                "thread {other}'s write {lost} is lost, though thread {thread}'s later {number} is {why}"
            ));
        }
    }
    Ok(())
}

#[test]
fn writes_of_many_threads_survive_every_crash() {
    let effort = Effort { subsets: 4, pairs: 2, one_recovered_in: 0 };
    let mut states: u64 = 0;
    for seed in seeds(RUNS).chain(FOUND) {
        let setup = Setup { memtables: 4, ..Setup::numbered(seed * 5) };
        let disk = MemEnv::with_journal();
        let db = Db::open(&setup.options(disk.shared()), Path::new(PATH)).expect("a new database");
        let writes = write_together(&disk, &db, seed);
        drop(db);
        let mut random = Random::new(seed);
        let mut point = disk.crash_point(0);
        for crash in 0..=disk.operation_count() {
            point.advance_to(crash);
            for choice in choices(&point, &effort, &mut random) {
                states += 1;
                let crashed = point.disk(choice);
                let db = open(&setup, &crashed, false).unwrap_or_else(|error| {
                    panic!("seed {seed}: I4: it does not open: {error}\n{}", describe(&disk, &point, choice))
                });
                let gaps = matches!(choice, CrashChoice::Random { garbage: true, .. });
                let checked = found_in(&db).and_then(|found| {
                    check(&writes, &found, crash, gaps).map_err(|what| format!("{what}; found {found:?}"))
                });
                if let Err(what) = checked {
                    let damage = db.property(b"terrace.recovery-damage").unwrap_or_default();
                    let crash = describe(&disk, &point, choice);
                    panic!("TERRACE_SEED={seed}: {what}\nskipped in recovery: {damage}\n{crash}");
                }
            }
        }
    }
    announce(&format!("crash: {THREADS} threads: {states} states"));
    count('C', states, "states after a crash");
}

#[test]
fn a_group_that_is_lost_or_out_of_order_is_noticed() {
    let write = |start, end, sync| Write { start, end, sync };
    let mut writes = vec![Vec::new(); THREADS];
    writes[0] = vec![write(0, 2, false), write(4, 6, true)];
    writes[1] = vec![write(1, 3, false), write(7, 8, false)];
    assert!(check(&writes, &[2, 2, 0, 0], 8, false).is_ok());
    assert!(check(&writes, &[1, 1, 0, 0], 6, false).is_err_and(|what| what.contains("I1")));
    assert!(check(&writes, &[2, 0, 0, 0], 6, false).is_err_and(|what| what.contains("is durable")));
    assert!(check(&writes, &[0, 1, 0, 0], 3, false).is_ok());
    assert!(check(&writes, &[2, 2, 0, 0], 7, false).is_err_and(|what| what.contains("I3")));
    writes[0][1].sync = false;
    assert!(check(&writes, &[2, 0, 0, 0], 8, false).is_err_and(|what| what.contains("is there")));
    assert!(check(&writes, &[2, 0, 0, 0], 8, true).is_ok());
}
