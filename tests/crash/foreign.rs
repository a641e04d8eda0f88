//! Directories as LevelDB leaves them after a power loss. LevelDB syncs each WAL alone, so the end of an
//! older WAL may be lost although a younger, synced one is complete. These WALs have no marker; there may be
//! several, or one that the MANIFEST names as the previous WAL.
//!
//! The expected result is LevelDB's rule: of each WAL every batch before its damage, independent of the
//! others, and no batch in part. The stronger rule for our own WALs (I1-I3) is in `oracle`.

use super::run::PATH;
use super::states::open;
use super::workload::Setup;
use crate::support::random::{Random, announce, count, seeds};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use terrace::env::mem::{CrashChoice, MemEnv};
use terrace::env::{CreateMode, Env};
use terrace::internals::format::file_name;
use terrace::internals::language::Language;
use terrace::internals::record::writer::RecordWriter;
use terrace::internals::version::manifest::ManifestWriter;
use terrace::internals::version::version_edit::VersionEdit;
use terrace::{Db, ReadOptions, WriteBatch, WriteOptions};

const DIRECTORIES: u64 = 400;

/// One WAL after the power loss.
struct Log {
    number: u64,
    bytes: Vec<u8>,
    /// Batches before the damage.
    whole: Vec<u64>,
    /// Is the WAL undamaged?
    is_whole: bool,
}

fn key(batch: u64, half: char) -> Vec<u8> {
    format!("{batch:06}{half}").into_bytes()
}

/// Writes a WAL of `batches`, each with two keys, and cuts off its end unless it is `synced`.
fn log(disk: &MemEnv, random: &mut Random, number: u64, batches: std::ops::Range<u64>, synced: bool) -> Log {
    let path = PathBuf::from("/scratch");
    let mut writer =
        RecordWriter::new(disk.create_writable(&path, CreateMode::Truncate).expect("a file in memory"), 0);
    let mut ends = Vec::new();
    for number in batches.clone() {
        let mut batch = WriteBatch::new();
        let length = random.pick(&[0, 10, 300, 3000, 40_000]);
        for half in ['a', 'b'] {
            batch.put(&key(number, half), &vec![b'v'; length as usize]);
        }
        batch.set_sequence(1 + number * 2);
        writer.add_record(batch.rep()).expect("a write to memory");
        ends.push(writer.file_size() as usize);
    }
    writer.close().expect("a close in memory");
    let whole = disk.files().into_iter().find(|(other, _)| *other == path).expect("the file").1;
    let mut bytes = whole.clone();
    if !synced && !bytes.is_empty() {
        let cut = random.below(bytes.len() as u64) as usize;
        // The end is at a sector boundary, or anywhere.
        let cut = if random.one_in(2) { cut / 512 * 512 } else { cut };
        match random.below(4) {
            0 => bytes.truncate(cut),
            1 => bytes[cut..].fill(0),
            2 => {
                bytes.truncate(cut);
                bytes.resize(cut + random.below(200_000) as usize, 0);
            }
            _ => bytes[cut..].iter_mut().for_each(|byte| *byte = random.next() as u8),
        }
    }
    let same = bytes.iter().zip(&whole).take_while(|(a, b)| a == b).count();
    let is_whole = bytes == whole;
    let whole = batches.zip(ends).filter(|(_, end)| *end <= same).map(|(batch, _)| batch).collect();
    Log { number, bytes, whole, is_whole }
}

fn put_file(disk: &MemEnv, path: &Path, bytes: &[u8]) {
    let mut file = disk.create_writable(path, CreateMode::Truncate).expect("a file in memory");
    file.append(bytes).and_then(|()| file.sync()).and_then(|()| file.close()).expect("a write to memory");
}

/// The batches that the database has. Checks that each is complete.
fn found(db: &Db, batches: u64) -> Result<BTreeSet<u64>, String> {
    let has = |batch: u64, half: char| {
        db.get(&ReadOptions::default(), &key(batch, half)).map(|value| value.is_some())
    };
    let mut found = BTreeSet::new();
    for batch in 0..batches {
        match (has(batch, 'a'), has(batch, 'b')) {
            (Ok(a), Ok(b)) if a == b => _ = a.then(|| found.insert(batch)),
            (Ok(_), Ok(_)) => return Err(format!("batch {batch} is there by half")),
            (a, b) => return Err(format!("get fails: {a:?} {b:?}")),
        }
    }
    Ok(found)
}

