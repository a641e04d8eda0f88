//! Tests of which entries a flush or a compaction keeps.

use crate::comparator::{Comparator, bytewise};
use crate::format::internal_key::append_internal_key;
use crate::job::compaction_iterator::*;
use std::sync::Arc;

const PUT: u8 = 1;
const DELETE: u8 = 0;
const UNKNOWN: u8 = 9;

/// A sorted run of entries in memory. `failure` is its status at the end.
struct VecIterator {
    comparator: InternalKeyComparator,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    position: usize,
    failure: Option<Error>,
}

impl InternalIterator for VecIterator {
    fn valid(&self) -> bool {
        self.position < self.entries.len()
    }
    fn seek_to_first(&mut self) {
        self.position = 0;
    }
    fn seek_to_last(&mut self) {
        unreachable!("a compaction only goes forward")
    }
    fn seek(&mut self, target: &[u8]) {
        self.position = self.entries.partition_point(|(key, _)| self.comparator.compare(key, target).is_lt());
    }
    fn next(&mut self) {
        assert!(self.valid());
        self.position += 1;
    }
    fn prev(&mut self) {
        unreachable!("a compaction only goes forward")
    }
    fn key(&self) -> &[u8] {
        &self.entries[self.position].0
    }
    fn value(&self) -> &[u8] {
        &self.entries[self.position].1
    }
    fn status(&self) -> Result<()> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

/// User key, sequence number, value type.
type Entry = (&'static str, u64, u8);

fn encode(user_key: &[u8], sequence: u64, type_number: u8) -> Vec<u8> {
    let mut key = Vec::new();
    append_internal_key(&mut key, user_key, sequence, type_number);
    key
}

fn input(entries: &[Entry]) -> VecIterator {
    let entries = entries
        .iter()
        .map(|&(key, sequence, kind)| (encode(key.as_bytes(), sequence, kind), vec![]))
        .collect();
    VecIterator { comparator: order(), entries, position: usize::MAX, failure: None }
}

fn order() -> InternalKeyComparator {
    InternalKeyComparator::new(bytewise())
}

fn options(snapshots: &[u64]) -> CompactionIteratorOptions<'_> {
    CompactionIteratorOptions { comparator: order(), snapshots, paranoid: true, shutting_down: None }
}

/// The entries of `entries` that are kept. Deeper levels hold only the keys in `deeper`.
fn kept(entries: &[Entry], snapshots: &[u64], deeper: &[&str]) -> Vec<(String, u64, u8)> {
    let is_base = |key: &[u8]| !deeper.iter().any(|deep| deep.as_bytes() == key);
    let mut iterator = CompactionIterator::new(options(snapshots), input(entries), is_base);
    let kept = drain(&mut iterator);
    iterator.status().unwrap();
    kept
}

fn drain<F: FnMut(&[u8]) -> bool>(
    iterator: &mut CompactionIterator<'_, VecIterator, F>,
) -> Vec<(String, u64, u8)> {
    let mut kept = Vec::new();
    while iterator.advance() {
        let key = iterator.key();
        let user_key = String::from_utf8(internal_key::user_key(key).to_vec()).unwrap();
        assert_eq!(iterator.user_key(), user_key.as_bytes());
        kept.push((user_key, internal_key::sequence(key), internal_key::trailer(key) as u8));
    }
    assert!(!iterator.advance(), "the end stays the end");
    kept
}

fn owned(entries: &[Entry]) -> Vec<(String, u64, u8)> {
    entries.iter().map(|&(key, sequence, kind)| (key.to_string(), sequence, kind)).collect()
}

#[test]
fn without_snapshots_only_the_newest_entry_of_a_key_is_kept() {
    let entries =
        [("a", 9, PUT), ("a", 5, PUT), ("a", 2, DELETE), ("b", 7, PUT), ("c", 8, PUT), ("c", 1, PUT)];
    assert_eq!(kept(&entries, &[9], &[]), owned(&[("a", 9, PUT), ("b", 7, PUT), ("c", 8, PUT)]));
}

#[test]
fn an_entry_that_a_snapshot_sees_is_kept() {
    let entries = [("a", 9, PUT), ("a", 7, PUT), ("a", 5, PUT), ("a", 3, PUT), ("a", 1, PUT)];
    // The snapshot 6 sees a@5, 3 sees a@3, 9 sees a@9.
    assert_eq!(kept(&entries, &[3, 6, 9], &[]), owned(&[("a", 9, PUT), ("a", 5, PUT), ("a", 3, PUT)]));
    // A snapshot at the newer entry does not see the older one.
    assert_eq!(kept(&entries[3..], &[3, 9], &[]), owned(&[("a", 3, PUT)]));
}

#[test]
fn entries_above_the_newest_listed_state_are_kept_for_snapshots_to_come() {
    let entries = [("a", 12, PUT), ("a", 11, PUT), ("a", 10, PUT), ("a", 9, PUT)];
    assert_eq!(kept(&entries, &[10], &[]), owned(&[("a", 12, PUT), ("a", 11, PUT), ("a", 10, PUT)]));
    assert_eq!(kept(&entries, &[], &[]), owned(&entries));
    assert_eq!(kept(&[("a", 0, DELETE)], &[], &[]), owned(&[("a", 0, DELETE)]));
}

#[test]
fn a_deletion_goes_with_all_it_hides_where_nothing_deeper_holds_its_key() {
    let entries = [("a", 5, DELETE), ("a", 4, PUT), ("a", 3, DELETE), ("a", 2, PUT), ("b", 6, PUT)];
    assert_eq!(kept(&entries, &[9], &[]), owned(&[("b", 6, PUT)]));
}

#[test]
fn a_deletion_stays_while_something_deeper_may_hold_its_key() {
    let entries = [("a", 5, DELETE), ("a", 4, PUT), ("b", 6, DELETE)];
    assert_eq!(kept(&entries, &[9], &["a"]), owned(&[("a", 5, DELETE)]));
}

#[test]
fn a_deletion_that_a_snapshot_does_not_see_is_kept() {
    let entries = [("a", 5, DELETE), ("a", 4, PUT)];
    assert_eq!(kept(&entries, &[4, 9], &[]), owned(&entries));
    assert_eq!(kept(&entries, &[5, 9], &[]), vec![]);
    // Below the oldest snapshot's tombstone, no entry becomes visible again.
    let entries = [("a", 8, PUT), ("a", 5, DELETE), ("a", 4, PUT)];
    assert_eq!(kept(&entries, &[6, 9], &[]), owned(&[("a", 8, PUT)]));
}

#[test]
fn the_same_entry_twice_is_passed_on_once() {
    let entries = [("a", 5, PUT), ("a", 5, PUT), ("a", 5, PUT), ("b", 5, UNKNOWN), ("b", 5, UNKNOWN)];
    let snapshots = [];
    let options = CompactionIteratorOptions { paranoid: false, ..options(&snapshots) };
    let mut iterator = CompactionIterator::new(options, input(&entries), |_| true);
    assert_eq!(drain(&mut iterator), owned(&[("a", 5, PUT), ("b", 5, UNKNOWN)]));
    assert_eq!(iterator.entries_read(), 5);
}

#[test]
fn keys_that_are_equal_without_being_the_same_bytes_hide_each_other() {
    struct IgnoringCase;
    impl Comparator for IgnoringCase {
        fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
            a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase())
        }
        fn name(&self) -> Vec<u8> {
            b"ignoring case".to_vec()
        }
    }
    let comparator = InternalKeyComparator::new(Arc::new(IgnoringCase));
    let options = CompactionIteratorOptions { comparator, ..options(&[9]) };
    let entries = [("Key", 5, PUT), ("kEY", 4, PUT), ("keys", 3, PUT)];
    let mut iterator = CompactionIterator::new(options, input(&entries), |_| true);
    assert_eq!(drain(&mut iterator), owned(&[("Key", 5, PUT), ("keys", 3, PUT)]));
}

