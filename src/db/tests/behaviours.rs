//! Which test shows which behaviour.
//!
//! `BEHAVIOURS` has the 89 that LevelDB's own tests require, numbered: 1-53 from its db_test, 54-56
//! fault_injection_test, 57-68 corruption_test, 69-75 recovery_test, 76 autocompact_test, 77-79 issues, 80-88
//! the lower modules, 89 c_test. Each is shown in the lowest module that can show it; those of a whole
//! database are shown under each of four sets of options.
//!
//! `HOLES` has LevelDB's defects: 1 a failed append desynchronises its WAL; 2 a second open drops the lock; 3
//! a lost CURRENT empties the database; 4 a new WAL's name is not durable; 5 nor are the unsynced records of
//! the previous WAL; 6 reuse_logs appends after a torn tail; 7 tables are trusted; 8 repair ignores a WAL's
//! checksums, and a failed change of CURRENT removes the new MANIFEST.

use std::path::Path;

/// A number, a description, and the tests that show it: file, function.
type Shown = (u32, &'static str, &'static [(&'static str, &'static str)]);

#[rustfmt::skip]
const BEHAVIOURS: &[Shown] = &[
    (1, "missing key", &[
        ("src/db/tests/reads.rs", "a_missing_key_has_no_value"),
    ]),
    (2, "empty key", &[
        ("src/db/tests/reads.rs", "the_empty_key_is_a_key"),
    ]),
    (3, "empty value", &[
        ("src/db/tests/reads.rs", "an_empty_value_is_found"),
    ]),
    (4, "overwrite", &[
        ("src/db/tests/reads.rs", "the_last_value_written_is_read"),
    ]),
    (5, "delete", &[
        ("src/db/tests/reads.rs", "a_deleted_key_has_no_value_until_it_is_written_again"),
    ]),
    (6, "immutable memtable, flush blocked", &[
        ("src/db/tests/reads.rs", "a_memtable_is_read_while_its_flush_is_blocked"),
    ]),
    (7, "get after flush", &[
        ("src/db/tests/reads.rs", "a_flushed_key_is_found"),
    ]),
    (8, "memory property", &[
        ("src/db/tests/reads.rs", "memory_use_is_more_than_nothing_and_less_than_buffer_and_cache"),
    ]),
    (9, "snapshot before and after a flush", &[
        ("src/db/tests/snapshots.rs", "a_snapshot_is_read_before_and_after_a_flush"),
    ]),
    (10, "identical snapshots", &[
        ("src/db/tests/snapshots.rs", "identical_snapshots_are_released_in_any_order"),
    ]),
    (11, "empty snapshot", &[
        ("src/db/tests/snapshots.rs", "a_snapshot_of_nothing_stays_empty"),
    ]),
    (12, "newest of level 0", &[
        ("src/db/tests/reads.rs", "the_newest_file_of_level_0_wins"),
    ]),
    (13, "order of levels", &[
        ("src/db/tests/reads.rs", "an_upper_level_wins_over_a_deeper_one"),
    ]),
    (14, "right file picked", &[
        ("src/db/tests/reads.rs", "the_right_one_of_several_files_is_picked"),
    ]),
    (15, "empty level", &[
        ("src/db/tests/reads.rs", "reads_across_an_empty_level_compact_the_file_they_began_in"),
    ]),
    (16, "iterator of none, one, many", &[
        ("src/db/tests/reads.rs", "an_iterator_over_nothing_is_never_valid"),
        ("src/db/tests/reads.rs", "an_iterator_over_one_entry_ends_on_either_side"),
        ("src/db/tests/reads.rs", "an_iterator_over_several_entries_goes_and_turns_either_way"),
        ("src/db/tests/reads.rs", "an_iterator_stays_at_the_state_it_was_made_in"),
    ]),
    (17, "tiny and large values", &[
        ("src/db/tests/reads.rs", "tiny_and_large_values_are_iterated_together"),
    ]),
    (18, "iterator and deletions", &[
        ("src/db/tests/reads.rs", "an_iterator_passes_over_deleted_keys"),
    ]),
    (19, "repeated reopening", &[
        ("src/db/tests/recovery.rs", "what_was_written_is_there_however_often_it_is_reopened"),
    ]),
    (20, "empty log", &[
        ("src/db/tests/recovery.rs", "an_empty_log_takes_nothing_away"),
    ]),
    (21, "reopening during a flush", &[
        ("src/db/tests/opening.rs", "closing_while_a_flush_is_under_way_loses_nothing"),
    ]),
    (22, "small buffer makes files", &[
        ("src/db/tests/compactions.rs", "a_small_buffer_makes_tables"),
    ]),
    (23, "log larger than buffer", &[
        ("src/db/tests/recovery.rs", "a_log_larger_than_the_buffer_becomes_several_tables"),
    ]),
    (24, "compaction splits output", &[
        ("src/db/tests/compactions.rs", "a_compaction_splits_its_output"),
    ]),
    (25, "files bounded under overwrites", &[
        ("src/db/tests/compactions.rs", "overwriting_one_key_keeps_the_number_of_files_bounded"),
    ]),
    (26, "overlap with the next level", &[
        ("src/db/tests/compactions.rs", "a_sparse_update_never_makes_a_file_overlap_much_of_the_next_level"),
    ]),
    (27, "approximate sizes", &[
        ("src/db/tests/compactions.rs", "approximate_sizes_are_within_five_percent"),
    ]),
    (28, "mixed sizes", &[
        ("src/db/tests/compactions.rs", "approximate_sizes_of_small_and_large_values_add_up"),
    ]),
    (29, "iterator pins state", &[
        ("src/db/tests/snapshots.rs", "an_iterator_pins_its_state_through_flushes_and_compactions"),
    ]),
    (30, "snapshots released one by one", &[
        ("src/db/tests/snapshots.rs", "each_snapshot_keeps_its_own_value_until_it_is_released"),
    ]),
    (31, "hidden values dropped", &[
        ("src/db/tests/snapshots.rs", "hidden_values_go_when_no_snapshot_sees_them"),
    ]),
    (32, "deletion kept until the base level", &[
        ("src/db/tests/snapshots.rs", "a_deletion_under_a_new_value_goes_before_what_it_hides"),
        ("src/db/tests/snapshots.rs", "a_deletion_stays_until_nothing_below_can_hold_its_key"),
    ]),
    (33, "overlap in level 0", &[
        ("src/db/tests/compactions.rs", "a_deletion_never_sinks_below_level_0_files_that_it_overlaps"),
    ]),
    (34, "issue 44", &[
        ("src/db/tests/compactions.rs", "deleted_keys_do_not_come_back_over_many_openings"),
    ]),
    (35, "fflush(NULL) between", &[
        ("src/ffi/tests/stdio.rs", "flushing_the_hosts_streams_disturbs_nothing"),
    ]),
    (36, "comparator's name", &[
        ("src/db/tests/opening.rs", "another_comparator_is_refused_by_name"),
    ]),
    (37, "custom comparator", &[
        ("src/db/tests/opening.rs", "a_comparator_of_the_user_decides_order_and_equality"),
    ]),
    (38, "manual compaction", &[
        ("src/db/tests/compactions.rs", "a_range_is_compacted_and_nothing_beside_it"),
    ]),
    (39, "create_if_missing, error_if_exists", &[
        ("src/db/tests/opening.rs", "an_absent_database_is_created_and_a_present_one_refused_as_asked"),
    ]),
    (40, "destroy an empty directory", &[
        ("src/db/tests/opening.rs", "an_empty_directory_is_destroyed"),
    ]),
    (41, "destroy an open database", &[
        ("src/db/tests/opening.rs", "an_open_database_is_not_destroyed"),
    ]),
    (42, "second opening", &[
        ("src/db/tests/opening.rs", "a_database_is_opened_once_at_a_time"),
    ]),
    (43, "full disk leaks no files", &[
        ("src/db/tests/faults.rs", "a_full_disk_leaks_no_files_and_is_cured_by_space"),
        ("src/db/tests/faults.rs", "a_disk_that_fills_up_during_a_flush_costs_nothing"),
    ]),
    (44, "file system that can't be written", &[
        ("src/db/tests/faults.rs", "a_read_only_file_system_fails_writes_that_need_a_file_and_no_others"),
    ]),
    (45, "log sync error", &[
        ("src/db/tests/faults.rs", "after_a_failed_log_sync_writes_are_refused_and_reads_work"),
    ]),
    (46, "MANIFEST error", &[
        ("src/db/tests/faults.rs", "a_manifest_that_cannot_be_written_loses_nothing"),
        ("src/db/tests/faults.rs", "a_manifest_is_written_anew_and_what_it_does_not_name_is_removed"),
        ("src/db/tests/faults.rs", "a_flush_whose_edit_failed_is_repeated"),
    ]),
    (47, "missing table", &[
        ("src/db/tests/opening.rs", "a_missing_table_is_told_at_open_and_nothing_is_touched"),
    ]),
    (48, ".sst", &[
        ("src/db/tests/opening.rs", "tables_of_the_old_name_are_read_and_removed_in_time"),
    ]),
    (49, "number of files stable", &[
        ("src/db/tests/compactions.rs", "the_number_of_files_stays_the_same_over_compactions"),
    ]),
    (50, "bloom filters spare reads", &[
        ("src/db/tests/compactions.rs", "bloom_filters_spare_table_reads"),
    ]),
    (51, "log close error", &[
        ("src/db/tests/faults.rs", "a_log_that_cannot_be_closed_refuses_writes_from_then_on"),
    ]),
    (52, "four threads", &[
        ("src/db/tests/model.rs", "four_threads_never_read_what_was_not_yet_written"),
    ]),
    (53, "model and snapshots", &[
        ("src/db/tests/model.rs", "random_operations_read_as_a_model_does"),
    ]),
    (54, "compacted data survives", &[
        ("src/db/tests/faults.rs", "what_was_compacted_survives_a_crash_that_drops_what_was_not_synced"),
    ]),
    (55, "unsynced data vanishes cleanly", &[
        ("src/db/tests/faults.rs", "what_was_not_synced_vanishes_from_its_end_and_cleanly"),
    ]),
    (56, "new files deleted", &[
        ("src/db/tests/faults.rs", "losing_files_that_are_newer_than_the_last_directory_sync_is_harmless"),
    ]),
    (57, "damaged log", &[
        ("src/db/tests/corruption.rs", "damage_in_a_log_costs_the_rest_of_its_blocks"),
    ]),
    (58, "file error at open", &[
        ("src/db/tests/faults.rs", "a_file_that_cannot_be_made_fails_the_opening_and_nothing_is_lost"),
    ]),
    (59, "new-file error during writes", &[
        ("src/db/tests/faults.rs", "a_log_that_cannot_be_made_is_told_by_the_write_that_needs_it"),
    ]),
    (60, "bit flip in a table", &[
        ("src/db/tests/corruption.rs", "a_flipped_bit_in_a_table_loses_one_block_and_is_told"),
        ("src/db/tests/corruption.rs", "an_unreadable_table_costs_its_own_entries"),
        ("src/db/tests/corruption.rs", "an_io_error_ends_a_scan_that_passes_over_damage"),
    ]),
    (61, "repair of a table", &[
        ("src/db/tests/corruption.rs", "a_repair_saves_what_a_damaged_table_still_has"),
    ]),
    (62, "damaged index", &[
        ("src/db/tests/corruption.rs", "a_damaged_index_keeps_more_than_half"),
    ]),
    (63, "repair without MANIFEST", &[
        ("src/db/tests/corruption.rs", "a_database_without_manifest_is_repaired_whole"),
    ]),
    (64, "sequence recovered", &[
        ("src/db/tests/corruption.rs", "a_repair_goes_on_behind_the_last_sequence_number"),
    ]),
    (65, "bad MANIFEST", &[
        ("src/db/tests/corruption.rs", "a_bad_manifest_is_refused_and_repaired"),
    ]),
    (66, "damaged compaction input", &[
        ("src/db/tests/corruption.rs", "a_compaction_of_a_damaged_table_fails_and_leaves_it_where_it_is"),
        ("src/db/tests/corruption.rs", "a_damaged_table_of_level_0_is_not_compacted_away_either"),
    ]),
    (67, "the same, paranoid", &[
        ("src/db/tests/corruption.rs", "with_paranoid_checks_a_damaged_compaction_refuses_writes"),
    ]),
    (68, "unrelated keys", &[
        ("src/db/tests/corruption.rs", "keys_beside_the_damage_are_fine"),
    ]),
    (69, "MANIFEST reuse", &[
        ("src/db/tests/recovery.rs", "the_manifest_goes_on_where_logs_are_reused_or_nothing_was_written"),
    ]),
    (70, "oversized MANIFEST", &[
        ("src/db/tests/recovery.rs", "an_oversized_manifest_is_replaced_by_a_small_one"),
    ]),
    (71, "no logs", &[
        ("src/db/tests/recovery.rs", "without_its_logs_a_database_opens_as_its_tables_say"),
    ]),
    (72, "log reuse", &[
        ("src/db/tests/recovery.rs", "a_log_is_written_on_where_logs_are_reused"),
    ]),
    (73, "several memtables", &[
        ("src/db/tests/recovery.rs", "one_log_that_fills_several_memtables_becomes_several_tables"),
    ]),
    (74, "several logs, a stale one", &[
        ("src/db/tests/recovery.rs", "several_logs_are_replayed_in_order_and_stale_ones_are_not"),
    ]),
    (75, "missing MANIFEST", &[
        ("src/db/tests/recovery.rs", "a_missing_manifest_is_corruption"),
    ]),
    (76, "read-triggered compaction", &[
        ("src/db/tests/compactions.rs", "reading_everything_compacts_everything"),
        ("src/db/tests/compactions.rs", "reading_half_leaves_most_of_the_other_half"),
    ]),
    (77, "issue 178", &[
        ("src/db/tests/compactions.rs", "compacting_over_deleted_keys_loses_no_others"),
    ]),
    (78, "issue 200", &[
        ("src/db/tests/reads.rs", "turning_round_a_later_insertion_misses_nothing"),
    ]),
    (79, "issue 320", &[
        ("src/db/tests/compactions.rs", "versions_kept_for_snapshots_never_show_an_old_value"),
    ]),
    (80, "log fragments and trailers", &[
        ("src/record/reader/tests.rs", "records_of_all_sizes_come_back"),
        ("src/record/reader/tests.rs", "records_that_end_near_the_end_of_a_block_come_back"),
        ("src/record/writer.rs", "blocks_are_filled_to_the_last_byte_that_a_header_fits"),
    ]),
    (81, "bad type, length, checksum, order", &[
        ("src/record/reader/tests.rs", "an_unknown_type_costs_its_fragment_and_the_record_it_is_in"),
        ("src/record/reader/tests.rs", "a_length_past_the_end_of_its_block_is_damage_but_at_the_end_of_the_file"),
        ("src/record/reader/tests.rs", "a_wrong_checksum_costs_the_rest_of_the_block"),
        ("src/record/reader/tests.rs", "fragments_without_a_beginning_are_damage"),
        ("src/record/reader/tests.rs", "a_record_without_an_end_is_damage_where_another_begins"),
    ]),
    (82, "torn tail, no joining", &[
        ("src/record/reader/tests.rs", "a_file_torn_anywhere_gives_the_records_before"),
        ("src/record/reader/tests.rs", "fragments_are_not_joined_over_damage"),
        ("src/record/reader/tests.rs", "what_was_appended_to_a_torn_record_is_never_joined_to_it"),
    ]),
    (83, "empty block, extreme keys, random tables", &[
        ("src/table/block/tests.rs", "a_block_without_restart_points_is_empty"),
        ("src/table/tests.rs", "extreme_keys_come_back"),
        ("src/table/tests.rs", "random_moves_agree_with_a_model"),
    ]),
    (84, "bloom false positives", &[
        ("src/filter_policy.rs", "no_key_is_ever_missed_and_few_others_match"),
    ]),
    (85, "empty filter", &[
        ("src/filter_policy.rs", "small_filters_have_64_bits_and_the_number_of_probes"),
        ("src/table/filter_block.rs", "an_empty_block_matches_everything"),
    ]),
    (86, "skiplist readers and writer", &[
        ("src/memtable/tests.rs", "readers_see_all_that_was_inserted_before_they_began"),
    ]),
    (87, "truncated batch", &[
        ("src/batch/write_batch/tests.rs", "a_representation_cut_short_is_refused"),
    ]),
    (88, "O_CLOEXEC", &[
        ("src/db/tests/opening.rs", "every_open_file_is_closed_on_exec"),
        ("src/env/posix/tests.rs", "every_descriptor_is_closed_on_exec"),
    ]),
    (89, "the phases of the C test", &[
        ("tests/c_programs/mod.rs", "every_program_passes"),
        ("tests/c/c_api_test.c", "test_open_errors"),
        ("tests/c/c_api_test.c", "test_put_get_delete"),
        ("tests/c/c_api_test.c", "test_write_batch"),
        ("tests/c/c_api_test.c", "test_iterator"),
        ("tests/c/c_api_test.c", "test_snapshots"),
        ("tests/c/c_api_test.c", "test_approximate_sizes"),
        ("tests/c/c_api_test.c", "test_properties"),
        ("tests/c/c_api_test.c", "test_compact_range"),
        ("tests/c/c_options_test.c", "test_options"),
        ("tests/c/c_options_test.c", "test_comparator"),
        ("tests/c/c_options_test.c", "test_filter_policy"),
        ("tests/c/c_options_test.c", "test_repair_and_destroy"),
    ]),
];

