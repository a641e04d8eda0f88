//! Which compaction to run next. Pure: reads a version and the marks on its files, changes nothing.
//!
//! Order of urgency (the caller's): manual, then size (the highest score first), then seek. Called under the state mutex, since
//! the marks change under it; what is picked is handed to `RunningCompactions::add` before the mutex is let go.

use super::compaction::{Compaction, CompactionReason};
use super::inputs;
use super::running::RunningCompactions;
use crate::format::NUM_LEVELS;
use crate::format::internal_key::{InternalKey, SequenceNumber};
use crate::version::file_metadata::FileMetaData;
use crate::version::version::Version;
use std::ops::Range;
use std::sync::Arc;

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct PickerOptions<'a> {
    /// Level-0 files at which level 0 is due.
    pub level0_file_num_compaction_trigger: usize,
    /// Bytes of level 1 at which it is due; each deeper level holds ten times more.
    pub max_bytes_for_level_base: u64,
    /// Bytes of an output.
    pub max_file_size: u64,
    /// The sequence of the oldest live snapshot, or the last sequence: deletions up to it can be dropped. A job begun
    /// later must not see an older one.
    pub oldest_snapshot: SequenceNumber,
    /// Where compactions of the family write already.
    pub running: &'a RunningCompactions,
    /// Files numbered so, or higher, were written by jobs begun since the manual compaction in question was asked for; `u64::MAX`:
    /// none is known to be.
    pub rewritten_from: u64,
}

/// How many times more bytes each level holds than the one above it.
const LEVEL_MULTIPLIER: f64 = 10.0;

/// How much a level needs compaction: >= 1 is due. Files being compacted don't count.
///
/// Level 0: its files over the trigger, for every read looks into all of them; 0 while it is being compacted. Levels 1 to 5:
/// their bytes over their share. The last level has no limit. A file full of droppable deletions makes its level due, any level,
/// if compacting it gives back at least half of what is read for it: the space it and what it hides take is given back by no
/// other trigger, and where deletions are few among what they meet they had better wait for more.
pub fn score(version: &Version, level: usize, options: &PickerOptions<'_>) -> f64 {
    let size_score = size_score(version, level, options);
    if size_score < 1.0 && free_files_full_of_deletions(version, level, options).next().is_some() {
        return 1.0;
    }
    size_score
}

/// Is a size compaction due? (Cheap: called after every install.) While others run, `pick_size` may find none nonetheless.
pub fn needs_compaction(version: &Version, options: &PickerOptions<'_>) -> bool {
    (0..NUM_LEVELS).any(|level| score(version, level, options) >= 1.0)
}

/// `score` without files full of deletions.
fn size_score(version: &Version, level: usize, options: &PickerOptions<'_>) -> f64 {
    let files = &version.levels[level];
    if level == 0 {
        if files.iter().any(|file| file.is_being_compacted()) {
            return 0.0;
        }
        return files.len() as f64 / options.level0_file_num_compaction_trigger.max(1) as f64;
    }
    if level == NUM_LEVELS - 1 {
        return 0.0;
    }
    free_bytes(version, level) as f64 / max_bytes(level, options)
}

/// What a level >= 1 may hold.
fn max_bytes(level: usize, options: &PickerOptions<'_>) -> f64 {
    options.max_bytes_for_level_base.max(1) as f64 * LEVEL_MULTIPLIER.powi(level as i32 - 1)
}

/// Bytes of the files of a level that no compaction reads.
fn free_bytes(version: &Version, level: usize) -> u64 {
    inputs::total_bytes(version.levels[level].iter().filter(|file| !file.is_being_compacted()))
}

