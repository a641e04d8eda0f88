//! Reads a log back: every whole, valid batch, in order.
//!
//! A batch is checked whole before any of it is handed over. Damage is skipped and noted, as LevelDB does, or
//! ends the replay with an error where the caller is strict.
//!
//! What lies behind something that a crash lost in the same log is not handed over: it was never acknowledged
//! as synced. A loss shows as zeroed space inside the log (a *hole*), and whether anything was lost is told by
//! the sequence numbers: a batch that continues where the last one ended follows no loss. (LevelDB, with
//! reuse_logs, appends behind a preallocated tail: those records are good.)
//!
//! What was lost of the logs before this one matters only where this one is ours. A synced write of ours makes
//! durable all that was logged before, so a log of ours that begins, by its marker (see `marker`), later than
//! the logs before it end was never synced, and nothing of it is handed over: the database would be in a state
//! that it never was in. A log without a marker is LevelDB's, which syncs each log alone: all of it counts,
//! whatever was lost before, and whatever its numbers are.

use super::marker;
use crate::batch::HEADER_SIZE;
use crate::batch::decode::{BatchIter, validate};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::internal_key::SequenceNumber;
use crate::format::limits::{fits_a_table, surely_fits_a_table};
use crate::record::reader::{ReadOutcome, RecordReader};
use std::path::Path;
use std::sync::Arc;

/// How many pieces of damage a summary describes; the others are only counted.
const MAX_DAMAGE_DESCRIBED: usize = 100;

/// What was logged before a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Before {
    /// Nothing is known: the log stands alone, or damage before it was skipped.
    #[default]
    Unknown,
    /// The logs before it end with this sequence number.
    Logged(SequenceNumber),
    /// No log; the MANIFEST counts up to this sequence number, and LevelDB's may count entries of this log already.
    Counted(SequenceNumber),
}

impl Before {
    /// Is something missing between what was before and an entry with this number?
    fn misses(self, sequence: SequenceNumber) -> bool {
        match self {
            Before::Unknown => false,
            Before::Logged(last) | Before::Counted(last) => sequence > last.saturating_add(1),
        }
    }

    /// Is such an entry older than what was logged before it?
    fn is_newer_than(self, sequence: SequenceNumber) -> bool {
        matches!(self, Before::Logged(last) if sequence <= last)
    }
}

/// How a log is replayed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayOptions {
    /// The first damage is the error (paranoid_checks).
    pub strict: bool,
    /// What the log follows.
    pub before: Before,
}

/// How a replay went.
#[derive(Debug, Default)]
pub struct ReplaySummary {
    /// Batches handed over.
    pub batches: u64,
    /// The sequence number at which the first of them begins.
    pub first_sequence: Option<SequenceNumber>,
    /// The highest sequence number of any entry handed over (0 for none).
    pub last_sequence: SequenceNumber,
    /// What was damaged and skipped, in order (empty for a clean log); the first hundred.
    pub damage: Vec<Error>,
    /// How often anything was damaged.
    pub damage_count: u64,
    /// The replay ended at this offset, with records behind it, because something before them was lost.
    pub stopped_at: Option<u64>,
    /// A batch was left out, and counted as damage, for an entry that is too long for any table. What it holds is in the log alone.
    pub has_unstorable: bool,
    /// The sequence number that the marker says, if the log has one.
    pub marker: Option<SequenceNumber>,
    /// The last sequence number logged so far: by the last batch handed over, or before the marker.
    pub logged: Option<SequenceNumber>,
    /// What is odd about the numbers of a log without a marker, all of which was handed over.
    pub oddities: Vec<Error>,
    /// The offset behind the last whole record. Where it equals the file's length and nothing was damaged,
    /// the log was closed cleanly and may be appended to.
    pub end_of_last_record: u64,
    /// The length of the file, in bytes.
    pub file_size: u64,
}

impl ReplaySummary {
    /// Was everything handed over that the log holds?
    pub fn is_whole(&self) -> bool {
        self.damage_count == 0 && self.stopped_at.is_none()
    }

