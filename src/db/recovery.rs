//! From the files of a directory to a state: the MANIFEST's edits, then the logs it still needs.
//!
//! Logs are replayed in order of number, each into a memtable of its own, which is *kept*: it takes the place of an immutable
//! memtable whose flush is due, and its log stays until then. So an opening writes nothing, and waits for no disk; what it has
//! read counts as durable only when a MANIFEST of this life says it (see `unconfirmed`).
//!
//! Where there are more than a few logs, or more in them than a memtable holds, or anything is odd about them or the end of the
//! MANIFEST, all of it becomes level-0 tables before the opening ends, written and synced before the MANIFEST that makes the logs
//! unneeded. If that fails, the tables are removed: nothing has changed. So processes that open a database, write and die leave a
//! few small logs, not one more each.
//!
//! A log of which not everything could be replayed is never removed: `Base::lay` sets it aside (see `lost`).

use super::open::Opening;
use crate::batch::write_batch::HEADER_SIZE;
use crate::error::{Error, Result};
use crate::flush::job::{self as flush_job, JobContext};
use crate::format::file_name::{self, FileType};
use crate::format::internal_key::SequenceNumber;
use crate::memtable::memtable::{Memtable, MemtableWriter};
use crate::util::coding::fixed64_at;
use crate::version::file_metadata::FileMetaData;
use crate::version::manifest::{self, ManifestWriter};
use crate::version::version::Version;
use crate::version::version_set::{
    RecoveredCounters, VersionRecovery, VersionSet, check_file_numbers, is_counted,
};
use crate::wal::replay::{Before, ReplayOptions, ReplaySummary, replay_with};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A MANIFEST larger than this is not appended to but replaced.
const MAX_REUSED_MANIFEST_BYTES: u64 = 2 << 20;

/// A log and a MANIFEST.
const NUMBERS_OF_AN_OPENING: u64 = 2;
/// An opening that would keep more logs than this flushes them.
pub(super) const MAX_KEPT_LOGS: usize = 4;

/// A log that is written on.
pub(super) struct ReusedLog {
    pub number: u64,
    pub size: u64,
    /// The last sequence number before its first entry.
    pub begins_after: SequenceNumber,
    /// What it holds.
    pub memtable: Box<MemtableWriter>,
}

/// A log that is to be flushed yet, and what it holds.
pub(super) struct KeptLog {
    pub number: u64,
    /// The last sequence number before its first entry.
    pub begins_after: SequenceNumber,
    pub memtable: Arc<Memtable>,
}

/// What becomes of the MANIFEST that was read.
pub(super) enum FoundManifest {
    /// It stays, as it is, until there is something to write (its number).
    Stays(u64),
    /// It is appended to.
    GoesOn(ManifestWriter),
    /// A new one takes its place before the opening ends.
    IsReplaced,
}

/// The state that the files describe; tables made from logs are durable, nothing is installed.
pub(super) struct Recovered {
    pub versions: VersionSet,
    /// Above every number in the directory.
    pub next_file_number: u64,
    pub last_sequence: SequenceNumber,
    /// Level-0 tables made from the logs, oldest first.
    pub new_files: Vec<Arc<FileMetaData>>,
    /// What of the logs is in memory, oldest first; none if there are `new_files`.
    pub kept_logs: Vec<KeptLog>,
    /// Logs with nothing in them.
    pub empty_logs: Vec<u64>,
    /// Logs with numbers that no log of this opening is above; what they hold is in `new_files`.
    pub stray_logs: Vec<u64>,
    /// Logs that hold what was not replayed.
    pub unused_logs: Vec<u64>,
    /// The last sequence number of the logs that are kept, or else of the tables.
    pub logged: SequenceNumber,
    pub reused_log: Option<ReusedLog>,
    pub manifest: FoundManifest,
    /// What was damaged in the logs and skipped, or odd about them.
    pub damage: Vec<Error>,
    /// What was in the directory.
    pub names: Vec<OsString>,
}

/// The state of a new database.
pub(super) fn fresh(opening: &Opening, path: &Path) -> Result<Recovered> {
    opening.info_log.log(format_args!("creating {}", path.display()));
    let (next_file_number, _, names) = list_files(opening, path, 1)?;
    Ok(Recovered {
        versions: VersionSet::new(opening.comparator_name(), Arc::new(empty(opening))),
        next_file_number,
        last_sequence: 0,
        new_files: Vec::new(),
        kept_logs: Vec::new(),
        empty_logs: Vec::new(),
        stray_logs: Vec::new(),
        unused_logs: Vec::new(),
        logged: 0,
        reused_log: None,
        manifest: FoundManifest::IsReplaced,
        damage: Vec::new(),
        names,
    })
}