/// Files whose deletions are worth a compaction, and can be taken now as far as they themselves are concerned.
fn free_files_full_of_deletions<'v>(
    version: &'v Version,
    level: usize,
    options: &PickerOptions<'_>,
) -> impl Iterator<Item = &'v Arc<FileMetaData>> {
    let oldest_snapshot = options.oldest_snapshot;
    let files = &version.levels[level][..];
    let is_waiting = level == 0 && files.iter().any(|file| file.is_being_compacted());
    let files = if is_waiting { &[] } else { files };
    files
        .iter()
        .filter(move |file| inputs::is_full_of_deletions(file, oldest_snapshot) && !file.is_being_compacted())
        .filter(move |file| inputs::gives_back_half(version, level, file))
}

/// The size compaction to run now: of the highest score whose files are free. In a level, a file full of deletions first,
/// then round robin by `compact_pointers`, so that the whole key range gets its turn.
pub fn pick_size(
    version: &Arc<Version>,
    options: &PickerOptions<'_>,
    compact_pointers: &[Option<InternalKey>; NUM_LEVELS],
) -> Option<Compaction> {
    let mut due: Vec<(f64, usize)> = (0..NUM_LEVELS)
        .map(|level| (score(version, level, options), level))
        .filter(|(score, _)| *score >= 1.0)
        .collect();
    due.sort_by(|(a, _), (b, _)| b.total_cmp(a)); // stable: of equal scores the upper level
    due.into_iter().find_map(|(_, level)| {
        pick_for_deletions(version, options, level)
            .or_else(|| pick_round_robin(version, options, level, compact_pointers[level].as_ref()))
    })
}

fn pick_for_deletions(
    version: &Arc<Version>,
    options: &PickerOptions<'_>,
    level: usize,
) -> Option<Compaction> {
    free_files_full_of_deletions(version, level, options).find_map(|file| {
        let seeds = std::slice::from_ref(file);
        let compaction = inputs::complete(version, options, CompactionReason::Size, level, seeds)?;
        // It was not this file's turn: the next round goes on where the last one ended.
        Some(Compaction { compact_pointer: None, ..compaction })
    })
}

/// The first file behind `pointer` that can be compacted, else one before it, and of those that follow it as many as the level
/// has too much of; only where the level's size asks for it.
fn pick_round_robin(
    version: &Arc<Version>,
    options: &PickerOptions<'_>,
    level: usize,
    pointer: Option<&InternalKey>,
) -> Option<Compaction> {
    if size_score(version, level, options) < 1.0 {
        return None;
    }
    let comparator = &version.comparator;
    let mut files: Vec<&Arc<FileMetaData>> = version.levels[level].iter().collect();
    if level == 0 {
        files.sort_by(|a, b| comparator.compare(a.largest.encoded(), b.largest.encoded()));
    }
    let is_before = |file: &&Arc<FileMetaData>| {
        pointer.is_some_and(|pointer| comparator.compare(file.largest.encoded(), pointer.encoded()).is_le())
    };
    let (before, behind) = files.split_at(files.partition_point(is_before));
    [behind, before].into_iter().find_map(|files| {
        (0..files.len()).filter(|&first| !files[first].is_being_compacted()).find_map(|first| {
            let complete = |seeds| inputs::complete(version, options, CompactionReason::Size, level, seeds);
            let one = complete(std::slice::from_ref(files[first]))?;
            if level == 0 || one.is_trivial_move() {
                return Some(one);
            }
            let seeds = surplus(version, options, level, &files[first..]);
            if seeds.len() < 2 { Some(one) } else { complete(&seeds).or(Some(one)) }
        })
    })
}

/// The first of these consecutive files of `level` >= 1: as many as the level has too much of, are free, and stay within the
/// limit. Each compaction of random keys also rewrites what it meets only a part of at both ends: the fewer, the better.
fn surplus(
    version: &Version,
    options: &PickerOptions<'_>,
    level: usize,
    files: &[&Arc<FileMetaData>],
) -> Vec<Arc<FileMetaData>> {
    let excess = (free_bytes(version, level) as f64 - max_bytes(level, options)) as u64; // saturates
    let mut seeds = Vec::new();
    for &file in files.iter().take_while(|file| !file.is_being_compacted()) {
        if inputs::total_bytes(&seeds) >= excess {
            break;
        }
        seeds.push(file.clone());
    }
    if !seeds.is_empty() {
        seeds.truncate(piece_length(version, options, level, &seeds));
    }
    seeds
}

