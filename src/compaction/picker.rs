//! Chooses the next compaction. Pure: reads a version and the marks on its files, changes nothing.
//!
//! Order of urgency, which the caller keeps: manual, then size (highest score first), then seek. Called under
//! the state mutex, since the marks change under it. The caller hands the choice to
//! `CompactionsInProgress::add` before it releases the mutex.

use crate::compaction::context::PickerOptions;
use crate::compaction::{Compaction, CompactionReason};
use crate::format::NUM_LEVELS;
use crate::format::internal_key::{InternalKey, SequenceNumber};
use crate::version::Version;
use crate::version::file_metadata::FileMetaData;
use crate::version::key_range::total_bytes;
use std::ops::Range;
use std::sync::Arc;

pub(super) mod expand;

/// Each level may hold this many times more bytes than the level above it.
const LEVEL_MULTIPLIER: f64 = 10.0;

/// How much a level needs a compaction; >= 1: now. Files that are being compacted do not count.
///
/// Level 0: the number of its files divided by the trigger, because every read probes all of them; 0 while it
/// is being compacted. Levels 1 to 5: their bytes divided by their limit. The last level has no limit. At any
/// level, a file with many droppable tombstones raises the score to 1, if compacting it frees at least half
/// of the bytes that are read for it. No other trigger frees the space of such a file and of the entries it
/// hides. If the tombstones are few among the entries that they meet, it is better to wait for more.
pub fn score(version: &Version, level: usize, options: &PickerOptions<'_>) -> f64 {
    let size_score = size_score(version, level, options);
    if size_score < 1.0 && free_files_full_of_deletions(version, level, options).next().is_some() {
        return 1.0;
    }
    size_score
}

/// Does any level need a size compaction? Cheap: called after every install. While other compactions run,
/// `pick_size` may still find none.
pub fn needs_compaction(version: &Version, options: &PickerOptions<'_>) -> bool {
    (0..NUM_LEVELS).any(|level| score(version, level, options) >= 1.0)
}

/// `score` without regard to tombstones.
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
    free_bytes(version, level) as f64 / max_bytes(level, options.max_bytes_for_level_base)
}

/// The limit of a level >= 1, in bytes. `base`: that of level 1.
fn max_bytes(level: usize, base: u64) -> f64 {
    base.max(1) as f64 * LEVEL_MULTIPLIER.powi(level as i32 - 1)
}

/// The level of tables that are the whole contents of a family, of `bytes` bytes: the first one below level 0
/// that needs no compaction with them. `base`: the limit of level 1. In a deeper level they would stay long
/// after later writes have replaced their entries.
pub fn level_for_all(bytes: u64, base: u64) -> usize {
    let last = NUM_LEVELS - 1;
    (1..last).find(|&level| (bytes as f64) < max_bytes(level, base)).unwrap_or(last)
}

/// The bytes of the level's files that no compaction reads.
fn free_bytes(version: &Version, level: usize) -> u64 {
    total_bytes(version.levels[level].iter().filter(|file| !file.is_being_compacted()))
}

/// The files whose tombstones are worth a compaction and that no compaction reads. (Files that must go along
/// may still be busy.)
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
        .filter(move |file| expand::is_full_of_deletions(file, oldest_snapshot) && !file.is_being_compacted())
        .filter(move |file| expand::gives_back_half(version, level, file))
}

/// The size compaction to run now: of the level with the highest score that has free files. In a level, a
/// file with many tombstones comes first, then round robin by `compact_pointers`, so that the whole key range
/// is compacted in turn.
pub fn pick_size(
    version: &Arc<Version>,
    options: &PickerOptions<'_>,
    compact_pointers: &[Option<InternalKey>; NUM_LEVELS],
) -> Option<Compaction> {
    let mut due: Vec<(f64, usize)> = (0..NUM_LEVELS)
        .map(|level| (score(version, level, options), level))
        .filter(|(score, _)| *score >= 1.0)
        .collect();
    due.sort_by(|(a, _), (b, _)| b.total_cmp(a)); // stable: of equal scores the upper level comes first
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
        let compaction = expand::complete(version, options, CompactionReason::Size, level, seeds)?;
        // The file was chosen out of turn: the next round-robin compaction continues where the last one
        // ended.
        Some(Compaction { compact_pointer: None, ..compaction })
    })
}

