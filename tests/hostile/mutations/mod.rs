//! Twenty-two thousand databases, two thousand of them with column families, each changed in a few places of
//! its structure (a varint, a block handle, a key, a restart point, a field of an edit, the name of a file),
//! with correct checksums: opened with and without paranoid checks, read in every way, written, compacted,
//! repaired. In every case: no panic on any thread, no hang, no excessive memory, no change by an open that
//! fails.
//!
//! `TERRACE_SEED=n` runs mutation n alone; `TERRACE_MUTATIONS=n` runs n of them.

mod bytes;
mod records;
mod table;

use super::allocations;
use crate::fuzz::archive::Files;
use crate::fuzz::bases::{self, Base};
use crate::fuzz::exercise::{self, Outcome};
use crate::fuzz::mend::{self, file_type};
use crate::support::random::{self, Random, announce, count, number_from_env};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use terrace::internals::format::file_name::FileType;

const MUTATIONS: u64 = 22_000;

/// Of all mutations, those from this one on are of databases with column families.
const OF_LEVELDB: u64 = 20_000;

/// The number of processes that share the work.
const PROCESSES: u64 = 2;

/// The limit of processor time of one mutation, for all its threads together.
const MOST_TIME: Duration = Duration::from_secs(1);

/// The memory limit of one mutation, in bytes.
const MOST_MEMORY: usize = 256 << 20;

/// The time limit of one mutation, on a busy machine: after it, the mutation counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// The environment variable with the number of the part of the work that a process does.
const PART: &str = "TERRACE_MUTATIONS_PART";

/// The mutations to run: those selected by the environment, or all.
fn seeds() -> std::ops::Range<u64> {
    random::seeds(number_from_env("TERRACE_MUTATIONS").unwrap_or(MUTATIONS))
}

#[test]
fn no_mutation_of_a_database_does_harm() {
    announce(&format!("hostile: mutations {:?}", seeds()));
    let mutations = seeds().end - seeds().start;
    let children = (0..PROCESSES).map(|part| {
        // A process of its own, because memory and panics are counted per process.
        let program = std::env::current_exe().expect("the path of this test");
        Command::new(program)
            .args(["--exact", "hostile::mutations::one_part_of_the_mutations", "--ignored", "--nocapture"])
            .env(PART, part.to_string())
            .spawn()
            .expect("a second process of this test")
    });
    let ends: Vec<_> = children.collect::<Vec<_>>().into_iter().map(|mut child| child.wait()).collect();
    for end in ends {
        let end = end.expect("the end of a child");
        assert!(end.success(), "{end}: see above");
    }
    count('F', mutations, "mutations of databases");
}

/// Changes files of random kinds, once to three times.
fn mutate(random: &mut Random, base: &Base) -> Files {
    let mut files = base.files.clone();
    for _ in 0..=random.below(3) {
        match random.below(16) {
            0..=6 => {
                change_file(random, &mut files, table::change, |kind| matches!(kind, FileType::Table(_)))
            }
            7..=10 => change_file(random, &mut files, records::change_manifest, |kind| {
                matches!(kind, FileType::Manifest(_))
            }),
            11..=13 => {
                change_file(random, &mut files, records::change_log, |kind| matches!(kind, FileType::Log(_)));
            }
            14 => change_file(random, &mut files, bytes::change_bytes, |kind| kind == FileType::Current),
            _ => change_names(random, &mut files),
        }
        if random.below(8) != 0 {
            mend_sizes(&mut files, base);
        }
    }
    files
}

/// The files of mutation `seed`, for other tests.
pub fn mutated(bases: &[Base], seed: u64) -> Files {
    let mut random = Random::new(seed);
    let base = &bases[random.below(bases.len() as u64) as usize];
    mutate(&mut random, base)
}

/// Corrects the sizes of tables in the MANIFEST, because a table whose length was changed is only read if the
/// MANIFEST agrees. A MANIFEST that was changed itself is not corrected.
fn mend_sizes(files: &mut Files, base: &Base) {
    let is_as_it_was = files
        .iter()
        .filter(|(name, _)| matches!(file_type(name), Some(FileType::Manifest(_))))
        .all(|file| base.files.contains(file));
    if is_as_it_was {
        mend::table_sizes(files);
    }
}

fn change_file(
    random: &mut Random,
    files: &mut Files,
    change: fn(&mut Random, &mut Vec<u8>),
    is_meant: fn(FileType) -> bool,
) {
    let meant: Vec<usize> =
        (0..files.len()).filter(|&index| file_type(&files[index].0).is_some_and(is_meant)).collect();
    if !meant.is_empty() {
        let index = random.pick(&meant);
        change(random, &mut files[index].1);
    }
}

