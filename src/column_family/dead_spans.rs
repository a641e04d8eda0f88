//! Dead spans: ranges of user keys without a live entry. Iterators seek past them instead of stepping over
//! the same tombstones repeatedly.
//!
//! A queue whose users put at its tail, seek to its first key and delete that key accumulates tombstones (and
//! the values that they hide) before its first key: in memtables, and in tables until a compaction drops
//! them. Each seek would step over all of them. So an iterator that has stepped over many hidden entries
//! records the range (`note`), and the next iterator that comes into such a span seeks to its end (`find`).
//! Nothing is written for this, and live snapshots make no difference.
//!
//! A span states: at the sequence number `since`, and at every later one, no key in [start, end) has a value.
//! That stays true while nothing is put there: a put shortens the span (`put`), after its insertion and
//! before its sequence number is published. So a reader at sequence number `s` that then finds a span with
//! `since <= s` knows that no put up to `s` was in it.
//!
//! An iterator sees a state that may be older than the last write, and does not know what was put since it
//! began. So its span is only *watched* at first, from the last sequence number on. The span is certain once
//! an iterator at that sequence number or a later one has stepped over it too. A span is noted with the
//! writer's turn held, so that no put is half done. From then on `is_active` makes every put report its keys.
//!
//! Only with the bytewise comparator. At most `MAX_SPANS` are known, with keys of up to `MAX_KEY_BYTES`.
//! Order of locks: the writer's turn, then the spans; nothing is called while they are locked.

use crate::format::internal_key::SequenceNumber;
use crate::util::lock::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The most spans that are known at a time: queues with that many prefixes.
const MAX_SPANS: usize = 64;

/// A longer key does not bound a span, in bytes.
const MAX_KEY_BYTES: usize = 1 << 10;

/// An iterator looks for a span each time it has stepped over this many more hidden entries.
pub const LOOK_AFTER: u32 = 8;

/// An iterator that has stepped over this many hidden entries notes the span.
pub const NOTE_AFTER: u32 = 32;

/// A span of user keys, dead or watched.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Span {
    start: Vec<u8>,
    /// The first key after the span.
    end: Vec<u8>,
    /// From this sequence number on nothing was put in the span.
    since: SequenceNumber,
    /// Was nothing live in the span at `since`? If not certain, the span is only watched.
    is_certain: bool,
    /// The value of `Spans::clock` when the span was last used.
    used: u64,
}

/// The spans of a database that are known to be dead, or are watched.
#[derive(Default)]
pub struct DeadSpans {
    /// Are there any spans? Written with the writer's turn held, so that the next writer sees it.
    is_active: AtomicBool,
    spans: Mutex<Spans>,
    /// The number of hidden entries that iterators have stepped over, without the first few of each move.
    stepped_over: AtomicU64,
}

impl DeadSpans {
    /// Must puts report their keys? A writer asks with its turn held, and gets the exact answer. For a reader
    /// it is a hint.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.is_active.load(Ordering::Relaxed)
    }

    /// Reports keys that were put. Called with the writer's turn held, before their sequence numbers are
    /// published.
    pub fn put<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let mut spans = self.spans.lock();
        keys.for_each(|key| spans.put(key));
        self.is_active.store(!spans.list.is_empty(), Ordering::Relaxed);
    }

    /// The start and the end of the span that `key` is in, if a reader at this sequence number finds nothing
    /// live there.
    pub fn find(&self, key: &[u8], sequence: SequenceNumber) -> Option<(Vec<u8>, Vec<u8>)> {
        if !self.is_active() {
            return None;
        }
        self.spans.lock().find(key, sequence)
    }

    /// A reader at the sequence number `seen_at` found nothing live in [start, end). The caller holds the
    /// writer's turn; `last` is the last sequence number.
    pub fn note(&self, start: &[u8], end: &[u8], seen_at: SequenceNumber, last: SequenceNumber) {
        let mut spans = self.spans.lock();
        spans.note(start, end, seen_at, last);
        self.is_active.store(!spans.list.is_empty(), Ordering::Relaxed);
    }

    /// Counts hidden entries that an iterator has stepped over.
    pub fn count(&self, entries: u32) {
        self.stepped_over.fetch_add(u64::from(entries), Ordering::Relaxed);
    }

    /// The number of hidden entries that iterators have stepped over, without the first few of each move.
    pub fn stepped_over(&self) -> u64 {
        self.stepped_over.load(Ordering::Relaxed)
    }
}

