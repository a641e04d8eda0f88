//! Repairs a database that cannot be opened.
//!
//! 1. The MANIFEST says which tables are live, at which level, and which WALs are still needed. A table below
//!    the MANIFEST's file-number counter that it does not name is dead and stays dead, so that deleted keys
//!    do not become visible again. Of a damaged MANIFEST, the part before the damage counts. Then only the
//!    tables that this part deletes are dead, since a table that it does not name may have been named after
//!    the damage. Without any MANIFEST every table and every WAL counts.
//! 2. Every table is read completely, and checksums are verified. An undamaged table of a level >= 1 stays
//!    where it is. Of a damaged table the readable entries are saved.
//! 3. Everything else (level 0, tables whose level is unknown, saved entries, the batches of the WALs) is
//!    merged into one sorted run by sequence number, and placed above the tables that stay. Tables that may
//!    have newer entries of its keys are merged with it. So no order of levels or file numbers shows an old
//!    value before a new one.
//! 4. A new MANIFEST describes the result. Files that it does not name are moved into `lost/`. No file is
//!    deleted, and no file that exists there already is overwritten.
//!
//! If a table has a block that is undamaged but not understood (an unknown codec, a codec that this build
//! lacks, RocksDB's own format), the repair ends before anything is changed: nothing is known to be lost
//! there.
//!
//! Holds the LOCK throughout. Refused if the database is open.

use crate::compaction::job as compaction_job;
use crate::compaction::{Compaction, CompactionReason};
use crate::db::admin::new_manifest;
use crate::db::open::context::{OpenContext, insert_batch};
use crate::db::open::lost::Lost;
use crate::db::open::sync_name;
use crate::env::{self, info_log};
use crate::error::{Error, Result};
use crate::flush::job as flush_job;
use crate::format::NUM_LEVELS;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::file_name::{self, FileType};
use crate::format::internal_key::{InternalKey, LookupKey, MAX_SEQUENCE, ParsedInternalKey, user_key};
use crate::iterator::InternalIterator;
use crate::job::context::JobContext;
use crate::language::Language;
use crate::memtable::MemtableWriter;
use crate::options::Options;
use crate::record::reader::{ReadOutcome, RecordReader};
use crate::table::TableReadOptions;
use crate::table::reader::{Table, TableGet};
use crate::table::whole_table_filter::KeyHash;
use crate::version::Version;
use crate::version::builder::VersionBuilder;
use crate::version::file_metadata::FileMetaData;
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::{VersionSet, is_counted};
use crate::wal::replay::{ReplayOptions, replay};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Repairs a database that cannot be opened, saving the entries that can be read. Files that cannot be read,
/// or that are replaced, are moved into the subdirectory `lost`. NotSupported, without any change, if there
/// is a table that is not understood: see `Error::is_not_supported`. A missing directory whose parent exists
/// becomes an empty database, as in LevelDB. An open database is refused. The comparator must be the
/// database's own.
pub fn repair(options: &Options, path: &Path) -> Result<()> {
    if !options.env.exists(path) && options.info_log.is_none() {
        // LevelDB creates the directory for its info log.
        let _ = options.env.create_dir(path).and_then(|()| sync_name(&options.env, path));
    }
    options.env.children(path)?;
    let env = env::holding(&options.env, path)?;
    let options = Options { env, paranoid_checks: false, ..options.clone() };
    let env = &options.env;
    let _lock = env.lock_file(&file_name::lock(path))?;
    let logger = match &options.info_log {
        Some(logger) => logger.clone(),
        None => info_log::open(env, path).unwrap_or_else(|_| info_log::null()),
    };
    options.compression.check()?;
    let mut repairer = Repairer::new(OpenContext::new(&options, &[], path, logger), path)?;
    // The steps are not inlined, because the stack may be small.
    repairer.read_manifest()?;
    repairer.refuse_what_is_not_understood()?;
    repairer.scan_tables()?;
    repairer.save_logs()?;
    repairer.finish()
}