fn empty(opening: &Opening) -> Version {
    Version::empty(opening.comparator.clone(), opening.table_cache.clone())
}

/// The next file number, which is `at_least` and above all in the directory but for strays; the files, and their names.
fn list_files(opening: &Opening, path: &Path, at_least: u64) -> Result<(u64, Vec<FileType>, Vec<OsString>)> {
    let names = opening.options.env.children(path)?;
    let mut next_file_number = at_least;
    let mut files = Vec::new();
    for name in &names {
        let Some(file) = file_name::parse(name) else { continue };
        if matches!(file, FileType::Log(number) if file_name::log(path, number).file_name() != Some(name)) {
            let name = Path::new(name).display();
            opening.info_log.log(format_args!("{name}: no log of this database has its number written so"));
            continue;
        }
        files.push(file);
        let (FileType::Log(number)
        | FileType::Table(number)
        | FileType::Manifest(number)
        | FileType::Temp(number)) = file
        else {
            continue;
        };
        if is_counted(number, at_least) {
            next_file_number = next_file_number.max(number + 1);
        } else {
            let name = Path::new(name).display();
            opening.info_log.log(format_args!("{name}: a stray file, by its number, which is not counted"));
        }
    }
    Ok((next_file_number, files, names))
}

/// The state of an existing database.
pub(super) fn recover(opening: &Opening, path: &Path) -> Result<Recovered> {
    let options = &opening.options;
    let mut edits = VersionRecovery::new(opening.comparator_name(), empty(opening));
    let recovered = manifest::recover(&options.env, path, &mut |edit| edits.apply(edit))?;
    let (versions, counters) = edits.finish().map_err(|error| match &recovered.damaged_tail {
        Some(damage) if error.is_corruption() => damage.clone(),
        None if error.is_corruption() => error.context(file_name::manifest(path, recovered.number).display()),
        _ => error,
    })?;
    let (next_file_number, files, names) = list_files(opening, path, counters.next_file_number)?;
    if let Some(damage) = &recovered.damaged_tail {
        if options.paranoid_checks || !may_do_without_last_edit(&versions, &files) {
            return Err(damage.clone());
        }
        opening.info_log.log(format_args!("going on without the last edit, which was not synced: {damage}"));
    }
    check_file_numbers(next_file_number.saturating_add(NUMBERS_OF_AN_OPENING))?;
    check_tables(path, &versions, &files)?;
    let logs = needed_logs(&files, &counters);
    // A stray log is not older than those of this opening: it can't stay.
    let stray_logs: Vec<u64> = logs.iter().copied().filter(|&number| number >= next_file_number).collect();
    // Nothing is odd about its end, so that it will be read as it was now.
    let is_sound = recovered.clean_end
        && recovered.file_size < MAX_REUSED_MANIFEST_BYTES
        && counters.prev_log_number == 0;
    let mut replayer = Replayer {
        opening,
        path,
        version: versions.current().clone(),
        next_file_number: AtomicU64::new(next_file_number),
        last_sequence: counters.last_sequence,
        before: Before::Counted(counters.last_sequence),
        memtable: opening.new_memtable()?,
        // What is kept a worker flushes: a user's comparator would be called from its thread, as LevelDB would not.
        keeps: is_sound && stray_logs.is_empty() && !options.reuse_logs && opening.comparator.is_bytewise(),
        kept_logs: Vec::new(),
        empty_logs: Vec::new(),
        unused_logs: Vec::new(),
        new_files: Vec::new(),
        damage: Vec::new(),
    };
    let reused = match replayer.replay_all(&logs, options.reuse_logs && stray_logs.is_empty()) {
        Ok(reused) => reused,
        Err(error) => {
            remove_tables(opening, path, replayer.new_files);
            return Err(error);
        }
    };
    // One is appended to only if the last life ended cleanly.
    let manifest = match options.reuse_logs && is_sound {
        true => ManifestWriter::reopen(&options.env, path, recovered.number, recovered.file_size)
            .map_or(FoundManifest::IsReplaced, FoundManifest::GoesOn),
        false if replayer.keeps => FoundManifest::Stays(recovered.number),
        false => FoundManifest::IsReplaced,
    };
    let logged = match replayer.before {
        Before::Logged(last) if !replayer.kept_logs.is_empty() => last,
        _ => replayer.last_sequence,
    };
    let memtable = replayer.memtable;
    let reused_log =
        reused.map(|(number, size, begins_after)| ReusedLog { number, size, begins_after, memtable });
    Ok(Recovered {
        versions,
        next_file_number: replayer.next_file_number.into_inner(),
        last_sequence: replayer.last_sequence,
        new_files: replayer.new_files,
        kept_logs: replayer.kept_logs,
        empty_logs: replayer.empty_logs,
        stray_logs,
        unused_logs: replayer.unused_logs,
        logged,
        reused_log,
        manifest,
        damage: replayer.damage,
        names,
    })
}