/// The compaction of a file that was read in vain too often, and of neighbours that are on the way there; None if it is no longer
/// part of the version, is busy, or has no level below it.
pub fn pick_seek(
    version: &Arc<Version>,
    options: &PickerOptions<'_>,
    level: usize,
    file: &Arc<FileMetaData>,
) -> Option<Compaction> {
    if level + 1 >= NUM_LEVELS {
        return None;
    }
    let index = version.levels[level].iter().position(|other| other.number == file.number)?;
    let complete = |seeds: &[_]| inputs::complete(version, options, CompactionReason::Seek, level, seeds);
    let one = complete(std::slice::from_ref(file))?;
    if level == 0 || one.is_trivial_move() {
        return Some(one);
    }
    let worn = worn_neighbours(version, options, level, index);
    if worn.len() < 2 { Some(one) } else { complete(&version.levels[level][worn]).or(Some(one)) }
}

/// The files of `level` >= 1 around the one at `index` that have wasted half of their seeks as well, are free, and stay within the
/// limit together. One after the other they would each rewrite what they meet a part of at both ends.
fn worn_neighbours(
    version: &Version,
    options: &PickerOptions<'_>,
    level: usize,
    index: usize,
) -> Range<usize> {
    let files = &version.levels[level];
    let is_taken = |range: &Range<usize>, other: usize| {
        files[other].has_wasted_half_its_seeks()
            && !files[other].is_being_compacted()
            && piece_length(version, options, level, &files[range.clone()]) == range.len()
    };
    let mut worn = index..index + 1;
    while worn.end < files.len() && is_taken(&(worn.start..worn.end + 1), worn.end) {
        worn.end += 1;
    }
    while worn.start > 0 && is_taken(&(worn.start - 1..worn.end), worn.start - 1) {
        worn.start -= 1;
    }
    worn
}

/// Input bytes of level 1 for each byte of level 0 that an idle compaction may rewrite.
const MAX_IDLE_REWRITE: u64 = 4;

/// The compaction of level 0 while nothing else is to be done: its files, however few, cost every scan a source. `None` if there are
/// none, or so little is in them that too much of level 1 would be rewritten for it.
pub fn pick_idle(version: &Arc<Version>, options: &PickerOptions<'_>) -> Option<Compaction> {
    version.levels[0].iter().rev().find_map(|oldest| {
        let seeds = std::slice::from_ref(oldest);
        let compaction = inputs::complete(version, options, CompactionReason::Idle, 0, seeds)?;
        let [upper, lower, _] = &compaction.inputs;
        let limit = inputs::total_bytes(upper).saturating_mul(MAX_IDLE_REWRITE);
        (inputs::total_bytes(lower) <= limit).then_some(compaction)
    })
}

/// The sequence that the oldest snapshot must reach for another file full of deletions to be due; `None`: there is none.
pub fn next_droppable_deletions(version: &Version, options: &PickerOptions<'_>) -> Option<SequenceNumber> {
    let files = version.levels.iter().flatten();
    let newest = files.filter_map(|file| inputs::newest_of_many_deletions(file));
    newest.filter(|&newest| newest > options.oldest_snapshot).min()
}

/// What a manual compaction of a range at one level does next.
pub enum ManualPick {
    /// Nothing of the level overlaps the range: done.
    Done,
    /// Files are busy: ask again when the running compaction is installed.
    Busy,
    /// Run this; if `next_begin` is set, go on from that key afterwards.
    Run {
        /// What to run.
        compaction: Box<Compaction>,
        /// The last key of the files taken; the rest of the range begins behind it.
        next_begin: Option<InternalKey>,
    },
}

