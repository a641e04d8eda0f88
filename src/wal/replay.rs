//! Replays a WAL: returns every whole, valid batch, in order.
//!
//! A batch is checked completely before any of it is handed over. Damage is skipped and recorded, as in
//! LevelDB, or ends the replay with an error if the caller is strict.
//!
//! Batches that follow something that a crash lost in the same WAL are not handed over: they were never
//! acknowledged as synced. A loss shows as zeroed space inside of the WAL (a *hole*). The sequence numbers
//! show whether anything was lost there: a batch that continues where the last one ended follows no loss.
//! (With reuse_logs, LevelDB appends after a preallocated tail: those records are good.)
//!
//! What was lost of the WALs before this one matters only if this WAL is ours. A synced write of ours makes
//! everything durable that was logged before. So if a WAL of ours begins, according to its marker (see
//! `marker`), later than the WALs before it end, it was never synced, and nothing of it is handed over: the
//! database would be in a state that it never was in. A WAL without a marker is LevelDB's, which syncs each
//! WAL separately: all of it counts, whatever was lost before and whatever its numbers are.
//!
//! Thread rule: one thread per replay.

use super::marker;
use crate::batch::HEADER_SIZE;
use crate::batch::decode::{BatchIter, validate};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::internal_key::SequenceNumber;
use crate::format::limits::{fits_a_table, surely_fits_a_table};
use crate::language::Language;
use crate::record::reader::{ReadOutcome, RecordReader};
use std::path::Path;
use std::sync::Arc;

/// A summary describes at most this many pieces of damage; the others are only counted.
const MAX_DAMAGE_DESCRIBED: usize = 100;

/// What is known of the sequence numbers before a WAL.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ExpectedFirstSequence {
    /// Nothing is known: the WAL is replayed by itself, or damage before it was skipped.
    #[default]
    Unknown,
    /// The WALs before it end with this sequence number.
    Logged(SequenceNumber),
    /// No WAL precedes it. The MANIFEST counts up to this sequence number; LevelDB's may count entries of
    /// this WAL already.
    Counted(SequenceNumber),
}

impl ExpectedFirstSequence {
    /// True if entries are missing between what was logged before and an entry with this number.
    fn misses(self, sequence: SequenceNumber) -> bool {
        match self {
            ExpectedFirstSequence::Unknown => false,
            ExpectedFirstSequence::Logged(last) | ExpectedFirstSequence::Counted(last) => {
                sequence > last.saturating_add(1)
            }
        }
    }

    /// True if what was logged before ends at or after this number: an entry with this number was logged
    /// before.
    fn is_newer_than(self, sequence: SequenceNumber) -> bool {
        matches!(self, ExpectedFirstSequence::Logged(last) if sequence <= last)
    }
}

/// The options of a replay.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayOptions {
    /// Return the first damage as an error (paranoid_checks).
    pub strict: bool,
    /// What the WAL follows.
    pub before: ExpectedFirstSequence,
    /// The language of the MANIFEST. LevelDB's WALs have no entries of column families.
    pub language: Language,
}

/// The outcome of a replay.
#[derive(Debug, Default)]
pub struct ReplaySummary {
    /// The number of batches handed over.
    pub batches: u64,
    /// The sequence number of the first batch handed over.
    pub first_sequence: Option<SequenceNumber>,
    /// The highest sequence number of an entry handed over; 0 if there is none.
    pub last_sequence: SequenceNumber,
    /// Descriptions of what was damaged and skipped, in order: the first hundred.
    pub damage: Vec<Error>,
    /// The number of pieces of damage.
    pub damage_count: u64,
    /// The replay ended at this offset although records follow, because something before them was lost.
    pub stopped_at: Option<u64>,
    /// True if a batch was left out, and counted as damage, because an entry is too long for any table. Its
    /// contents are only in the WAL.
    pub has_unstorable: bool,
    /// The sequence number of the marker, if the WAL has one.
    pub marker: Option<SequenceNumber>,
    /// The highest sequence number logged so far: by the batches handed over, or before the marker. `None`:
    /// nothing is known, or the end of the WALs before this one was lost.
    pub logged: Option<SequenceNumber>,
    /// Oddities in the sequence numbers of a WAL without a marker, all of which was handed over.
    pub oddities: Vec<Error>,
    /// The offset after the last whole record. If it equals the length of the file and nothing was damaged,
    /// the WAL was closed cleanly and may be appended to.
    pub end_of_last_record: u64,
    /// The length of the file, in bytes.
    pub file_size: u64,
}