#[test]
fn an_unparsable_entry_is_an_error_when_paranoid() {
    let mut iterator =
        CompactionIterator::new(options(&[9]), input(&[("a", 5, PUT), ("b", 4, UNKNOWN)]), |_| true);
    assert!(iterator.advance());
    assert!(!iterator.advance());
    let error = iterator.status().unwrap_err();
    assert!(error.is_corruption());
    assert_eq!(error.message(), "unknown entry type 9 of key 'b' @ 4");

    let mut short = input(&[]);
    short.entries.push((b"1234567".to_vec(), vec![]));
    let mut iterator = CompactionIterator::new(options(&[9]), short, |_| true);
    assert!(!iterator.advance());
    assert_eq!(iterator.status().unwrap_err().message(), "internal key '1234567' is shorter than 8 bytes");
}

#[test]
fn an_unparsable_entry_is_passed_on_otherwise_and_neither_hides_nor_uncovers() {
    let entries = [
        ("a", 8, UNKNOWN),
        ("a", 7, PUT),
        ("a", 6, UNKNOWN),
        ("a", 5, PUT), // hidden by a@7
        ("b", 4, DELETE),
        ("b", 3, UNKNOWN),
        ("b", 2, PUT), // hidden by b@4, although b@4 is dropped
    ];
    let options = CompactionIteratorOptions { paranoid: false, ..options(&[9]) };
    let mut short = input(&entries);
    short.entries.insert(0, (b"short".to_vec(), b"v".to_vec()));
    let mut iterator = CompactionIterator::new(options, short, |_| true);
    assert!(iterator.advance());
    assert_eq!((iterator.key(), iterator.value()), (&b"short"[..], &b"v"[..]));
    assert_eq!(
        drain(&mut iterator),
        owned(&[("a", 8, UNKNOWN), ("a", 7, PUT), ("a", 6, UNKNOWN), ("b", 3, UNKNOWN)])
    );
    iterator.status().unwrap();
}

