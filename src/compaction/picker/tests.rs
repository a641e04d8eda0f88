//! Tests of the choice of compactions, over versions made by hand.

use super::*;
use crate::compaction::in_progress::CompactionsInProgress;
use crate::compaction::test_support::*;
use crate::format::internal_key::MAX_SEQUENCE;
use crate::format::internal_key::ValueType;
use crate::table::properties::TableProperties;

mod interleaving;
mod manual;

const NO_POINTERS: [Option<InternalKey>; NUM_LEVELS] = [const { None }; NUM_LEVELS];

/// The numbers of the inputs of the level, and of the output level.
pub(super) fn inputs_of(compaction: &Compaction) -> (Vec<u64>, Vec<u64>) {
    (numbers(&compaction.inputs[0]), numbers(&compaction.inputs[1]))
}

fn pick(version: &Arc<Version>) -> Option<Compaction> {
    pick_size(version, &OPTIONS, &NO_POINTERS)
}

fn mark(version: &Version, number: u64) {
    let mut files = version.levels.iter().flat_map(|files| files.iter());
    let file = files.find(|file| file.number == number).unwrap();
    file.set_being_compacted(true);
}

// Scores.

#[test]
fn level_0_is_due_by_its_number_of_files_and_deeper_levels_by_bytes() {
    let version = version(&[
        (0, vec![file(2, "a", "z"), file(1, "a", "z")]),
        (1, vec![sized_file(3, "a", "b", 15 * MB)]),
        (2, vec![sized_file(4, "a", "b", 150 * MB)]),
        (3, vec![sized_file(5, "a", "b", 500 * MB)]),
        (6, vec![sized_file(6, "a", "b", u64::MAX)]),
    ]);
    let scores: Vec<f64> = (0..NUM_LEVELS).map(|level| score(&version, level, &OPTIONS)).collect();
    assert_eq!(scores, [0.5, 1.5, 1.5, 0.5, 0.0, 0.0, 0.0]);
    assert!(needs_compaction(&version, &OPTIONS));
}

#[test]
fn files_being_compacted_do_not_count() {
    let version = version(&[
        (0, vec![file(5, "a", "z"), file(4, "a", "z"), file(3, "a", "z"), file(2, "a", "z")]),
        (1, vec![sized_file(10, "a", "b", 9 * MB), sized_file(11, "c", "d", 9 * MB)]),
    ]);
    assert!(needs_compaction(&version, &OPTIONS));
    mark(&version, 4);
    mark(&version, 11);
    assert_eq!(score(&version, 0, &OPTIONS), 0.0, "level 0 is compacted once at a time");
    assert_eq!(score(&version, 1, &OPTIONS), 0.9);
    assert!(!needs_compaction(&version, &OPTIONS));
}

#[test]
fn false_file_sizes_do_not_overflow() {
    let huge = |number, smallest, largest| sized_file(number, smallest, largest, u64::MAX);
    let version = version(&[
        (1, vec![huge(1, "a", "b"), huge(2, "c", "d")]),
        (2, vec![huge(3, "a", "b"), huge(4, "c", "d")]),
        (3, vec![huge(5, "a", "b"), huge(6, "c", "d")]),
    ]);
    let compaction = pick(&version).unwrap();
    assert_eq!(compaction.input_bytes(), u64::MAX);
    assert!(!compaction.is_trivial_move());
    assert!(matches!(pick_manual(&version, &OPTIONS, 1, None, None), ManualPick::Run { .. }));
}

// Which level, which file.

#[test]
fn an_empty_version_has_nothing_to_do() {
    let version = version(&[]);
    assert!(pick(&version).is_none());
    assert!(matches!(pick_manual(&version, &OPTIONS, 0, None, None), ManualPick::Done));
    assert!(matches!(pick_manual(&version, &OPTIONS, 6, None, None), ManualPick::Done));
}