/// The first file after `pointer` that can be compacted, else the first one before it, together with as many
/// of the files that follow it as the level is over its limit. `None` if the level's size does not require a
/// compaction.
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
            let complete = |seeds| expand::complete(version, options, CompactionReason::Size, level, seeds);
            let one = complete(std::slice::from_ref(files[first]))?;
            if level == 0 || one.is_trivial_move() {
                return Some(one);
            }
            let seeds = surplus(version, options, level, &files[first..]);
            if seeds.len() < 2 { Some(one) } else { complete(&seeds).or(Some(one)) }
        })
    })
}

/// The first of `files`, which are consecutive in `level` >= 1: as many as the level is over its limit, if
/// they are free and stay within the size limit of a compaction. Under random keys each compaction also
/// rewrites files of the next level that it overlaps only in part, at both ends. Fewer, larger compactions
/// rewrite less.
fn surplus(
    version: &Version,
    options: &PickerOptions<'_>,
    level: usize,
    files: &[&Arc<FileMetaData>],
) -> Vec<Arc<FileMetaData>> {
    let excess =
        (free_bytes(version, level) as f64 - max_bytes(level, options.max_bytes_for_level_base)) as u64; // saturates
    let mut seeds = Vec::new();
    for &file in files.iter().take_while(|file| !file.is_being_compacted()) {
        if total_bytes(&seeds) >= excess {
            break;
        }
        seeds.push(file.clone());
    }
    if !seeds.is_empty() {
        seeds.truncate(piece_length(version, options, level, &seeds));
    }
    seeds
}

/// The compaction of a file that look-ups have probed without a hit too often, and of its neighbours that
/// have used half of their seeks. `None` if the file is no longer in the version, is busy, or has no level
/// below it.
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
    let complete = |seeds: &[_]| expand::complete(version, options, CompactionReason::Seek, level, seeds);
    let one = complete(std::slice::from_ref(file))?;
    if level == 0 || one.is_trivial_move() {
        return Some(one);
    }
    let worn = seek_exhausted_neighbours(version, options, level, index);
    if worn.len() < 2 { Some(one) } else { complete(&version.levels[level][worn]).or(Some(one)) }
}

