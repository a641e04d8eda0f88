//! Tests of the cache's behaviour.

use super::*;
use crate::util::random::Random;
use std::collections::HashMap;
use std::sync::Barrier;
use std::thread;

fn key(offset: u64) -> CacheKey {
    CacheKey { id: 1, offset }
}

#[test]
fn what_was_inserted_is_found_until_removed_or_replaced() {
    let cache = Cache::new(1 << 20);
    assert_eq!(cache.get(key(1)), None);
    cache.insert(key(1), "one", 10);
    cache.insert(CacheKey { id: 2, offset: 1 }, "other table", 20);
    assert_eq!(cache.get(key(1)), Some("one"));
    assert_eq!(cache.get(CacheKey { id: 2, offset: 1 }), Some("other table"));
    assert_eq!(cache.total_charge(), 30);
    cache.insert(key(1), "one again", 15);
    assert_eq!((cache.get(key(1)), cache.total_charge()), (Some("one again"), 35));
    cache.remove(key(1));
    cache.remove(key(1));
    assert_eq!((cache.get(key(1)), cache.total_charge()), (None, 20));
    cache.clear();
    assert_eq!((cache.get(CacheKey { id: 2, offset: 1 }), cache.total_charge()), (None, 0));
    cache.insert(key(1), "after clear", 10);
    assert_eq!((cache.get(key(1)), cache.total_charge()), (Some("after clear"), 10));
}

#[test]
fn ids_are_never_given_twice() {
    let cache: BlockCache = Cache::new(0);
    let mut ids: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..1000).map(|_| cache.new_id()).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4000);
}

#[test]
fn the_charge_stays_within_every_capacity() {
    for (seed, capacity) in [1, 100, 4 << 10, 300_000, 1 << 20, 8 << 20, 100 << 20].into_iter().enumerate() {
        let mut random = Random::new(seed as u64);
        let cache = Cache::new(capacity);
        assert_eq!(cache.capacity(), capacity);
        let mut inserted = 0;
        for i in 0..5_000 {
            let charge = random.uniform(capacity as u64 / 50 + 2) as usize;
            cache.insert(key(i), i, charge);
            inserted += charge;
            assert!(cache.total_charge() <= capacity, "{} of {capacity}", cache.total_charge());
            assert_eq!(cache.get(key(i)), Some(i), "what was just inserted is there");
        }
        assert!(
            cache.total_charge() >= capacity.min(inserted) * 9 / 10,
            "{} of {capacity}",
            cache.total_charge()
        );
        assert_eq!(
            cache.total_charge.load(Ordering::Relaxed),
            cache.total_charge(),
            "no reservation is left"
        );
    }
}

#[test]
fn a_cache_of_nothing_keeps_nothing() {
    let cache = Cache::new(0);
    cache.insert(key(1), 1, 0);
    cache.insert(key(2), 2, 1);
    assert_eq!((cache.get(key(1)), cache.get(key(2)), cache.total_charge()), (None, None, 0));
}

#[test]
fn a_value_may_be_as_large_as_the_cache_and_no_larger() {
    let cache = Cache::new(8 << 20);
    assert!(cache.shards.len() > 1, "so that shares are smaller than the values below");
    for i in 0..2_000 {
        cache.insert(key(i), i, 4096);
    }
    for i in 10_000..10_020 {
        cache.insert(key(i), i, 2 << 20);
        assert!(cache.total_charge() <= cache.capacity());
        assert_eq!(cache.get(key(i)), Some(i));
    }
    assert!((10_000..10_020).filter(|&i| cache.get(key(i)).is_some()).count() >= 3);
    cache.insert(key(20_000), 20_000, 8 << 20);
    assert_eq!((cache.get(key(20_000)), cache.total_charge()), (Some(20_000), 8 << 20));
    cache.insert(key(20_000), 0, (8 << 20) + 1);
    assert_eq!((cache.get(key(20_000)), cache.total_charge()), (None, 0), "an old value is worse than none");
}

#[test]
fn a_full_cache_wants_what_was_missed_twice() {
    let cache = Cache::new(1 << 20);
    let blocks = (1 << 20) / 4096;
    for i in 0..blocks {
        assert!(cache.wants(key(i), 4096), "there is room for {i}");
        cache.insert(key(i), i, 4096);
    }
    assert!(!cache.wants(key(1000), 4096));
    assert!(cache.wants(key(1000), 4096));
    cache.insert(key(1000), 1000, 4096);
    // Further values that are missed once evict nothing, and their fingerprints are forgotten.
    assert_eq!((2000..20_000).filter(|&i| cache.wants(key(i), 4096)).count(), 0);
    assert_eq!(cache.get(key(1000)), Some(1000));
    assert_eq!((2000..2500).filter(|&i| cache.wants(key(i), 4096)).count(), 0);
    assert!(!cache.wants(key(7), (1 << 20) + 1), "larger than the cache");
    assert!(!Cache::<u64>::new(0).wants(key(7), 1));
}