#[test]
fn the_level_of_the_highest_score_is_first_and_the_next_one_where_it_is_busy() {
    let version = version(&[
        (1, vec![sized_file(1, "a", "b", 20 * MB)]),
        (2, vec![sized_file(2, "a", "c", 300 * MB)]),
        (3, vec![file(3, "a", "b")]),
    ]);
    assert_eq!(inputs_of(&pick(&version).unwrap()), (vec![2], vec![3]));
    mark(&version, 3);
    assert_eq!(inputs_of(&pick(&version).unwrap()), (vec![1], vec![2]));
}

#[test]
fn a_level_is_compacted_round_robin() {
    let version = version(&[(
        1,
        vec![
            sized_file(1, "a", "c", 4 * MB),
            sized_file(2, "d", "f", 4 * MB),
            sized_file(3, "g", "i", 4 * MB),
        ],
    )]);
    let mut pointers = NO_POINTERS;
    let mut picked = Vec::new();
    for _ in 0..4 {
        let compaction = pick_size(&version, &OPTIONS, &pointers).unwrap();
        picked.extend(numbers(&compaction.inputs[0]));
        pointers[1] = compaction.compact_pointer;
        assert!(pointers[1].is_some());
    }
    assert_eq!(picked, [1, 2, 3, 1]);
    let version = super::super::test_support::version(&[(
        1,
        vec![
            sized_file(1, "a", "c", 9 * MB),
            sized_file(2, "d", "f", 9 * MB),
            sized_file(3, "g", "i", 9 * MB),
        ],
    )]);
    mark(&version, 2);
    pointers[1] = Some(key("c"));
    assert_eq!(inputs_of(&pick_size(&version, &OPTIONS, &pointers).unwrap()).0, [3]);
}

#[test]
fn a_level_gives_away_at_once_all_that_it_has_too_much_of() {
    let level1 = |bytes| -> Vec<Arc<FileMetaData>> {
        (1..=8).map(|i| sized_file(i, &format!("{i}0"), &format!("{i}9"), bytes)).collect()
    };
    let level2 = || -> Vec<Arc<FileMetaData>> {
        (1..=8).map(|i| sized_file(10 + i, &format!("{i}5"), &format!("{i}6"), 2 * MB)).collect()
    };
    let mut pointers = NO_POINTERS;
    pointers[1] = Some(key("29"));
    // 16 MB where 10 are allowed: 6 MB, from the third file on.
    let version = version(&[(1, level1(2 * MB)), (2, level2())]);
    let compaction = pick_size(&version, &OPTIONS, &pointers).unwrap();
    assert_eq!(inputs_of(&compaction), (vec![3, 4, 5], vec![13, 14, 15]));
    assert_eq!(compaction.compact_pointer.unwrap().user_key(), b"59");
    // Not beyond a file that another compaction reads...
    mark(&version, 5);
    assert_eq!(inputs_of(&pick_size(&version, &OPTIONS, &pointers).unwrap()).0, [3, 4]);
    let version = super::super::test_support::version(&[(1, level1(11 * MB)), (2, level2())]);
    // ... nor beyond 50 MB...
    assert_eq!(inputs_of(&pick_size(&version, &OPTIONS, &pointers).unwrap()).0, [3, 4, 5]);
    // ... and not if one file can simply be moved.
    let version = super::super::test_support::version(&[(1, level1(2 * MB))]);
    let compaction = pick_size(&version, &OPTIONS, &pointers).unwrap();
    assert_eq!(inputs_of(&compaction).0, [3]);
    assert!(compaction.is_trivial_move());
}

#[test]
fn level_0_takes_all_overlapping_files_transitively() {
    let version = version(&[
        (
            0,
            vec![
                file(5, "s", "t"),
                file(4, "c", "f"),
                file(3, "e", "h"),
                file(2, "a", "c"),
                file(1, "x", "z"),
            ],
        ),
        (1, vec![file(10, "b", "d"), file(11, "g", "g"), file(12, "i", "k"), file(13, "y", "y")]),
    ]);
    assert_eq!(inputs_of(&pick(&version).unwrap()), (vec![4, 3, 2], vec![10, 11]));
}