#[test]
fn an_input_out_of_order_is_corruption() {
    for entries in [
        [("b", 5, PUT), ("a", 9, PUT)],
        [("a", 5, PUT), ("a", 6, PUT)],
        [("a", 5, DELETE), ("a", 5, PUT)],
        [("longer than a word", 5, PUT), ("longer than a wor", 5, PUT)],
    ] {
        let options = CompactionIteratorOptions { paranoid: false, ..options(&[9]) };
        let mut iterator = CompactionIterator::new(options, input(&entries), |_| false);
        assert!(iterator.advance());
        assert!(!iterator.advance());
        let error = iterator.status().unwrap_err();
        assert!(error.is_corruption() && error.message().starts_with("entries out of order"), "{error}");
    }
}

#[test]
fn the_first_kept_entry_of_a_user_key_is_told() {
    let entries = [("a", 9, PUT), ("a", 5, PUT), ("b", 8, PUT), ("b", 7, PUT), ("b", 2, PUT), ("c", 1, PUT)];
    let mut iterator = CompactionIterator::new(options(&[5, 9]), input(&entries), |_| true);
    let mut first = Vec::new();
    while iterator.advance() {
        first.push(iterator.is_first_of_user_key());
    }
    // a@9, a@5, b@8, b@2, c@1
    assert_eq!(first, [true, false, true, false, true]);
}

#[test]
fn the_base_level_is_asked_for_deletions_only_with_ascending_keys() {
    let entries = [
        ("a", 9, DELETE),
        ("b", 8, PUT),
        ("c", 7, DELETE),
        ("c", 6, DELETE), // hidden
        ("d", 5, DELETE),
        ("e", 10, DELETE), // not seen by the oldest snapshot
    ];
    let mut asked = Vec::new();
    let mut iterator = CompactionIterator::new(options(&[9, 12]), input(&entries), |key: &[u8]| {
        asked.push(key.to_vec());
        false
    });
    assert_eq!(drain(&mut iterator).len(), 5);
    drop(iterator);
    assert_eq!(asked, [b"a", b"c", b"d"]);
}

#[test]
fn a_part_begins_at_the_newest_entry_of_its_first_user_key() {
    let entries = [("a", 1, PUT), ("b", 9, PUT), ("b", 3, PUT), ("c", 2, PUT)];
    let mut iterator = CompactionIterator::new(options(&[4, 9]), input(&entries), |_| true).starting_at(b"b");
    assert_eq!(drain(&mut iterator), owned(&entries[1..]));
}

#[test]
fn an_error_of_the_input_is_told_at_the_end() {
    let mut broken = input(&[("a", 5, PUT)]);
    broken.failure = Some(Error::io("disk"));
    let mut iterator = CompactionIterator::new(options(&[9]), broken, |_| true);
    assert!(iterator.advance());
    assert!(!iterator.advance());
    assert_eq!(iterator.status().unwrap_err().message(), "disk");
}

