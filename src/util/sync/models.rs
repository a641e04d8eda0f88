//! Models of a published value: all interleavings (up to a number of preemptions) of readers and one
//! publisher.

use super::*;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

/// Counts how often each value was dropped: never while it is in use, once in the end.
struct Values {
    dropped: [AtomicUsize; 3],
}

struct Value {
    number: usize,
    values: Arc<Values>,
}

impl Values {
    fn new() -> Arc<Self> {
        Arc::new(Values { dropped: std::array::from_fn(|_| AtomicUsize::new(0)) })
    }

    fn make(self: &Arc<Self>, number: usize) -> Arc<Value> {
        Arc::new(Value { number, values: self.clone() })
    }

    fn drops(&self) -> [usize; 3] {
        std::array::from_fn(|number| self.dropped[number].load(Ordering::SeqCst))
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.values.dropped[self.number].fetch_add(1, Ordering::SeqCst);
    }
}

/// Reads `times` times. Each value read is alive, and no older than the value read before.
fn read(published: &Published<Value>, values: &Values, slot: usize, times: usize) {
    let mut at_least = 0;
    for _ in 0..times {
        let guard = published.with_slot(slot);
        assert!(guard.number >= at_least, "an older value than before");
        at_least = guard.number;
        assert_eq!(values.dropped[guard.number].load(Ordering::SeqCst), 0, "dropped while it is in use");
    }
}

/// Readers in the given slots (slot, number of reads), and one publisher that publishes twice.
fn model(readers: &'static [(usize, usize)]) {
    loom::model(move || {
        let values = Values::new();
        let published = Arc::new(Published::with_slots(values.make(0), 2));
        let threads: Vec<_> = readers
            .iter()
            .map(|&(slot, times)| {
                let (published, values) = (published.clone(), values.clone());
                thread::spawn(move || read(&published, &values, slot, times))
            })
            .collect();
        for number in 1..=2 {
            drop(published.publish(values.make(number)));
            // A reader that starts after the publication sees it.
            assert_eq!(published.with_slot(1).number, number);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(values.drops(), [1, 1, 0], "a slot keeps an old value");
        drop(published);
        assert_eq!(values.drops(), [1, 1, 1]);
    });
}

#[test]
fn a_reader_with_a_slot_of_its_own() {
    model(&[(0, 2)]);
}

#[test]
fn a_reader_that_shares_its_slot_with_the_publisher() {
    model(&[(1, 2)]);
}

#[test]
fn two_readers_that_share_a_slot() {
    model(&[(0, 2), (0, 1)]);
}
