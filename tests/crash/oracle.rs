//! The permitted contents of a database after a crash: the writes, and when each was acknowledged.
//!
//! Time is the number of changes of the disk. A crash after `n` changes must keep every write that is
//! *durable at n* (a synced write that was acknowledged by then, and all writes before it). It may keep later
//! writes that had begun. The database must be in the state after one of its writes.

use crate::support::random::Random;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The contents of a database.
pub type Contents = BTreeMap<Vec<u8>, Arc<Vec<u8>>>;

/// A key and its new value; `None`: the key is deleted.
pub type Change = (Vec<u8>, Option<Arc<Vec<u8>>>);

/// A write, successful or not.
#[derive(Debug)]
pub struct Write {
    /// The moment of the call.
    pub start: usize,
    /// The moment of the return.
    pub end: usize,
    /// Was the write synced?
    pub sync: bool,
    /// Did the write return an error?
    pub failed: bool,
    /// Did the write change the disk? If not, and it failed, it must never be found.
    pub left_traces: bool,
    /// The changes, which are atomic.
    pub changes: Vec<Change>,
}

/// All writes to a database by one writer.
#[derive(Default)]
pub struct History {
    /// The contents before the first write.
    base: Contents,
    writes: Vec<Write>,
    /// Flushes: (moment, number of writes that were durable then, synced or not).
    barriers: Vec<(usize, usize)>,
    /// The contents after each number of writes, without failed ones.
    views: Vec<Contents>,
}

/// The bytes of a key. Some keys are long, so that the edits of the MANIFEST take more than a sector of the
/// disk.
pub fn key(number: u8) -> Vec<u8> {
    format!("key{number}{}", "-".repeat(usize::from(number) * 25)).into_bytes()
}

/// The value that write `write` stores at a key: unique if it has at least eight bytes.
pub fn value(write: usize, key: u8, length: usize) -> Arc<Vec<u8>> {
    let id = (write as u64) << 8 | u64::from(key);
    let mut random = Random::new(id);
    let mut bytes = id.to_be_bytes().to_vec();
    while bytes.len() < length {
        let word = random.next().to_le_bytes();
        bytes.extend_from_slice(&word);
        bytes.extend_from_slice(&word); // compressible by half
    }
    bytes.truncate(length);
    Arc::new(bytes)
}

fn apply(contents: &mut Contents, changes: &[Change]) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(contents.insert(key.clone(), value.clone())),
            None => drop(contents.remove(key)),
        }
    }
}

impl History {
    /// An empty history of a database with the contents `base`.
    pub fn new(base: Contents) -> History {
        History { views: vec![base.clone()], base, writes: Vec::new(), barriers: Vec::new() }
    }

    /// Records a write that has returned.
    pub fn record(&mut self, write: Write) {
        let mut view = self.now().clone();
        if !write.failed {
            apply(&mut view, &write.changes);
        }
        self.views.push(view);
        self.writes.push(write);
    }

    /// Records that all successful writes so far are durable at `end`.
    pub fn record_barrier(&mut self, end: usize) {
        let last = self.writes.iter().rposition(|write| !write.failed);
        self.barriers.push((end, last.map_or(0, |last| last + 1)));
    }

    /// Removes the promises of flushes, which go beyond those of synced writes.
    pub fn forget_barriers(&mut self) {
        self.barriers.clear();
    }

    /// The number of writes so far, including failed ones.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// The contents that the open database must have: every write that did not fail.
    pub fn now(&self) -> &Contents {
        self.views.last().expect("there is always a first view")
    }

    /// The least and the largest number of writes that may be kept by a crash after `operations`.
    pub fn bounds(&self, operations: usize) -> (usize, usize) {
        let synced = |(index, write): (usize, &Write)| {
            (write.sync && !write.failed && write.end <= operations).then_some(index + 1)
        };
        let by_sync = self.writes.iter().enumerate().filter_map(synced).max().unwrap_or(0);
        let reached = self.barriers.iter().filter(|(end, _)| *end <= operations);
        let by_barrier = reached.map(|(_, writes)| *writes).max().unwrap_or(0);
        let begun = self.writes.iter().filter(|write| write.start < operations).count();
        (by_sync.max(by_barrier), begun)
    }

