//! Subcompactions: the key ranges into which a compaction is divided, so that several threads can merge it in
//! parallel.
//!
//! Boundaries are user keys: all entries of a user key are in one subcompaction, as they must be in one file.
//! Boundaries are taken from the indexes of the input tables, which are in memory or soon will be. A few
//! keys, at about equal distances in bytes, represent each table, and the boundaries divide all of these keys
//! into equal parts. A boundary costs one output file that is not full.

use crate::compaction::{Compaction, CompactionReason};
use crate::job::context::JobContext;
use std::cmp::Ordering;

/// The least input of a subcompaction, in output files' worth of bytes.
const MIN_OUTPUTS: u64 = 2;

/// The number of keys that represent one table.
const KEYS_PER_TABLE: usize = 32;

/// The user keys [begin, end) of a subcompaction (`None`: unbounded).
#[derive(Clone, Copy)]
pub(super) struct KeyRange<'a> {
    pub begin: Option<&'a [u8]>,
    pub end: Option<&'a [u8]>,
}

/// Ascending user keys at which the compaction is divided. None if it is small, or if a table cannot be
/// opened; the merge then reports that error.
pub(super) fn boundaries(compaction: &Compaction, context: &JobContext<'_>) -> Vec<Vec<u8>> {
    let min_bytes = compaction.max_output_file_size.saturating_mul(MIN_OUTPUTS).max(1);
    let parts = (compaction.input_bytes() / min_bytes).min(context.max_subcompactions as u64);
    // A seek compaction is not divided: it leaves the other processors to the readers.
    let parts = if compaction.reason == CompactionReason::Seek { 1 } else { parts };
    if parts < 2 { Vec::new() } else { cut_into(parts, compaction, context).unwrap_or_default() }
}

fn cut_into(parts: u64, compaction: &Compaction, context: &JobContext<'_>) -> Option<Vec<Vec<u8>>> {
    let comparator = &compaction.version.comparator;
    let mut keys: Vec<(Vec<u8>, u64)> = Vec::new();
    for file in compaction.inputs.iter().flatten() {
        let table = file.table(context.table_cache).ok()?;
        let quantiles: Vec<Vec<u8>> = table.quantiles(KEYS_PER_TABLE).collect();
        let bytes_each = file.file_size / quantiles.len().max(1) as u64;
        keys.extend(quantiles.into_iter().map(|key| (key, bytes_each)));
    }
    keys.sort_by(|(a, _), (b, _)| comparator.compare_user_keys(a, b));
    let total = keys.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
    let (mut boundaries, mut passed): (Vec<Vec<u8>>, u64) = (Vec::new(), 0);
    for (key, bytes) in keys {
        passed = passed.saturating_add(bytes);
        let is_due =
            passed >= total / parts * (boundaries.len() as u64 + 1) && (boundaries.len() as u64) < parts - 1;
        let is_behind = |last: &Vec<u8>| comparator.compare_user_keys(last, &key) == Ordering::Less;
        if is_due && boundaries.last().is_none_or(is_behind) {
            boundaries.push(key);
        }
    }
    Some(boundaries)
}

/// The key ranges of the subcompactions between the boundaries, in order.
pub(super) fn ranges_between(boundaries: &[Vec<u8>]) -> impl Iterator<Item = KeyRange<'_>> {
    let boundaries = boundaries.iter().map(|boundary| Some(&boundary[..]));
    let begins = std::iter::once(None).chain(boundaries.clone());
    begins.zip(boundaries.chain([None])).map(|(begin, end)| KeyRange { begin, end })
}
