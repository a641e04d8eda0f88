//! Tests of running compactions, on real files.

use super::super::test_support::{NONE_RUNNING, numbers};
use super::*;
use crate::compaction::CompactionReason;
use crate::compaction::context::PickerOptions;
use crate::compaction::inputs::disjoint_runs;
use crate::compaction::picker::expand;
use crate::comparator::bytewise;
use crate::format::internal_key::InternalKeyComparator;
use crate::job::test_support::*;
use crate::version::Version;
use crate::version::key_range::total_bytes;

/// A version of these files by level, and the compaction of all files of `level`.
fn compaction(
    fixture: &JobFixture,
    level: usize,
    files: &[(usize, Vec<Arc<FileMetaData>>)],
    max_file_size: u64,
) -> Compaction {
    let mut levels: [Vec<Arc<FileMetaData>>; 7] = Default::default();
    for (level, of_level) in files {
        levels[*level] = of_level.clone();
    }
    let comparator = InternalKeyComparator::new(bytewise());
    let version = Arc::new(Version::from_levels(levels, comparator, fixture.table_cache.clone()));
    let options = PickerOptions {
        level0_file_num_compaction_trigger: 4,
        max_bytes_for_level_base: 10 << 20,
        max_file_size,
        oldest_snapshot: u64::MAX,
        in_progress: &NONE_RUNNING,
        rewritten_from: u64::MAX,
    };
    let seeds = version.levels[level].to_vec();
    expand::complete(&version, &options, CompactionReason::Size, level, &seeds).unwrap()
}

fn outputs(outcome: &CompactionOutcome) -> Vec<Arc<FileMetaData>> {
    outcome.edit.new_files.iter().map(|(_, file)| file.clone()).collect()
}

fn all_entries(fixture: &JobFixture, files: &[Arc<FileMetaData>]) -> Vec<OwnedEntry> {
    files.iter().flat_map(|file| fixture.entries(file)).collect()
}

/// `count` keys from `first` on, each with a value that does not compress.
fn bulk(first: u64, count: u64, sequence: u64) -> Vec<OwnedEntry> {
    let mut state = first + 1;
    let mut word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{:08x}", state >> 32)
    };
    (first..first + count)
        .map(|i| (format!("{i:08}"), sequence, Some((0..12).map(|_| word()).collect::<String>())))
        .collect()
}

#[test]
fn the_inputs_become_one_sorted_run_of_what_is_still_seen() {
    let fixture = JobFixture::new();
    let older = fixture.table(&[("a", 7, Some("newer")), ("b", 6, Some("b")), ("c", 5, Some("x"))]);
    let newer = fixture.table(&[("a", 9, Some("newest")), ("c", 8, None)]);
    let below = fixture.table(&[("a", 3, Some("old")), ("c", 2, Some("y")), ("d", 1, Some("d"))]);
    let inputs = [newer.number, older.number, below.number];
    let files = [(0, vec![newer, older]), (1, vec![below])];
    let compaction = compaction(&fixture, 0, &files, 2 << 20);

    let outcome = run(&compaction, &fixture.context(&[9])).unwrap();
    let files = outputs(&outcome);
    let expected = [("a", 9, Some("newest")), ("b", 6, Some("b")), ("d", 1, Some("d"))];
    assert_eq!(all_entries(&fixture, &files), owned(&expected));
    assert_eq!(files.len(), 1);
    assert_eq!(outcome.edit.new_files[0].0, 1);
    assert_eq!((files[0].smallest.user_key(), files[0].largest.user_key()), (&b"a"[..], &b"d"[..]));
    assert_eq!(outcome.edit.deleted_files, [(0, inputs[0]), (0, inputs[1]), (1, inputs[2])]);
    let pointers: Vec<_> = outcome.edit.compact_pointers.iter().map(|(l, k)| (*l, k.user_key())).collect();
    assert_eq!(pointers, [(0, &b"c"[..])]);
    assert_eq!(outcome.bytes_written, files[0].file_size);
    assert_eq!(outcome.bytes_read, compaction.input_bytes());
    let done = format!("Compacted 2@0 + 1@1 files => {} bytes", outcome.bytes_written);
    assert_eq!(fixture.log_lines(), ["Compacting 2@0 + 1@1 files", &done]);
}

