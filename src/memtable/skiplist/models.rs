//! A writer and its readers under every interleaving (up to a number of preemptions). The checker knows of each link which
//! thread made it, and ends with an error if another reads one that was not published to it.

use super::*;
use crate::comparator::bytewise;
use crate::format::internal_key::LookupKey;
use loom::thread;

const KEYS: [&[u8]; 3] = [b"b", b"a", b"c"];

fn insert_all(mut writer: SkipListWriter) {
    for (index, key) in KEYS.iter().enumerate() {
        writer.insert(index as u64 + 1, ValueType::Value, key, key);
    }
}

fn model(read: fn(&Arc<SkipList>)) {
    loom::model(move || {
        let (list, writer) = SkipList::new(InternalKeyComparator::new(bytewise()));
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

/// Whole entries, in order.
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

/// What was found once stays, and what was inserted before something that is found is found.
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
