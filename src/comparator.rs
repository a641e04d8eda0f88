//! The order of user keys. A user may provide one.
//!
//! Thread rule: a comparator is called from any number of threads at the same time.

use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::Arc;

/// A total order of user keys (LevelDB's `Comparator`). It is called from threads of the caller and from
/// background threads at the same time, also while locks are held. It may read the database. A call that
/// changes the database, waits for it or asks for its state is refused inside of a comparator.
///
/// Two keys may compare equal without being the same bytes. The order must never change for an existing
/// database: its name is stored, and opening the database with a comparator of another name is refused.
pub trait Comparator: Send + Sync {
    /// Compares two user keys.
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering;

    /// The name that is stored with the database, any bytes.
    fn name(&self) -> Vec<u8>;

    /// May replace `start` by a shorter key in `[start, limit)`. Not changing it is always correct.
    fn find_shortest_separator(&self, start: &mut Vec<u8>, limit: &[u8]) {
        let _ = (start, limit);
    }

    /// May replace `key` by a shorter key that is not less than it. Not changing it is always correct.
    fn find_short_successor(&self, key: &mut Vec<u8>) {
        let _ = key;
    }

    /// True if this is the bytewise order, in which keys compare equal only if they are the same bytes. Hot
    /// paths then compare without a virtual call.
    fn is_bytewise(&self) -> bool {
        false
    }
}

thread_local! {
    /// The number of user comparators that run on this thread, one inside of another. No destructor, so that
    /// no code of this library runs when a thread of the host program ends.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// True if a user's comparator runs on this thread. The thread may then hold locks, so that a call that waits
/// for one of them would deadlock.
pub fn is_inside_comparator() -> bool {
    DEPTH.get() > 0
}

/// Calls a user's comparator, and counts it as running on this thread meanwhile.
pub fn call_comparator(comparator: &dyn Comparator, a: &[u8], b: &[u8]) -> Ordering {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let _leave = Leave;
    comparator.compare(a, b)
}

/// A comparator that cannot compare panics with this payload, by `resume_unwind`. The field is the message.
/// The call or the background work that needed the comparison then ends without a change to what is on disk.
pub struct ComparatorFailed(pub String);

/// The default order: unsigned bytes; a prefix of a key comes before the key. Its name is
/// `leveldb.BytewiseComparator`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BytewiseComparator;

impl Comparator for BytewiseComparator {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        a.cmp(b)
    }

    fn name(&self) -> Vec<u8> {
        b"leveldb.BytewiseComparator".to_vec()
    }

    fn find_shortest_separator(&self, start: &mut Vec<u8>, limit: &[u8]) {
        let common = start.iter().zip(limit).take_while(|(a, b)| a == b).count();
        if common >= start.len() || common >= limit.len() {
            return; // one key is a prefix of the other
        }
        let byte = start[common];
        if byte < 0xff && byte + 1 < limit[common] {
            start[common] += 1;
            start.truncate(common + 1);
        }
    }

    fn find_short_successor(&self, key: &mut Vec<u8>) {
        if let Some(index) = key.iter().position(|&byte| byte != 0xff) {
            key[index] += 1;
            key.truncate(index + 1);
        }
    }

    fn is_bytewise(&self) -> bool {
        true
    }
}

/// The default comparator.
pub fn bytewise() -> Arc<dyn Comparator> {
    Arc::new(BytewiseComparator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn separator(start: &[u8], limit: &[u8]) -> Vec<u8> {
        let mut key = start.to_vec();
        BytewiseComparator.find_shortest_separator(&mut key, limit);
        key
    }

    #[test]
    fn a_thread_knows_that_it_is_inside_a_comparator_until_the_last_one_ends_or_panics() {
        struct Asking;
        impl Comparator for Asking {
            fn compare(&self, a: &[u8], _: &[u8]) -> Ordering {
                assert!(is_inside_comparator());
                match a {
                    b"panic" => panic!("seeded"),
                    b"nest" => {
                        call_comparator(self, b"", b"");
                        assert!(is_inside_comparator());
                    }
                    _ => {}
                }
                Ordering::Equal
            }
            fn name(&self) -> Vec<u8> {
                b"test.Asking".to_vec()
            }
        }
        for key in [&b""[..], b"nest", b"panic"] {
            let result = std::panic::catch_unwind(|| call_comparator(&Asking, key, b""));
            assert_eq!(result.is_err(), key == b"panic");
            assert!(!is_inside_comparator());
        }
    }

    #[test]
    fn separators_are_short_and_between() {
        assert_eq!(separator(b"abcdef", b"abzz"), b"abd");
        assert_eq!(separator(b"abc", b"abd"), b"abc");
        assert_eq!(separator(b"abc", b"abcd"), b"abc");
        assert_eq!(separator(b"abc", b"ab"), b"abc");
        assert_eq!(separator(b"a\xffb", b"b"), b"a\xffb");
    }

    #[test]
    fn successors_are_short_and_not_smaller() {
        let successor = |key: &[u8]| {
            let mut key = key.to_vec();
            BytewiseComparator.find_short_successor(&mut key);
            key
        };
        assert_eq!(successor(b"abc"), b"b");
        assert_eq!(successor(b"\xff\xffa"), b"\xff\xffb");
        assert_eq!(successor(b"\xff\xff"), b"\xff\xff");
    }
}
