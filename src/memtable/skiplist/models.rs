//! Models of a writer and its readers: all interleavings (up to a number of preemptions). The checker knows
//! which thread wrote each link, and fails if another thread reads a link that was not published to it.

use super::*;
use crate::comparator::bytewise;
use crate::format::internal_key::LookupKey;
use loom::thread;

const KEYS: [&[u8]; 3] = [b"b", b"a", b"c"];

fn insert_all(mut writer: SkipListWriter) {
    for (index, key) in KEYS.iter().enumerate() {
        writer.insert(index as u64 + 1, ValueType::Value, key, key);
        writer.settle();
    }
}

fn model(read: fn(&Arc<SkipList>)) {
    loom::model(move || {
        let (list, writer) = SkipList::new(InternalKeyComparator::new(bytewise()), 1 << 20, None).unwrap();
        let reader = {
            let list = list.clone();
            thread::spawn(move || read(&list))
        };
        insert_all(writer);
        reader.join().unwrap();
        let mut found = Vec::new();
        let mut iterator = SkipListIterator::new(list.clone());
        iterator.seek_to_first();
        while let Some(entry) = iterator.entry() {
            found.push(entry.value.to_vec());
            iterator.next();
        }
        assert_eq!(found, [b"a", b"b", b"c"]);
    });
}

/// Readers see whole entries, in order.
#[test]
fn a_reader_that_goes_forward() {
    model(|list| {
        let mut iterator = SkipListIterator::new(list.clone());
        iterator.seek_to_first();
        let mut before: Option<Vec<u8>> = None;
        while let Some(entry) = iterator.entry() {
            assert_eq!(internal_key::user_key(entry.key), entry.value);
            assert!(before.as_deref().is_none_or(|before| before < entry.value));
            before = Some(entry.value.to_vec());
            iterator.next();
        }
    });
}

#[test]
fn a_reader_that_goes_backward() {
    model(|list| {
        let mut iterator = SkipListIterator::new(list.clone());
        iterator.seek_to_last();
        let mut before: Option<Vec<u8>> = None;
        while let Some(entry) = iterator.entry() {
            assert_eq!(internal_key::user_key(entry.key), entry.value);
            assert!(before.as_deref().is_none_or(|before| before > entry.value));
            before = Some(entry.value.to_vec());
            iterator.prev();
        }
    });
}

/// An entry that was found once stays, and every entry that was inserted before a found one is found.
#[test]
fn a_reader_that_seeks() {
    model(|list| {
        let find = |key: &[u8]| {
            let target = LookupKey::new(key, 9);
            let entry = list.at_or_after(target.internal_key());
            entry.is_some_and(|entry| internal_key::user_key(entry.key) == key)
        };
        if find(b"c") {
            assert!(find(b"a") && find(b"b"));
        }
        if find(b"a") {
            assert!(find(b"b") && find(b"a"));
        }
    });
}

/// Lookups of single keys find exactly the entries that were published when they began, while tables are
/// added to the index.
#[test]
fn a_reader_that_looks_keys_up() {
    /// The keys in the order of writing, from sequence number 1 on; one key is written twice.
    const WRITES: [&[u8]; 4] = [b"b", b"a", b"b", b"c"];
    loom::model(|| {
        let (list, mut writer) =
            SkipList::new(InternalKeyComparator::new(bytewise()), 1 << 20, None).unwrap();
        let published = Arc::new(AtomicU64::new(0));
        let reader = {
            let (list, published) = (list.clone(), published.clone());
            thread::spawn(move || check_look_ups(&list, &WRITES, published.load(Ordering::Acquire)))
        };
        for (index, key) in WRITES.iter().enumerate() {
            let sequence = index as u64 + 1;
            writer.insert(sequence, ValueType::Value, key, &[sequence as u8]);
            // The last two entries are one batch.
            if sequence != 3 {
                writer.settle();
                published.store(sequence, Ordering::Release);
            }
        }
        reader.join().unwrap();
        (0..=4).for_each(|sequence| check_look_ups(&list, &WRITES, sequence));
    });
}

fn check_look_ups(list: &SkipList, writes: &[&[u8]], sequence: SequenceNumber) {
    for key in KEYS {
        let expected = (1..=sequence).rev().find(|&sequence| writes[sequence as usize - 1] == key);
        let found = list.newest_of(LookupKey::new(key, sequence).internal_key());
        assert_eq!(found.map(|entry| u64::from(entry.value[0])), expected);
    }
}
