//! The hostile databases of this theme, also opened by Google's library: through the C API alone, each in a
//! process of its own, because that library crashes and hangs. Its results are a table; the tests assert that
//! Terrace behaves as expected.
//!
//! `make hostile-report` prints the table.

use super::child::{End, Story, child};
use super::mutations::mutated;
use super::support::{Kind, Offer, offers_of};
use super::{logs, manifests, tables};
use crate::fuzz::archive::Files;
use crate::fuzz::bases;
use crate::support::random::announce;
use crate::support::{google_path, scratch, terrace_path};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The memory limit of a child, in KiB: more memory would be due to the contents of a file.
const MOST_KIB: i64 = 256 << 10;

/// The largest number of cases of one test: a WAL can be torn at any byte, and starting a process is slow.
const MOST_CASES: usize = 24;

/// The tests that create the cases, with the numbers of the cases.
const THEMES: [(&str, &str, fn()); 18] = [
    (
        "1",
        "handles past the end, or that wrap",
        tables::handles_that_lead_past_the_end_or_wrap_cost_only_their_table,
    ),
    ("2, 5", "lengths that wrap, entries that share too much", tables::lengths_that_wrap_32_bits_are_told),
    ("3", "too many restart points", tables::restart_points_that_lie_are_told),
    ("4", "restart points that lead astray", tables::restart_points_that_lead_astray_are_told_by_look_ups),
    ("6", "short keys, unknown types", tables::keys_without_a_trailer_or_of_no_known_type_are_told),
    ("7, 8", "compressed blocks that lie", tables::compressed_blocks_claim_no_more_than_they_can_hold),
    (
        "9",
        "blocks that lead to each other",
        tables::blocks_that_lead_to_themselves_or_to_each_other_are_read_once,
    ),
    ("10", "keys out of order", tables::keys_out_of_order_end_a_compaction_and_are_told_by_a_scan),
    ("11", "filters that make no sense", tables::filters_that_make_no_sense_match_every_key),
    ("12", "files that are no tables", tables::files_that_are_no_tables_are_told),
    ("13", "a table of another length", tables::a_table_of_another_length_than_the_manifest_says_is_told),
    (
        "14",
        "batches that lie",
        logs::a_batch_that_lies_is_skipped_and_the_counter_goes_on_as_if_it_had_not_been,
    ),
    ("15", "a torn log", logs::a_log_torn_at_any_byte_keeps_what_came_before),
    ("16", "a log that ends in zeros", logs::a_log_that_ends_in_zeros_is_a_torn_one),
    ("17", "old records behind a torn tail", logs::old_records_behind_a_torn_tail_do_not_come_back),
    ("18", "a MANIFEST that contradicts itself", manifests::a_manifest_that_contradicts_itself_is_refused),
    (
        "18",
        "a MANIFEST with fields out of range",
        manifests::a_manifest_with_fields_out_of_range_is_refused_and_the_field_named,
    ),
    (
        "20",
        "CURRENT that names no MANIFEST",
        manifests::a_current_that_does_not_name_one_manifest_is_refused_and_nothing_is_created,
    ),
];

/// The files, without LOCK and LOG.
fn files_of(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let files = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().expect("a name of ASCII");
        let counts = !matches!(&name[..], "LOCK" | "LOG" | "LOG.old") && entry.path().is_file();
        counts.then(|| (name, fs::read(entry.path()).expect("a file")))
    });
    files.collect()
}

/// The script for a kind of database.
fn script(kind: &Kind) -> &'static str {
    match kind {
        Kind::Damaged => {
            "open\ngroup s 100\ngroup w 100\ngroup d 100\nscan\nput d000+\nput d099+\ncompact\n\
             group s 100\ngroup w 100\ngroup d 100\nclose\nopen\ngroup s 100\ngroup w 100\ngroup d 100\nclose"
        }
        Kind::Unharmed => {
            "bloom\nopen\ngroup s 100\ngroup w 100\ngroup d 100\nscan\ncompact\ngroup d 100\nclose"
        }
        Kind::Refused => "open\nclose\nclose",
        Kind::Log(_) => "open\nscan\nsync new\nclose\nopen\nscan\nclose",
    }
}