/// The files of `level` >= 1 around the one at `index` that have used half of their seeks as well, are free,
/// and stay within the size limit of a compaction together. If they were compacted one by one, each
/// compaction would rewrite files of the next level that it overlaps only in part, at both ends.
fn seek_exhausted_neighbours(
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

/// How many bytes of level 1 an idle compaction may rewrite for each byte of level 0.
const MAX_IDLE_REWRITE: u64 = 4;

/// A compaction of level 0 for an idle database: each file of level 0, however small, adds a source to every
/// scan. `None` if level 0 has no files, or so few bytes that too much of level 1 would be rewritten.
pub fn pick_idle(version: &Arc<Version>, options: &PickerOptions<'_>) -> Option<Compaction> {
    version.levels[0].iter().rev().find_map(|oldest| {
        let seeds = std::slice::from_ref(oldest);
        let compaction = expand::complete(version, options, CompactionReason::Idle, 0, seeds)?;
        let [upper, lower, _] = &compaction.inputs;
        let limit = total_bytes(upper).saturating_mul(MAX_IDLE_REWRITE);
        (total_bytes(lower) <= limit).then_some(compaction)
    })
}

/// The compaction that upgrades a table: a file of `level` that no compaction reads. Nothing else takes part,
/// since no entry is dropped and the bounds stay. So nothing is in its way: whatever writes into its range at
/// its level would read the file.
pub fn upgrade_of(
    version: &Arc<Version>,
    reason: CompactionReason,
    level: usize,
    file: &Arc<FileMetaData>,
) -> Compaction {
    Compaction {
        reason,
        level,
        output_level: level,
        inputs: [vec![file.clone()], Vec::new(), Vec::new()],
        grandparents: Vec::new(),
        max_output_file_size: u64::MAX,
        max_grandparent_overlap: u64::MAX,
        version: version.clone(),
        compact_pointer: None,
        drops_deletions: false,
    }
}

/// The sequence number that the oldest snapshot must reach before another file with many tombstones needs a
/// compaction. `None`: there is no such file.
pub fn next_droppable_deletions(version: &Version, options: &PickerOptions<'_>) -> Option<SequenceNumber> {
    let files = version.levels.iter().flatten();
    let newest = files.filter_map(|file| expand::newest_of_many_deletions(file));
    newest.filter(|&newest| newest > options.oldest_snapshot).min()
}

/// The next step of a manual compaction of a range at one level.
pub enum ManualPick {
    /// No file of the level overlaps the range: the level is done.
    Done,
    /// Files are busy: ask again after the running compaction is installed.
    Busy,
    /// Run this compaction. If `next_begin` is set, continue from that key afterwards.
    Run {
        /// The compaction to run.
        compaction: Box<Compaction>,
        /// The last key of the files taken. The rest of the range begins after it.
        next_begin: Option<InternalKey>,
    },
}

/// The next piece of a manual compaction of the user keys [begin, end] at `level` (`None`: unbounded): files
/// whose largest key is after `begin`. That is `InternalKey::new(user key, MAX_SEQUENCE, Value)` at first and
/// then the `next_begin` of the previous piece. Level 0 is one piece. At deeper levels a piece is limited in
/// bytes, so that other compactions can run in between. The last level is rewritten in place. Files that this
/// manual compaction has written already, one level above, are moved if they overlap no file of the next
/// level.
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
    let movable = expand::movable_length(version, options, level, &seeds);
    let (reason, length) = match (level, movable) {
        (0, _) => (CompactionReason::Manual, seeds.len()),
        (_, 0) => {
            let length = piece_length(version, options, level, &seeds);
            let is_movable =
                |&at: &usize| expand::movable_length(version, options, level, &seeds[at..=at]) == 1;
            (CompactionReason::Manual, (1..length).find(is_movable).unwrap_or(length))
        }
        _ => (CompactionReason::ManualMove, movable),
    };
    let Some(mut compaction) = expand::complete(version, options, reason, level, &seeds[..length]) else {
        return ManualPick::Busy;
    };
    if compaction.num_input_files() > movable {
        compaction.reason = CompactionReason::Manual; // a file that shares a user key was added
    }
    // The inputs may have grown beyond the piece.
    let last_taken = compaction.inputs[0].last().filter(|taken| {
        level > 0 && comparator.compare(taken.largest.encoded(), last_in_range.largest.encoded()).is_lt()
    });
    let next_begin = last_taken.map(|file| file.largest.clone());
    ManualPick::Run { compaction: Box::new(compaction), next_begin }
}

/// The piece of a manual compaction that continues to level 2 or deeper. A piece of level 0 becomes one
/// compaction of levels 0 to 2, if possible.
pub fn extend_to_level_2(options: &PickerOptions<'_>, compaction: Compaction) -> Compaction {
    expand::extend_to_level_2(options, compaction)
}

/// How many of `files` (consecutive in `level` >= 1) make a piece: at least one, and as many as stay within
/// the size limit together with the files of the next level that they overlap.
fn piece_length(
    version: &Version,
    options: &PickerOptions<'_>,
    level: usize,
    files: &[Arc<FileMetaData>],
) -> usize {
    let comparator = &version.comparator;
    let (smallest, largest) = (files[0].smallest.user_key(), files[files.len() - 1].largest.user_key());
    let below = match version.levels.get(level + 1) {
        Some(below) => &below[below.overlap(comparator, Some(smallest), Some(largest))],
        None => &[],
    };
    let mut below = below.iter().peekable();
    let mut bytes: u64 = 0;
    for (count, file) in files.iter().enumerate() {
        bytes = file.file_size.saturating_add(bytes);
        let largest = file.largest.user_key();
        while let Some(next) =
            below.next_if(|next| comparator.compare_user_keys(next.smallest.user_key(), largest).is_le())
        {
            bytes = next.file_size.saturating_add(bytes);
        }
        if count > 0 && bytes > expand::max_expanded_bytes(options) {
            return count;
        }
    }
    files.len()
}

#[cfg(test)]
mod tests;