/// A piece of the manual compaction of user keys [begin, end] at `level` (None = unbounded): files whose last key is behind `begin`,
/// which is `InternalKey::new(user key, MAX_SEQUENCE, Value)` at first and then `next_begin`. Level 0 is one piece; deeper, a
/// piece is limited in bytes, so that others get their turn. The last level is rewritten in place. Files that this request has
/// rewritten already, one level above, are moved where they meet nothing.
pub fn pick_manual(
    version: &Arc<Version>,
    options: &PickerOptions<'_>,
    level: usize,
    begin: Option<&InternalKey>,
    end: Option<&[u8]>,
) -> ManualPick {
    let comparator = &version.comparator;
    let files = &version.levels[level];
    let seeds = if level == 0 {
        version.overlapping_files(0, begin.map(InternalKey::user_key), end)
    } else {
        let start = files.partition_point(|file| {
            begin.is_some_and(|begin| comparator.compare(file.largest.encoded(), begin.encoded()).is_le())
        });
        let stop = files.partition_point(|file| {
            end.is_none_or(|end| comparator.compare_user_keys(file.smallest.user_key(), end).is_le())
        });
        files[start.min(stop)..stop].to_vec()
    };
    let Some(last_in_range) = seeds.last() else { return ManualPick::Done };
    let movable = inputs::movable_length(version, options, level, &seeds);
    let (reason, length) = match (level, movable) {
        (0, _) => (CompactionReason::Manual, seeds.len()),
        (_, 0) => {
            let length = piece_length(version, options, level, &seeds);
            let is_movable =
                |&at: &usize| inputs::movable_length(version, options, level, &seeds[at..=at]) == 1;
            (CompactionReason::Manual, (1..length).find(is_movable).unwrap_or(length))
        }
        _ => (CompactionReason::ManualMove, movable),
    };
    let Some(mut compaction) = inputs::complete(version, options, reason, level, &seeds[..length]) else {
        return ManualPick::Busy;
    };
    if compaction.num_input_files() > movable {
        compaction.reason = CompactionReason::Manual; // it has grown by a file that shares a user key
    }
    // Inputs may have grown beyond the piece.
    let last_taken = compaction.inputs[0].last().filter(|taken| {
        level > 0 && comparator.compare(taken.largest.encoded(), last_in_range.largest.encoded()).is_lt()
    });
    let next_begin = last_taken.map(|file| file.largest.clone());
    ManualPick::Run { compaction: Box::new(compaction), next_begin }
}

/// The piece of a manual compaction that goes on to level 2 or deeper: of level 0 it is one of all three levels, where that may be.
pub fn through_level_1(options: &PickerOptions<'_>, compaction: Compaction) -> Compaction {
    inputs::through_level_1(options, compaction)
}

/// How many of `files` (consecutive ones of `level` >= 1) make a piece: at least one, and as many as stay within the limit
/// together with what they overlap at the next level.
fn piece_length(
    version: &Version,
    options: &PickerOptions<'_>,
    level: usize,
    files: &[Arc<FileMetaData>],
) -> usize {
    let comparator = &version.comparator;
    let below = version.levels.get(level + 1).map_or(&[][..], |files| &files[..]);
    let first = files[0].smallest.user_key();
    let mut below = below
        [inputs::overlapping(comparator, below, first, files[files.len() - 1].largest.user_key())]
    .iter()
    .peekable();
    let mut bytes: u64 = 0;
    for (count, file) in files.iter().enumerate() {
        bytes = file.file_size.saturating_add(bytes);
        let largest = file.largest.user_key();
        while let Some(next) =
            below.next_if(|next| comparator.compare_user_keys(next.smallest.user_key(), largest).is_le())
        {
            bytes = next.file_size.saturating_add(bytes);
        }
        if count > 0 && bytes > inputs::max_expanded_bytes(options) {
            return count;
        }
    }
    files.len()
}

#[cfg(test)]
mod interleaving_tests;
#[cfg(test)]
mod manual_tests;
#[cfg(test)]
mod tests;