/// Disjoint spans, in order of their keys.
#[derive(Default)]
struct Spans {
    list: Vec<Span>,
    /// Counts uses of spans.
    clock: u64,
}

impl Spans {
    /// The index of the span that contains `key`.
    fn position(&self, key: &[u8]) -> Option<usize> {
        let behind = self.list.partition_point(|span| *span.start <= *key);
        let index = behind.checked_sub(1)?;
        (*key < *self.list[index].end).then_some(index)
    }

    fn find(&mut self, key: &[u8], sequence: SequenceNumber) -> Option<(Vec<u8>, Vec<u8>)> {
        let index = self.position(key)?;
        let span = &mut self.list[index];
        if !span.is_certain || span.since > sequence {
            return None;
        }
        self.clock += 1;
        span.used = self.clock;
        Some((span.start.clone(), span.end.clone()))
    }

    /// `key` has a value now: only the part of its span before it stays.
    fn put(&mut self, key: &[u8]) {
        let Some(index) = self.position(key) else { return };
        if *key == *self.list[index].start {
            self.list.remove(index);
        } else {
            self.list[index].end = key.to_vec();
        }
    }

    fn note(&mut self, start: &[u8], end: &[u8], seen_at: SequenceNumber, last: SequenceNumber) {
        // A reader at a future sequence number (from a snapshot of another database) has not seen the puts up
        // to that number.
        if seen_at > last || start >= end || start.len().max(end.len()) > MAX_KEY_BYTES {
            return;
        }
        self.clock += 1;
        let (used, is_certain) = (self.clock, seen_at == last);
        let first = self.list.partition_point(|span| *span.end <= *start);
        let count = self.list[first..].partition_point(|span| *span.start < *end);
        // The known spans within [start, end), and new spans in the gaps between them.
        let (mut found, mut at) = (Vec::new(), start.to_vec());
        for mut span in self.list.splice(first..first + count, []) {
            if *at < *span.start {
                let end = span.start.clone();
                found.push(Span { start: at, end, since: last, is_certain, used });
            }
            if !span.is_certain && span.since <= seen_at {
                // The part of the span that was seen: no put up to `since` is live there, and no put has come
                // since.
                span.start = span.start.max(start.to_vec());
                span.end = span.end.min(end.to_vec());
                (span.since, span.is_certain) = (seen_at, true);
            }
            span.used = used;
            at = span.end.clone();
            found.push(span);
        }
        if *at < *end {
            found.push(Span { start: at, end: end.to_vec(), since: last, is_certain, used });
        }
        self.list.splice(first..first, found);
        self.join();
        while self.list.len() > MAX_SPANS {
            let oldest = (0..self.list.len()).min_by_key(|&index| self.list[index].used);
            oldest.map(|index| self.list.remove(index));
        }
    }