    /// Are `found` permitted contents after a crash after `operations`? If not, the error says why. `gaps`:
    /// unsynced writes may be missing between others (a part of the WAL has become garbage).
    pub fn explain(&self, found: &Contents, operations: usize, gaps: bool) -> Result<(), String> {
        let (least, most) = self.bounds(operations);
        self.explain_between(found, least, most, gaps)
    }

    /// Does `found` have every write that did not fail? (After a kill of the process, or a close.)
    pub fn explain_whole(&self, found: &Contents) -> Result<(), String> {
        self.explain_between(found, self.writes.len(), self.writes.len(), false)
    }

    /// Are `found` the contents of an open database, which was opened after the first `opened_after` writes?
    /// Writes that failed since then must not be visible.
    pub fn explain_live(&self, found: &Contents, opened_after: usize) -> Result<(), String> {
        match self.is_prefix(found, self.writes.len(), opened_after) {
            true => Ok(()),
            false => Err(format!("it shows {} instead of {}", show(found), show(self.now()))),
        }
    }

    fn explain_between(&self, found: &Contents, least: usize, most: usize, gaps: bool) -> Result<(), String> {
        if (least..=most).rev().any(|count| self.is_prefix(found, count, count)) {
            return Ok(());
        }
        if gaps && self.is_subset(found, least, most) {
            return Ok(());
        }
        Err(format!(
            "it holds {} instead of what it held after {least} to {most} of {} writes: {}",
            show(found),
            self.writes.len(),
            (least..=most)
                .rev()
                .take(6)
                .map(|count| show(&self.views[count]))
                .collect::<Vec<_>>()
                .join(" or ")
        ))
    }

    /// Are `found` the contents after the first `count` writes? A failed write among the first `recovered`
    /// may have taken effect, if it changed the disk.
    fn is_prefix(&self, found: &Contents, count: usize, recovered: usize) -> bool {
        if *found == self.views[count] {
            return true;
        }
        let unknown: Vec<usize> = (0..recovered)
            .filter(|&index| self.writes[index].failed && self.writes[index].left_traces)
            .collect();
        assert!(unknown.len() <= 12, "too many writes of unknown outcome: {unknown:?}");
        (1..1u32 << unknown.len()).any(|chosen| {
            let mut contents = self.base.clone();
            for (index, write) in self.writes[..count].iter().enumerate() {
                let place = unknown.iter().position(|&other| other == index);
                if !write.failed || place.is_some_and(|place| chosen >> place & 1 == 1) {
                    apply(&mut contents, &write.changes);
                }
            }
            contents == *found
        })
    }

    /// Are `found` the contents after the first `least` writes and any subset of the writes up to `most`,
    /// each of them complete?
    fn is_subset(&self, found: &Contents, least: usize, most: usize) -> bool {
        let later = |from: usize, key: &[u8], value: Option<&Arc<Vec<u8>>>| {
            let mut changes = self.writes[from..most].iter().flat_map(|write| &write.changes);
            changes.any(|change| change.0 == key && change.1.as_ref() == value)
        };
        let keys = found.keys().chain(self.views.iter().flat_map(|view| view.keys()));
        let is_known = keys
            .into_iter()
            .all(|key| found.get(key) == self.views[least].get(key) || later(least, key, found.get(key)));
        let is_whole = |index: usize| {
            let changes = &self.writes[index].changes;
            let seen = |change: &Change| change.1.is_some() && found.get(&change.0) == change.1.as_ref();
            let stands = |change: &Change| {
                // Within a batch, the last change of a key counts.
                let last = changes.iter().rfind(|other| other.0 == change.0).expect("at least itself");
                found.get(&change.0) == last.1.as_ref() || later(index + 1, &change.0, found.get(&change.0))
            };
            !changes
                .iter()
                .any(|change| seen(change) && change.1.as_ref().is_some_and(|value| value.len() >= 8))
                || changes.iter().all(stands)
        };
        is_known && (least..most).all(is_whole)
    }
}