/// The results of a hundred look-ups: right, wrong, absent, errors.
fn counts(line: &str) -> [usize; 4] {
    let numbers: Vec<usize> = line
        .split(", ")
        .map(|part| part.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0))
        .collect();
    std::array::from_fn(|at| numbers.get(at).copied().unwrap_or(0))
}

/// The deviation of a story from the expected result, in a few words; `None` if there is none.
fn complaint(
    offer: &Offer,
    story: &Story,
    before: &Files,
    after: &BTreeMap<String, Vec<u8>>,
) -> Option<String> {
    match &story.end {
        End::Whole => {}
        End::Crashed(how) => return Some(format!("ends the process ({how})")),
        End::Hung => return Some("hangs".into()),
        End::Killed => return Some("killed".into()),
    }
    if story.peak_kib > MOST_KIB {
        return Some(format!("takes {} MiB", story.peak_kib >> 10));
    }
    let opened = story.line("open") == Some("ok");
    match &offer.2 {
        Kind::Refused => {
            let same = before.iter().all(|(name, content)| after.get(name) == Some(content));
            match (opened, same && after.len() == before.len()) {
                (true, _) => Some("opens".into()),
                (false, false) => Some("refuses, and has changed files".into()),
                (false, true) => None,
            }
        }
        _ if !opened => Some("does not open".into()),
        Kind::Log(batches) => log_complaint(batches, story),
        Kind::Damaged | Kind::Unharmed => group_complaint(matches!(offer.2, Kind::Unharmed), story),
    }
}

fn log_complaint(batches: &[u32], story: &Story) -> Option<String> {
    let scans: Vec<&str> = story.lines.iter().filter_map(|line| line.strip_prefix("scan: ")).collect();
    for (round, scan) in scans.iter().enumerate() {
        let keys: BTreeSet<&str> = scan.split(" | ").next().unwrap_or_default().split_whitespace().collect();
        let has = |number: u32, half: char| keys.contains(&format!("{number:03}{half}")[..]);
        if (0..1000).any(|number| has(number, 'a') != has(number, 'b')) {
            return Some("half of a batch shows".into());
        }
        let shown: BTreeSet<u32> = (0..1000).filter(|&number| has(number, 'a')).collect();
        let expected: BTreeSet<u32> = batches.iter().copied().collect();
        if expected.difference(&shown).next().is_some() {
            return Some("loses whole batches".into());
        }
        if shown.difference(&expected).next().is_some() {
            return Some("takes a batch that lies, or an old one".into());
        }
        if round > 0 && !keys.contains("new") {
            return Some("loses a later synced write".into());
        }
    }
    if scans.len() == 2 { None } else { Some("does not open again".into()) }
}

fn group_complaint(must_be_whole: bool, story: &Story) -> Option<String> {
    for line in &story.lines {
        let Some((step, outcome)) = line.split_once(": ") else { continue };
        if step == "open" && outcome != "ok" {
            return Some("does not open again".into());
        }
        if let Some(group) = step.strip_prefix("group ") {
            let [right, wrong, absent, _] = counts(outcome);
            if wrong > 0 {
                return Some("gives wrong values".into());
            }
            if right < 100 && (must_be_whole || !group.starts_with('d')) {
                return Some("entries of good tables are lost".into());
            }
            if absent > 0 && !story.lines.iter().any(|line| line.contains("Corruption")) {
                return Some("entries vanish without an error".into());
            }
        }
        if step == "scan" {
            let parts: Vec<&str> = outcome.split(" | ").collect();
            let shown = parts[0].split_whitespace().count();
            if parts[2] == "ok" && shown < 300 {
                return Some("a scan passes over entries without an error".into());
            }
        }
    }
    None
}

/// Runs a case with a library. Returns the deviation from the expected result.
fn run(library: &Path, offer: &Offer) -> Option<String> {
    let scratch = scratch();
    let directory = scratch.path().join("db");
    fs::create_dir(&directory).expect("a directory");
    for (name, content) in &offer.1 {
        fs::write(directory.join(name), content).expect("a file");
    }
    let story = child(library, &directory, script(&offer.2)).run();
    complaint(offer, &story, &offer.1, &files_of(&directory))
        .map(|complaint| format!("{complaint}\u{0}{}: {:?}", offer.0, story))
}

/// An evenly distributed selection of the cases.
fn sample(offers: Vec<Offer>) -> Vec<Offer> {
    let step = offers.len().div_ceil(MOST_CASES).max(1);
    offers.into_iter().step_by(step).collect()
}

