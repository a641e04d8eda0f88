//! Into which key ranges a compaction is divided, so that several threads can merge it at once.
//!
//! Cuts are user keys: all entries of one lie in one part, as they must lie in one file. They are taken from the indexes of the
//! input tables, which are in memory or will be: each table stands for some keys at about equal distances of bytes, and the cuts
//! divide all of these into equal parts. What a cut costs is one output that is not full.

use super::compaction::{Compaction, CompactionReason};
use crate::flush::job::JobContext;
use std::cmp::Ordering;

/// Outputs' worth of input that a part has at least.
const MIN_OUTPUTS: u64 = 2;

/// Keys that stand for one table.
const KEYS_PER_TABLE: usize = 32;

/// The user keys [begin, end) of a part of a compaction (None = unbounded).
#[derive(Clone, Copy)]
pub(super) struct KeyRange<'a> {
    pub begin: Option<&'a [u8]>,
    pub end: Option<&'a [u8]>,
}

/// Ascending user keys at which to divide the compaction; none where it is small, or a table can't be opened (which the
/// merge will tell).
pub(super) fn cuts(compaction: &Compaction, context: &JobContext<'_>) -> Vec<Vec<u8>> {
    let min_bytes = compaction.max_output_file_size.saturating_mul(MIN_OUTPUTS).max(1);
    let parts = (compaction.input_bytes() / min_bytes).min(context.max_subcompactions as u64);
    // One for reads leaves the other processors to the readers.
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
    let (mut cuts, mut passed): (Vec<Vec<u8>>, u64) = (Vec::new(), 0);
    for (key, bytes) in keys {
        passed = passed.saturating_add(bytes);
        let is_due = passed >= total / parts * (cuts.len() as u64 + 1) && (cuts.len() as u64) < parts - 1;
        let is_behind = |last: &Vec<u8>| comparator.compare_user_keys(last, &key) == Ordering::Less;
        if is_due && cuts.last().is_none_or(is_behind) {
            cuts.push(key);
        }
    }
    Some(cuts)
}

/// The parts that the cuts make, in order.
pub(super) fn between(cuts: &[Vec<u8>]) -> impl Iterator<Item = KeyRange<'_>> {
    let cuts = cuts.iter().map(|cut| Some(&cut[..]));
    let begins = std::iter::once(None).chain(cuts.clone());
    begins.zip(cuts.chain([None])).map(|(begin, end)| KeyRange { begin, end })
}
