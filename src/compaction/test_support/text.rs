//! Files and compactions, as the case files under `tests/testdata/picker` and `tests/testdata/expand` write
//! them.
//!
//! A line is a level: `L1 size=9MB 1:a-k@9 2:k@8-l busy 3:m-p deletions=6000/10000`. A file is
//! `number:smallest-largest`, its keys as in [`key`]. What follows a file is said of that file, what precedes
//! the first file of all of them:
//! - `size=2MB`, `size=2MB+1`, `size=300`, `size=max`: its bytes. Default: 1MB.
//! - `deletions=6000/10000`: its properties are known; so many of its entries are tombstones.
//!   `key-bytes=24` (the average) and `newest=900` (the largest sequence number) belong to them.
//! - `seeks=50`: so many look-ups have probed it without a hit.
//! - `busy`: a compaction reads it.

use super::*;

/// The level of a line, and its files.
pub(super) fn parse_level(line: &str) -> (usize, Vec<Arc<FileMetaData>>) {
    let mut words = line.split_whitespace();
    let level = words.next().and_then(|word| word.strip_prefix('L')?.parse().ok()).expect("a level");
    let mut files: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut of_all = Vec::new();
    for word in words {
        match files.last_mut() {
            _ if word.contains(':') => files.push((word, of_all.clone())),
            Some((_, of_file)) => of_file.push(word),
            None => of_all.push(word),
        }
    }
    (level, files.into_iter().map(|(file, attributes)| parse_file(file, &attributes)).collect())
}

fn parse_file(text: &str, attributes: &[&str]) -> Arc<FileMetaData> {
    let (number, bounds) = text.split_once(':').expect("number:smallest-largest");
    let (smallest, largest) = bounds.split_once('-').expect("smallest-largest");
    let (number, smallest, largest) = (number.parse().unwrap(), key(smallest), key(largest));
    let (mut size, mut deletions, mut key_bytes, mut newest, mut seeks) = (MB, None, 24, 900, 0);
    let mut is_busy = false;
    for attribute in attributes {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        match name {
            "size" => size = bytes(value),
            "deletions" => deletions = value.split_once('/'),
            "key-bytes" => key_bytes = value.parse().unwrap(),
            "newest" => newest = value.parse().unwrap(),
            "seeks" => seeks = value.parse().unwrap(),
            "busy" => is_busy = true,
            _ => panic!("no attribute of a file: {attribute}"),
        }
    }
    let file = match deletions {
        None => FileMetaData::new(number, size, smallest, largest),
        Some((deletions, entries)) => {
            let num_entries: u64 = entries.parse().unwrap();
            let properties = TableProperties {
                num_entries,
                num_deletions: deletions.parse().unwrap(),
                raw_key_size: num_entries * key_bytes,
                largest_sequence: newest,
                ..TableProperties::default()
            };
            FileMetaData::with_properties(number, size, smallest, largest, properties)
        }
    };
    file.set_being_compacted(is_busy);
    for _ in 0..seeks {
        file.charge_seek();
    }
    Arc::new(file)
}

/// `2MB`, `2MB+1`, `300` or `max`.
pub(super) fn bytes(text: &str) -> u64 {
    let number = |digits: &str| digits.parse::<u64>().unwrap_or_else(|_| panic!("no size: {text}"));
    let (text, more) = text.split_once('+').unwrap_or((text, "0"));
    let whole = match text.strip_suffix("MB") {
        _ if text == "max" => u64::MAX,
        Some(megabytes) => number(megabytes) * MB,
        None => number(text),
    };
    whole + number(more)
}

pub(super) fn show_bytes(bytes: u64) -> String {
    match bytes {
        u64::MAX => "max".to_string(),
        _ if bytes >= MB && bytes.is_multiple_of(MB) => format!("{}MB", bytes / MB),
        _ => bytes.to_string(),
    }
}

/// A line: why, from where to where, the inputs of each level with their bytes and range, and what else
/// holds.
pub(crate) fn describe(compaction: &Compaction) -> String {
    let list = |files: &[Arc<FileMetaData>]| match numbers(files) {
        numbers if numbers.is_empty() => "none".to_string(),
        numbers => numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" "),
    };
    let Compaction { reason, level, output_level, inputs, .. } = compaction;
    let inputs: Vec<_> = inputs[..=output_level - level].iter().map(|files| list(files)).collect();
    let (first, last) = compaction.output_range();
    let mut text = format!(
        "{reason:?} L{level} -> L{output_level}: {} ({}, {}-{})",
        inputs.join(" + "),
        show_bytes(compaction.input_bytes()),
        first.escape_ascii(),
        last.escape_ascii()
    );
    if !compaction.grandparents.is_empty() {
        text += &format!(", grandparents {}", list(&compaction.grandparents));
    }
    if let Some(pointer) = &compaction.compact_pointer {
        text += &format!(", pointer {}@{}", pointer.user_key().escape_ascii(), pointer.sequence());
    }
    for (holds, what) in
        [(compaction.drops_deletions, "drops deletions"), (compaction.is_trivial_move(), "trivial move")]
    {
        text += &if holds { format!(", {what}") } else { String::new() };
    }
    text + "\n"
}