#[test]
fn hostile_databases_beside_leveldb() {
    let mut ours = Vec::new();
    let mut report = String::from("| case | | databases | LevelDB | Terrace |\n|---|---|---|---|---|\n");
    for (number, title, body) in THEMES {
        let offers = sample(offers_of(body));
        assert!(!offers.is_empty(), "{title}: no case");
        let mut cells = Vec::new();
        for library in [google_path(), terrace_path()] {
            let mut complaints: BTreeMap<String, usize> = BTreeMap::new();
            for offer in &offers {
                if let Some(complaint) = run(&library, offer) {
                    let (what, all) = complaint.split_once('\u{0}').expect("two parts");
                    *complaints.entry(what.to_owned()).or_default() += 1;
                    if library == terrace_path() {
                        ours.push(format!("{title}: {what}: {all}"));
                    }
                }
            }
            let cell: Vec<String> =
                complaints.iter().map(|(what, count)| format!("{count} {what}")).collect();
            cells.push(if cell.is_empty() { "all as expected".into() } else { cell.join(", ") });
        }
        report += &format!("| {number} | {title} | {} | {} | {} |\n", offers.len(), cells[0], cells[1]);
    }
    announce(&report);
    assert!(ours.is_empty(), "{}", ours.join("\n"));
}

/// The number of mutations: one in a hundred, because starting a process is slow.
const MUTATIONS: u64 = 200;

/// Mutations of whole databases, opened, read and compacted: which of them end a process, hang, or take too
/// much memory.
#[test]
fn mutated_databases_beside_leveldb() {
    let bases = bases::all();
    let mut ours = Vec::new();
    let mut cells = Vec::new();
    for library in [google_path(), terrace_path()] {
        let (mut opened, mut ended, mut hung, mut large) = (0, 0, 0, 0);
        for seed in (0..MUTATIONS).map(|number| number * 100) {
            let scratch = scratch();
            let directory = scratch.path().join("db");
            fs::create_dir(&directory).expect("a directory");
            for (name, content) in mutated(&bases, seed) {
                fs::write(directory.join(name), content).expect("a file");
            }
            let story = child(&library, &directory, "open\nscan\nget key 500 20\ncompact\nscan\nclose").run();
            opened += usize::from(story.line("open") == Some("ok"));
            hung += usize::from(story.end == End::Hung);
            ended += usize::from(!matches!(story.end, End::Whole | End::Hung));
            large += usize::from(story.peak_kib > MOST_KIB);
            if library == terrace_path() && (story.end != End::Whole || story.peak_kib > MOST_KIB) {
                ours.push(format!("TERRACE_SEED={seed}: {story:?}"));
            }
        }
        cells.push(format!(
            "{opened} opened, {ended} ended the process, {hung} hung, {large} took too much memory"
        ));
    }
    announce(&format!("of {MUTATIONS} mutations LevelDB: {}\nTerrace: {}", cells[0], cells[1]));
    assert!(ours.is_empty(), "{}", ours.join("\n"));
}

/// Misuse of the C API by a program.
#[test]
fn misuse_of_the_c_api_beside_leveldb() {
    let cases = [
        ("35", "a NULL database", "null"),
        ("36", "a put of 2^32 + 1 bytes that are not there", "open\nhuge put\nclose"),
        ("36", "a batch of such a value", "open\nhuge batch\nclose"),
        ("36", "a get with such a key", "open\nhuge get\nclose"),
    ];
    let mut report = String::from("| case | | LevelDB | Terrace |\n|---|---|---|---|\n");
    for (number, title, script) in cases {
        let ends = [google_path(), terrace_path()].map(|library| {
            let scratch = scratch();
            let directory = scratch.path().join("db");
            child(&library, &directory, &format!("create\n{script}")).run()
        });
        let cells = ends.each_ref().map(|story| match &story.end {
            End::Whole => {
                story.lines.iter().rev().nth(usize::from(script != "null")).cloned().unwrap_or_default()
            }
            End::Crashed(how) => format!("ends the process ({how})"),
            other => format!("{other:?}"),
        });
        report += &format!("| {number} | {title} | {} | {} |\n", cells[0], cells[1]);
        assert_eq!(ends[1].end, End::Whole, "{title}: {:?}", ends[1]);
    }
    announce(&report);
}