#[test]
fn a_deletion_goes_only_where_nothing_deeper_holds_its_key() {
    let fixture = JobFixture::new();
    let deletions = fixture.table(&[("a", 9, None), ("m", 8, None), ("z", 7, None)]);
    let deeper = fixture.table(&[("k", 1, Some("v")), ("n", 2, Some("v"))]);
    let files = [(1, vec![deletions]), (4, vec![deeper])];
    let compaction = compaction(&fixture, 1, &files, 2 << 20);
    let outcome = run(&compaction, &fixture.context(&[9])).unwrap();
    assert_eq!(all_entries(&fixture, &outputs(&outcome)), owned(&[("m", 8, None)]));
}

/// Large values are copied in their stored form. Hidden and deleted ones are dropped, and small values are
/// encoded as usual.
#[test]
fn large_values_are_merged_as_small_ones_are() {
    let fixture = JobFixture::new();
    let entry = |i: u64, sequence: u64, small: bool| {
        let noise = &bulk(i * 1000 + sequence, 1, 1)[0].2.clone().expect("a value");
        (format!("{i:04}"), sequence, Some(noise.repeat(if small { 1 } else { 60 + i as usize })))
    };
    let lower: Vec<OwnedEntry> = (0..90).map(|i| entry(i, 1 + i, i % 7 == 0)).collect();
    let upper: Vec<OwnedEntry> = (0..90)
        .step_by(3)
        .map(|i| if i % 5 == 0 { (format!("{i:04}"), 200 + i, None) } else { entry(i, 200 + i, i % 2 == 0) })
        .collect();
    let files = [(1, vec![fixture.table_of(&upper)]), (2, vec![fixture.table_of(&lower)])];
    let outcome = run(&compaction(&fixture, 1, &files, 2 << 20), &fixture.context(&[1000])).unwrap();
    let expected: Vec<OwnedEntry> = (0..90)
        .map(|i| if i % 3 == 0 { upper[i / 3].clone() } else { lower[i].clone() })
        .filter(|(_, _, value)| value.is_some())
        .collect();
    assert!(all_entries(&fixture, &outputs(&outcome)) == expected);
    // The table is as if all entries had been written to it in the first place.
    let written = fixture.table_of(&expected);
    assert_eq!(outputs(&outcome)[0].file_size, written.file_size);
}

#[test]
fn where_nothing_is_left_there_is_no_output() {
    let fixture = JobFixture::new();
    let deletions = fixture.table(&[("a", 9, None)]);
    let below = fixture.table(&[("a", 3, Some("v"))]);
    let numbers = [deletions.number, below.number];
    let files = [(1, vec![deletions]), (2, vec![below])];
    let outcome = run(&compaction(&fixture, 1, &files, 2 << 20), &fixture.context(&[9])).unwrap();
    assert!(outcome.edit.new_files.is_empty());
    assert_eq!(outcome.edit.deleted_files.len(), 2);
    assert_eq!(outcome.bytes_written, 0);
    assert_eq!(fixture.tables_on_disk(), numbers, "the inputs are the installer's to remove");
}

#[test]
fn the_last_level_is_rewritten_in_place() {
    let fixture = JobFixture::new();
    let file = fixture.table(&[("a", 9, None), ("b", 8, Some("v")), ("c", 7, None)]);
    let number = file.number;
    let outcome = run(&compaction(&fixture, 6, &[(6, vec![file])], 2 << 20), &fixture.context(&[9])).unwrap();
    assert_eq!(all_entries(&fixture, &outputs(&outcome)), owned(&[("b", 8, Some("v"))]));
    assert_eq!(outcome.edit.new_files[0].0, 6);
    assert_eq!(outcome.edit.deleted_files, [(6, number)]);
    assert!(outcome.edit.compact_pointers.is_empty());
}

#[test]
fn outputs_are_cut_by_size() {
    let fixture = JobFixture::new();
    let input = bulk(0, 4_000, 1);
    let file = fixture.table_of(&input);
    let total = file.file_size;
    let compaction = compaction(&fixture, 1, &[(1, vec![file])], 100 << 10);
    let outcome = run(&compaction, &fixture.context(&[9])).unwrap();
    let files = outputs(&outcome);
    assert_eq!(all_entries(&fixture, &files), input);
    assert_eq!(files.len() as u64, total.div_ceil(100 << 10), "of {total} bytes");
    for pair in files.windows(2) {
        assert!(pair[0].largest.user_key() < pair[1].smallest.user_key());
        assert!(pair[0].number < pair[1].number);
        assert!((100 << 10..110 << 10).contains(&pair[0].file_size), "{} bytes", pair[0].file_size);
    }
}

