//! Tests of memtables against a sorted map as the model, and of readers running with the writer.

use crate::comparator::{Comparator, bytewise};
use crate::format::internal_key::{
    InternalKey, InternalKeyComparator, LookupKey, MAX_SEQUENCE, ParsedInternalKey, SequenceNumber, ValueType,
};
use crate::iterator::InternalIterator;
use crate::memtable::{Memtable, MemtableGet, MemtableWriter};
use crate::util::hash::hash64;
use crate::util::random::Random;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicBool, AtomicU64};
use std::thread;

#[cfg(test)]
pub(super) mod look_up;

/// The size in bytes to which a memtable is expected to grow.
const EXPECTED_SIZE: usize = 1 << 20;

/// Longer keys are smaller; keys of the same length are compared bytewise from their ends, without case. So
/// keys may compare equal without being the same bytes.
struct Backwards;

impl Backwards {
    fn canonical(key: &[u8]) -> (Reverse<usize>, Vec<u8>) {
        (Reverse(key.len()), key.iter().rev().map(u8::to_ascii_lowercase).collect())
    }
}

impl Comparator for Backwards {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        Self::canonical(a).cmp(&Self::canonical(b))
    }

    fn name(&self) -> Vec<u8> {
        b"test.Backwards".to_vec()
    }
}

fn new_memtable(comparator: Arc<dyn Comparator>) -> (Arc<Memtable>, MemtableWriter) {
    Memtable::new(InternalKeyComparator::new(comparator), EXPECTED_SIZE, None).unwrap()
}

/// The image of a user key, by which it sorts, and the sequence number, newest first.
type ModelKey = (Vec<u8>, Reverse<SequenceNumber>);

/// A memtable and its expected contents.
struct Modelled {
    memtable: Arc<Memtable>,
    writer: MemtableWriter,
    order: InternalKeyComparator,
    model: BTreeMap<ModelKey, (InternalKey, Vec<u8>)>,
    /// Maps a key to bytes that sort as the comparator says.
    image: fn(&[u8]) -> Vec<u8>,
    sequence: SequenceNumber,
}

impl Modelled {
    fn new(comparator: Arc<dyn Comparator>, image: fn(&[u8]) -> Vec<u8>) -> Self {
        let order = InternalKeyComparator::new(comparator);
        let (memtable, writer) = Memtable::new(order.clone(), EXPECTED_SIZE, None).unwrap();
        Modelled { memtable, writer, order, model: BTreeMap::new(), image, sequence: 0 }
    }

    fn bytewise() -> Self {
        Self::new(bytewise(), <[u8]>::to_vec)
    }

    fn insert(&mut self, value_type: ValueType, key: &[u8], value: &[u8]) {
        self.sequence += 1;
        self.writer.insert(self.sequence, value_type, key, value);
        let internal = InternalKey::new(key, self.sequence, value_type);
        self.model.insert(((self.image)(key), Reverse(self.sequence)), (internal, value.to_vec()));
    }

    fn check_get(&self, key: &[u8], sequence: SequenceNumber) {
        let image = (self.image)(key);
        let newest = self.model.range((image.clone(), Reverse(sequence))..).next();
        let expected = match newest {
            Some(((found, _), (internal, value))) if *found == image => {
                match ParsedInternalKey::parse(internal.encoded()).unwrap().value_type {
                    ValueType::Value => MemtableGet::Value(value),
                    ValueType::Deletion => MemtableGet::Deleted,
                }
            }
            _ => MemtableGet::Missing,
        };
        let got = self.memtable.get(&LookupKey::new(key, sequence));
        assert_eq!(got, expected, "{} at {sequence}", key.escape_ascii());
    }

    /// Checks every entry, in both directions.
    fn check_iteration(&self) {
        let mut iter = self.memtable.iter();
        assert!(!iter.valid());
        iter.seek_to_first();
        for (internal, value) in self.model.values() {
            assert_eq!((iter.key(), iter.value()), (internal.encoded(), &value[..]));
            iter.next();
        }
        assert!(!iter.valid());
        iter.seek_to_last();
        for (internal, value) in self.model.values().rev() {
            assert_eq!((iter.key(), iter.value()), (internal.encoded(), &value[..]));
            iter.prev();
        }
        assert!(!iter.valid());
        assert!(iter.status().is_ok());
        assert_eq!(self.memtable.num_entries(), self.model.len() as u64);
        assert_eq!(self.memtable.is_empty(), self.model.is_empty());
    }