fn check(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let setup = Setup::numbered(random.next());
    let disk = MemEnv::with_journal();
    disk.create_dir(Path::new(PATH)).expect("a directory in memory");
    let (mut logs, mut next) = (Vec::new(), 0);
    for index in 0..1 + random.below(4) {
        let batches = next..next + 1 + random.below(8);
        next = batches.end;
        let synced = random.one_in(2);
        logs.push(log(&disk, &mut random, 3 + 2 * index, batches, synced));
    }
    for log in &logs {
        put_file(&disk, &file_name::log(Path::new(PATH), log.number), &log.bytes);
    }
    let has_previous = random.one_in(4) && logs.len() > 1;
    let edit = VersionEdit {
        comparator: Some(b"leveldb.BytewiseComparator".to_vec()),
        log_number: Some(logs[usize::from(has_previous)].number),
        prev_log_number: Some(if has_previous { logs[0].number } else { 0 }),
        next_file_number: Some(100),
        // LevelDB's number includes entries in WALs.
        last_sequence: Some(random.below(next * 2 + 1)),
        ..VersionEdit::default()
    };
    let env = disk.shared();
    assert!(
        ManifestWriter::create(&env, Path::new(PATH), 2, Language::LevelDb, &[edit]).is_ok(),
        "a MANIFEST in memory"
    );
    env.sync_dir(Path::new(PATH)).and_then(|()| env.sync_dir(Path::new("/"))).expect("names in memory");

    let before = disk.crash_clone(CrashChoice::Everything);
    let strict = disk.crash_clone(CrashChoice::Everything);
    let db = open(&setup, &disk, false).map_err(|error| format!("it does not open: {error}"))?;
    let first = found(&db, next)?;
    for log in &logs {
        if let Some(lost) = log.whole.iter().find(|batch| !first.contains(batch)) {
            return Err(format!("batch {lost} of log {} is not found: {first:?}", log.number));
        }
        let lost = Path::new(PATH).join(format!("lost/{:06}.log", log.number));
        if log.is_whole && env.exists(&lost) {
            return Err(format!("log {} is set aside", log.number));
        }
    }
    db.put(&WriteOptions { sync: true }, b"synced since", b"v").map_err(|error| error.to_string())?;
    let crashed = disk.crash_clone(CrashChoice::OnlySynced);
    drop(db);
    for disk in [&disk, &crashed] {
        let db = open(&setup, disk, false).map_err(|error| format!("it does not open again: {error}"))?;
        if found(&db, next)? != first {
            return Err("the next opening differs".to_owned());
        }
        let since = db.get(&ReadOptions::default(), b"synced since").map_err(|error| error.to_string())?;
        since.ok_or("what was synced since is lost")?;
    }
    match open(&setup, &strict, true) {
        Ok(db) if found(&db, next)? == first => Ok(()),
        Ok(_) => Err("a paranoid opening finds something else".to_owned()),
        Err(error) if !error.is_corruption() => Err(format!("a paranoid opening fails otherwise: {error}")),
        Err(error) => {
            let all = |disk: &MemEnv| {
                let mut files = disk.files();
                files.retain(|(path, _)| !path.ends_with("LOCK"));
                files
            };
            if all(&strict) == all(&before) { Ok(()) } else { Err(format!("files changed although {error}")) }
        }
    }
}

#[test]
fn what_leveldb_leaves_after_a_power_cut_is_found_as_leveldb_finds_it() {
    let mut states = 0;
    for seed in seeds(DIRECTORIES) {
        check(seed).unwrap_or_else(|what| panic!("TERRACE_SEED={seed}: {what}"));
        states += 1;
    }
    announce(&format!("crash: {states} directories as LevelDB leaves them"));
    count('C', states, "directories as LevelDB leaves them");
}
