//! Instructions per operation, as the processor counts them for the calling thread in user mode. A busy
//! machine changes this figure by no more than a few per mille, so it is used to compare versions of the
//! code.
//!
//! A loop of N operations warms up, and the next N are counted: so the figure does not include the cost of
//! the first operations. The work of other threads (flushes, compactions) is not included.

use crate::engine::{Cursor, Engine, Store};
use crate::keys::{Key, Random, Values};
use crate::plan::{EnginePath, Profile};
use perf_event::Builder;
use perf_event::events::Hardware;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// Number of keys of the database.
const KEYS: u64 = 200_000;

/// Number of operations that are counted.
const OPERATIONS: u64 = 50_000;

/// Instructions of one operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Count {
    pub operation: String,
    /// Instructions per operation.
    pub instructions: f64,
}

/// Counts the instructions of every operation of an engine, in a directory of its own.
pub fn count<E: Engine>(engine: &E, directory: &Path) -> Result<Vec<Count>, String> {
    let profile = Profile::all().pop().expect("the default profile is the last");
    let mut counter = Builder::new(Hardware::INSTRUCTIONS).build().map_err(|error| {
        format!(
            "this machine lets nobody count instructions ({error}): see /proc/sys/kernel/perf_event_paranoid"
        )
    })?;
    let mut counts = Vec::new();
    let mut measure = |operation: &str, work: &mut dyn FnMut()| -> Result<(), String> {
        work();
        let counted = counter.reset().and_then(|()| counter.enable()).and_then(|()| {
            work();
            counter.disable()?;
            counter.read()
        });
        let total = counted.map_err(|error| format!("counting instructions: {error}"))? as f64;
        counts.push(Count { operation: operation.to_owned(), instructions: total / OPERATIONS as f64 });
        Ok(())
    };
    count_writes(engine, &profile, directory, &mut measure)?;
    count_reads(engine, &profile, directory, &mut measure)?;
    Ok(counts)
}

type Measure<'m> = dyn FnMut(&str, &mut dyn FnMut()) -> Result<(), String> + 'm;

/// Puts into a memtable that is so large that no put waits for a flush, and gets from it.
fn count_writes<E: Engine>(
    engine: &E,
    profile: &Profile,
    directory: &Path,
    measure: &mut Measure,
) -> Result<(), String> {
    let roomy = Profile { write_buffer_size: 256 << 20, ..profile.clone() };
    let store = engine.open(&directory.join("writes"), &roomy);
    let (mut key, mut values, mut random, mut next) = (Key::new(), Values::new(100, 1), Random::new(1), KEYS);
    measure("put, random keys", &mut || {
        (0..OPERATIONS).for_each(|_| store.put(key.set(random.below(KEYS)), values.next(), false));
    })?;
    measure("put, rising keys", &mut || {
        for _ in 0..OPERATIONS {
            store.put(key.set(next), values.next(), false);
            next += 1;
        }
    })?;
    measure("get, from memory", &mut || {
        (0..OPERATIONS).for_each(|_| {
            std::hint::black_box(store.get(key.set(random.below(KEYS))));
        });
    })
}

/// Reads of a compacted database that fits into its block cache.
fn count_reads<E: Engine>(
    engine: &E,
    profile: &Profile,
    directory: &Path,
    measure: &mut Measure,
) -> Result<(), String> {
    let cached = Profile { cache_bytes: Some(256 << 20), ..profile.clone() };
    let store = engine.open(&directory.join("reads"), &cached);
    let (mut key, mut values, mut random) = (Key::new(), Values::new(100, 1), Random::new(1));
    (0..KEYS).for_each(|number| store.put(key.set(number), values.next(), false));
    store.compact();
    // Load the database into the block cache.
    (0..KEYS).for_each(|number| assert!(store.get(key.set(number))));
    measure("get, from tables", &mut || {
        (0..OPERATIONS).for_each(|_| {
            std::hint::black_box(store.get(key.set(random.below(KEYS))));
        });
    })?;
    measure("get, of a missing key", &mut || {
        (0..OPERATIONS).for_each(|_| {
            std::hint::black_box(store.get(key.set_missing(random.below(KEYS))));
        });
    })?;
    let mut cursor = store.cursor();
    cursor.seek_to_first();
    measure("next", &mut || {
        for _ in 0..OPERATIONS {
            std::hint::black_box(cursor.entry());
            cursor.next();
        }
    })?;
    cursor.seek_to_last();
    measure("prev", &mut || {
        for _ in 0..OPERATIONS {
            std::hint::black_box(cursor.entry());
            cursor.prev();
        }
    })?;
    measure("seek", &mut || {
        for _ in 0..OPERATIONS {
            cursor.seek(key.set(random.below(KEYS)));
            std::hint::black_box(cursor.entry());
        }
    })?;
    measure("iterator: create, seek, destroy", &mut || {
        for _ in 0..OPERATIONS {
            let mut cursor = store.cursor();
            cursor.seek(key.set(random.below(KEYS)));
            std::hint::black_box(cursor.entry());
        }
    })
}

/// The table, in Markdown: tests/bench/INSTRUCTIONS.md.
pub fn markdown(engines: &[EnginePath], counts: &[Vec<Count>]) -> String {
    let mut out = String::from(
        "# Instructions of an operation\n\nUser-mode instructions of the calling thread, as the processor counts them (the medians of \
         rounds; the loop around the call is in every figure alike). 16-byte keys, 100-byte values, 200,000 keys; tables \
         compacted and in the block cache. A change that makes a figure of the first column worse needs a reason. Again:\n\n\
         ```sh\nmake bench INSTRUCTIONS=tests/bench/INSTRUCTIONS.md\n```\n\n| operation |",
    );
    for engine in engines {
        let _ = write!(out, " {}{} |", engine.name, if engine.assertions { " (assertions on)" } else { "" });
    }
    let _ = write!(out, "\n|---|{}\n", "--:|".repeat(engines.len()));
    for (at, first) in counts.first().into_iter().flatten().enumerate() {
        let _ = write!(out, "| {} |", first.operation);
        for engine in counts {
            let _ = write!(out, " {:.0} |", engine[at].instructions);
        }
        out.push('\n');
    }
    out
}