    fn check_seek(&self, key: &[u8], sequence: SequenceNumber) {
        let target = LookupKey::new(key, sequence);
        let mut iter = self.memtable.iter();
        iter.seek(target.internal_key());
        let mut expected =
            self.model.range(((self.image)(key), Reverse(sequence))..).map(|(_, (key, _))| key.encoded());
        match expected.next() {
            Some(first) => assert_eq!(iter.key(), first),
            None => assert!(!iter.valid()),
        }
        if iter.valid() {
            assert!(self.order.compare(iter.key(), target.internal_key()).is_ge());
            iter.prev();
            let before = self.model.range(..((self.image)(key), Reverse(sequence))).next_back();
            assert_eq!(iter.valid().then(|| iter.key()), before.map(|(_, (key, _))| key.encoded()));
        }
    }
}

const STEPS: u64 = if cfg!(miri) { 100 } else { 4_000 };

/// Short keys of few letters (many of them prefixes of others, zeros included), and longer keys with common
/// beginnings.
fn random_key(random: &mut Random) -> Vec<u8> {
    let mut key = Vec::new();
    if random.one_in(2) {
        key.extend_from_slice(&b"a common beginning"[..random.uniform(19) as usize]);
    }
    for _ in 0..random.uniform(12) {
        key.push(b"\0aAbB\xff"[random.uniform(6) as usize]);
    }
    key
}

fn random_inserts_and_reads(mut modelled: Modelled, seed: u64) {
    println!("seed {seed}");
    let mut random = Random::new(seed);
    modelled.check_iteration();
    for step in 0..STEPS {
        let key = random_key(&mut random);
        let value_type = if random.one_in(4) { ValueType::Deletion } else { ValueType::Value };
        modelled.insert(value_type, &key, &vec![step as u8; random.skewed(9) as usize]);
        let sequence = random.uniform(modelled.sequence + 2);
        let key = random_key(&mut random);
        for sequence in [sequence, modelled.sequence, MAX_SEQUENCE] {
            modelled.check_get(&key, sequence);
        }
        if step % 8 == 0 {
            modelled.check_seek(&key, sequence);
        }
    }
    modelled.check_iteration();
}

#[test]
fn random_inserts_read_as_a_sorted_map_does() {
    for seed in 1..=3 {
        random_inserts_and_reads(Modelled::bytewise(), seed);
    }
}

#[test]
fn a_users_comparator_decides_order_and_equality() {
    fn image(key: &[u8]) -> Vec<u8> {
        let (Reverse(length), bytes) = Backwards::canonical(key);
        [&(u64::MAX - length as u64).to_be_bytes()[..], &bytes].concat()
    }
    random_inserts_and_reads(Modelled::new(Arc::new(Backwards), image), 4);
}

#[test]
fn order_of_insertion_does_not_matter() {
    let count = STEPS / 2;
    let key = |i: u64| format!("key{i:09}").into_bytes();
    let ascending = (0..count).collect::<Vec<_>>();
    let descending = (0..count).rev().collect();
    // Two interleaved streams, and runs that start at random places.
    let interleaved = (0..count).map(|i| i / 2 + (i % 2) * count).collect();
    let mut random = Random::new(9);
    let starts: Vec<u64> = (0..count / 20).map(|_| random.uniform(1 << 30) << 5).collect();
    let runs = starts.iter().flat_map(|start| (0..20).map(move |i| start + i)).collect();
    let same_key = vec![7; count as usize];
    for numbers in [ascending, descending, interleaved, runs, same_key] {
        let mut modelled = Modelled::bytewise();
        for &number in &numbers {
            modelled.insert(ValueType::Value, &key(number), &number.to_le_bytes());
        }
        modelled.check_iteration();
        for &number in &numbers {
            modelled.check_get(&key(number), MAX_SEQUENCE);
            modelled.check_get(&key(number + 1), MAX_SEQUENCE);
        }
    }
}