#[test]
fn no_user_key_is_split_over_outputs() {
    let fixture = JobFixture::new();
    // Snapshots keep all versions of a key, which take more bytes than an output may have.
    let mut input = bulk(0, 500, 1);
    let versions = bulk(10_000, 2_000, 0);
    input.extend(
        (1..=2_000u64)
            .rev()
            .map(|sequence| (String::from("00000500"), sequence, versions[sequence as usize - 1].2.clone())),
    );
    input.extend(bulk(501, 500, 1));
    let file = fixture.table_of(&input);
    let snapshots: Vec<u64> = (1..=2_000).collect();
    let compaction = compaction(&fixture, 1, &[(1, vec![file])], 20 << 10);
    let outcome = run(&compaction, &fixture.context(&snapshots)).unwrap();
    let files = outputs(&outcome);
    assert_eq!(all_entries(&fixture, &files), input);
    assert!(files.len() >= 5);
    for pair in files.windows(2) {
        assert!(pair[0].largest.user_key() < pair[1].smallest.user_key());
    }
}

#[test]
fn an_output_ends_before_it_overlaps_too_much_of_the_level_behind() {
    let fixture = JobFixture::new();
    let file = fixture.table_of(&bulk(0, 400, 5));
    let grandparents: Vec<_> = (0..40).map(|i| fixture.table_of(&bulk(i * 10, 10, 1)[..9])).collect();
    let size = grandparents[0].file_size;
    let mut compaction = compaction(&fixture, 1, &[(1, vec![file]), (3, grandparents)], 2 << 20);
    compaction.max_grandparent_overlap = 10 * size;
    let outcome = run(&compaction, &fixture.context(&[9])).unwrap();
    let files = outputs(&outcome);
    assert_eq!(files.len(), 4);
    for file in &files {
        let (first, last) = (file.smallest.user_key(), file.largest.user_key());
        let overlap = compaction.version.overlapping_files(3, Some(first), Some(last));
        assert!(total_bytes(&overlap) <= 12 * size, "{}", overlap.len());
    }
}

#[test]
fn the_parts_of_a_compaction_make_the_whole() {
    let fixture = JobFixture::new();
    let newer = fixture.table_of(&bulk(100, 300, 7));
    let older = fixture.table_of(&bulk(0, 1_000, 3));
    let files = [(1, vec![newer]), (2, vec![older])];
    let compaction = compaction(&fixture, 1, &files, 2 << 20);
    let context = fixture.context(&[9]);
    let whole = all_entries(&fixture, &outputs(&run(&compaction, &context).unwrap()));
    assert_eq!(whole.len(), 1_000);

    let boundaries = [b"00000100", b"00000250", b"00000999"].map(|key: &[u8; 8]| &key[..]);
    let begins = std::iter::once(None).chain(boundaries.map(Some));
    let ends = boundaries.map(Some).into_iter().chain([None]);
    let mut parts = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = begins
            .zip(ends)
            .map(|(begin, end)| {
                let (compaction, context, fixture) = (&compaction, &context, &fixture);
                scope.spawn(move || {
                    let mut pending = PendingTables::new(context);
                    let outputs = Outputs::new(compaction, context, &mut pending, None);
                    let files =
                        merge_part(outputs, KeyRange { begin, end }, &AtomicBool::new(false)).unwrap();
                    all_entries(fixture, &files)
                })
            })
            .collect();
        parts.extend(threads.into_iter().flat_map(|thread| thread.join().unwrap()));
    });
    assert_eq!(parts, whole);
}

