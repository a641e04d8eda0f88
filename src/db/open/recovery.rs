//! Recovery: reads the state from the files of a directory. First the edits of the MANIFEST, then the WALs
//! that it still needs.
//!
//! WALs are replayed in the order of their numbers, each into memtables of its own, one for each family. An
//! entry that its family has in a table already (the family's log number is above the WAL's) is left out. The
//! memtables are *kept*: they become immutable memtables whose flush is due, and their WAL stays until that
//! flush. So an open writes nothing, and waits for no disk. What it has read counts as durable only when a
//! MANIFEST of this process says it (see `recovery_debt`).
//!
//! In some cases nothing is kept: more than `MAX_KEPT_LOGS` WALs have entries; the entries take more memory
//! than one memtable may; something is odd about the WALs or the MANIFEST (its end, its length, a previous
//! log number); `reuse_logs` is set; the comparator is a user's. Then all entries (except those of a reused
//! WAL) become level-0 tables before the open ends, written and synced before the MANIFEST that makes the
//! WALs obsolete. If that fails, the tables are removed, and nothing has changed. So processes that open a
//! database, write and die leave a few small WALs, not one more each.
//!
//! A WAL of which not everything could be replayed is never removed without a copy: `Recovered::carry_out`
//! sets it aside (see `lost`).
//!
//! Thread rule: used by one thread.

use crate::batch::HEADER_SIZE;
use crate::batch::decode::BatchIter;
use crate::column_family::super_version::SuperVersion;
use crate::db::open::context::{OpenContext, insert_batch};
use crate::db::open::plan::{Kept, Recovered, RecoveredWal, RecoveryPlan, ReusedWal, Rewrite, new_memtables};
use crate::db::wal_set::WalFile;
use crate::error::{Error, Result};
use crate::flush::job as flush_job;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::family_set::FamilySet;
use crate::format::file_name::{self, FileType};
use crate::format::internal_key::SequenceNumber;
use crate::job::context::JobContext;
use crate::language::Language;
use crate::memtable::{Memtable, MemtableWriter};
use crate::options::LanguagePolicy;
use crate::util::coding::fixed64_at;
use crate::version::file_metadata::FileMetaData;
use crate::version::manifest::{self, ManifestWriter, RecoveredManifest};
use crate::version::version_set::{
    FamilyBase, RecoveredCounters, VersionRecovery, VersionSet, check_file_numbers, is_counted,
};
use crate::wal::replay::{ExpectedFirstSequence, ReplayOptions, ReplaySummary, replay};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A MANIFEST of this length or more is replaced at open, and not appended to. In bytes.
const MAX_REUSED_MANIFEST_BYTES: u64 = 2 << 20;

/// An open takes at least this many file numbers: for a WAL and a MANIFEST.
const NUMBERS_OF_AN_OPENING: u64 = 2;
/// If more WALs than this have entries, the open flushes them.
pub(in crate::db) const MAX_KEPT_LOGS: usize = 4;

/// The state of a new database.
pub(in crate::db) fn fresh(opening: &OpenContext, path: &Path) -> Result<Recovered> {
    opening.info_log.log(format_args!("creating {}", path.display()));
    let (next_file_number, _, names) = list_files(opening, path, 1)?;
    let family = opening.default_family();
    let version = Arc::new(family.empty_version());
    let versions = VersionSet::new(language_of_new(opening), family.comparator_name(), version);
    check_families(opening, &versions)?;
    Ok(Recovered {
        versions,
        next_file_number,
        last_sequence: 0,
        logged: 0,
        plan: RecoveryPlan::Write(Box::default()),
        damage: Vec::new(),
        names,
    })
}

/// The language of a new database.
fn language_of_new(opening: &OpenContext) -> Language {
    match opening.options.language {
        LanguagePolicy::LevelDb | LanguagePolicy::MaySwitch => Language::LevelDb,
        LanguagePolicy::RocksDb => Language::RocksDb,
    }
}