#[test]
fn empty_and_huge_keys_and_values_are_entries_like_others() {
    let mut modelled = Modelled::bytewise();
    let huge = vec![b'k'; 3 << 20];
    let mut neighbour = huge.clone();
    neighbour.push(0);
    let keys: [&[u8]; 7] = [b"", b"\0", b"\0\0\0\0\0\0\0\0\0", b"k", &huge, &neighbour, b"\xff"];
    for key in keys {
        modelled.check_get(key, MAX_SEQUENCE);
        modelled.insert(ValueType::Value, key, b"");
        modelled.insert(ValueType::Value, key, &huge);
        modelled.insert(ValueType::Deletion, key, b"");
    }
    modelled.check_iteration();
    for key in keys {
        for sequence in 0..=modelled.sequence {
            modelled.check_get(key, sequence);
        }
    }
}

#[test]
fn memory_is_counted_as_leveldb_counts_it() {
    let (memtable, mut writer) = new_memtable(bytewise());
    assert!(memtable.approximate_memory_usage() < 4096);
    let before = memtable.approximate_memory_usage();
    for i in 0..20_000u64 {
        writer.insert(i + 1, ValueType::Value, format!("{:016}", i * 7919 % 20_000).as_bytes(), &[b'v'; 100]);
    }
    let each = (memtable.approximate_memory_usage() - before) as f64 / 20_000.0;
    assert!((150.0..165.0).contains(&each), "{each}");
    let before = memtable.approximate_memory_usage();
    writer.insert(30_000, ValueType::Value, b"large", &[0; 1 << 20]);
    assert!(memtable.approximate_memory_usage() - before >= 1 << 20);
}

#[test]
fn reserving_fails_where_inserting_would() {
    let (memtable, mut writer) = new_memtable(bytewise());
    assert!(writer.reserve(1_000, 100_000).is_ok());
    let error = writer.reserve(1, isize::MAX as usize / 2).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(writer.reserve(usize::MAX, 1).is_err());
    for i in 0..1_000 {
        writer.insert(i + 1, ValueType::Value, &i.to_be_bytes(), &[0; 92]);
    }
    assert_eq!(memtable.num_entries(), 1_000);
    assert!(Arc::ptr_eq(writer.memtable(), &memtable));
}

#[test]
fn an_iterator_outlives_its_memtable_and_sees_what_comes_later() {
    let (memtable, mut writer) = new_memtable(bytewise());
    let mut iter = memtable.iter();
    iter.seek_to_first();
    assert!(!iter.valid());
    writer.insert(1, ValueType::Value, b"b", b"1");
    iter.seek_to_first();
    writer.insert(2, ValueType::Value, b"c", b"2");
    drop((memtable, writer));
    iter.next();
    assert_eq!(
        (iter.key(), iter.value()),
        (InternalKey::new(b"c", 2, ValueType::Value).encoded(), &b"2"[..])
    );
    iter.next();
    assert!(!iter.valid());
}

#[test]
fn a_comparator_that_panics_leaves_a_list_that_works() {
    struct Fragile(AtomicU64);
    impl Comparator for Fragile {
        fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
            let left = self.0.fetch_sub(1, atomic::Ordering::Relaxed);
            assert!(left != 1, "as the test wants it");
            a.cmp(b)
        }
        fn name(&self) -> Vec<u8> {
            b"test.Fragile".to_vec()
        }
    }
    let comparator = Arc::new(Fragile(AtomicU64::new(0)));
    let (memtable, mut writer) = new_memtable(comparator.clone());
    let mut random = Random::new(5);
    let mut inserted = 0;
    let mut last = 0u64;
    for sequence in 1..=1_000 {
        // After each search that may be interrupted, a key that belongs directly after the last insertion.
        let is_neighbour = sequence % 2 == 0;
        let key = if is_neighbour { last + 1 } else { random.next_u64() };
        comparator.0.store(if is_neighbour { 0 } else { random.uniform(30) }, atomic::Ordering::Relaxed);
        let insertion = || writer.insert(sequence, ValueType::Value, &key.to_be_bytes(), b"v");
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(insertion)).is_ok() {
            last = key;
            inserted += 1;
        }
    }
    comparator.0.store(0, atomic::Ordering::Relaxed);
    assert!((600..900).contains(&inserted), "{inserted}");
    assert_eq!(memtable.num_entries(), inserted);
    let mut iter = memtable.iter();
    iter.seek_to_first();
    let mut keys = Vec::new();
    while iter.valid() {
        keys.push(iter.key().to_vec());
        iter.next();
    }
    assert_eq!(keys.len() as u64, inserted);
    assert!(keys.is_sorted());
    for key in keys {
        assert_eq!(memtable.get(&LookupKey::new(&key[..8], MAX_SEQUENCE)), MemtableGet::Value(b"v"));
    }
}