/// The state that the readable prefix of a MANIFEST describes.
#[derive(Default)]
struct ManifestFacts {
    /// Does the prefix reach to the end of the file?
    is_whole: bool,
    /// The level of each live table, by file number.
    levels: BTreeMap<u64, usize>,
    /// Tables on disk that the MANIFEST has deleted.
    deleted: BTreeSet<u64>,
    log_number: u64,
    next_file_number: u64,
}

/// The level of a table that may have come from any level: any other table may have newer entries.
const UNKNOWN_LEVEL: usize = NUM_LEVELS;

/// If the merged run goes to level 0, it has at most about this many files: with many, writes would stall.
const MAX_LEVEL0_FILES: u64 = 8;

struct Repairer {
    opening: OpenContext,
    path: PathBuf,
    lost: Lost,
    tables: Vec<u64>,
    logs: Vec<u64>,
    manifests: Vec<u64>,
    facts: Option<ManifestFacts>,
    next_file_number: AtomicU64,
    last_sequence: u64,
    /// Undamaged tables of levels >= 1, which stay.
    kept: Vec<(usize, Arc<FileMetaData>)>,
    /// Tables to be merged, each with the level it comes from, or `UNKNOWN_LEVEL`. Tables of deeper levels
    /// have no newer entries.
    sources: Vec<(usize, Arc<FileMetaData>)>,
    /// Entries saved from WALs and damaged tables.
    memtable: Box<MemtableWriter>,
}

impl Repairer {
    #[inline(never)]
    fn new(opening: OpenContext, path: &Path) -> Result<Box<Self>> {
        let (mut tables, mut logs, mut manifests, mut highest) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for name in opening.options.env.children(path)? {
            let number = match file_name::parse(&name) {
                Some(FileType::Table(number)) => (tables.push(number), number).1,
                Some(FileType::Log(number)) => (logs.push(number), number).1,
                Some(FileType::Manifest(number)) => (manifests.push(number), number).1,
                Some(FileType::Temp(number)) => number,
                _ => continue,
            };
            if is_counted(number, 0) {
                highest = highest.max(number);
            }
        }
        for numbers in [&mut tables, &mut logs, &mut manifests] {
            numbers.sort_unstable();
            numbers.dedup();
        }
        let lost = Lost::open(&opening.options.env, path)?;
        let memtable = opening.default_family().new_memtable()?;
        Ok(Box::new(Repairer {
            opening,
            path: path.to_path_buf(),
            lost,
            tables,
            logs,
            manifests,
            facts: None,
            next_file_number: AtomicU64::new(highest + 1),
            last_sequence: 0,
            kept: Vec::new(),
            sources: Vec::new(),
            memtable,
        }))
    }

    fn log(&self, line: std::fmt::Arguments<'_>) {
        self.opening.info_log.log(line);
    }

