//! Which files must take part in a compaction: the rules that make a set of files safe to merge into the next
//! level.
//!
//! Pure functions over a version. Files of a level >= 1 are handled as index ranges, found by binary search.

use crate::compaction::context::PickerOptions;
use crate::compaction::{Compaction, CompactionReason};
use crate::format::NUM_LEVELS;
use crate::format::internal_key::{InternalKeyComparator, SequenceNumber};
use crate::version::file_metadata::FileMetaData;
use crate::version::key_range::{total_bytes, user_key_range};
use crate::version::{MAX_GRANDPARENT_OUTPUTS, Version};
use std::ops::Range;
use std::sync::Arc;

/// The size limit for adding files of the first level to the inputs, and for one piece of a manual
/// compaction, in output files' worth of bytes. The inputs of both levels count.
const MAX_EXPANDED_OUTPUTS: u64 = 25;

/// The size limit of a compaction of three levels, in pieces of two levels.
const MAX_PIECES_THROUGH_LEVEL_1: u64 = 2;

/// Tombstones whose keys take fewer bytes than this are not worth a compaction.
const MIN_DELETION_BYTES: u64 = 4 << 10;

/// Does the file have many tombstones, which are worth a compaction and which no snapshot needs any more?
/// Only a file all of whose entries are old counts, and only one whose properties say so. If a rewrite could
/// not drop the tombstones, the file would be chosen again and again.
pub(in crate::compaction) fn is_full_of_deletions(
    file: &FileMetaData,
    oldest_snapshot: SequenceNumber,
) -> bool {
    newest_of_many_deletions(file).is_some_and(|newest| newest <= oldest_snapshot)
}

/// The newest sequence number in a file that has so many tombstones that they are worth a compaction. `None`
/// for any other file.
pub(in crate::compaction) fn newest_of_many_deletions(file: &FileMetaData) -> Option<SequenceNumber> {
    let properties = file.properties()?;
    let average_key = properties.raw_key_size / properties.num_entries.max(1);
    let are_many = properties.num_deletions.saturating_mul(2) > properties.num_entries
        && properties.num_deletions.saturating_mul(average_key) >= MIN_DELETION_BYTES;
    (are_many && properties.largest_sequence > 0).then_some(properties.largest_sequence)
}

/// The average number of bytes per entry in these files; 0 if it is not known.
pub(in crate::compaction) fn average_entry_bytes<'a>(
    files: impl IntoIterator<Item = &'a Arc<FileMetaData>>,
) -> u64 {
    let known = files.into_iter().filter_map(|file| Some((file.file_size, file.properties()?.num_entries)));
    let (bytes, entries) = known.fold((0u64, 0u64), |(bytes, entries), (size, count)| {
        (bytes.saturating_add(size), entries.saturating_add(count))
    });
    bytes / entries.max(1)
}

/// Does a compaction of the file, which has many tombstones, free half of the bytes that it reads? This is an
/// estimate: it counts the tombstones themselves, and one entry of the next level for each.
pub(in crate::compaction) fn gives_back_half(version: &Version, level: usize, file: &FileMetaData) -> bool {
    let Some(properties) = file.properties() else { return false };
    let (smallest, largest) = (file.smallest.user_key(), file.largest.user_key());
    let beside = match level {
        0 => total_bytes(&version.overlapping_files(0, Some(smallest), Some(largest))),
        _ => file.file_size,
    };
    let below = match version.levels.get(level + 1) {
        Some(files) => &files[files.overlap(&version.comparator, Some(smallest), Some(largest))],
        None => &[],
    };
    let below_bytes = total_bytes(below);
    let hidden = properties.num_deletions.saturating_mul(average_entry_bytes(below)).min(below_bytes);
    let own = file.file_size as f64 * properties.num_deletions as f64 / properties.num_entries.max(1) as f64;
    (own + hidden as f64) * 2.0 >= beside.saturating_add(below_bytes) as f64
}