/// A short description of contents: the write of each value.
pub fn show(contents: &Contents) -> String {
    let entries = contents.iter().map(|(key, value)| {
        let source = match value.first_chunk::<8>() {
            Some(id) => format!("#{}", u64::from_be_bytes(*id) >> 8),
            None => "short".to_owned(),
        };
        format!("{}={source}({})", key.escape_ascii().to_string().trim_end_matches('-'), value.len())
    });
    format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three writes: put 1 (synced, returned at 10), a batch of 1 and 2 (returned at 20), delete 1 (returned
    /// at 30).
    fn history() -> History {
        let mut history = History::new(Contents::new());
        let put = |write, number| (key(number), Some(value(write, number, 20)));
        let mut record = |start, end, sync, changes| {
            history.record(Write { start, end, sync, failed: false, left_traces: true, changes });
        };
        record(0, 10, true, vec![put(0, 1)]);
        record(10, 20, false, vec![put(1, 1), put(1, 2)]);
        record(20, 30, false, vec![(key(1), None)]);
        history
    }

    fn contents(entries: &[(usize, u8)]) -> Contents {
        entries.iter().map(|&(write, number)| (key(number), value(write, number, 20))).collect()
    }

    #[test]
    fn a_lost_synced_write_is_found() {
        let history = history();
        assert!(history.explain(&contents(&[]), 9, false).is_ok());
        assert!(history.explain(&contents(&[]), 10, false).is_err());
        assert!(history.explain(&contents(&[(0, 1)]), 10, false).is_ok());
    }

    #[test]
    fn half_a_batch_a_phantom_and_a_resurrected_key_are_found() {
        let history = history();
        for gaps in [false, true] {
            assert!(history.explain(&contents(&[(0, 1), (1, 2)]), 30, gaps).is_err(), "half a batch");
            assert!(history.explain(&contents(&[(0, 1), (7, 3)]), 30, gaps).is_err(), "a phantom");
            assert!(history.explain(&contents(&[(1, 1), (1, 2)]), 10, gaps).is_err(), "from the future");
        }
        assert!(history.explain_whole(&contents(&[(1, 1), (1, 2)])).is_err(), "a deleted key");
        assert!(history.explain_whole(&contents(&[(1, 2)])).is_ok());
    }

    #[test]
    fn a_gap_is_allowed_only_where_it_is_explained() {
        let history = history();
        assert!(history.explain(&contents(&[]), 30, true).is_ok()); // only the batch is missing
        assert!(history.explain(&contents(&[]), 30, false).is_err());
    }

    #[test]
    fn a_failed_write_may_be_there_or_not_but_only_if_the_disk_saw_it() {
        for left_traces in [false, true] {
            let mut history = History::new(Contents::new());
            let mut record = |number, start, failed: bool| {
                let changes = vec![(key(number), Some(value(usize::from(number) - 1, number, 20)))];
                let end = start + 10;
                history.record(Write { start, end, sync: !failed, failed, left_traces, changes });
            };
            record(1, 0, false);
            record(2, 10, true);
            record(3, 20, false);
            assert!(history.explain_whole(&contents(&[(0, 1), (2, 3)])).is_ok());
            let with_it = contents(&[(0, 1), (1, 2), (2, 3)]);
            assert_eq!(history.explain_whole(&with_it).is_ok(), left_traces);
            assert!(history.explain_whole(&contents(&[(0, 1), (1, 2)])).is_err());
        }
    }
}