/// Removes or renames a file, or exchanges two files.
fn change_names(random: &mut Random, files: &mut Files) {
    if files.is_empty() {
        return;
    }
    let (at, other) = (random.below(files.len() as u64) as usize, random.below(files.len() as u64) as usize);
    let number = bytes::odd_number(random, 5);
    let names = [
        files[at].0.replace(".ldb", ".sst"),
        format!("{number:06}.ldb"),
        format!("{number:06}.log"),
        format!("MANIFEST-{number:06}"),
        format!("{number:06}.dbtmp"),
        "LOG".to_owned(),
        "stranger".to_owned(),
    ];
    match random.below(4) {
        0 => drop(files.remove(at)),
        1 => {
            let content = std::mem::take(&mut files[at].1);
            files[at].1 = std::mem::replace(&mut files[other].1, content);
        }
        2 => files[at].0 = random.pick(&names),
        _ => files.push((random.pick(&names), files[at].1.clone())),
    }
    // Each name must have one file only.
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files.dedup_by(|a, b| a.0 == b.0);
}

/// The panics of this process, on any thread.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer points to a timespec.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Ends the process if a mutation takes too long.
fn watch(current: &'static AtomicU64) {
    std::thread::spawn(|| {
        let (mut seen, mut since) = (u64::MAX, Instant::now());
        loop {
            std::thread::sleep(PATIENCE / 60);
            let seed = current.load(Ordering::Relaxed);
            if seed != seen {
                (seen, since) = (seed, Instant::now());
            } else if since.elapsed() > PATIENCE {
                announce(&format!("TERRACE_SEED={seed}: hangs"));
                std::process::abort();
            }
        }
    });
}

/// The test above runs this one in processes of its own.
#[test]
#[ignore = "run by no_mutation_of_a_database_does_harm, in processes of its own"]
fn one_part_of_the_mutations() {
    static CURRENT: AtomicU64 = AtomicU64::new(0);
    let part = number_from_env(PART).unwrap_or(0);
    let processes = std::env::var_os(PART).map_or(1, |_| PROCESSES);
    std::panic::set_hook(Box::new(|panic| {
        let trace = std::backtrace::Backtrace::capture();
        PANICS.lock().unwrap_or_else(|error| error.into_inner()).push(format!("{panic}\n{trace}"));
    }));
    watch(&CURRENT);
    let (of_leveldb, with_families) = (bases::all(), bases::with_families());
    let (mut slowest, mut largest) = ((Duration::ZERO, 0), (0, 0));
    let (mut failed, mut counts) = (0, [0u64; 5]);
    for seed in seeds().filter(|seed| seed % processes == part) {
        CURRENT.store(seed, Ordering::Relaxed);
        let mut random = Random::new(seed);
        let bases = if seed % MUTATIONS < OF_LEVELDB { &of_leveldb } else { &with_families };
        let base = &bases[random.below(bases.len() as u64) as usize];
        let files = mutate(&mut random, base);
        let setting = exercise::Setting { mappings: random.one_in(2), ..base.setting };
        let (began, before) = (processor_time(), allocations::start());
        let outcome = catch_unwind(AssertUnwindSafe(|| exercise::directory(&files, setting)));
        let (time, memory) = (processor_time() - began, allocations::peak().saturating_sub(before));
        if let Ok(outcome) = outcome {
            let Outcome { opened, was_damaged, opened_paranoidly, repaired } = outcome;
            for (count, yes) in
                counts.iter_mut().zip([true, opened, was_damaged, opened_paranoidly, repaired])
            {
                *count += u64::from(yes);
            }
        }
        slowest = slowest.max((time, seed));
        largest = largest.max((memory, seed));
        let mut complaints = std::mem::take(&mut *PANICS.lock().expect("no panic under this lock"));
        if time > MOST_TIME {
            complaints.push(format!("it took {time:?}"));
        }
        if memory > MOST_MEMORY {
            complaints.push(format!("it took {memory} bytes"));
        }
        if !complaints.is_empty() {
            failed += 1;
            announce(&format!("TERRACE_SEED={seed} ({}): {}", base.name, complaints.join("\n")));
        }
    }
    drop(std::panic::take_hook());
    let [done, opened, damaged, opened_paranoidly, repaired] = counts;
    announce(&format!(
        "hostile: part {part}: of {done} mutations {opened} opened ({damaged} with damage that showed), \
         {opened_paranoidly} opened paranoidly, {repaired} could be repaired"
    ));
    announce(&format!(
        "hostile: part {part}: slowest {:?} (mutation {}), largest {} KiB (mutation {})",
        slowest.0,
        slowest.1,
        largest.0 >> 10,
        largest.1
    ));
    assert_eq!(failed, 0, "mutations that did harm");
    if done > 1000 {
        // Otherwise the mutations are useless: nearly all are refused at once, or hardly any is noticed.
        assert!(opened > done / 4 && damaged > done / 10 && opened_paranoidly < done * 9 / 10);
    }
}
