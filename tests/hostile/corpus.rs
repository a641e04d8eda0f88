//! Replays the fuzzing corpus: the inputs of `tests/fuzz/corpus`, through the bodies of the fuzz targets.

use crate::fuzz::{archive, bases, targets};
use crate::support::random::announce;
use crate::support::repository;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The time limit for all inputs together.
const MOST_TIME: Duration = Duration::from_secs(120);

/// The inputs of a target, in the order of their names.
fn inputs(target: &str) -> Vec<PathBuf> {
    let directory = repository().join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("an input").path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", directory.display());
    inputs
}

#[test]
fn no_input_of_the_corpus_does_harm() {
    let began = Instant::now();
    let mut count = 0;
    for (target, body) in targets::ALL {
        for path in inputs(target) {
            let input = fs::read(&path).expect("an input");
            count += 1;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(&input))) {
                announce(&format!("{}: {target} panicked", path.display()));
                std::panic::resume_unwind(panic);
            }
            assert!(began.elapsed() < MOST_TIME, "{}: too slow", path.display());
        }
    }
    announce(&format!("hostile: {count} inputs of the corpus in {:?}", began.elapsed()));
}

/// The fuzzer mutates directories as archives: decoding returns the encoded files.
#[test]
fn an_archive_gives_the_files_that_were_put_into_it() {
    for base in bases::all() {
        assert!(archive::decode(&archive::encode(&base.files)) == base.files, "{}", base.name);
    }
}