#[rustfmt::skip]
const HOLES: &[Shown] = &[
    (1, "append after a failed append", &[
        ("src/db/tests/leveldb_defects.rs", "nothing_is_acknowledged_behind_a_failed_append_that_a_recovery_would_not_find"),
    ]),
    (2, "lock dropped by a second opening", &[
        ("src/db/tests/leveldb_defects.rs", "a_failed_second_opening_does_not_drop_the_lock"),
    ]),
    (3, "lost CURRENT", &[
        ("src/db/tests/leveldb_defects.rs", "without_current_nothing_is_created_and_nothing_removed"),
    ]),
    (4, "new log without a name", &[
        ("src/db/tests/leveldb_defects.rs", "a_synced_write_to_a_new_log_has_a_log_with_a_name"),
    ]),
    (5, "older log not synced", &[
        ("src/db/tests/leveldb_defects.rs", "a_synced_write_makes_what_is_in_older_logs_durable"),
    ]),
    (6, "appending behind a torn tail", &[
        ("src/db/tests/leveldb_defects.rs", "nothing_is_written_behind_a_torn_record"),
    ]),
    (7, "hostile tables", &[
        ("src/table/tests/hostile.rs", "index_entries_that_point_astray_are_corruption"),
        ("src/table/block/tests.rs", "lengths_that_wrap_are_refused"),
    ]),
    (8, "repair and checksums; failed switch", &[
        ("src/db/tests/leveldb_defects.rs", "a_repair_does_not_take_over_damaged_records"),
        ("src/db/tests/leveldb_defects.rs", "a_switch_of_manifests_that_fails_removes_neither"),
    ]),
];