#[test]
fn level_0_is_not_compacted_twice_at_once() {
    let files: Vec<_> = (0..5).map(|i| file(9 - i, &format!("{i}0"), &format!("{i}9"))).collect();
    let version = version(&[(0, files)]);
    mark(&version, 5);
    assert!(pick(&version).is_none());
    assert!(pick_seek(&version, &OPTIONS, 0, &version.levels[0][0]).is_none());
    assert!(matches!(pick_manual(&version, &OPTIONS, 0, None, None), ManualPick::Busy));
}

// Which files take part.

#[test]
fn files_that_share_a_boundary_user_key_go_together() {
    // Old directories have versions of one user key split over files: k at the level, and m, p, q and rs at
    // the next.
    let version = version(&[
        (
            1,
            vec![
                sized_file(1, "a", "k@9", 9 * MB),
                sized_file(2, "k@8", "k@3", 9 * MB),
                sized_file(3, "k@2", "l", 9 * MB),
                sized_file(4, "s", "t", 9 * MB),
            ],
        ),
        (
            2,
            vec![
                file(10, "b", "m@9"),
                file(11, "m@8", "p@9"),
                file(12, "p@8", "q@9"),
                file(13, "q@8", "r"),
                file(14, "rr", "rs@9"),
                file(15, "rs@8", "s"),
            ],
        ),
    ]);
    for seed in [1, 2, 3] {
        let compaction = compaction_of(&version, 1, &[seed]);
        assert_eq!(inputs_of(&compaction), (vec![1, 2, 3], vec![10, 11, 12, 13]), "from {seed}");
    }
    assert_eq!(inputs_of(&compaction_of(&version, 1, &[4])), (vec![4], vec![14, 15]));
}

#[test]
fn inputs_grow_where_that_adds_nothing_at_the_output_level() {
    let level2 = vec![file(10, "b", "h"), file(11, "j", "k")];
    // Files 1 and 2 are covered by file 10, file 3 is not.
    let version =
        version(&[(1, vec![file(1, "c", "d"), file(2, "e", "f"), file(3, "g", "i")]), (2, level2.clone())]);
    assert_eq!(inputs_of(&compaction_of(&version, 1, &[1])), (vec![1, 2, 3], vec![10]));
    let version = super::super::test_support::version(&[
        (1, vec![file(1, "c", "d"), file(2, "e", "f"), file(3, "g", "j")]),
        (2, level2),
    ]);
    assert_eq!(inputs_of(&compaction_of(&version, 1, &[1])), (vec![1], vec![10]), "3 would add 11");
}

#[test]
fn inputs_do_not_grow_beyond_25_outputs() {
    let with_output_level_file = |bytes| {
        version(&[
            (1, vec![sized_file(1, "c", "d", 10 * MB), sized_file(2, "e", "f", 10 * MB)]),
            (2, vec![sized_file(10, "b", "h", bytes)]),
        ])
    };
    assert_eq!(inputs_of(&compaction_of(&with_output_level_file(30 * MB), 1, &[1])).0, [1, 2]);
    assert_eq!(inputs_of(&compaction_of(&with_output_level_file(30 * MB + 1), 1, &[1])).0, [1]);
}

#[test]
fn inputs_do_not_grow_into_another_compaction() {
    let version = version(&[(1, vec![file(1, "c", "d"), file(2, "e", "f")]), (2, vec![file(10, "b", "h")])]);
    mark(&version, 2);
    assert_eq!(inputs_of(&compaction_of(&version, 1, &[1])).0, [1]);
}

#[test]
fn grandparents_are_what_the_inputs_overlap_two_levels_down() {
    let version = version(&[
        (1, vec![file(1, "d", "e")]),
        (2, vec![file(2, "c", "h")]),
        (3, vec![file(3, "a", "b"), file(4, "bb", "c"), file(5, "f", "g"), file(6, "i", "j")]),
    ]);
    let compaction = compaction_of(&version, 1, &[1]);
    assert_eq!(numbers(&compaction.grandparents), [4, 5]);
    assert_eq!(compaction.output_range(), (&b"c"[..], &b"h"[..]));
    assert_eq!((compaction.num_input_files(), compaction.input_bytes()), (2, 2 * MB));
}