    /// Was the log closed cleanly, so that it may be appended to?
    pub fn is_clean(&self) -> bool {
        self.is_whole() && self.oddities.is_empty() && self.end_of_last_record == self.file_size
    }
}

/// Hands every whole, valid batch of a log to `apply(rep)`, in order. `strict` (paranoid_checks): the first
/// damage is the error.
pub fn replay(
    env: &Arc<dyn Env>,
    path: &Path,
    strict: bool,
    apply: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<ReplaySummary> {
    replay_with(env, path, ReplayOptions { strict, before: Before::Unknown }, apply)
}

/// As `replay`, with more to choose. Fails where the file can't be read, where `apply` does, and (strict) at
/// damage.
pub fn replay_with(
    env: &Arc<dyn Env>,
    path: &Path,
    options: ReplayOptions,
    apply: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<ReplaySummary> {
    let reader = RecordReader::new(env.open_sequential(path)?, path.to_path_buf());
    let summary = ReplaySummary { file_size: env.file_size(path)?, ..ReplaySummary::default() };
    let ReplayOptions { strict, before } = options;
    let mut replay =
        Replay { path, reader, summary, strict, before, is_first: true, next_sequence: None, loss: None };
    replay.run(apply)?;
    replay.summary.end_of_last_record = replay.reader.end_of_last_record();
    Ok(replay.summary)
}

/// What was lost.
#[derive(Clone, Copy)]
enum Loss {
    /// The end of the logs before this one.
    BeforeThisLog,
    /// What was at this offset, unless the next batch continues where the last one ended.
    Hole(u64),
}

struct Replay<'a> {
    path: &'a Path,
    reader: RecordReader,
    summary: ReplaySummary,
    strict: bool,
    before: Before,
    /// Nothing was read so far but zeros.
    is_first: bool,
    /// The sequence number of the next batch, if no entry is missing; unknown before the first one.
    next_sequence: Option<SequenceNumber>,
    loss: Option<Loss>,
}

impl Replay<'_> {
    fn run(&mut self, apply: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut record = Vec::new();
        loop {
            let error = match self.reader.read_record(&mut record)? {
                ReadOutcome::Record if self.is_first && self.loss.is_none() && self.take_marker(&record) => {
                    if self.before.misses(self.summary.marker.unwrap_or(0)) {
                        return self.stop(Loss::BeforeThisLog);
                    }
                    continue;
                }
                ReadOutcome::Record => match self.check(&record) {
                    Ok((sequence, count)) => {
                        if let Some(loss) = self.loss.take().filter(|_| !self.continues(sequence)) {
                            return self.stop(loss);
                        }
                        apply(&record)?;
                        self.applied(sequence, count);
                        continue;
                    }
                    Err(error) => error,
                },
                ReadOutcome::Damage(damage) => damage.error,
                ReadOutcome::Hole(offset) => {
                    self.loss = Some(Loss::Hole(offset));
                    continue;
                }
                ReadOutcome::End => match self.loss {
                    Some(loss) => return self.stop(loss),
                    None => return Ok(()),
                },
            };
            match self.loss {
                Some(loss) => return self.stop(loss),
                None => self.note(error)?,
            }
            // What was damaged explains a gap; nothing can be said of what came before it.
            self.is_first = false;
        }
    }

    /// Is it the marker? Then it is noted.
    fn take_marker(&mut self, record: &[u8]) -> bool {
        let Some(sequence) = marker::decode(record, self.reader.end_of_last_record()) else { return false };
        self.is_first = false;
        self.summary.marker = Some(sequence);
        self.summary.logged = Some(sequence.saturating_sub(1));
        self.next_sequence = Some(sequence);
        true
    }

    /// Is nothing missing before a batch, behind a hole, that begins at `sequence`?
    fn continues(&self, sequence: SequenceNumber) -> bool {
        match (self.next_sequence, self.before) {
            (Some(next), _) => sequence == next,
            (None, Before::Unknown) => false,
            (None, before) => !before.misses(sequence) && !before.is_newer_than(sequence),
        }
    }

    fn applied(&mut self, sequence: SequenceNumber, count: u32) {
        let next = sequence + u64::from(count); // a valid batch: at most 2^56 - 1
        self.is_first = false;
        self.next_sequence = Some(next);
        self.summary.batches += 1;
        self.summary.first_sequence.get_or_insert(sequence);
        self.summary.logged = self.summary.logged.max(Some(next.saturating_sub(1)));
        if count > 0 {
            self.summary.last_sequence = self.summary.last_sequence.max(next - 1);
        }
    }

    /// Is it a batch that may stand here? Its sequence number and count.
    fn check(&mut self, record: &[u8]) -> Result<(SequenceNumber, u32)> {
        let offset = self.reader.record_offset();
        let here = |what: &str| {
            Error::corruption_in(self.path, format_args!("{what} at offset {offset}, record skipped"))
        };
        if record.len() < HEADER_SIZE {
            return Err(here("log record too small"));
        }
        let (sequence, count) = validate(record).map_err(|error| here(error.message()))?;
        if let Some((key, value)) = entry_for_no_table(record) {
            self.summary.has_unstorable = true;
            return Err(here(&format!(
                "batch with a key of {key} bytes and a value of {value} bytes, which no table can hold,"
            )));
        }
        if self.loss.is_some() {
            return Ok((sequence, count)); // its number decides
        }
        if self.next_sequence.is_some_and(|next| sequence < next) {
            if self.summary.marker.is_some() || self.summary.damage_count > 0 {
                return Err(here("batch with a sequence number that was used before"));
            }
            self.pass_over("batches with sequence numbers that were used before", sequence)?;
        } else if self.is_first && self.before.misses(sequence) {
            self.pass_over("entries are missing before this log, which begins", sequence)?;
        } else if self.is_first && self.before.is_newer_than(sequence) {
            self.pass_over(
                "numbers that were used in the log before, which this one begins with,",
                sequence,
            )?;
        }
        Ok((sequence, count))
    }

    /// Notes what LevelDB's logs may have and ours do not: an error only where the caller is strict.
    fn pass_over(&mut self, what: &str, sequence: SequenceNumber) -> Result<()> {
        let offset = self.reader.record_offset();
        let what = format_args!("{what} at sequence number {sequence}, offset {offset}");
        let oddity = Error::corruption_in(self.path, what);
        if self.strict {
            return Err(oddity);
        }
        if self.summary.oddities.is_empty() {
            self.summary.oddities.push(oddity);
        }
        Ok(())
    }

    fn note(&mut self, error: Error) -> Result<()> {
        if self.strict {
            return Err(error);
        }
        self.summary.damage_count += 1;
        if self.summary.damage.len() < MAX_DAMAGE_DESCRIBED {
            self.summary.damage.push(error);
        }
        Ok(())
    }

    fn stop(&mut self, loss: Loss) -> Result<()> {
        let (offset, reason) = match loss {
            Loss::Hole(offset) => (offset, "stopped at zeroed space"),
            Loss::BeforeThisLog => {
                self.summary.logged = None; // nothing of it counts
                (0, "stopped, since the end of the log before it was lost")
            }
        };
        self.summary.stopped_at = Some(offset);
        let what = format_args!("{reason} at offset {offset}: what follows was never synced");
        self.note(Error::corruption_in(self.path, what))
    }
}

/// The lengths of an entry of a valid batch that can't be written to a table. (The batch is left out whole: it would stand in
/// the way of all the others.)
fn entry_for_no_table(record: &[u8]) -> Option<(usize, usize)> {
    if surely_fits_a_table(record.len()) {
        return None;
    }
    BatchIter::new(&record[HEADER_SIZE..])
        .filter_map(|entry| entry.ok().map(|entry| entry.key_and_value()))
        .map(|(key, value)| (key.len(), value.len()))
        .find(|&(key, value)| !fits_a_table(key, value))
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