    /// Joins certain spans that touch.
    fn join(&mut self) {
        self.list.dedup_by(|span, before| {
            let touch = span.is_certain && before.is_certain && before.end == span.start;
            if touch {
                before.end = std::mem::take(&mut span.end);
                before.since = before.since.max(span.since);
                before.used = before.used.max(span.used);
            }
            touch
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::random::Random;

    fn found(spans: &mut Spans, key: &str, sequence: u64) -> Option<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        spans.find(key.as_bytes(), sequence).map(|(start, end)| (text(start), text(end)))
    }

    fn span(start: &str, end: &str) -> Option<(String, String)> {
        Some((start.to_owned(), end.to_owned()))
    }

    #[test]
    fn what_was_seen_at_the_last_sequence_number_is_certain_at_once() {
        let mut spans = Spans::default();
        spans.note(b"b", b"f", 10, 10);
        assert_eq!(found(&mut spans, "b", 10), span("b", "f"));
        assert_eq!(found(&mut spans, "e", 11), span("b", "f"));
        for (key, sequence) in [("e", 9), ("a", 10), ("f", 10)] {
            assert_eq!(found(&mut spans, key, sequence), None, "{key} at {sequence}");
        }
        spans.note(b"f", b"h", 20, 20);
        assert_eq!(found(&mut spans, "c", 20), span("b", "h"));
        assert_eq!(found(&mut spans, "c", 19), None);
        spans.put(b"d");
        assert_eq!(found(&mut spans, "c", 30), span("b", "d"));
        assert_eq!(found(&mut spans, "d", 30), None);
        spans.put(b"b");
        assert_eq!(spans.list, []);
    }

    #[test]
    fn what_was_seen_before_the_last_write_is_watched_first() {
        let mut spans = Spans::default();
        spans.note(b"b", b"f", 10, 12);
        assert_eq!(found(&mut spans, "c", 50), None);
        spans.note(b"b", b"f", 11, 15); // still older than what is watched
        assert_eq!(found(&mut spans, "c", 50), None);
        spans.put(b"e");
        spans.note(b"c", b"h", 12, 16);
        assert_eq!(found(&mut spans, "c", 12), span("c", "e"));
        assert_eq!(found(&mut spans, "b", 50), None, "it was not seen again");
        assert_eq!(found(&mut spans, "e", 50), None, "watched from 16 on");
        spans.note(b"c", b"h", 16, 18);
        assert_eq!(found(&mut spans, "f", 16), span("c", "h"));
    }

    #[test]
    fn what_was_seen_at_a_number_that_is_still_to_come_says_nothing() {
        let mut spans = Spans::default();
        spans.put(b"d"); // at 11, which neither reader saw
        spans.note(b"b", b"f", 1000, 11);
        spans.note(b"b", b"f", 1000, 11);
        assert_eq!(found(&mut spans, "c", 1000), None);
    }

    #[test]
    fn few_spans_are_kept_of_keys_that_are_not_long() {
        let mut spans = Spans::default();
        let key = |number: usize| format!("{number:04}").into_bytes();
        for number in 0..2 * MAX_SPANS {
            spans.note(&key(2 * number), &key(2 * number + 1), 5, 5);
            assert!(spans.find(&key(0), 5).is_some(), "it is in use");
        }
        assert_eq!(spans.list.len(), MAX_SPANS);
        spans.note(b"x", &[b'y'; MAX_KEY_BYTES + 1], 5, 5);
        assert!(spans.find(b"x", 5).is_none());
    }

    /// A history of puts, deletions and readers, compared with a table of all versions.
    #[test]
    fn nothing_live_is_ever_in_a_span() {
        for seed in 1..=200 {
            let mut random = Random::new(seed);
            let mut spans = Spans::default();
            // For each key, when it was put and when it was deleted, in order.
            let mut history: Vec<Vec<(u64, bool)>> = vec![Vec::new(); 100];
            let key = |number: usize| format!("{number:02}").into_bytes();
            let is_live = |history: &[Vec<(u64, bool)>], number: usize, sequence| {
                let seen = history[number].iter().rev().find(|(at, _)| *at <= sequence);
                seen.is_some_and(|(_, is_put)| *is_put)
            };
            for last in 1..1000 {
                let number = random.uniform(100) as usize;
                let is_put = random.uniform(3) == 0;
                history[number].push((last, is_put));
                if is_put {
                    spans.put(&key(number));
                }
                // A reader whose state may be a few writes old.
                let seen_at = last - random.uniform(4).min(last);
                let from = random.uniform(100) as usize;
                if let Some((start, end)) = spans.find(&key(from), seen_at) {
                    for number in 0..100 {
                        let is_inside = key(number) >= start && key(number) < end;
                        assert!(
                            !is_inside || !is_live(&history, number, seen_at),
                            "seed {seed}, key {number}"
                        );
                    }
                }
                let to = (from..100).find(|&number| is_live(&history, number, seen_at)).unwrap_or(99);
                spans.note(&key(from), &key(to), seen_at, last);
            }
        }
    }
}
