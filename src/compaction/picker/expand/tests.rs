//! Which files go together, as the case files of `tests/testdata/expand` say it.

use super::*;
use crate::compaction::test_support::text::describe;
use crate::compaction::test_support::tree::Tree;
use crate::compaction::test_support::{OPTIONS, key, version};
use crate::table::properties::TableProperties;
use crate::util::test_support::{run_case_files, take, take_list};
use datadriven::TestCase;

#[test]
fn the_case_files_hold() {
    run_case_files("expand", Tree::default, |tree, case| match tree.change(case) {
        Some(answer) => answer,
        None => answer(tree, case),
    });
}

fn answer(tree: &Tree, case: &mut TestCase) -> String {
    let (version, options) = (&tree.version, &tree.options());
    let level = take(case, "level").expect("a level");
    let files = tree.files(level, &take_list(case, "files"));
    match case.directive.as_str() {
        "complete" => {
            let reason = match take::<String>(case, "reason").as_deref() {
                None => CompactionReason::Size,
                Some("manual") => CompactionReason::Manual,
                Some("manual-move") => CompactionReason::ManualMove,
                Some(other) => panic!("no reason: {other}"),
            };
            let extends = case.take_flag("to-level-2").unwrap();
            let Some(compaction) = complete(version, options, reason, level, &files) else {
                return "busy\n".to_string();
            };
            describe(&if extends { extend_to_level_2(options, compaction) } else { compaction })
        }
        "overlapping" => {
            let keys: Vec<String> = take_list(case, "keys");
            let (order, files) = (&version.comparator, &version.levels[level]);
            let range = files.overlap(order, Some(keys[0].as_bytes()), Some(keys[1].as_bytes()));
            let whole = grow_to_whole_user_keys(order, files, range.clone());
            let numbers = |range: Range<usize>| crate::compaction::test_support::numbers(&files[range]);
            format!("{:?}, with whole user keys {:?}\n", numbers(range), numbers(whole))
        }
        "movable" => {
            format!("{} of {}\n", movable_length(version, options, level, &files), files.len())
        }
        "deletions" => {
            let says = |file: &Arc<FileMetaData>| {
                let newest = newest_of_many_deletions(file);
                let are = match (newest, is_full_of_deletions(file, options.oldest_snapshot)) {
                    (None, _) => "not many".to_string(),
                    (Some(newest), true) => format!("many, droppable since {newest}"),
                    (Some(newest), false) => {
                        format!("many, not droppable before the oldest snapshot reaches {newest}")
                    }
                };
                let half =
                    if gives_back_half(version, level, file) { "half or more" } else { "less than half" };
                format!("{}: {are}; a rewrite frees {half}\n", file.number)
            };
            files.iter().map(says).collect()
        }
        other => panic!("no directive: {other}"),
    }
}

/// Its number is newer than the compaction, its entries are not.
#[test]
fn a_file_that_was_only_upgraded_is_not_moved() {
    let file = |number, epoch| {
        let properties = TableProperties { num_entries: 1, ..TableProperties::default() };
        let file = FileMetaData::with_properties(number, 1, key("a"), key("b"), properties);
        Arc::new(file.with_epoch(epoch))
    };
    let options = PickerOptions { rewritten_from: 10, ..OPTIONS };
    for (epoch, movable) in [(None, 1), (Some(10), 1), (Some(9), 0)] {
        let files = [file(12, epoch)];
        let version = version(&[(1, files.to_vec())]);
        assert_eq!(movable_length(&version, &options, 1, &files), movable);
    }
}