#[test]
fn nothing_is_picked_whose_output_level_files_are_busy() {
    let version = version(&[(1, vec![sized_file(1, "a", "c", 20 * MB)]), (2, vec![file(2, "b", "d")])]);
    mark(&version, 2);
    assert!(pick(&version).is_none());
    assert!(pick_seek(&version, &OPTIONS, 1, &version.levels[1][0]).is_none());
    assert!(matches!(pick_manual(&version, &OPTIONS, 1, None, None), ManualPick::Busy));
}

#[test]
fn nothing_is_picked_that_would_write_into_the_range_of_a_running_compaction() {
    // A compaction merges [a, c] and [x, z] into one output; then [d, e] came into the gap.
    let before = version(&[(1, vec![file(1, "a", "c"), file(2, "x", "z")])]);
    let mut in_progress = CompactionsInProgress::new();
    let first = compaction_of(&before, 1, &[1, 2]);
    in_progress.add(&first);
    let mut files = before.levels[1].to_vec();
    files.insert(1, sized_file(3, "d", "e", 20 * MB));
    let now = version(&[(1, files)]);

    let options = PickerOptions { in_progress: &in_progress, ..OPTIONS };
    assert!(pick_size(&now, &options, &NO_POINTERS).is_none());
    assert!(pick_seek(&now, &options, 1, &now.levels[1][1]).is_none());
    let order = &now.comparator;
    assert!(in_progress.overlaps(order, 2, b"d", b"e"));
    assert!(in_progress.overlaps(order, 2, b"z", b"zz") && in_progress.overlaps(order, 2, b"", b"a"));
    assert!(!in_progress.overlaps(order, 2, b"zz", b"zzz") && !in_progress.overlaps(order, 1, b"d", b"e"));

    in_progress.remove(&first);
    assert!(in_progress.is_empty() && !before.levels[1][0].is_being_compacted());
    let options = PickerOptions { in_progress: &in_progress, ..OPTIONS };
    let third = &now.levels[1][1];
    assert_eq!(inputs_of(&pick_seek(&now, &options, 1, third).unwrap()).0, [3]);
}

#[test]
fn a_flush_is_not_placed_below_or_beside_the_output_of_a_running_compaction() {
    let version = version(&[(0, vec![file(1, "d", "f")]), (1, vec![file(2, "p", "r")])]);
    let mut in_progress = CompactionsInProgress::new();
    let order = &version.comparator;
    assert_eq!(in_progress.level_for_flush(order, 2, b"e", b"e"), 2);
    in_progress.add(&compaction_of(&version, 1, &[2]));
    assert_eq!(in_progress.level_for_flush(order, 2, b"q", b"q"), 1);
    in_progress.add(&compaction_of(&version, 0, &[1]));
    assert_eq!(in_progress.len(), 2);
    assert_eq!(in_progress.level_for_flush(order, 2, b"e", b"e"), 0);
    assert_eq!(in_progress.level_for_flush(order, 2, b"g", b"o"), 2);
    assert_eq!(in_progress.level_for_flush(order, 0, b"g", b"o"), 0);
}

// Moves.

#[test]
fn one_file_that_meets_nothing_is_moved() {
    let version = version(&[
        (1, vec![sized_file(1, "a", "c", 20 * MB)]),
        (2, vec![file(2, "d", "e")]),
        (3, vec![sized_file(3, "a", "c", 20 * MB)]),
    ]);
    let compaction = pick(&version).unwrap();
    assert!(compaction.is_trivial_move());
    assert_eq!(compaction.output_level, 2);
    let manual = Compaction { reason: CompactionReason::Manual, ..compaction.clone() };
    assert!(!manual.is_trivial_move(), "the user asked for work to be done");
}