#[test]
fn a_large_compaction_is_merged_in_parts_and_a_small_one_is_not() {
    let fixture = JobFixture::new();
    let newer = fixture.table_of(&bulk(1_000, 3_000, 7));
    let older = fixture.table_of(&bulk(0, 10_000, 3));
    let bytes = newer.file_size + older.file_size;
    let files = [(1, vec![newer]), (2, vec![older])];
    let run_with = |max_subcompactions, max_file_size| {
        let compaction = compaction(&fixture, 1, &files, max_file_size);
        let context = JobContext { max_subcompactions, ..fixture.context(&[9]) };
        let boundaries = subcompaction::boundaries(&compaction, &context);
        let outputs = outputs(&run(&compaction, &context).unwrap());
        for pair in outputs.windows(2) {
            assert!(pair[0].largest.user_key() < pair[1].smallest.user_key());
        }
        (boundaries, all_entries(&fixture, &outputs))
    };
    let (boundaries, whole) = run_with(1, bytes / 20);
    assert!(boundaries.is_empty() && whole.len() == 10_000);
    let (boundaries, merged) = run_with(4, bytes / 20);
    assert_eq!((boundaries.len(), &merged), (3, &whole));
    // Each subcompaction gets a quarter of the 13,000 entries: 3,250 are before key 2,125, and twice as many
    // before 3,750.
    for (boundary, expected) in boundaries.iter().zip([2_125, 3_750, 6_750]) {
        let boundary: u64 = std::str::from_utf8(boundary).unwrap().parse().unwrap();
        assert!(boundary.abs_diff(expected) < 300, "{boundary}, not about {expected}");
    }
    let (boundaries, merged) = run_with(4, bytes / 5);
    assert_eq!((boundaries.len(), &merged), (1, &whole), "five outputs make two parts of at least two");
    let (boundaries, merged) = run_with(4, bytes);
    assert_eq!((boundaries.len(), &merged), (0, &whole));
}

#[test]
fn where_one_part_fails_nothing_is_left_of_any() {
    let fixture = JobFixture::new();
    let file = fixture.table_of(&bulk(0, 10_000, 1));
    let compaction = compaction(&fixture, 1, &[(1, vec![file])], 20 << 10);
    let context = JobContext { max_subcompactions: 4, ..fixture.context(&[9]) };
    assert_eq!(subcompaction::boundaries(&compaction, &context).len(), 3);
    fixture.failing_env.creations_left.store(7, Ordering::Relaxed);
    let error = run(&compaction, &context).err().unwrap();
    assert!(error.is_no_space(), "{error}");
    assert_eq!(fixture.tables_on_disk(), numbers(&compaction.inputs[0]));
    assert_eq!(fixture.failing_env.directory_syncs.load(Ordering::Relaxed), 0);
}

#[test]
fn a_damaged_input_fails_the_job_and_leaves_no_output() {
    let fixture = JobFixture::new();
    let file = fixture.table_of(&bulk(0, 4_000, 1));
    let number = file.number;
    let path = fixture.table_path(number);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() * 3 / 4;
    bytes[middle] ^= 1;
    fixture.table_cache.evict(number);
    std::fs::write(&path, bytes).unwrap();
    let file =
        Arc::new(FileMetaData::new(number, file.file_size, file.smallest.clone(), file.largest.clone()));

    let compaction = compaction(&fixture, 1, &[(1, vec![file])], 50 << 10);
    let error = run(&compaction, &fixture.context(&[9])).err().unwrap();
    assert!(error.is_corruption(), "{error}");
    assert!(error.message().starts_with("compaction of level 1: "), "{error}");
    assert!(fixture.next_file_number.load(Ordering::Relaxed) > number + 2, "outputs were begun");
    assert_eq!(fixture.tables_on_disk(), [number]);
    assert!(fixture.log_lines()[1].ends_with(&format!("(inputs: #{number})")));
}

#[test]
fn a_full_disk_fails_the_job_and_gets_its_outputs_back() {
    let fixture = JobFixture::new();
    let file = fixture.table_of(&bulk(0, 4_000, 1));
    let compaction = compaction(&fixture, 1, &[(1, vec![file])], 50 << 10);
    fixture.failing_env.creations_left.store(2, Ordering::Relaxed);
    let error = run(&compaction, &fixture.context(&[9])).err().unwrap();
    assert!(error.is_no_space(), "{error}");
    assert_eq!(fixture.tables_on_disk(), numbers(&compaction.inputs[0]));
    // When there is space again, the same compaction succeeds.
    fixture.failing_env.creations_left.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(
        all_entries(&fixture, &outputs(&run(&compaction, &fixture.context(&[9])).unwrap())).len(),
        4_000
    );
}