#[test]
fn a_hot_set_survives_a_scan_of_ten_times_the_capacity() {
    for capacity in [1 << 20, 8 << 20, 64 << 20] {
        let cache = Cache::new(capacity);
        let blocks = (capacity / 4096) as u64;
        let hot = 0..blocks / 2;
        let read = |offset: u64| {
            let hit = cache.get(key(offset)).is_some();
            if !hit {
                cache.insert(key(offset), (), 4096);
            }
            hit
        };
        for _ in 0..4 {
            hot.clone().for_each(|offset| _ = read(offset));
        }
        (0..10 * blocks).for_each(|i| _ = read(1_000_000 + i));
        let survivors = hot.clone().filter(|&offset| read(offset)).count() as u64;
        assert!(survivors >= hot.end * 9 / 10, "{survivors} of {} with {capacity}", hot.end);
    }
}

/// A cache of one shard and 1000 entries of charge 1; the entries below 900 have been read often.
fn warm_cache() -> Cache<u64> {
    let cache = Cache::new(1000);
    for _ in 0..4 {
        (0..900).for_each(|i| _ = read(&cache, i));
    }
    cache
}

/// True if the read was a hit. A miss inserts.
fn read(cache: &Cache<u64>, offset: u64) -> bool {
    let hit = cache.get(key(offset)).is_some();
    if !hit {
        cache.insert(key(offset), offset, 1);
    }
    hit
}

#[test]
fn what_is_new_has_a_tenth_of_the_cache_to_prove_itself() {
    let cache = warm_cache();
    (10_000..20_000).for_each(|i| _ = read(&cache, i));
    assert!((19_905..20_000).all(|i| cache.get(key(i)).is_some()));
    assert!((10_000..19_895).all(|i| cache.get(key(i)).is_none()));
    assert!((0..900).all(|i| cache.get(key(i)).is_some()));
}

#[test]
fn a_new_set_takes_the_place_of_what_is_not_read_any_more() {
    // The new set is larger than the small queue and read cyclically: only fingerprints show that its entries
    // return.
    let cache = warm_cache();
    let mut old_misses = 0;
    for round in 0..12 {
        let hits = (10_000..10_500).filter(|&i| read(&cache, i)).count();
        assert!(round != 0 || hits == 0);
        assert!(round < 11 || hits > 450, "{hits} of 500 in the last round");
        // A third of the old set is still read.
        old_misses += (0..300).filter(|&i| !read(&cache, i)).count();
    }
    assert_eq!(old_misses, 0);
}

#[test]
fn a_large_value_that_is_read_stays_among_small_ones() {
    let cache = Cache::new(8 << 20);
    let filter = key(u64::MAX);
    cache.insert(filter, 0, 1 << 20);
    let mut misses = 0;
    for i in 0..50_000 {
        cache.insert(key(i), i, 4096);
        // A table's filter might be read that often: once per 10 blocks.
        if i % 10 == 0 && cache.get(filter).is_none() {
            misses += 1;
            cache.insert(filter, 0, 1 << 20);
        }
    }
    assert!(misses < 5, "{misses}");
}

#[test]
fn a_set_that_moves_is_followed() {
    // Entries that were hot once must not stay permanently.
    let cache = Cache::new(4 << 20);
    let mut random = Random::new(6);
    let mut hits = 0;
    for round in 0..40_000u64 {
        let offset = 300 * (round / 10_000) + random.uniform(500);
        hits += u64::from(cache.get(key(offset)).is_some());
        cache.insert(key(offset), (), 4096);
    }
    assert!(hits > 36_000, "{hits}");
}

#[test]
fn a_skewed_load_hits_about_as_often_as_can_be() {
    // A tenth of the keys gets nine tenths of the reads; the cache holds a fifth of the keys.
    let (keys, capacity) = (10_000, 2_000 * 4096);
    let cache = Cache::new(capacity);
    let mut random = Random::new(7);
    let mut hits = 0;
    for round in 0..200_000 {
        let offset = if random.one_in(10) { random.uniform(keys) } else { random.uniform(keys / 10) };
        if cache.get(key(offset)).is_some() {
            hits += u64::from(round >= 100_000);
        } else {
            cache.insert(key(offset), (), 4096);
        }
    }
    assert!(hits > 89_000, "{hits} of 100000");
}

