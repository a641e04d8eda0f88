//! Manual compactions over several levels: which files take part, and which are moved.

use super::{inputs_of, run};
use crate::compaction::in_progress::CompactionsInProgress;
use crate::compaction::picker::*;
use crate::compaction::test_support::*;

#[test]
fn a_piece_that_goes_on_to_level_2_takes_what_it_meets_on_the_way() {
    let levels = |third: Vec<Arc<FileMetaData>>| {
        version(&[
            (0, vec![file(2, "f", "h"), file(1, "g", "k"), file(9, "x", "y")]),
            (1, vec![file(3, "a", "b"), file(4, "d", "f"), file(5, "k", "n"), file(6, "s", "t")]),
            (2, third),
            (3, vec![file(20, "a", "c"), file(21, "e", "o"), file(22, "z", "zz")]),
        ])
    };
    let whole =
        levels(vec![file(10, "b", "c"), file(11, "c@7", "d"), file(12, "m", "p"), file(13, "p@7", "r")]);
    let piece = |version: &Arc<Version>, options: &PickerOptions<'_>| {
        let (compaction, _) = run(pick_manual(version, options, 0, None, Some(b"h")));
        assert_eq!((compaction.output_level, numbers(&compaction.inputs[2])), (1, vec![]));
        extend_to_level_2(options, compaction)
    };
    let sides = |compaction: &Compaction| [0, 1, 2].map(|side| numbers(&compaction.inputs[side]));

    let compaction = piece(&whole, &OPTIONS);
    // 10 shares a user key with 11, and 13 with 12.
    assert_eq!(sides(&compaction), [vec![2, 1], vec![4, 5], vec![10, 11, 12, 13]]);
    assert_eq!((compaction.level, compaction.output_level), (0, 2));
    assert_eq!(numbers(&compaction.grandparents), [20, 21]);
    assert_eq!(compaction.output_range(), (&b"b"[..], &b"r"[..]));
    assert!(!compaction.is_trivial_move());

    let two = [vec![2, 1], vec![4, 5], vec![]];
    // Level 3 is deeper still, so level 2 may be the output level even if it has no file there.
    let compaction = piece(&levels(vec![file(10, "b", "c")]), &OPTIONS);
    assert_eq!((sides(&compaction), compaction.output_level), (two.clone(), 2));
    let shallow =
        version(&[(0, vec![file(2, "f", "h")]), (1, vec![file(4, "d", "f")]), (2, vec![file(5, "x", "y")])]);
    let (compaction, _) = run(pick_manual(&shallow, &OPTIONS, 0, None, None));
    assert_eq!(extend_to_level_2(&OPTIONS, compaction).output_level, 1, "nothing lies deeper");
    let large = levels(vec![sized_file(12, "m", "p", 97 * MB)]);
    assert_eq!(piece(&large, &OPTIONS).output_level, 1, "it is too large");
    whole.levels[2][2].set_being_compacted(true);
    assert_eq!(piece(&whole, &OPTIONS).output_level, 1, "another compaction reads one of its files");
    whole.levels[2][2].set_being_compacted(false);
    let mut in_progress = CompactionsInProgress::new();
    in_progress.add(&compaction_of(&version(&[(1, vec![file(30, "q", "qq")])]), 1, &[30]));
    let options = PickerOptions { in_progress: &in_progress, ..OPTIONS };
    assert_eq!(piece(&whole, &options).output_level, 1, "another compaction writes into the range");
    assert_eq!(
        extend_to_level_2(&OPTIONS, compaction_of(&whole, 1, &[4])).output_level,
        2,
        "of level 1 it is as it was"
    );
}

#[test]
fn a_manual_compaction_moves_what_it_has_rewritten_and_what_meets_nothing() {
    let clean = |number, smallest, largest| file_with_deletions(number, smallest, largest, 0, 100);
    let version = version(&[
        (
            2,
            vec![
                clean(10, "a", "b"),
                clean(11, "c", "d"),
                clean(12, "g", "h"), // after the gap that a file of level 3 lies in
                clean(13, "i", "k"), // overlaps a file
                clean(14, "m", "n"),
                file_with_deletions(15, "o", "p", 1, 100),
                clean(9, "q", "r"), // is older
                clean(16, "s", "t@9"),
                file(17, "t@8", "u"), // may hold tombstones
            ],
        ),
        (3, vec![file(3, "e", "f"), file(4, "k", "l")]),
    ]);
    let options = PickerOptions { rewritten_from: 10, ..OPTIONS };
    let mut begin = None;
    for (files, moves) in [
        (&[10, 11][..], true),
        (&[12], true),
        (&[13], false),
        (&[14], true),
        (&[15, 9], false),
        (&[16, 17], false), // they share a user key
    ] {
        let (compaction, next) = run(pick_manual(&version, &options, 2, begin.as_ref(), None));
        assert_eq!((inputs_of(&compaction).0, compaction.is_trivial_move()), (files.to_vec(), moves));
        begin = next;
    }
    assert!(begin.is_none());
    let (compaction, _) = run(pick_manual(&version, &OPTIONS, 2, None, None));
    assert!(inputs_of(&compaction).0.len() == 9 && !compaction.is_trivial_move(), "nothing is known of it");
}