/// The source of the test with this name in a file, from its attribute to its end.
fn source_of(file: &str, name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).ok()?;
    if file.ends_with(".c") {
        // In C: a function that is also called.
        return (text.matches(&format!("{name}(")).count() > 1).then_some(text);
    }
    let begin = text.find(&format!("fn {name}()"))?;
    let (before, body) = text.split_at(begin);
    before.trim_end().ends_with("#[test]").then(|| {
        let indent = before.len() - before.trim_end_matches(' ').len();
        let end = body.find(&format!("\n{}}}\n", " ".repeat(indent))).unwrap_or(body.len());
        body[..end].to_owned()
    })
}

#[test]
fn every_behaviour_is_shown_by_tests_that_exist() {
    for (shown, count) in [(BEHAVIOURS, 89), (HOLES, 8)] {
        assert!(shown.iter().map(|(number, ..)| *number).eq(1..=count));
        for (number, what, tests) in shown {
            assert!(!tests.is_empty(), "{number}, {what}, is not shown");
            for (file, name) in *tests {
                assert!(
                    source_of(file, name).is_some(),
                    "{number}, {what}: there is no test {name} in {file}"
                );
            }
        }
    }
}

#[test]
fn behaviours_of_a_database_are_shown_under_four_sets_of_options() {
    // Directly, or through a function that does it.
    let forms = [
        "under_all_options",
        "for_random_workloads(",
        "reads_compact_what_they_read(",
        "four_sets_of_options()",
    ];
    for (number, what, tests) in BEHAVIOURS.iter().filter(|(number, ..)| *number < 80 || *number == 88) {
        let (file, name) = tests[0];
        let body = source_of(file, name).unwrap_or_default();
        assert!(forms.iter().any(|form| body.contains(form)), "{number}, {what}: {name} has but one set");
    }
}