/// The logs that the MANIFEST does not say to be in tables, oldest first.
fn needed_logs(files: &[FileType], counters: &RecoveredCounters) -> Vec<u64> {
    let mut logs: Vec<u64> = files
        .iter()
        .filter_map(|file| match file {
            FileType::Log(number)
                if *number >= counters.log_number
                    || (*number == counters.prev_log_number && *number != 0) =>
            {
                Some(*number)
            }
            _ => None,
        })
        .collect();
    logs.sort_unstable();
    logs
}

/// The end of the MANIFEST is damaged. If the edit there was never synced, nothing that it made unneeded is gone, so that all
/// is there without it: the oldest log that `versions` needs, and (see `check_tables`) the tables. That log may also be missing
/// because its own name was not synced; then no flush of it has ended, and no table is younger than it but those known.
fn may_do_without_last_edit(versions: &VersionSet, files: &[FileType]) -> bool {
    let known: HashSet<u64> = versions.current().levels.iter().flatten().map(|file| file.number).collect();
    let has_log = files.contains(&FileType::Log(versions.log_number));
    has_log
        || !files.iter().any(|file| {
            matches!(file, FileType::Table(number) if *number > versions.log_number && !known.contains(number))
        })
}

/// Every table the MANIFEST names must be there.
fn check_tables(path: &Path, versions: &VersionSet, files: &[FileType]) -> Result<()> {
    let present: HashSet<u64> = files
        .iter()
        .filter_map(|file| match file {
            FileType::Table(number) => Some(*number),
            _ => None,
        })
        .collect();
    let missing: Vec<u64> = versions
        .current()
        .levels
        .iter()
        .flatten()
        .map(|file| file.number)
        .filter(|number| !present.contains(number))
        .collect();
    match missing.first() {
        None => Ok(()),
        Some(&first) => Err(Error::corruption(format!(
            "{} missing files; e.g.: {}; restore them, or repair the database",
            missing.len(),
            file_name::table(path, first).display()
        ))),
    }
}

/// Replays logs into memtables and tables.
struct Replayer<'a> {
    opening: &'a Opening,
    path: &'a Path,
    /// What the MANIFEST says.
    version: Arc<Version>,
    next_file_number: AtomicU64,
    last_sequence: SequenceNumber,
    /// What was logged before the next log.
    before: Before,
    /// What was replayed last; behind all of `kept_logs`.
    memtable: Box<MemtableWriter>,
    /// Nothing speaks against keeping in memory what the logs hold.
    keeps: bool,
    kept_logs: Vec<KeptLog>,
    empty_logs: Vec<u64>,
    unused_logs: Vec<u64>,
    new_files: Vec<Arc<FileMetaData>>,
    damage: Vec<Error>,
}

