//! How each fuzz target uses its input: the first byte selects options, the other bytes are the file.

use super::exercise::Setting;
use super::{archive, exercise, mend, parsers};

/// The body of a target.
pub type Body = fn(&[u8]);

/// Every target: its name and its body.
pub const ALL: [(&str, Body); 9] = [
    ("block", block),
    ("table", table),
    ("snappy", snappy),
    ("filter", filter),
    ("log", log),
    ("manifest", manifest),
    ("current", current),
    ("write_batch", write_batch),
    ("directory", directory),
];

/// The lowest bit of the first byte says whether checksums are corrected.
fn choose(input: &[u8]) -> (bool, &[u8]) {
    match input.split_first() {
        Some((&first, rest)) => (first & 1 != 0, rest),
        None => (false, input),
    }
}

/// A block.
pub fn block(input: &[u8]) {
    parsers::block(input);
}

/// A table.
pub fn table(input: &[u8]) {
    let (mended, bytes) = choose(input);
    parsers::table(bytes, mended);
}

/// A stored block, which is decompressed in steps of a size from the first byte; and bytes to compress.
pub fn snappy(input: &[u8]) {
    parsers::compressed(input);
    if let Some((&first, stored)) = input.split_first() {
        parsers::snappy(stored, usize::from(first));
    }
}

/// A filter block.
pub fn filter(input: &[u8]) {
    parsers::filter(input);
}

/// A WAL.
pub fn log(input: &[u8]) {
    let (mended, bytes) = choose(input);
    parsers::log(bytes, mended);
}

/// A MANIFEST.
pub fn manifest(input: &[u8]) {
    let (mended, bytes) = choose(input);
    parsers::manifest(bytes, mended);
}

/// CURRENT.
pub fn current(input: &[u8]) {
    parsers::current(input);
}

/// A write batch.
pub fn write_batch(input: &[u8]) {
    parsers::write_batch(input);
}

/// A whole directory. The other bits of the first byte say how it is opened, and whether the sizes of tables
/// in the MANIFEST are corrected.
pub fn directory(input: &[u8]) {
    let (mended, bytes) = choose(input);
    let mut files = archive::decode(bytes);
    let first = input.first().copied().unwrap_or(0);
    if first & 2 != 0 {
        mend::table_sizes(&mut files);
    }
    if mended {
        mend::files(&mut files);
    }
    let _ = exercise::directory(&files, Setting::from_bits(first >> 2 & 0xe));
}
