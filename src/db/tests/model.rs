//! Random workloads against a model, and several threads at a time.

use super::{collect_forward, under_all_options_with_faults};
use crate::batch::write_batch::WriteBatch;
use crate::db::ReadOptions;
use crate::db::Snapshot;
use crate::options::{Options, WriteOptions};
use crate::util::random::Random;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Mostly short keys of few letters, so that keys repeat; occasionally a long one.
fn random_key(random: &mut Random) -> Vec<u8> {
    let length = match random.uniform(3) {
        0 => 1,
        _ if random.one_in(100) => random.skewed(10) as usize,
        _ => random.uniform(4) as usize,
    };
    (0..length).map(|_| b"\0\x01abcdefgh\xfd\xfe\xff"[random.uniform(13) as usize]).collect()
}

fn random_value(random: &mut Random, length: u64) -> Vec<u8> {
    (0..length).map(|_| b' ' + random.uniform(95) as u8).collect()
}

#[test]
fn random_operations_read_as_a_model_does() {
    let seed = 53;
    println!("seed {seed}");
    under_all_options_with_faults(&Options::default(), |mut test| {
        let mut random = Random::new(seed);
        let mut model = Model::new();
        // A snapshot and its contents, kept for the next hundred steps.
        let mut held = None;
        for step in 0..5000 {
            match random.uniform(100) {
                0..45 => {
                    let key = random_key(&mut random);
                    let length = match random.one_in(20) {
                        true => 100 + random.uniform(100),
                        false => random.uniform(8),
                    };
                    let value = random_value(&mut random, length);
                    test.put(&key, &value);
                    model.insert(key, value);
                }
                45..90 => {
                    let key = random_key(&mut random);
                    test.delete(&key);
                    model.remove(&key);
                }
                _ => {
                    let mut batch = WriteBatch::new();
                    let mut key = Vec::new();
                    for i in 0..random.uniform(8) {
                        // Occasionally the same key several times in a batch.
                        if i == 0 || !random.one_in(10) {
                            key = random_key(&mut random);
                        }
                        if random.one_in(2) {
                            let value = random_value(&mut random, 10);
                            batch.put(&key, &value);
                            model.insert(key.clone(), value);
                        } else {
                            batch.delete(&key);
                            model.remove(&key);
                        }
                    }
                    test.db().write(&WriteOptions::default(), &batch).unwrap();
                }
            }
            if step % 100 == 0 {
                let text = |model: &Model| {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    model.iter().map(|(key, value)| (text(key), text(value))).collect::<Vec<_>>()
                };
                let expected = text(&model);
                assert!(test.contents() == expected, "step {step}");
                if let Some((snapshot, then)) = held.take() {
                    let snapshot: Snapshot = snapshot;
                    assert!(collect_forward(&mut test.iter_at(snapshot.sequence())) == then, "step {step}");
                }
                if random.one_in(5) {
                    test.compact_all();
                }
                test.reopen();
                assert!(test.contents() == expected, "step {step}, reopened");
                held = Some((test.db().snapshot(), expected));
            }
        }
    });
}

/// A value names its key, its writer, and the writer's count of operations at that time, which must never
/// decrease.
#[test]
fn four_threads_never_read_what_was_not_yet_written() {
    const THREADS: u64 = 4;
    const KEYS: u64 = 1000;
    const OPERATIONS: u64 = 5000;
    let base = Options { write_buffer_size: 256 << 10, ..Options::default() };
    under_all_options_with_faults(&base, |test| {
        let counters: Vec<AtomicU64> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
        std::thread::scope(|scope| {
            for id in 0..THREADS {
                let (db, counters) = (test.db(), &counters);
                scope.spawn(move || {
                    let mut random = Random::new(1000 + id);
                    for count in 0..OPERATIONS {
                        counters[id as usize].store(count, Ordering::Release);
                        let number = random.uniform(KEYS);
                        let key = format!("{number:016}");
                        if random.one_in(2) {
                            let value = format!("{number}.{id}.{count:<1000}");
                            db.put(&WriteOptions::default(), key.as_bytes(), value.as_bytes()).unwrap();
                            continue;
                        }
                        let found = db.get(&ReadOptions::default(), key.as_bytes()).unwrap();
                        let Some(found) = found else { continue };
                        let found = String::from_utf8(found).unwrap();
                        let parts: Vec<u64> =
                            found.split('.').map(|part| part.trim_end().parse().unwrap()).collect();
                        let [of_key, writer, written] = parts[..] else { panic!("{found}") };
                        assert_eq!(of_key, number);
                        assert!(written <= counters[writer as usize].load(Ordering::Acquire));
                    }
                });
            }
        });
        assert!(test.contents().len() as u64 <= KEYS);
    });
}
