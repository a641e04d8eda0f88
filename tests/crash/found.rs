//! Workloads that have found defects, as they were printed. Each is named after its symptom.

use super::check;
use super::workload::{Operation::*, Setup, Workload};

#[test]
fn a_manifest_whose_unsynced_edit_came_out_as_garbage_opens() {
    let workload = Workload {
        setup: Setup {
            reuse_logs: false,
            mapped_log: false,
            memtables: 4,
            level0_trigger: 2,
            ..Setup::default()
        },
        before: vec![],
        operations: vec![
            Compact,
            Put { key: 1, length: 37, sync: true },
            Rotate,
            Put { key: 7, length: 36, sync: true },
            Rotate,
            Put { key: 0, length: 54, sync: false },
            Batch { changes: vec![(7, None)], sync: false },
            Compact,
        ],
    };
    check(&workload);
}

#[test]
fn a_manifest_opens_whose_unsynced_trivial_move_came_out_as_garbage_before_any_log_had_a_durable_name() {
    let workload = Workload {
        setup: Setup { memtables: 4, level0_trigger: 2, ..Setup::default() },
        before: vec![],
        operations: vec![
            Put { key: 6, length: 2485, sync: false },
            Reopen,
            Put { key: 7, length: 16, sync: false },
            Batch { changes: vec![], sync: false },
            Batch { changes: vec![(6, None), (3, Some(30)), (2, Some(775)), (4, Some(458))], sync: false },
            Put { key: 0, length: 141, sync: false },
        ],
    };
    check(&workload);
}

#[test]
fn what_is_synced_to_a_log_that_is_reused_behind_a_damaged_one_is_found_again() {
    let workload = Workload {
        setup: Setup { reuse_logs: true, mapped_log: false, bloom: true, ..Setup::default() },
        before: vec![],
        operations: vec![
            Put { key: 5, length: 545, sync: false },
            Put { key: 6, length: 48, sync: false },
            Batch { changes: vec![(4, None)], sync: false },
            Put { key: 6, length: 35, sync: false },
            Put { key: 7, length: 755, sync: false },
            Batch { changes: vec![(4, None), (3, None), (3, None)], sync: false },
            Put { key: 4, length: 298, sync: false },
            Batch { changes: vec![(6, None)], sync: false },
            Rotate,
            Delete { key: 5, sync: false },
        ],
    };
    check(&workload);
}

#[test]
fn what_stands_before_a_hole_in_the_last_of_two_logs_is_seen_by_get_and_by_iteration() {
    let workload = Workload {
        setup: Setup { reuse_logs: true, memtables: 4, bloom: true, ..Setup::default() },
        before: vec![],
        operations: vec![
            Rotate,
            Put { key: 1, length: 912, sync: true },
            Put { key: 1, length: 21, sync: false },
            Flush,
            Put { key: 5, length: 21, sync: true },
            Put { key: 4, length: 49, sync: false },
            Rotate,
            Put { key: 0, length: 13, sync: false },
            Put { key: 4, length: 29, sync: false },
            Rotate,
            Flush,
            Batch { changes: vec![(3, Some(7836)), (4, Some(747))], sync: false },
            Put { key: 2, length: 905, sync: false },
            Put { key: 0, length: 4, sync: false },
            Batch { changes: vec![], sync: false },
            Batch { changes: vec![(3, Some(777))], sync: true },
            Batch { changes: vec![(0, Some(632)), (0, Some(21)), (4, None), (5, None)], sync: false },
            Reopen,
            Put { key: 7, length: 53, sync: false },
            Rotate,
            Batch { changes: vec![(0, Some(52)), (0, Some(49))], sync: false },
            Delete { key: 4, sync: false },
            Put { key: 7, length: 630, sync: false },
            Put { key: 4, length: 29, sync: false },
        ],
    };
    check(&workload);
}

#[test]
fn what_was_deleted_in_a_database_of_families_stays_deleted_after_a_crash_within_the_recovery() {
    let workload = Workload {
        setup: Setup { memtables: 4, level0_trigger: 2, families: true, ..Setup::default() },
        before: vec![],
        operations: vec![
            Batch { changes: vec![], sync: false },
            Put { key: 1, length: 4572, sync: false },
            Put { key: 4, length: 54, sync: false },
            Rotate,
            Put { key: 5, length: 654, sync: false },
            Rotate,
            Put { key: 6, length: 620, sync: true },
            Rotate,
            Delete { key: 6, sync: false },
            Recreate { key: 2 },
            Rotate,
            Flush,
        ],
    };
    check(&workload);
}