    /// Reads the MANIFEST that CURRENT names; if it is useless, the newest one that is not.
    #[inline(never)]
    fn read_manifest(&mut self) -> Result<()> {
        let current = crate::version::manifest::current_number(&self.opening.options.env, &self.path).ok();
        let candidates = current.into_iter().chain(self.manifests.iter().rev().copied());
        for number in candidates.collect::<Vec<_>>() {
            match self.read_manifest_prefix(number) {
                Ok(Some(facts)) => {
                    self.log(format_args!(
                        "repair: MANIFEST-{number:06}{} names {} tables, logs from #{}",
                        if facts.is_whole { "" } else { ", up to its damage," },
                        facts.levels.len(),
                        facts.log_number
                    ));
                    self.facts = Some(facts);
                    return Ok(());
                }
                Ok(None) => self.log(format_args!("repair: MANIFEST-{number:06} says nothing")),
                Err(error) if is_loss(&error) => {
                    self.log(format_args!("repair: MANIFEST-{number:06}: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        self.log(format_args!("repair: no usable MANIFEST: every table and log counts"));
        Ok(())
    }

    fn read_manifest_prefix(&mut self, number: u64) -> Result<Option<ManifestFacts>> {
        let path = file_name::manifest(&self.path, number);
        let mut reader = RecordReader::new(self.opening.options.env.open_sequential(&path)?, path.clone());
        let mut facts = ManifestFacts::default();
        let (mut record, mut has_counters) = (Vec::new(), false);
        loop {
            match reader.read_record(&mut record)? {
                ReadOutcome::Record => {}
                outcome => {
                    facts.is_whole = matches!(outcome, ReadOutcome::End);
                    break;
                }
            }
            let edit = match VersionEdit::decode(&record) {
                Ok(edit) if !edit.beyond.was_read => edit,
                Err(error) if !error.is_not_supported() => break,
                _ => return Err(refuse_rocksdb(&path)),
            };
            if let Some(name) = &edit.comparator
                && *name != self.opening.default_family().comparator_name()
            {
                return Err(Error::invalid_argument(format!(
                    "{}: the database was written with the comparator '{}'; repair it with that",
                    path.display(),
                    name.escape_ascii()
                )));
            }
            // A MANIFEST may have a long history. Only files that exist, or should exist, are remembered.
            for &(_, number) in &edit.deleted_files {
                facts.levels.remove(&number);
                if self.tables.binary_search(&number).is_ok() {
                    facts.deleted.insert(number);
                }
            }
            for (level, file) in &edit.new_files {
                facts.levels.insert(file.number, *level);
            }
            facts.log_number = edit.log_number.unwrap_or(facts.log_number);
            facts.next_file_number = edit.next_file_number.unwrap_or(facts.next_file_number);
            self.last_sequence = self.last_sequence.max(edit.last_sequence.unwrap_or(0).min(MAX_SEQUENCE));
            has_counters |= edit.next_file_number.is_some();
        }
        Ok(has_counters.then_some(facts))
    }

    /// The level of the table if it is live; `None` if it is dead.
    fn level_of(&self, number: u64) -> Option<usize> {
        let Some(facts) = &self.facts else { return Some(0) };
        if let Some(&level) = facts.levels.get(&number) {
            return Some(level);
        }
        let may_be_alive = number >= facts.next_file_number || !facts.is_whole;
        (may_be_alive && !facts.deleted.contains(&number)).then_some(UNKNOWN_LEVEL)
    }

    /// NotSupported if any table, live or dead, is not understood. Nothing has been changed yet.
    #[inline(never)]
    fn refuse_what_is_not_understood(&self) -> Result<()> {
        for &number in &self.tables {
            let checked = self.find_table(number).and_then(|(table, _)| match table.language() {
                Language::LevelDb => table.check_understood(),
                Language::RocksDb => Err(refuse_rocksdb(&self.path)),
            });
            match checked {
                Err(error) if error.is_not_supported() => {
                    let error = error.context("nothing was repaired, and nothing changed");
                    self.log(format_args!("repair: {error}"));
                    return Err(error);
                }
                Err(error) if !is_loss(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The table, and the length of its file.
    fn find_table(&self, number: u64) -> Result<(Arc<Table>, u64)> {
        let env = &self.opening.options.env;
        let size = env
            .file_size(&file_name::table(&self.path, number))
            .or_else(|_| env.file_size(&file_name::old_table(&self.path, number)))?;
        Ok((self.opening.default_family().table_cache.find(number, size)?, size))
    }

    #[inline(never)]
    fn scan_tables(&mut self) -> Result<()> {
        for number in self.tables.clone() {
            let Some(level) = self.level_of(number) else { continue };
            match self.scan_table(number, level) {
                Err(error) if is_loss(&error) => {
                    self.log(format_args!("repair: table #{number} is lost: {error}"));
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// Reads a whole table. Keeps it, or makes it a source, or saves its readable entries.
    fn scan_table(&mut self, number: u64, level: usize) -> Result<()> {
        let (table, size) = self.find_table(number)?;
        if let Some(compression) = table.compression() {
            self.opening.default_family().found_compression.note(compression);
        }
        let Some((smallest, largest)) = self.check_table(&table)? else {
            let saved = self.save_entries(&table, level)?;
            self.log(format_args!("repair: table #{number} is damaged: {saved} entries saved"));
            return Ok(());
        };
        let file = Arc::new(FileMetaData::new(number, size, smallest, largest));
        match level {
            0 | UNKNOWN_LEVEL => self.sources.push((level, file)),
            // The file number does not count. The entries move to new files, so that the database counts
            // anew.
            _ if !is_counted(number, 0) => self.sources.push((level, file)),
            _ => self.kept.push((level, file)),
        }
        Ok(())
    }

    /// The first and the last key of a table all of whose entries can be read, in order and in every way.
    /// `None` if the table is damaged or empty.
    fn check_table(&mut self, table: &Arc<Table>) -> Result<Option<(InternalKey, InternalKey)>> {
        if table.damage_when_opened().is_some() {
            return Ok(None); // even if all entries can be read: `paranoid_checks` would refuse it
        }
        let mut entries = table.iter(SCAN);
        let (mut smallest, mut largest, mut count) = (None, Vec::new(), 0u64);
        entries.seek_to_first();
        while entries.valid() {
            let key = entries.key();
            let in_order =
                largest.is_empty() || self.opening.default_family().comparator.compare(&largest, key).is_lt();
            let Some(entry) = ParsedInternalKey::parse(key).filter(|_| in_order) else { return Ok(None) };
            // Index, filters and restart points may be wrong although the checksums are right.
            let is_found = |found: &[u8], value: &[u8]| found == key && value == entries.value();
            let (target, hash) = (LookupKey::of(key), KeyHash::of(user_key(key)));
            if !matches!(table.get(LOOK_UP, &target, hash, is_found), Ok(TableGet::Found(true))) {
                return Ok(None);
            }
            count += 1;
            self.last_sequence = self.last_sequence.max(entry.sequence);
            if smallest.is_none() {
                smallest = Some(InternalKey::decode(key)?);
            }
            largest.clear();
            largest.extend_from_slice(key);
            entries.next();
        }
        let status = entries.status();
        entries.seek_to_last();
        while entries.valid() && count > 0 {
            count -= 1;
            entries.prev();
        }
        match (status.and_then(|()| entries.status()), smallest) {
            (Ok(()), Some(smallest)) if count == 0 && !entries.valid() => {
                Ok(Some((smallest, InternalKey::decode(&largest)?)))
            }
            (Err(error), _) if !is_loss(&error) => Err(error),
            _ => Ok(None),
        }
    }

    /// Saves the readable entries of a damaged table of this level. Returns how many there were.
    fn save_entries(&mut self, table: &Arc<Table>, level: usize) -> Result<u64> {
        let mut entries = table.iter(SCAN);
        let mut saved = 0;
        entries.seek_to_first();
        // Without `paranoid_checks` the iterator skips damaged blocks.
        while entries.valid() {
            if let Some(entry) = ParsedInternalKey::parse(entries.key()) {
                self.last_sequence = self.last_sequence.max(entry.sequence);
                self.memtable.insert(entry.sequence, entry.value_type, entry.user_key, entries.value());
                saved += 1;
                self.save_memtable_if_full(level)?;
            }
            entries.next();
        }
        self.save_memtable(level)?;
        Ok(saved)
    }

    #[inline(never)]
    fn save_logs(&mut self) -> Result<()> {
        let needed = self.facts.as_ref().map_or(0, |facts| facts.log_number);
        // After the damage of a MANIFEST, an edit may have said that a WAL is in tables already.
        let level = match &self.facts {
            Some(facts) if !facts.is_whole => UNKNOWN_LEVEL,
            _ => 0,
        };
        for number in self.logs.clone() {
            if number < needed {
                continue;
            }
            let env = self.opening.options.env.clone();
            let outcome =
                replay(&env, &file_name::log(&self.path, number), ReplayOptions::default(), &mut |batch| {
                    self.save_batch(batch, level)
                });
            match outcome {
                Ok(summary) => self.log(format_args!(
                    "repair: log #{number}: {} batches saved, {} parts damaged",
                    summary.batches,
                    summary.damage.len()
                )),
                Err(error) if is_loss(&error) => self.log(format_args!("repair: log #{number}: {error}")),
                Err(error) => return Err(error),
            }
        }
        self.save_memtable(level)
    }

    fn save_batch(&mut self, batch: &[u8], level: usize) -> Result<()> {
        self.last_sequence = self.last_sequence.max(insert_batch(&mut self.memtable, batch)?);
        self.save_memtable_if_full(level)
    }

    fn save_memtable_if_full(&mut self, level: usize) -> Result<()> {
        if self.memtable.memtable().approximate_memory_usage() > self.opening.options.write_buffer_size {
            self.save_memtable(level)?;
        }
        Ok(())
    }

    /// Writes the saved entries, all of one level, to a table, which becomes a source.
    #[inline(never)]
    fn save_memtable(&mut self, level: usize) -> Result<()> {
        if self.memtable.memtable().is_empty() {
            return Ok(());
        }
        let number = self.next_file_number.fetch_add(1, Ordering::Relaxed);
        let memtable = self.memtable.memtable().clone();
        let files = flush_job::run(&[memtable], number, &self.context())?;
        self.sources.extend(files.into_iter().map(|file| (level, file)));
        self.memtable = self.opening.default_family().new_memtable()?;
        Ok(())
    }

    fn context(&self) -> JobContext<'_> {
        let family = self.opening.default_family();
        let context =
            self.opening.job_context(family, &self.path, &self.next_file_number, self.last_sequence);
        JobContext { paranoid_checks: false, ..context }
    }

    /// Makes sources of the kept tables that may have newer entries than a source, because the sources will
    /// be above them. These are tables that overlap the source and whose level is not deeper than the
    /// source's.
    fn take_newer_tables(&mut self) {
        let comparator = self.opening.default_family().comparator.clone();
        let overlap = |a: &FileMetaData, b: &FileMetaData| {
            comparator.compare_user_keys(a.smallest.user_key(), b.largest.user_key()).is_le()
                && comparator.compare_user_keys(b.smallest.user_key(), a.largest.user_key()).is_le()
        };
        let mut next = 0;
        while let Some((source_level, source)) = self.sources.get(next).cloned() {
            let is_newer = |(level, file): &mut (usize, Arc<FileMetaData>)| {
                *level <= source_level && overlap(file, &source)
            };
            self.sources.extend(self.kept.extract_if(.., is_newer));
            next += 1;
        }
    }

    /// A version of the kept tables. If they contradict each other, they are merged like the others.
    fn kept_version(&mut self) -> Result<Arc<Version>> {
        self.take_newer_tables();
        let empty = || Arc::new(self.opening.default_family().empty_version());
        let edit = VersionEdit { new_files: self.kept.clone(), ..VersionEdit::default() };
        let mut builder = VersionBuilder::new(empty());
        match builder.apply(&edit).and_then(|()| builder.finish()) {
            Ok(version) => Ok(Arc::new(version)),
            Err(error) => {
                let version = empty();
                self.log(format_args!("repair: the levels contradict each other: {error}"));
                self.sources.append(&mut self.kept);
                Ok(version)
            }
        }
    }

    /// Merges the sources into one run: at level 1 if no table is kept, else at level 0.
    fn merge_sources(&mut self, kept: &Arc<Version>) -> Result<Vec<(usize, Arc<FileMetaData>)>> {
        if self.sources.is_empty() {
            return Ok(Vec::new());
        }
        let sources: Vec<_> = self.sources.iter().map(|(_, file)| file.clone()).collect();
        let bytes = sources.iter().fold(0, |sum: u64, file| sum.saturating_add(file.file_size));
        let level = if self.kept.is_empty() { 1 } else { 0 };
        let max_file_size = self.opening.options.max_file_size as u64;
        let compaction = Compaction {
            reason: CompactionReason::Manual,
            level: 0,
            output_level: 0, // so that every kept table counts as deeper
            inputs: [sources, Vec::new(), Vec::new()],
            grandparents: Vec::new(),
            max_output_file_size: match level {
                0 => max_file_size.max(bytes / MAX_LEVEL0_FILES),
                _ => max_file_size,
            },
            max_grandparent_overlap: u64::MAX,
            version: kept.clone(),
            compact_pointer: None,
            drops_deletions: false,
        };
        let outcome = compaction_job::run(&compaction, &self.context())?;
        Ok(outcome.edit.new_files.into_iter().map(|(_, file)| (level, file)).collect())
    }

    /// Merges the sources, writes the MANIFEST, and moves all other files aside.
    #[inline(never)]
    fn finish(&mut self) -> Result<()> {
        let kept = self.kept_version()?;
        let merged = self.merge_sources(&kept)?;
        let env = &self.opening.options.env;
        let (versions, manifest_number) =
            new_manifest::write(env, &self.path, kept, merged, &self.next_file_number, self.last_sequence)?;
        let moved = self.move_aside(&versions, manifest_number);
        let files: usize =
            (0..NUM_LEVELS).map(|level| versions.current(ColumnFamilyId::DEFAULT).num_files(level)).sum();
        self.log(format_args!("repair: done: {files} tables, last sequence number {}", self.last_sequence));
        moved
    }

    /// Moves the files that the new MANIFEST does not name into `lost/`. Returns the first error, after all
    /// other files were moved. The next open would remove the files that are left.
    fn move_aside(&mut self, versions: &VersionSet, manifest_number: u64) -> Result<()> {
        let live: Vec<u64> = versions.live_files().map(|file| file.number).collect();
        let manifests = self.manifests.iter().filter(|&&number| number != manifest_number);
        let mut files: Vec<PathBuf> =
            manifests.map(|&number| file_name::manifest(&self.path, number)).collect();
        files.extend(self.logs.iter().map(|&number| file_name::log(&self.path, number)));
        let saved = self.sources.iter().map(|(_, file)| file.number);
        for number in self.tables.iter().copied().chain(saved).filter(|number| !live.contains(number)) {
            self.opening.open_tables.evict(number);
            files.push(file_name::table(&self.path, number));
            files.push(file_name::old_table(&self.path, number));
        }
        let mut result = Ok(());
        for file in files {
            if !self.opening.options.env.exists(&file) {
                continue;
            }
            match self.lost.take(&file) {
                Ok(to) => self.log(format_args!("repair: moved {} to {}", file.display(), to.display())),
                Err(error) => {
                    self.log(format_args!("repair: could not move {}: {error}", file.display()));
                    let explained = error.context(format_args!(
                        "the database is repaired, but {} is left in it",
                        file.display()
                    ));
                    result = result.and(Err(explained));
                }
            }
        }
        result.and(self.lost.sync())
    }
}

/// A directory in RocksDB's language has column families, whose tables this repair would mix.
#[cold]
fn refuse_rocksdb(path: &Path) -> Error {
    Error::not_supported_in(
        path,
        "the directory is in RocksDB's language, which cannot be repaired; nothing changed",
    )
}

/// Does the error mean that data is permanently lost? The cause of any other error (too many open files, no
/// permission) can be fixed first. Then the repair ends, nothing is given up, and no file of the database has
/// been changed.
fn is_loss(error: &Error) -> bool {
    error.is_corruption() || error.is_not_found() || error.errno() == Some(libc::EIO)
}

/// Blocks stay in the cache, because the next key is in the same one.
const LOOK_UP: TableReadOptions = TableReadOptions { verify_checksums: false, fill_cache: true };

/// Every block is verified, and no cached block is displaced.
const SCAN: TableReadOptions = TableReadOptions { verify_checksums: true, fill_cache: false };