#[test]
fn the_directory_is_synced_once_and_without_that_there_are_no_outputs() {
    let fixture = JobFixture::new();
    let file = fixture.table_of(&bulk(0, 4_000, 1));
    let compaction = compaction(&fixture, 1, &[(1, vec![file])], 50 << 10);
    fixture.failing_env.fails_to_sync_directory.store(true, Ordering::Relaxed);
    assert!(run(&compaction, &fixture.context(&[9])).is_err());
    assert_eq!(fixture.tables_on_disk(), numbers(&compaction.inputs[0]));
    fixture.failing_env.fails_to_sync_directory.store(false, Ordering::Relaxed);
    assert!(outputs(&run(&compaction, &fixture.context(&[9])).unwrap()).len() > 2);
    assert_eq!(fixture.failing_env.directory_syncs.load(Ordering::Relaxed), 2);
}

#[test]
fn a_missing_input_fails_the_job() {
    let fixture = JobFixture::new();
    let file = fixture.table(&[("a", 1, Some("v"))]);
    let (number, size) = (file.number, file.file_size);
    let (smallest, largest) = (file.smallest.clone(), file.largest.clone());
    drop(file);
    fixture.table_cache.evict(number);
    std::fs::remove_file(fixture.table_path(number)).unwrap();
    let file = Arc::new(FileMetaData::new(number, size, smallest, largest));
    for level in [0, 1] {
        let compaction = compaction(&fixture, level, &[(level, vec![file.clone()])], 2 << 20);
        assert!(run(&compaction, &fixture.context(&[9])).is_err());
        assert!(fixture.tables_on_disk().is_empty());
    }
}

#[test]
fn closing_the_database_stops_the_job_and_removes_its_outputs() {
    let fixture = JobFixture::new();
    let file = fixture.table_of(&bulk(0, 4_000, 1));
    let compaction = compaction(&fixture, 1, &[(1, vec![file])], 2 << 20);
    fixture.shutting_down.store(true, Ordering::Release);
    let error = run(&compaction, &fixture.context(&[9])).err().unwrap();
    assert_eq!(error.to_string(), "IO error: compaction of level 1: database is closing");
    assert_eq!(fixture.tables_on_disk(), numbers(&compaction.inputs[0]));
}

#[test]
fn files_of_level_0_that_do_not_overlap_are_read_one_after_another() {
    let fixture = JobFixture::new();
    let table = |smallest: &'static str, largest: &'static str, sequence| {
        fixture.table(&[(smallest, sequence, Some("v")), (largest, sequence, Some("v"))])
    };
    let files =
        [table("a", "f", 9), table("k", "m", 8), table("c", "h", 7), table("h", "z", 6), table("g", "i", 5)];
    let comparator = InternalKeyComparator::new(bytewise());
    let runs: Vec<_> = disjoint_runs(&comparator, &files).iter().map(|run| numbers(run)).collect();
    let number = |i: usize| files[i].number;
    // h@7, where one file ends, is before h@6, where the other begins.
    assert_eq!(runs, [[0, 4, 1].map(number).to_vec(), [2, 3].map(number).to_vec()]);
}

#[test]
fn versions_of_a_key_that_is_too_long_for_one_index_go_to_neighbouring_tables() {
    let mut fixture = JobFixture::with_table_options(|options| options.max_meta_block_size = 20_000);
    fixture.paranoid_checks = false;
    let key = "k".repeat(5000);
    let entries: Vec<OwnedEntry> =
        (1..=30).rev().map(|sequence| (key.clone(), sequence, Some(format!("{sequence}")))).collect();
    let tables = entries.chunks(2).map(|entries| fixture.table_of(entries)).collect();
    let compaction = compaction(&fixture, 0, &[(0, tables)], 2 << 20);
    let snapshots: Vec<u64> = (1..=30).collect();
    let outcome = run(&compaction, &fixture.context(&snapshots)).unwrap();
    let files = outputs(&outcome);
    assert!(files.len() > 5 && files.len() < 30, "{} tables", files.len());
    assert_eq!(all_entries(&fixture, &files), entries);
}