#[test]
fn a_file_is_not_moved_over_too_many_grandparents() {
    let version = version(&[
        (1, vec![sized_file(1, "a", "c", 20 * MB)]),
        (3, vec![sized_file(3, "a", "b", 10 * MB), sized_file(4, "c", "d", 10 * MB + 1)]),
    ]);
    assert!(!pick(&version).unwrap().is_trivial_move());
}

#[test]
fn files_that_share_a_user_key_are_not_moved_apart() {
    let version = version(&[(1, vec![file(1, "a", "c@9"), file(2, "c@8", "d")])]);
    let compaction = compaction_of(&version, 1, &[1]);
    assert_eq!(inputs_of(&compaction).0, [1, 2]);
    assert!(!compaction.is_trivial_move());
}

// Tombstones.

#[test]
fn a_file_full_of_deletions_makes_its_level_due_and_is_first() {
    for level in 0..NUM_LEVELS {
        let version = version(&[(
            level,
            vec![
                file_with_deletions(1, "a", "b", 4_000, 900),
                file_with_deletions(2, "c", "d", 6_000, 900),
                file(3, "e", "f"),
            ],
        )]);
        assert_eq!(score(&version, level, &OPTIONS), 1.0, "level {level}");
        let compaction = pick(&version).unwrap();
        assert_eq!(inputs_of(&compaction), (vec![2], vec![]), "level {level}");
        assert_eq!(compaction.output_level, (level + 1).min(6));
        assert!(!compaction.is_trivial_move() && compaction.drops_deletions);
        assert!(compaction.compact_pointer.is_none(), "the round goes on where it was");
    }
}

/// A file of 10,000 entries, 100 bytes each.
fn full_file(number: u64, smallest: &str, largest: &str) -> Arc<FileMetaData> {
    let properties = TableProperties { num_entries: 10_000, largest_sequence: 5, ..Default::default() };
    Arc::new(FileMetaData::with_properties(number, 1_000_000, key(smallest), key(largest), properties))
}

#[test]
fn a_file_full_of_deletions_waits_where_it_gives_back_less_than_half_of_what_is_read() {
    let over = |below: usize| {
        let full =
            (0..below).map(|i| full_file(10 + i as u64, &format!("b{i}"), &format!("b{i}z"))).collect();
        version(&[(1, vec![file_with_deletions(1, "a", "c", 6_000, 900)]), (2, full)])
    };
    // 0.6 MB of its own and 0.6 MB that it hides, of 1 MB and the files of the next level.
    assert_eq!(inputs_of(&pick(&over(1)).unwrap()), (vec![1], vec![10]));
    assert!(!needs_compaction(&over(2), &OPTIONS));
    assert!(pick(&over(2)).is_none());
}

#[test]
fn deletions_that_a_snapshot_holds_are_not_rewritten_in_vain() {
    let version = version(&[(6, vec![file_with_deletions(1, "a", "b", 9_000, 900)])]);
    let options = PickerOptions { oldest_snapshot: 899, ..OPTIONS };
    assert!(!needs_compaction(&version, &options));
    assert!(pick_size(&version, &options, &NO_POINTERS).is_none());
    let options = PickerOptions { oldest_snapshot: 900, ..OPTIONS };
    assert!(pick_size(&version, &options, &NO_POINTERS).is_some());
}

#[test]
fn few_or_unknown_deletions_make_nothing_due() {
    let few = TableProperties {
        num_entries: 100,
        num_deletions: 100,
        raw_key_size: 2_400,
        largest_sequence: 900,
        ..TableProperties::default()
    };
    let unknown_sequence = TableProperties { raw_key_size: 24_000, largest_sequence: 0, ..few.clone() };
    for properties in [few, unknown_sequence] {
        let file = FileMetaData::with_properties(1, MB, key("a"), key("b"), properties);
        let version = version(&[(2, vec![Arc::new(file)])]);
        assert!(!needs_compaction(&version, &OPTIONS));
    }
}