/// InvalidArgument if the opener names a family that is not there and is not to be created.
fn check_families(opening: &OpenContext, versions: &VersionSet) -> Result<()> {
    let missing = opening.families.iter().find(|family| versions.find(&family.name).is_none());
    match missing {
        Some(family) if !opening.options.create_missing_column_families => {
            Err(Error::invalid_argument(format!(
                "column family not found: {} (create_missing_column_families is false)",
                family.name.escape_ascii()
            )))
        }
        _ => Ok(()),
    }
}

/// What the MANIFEST's reader must know of the family with this name; `None` if the opener does not name it.
pub(in crate::db) fn base_of(opening: &OpenContext, name: &[u8]) -> Option<FamilyBase> {
    let family = opening.find(name)?;
    Some(FamilyBase { comparator_name: family.comparator_name(), version: family.empty_version() })
}

/// The next file number, the files, and their names. The number is not below `at_least` and above every
/// number in the directory that counts (strays do not).
fn list_files(
    opening: &OpenContext,
    path: &Path,
    at_least: u64,
) -> Result<(u64, Vec<FileType>, Vec<OsString>)> {
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

/// What the MANIFEST and the names of the files say.
struct Found {
    manifest: RecoveredManifest,
    versions: VersionSet,
    counters: RecoveredCounters,
    /// Above every number in the directory that counts.
    next_file_number: u64,
    files: Vec<FileType>,
    names: Vec<OsString>,
    /// The WALs that may have entries which are in no table.
    wals: Vec<u64>,
}

/// NotSupported if a table has a feature of RocksDB's that is not read. Asked after RocksDB has written a
/// MANIFEST, which lacks what ours says of the WALs: then nothing is changed in the directory. Damage appears
/// when it is read.
fn check_understood(opening: &OpenContext, versions: &VersionSet) -> Result<()> {
    for (_, of_manifest) in versions.families() {
        let tables = &opening.of(of_manifest)?.table_cache;
        for file in of_manifest.current().levels.iter().flatten() {
            match file.table(tables) {
                Err(error) if error.is_not_supported() => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Reads the MANIFEST, and finds its files. (Not inlined: the frame of the caller stays while WALs are
/// replayed, and threads may have small stacks.)
#[inline(never)]
fn find(opening: &OpenContext, path: &Path) -> Result<Found> {
    let options = &opening.options;
    let base_of = |name: &[u8]| base_of(opening, name);
    let mut edits = VersionRecovery::new(&base_of);
    let mut manifest = manifest::recover(&options.env, path, &mut |edit| edits.apply(edit))?;
    manifest.clean_end &= !edits.is_within_group();
    let (versions, counters) = edits.finish().map_err(|error| match &manifest.damaged_tail {
        Some(damage) if error.is_corruption() => damage.clone(),
        None if error.is_corruption() => error.context(file_name::manifest(path, manifest.number).display()),
        _ => error,
    })?;
    let (next_file_number, files, names) = list_files(opening, path, counters.next_file_number)?;
    if let Some(damage) = &manifest.damaged_tail {
        if options.paranoid_checks || !may_do_without_last_edit(&versions, &files) {
            return Err(damage.clone());
        }
        opening.info_log.log(format_args!("going on without the last edit, which was not synced: {damage}"));
    }
    check_families(opening, &versions)?;
    check_file_numbers(next_file_number.saturating_add(NUMBERS_OF_AN_OPENING))?;
    check_tables(path, &versions, &files)?;
    if versions.language() == Language::RocksDb && counters.logged_before.is_none() {
        check_understood(opening, &versions)?;
    }
    let wals = needed_logs(&files, &counters);
    Ok(Found { manifest, versions, counters, next_file_number, files, names, wals })
}

/// The state of an existing database.
pub(in crate::db) fn recover(opening: &OpenContext, path: &Path) -> Result<Recovered> {
    let options = &opening.options;
    let Found { manifest, versions, counters, next_file_number, files, names, wals } = find(opening, path)?;
    // The number of a stray WAL is above those of the WALs of this open, so it cannot stay.
    let stray_wals: Vec<u64> = wals.iter().copied().filter(|&number| number >= next_file_number).collect();
    // Is the MANIFEST whole, so that the next open will read it as this one did, and short enough to be
    // appended to?
    let is_sound =
        manifest.clean_end && manifest.file_size < MAX_REUSED_MANIFEST_BYTES && counters.prev_log_number == 0;
    let is_bytewise = opening.families.iter().all(|family| family.comparator.is_bytewise());
    let mut replayer = Replayer::new(opening, path, &versions, &counters, next_file_number)?;
    // A worker flushes the kept memtables. It would call a user's comparator from its own thread, which
    // LevelDB does not do during an open.
    replayer.keeps_in_memory = is_sound && stray_wals.is_empty() && !options.reuse_logs && is_bytewise;
    let reused = match replayer.replay_all(&wals, options.reuse_logs && stray_wals.is_empty()) {
        Ok(reused) => reused,
        Err(error) => {
            opening.remove_tables(path, replayer.new_files.iter().map(|(_, file)| file));
            return Err(error);
        }
    };
    // If an edit that is appended came out as garbage, `may_do_without_last_edit` would have to tell the
    // tables that an earlier crash has left from those of that edit. It looks for the oldest WAL, which in
    // RocksDB's language may have been removed: every family may have moved on to a WAL that a crash did not
    // leave.
    let oldest_wal = FileType::Log(versions.min_log_number());
    let may_append = is_sound && (versions.language() == Language::LevelDb || files.contains(&oldest_wal));
    let found = FoundManifest { number: manifest.number, size: manifest.file_size, may_append };
    let decided = replayer.decide(&found, reused, stray_wals);
    Ok(decided.into_recovered(versions, names))
}

/// The contents of the default family of an existing database that has no other family, for reading.
/// Nothing is written: the entries of the WALs, however many there are, are in memory.
pub(in crate::db) fn read_contents(opening: &OpenContext, path: &Path) -> Result<SuperVersion> {
    let Found { versions, counters, next_file_number, wals, .. } = find(opening, path)?;
    let mut replayer = Replayer::new(opening, path, &versions, &counters, next_file_number)?;
    replayer.may_flush = false;
    replayer.replay_all(&wals, false)?;
    let memtable = replayer.memtables[ColumnFamilyId::DEFAULT].memtable().clone();
    let version = versions.current(ColumnFamilyId::DEFAULT).clone();
    Ok(SuperVersion::new(memtable, Vec::new(), version))
}

/// The MANIFEST that was read.
struct FoundManifest {
    number: u64,
    size: u64,
    /// Does it end with a whole record, is it short enough to be appended to, and in RocksDB's language is
    /// its oldest WAL there?
    may_append: bool,
}

/// The WALs whose entries may not all be in tables, by the MANIFEST, oldest first.
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

/// May the state be used without the last edit? Called if the end of the MANIFEST is damaged.
///
/// If the edit there was never synced, no file that it made obsolete has been removed. So everything is there
/// without it: the oldest WAL that `versions` needs, and (see `check_tables`) the tables. That WAL may also
/// be missing because its own name was not synced. Then no flush of it has ended, and no table is younger
/// than the WAL except those that `versions` has.
fn may_do_without_last_edit(versions: &VersionSet, files: &[FileType]) -> bool {
    let known: HashSet<u64> = versions.live_files().map(|file| file.number).collect();
    let has_log = files.contains(&FileType::Log(versions.min_log_number()));
    has_log
        || !files.iter().any(|file| {
            matches!(file, FileType::Table(number) if *number > versions.min_log_number() && !known.contains(number))
        })
}

/// Checks that every table that the MANIFEST names is there.
fn check_tables(path: &Path, versions: &VersionSet, files: &[FileType]) -> Result<()> {
    let present: HashSet<u64> = files
        .iter()
        .filter_map(|file| match file {
            FileType::Table(number) => Some(*number),
            _ => None,
        })
        .collect();
    let numbers = versions.live_files().map(|file| file.number);
    let missing: Vec<u64> = numbers.filter(|number| !present.contains(number)).collect();
    match missing.first() {
        None => Ok(()),
        Some(&first) => Err(Error::corruption(format!(
            "{} missing files; e.g.: {}; restore them, or repair the database",
            missing.len(),
            file_name::table(path, first).display()
        ))),
    }
}

/// Replays WALs into memtables and tables.
struct Replayer<'a> {
    opening: &'a OpenContext,
    path: &'a Path,
    /// The state that the MANIFEST describes.
    versions: &'a VersionSet,
    next_file_number: AtomicU64,
    last_sequence: SequenceNumber,
    /// What is known of the sequence numbers before the next WAL.
    before: ExpectedFirstSequence,
    /// The entries that were replayed last, by family, newer than those of all `kept_wals`.
    memtables: FamilySet<Box<MemtableWriter>>,
    /// The memory that the entries in `kept_wals` and `memtables` take: not more than one memtable may.
    bytes_in_memory: usize,
    /// May the entries of the WALs still be kept in memory, each WAL's in memtables of its own?
    keeps_in_memory: bool,
    /// May entries be written to tables? If not, they all stay in `memtables`.
    may_flush: bool,
    kept_wals: Vec<RecoveredWal>,
    empty_wals: Vec<u64>,
    unused_wals: Vec<u64>,
    new_files: Vec<(ColumnFamilyId, Arc<FileMetaData>)>,
    damage: Vec<Error>,
}

/// What a replay has led to.
struct Decided {
    next_file_number: u64,
    last_sequence: SequenceNumber,
    logged: SequenceNumber,
    plan: RecoveryPlan,
    damage: Vec<Error>,
}

impl Decided {
    fn into_recovered(self, versions: VersionSet, names: Vec<OsString>) -> Recovered {
        let Decided { next_file_number, last_sequence, logged, plan, damage } = self;
        Recovered { versions, next_file_number, last_sequence, logged, plan, damage, names }
    }
}

impl<'a> Replayer<'a> {
    /// Nothing is replayed yet. Entries are not kept in memory, unless the caller sets that.
    fn new(
        opening: &'a OpenContext,
        path: &'a Path,
        versions: &'a VersionSet,
        counters: &RecoveredCounters,
        next_file_number: u64,
    ) -> Result<Self> {
        Ok(Replayer {
            opening,
            path,
            versions,
            next_file_number: AtomicU64::new(next_file_number),
            last_sequence: counters.last_sequence,
            before: match (versions.language(), counters.logged_before) {
                (Language::LevelDb, _) => ExpectedFirstSequence::Counted(counters.last_sequence),
                (Language::RocksDb, Some(logged)) => ExpectedFirstSequence::Counted(logged),
                (Language::RocksDb, None) => ExpectedFirstSequence::Unknown,
            },
            memtables: new_memtables(opening, versions)?,
            bytes_in_memory: 0,
            keeps_in_memory: false,
            may_flush: true,
            kept_wals: Vec::new(),
            empty_wals: Vec::new(),
            unused_wals: Vec::new(),
            new_files: Vec::new(),
            damage: Vec::new(),
        })
    }

    /// Replays the WALs `logs` in order. Returns the last one and its size, if it may be appended to.
    fn replay_all(&mut self, logs: &[u64], may_reuse_last: bool) -> Result<Option<(WalFile, u64)>> {
        for (index, &number) in logs.iter().enumerate() {
            let is_last = index + 1 == logs.len();
            let may_reuse = is_last && may_reuse_last;
            if may_reuse {
                self.flush()?; // entries of earlier WALs must not depend on those WALs any more
            }
            let (files_before, last_before) = (self.new_files.len(), self.last_sequence);
            let summary = self.replay_one(number)?;
            // After a damaged WAL this one may begin with a gap, which the next recovery must not take for a
            // loss.
            let before_first = summary.first_sequence.map_or(0, |first| first.saturating_sub(1));
            let begins_after = last_before.max(before_first);
            self.note(number, &summary);
            // A family that needs only younger WALs would not find again what is written to this one.
            let serves_all = self.versions.families().all(|(id, _)| self.versions.log_number(id) <= number);
            if may_reuse && serves_all && summary.is_clean() && self.new_files.len() == files_before {
                return Ok(Some((WalFile { number, begins_after, size: 0 }, summary.file_size)));
            }
            if self.keeps_in_memory {
                let file = WalFile { number, begins_after, size: summary.file_size };
                self.keep(file, summary.last_sequence > 0)?;
            }
        }
        if !self.keeps_in_memory {
            self.flush()?;
        }
        Ok(None)
    }

    /// Decides what the open does with the replayed entries.
    fn decide(self, found: &FoundManifest, reused: Option<(WalFile, u64)>, stray_wals: Vec<u64>) -> Decided {
        let logged = match self.before {
            ExpectedFirstSequence::Logged(last) if !self.kept_wals.is_empty() => last,
            _ => self.last_sequence,
        };
        let env = &self.opening.options.env;
        // A MANIFEST is appended to only if it ends with a whole record.
        let may_append = self.opening.options.reuse_logs && found.may_append;
        let plan = if self.keeps_in_memory {
            RecoveryPlan::KeepInMemory(Kept {
                manifest: found.number,
                wals: self.kept_wals,
                empty_wals: self.empty_wals,
            })
        } else {
            let (memtables, language) = (self.memtables, self.versions.language());
            RecoveryPlan::Write(Box::new(Rewrite {
                manifest: may_append
                    .then(|| ManifestWriter::reopen(env, self.path, found.number, found.size, language).ok())
                    .flatten(),
                new_files: self.new_files,
                reused_wal: reused.map(|(file, size)| ReusedWal { file, size, memtables }),
                stray_wals,
                unused_wals: self.unused_wals,
            }))
        };
        Decided {
            next_file_number: self.next_file_number.into_inner(),
            last_sequence: self.last_sequence,
            logged,
            plan,
            damage: self.damage,
        }
    }

    /// Evaluates the replay of the WAL `number`, for that WAL and for those after it.
    fn note(&mut self, number: u64, summary: &ReplaySummary) {
        self.keeps_in_memory &= summary.is_whole() && summary.oddities.is_empty();
        if !summary.is_whole() {
            self.unused_wals.push(number);
        }
        self.damage.extend(summary.damage.iter().chain(&summary.oddities).cloned());
        if summary.damage_count > 0 && summary.stopped_at.is_none() {
            self.before = ExpectedFirstSequence::Unknown; // the damage may explain a gap
        } else if let Some(last) = summary.logged {
            // Not `self.last_sequence`: LevelDB's MANIFEST may already count entries of the next WAL.
            self.before = ExpectedFirstSequence::Logged(last);
        }
    }

    /// Keeps a WAL, all of which was replayed, until its memtables are flushed. A WAL without entries goes at
    /// once. One whose entries are all in tables stays too: the MANIFEST that says so may not be durable.
    fn keep(&mut self, file: WalFile, has_entries: bool) -> Result<()> {
        let mut memtables = Vec::new();
        for (id, memtable) in
            self.memtables.iter_mut().filter(|(_, memtable)| !memtable.memtable().is_empty())
        {
            let next = self.opening.of(self.versions.family(id))?.new_memtable()?;
            memtables.push((id, std::mem::replace(memtable, next).memtable().clone()));
        }
        match has_entries || !memtables.is_empty() {
            true => self.kept_wals.push(RecoveredWal { file, memtables }),
            false => self.empty_wals.push(file.number),
        }
        Ok(())
    }

    fn replay_one(&mut self, number: u64) -> Result<ReplaySummary> {
        let log = file_name::log(self.path, number);
        self.opening.info_log.log(format_args!("recovering log #{number}"));
        let env = self.opening.options.env.clone();
        let options = ReplayOptions {
            strict: self.opening.options.paranoid_checks,
            before: self.before,
            language: self.versions.language(),
        };
        let summary = replay(&env, &log, options, &mut |batch| self.apply(number, batch))?;
        for damage in &summary.damage {
            self.opening.info_log.log(format_args!("log #{number}: skipped damage: {damage}"));
        }
        for oddity in &summary.oddities {
            self.opening.info_log.log(format_args!("log #{number}: replayed all the same: {oddity}"));
        }
        Ok(summary)
    }

    /// Inserts one validated batch of the WAL `log`.
    fn apply(&mut self, log: u64, batch: &[u8]) -> Result<()> {
        let last = match self.versions.language() {
            Language::LevelDb => {
                let memtable = self.memtables.default_family_mut();
                let before = memtable.memtable().approximate_memory_usage();
                let last = insert_batch(memtable, batch)?;
                self.bytes_in_memory += memtable.memtable().approximate_memory_usage() - before;
                last
            }
            Language::RocksDb => self.insert_spread(log, batch)?,
        };
        self.last_sequence = self.last_sequence.max(last);
        self.keeps_in_memory &= self.kept_wals.len() < MAX_KEPT_LOGS;
        if self.bytes_in_memory > self.opening.options.write_buffer_size {
            self.flush()?;
        }
        Ok(())
    }

    /// Inserts the entries of a batch into the memtables of their families. Left out, but counted, are
    /// entries of families that were dropped, and entries that the tables of their family have. Returns the
    /// sequence number of the last entry.
    fn insert_spread(&mut self, log: u64, batch: &[u8]) -> Result<SequenceNumber> {
        let mut sequence = fixed64_at(batch, 0).unwrap_or(0);
        for entry in BatchIter::new(batch.get(HEADER_SIZE..).unwrap_or_default()) {
            let (id, value_type, key, value) = entry?.parts();
            match self.memtables.get_mut(id) {
                Some(memtable) if self.versions.log_number(id) <= log => {
                    let before = memtable.memtable().approximate_memory_usage();
                    memtable.insert(sequence, value_type, key, value);
                    self.bytes_in_memory += memtable.memtable().approximate_memory_usage() - before;
                }
                None if !self.versions.has_had(id) => {
                    return Err(Error::corruption_in(
                        &file_name::log(self.path, log),
                        format_args!("an entry for column family {}, which the MANIFEST does not know", id.0),
                    ));
                }
                _ => {}
            }
            sequence += 1;
        }
        Ok(sequence.saturating_sub(1))
    }

    /// Writes all entries in memory to tables, one for each family that has any, and starts other memtables.
    /// Nothing is kept in memory any more.
    fn flush(&mut self) -> Result<()> {
        self.keeps_in_memory = false;
        self.bytes_in_memory = 0;
        if !self.may_flush {
            return Ok(());
        }
        let mut waiting: Vec<(ColumnFamilyId, Arc<Memtable>)> =
            self.kept_wals.drain(..).flat_map(|log| log.memtables).collect();
        for (id, memtable) in self.memtables.iter().filter(|(_, memtable)| !memtable.memtable().is_empty()) {
            waiting.push((id, memtable.memtable().clone()));
        }
        if waiting.is_empty() {
            return Ok(());
        }
        for (id, of_manifest) in self.versions.families() {
            let memtables: Vec<_> = waiting
                .iter()
                .filter(|(family, _)| *family == id)
                .map(|(_, memtable)| memtable.clone())
                .collect();
            if memtables.is_empty() {
                continue;
            }
            let family = self.opening.of(of_manifest)?;
            family.found_compression.look(of_manifest.current(), &family.table_cache);
            let context = JobContext {
                language: self.versions.language(),
                family: id,
                ..self.opening.job_context(family, self.path, &self.next_file_number, self.last_sequence)
            };
            let number = self.next_file_number.fetch_add(1, Ordering::Relaxed);
            let files = flush_job::run(&memtables, number, &context)?;
            self.new_files.extend(files.into_iter().map(|file| (id, file)));
        }
        self.memtables = new_memtables(self.opening, self.versions)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