/// Compares a shard with a map. The tags are few, so that buckets collide, wrap around and move.
#[test]
fn a_shard_finds_exactly_what_a_map_does() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let mut state = State::new(10);
        let mut model = HashMap::new();
        let tag_of = |offset: u64| (offset as u32 * 7) % 40;
        for step in 0..2_000u64 {
            let offset = random.uniform(100);
            let (key, tag) = (key(offset), tag_of(offset));
            match random.uniform(4) {
                0 => {
                    let charge = random.uniform(9) as usize + 1;
                    let replaced = state.insert(Entry::new(key, tag, step, charge));
                    assert_eq!(replaced, model.insert(offset, (step, charge)));
                }
                1 => assert_eq!(state.remove(key, tag), model.remove(&offset)),
                2 if state.charge() > 300 => {
                    let (value, charge) = state.evict_one().unwrap();
                    let offset = *model.iter().find(|(_, entry)| **entry == (value, charge)).unwrap().0;
                    model.remove(&offset);
                }
                _ => assert_eq!(
                    state.get(key, tag).map(|(value, _)| value),
                    model.get(&offset).map(|entry| entry.0)
                ),
            }
            assert_eq!(state.count, model.len());
            assert_eq!(state.charge(), model.values().map(|entry| entry.1).sum::<usize>());
        }
        for offset in 0..100 {
            assert_eq!(
                state.get(key(offset), tag_of(offset)).map(|(value, _)| value),
                model.get(&offset).map(|entry| entry.0)
            );
        }
        while state.evict_one().is_some() {}
        assert_eq!((state.count, state.charge()), (0, 0));
        assert!(state.buckets.iter().all(|bucket| bucket.index == NONE));
    }
}

/// A value whose drop uses the cache: dropping it under the lock of a shard would deadlock.
#[derive(Clone)]
struct Reentrant(#[allow(dead_code)] Arc<OnDrop>);

struct OnDrop {
    cache: std::sync::Weak<Cache<Reentrant>>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.upgrade() {
            (0..64).for_each(|offset| drop(cache.get(key(offset))));
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn values_are_dropped_once_and_without_a_lock() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let cache = Arc::new(Cache::new(1000));
    let value = || Reentrant(Arc::new(OnDrop { cache: Arc::downgrade(&cache), dropped: dropped.clone() }));
    for offset in 0..64 {
        cache.insert(key(offset), value(), 100);
    }
    assert_eq!(dropped.load(Ordering::Relaxed), 54, "evicted");
    (0..64).for_each(|offset| cache.insert(key(offset), value(), 100));
    (0..64).for_each(|offset| cache.remove(key(offset)));
    assert_eq!((dropped.load(Ordering::Relaxed), cache.total_charge()), (128, 0));
    cache.insert(key(1), value(), 1000);
    cache.insert(key(1), value(), 1000);
    cache.insert(key(1), value(), 1001);
    cache.insert(key(1), value(), 1);
    cache.clear();
    assert_eq!(dropped.load(Ordering::Relaxed), 132);
}

#[test]
fn threads_find_whole_values_and_the_charge_adds_up() {
    const THREADS: u64 = 4;
    const STEPS: u64 = if cfg!(miri) { 300 } else { 50_000 };
    let cache: BlockCache = Cache::new(1 << 20);
    let start = Barrier::new(THREADS as usize);
    let work = |seed: u64| {
        let mut random = Random::new(seed);
        start.wait();
        for step in 0..STEPS {
            let offset = random.skewed(12);
            let block = |length: usize| -> Arc<[u8]> { vec![offset as u8; length].into() };
            match random.uniform(10) {
                0 => cache.remove(key(offset)),
                1 if step % 1000 == 0 => cache.clear(),
                // Now and then a value so large that the reservations of the threads together exceed the
                // capacity.
                2 if step % 100 == 0 => cache.insert(key(offset), block(10).into(), 600 << 10),
                _ => match cache.get(key(offset)) {
                    Some(found) => assert!(found.block().iter().all(|&byte| byte == offset as u8)),
                    None => {
                        let length = random.uniform(4096) as usize;
                        cache.insert(key(offset), block(length).into(), length);
                    }
                },
            }
        }
    };
    thread::scope(|scope| {
        let work = &work;
        (0..THREADS).for_each(|seed| drop(scope.spawn(move || work(seed))));
    });
    assert!(cache.total_charge() <= cache.capacity());
    assert_eq!(cache.total_charge.load(Ordering::Relaxed), cache.total_charge());
    let charged: usize = cache.shards.iter().map(|shard| shard.state.lock().charge()).sum();
    assert_eq!(charged, cache.total_charge());
    cache.clear();
    assert_eq!((cache.total_charge(), cache.total_charge.load(Ordering::Relaxed)), (0, 0));
}