#[test]
fn a_level_due_for_deletions_alone_compacts_no_other_file() {
    let version = version(&[(
        2,
        vec![file(1, "a", "b"), file_with_deletions(2, "c", "d", 9_000, 900), file(3, "e", "f")],
    )]);
    let mut in_progress = CompactionsInProgress::new();
    in_progress.add(&pick(&version).unwrap());
    let options = PickerOptions { in_progress: &in_progress, ..OPTIONS };
    assert!(!needs_compaction(&version, &options));
    assert!(pick_size(&version, &options, &NO_POINTERS).is_none());
}

// Seeks.

#[test]
fn a_file_read_in_vain_is_compacted_while_it_is_there() {
    let version =
        version(&[(2, vec![file(1, "a", "c")]), (3, vec![file(2, "b", "d")]), (6, vec![file(3, "a", "z")])]);
    let compaction = pick_seek(&version, &OPTIONS, 2, &version.levels[2][0]).unwrap();
    assert_eq!(inputs_of(&compaction), (vec![1], vec![2]));
    assert_eq!(compaction.reason, CompactionReason::Seek);
    assert!(pick_seek(&version, &OPTIONS, 2, &file(77, "a", "c")).is_none(), "it is gone");
    assert!(pick_seek(&version, &OPTIONS, 6, &version.levels[6][0]).is_none(), "nothing is deeper");
}

#[test]
fn neighbours_that_are_nearly_read_in_vain_too_often_go_along() {
    let files = |level: u64, size: u64| {
        let file = |i| sized_file(level * 10 + i, &format!("{i}a"), &format!("{i}z"), size);
        (level as usize, (0..6).map(file).collect::<Vec<_>>())
    };
    let worn = |numbers: &[u64], size: u64| {
        let version = version(&[files(1, size), files(2, size)]);
        for file in version.levels[1].iter().filter(|file| numbers.contains(&file.number)) {
            let half = (size / (16 << 10)).max(100) / 2;
            for _ in 0..half {
                file.charge_seek();
            }
        }
        inputs_of(&pick_seek(&version, &OPTIONS, 1, &version.levels[1][2]).unwrap())
    };
    assert_eq!(worn(&[], MB), (vec![12], vec![22]));
    assert_eq!(worn(&[13, 15], MB), (vec![12, 13], vec![22, 23]));
    assert_eq!(worn(&[10, 11, 13, 14, 15], MB).0, [10, 11, 12, 13, 14, 15]);
    // At most 25 outputs of 2 MiB, both levels together.
    assert_eq!(worn(&[10, 11, 13, 14, 15], 8 * MB).0, [12, 13, 14]);
}

// Manual compactions.

pub(super) fn run(pick: ManualPick) -> (Compaction, Option<InternalKey>) {
    match pick {
        ManualPick::Run { compaction, next_begin } => (*compaction, next_begin),
        ManualPick::Done => panic!("done"),
        ManualPick::Busy => panic!("busy"),
    }
}

fn seek_key(user: &str) -> InternalKey {
    InternalKey::new(user.as_bytes(), MAX_SEQUENCE, ValueType::Value)
}

#[test]
fn a_manual_compaction_takes_its_range_and_no_more() {
    let version = version(&[
        (0, vec![file(4, "p", "r"), file(3, "c", "e"), file(2, "d", "g"), file(1, "x", "z")]),
        (3, vec![file(5, "a", "c"), file(6, "d", "e"), file(7, "f", "g"), file(8, "h", "i")]),
    ]);
    let (compaction, next) = run(pick_manual(&version, &OPTIONS, 0, Some(&seek_key("f")), Some(b"g")));
    assert_eq!(inputs_of(&compaction).0, [3, 2]);
    assert!(next.is_none());
    let (compaction, next) = run(pick_manual(&version, &OPTIONS, 3, Some(&seek_key("e")), Some(b"f")));
    assert_eq!(inputs_of(&compaction).0, [6, 7]);
    assert!(next.is_none());
    assert_eq!(compaction.reason, CompactionReason::Manual);
    for (begin, end) in [("ga", "gz"), ("j", "z")] {
        let pick = pick_manual(&version, &OPTIONS, 3, Some(&seek_key(begin)), Some(end.as_bytes()));
        assert!(matches!(pick, ManualPick::Done), "{begin}..{end}");
    }
    let (compaction, _) = run(pick_manual(&version, &OPTIONS, 3, None, None));
    assert_eq!(inputs_of(&compaction).0, [5, 6, 7, 8]);
}