#[test]
fn closing_ends_it_even_where_nothing_is_kept() {
    let closing = AtomicBool::new(true);
    let options = CompactionIteratorOptions { shutting_down: Some(&closing), ..options(&[9]) };
    let mut iterator = CompactionIterator::new(options.clone(), input(&[("a", 5, PUT)]), |_| true);
    assert!(!iterator.advance());
    assert_eq!(iterator.status().unwrap_err().to_string(), "IO error: database is closing");

    // One key with many versions, all but one hidden; the database begins to close after the first.
    closing.store(false, atomic::Ordering::Release);
    let many: Vec<Entry> = (0..10_000).rev().map(|sequence| ("a", sequence, PUT)).collect();
    let options = CompactionIteratorOptions { snapshots: &[10_000], ..options };
    let mut iterator = CompactionIterator::new(options, input(&many), |_| true);
    assert!(iterator.advance());
    closing.store(true, atomic::Ordering::Release);
    assert!(!iterator.advance());
    assert!(iterator.entries_read() <= ENTRIES_BETWEEN_CHECKS);
    assert!(iterator.status().is_err());
}

#[test]
fn the_word_comparison_is_the_bytewise_order() {
    let mut random = Random(0x5eed);
    for _ in 0..20_000 {
        let mut make = || -> Vec<u8> {
            (0..random.below(20)).map(|_| [0, 1, 0x7f, 0x80, 0xff][random.below(5) as usize]).collect()
        };
        let (a, b) = (make(), make());
        let b = if a.len() >= 8 && b.len() > 4 { [&a[..8], &b[..]].concat() } else { b };
        assert_eq!(compare_user_keys(&order(), &a, &b), a.cmp(&b));
    }
}

/// The random generator xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }
}

/// The value that a reader at `snapshot` finds for `key`. Deeper levels answer only if no entry does.
fn read(
    entries: &[(String, u64, u8)],
    deeper: &[&str],
    key: &str,
    snapshot: u64,
) -> Option<(&'static str, u64)> {
    let newest = entries
        .iter()
        .filter(|(entry_key, sequence, _)| entry_key == key && *sequence <= snapshot)
        .max_by_key(|(_, sequence, _)| *sequence);
    match newest {
        Some((_, sequence, PUT)) => Some(("here", *sequence)),
        Some(_) => None,
        None if deeper.contains(&key) => Some(("deeper", 0)),
        None => None,
    }
}

#[test]
fn every_snapshot_reads_the_same_afterwards_and_nothing_droppable_remains() {
    const KEYS: [&str; 6] = ["a", "b", "bb", "long key with words 1", "long key with words 2", "z"];
    let seed = 20_240_607;
    println!("seed {seed}");
    let mut random = Random(seed);
    for round in 0..3_000 {
        let last = 1 + random.below(40);
        let mut entries: Vec<Entry> = Vec::new();
        for sequence in 1..=last {
            let kind = if random.below(3) == 0 { DELETE } else { PUT };
            entries.push((KEYS[random.below(KEYS.len() as u64) as usize], sequence, kind));
        }
        entries.sort_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
        let mut snapshots: Vec<u64> = (0..random.below(5)).map(|_| random.below(last + 1)).collect();
        snapshots.push(last);
        snapshots.sort_unstable();
        snapshots.dedup();
        let deeper: Vec<&str> = KEYS.into_iter().filter(|_| random.below(2) == 0).collect();

        let before = owned(&entries);
        let after = kept(&entries, &snapshots, &deeper);
        for key in KEYS {
            for &snapshot in snapshots.iter().chain(&[last + 7]) {
                assert_eq!(
                    read(&after, &deeper, key, snapshot),
                    read(&before, &deeper, key, snapshot),
                    "round {round}: {key} at {snapshot}"
                );
            }
        }
        for (index, entry) in after.iter().enumerate() {
            let mut without = after.clone();
            without.remove(index);
            let is_needed = snapshots.iter().any(|&snapshot| {
                let seen = |entries| read(entries, &deeper, &entry.0, snapshot);
                seen(&without) != seen(&after)
            });
            // A tombstone that some snapshot does not see yet is kept until a later compaction.
            let is_young_deletion = entry.2 == DELETE
                && (entry.1 > snapshots[0] || deeper.contains(&entry.0.as_str()))
                && snapshots.iter().any(|&snapshot| {
                    snapshot >= entry.1
                        && !after
                            .iter()
                            .any(|other| other.0 == entry.0 && other.1 > entry.1 && other.1 <= snapshot)
                });
            assert!(is_needed || is_young_deletion, "round {round}: {entry:?} of {after:?} at {snapshots:?}");
        }
    }
}