impl ReplaySummary {
    /// True if everything in the WAL was handed over.
    pub fn is_whole(&self) -> bool {
        self.damage_count == 0 && self.stopped_at.is_none()
    }

    /// True if the WAL was closed cleanly, so that it may be appended to.
    pub fn is_clean(&self) -> bool {
        self.is_whole() && self.oddities.is_empty() && self.end_of_last_record == self.file_size
    }
}

/// Hands every whole, valid batch of a WAL to `apply(rep)`, in order. Returns an error if the file cannot be
/// read, if `apply` fails, if a batch belongs to a feature of RocksDB that is not supported, and (strict) at
/// the first damage.
pub fn replay(
    env: &Arc<dyn Env>,
    path: &Path,
    options: ReplayOptions,
    apply: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<ReplaySummary> {
    let reader = RecordReader::new(env.open_sequential(path)?, path.to_path_buf());
    let summary = ReplaySummary { file_size: env.file_size(path)?, ..ReplaySummary::default() };
    let ReplayOptions { strict, before, language } = options;
    let mut replay = Replay {
        path,
        reader,
        summary,
        strict,
        before,
        language,
        is_first: true,
        next_sequence: None,
        loss: None,
    };
    replay.run(apply)?;
    replay.summary.end_of_last_record = replay.reader.end_of_last_record();
    Ok(replay.summary)
}

/// Something that was lost.
#[derive(Clone, Copy)]
enum Loss {
    /// The end of the WALs before this one.
    BeforeThisLog,
    /// The data at this offset, unless the next batch continues where the last one ended.
    Hole(u64),
}

struct Replay<'a> {
    path: &'a Path,
    reader: RecordReader,
    summary: ReplaySummary,
    strict: bool,
    before: ExpectedFirstSequence,
    language: Language,
    /// True until something other than zeros was read.
    is_first: bool,
    /// The sequence number of the next batch if no entry is missing; `None` before the first batch.
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
                    // Intact, as far as can be told: it must not be passed over as damage is.
                    Err(error) if error.is_not_supported() => return Err(error),
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
            // The damage may explain a gap; nothing can be said about what came before it.
            self.is_first = false;
        }
    }

    /// True if the record is the marker, which is then recorded in the summary.
    fn take_marker(&mut self, record: &[u8]) -> bool {
        let Some(sequence) = marker::decode(record, self.reader.end_of_last_record()) else { return false };
        self.is_first = false;
        self.summary.marker = Some(sequence);
        self.summary.logged = Some(sequence.saturating_sub(1));
        self.next_sequence = Some(sequence);
        true
    }

    /// True if nothing is missing before a batch that begins at `sequence`, after a hole.
    fn continues(&self, sequence: SequenceNumber) -> bool {
        match (self.next_sequence, self.before) {
            (Some(next), _) => sequence == next,
            (None, ExpectedFirstSequence::Unknown) => false,
            (None, before) => !before.misses(sequence) && !before.is_newer_than(sequence),
        }
    }

    fn applied(&mut self, sequence: SequenceNumber, count: u32) {
        let next = sequence + u64::from(count); // at most 2^56 - 1 in a valid batch
        self.is_first = false;
        self.next_sequence = Some(next);
        self.summary.batches += 1;
        self.summary.first_sequence.get_or_insert(sequence);
        self.summary.logged = self.summary.logged.max(Some(next.saturating_sub(1)));
        if count > 0 {
            self.summary.last_sequence = self.summary.last_sequence.max(next - 1);
        }
    }

    /// Checks that the record is a batch that may be here. Returns its sequence number and count.
    fn check(&mut self, record: &[u8]) -> Result<(SequenceNumber, u32)> {
        let offset = self.reader.record_offset();
        let here = |what: &str| {
            Error::corruption_in(self.path, format_args!("{what} at offset {offset}, record skipped"))
        };
        if record.len() < HEADER_SIZE {
            return Err(here("log record too small"));
        }
        let (sequence, count) =
            validate(record, self.language).map_err(|error| match error.is_not_supported() {
                true => {
                    Error::not_supported_in(self.path, format_args!("{} at offset {offset}", error.message()))
                }
                false => here(error.message()),
            })?;
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

    /// Records what LevelDB's WALs may have and ours do not. An error only if the caller is strict.
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

/// The lengths of key and value of an entry of a valid batch that no table can hold. Such a batch is left out
/// as a whole: it would block the flush of all other batches.
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
mod tests;