/// Adds neighbours that share a user key with the first or the last file of the range, repeatedly.
pub(in crate::compaction) fn grow_to_whole_user_keys(
    comparator: &InternalKeyComparator,
    files: &[Arc<FileMetaData>],
    mut range: Range<usize>,
) -> Range<usize> {
    if range.is_empty() {
        return range;
    }
    let shares_user_key = |left: usize| {
        let (left, right) = (files[left].largest.user_key(), files[left + 1].smallest.user_key());
        comparator.compare_user_keys(left, right).is_eq()
    };
    while range.start > 0 && shares_user_key(range.start - 1) {
        range.start -= 1;
    }
    while range.end < files.len() && shares_user_key(range.end - 1) {
        range.end += 1;
    }
    range
}

/// The files of a level that must take part if the user keys [smallest, largest] are compacted from that
/// level, or into it.
fn whole_overlap(version: &Version, level: usize, smallest: &[u8], largest: &[u8]) -> Vec<Arc<FileMetaData>> {
    if level == 0 {
        return version.overlapping_files(0, Some(smallest), Some(largest)); // transitively
    }
    let (comparator, files) = (&version.comparator, &version.levels[level]);
    let range = files.overlap(comparator, Some(smallest), Some(largest));
    files[grow_to_whole_user_keys(comparator, files, range)].to_vec()
}

/// How many bytes of both levels a compaction may add by its own choice.
pub(in crate::compaction) fn max_expanded_bytes(options: &PickerOptions<'_>) -> u64 {
    options.max_file_size.saturating_mul(MAX_EXPANDED_OUTPUTS)
}

fn is_any_busy(files: &[Arc<FileMetaData>]) -> bool {
    files.iter().any(|file| file.is_being_compacted())
}

/// The smallest safe compaction of `seeds` (not empty; files of `level`), plus files of `level` that can be
/// added without adding files of the output level. `None` if it would read a file that another compaction
/// reads, or write where another one writes.
pub(in crate::compaction) fn complete(
    version: &Arc<Version>,
    options: &PickerOptions<'_>,
    reason: CompactionReason,
    level: usize,
    seeds: &[Arc<FileMetaData>],
) -> Option<Compaction> {
    let comparator = &version.comparator;
    // Level 0 has at most one compaction at a time. With a second one, every flush would have to know the
    // ranges of the first.
    if level == 0 && is_any_busy(&version.levels[0]) {
        return None;
    }
    let output_level = (level + 1).min(NUM_LEVELS - 1);
    let (smallest, largest) = user_key_range(comparator, seeds)?;
    let mut inputs = [whole_overlap(version, level, smallest, largest), Vec::new(), Vec::new()];
    if output_level != level {
        let (smallest, largest) = user_key_range(comparator, &inputs[0])?;
        inputs[1] = whole_overlap(version, output_level, smallest, largest);
        grow_first_side(version, options, level, &mut inputs);
    }
    if is_any_busy(&inputs[0]) || is_any_busy(&inputs[1]) {
        return None;
    }
    let (smallest, largest) = user_key_range(comparator, inputs.iter().flatten())?;
    if options.in_progress.overlaps(comparator, output_level, smallest, largest) {
        return None;
    }
    let grandparents = grandparents(version, output_level, smallest, largest);

    let drops_deletions = inputs[0].iter().any(|file| is_full_of_deletions(file, options.oldest_snapshot));
    let last = inputs[0].iter().max_by(|a, b| comparator.compare(a.largest.encoded(), b.largest.encoded()));
    let compact_pointer = last.filter(|_| output_level != level).map(|file| file.largest.clone());
    Some(Compaction {
        reason,
        level,
        output_level,
        inputs,
        grandparents,
        max_output_file_size: options.max_file_size,
        max_grandparent_overlap: options.max_file_size.saturating_mul(MAX_GRANDPARENT_OUTPUTS),
        version: version.clone(),
        compact_pointer,
        drops_deletions,
    })
}

