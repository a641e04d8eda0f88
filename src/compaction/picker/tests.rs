//! The choice of compactions, as the case files of `tests/testdata/picker` say it, and of many at once.

use super::*;
use crate::compaction::test_support::file;
use crate::compaction::test_support::text::describe;
use crate::compaction::test_support::tree::Tree;
use crate::format::internal_key::{MAX_SEQUENCE, ValueType};
use crate::util::test_support::{run_case_files, take, take_list};
use datadriven::TestCase;

mod interleaving;

#[test]
fn the_case_files_hold() {
    run_case_files("picker", Tree::default, |tree, case| match tree.change(case) {
        Some(answer) => answer,
        None => answer(tree, case),
    });
}

fn answer(tree: &mut Tree, case: &mut TestCase) -> String {
    let (version, options) = (tree.version.clone(), tree.options());
    match case.directive.as_str() {
        "score" => scores(&version, &options),
        "pick-size" => {
            let compaction = pick_size(&version, &options, &tree.pointers);
            if case.take_flag("advance").unwrap()
                && let Some(Compaction { level, compact_pointer: Some(pointer), .. }) = &compaction
            {
                tree.pointers[*level] = Some(pointer.clone());
            }
            picked(tree, case, compaction)
        }
        "pick-seek" => {
            let level: usize = take(case, "level").unwrap();
            let number = take(case, "file").unwrap();
            let gone = file(number, "a", "z");
            let file = version.levels[level].iter().find(|file| file.number == number).unwrap_or(&gone);
            let compaction = pick_seek(&version, &options, level, file);
            picked(tree, case, compaction)
        }
        "pick-idle" => {
            let compaction = pick_idle(&version, &options);
            picked(tree, case, compaction)
        }
        "pick-manual" => pick_all_manual(&version, &options, case),
        "level-for-flush" => {
            let keys: Vec<String> = take_list(case, "keys");
            let (first, last) = (keys[0].as_bytes(), keys[1].as_bytes());
            let level = version.level_for_flush(first, last, options.max_file_size);
            let now = tree.in_progress.level_for_flush(&version.comparator, level, first, last);
            format!("L{now}, by the version alone L{level}\n")
        }
        "next-droppable-deletions" => match next_droppable_deletions(&version, &options) {
            Some(sequence) => format!("when the oldest snapshot reaches {sequence}\n"),
            None => "none\n".to_string(),
        },
        other => panic!("no directive: {other}"),
    }
}

/// The scores above 0, as `L1 1.5`.
fn scores(version: &Version, options: &PickerOptions<'_>) -> String {
    let scores = (0..NUM_LEVELS).map(|level| (level, score(version, level, options)));
    let shown: Vec<_> =
        scores.filter(|&(_, score)| score > 0.0).map(|(level, score)| format!("L{level} {score}")).collect();
    let what = if needs_compaction(version, options) { "needs a compaction" } else { "needs none" };
    format!("{what}: {}\n", if shown.is_empty() { "all 0".to_string() } else { shown.join(", ") })
}

/// Describes a choice; with the argument `run` it is then running.
fn picked(tree: &mut Tree, case: &mut TestCase, compaction: Option<Compaction>) -> String {
    let runs = case.take_flag("run").unwrap();
    let Some(compaction) = compaction else { return "nothing\n".to_string() };
    let text = describe(&compaction);
    if runs {
        tree.run(compaction);
    }
    text
}

/// The pieces of a manual compaction at a level, one after the other.
fn pick_all_manual(version: &Arc<Version>, options: &PickerOptions<'_>, case: &mut TestCase) -> String {
    let level = take(case, "level").unwrap();
    let end: Option<String> = take(case, "end");
    let seek_key = |begin: String| InternalKey::new(begin.as_bytes(), MAX_SEQUENCE, ValueType::Value);
    let mut begin = take(case, "begin").map(seek_key);
    let extends = case.take_flag("to-level-2").unwrap();
    let mut text = String::new();
    loop {
        match pick_manual(version, options, level, begin.as_ref(), end.as_ref().map(String::as_bytes)) {
            ManualPick::Done => return text + "done\n",
            ManualPick::Busy => return text + "busy\n",
            ManualPick::Run { compaction, next_begin } => {
                let compaction = if extends { extend_to_level_2(options, *compaction) } else { *compaction };
                text += &describe(&compaction);
                let Some(next) = next_begin else { return text };
                assert!(begin.as_ref().is_none_or(|begin| begin != &next), "it does not advance");
                begin = Some(next);
            }
        }
    }
}

#[test]
fn all_contents_go_to_the_first_level_that_they_do_not_fill() {
    let base = 10 << 20;
    assert_eq!(
        [0, base - 1, base, 10 * base - 1, 10 * base].map(|bytes| level_for_all(bytes, base)),
        [1, 1, 2, 2, 3]
    );
    assert_eq!([u64::MAX, 0].map(|bytes| level_for_all(bytes, 1)), [NUM_LEVELS - 1, 1]);
    assert_eq!(level_for_all(1, 0), 2, "a limit is at least one byte");
}