#[test]
fn a_manual_compaction_of_a_deep_level_goes_piece_by_piece() {
    // Each file of level 1 overlaps 18 MB at level 2: two of them are within 50 MB.
    let tenths = |number: u64, bytes| -> Vec<Arc<FileMetaData>> {
        (0..5).map(|i| sized_file(number + i, &format!("{i}0"), &format!("{i}9"), bytes)).collect()
    };
    let version = version(&[(1, tenths(10, 2 * MB)), (2, tenths(20, 18 * MB))]);
    let mut begin = None;
    let mut pieces = Vec::new();
    loop {
        let (compaction, next) = run(pick_manual(&version, &OPTIONS, 1, begin.as_ref(), None));
        pieces.push(inputs_of(&compaction));
        begin = next;
        if begin.is_none() {
            break;
        }
    }
    assert_eq!(pieces, [(vec![10, 11], vec![20, 21]), (vec![12, 13], vec![22, 23]), (vec![14], vec![24])]);
}

#[test]
fn a_manual_compaction_rewrites_the_last_level_in_place() {
    let version = version(&[(
        6,
        (0..40).map(|i| sized_file(i + 1, &format!("{i:02}0"), &format!("{i:02}9"), 2 * MB)).collect(),
    )]);
    let (compaction, next) = run(pick_manual(&version, &OPTIONS, 6, None, None));
    assert_eq!((compaction.level, compaction.output_level), (6, 6));
    assert_eq!(compaction.inputs[0].len(), 25);
    assert!(compaction.inputs[1].is_empty() && compaction.grandparents.is_empty());
    assert!(!compaction.is_trivial_move() && compaction.compact_pointer.is_none());
    let (compaction, next) = run(pick_manual(&version, &OPTIONS, 6, next.as_ref(), None));
    assert_eq!((compaction.inputs[0].len(), compaction.inputs[0][0].number), (15, 26));
    assert!(next.is_none());
}

#[test]
fn a_piece_of_a_manual_compaction_holds_whole_user_keys() {
    let version = version(&[(
        2,
        vec![
            sized_file(1, "a", "c@9", 30 * MB),
            sized_file(2, "c@8", "c@2", 30 * MB),
            sized_file(3, "c@1", "d", 30 * MB),
            sized_file(4, "e", "f", 30 * MB),
        ],
    )]);
    let (compaction, next) = run(pick_manual(&version, &OPTIONS, 2, None, None));
    assert_eq!(inputs_of(&compaction).0, [1, 2, 3]);
    let (compaction, next) = run(pick_manual(&version, &OPTIONS, 2, next.as_ref(), None));
    assert_eq!(inputs_of(&compaction).0, [4]);
    assert!(next.is_none());
}

#[test]
fn an_idle_compaction_rewrites_no_more_than_four_times_what_it_merges() {
    let with = |upper: u64, lower: u64| {
        let version = version(&[
            (0, vec![sized_file(9, "a", "m", upper)]),
            (1, vec![sized_file(3, "a", "c", lower / 2), sized_file(4, "d", "z", lower / 2)]),
        ]);
        pick_idle(&version, &OPTIONS).map(|compaction| compaction.num_input_files())
    };
    assert_eq!(with(MB, 4 * MB), Some(3));
    assert_eq!(with(MB, 5 * MB), None);
    assert_eq!(with(0, 0), Some(3));
    assert!(pick_idle(&version(&[(1, vec![file(3, "a", "c")])]), &OPTIONS).is_none());
    let busy = version(&[(0, vec![file(9, "a", "m")])]);
    mark(&busy, 9);
    assert!(pick_idle(&busy, &OPTIONS).is_none());
}