/// How many of the first of `files` (consecutive in `level` >= 1) a manual compaction can move to the next
/// level instead of rewriting them. It must have written them itself. They must overlap no file of the next
/// level, not even in the gaps between them. And they must hold no tombstone, which would have been kept
/// because of a deeper level. (The number of a file that was only upgraded is newer than its entries; its
/// epoch is not.)
pub(in crate::compaction) fn movable_length(
    version: &Version,
    options: &PickerOptions<'_>,
    level: usize,
    files: &[Arc<FileMetaData>],
) -> usize {
    let Some(below) = version.levels.get(level + 1).filter(|_| level > 0) else { return 0 };
    let is_clean =
        |file: &FileMetaData| file.properties().is_some_and(|properties| properties.num_deletions == 0);
    let meets_nothing = |file: &FileMetaData| {
        let (smallest, largest) = (files[0].smallest.user_key(), file.largest.user_key());
        below.overlap(&version.comparator, Some(smallest), Some(largest)).is_empty()
    };
    let is_movable = |file: &&Arc<FileMetaData>| {
        file.epoch() >= options.rewritten_from && is_clean(file) && meets_nothing(file)
    };
    files.iter().take_while(is_movable).count()
}

/// The files of the level after `output_level` that overlap the user keys [smallest, largest].
fn grandparents(
    version: &Version,
    output_level: usize,
    smallest: &[u8],
    largest: &[u8],
) -> Vec<Arc<FileMetaData>> {
    match version.levels.get(output_level + 1) {
        Some(files) => files[files.overlap(&version.comparator, Some(smallest), Some(largest))].to_vec(),
        None => Vec::new(),
    }
}

/// Extends a compaction of level 0 that one of level 1 would follow: it goes directly to level 2, together
/// with the files it overlaps at both levels, so that level 1 is not written in between. The compaction stays
/// as it is if no deeper level overlaps it, if it would be too large, or if other compactions are in its way.
///
/// Only a compaction of level 0 may do this. That keeps level 1 safe: only compactions of level 0 write to
/// level 1 below the entries that are read here. (A table that is flushed into a gap of level 1 meanwhile is
/// newer than all of these, and stays above them.)
pub(in crate::compaction) fn extend_to_level_2(
    options: &PickerOptions<'_>,
    compaction: Compaction,
) -> Compaction {
    if (compaction.level, compaction.output_level) != (0, 1) {
        return compaction;
    }
    let version = compaction.version.clone();
    let Some((smallest, largest)) = user_key_range(&version.comparator, compaction.inputs.iter().flatten())
    else {
        return compaction;
    };
    let is_last = (2..NUM_LEVELS).all(|level| !version.overlaps(level, Some(smallest), Some(largest)));
    let third_side = whole_overlap(&version, 2, smallest, largest);
    let all = || compaction.inputs.iter().flatten().chain(&third_side);
    let Some((smallest, largest)) = user_key_range(&version.comparator, all()) else { return compaction };
    let limit = max_expanded_bytes(options).saturating_mul(MAX_PIECES_THROUGH_LEVEL_1);
    if is_last
        || is_any_busy(&third_side)
        || total_bytes(all()) > limit
        || options.in_progress.overlaps(&version.comparator, 2, smallest, largest)
    {
        return compaction;
    }
    let grandparents = grandparents(&version, 2, smallest, largest);
    let [first_side, second_side, _] = compaction.inputs.clone();
    Compaction { output_level: 2, inputs: [first_side, second_side, third_side], grandparents, ..compaction }
}

/// Adds files of `level` that the chosen files of the output level cover already, at the price of reading
/// them. Not beyond `max_expanded_bytes`, and not if another compaction reads them.
fn grow_first_side(
    version: &Version,
    options: &PickerOptions<'_>,
    level: usize,
    inputs: &mut [Vec<Arc<FileMetaData>>; 3],
) {
    let comparator = &version.comparator;
    if inputs[1].is_empty() {
        return;
    }
    let Some((smallest, largest)) = user_key_range(comparator, inputs.iter().flatten()) else { return };
    let grown = whole_overlap(version, level, smallest, largest);
    if grown.len() <= inputs[0].len()
        || is_any_busy(&grown)
        || total_bytes(grown.iter().chain(&inputs[1])) > max_expanded_bytes(options)
    {
        return;
    }
    let Some((smallest, largest)) = user_key_range(comparator, &grown) else { return };
    // The grown side covers the old one, so the same number of files means the same files.
    if whole_overlap(version, level + 1, smallest, largest).len() == inputs[1].len() {
        inputs[0] = grown;
    }
}

#[cfg(test)]
mod tests;
