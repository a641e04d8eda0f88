//! Reads a log back: every whole, valid batch, in order.
//!
//! A batch is checked whole before any of it is handed over. Damage is skipped and noted, as LevelDB does, or
//! ends the replay with an error where the caller is strict.
//!
//! What lies behind something that a crash lost must not be handed over: it was never acknowledged as synced,
//! and with a gap before it the database would be in a state that it never was in. A loss shows as zeroed
//! space inside a log (a *hole*), or as a log that ends early while the next one has records. Whether
//! anything was lost is told by the sequence numbers: a batch that goes on where the last one ended follows
//! no loss. (LevelDB, with reuse_logs, appends behind a preallocated tail: those records are good.)

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

/// Where the first batch of a log must begin if nothing before it was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Begins {
    /// Nothing is known: the log stands alone, or damage before it was skipped.
    #[default]
    Anywhere,
    /// At this sequence number: the log before, of which batches were replayed, ended just before it.
    At(SequenceNumber),
    /// At this sequence number or an earlier one: all before it is in tables.
    AtOrBefore(SequenceNumber),
}

impl Begins {
    fn allows(self, sequence: SequenceNumber) -> bool {
        match self {
            Begins::Anywhere => true,
            Begins::At(expected) => sequence == expected,
            Begins::AtOrBefore(latest) => sequence <= latest,
        }
    }
}

/// How a log is replayed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayOptions {
    /// The first damage is the error (paranoid_checks).
    pub strict: bool,
    /// Nothing is handed over unless the first batch begins there.
    pub begins: Begins,
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
    /// The replay ended at this offset, with records behind it, because something before them was lost. Later
    /// logs must not be replayed either.
    pub stopped_at: Option<u64>,
    /// A batch was left out, and counted as damage, for an entry that is too long for any table. What it holds is in the log alone.
    pub has_unstorable: bool,
    /// The offset behind the last whole record. Where it equals the file's length and nothing was damaged,
    /// the log was closed cleanly and may be appended to.
    pub end_of_last_record: u64,
    /// The length of the file, in bytes.
    pub file_size: u64,
}

impl ReplaySummary {
    /// Was the log closed cleanly, so that it may be appended to?
    pub fn is_clean(&self) -> bool {
        self.damage_count == 0 && self.stopped_at.is_none() && self.end_of_last_record == self.file_size
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
    replay_with(env, path, ReplayOptions { strict, begins: Begins::Anywhere }, apply)
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
    let mut replay = Replay {
        path,
        reader,
        summary,
        strict: options.strict,
        next_sequence: match options.begins {
            Begins::At(sequence) => Some(sequence),
            _ => None,
        },
        loss: (options.begins != Begins::Anywhere).then_some(Loss::BeforeThisLog(options.begins)),
    };
    replay.run(apply)?;
    replay.summary.end_of_last_record = replay.reader.end_of_last_record();
    Ok(replay.summary)
}

/// What may have been lost just before the next record.
#[derive(Clone, Copy)]
enum Loss {
    /// The end of the log before this one, unless the first batch begins there.
    BeforeThisLog(Begins),
    /// What was at this offset.
    Hole(u64),
}

struct Replay<'a> {
    path: &'a Path,
    reader: RecordReader,
    summary: ReplaySummary,
    strict: bool,
    /// The sequence number of the next batch, if no entry is missing; unknown before the first one.
    next_sequence: Option<SequenceNumber>,
    loss: Option<Loss>,
}

impl Replay<'_> {
    fn run(&mut self, apply: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut record = Vec::new();
        loop {
            let error = match self.reader.read_record(&mut record)? {
                ReadOutcome::Record => match self.check(&record) {
                    Ok((sequence, count)) => {
                        if let Some(loss) = self.loss.take().filter(|loss| self.shows(*loss, sequence)) {
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
                    Some(loss @ Loss::Hole(_)) => return self.stop(loss),
                    _ => return Ok(()),
                },
            };
            match self.loss {
                Some(loss @ Loss::Hole(_)) => return self.stop(loss),
                _ => self.note(error)?,
            }
            // What was damaged explains a gap; nothing can be said of what came before it.
            self.loss = None;
        }
    }

    /// Does a batch that begins at `sequence` show that something was lost?
    fn shows(&self, loss: Loss, sequence: SequenceNumber) -> bool {
        match loss {
            Loss::Hole(_) => self.next_sequence != Some(sequence),
            Loss::BeforeThisLog(begins) => !begins.allows(sequence),
        }
    }

    fn applied(&mut self, sequence: SequenceNumber, count: u32) {
        let next = sequence + u64::from(count); // a valid batch: at most 2^56 - 1
        self.next_sequence = Some(next);
        self.summary.batches += 1;
        self.summary.first_sequence.get_or_insert(sequence);
        if count > 0 {
            self.summary.last_sequence = next - 1;
        }
    }

    /// Is it a batch that may stand here? Its sequence number and count.
    fn check(&mut self, record: &[u8]) -> Result<(SequenceNumber, u32)> {
        let here = |what: &str| {
            let offset = self.reader.record_offset();
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
        if self.next_sequence.is_some_and(|next| sequence < next) && self.loss.is_none() {
            return Err(here("batch with a sequence number that was used before"));
        }
        Ok((sequence, count))
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
            Loss::BeforeThisLog(_) => (0, "stopped, since the end of the log before it was lost"),
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