impl Replayer<'_> {
    /// Replays `logs` in order. Returns, if the last one may be written on, its number, its size, and the last sequence number
    /// before it.
    fn replay_all(
        &mut self,
        logs: &[u64],
        may_reuse_last: bool,
    ) -> Result<Option<(u64, u64, SequenceNumber)>> {
        for (index, &number) in logs.iter().enumerate() {
            let is_last = index + 1 == logs.len();
            let may_reuse = is_last && may_reuse_last;
            if may_reuse {
                self.flush()?; // what an earlier log holds must not depend on it any more
            }
            let (files_before, last_before) = (self.new_files.len(), self.last_sequence);
            let summary = self.replay_one(number)?;
            // Behind a damaged log it may begin with a gap, which must not look like a loss the next time.
            let before_first = summary.first_sequence.map_or(0, |first| first.saturating_sub(1));
            let begins_after = last_before.max(before_first);
            self.note(number, &summary);
            if may_reuse && summary.is_clean() && self.new_files.len() == files_before {
                return Ok(Some((number, summary.file_size, begins_after)));
            }
            if self.keeps {
                self.keep(number, begins_after)?;
            }
        }
        if !self.keeps {
            self.flush()?;
        }
        Ok(None)
    }

    /// What the replay of the log `number` means for it and for those behind it.
    fn note(&mut self, number: u64, summary: &ReplaySummary) {
        self.keeps &= summary.is_whole() && summary.oddities.is_empty();
        if !summary.is_whole() {
            self.unused_logs.push(number);
        }
        self.damage.extend(summary.damage.iter().chain(&summary.oddities).cloned());
        if summary.damage_count > 0 && summary.stopped_at.is_none() {
            self.before = Before::Unknown; // the damage may explain that something is missing
        } else if let Some(last) = summary.logged {
            // Not `self.last_sequence`: LevelDB's MANIFEST may count entries of the next log already.
            self.before = Before::Logged(last);
        }
    }

    /// The log `number` was replayed, whole, and stays until the memtable is flushed.
    fn keep(&mut self, number: u64, begins_after: SequenceNumber) -> Result<()> {
        if self.memtable.memtable().is_empty() {
            self.empty_logs.push(number);
            return Ok(());
        }
        let next = self.opening.new_memtable()?;
        let memtable = std::mem::replace(&mut self.memtable, next).memtable().clone();
        self.kept_logs.push(KeptLog { number, begins_after, memtable });
        Ok(())
    }

    /// Is more in memory than may be?
    fn is_full(&self) -> bool {
        let kept = self.kept_logs.iter().map(|log| &log.memtable);
        let bytes: usize =
            kept.chain([self.memtable.memtable()]).map(|memtable| memtable.approximate_memory_usage()).sum();
        bytes > self.opening.options.write_buffer_size
    }

    fn replay_one(&mut self, number: u64) -> Result<ReplaySummary> {
        let log = file_name::log(self.path, number);
        self.opening.info_log.log(format_args!("recovering log #{number}"));
        let env = self.opening.options.env.clone();
        let options = ReplayOptions { strict: self.opening.options.paranoid_checks, before: self.before };
        let summary = replay_with(&env, &log, options, &mut |batch| self.apply(batch))?;
        for damage in &summary.damage {
            self.opening.info_log.log(format_args!("log #{number}: skipped damage: {damage}"));
        }
        for oddity in &summary.oddities {
            self.opening.info_log.log(format_args!("log #{number}: replayed all the same: {oddity}"));
        }
        Ok(summary)
    }

    /// Inserts one validated batch.
    fn apply(&mut self, batch: &[u8]) -> Result<()> {
        let (first, entries) =
            (fixed64_at(batch, 0).unwrap_or(0), batch.get(HEADER_SIZE..).unwrap_or_default());
        let next = self.memtable.insert_entries(first, entries)?;
        self.last_sequence = self.last_sequence.max(next.saturating_sub(1));
        self.keeps &= self.kept_logs.len() < MAX_KEPT_LOGS;
        if self.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes all that is in memory to a table and starts another memtable; nothing is kept any more.
    fn flush(&mut self) -> Result<()> {
        self.keeps = false;
        let mut memtables: Vec<_> = self.kept_logs.drain(..).map(|log| log.memtable).collect();
        if !self.memtable.memtable().is_empty() {
            memtables.push(self.memtable.memtable().clone());
        }
        if memtables.is_empty() {
            return Ok(());
        }
        let never = AtomicBool::new(false);
        let context = JobContext {
            env: &self.opening.options.env,
            db: self.path,
            table_cache: &self.opening.table_cache,
            next_file_number: &self.next_file_number,
            snapshots: vec![self.last_sequence],
            shutting_down: &never,
            paranoid_checks: self.opening.options.paranoid_checks,
            max_subcompactions: 1,
            found_compression: &self.opening.found_compression,
            info_log: &self.opening.info_log,
        };
        self.opening.found_compression.look(&self.version, &self.opening.table_cache);
        let number = self.next_file_number.fetch_add(1, Ordering::Relaxed);
        self.new_files.extend(flush_job::run(&memtables, number, &context)?);
        self.memtable = self.opening.new_memtable()?;
        Ok(())
    }
}

/// Removes tables that an opening has made and no MANIFEST names. The next one may need their space.
pub(super) fn remove_tables(opening: &Opening, path: &Path, files: Vec<Arc<FileMetaData>>) {
    for file in files {
        opening.table_cache.evict(file.number);
        let _ = opening.options.env.remove_file(&file_name::table(path, file.number));
    }
}
