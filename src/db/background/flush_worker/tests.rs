//! The next task of the flush worker, as the case files of `tests/testdata/flush_worker` say it.

use super::*;
use crate::util::test_support::run_case_files;

fn millis(text: &str) -> Duration {
    Duration::from_millis(
        text.strip_suffix("ms").and_then(|digits| digits.parse().ok()).expect("milliseconds"),
    )
}

/// Parses a line like this, of which each word may be missing: `database=manifest,10ms flush-failed=20ms
/// due=5ms manifest-missing manifest-wanted wal-replaced keep=30ms`.
fn situation(line: &str) -> Situation {
    let mut situation = Situation {
        database: None,
        flush: None,
        is_manifest_missing: false,
        must_write_manifest: false,
        is_wal_replaced: false,
        due: None,
        keeps_memory: Duration::ZERO,
    };
    for word in line.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let time = |text: &str| (text != "now").then(|| millis(text));
        match name {
            "database" => {
                let (severity, retry) = value.split_once(',').unwrap_or((value, "now"));
                let severity = match severity {
                    "manifest" => Severity::Manifest,
                    "replace-wal" => Severity::ReplaceLog,
                    "permanent" => Severity::UntilReopened,
                    _ => panic!("no severity: {severity}"),
                };
                situation.database = Some((severity, time(retry)));
            }
            "flush-failed" => situation.flush = Some(time(value)),
            "due" => situation.due = Some((ColumnFamilyId::DEFAULT, time(value).unwrap_or_default())),
            "manifest-missing" => situation.is_manifest_missing = true,
            "manifest-wanted" => situation.must_write_manifest = true,
            "wal-replaced" => situation.is_wal_replaced = true,
            "keep" => situation.keeps_memory = millis(value),
            "nothing" => {}
            _ => panic!("no part of a situation: {word}"),
        }
    }
    situation
}

#[test]
fn the_case_files_hold() {
    run_case_files(
        "flush_worker",
        || (),
        |(), case| {
            assert_eq!(case.directive, "next-task");
            let tasks = case.input.lines().map(|line| format!("{line}: {:?}\n", next_task(&situation(line))));
            tasks.collect()
        },
    );
}
