use super::*;
use crate::compaction::test_support::{compaction_of, file, version};
use std::path::Path;

const MILLIS: Duration = Duration::from_millis(1);

fn at(start: Instant, millis: u32) -> Moment {
    Moment { monotonic: start + millis * MILLIS, micros: u64::from(millis) * 1000 }
}

#[test]
fn delays_double_from_10_ms_to_5_s_and_the_first_error_stays() {
    let start = Instant::now();
    let mut errors = ErrorState::default();
    let first = errors.flush_failed(&Error::io("no space"), at(start, 0));
    assert_eq!(first.as_deref(), Some("Retrying error: IO error: no space"));
    let mut expected = 10;
    for retry in 0..20 {
        let kept = errors.flush().unwrap();
        assert_eq!(kept.time_to_retry(start), Some(expected * MILLIS), "retry {retry}");
        assert_eq!(kept.time_to_retry(start + expected * MILLIS), None);
        assert_eq!((kept.since_micros, kept.retries), (0, retry));
        let line = errors.flush_failed(&Error::io("no space"), at(start, 0));
        let is_power_of_two = (retry + 1).is_power_of_two();
        assert_eq!(line.is_some(), is_power_of_two, "the same error is logged ever more seldom: {retry}");
        expected = (expected * 2).min(5_000);
    }
    assert!(errors.flush_failed(&Error::io("another"), at(start, 0)).is_some());
    assert_eq!(errors.flush().unwrap().error.message(), "no space");
    assert_eq!(errors.count(), 22);
}

#[test]
fn the_worst_error_of_the_database_stays_until_its_own_cure() {
    let start = Instant::now();
    let mut errors = ErrorState::default();
    assert!(errors.database_failed(Severity::Manifest, &Error::io("manifest"), at(start, 1)).is_some());
    assert!(errors.database_failed(Severity::ReplaceLog, &Error::io("wal"), at(start, 2)).is_some());
    assert!(errors.database_failed(Severity::Manifest, &Error::io("manifest"), at(start, 3)).is_none());
    assert_eq!(errors.worst().unwrap().severity, Severity::ReplaceLog);
    assert_eq!(errors.database_recovered(Severity::Manifest), None);
    assert_eq!(
        errors.database_recovered(Severity::ReplaceLog).as_deref(),
        Some("the database has recovered")
    );
    assert!(errors.worst().is_none());
    assert!(errors.database_failed(Severity::UntilReopened, &Error::io("sync"), at(start, 4)).is_some());
    assert_eq!(errors.database_recovered(Severity::ReplaceLog), None);
    assert!(!errors.worst().unwrap().is_retried());
}

#[test]
fn a_cure_that_fails_with_a_lesser_error_is_put_off_too() {
    let start = Instant::now();
    let mut errors = ErrorState::default();
    assert!(errors.database_failed(Severity::ReplaceLog, &Error::io("wal"), at(start, 0)).is_some());
    for (millis, delay) in [(10, 20), (30, 40), (70, 80)] {
        assert!(errors.database_failed(Severity::Manifest, &Error::io("full"), at(start, millis)).is_none());
        let kept = errors.database().unwrap();
        assert_eq!(kept.time_to_retry(start + millis * MILLIS), Some(delay * MILLIS));
        assert_eq!((kept.severity, kept.error.message()), (Severity::ReplaceLog, "wal"));
    }
}

#[test]
fn damage_sets_one_table_aside_for_a_minute_and_other_errors_pause_all() {
    let start = Instant::now();
    let files = vec![(1, vec![file(7, "a", "c"), file(8, "d", "f")])];
    let compaction = compaction_of(&version(&files), 1, &[7]);
    let mut errors = ErrorState::default();
    let damage = Error::corruption_in(Path::new("/db/000007.ldb"), "block checksum mismatch");
    let lines = errors.compaction_failed(&compaction, &damage, at(start, 0));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(compaction.inputs[0][0].is_being_compacted() && !errors.pauses_compactions());
    assert_eq!(errors.compaction().unwrap().time_to_retry(start), Some(Duration::from_secs(60)));
    assert_eq!(errors.compaction_succeeded(Some(1)), None, "the damage is still there");
    errors.retry_now(start);
    assert!(!compaction.inputs[0][0].is_being_compacted());
    assert_eq!(errors.compaction().unwrap().time_to_retry(start), None);

    assert!(!errors.compaction_failed(&compaction, &Error::io("no space"), at(start, 1)).is_empty());
    assert!(errors.pauses_compactions());
    assert_eq!(errors.compaction_succeeded(Some(2)), None, "another level says nothing");
    assert!(errors.compaction_succeeded(Some(1)).is_some());
    assert!(errors.compaction().is_none());
}
