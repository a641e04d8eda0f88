//! When to run seek compactions: compactions of files that reads probe without a hit.
//!
//! If nothing is written any more, files of several levels would make every read cost more permanently.
//! (Filters spare most point lookups that cost, and charge a sixteenth of a seek for it; scans and seeks have
//! no filters.) So a file that was probed without a hit too often (`charge_seek`) is merged into the next
//! level, together with neighbours that were probed nearly as often. A database that is only read ends with
//! one level.
//!
//! Seek compactions come after all other work except idle compactions, and never hinder writers: none begins
//! while memtables fill quickly or a memtable waits for its flush, because level 0 would fill while a worker
//! is busy with the compaction. And they are bounded. Between open and close they rewrite as many bytes as
//! the database has, and beyond that no more than all other work has written. So a database that is read all
//! the time and written a little is not rewritten repeatedly.
//!
//! Thread rule: guarded by the state mutex. The clock is passed in.

use crate::version::file_metadata::FileMetaData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long ago the last memtable switch must have been.
const QUIET: Duration = Duration::from_millis(500);

/// The file to be compacted because of reads, and how much such compactions have written.
#[derive(Default)]
pub struct SeekPolicy {
    /// A file that has used up its seeks, and its level.
    candidate: Option<(usize, Arc<FileMetaData>)>,
    bytes_written: u64,
}

impl SeekPolicy {
    /// Suggests `file`, which has used up its seeks. Returns false if there is a candidate already.
    pub fn suggest(&mut self, level: usize, file: &Arc<FileMetaData>) -> bool {
        let is_first = self.candidate.is_none();
        if is_first {
            self.candidate = Some((level, file.clone()));
        }
        is_first
    }

    /// Is there a candidate?
    pub fn has_candidate(&self) -> bool {
        self.candidate.is_some()
    }

    /// Takes the candidate out, if it may be compacted now: see `time_left`.
    pub fn take(
        &mut self,
        waits_for_flush: bool,
        last_switch: Instant,
        now: Instant,
    ) -> Option<(usize, Arc<FileMetaData>)> {
        self.time_left(waits_for_flush, last_switch, now)?.is_zero().then(|| self.candidate.take())?
    }

    /// The time until the candidate may be compacted, if the last memtable switch was at `last_switch`.
    /// `None`: there is no candidate, or a memtable waits for its flush, after which the worker is woken.
    pub fn time_left(&self, waits_for_flush: bool, last_switch: Instant, now: Instant) -> Option<Duration> {
        let is_waiting = self.candidate.is_some() && !waits_for_flush;
        is_waiting.then(|| (last_switch + QUIET).saturating_duration_since(now))
    }

    /// May a seek compaction read `bytes`, if the database has `size` bytes and flushes and compactions have
    /// written `written_by_all` bytes?
    pub fn may_write(&self, bytes: u64, size: u64, written_by_all: u64) -> bool {
        let by_others = written_by_all.saturating_sub(self.bytes_written);
        self.bytes_written.saturating_add(bytes) <= size.saturating_add(by_others)
    }

    /// A seek compaction has written `bytes`.
    pub fn note_written(&mut self, bytes: u64) {
        self.bytes_written += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compaction::test_support::file;

    const MILLIS: Duration = Duration::from_millis(1);

    #[test]
    fn a_candidate_waits_for_half_a_second_without_a_memtable_switch() {
        let switched = Instant::now();
        let mut seeks = SeekPolicy::default();
        assert_eq!(seeks.time_left(false, switched, switched), None);
        assert!(seeks.suggest(1, &file(7, "a", "c")));
        assert!(!seeks.suggest(2, &file(8, "a", "c")), "there is one already");
        assert_eq!(seeks.time_left(false, switched, switched + 400 * MILLIS), Some(100 * MILLIS));
        assert_eq!(seeks.time_left(true, switched, switched + 400 * MILLIS), None);
        assert!(seeks.take(false, switched, switched + 499 * MILLIS).is_none());
        assert!(seeks.take(true, switched, switched + 500 * MILLIS).is_none());
        let (level, file) = seeks.take(false, switched, switched + 500 * MILLIS).unwrap();
        assert_eq!((level, file.number), (1, 7));
        assert!(!seeks.has_candidate());
    }

    #[test]
    fn seek_compactions_rewrite_the_database_once_and_then_as_much_as_others_write() {
        let mut seeks = SeekPolicy::default();
        assert!(seeks.may_write(100, 100, 0) && !seeks.may_write(101, 100, 0));
        assert!(seeks.may_write(150, 100, 50));
        seeks.note_written(100);
        assert!(!seeks.may_write(1, 100, 100), "the hundred were its own");
        assert!(seeks.may_write(1, 100, 101));
    }
}