/// Symptom: a backward move, which searches for the previous entry, found the last entry again and again.
#[test]
fn a_walk_back_ends_with_a_comparator_that_contradicts_itself() {
    struct Stubborn(Ordering);
    impl Comparator for Stubborn {
        fn compare(&self, _: &[u8], _: &[u8]) -> Ordering {
            self.0
        }
        fn name(&self) -> Vec<u8> {
            b"test.Stubborn".to_vec()
        }
    }
    for answer in [Ordering::Less, Ordering::Equal, Ordering::Greater] {
        let (memtable, mut writer) = new_memtable(Arc::new(Stubborn(answer)));
        for sequence in 1..=100 {
            writer.insert(sequence, ValueType::Value, &sequence.to_be_bytes(), b"");
        }
        let mut iterator = memtable.iter();
        iterator.seek_to_last();
        let mut steps = 0;
        while iterator.valid() {
            steps += 1;
            assert!(steps <= 100, "always {answer:?}");
            iterator.prev();
        }
        assert!(steps > 0);
    }
}

/// As in LevelDB's skiplist test: a key is (number, generation, hash of both). The writer inserts ascending
/// generations of random numbers. A reader notes the generation of each number and then walks the list from
/// random places. It must meet every key that existed when it started, and no key that was never written.
#[test]
fn readers_see_all_that_was_inserted_before_they_began() {
    const NUMBERS: usize = 8;
    const INSERTIONS: u64 = if cfg!(miri) { 120 } else { 60_000 };
    const READERS: u64 = 3;
    fn encode(number: usize, generation: u64) -> Vec<u8> {
        let mut key = [&[number as u8][..], &generation.to_be_bytes()].concat();
        key.extend_from_slice(&hash64(&key, 1).to_be_bytes());
        key
    }
    fn decode(internal: &[u8]) -> (usize, u64) {
        let key = ParsedInternalKey::parse(internal).unwrap().user_key;
        let (number, generation) = (key[0] as usize, u64::from_be_bytes(key[1..9].try_into().unwrap()));
        assert_eq!(key, encode(number, generation), "a key that nobody wrote");
        (number, generation)
    }
    let (memtable, mut writer) = new_memtable(bytewise());
    let generations = [const { AtomicU64::new(0) }; NUMBERS];
    let done = AtomicBool::new(false);
    let read = |seed: u64| {
        let mut random = Random::new(seed);
        let mut rounds = 0u64;
        // One more round after all is written: a short test still reads.
        let mut last_round = false;
        while !last_round {
            last_round = done.load(atomic::Ordering::Acquire);
            let known: Vec<u64> = generations.iter().map(|g| g.load(atomic::Ordering::Acquire)).collect();
            let mut place = (random.uniform(NUMBERS as u64) as usize, random.uniform(INSERTIONS / 8));
            let mut iter = memtable.iter();
            iter.seek(LookupKey::new(&encode(place.0, place.1), MAX_SEQUENCE).internal_key());
            // `place` is the first key that must not have been skipped.
            for _ in 0..200 {
                let here = if iter.valid() { decode(iter.key()) } else { (NUMBERS, 0) };
                assert!(here >= place, "went back: {here:?} before {place:?}");
                if here > place {
                    // The generations 1..=known of a number are all present.
                    let skipped = (place.0..=here.0.min(NUMBERS - 1)).any(|number| {
                        let from = if number == place.0 { place.1.max(1) } else { 1 };
                        let to = if number == here.0 {
                            here.1.saturating_sub(1).min(known[number])
                        } else {
                            known[number]
                        };
                        from <= to
                    });
                    assert!(!skipped, "from {place:?} to {here:?} with {known:?}");
                }
                if !iter.valid() {
                    break;
                }
                let (number, generation) = here;
                assert_eq!(iter.value(), generation.to_le_bytes());
                place = (number, generation + 1);
                iter.next();
            }
            let number = random.uniform(NUMBERS as u64) as usize;
            if known[number] > 0 {
                let generation = 1 + random.uniform(known[number]);
                let key = encode(number, generation);
                let got = memtable.get(&LookupKey::new(&key, MAX_SEQUENCE));
                assert_eq!(got, MemtableGet::Value(&generation.to_le_bytes()));
            }
            rounds += 1;
        }
        rounds
    };
    thread::scope(|scope| {
        let read = &read;
        let readers: Vec<_> = (0..READERS).map(|seed| scope.spawn(move || read(seed))).collect();
        let mut random = Random::new(99);
        for sequence in 1..=INSERTIONS {
            let number = random.uniform(NUMBERS as u64) as usize;
            let generation = generations[number].load(atomic::Ordering::Relaxed) + 1;
            writer.insert(sequence, ValueType::Value, &encode(number, generation), &generation.to_le_bytes());
            generations[number].store(generation, atomic::Ordering::Release);
        }
        done.store(true, atomic::Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

/// A reader moves backward, turns, and moves backward again, from seeks and from the end, while the writer
/// inserts. It must meet every entry that was published before it began, in order, and none twice.
#[test]
fn going_back_meets_all_that_was_published_while_the_writer_inserts() {
    const NUMBERS: u64 = if cfg!(miri) { 120 } else { 40_000 };
    let key = |sequence: u64| sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let (memtable, mut writer) = new_memtable(bytewise());
    let published = AtomicU64::new(0);
    let read = |seed: u64| {
        let mut random = Random::new(seed);
        loop {
            let known = published.load(atomic::Ordering::Acquire);
            let mut expected: Vec<[u8; 8]> = (1..=known).map(key).collect();
            expected.sort_unstable();
            let mut iter = memtable.iter();
            if known > 0 && random.one_in(2) {
                // Before an existing key.
                let place = random.uniform(known) as usize;
                iter.seek(LookupKey::new(&expected[place], MAX_SEQUENCE).internal_key());
                iter.prev();
                expected.truncate(place);
            } else {
                iter.seek_to_last();
            }
            let mut last: Option<Vec<u8>> = None;
            while iter.valid() {
                let internal = ParsedInternalKey::parse(iter.key()).unwrap();
                let (sequence, here) = (internal.sequence, internal.user_key.to_vec());
                assert_eq!(iter.value(), sequence.to_le_bytes());
                assert!(last.is_none_or(|last| here < last), "{} again", here.escape_ascii());
                if sequence <= known {
                    assert_eq!(expected.pop().map(|key| key.to_vec()), Some(here.clone()), "of {known}");
                }
                last = Some(here);
                if random.one_in(50) {
                    // Forward once, perhaps past the end, then backward: to this entry, or to one inserted
                    // after it meanwhile.
                    iter.next();
                    if !iter.valid() {
                        iter.seek_to_last();
                    } else {
                        iter.prev();
                    }
                    while ParsedInternalKey::parse(iter.key()).unwrap().user_key != last.as_deref().unwrap() {
                        iter.prev();
                    }
                }
                iter.prev();
            }
            assert_eq!(expected.len(), 0, "{} of {known} were not met", expected.len());
            if known == NUMBERS {
                break;
            }
        }
    };
    thread::scope(|scope| {
        let read = &read;
        (0..2).for_each(|seed| drop(scope.spawn(move || read(seed))));
        for sequence in 1..=NUMBERS {
            writer.insert(sequence, ValueType::Value, &key(sequence), &sequence.to_le_bytes());
            published.store(sequence, atomic::Ordering::Release);
        }
    });
}
