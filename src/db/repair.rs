//! Makes a database that won't open openable again.
//!
//! 1. The MANIFEST says which tables are alive, at which level, and which logs are still needed. A table below its
//!    file-number counter that it does not name is dead, and stays dead: deletions do not come back. Of a damaged MANIFEST
//!    the part before the damage counts: dead is then only what that part deletes, since what it does not name may have
//!    been named behind. Without any MANIFEST every table and every log counts.
//! 2. Every table is read in full, checksums verified. A whole one of a level below 0 stays where it is; of a damaged one
//!    the readable entries are saved.
//! 3. What is left (level 0, tables whose level nobody knows, saved entries, the logs' batches) is merged into one sorted
//!    run by sequence number, and put above the tables that stay. Those of them that may have newer entries of its keys
//!    are merged as well: no order of levels or of file numbers shows an old value before a new one.
//! 4. A new MANIFEST describes the result. Whatever it does not name is moved into `lost/`; nothing is deleted, and nothing that is
//!    there already is written over.
//!
//! A table with a block that is as it was written, and that is not understood here (an unknown compression, one that this build is without,
//! RocksDB's own format), ends the repair before anything is changed: nothing is known to be lost there.
//!
//! Holds the LOCK throughout; run on an open database it is refused.

use super::lost::Lost;
use super::open::{Opening, sync_name};
use crate::batch::write_batch::HEADER_SIZE;
use crate::compaction::compaction::{Compaction, CompactionReason};
use crate::compaction::job as compaction_job;
use crate::env::{self, info_log};
use crate::error::{Error, Result};
use crate::flush::job::{self as flush_job, JobContext};
use crate::format::NUM_LEVELS;
use crate::format::file_name::{self, FileType};
use crate::format::internal_key::{InternalKey, MAX_SEQUENCE, ParsedInternalKey};
use crate::iterator::InternalIterator;
use crate::memtable::memtable::MemtableWriter;
use crate::options::Options;
use crate::record::reader::{ReadOutcome, RecordReader};
use crate::table::TableReadOptions;
use crate::table::reader::{Table, TableGet};
use crate::util::coding::fixed64_at;
use crate::version::builder::VersionBuilder;
use crate::version::file_metadata::FileMetaData;
use crate::version::manifest::{ManifestError, ManifestWriter};
use crate::version::version::Version;
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::{VersionSet, is_counted};
use crate::wal::replay::replay;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Makes a database that won't open openable again, saving what can be read; what can't, and what is replaced, is moved into
/// the directory `lost` beside the files. NotSupported, and nothing changed, if there is a table that is not understood here: see
/// `Error::is_not_supported`. A directory that is missing, but for its parent, becomes an empty database, as LevelDB makes
/// one; an open database is refused. The comparator must be the database's own.
pub fn repair(options: &Options, path: &Path) -> Result<()> {
    if !options.env.exists(path) && options.info_log.is_none() {
        // LevelDB does, for its info log.
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
    let mut repairer = Repairer::new(Opening::new(&options, path, logger), path)?;
    // (Steps that stay functions of their own: the stack may be small.)
    repairer.read_manifest()?;
    repairer.refuse_what_is_not_understood()?;
    repairer.scan_tables()?;
    repairer.save_logs()?;
    repairer.finish()
}

/// What the MANIFEST's valid prefix says.
#[derive(Default)]
struct ManifestFacts {
    /// There is nothing behind the prefix.
    is_whole: bool,
    /// Level of each live table.
    levels: BTreeMap<u64, usize>,
    /// Tables that were alive once.
    deleted: BTreeSet<u64>,
    log_number: u64,
    next_file_number: u64,
}

/// Of a table that may have come from any level: any other may have newer entries.
const UNKNOWN_LEVEL: usize = NUM_LEVELS;

/// The merged run has about this many files at most where it goes to level 0: writes wait when there are many.
const MAX_LEVEL0_FILES: u64 = 8;

struct Repairer {
    opening: Opening,
    path: PathBuf,
    lost: Lost,
    tables: Vec<u64>,
    logs: Vec<u64>,
    manifests: Vec<u64>,
    facts: Option<ManifestFacts>,
    next_file_number: AtomicU64,
    last_sequence: u64,
    /// Whole tables of levels below 0, which stay.
    kept: Vec<(usize, Arc<FileMetaData>)>,
    /// Tables to be merged, and the level below which, on the way down, nothing is newer: that which they are of, or
    /// `UNKNOWN_LEVEL`.
    sources: Vec<(usize, Arc<FileMetaData>)>,
    /// Entries saved from logs and damaged tables.
    memtable: Box<MemtableWriter>,
}

impl Repairer {
    #[inline(never)]
    fn new(opening: Opening, path: &Path) -> Result<Box<Self>> {
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
        let memtable = opening.new_memtable()?;
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

    /// Reads the MANIFEST that CURRENT names, else the newest that has anything to say.
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
            let Ok(edit) = VersionEdit::decode(&record) else { break };
            if let Some(name) = &edit.comparator
                && *name != self.opening.comparator_name()
            {
                return Err(Error::invalid_argument(format!(
                    "{}: the database was written with the comparator '{}'; repair it with that",
                    path.display(),
                    name.escape_ascii()
                )));
            }
            // Of a long history only the files that are there, and those that should be, are remembered.
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

    /// Is the table alive, and at which level? `None`: dead.
    fn level_of(&self, number: u64) -> Option<usize> {
        let Some(facts) = &self.facts else { return Some(0) };
        if let Some(&level) = facts.levels.get(&number) {
            return Some(level);
        }
        let may_be_alive = number >= facts.next_file_number || !facts.is_whole;
        (may_be_alive && !facts.deleted.contains(&number)).then_some(UNKNOWN_LEVEL)
    }

    /// NotSupported if there is a table, alive or dead, that is not understood. Nothing has been changed yet, nor is it.
    #[inline(never)]
    fn refuse_what_is_not_understood(&self) -> Result<()> {
        for &number in &self.tables {
            let checked = self.find_table(number).and_then(|(table, _)| table.check_understood());
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
        Ok((self.opening.table_cache.find(number, size)?, size))
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

    /// Reads a whole table; keeps it, or makes it a source, or saves what is readable of it.
    fn scan_table(&mut self, number: u64, level: usize) -> Result<()> {
        let (table, size) = self.find_table(number)?;
        if let Some(compression) = table.compression() {
            self.opening.found_compression.note(compression);
        }
        let Some((smallest, largest)) = self.check_table(&table)? else {
            let saved = self.save_entries(&table, level)?;
            self.log(format_args!("repair: table #{number} is damaged: {saved} entries saved"));
            return Ok(());
        };
        let file = Arc::new(FileMetaData::new(number, size, smallest, largest));
        match level {
            0 | UNKNOWN_LEVEL => self.sources.push((level, file)),
            // Its number does not count: its entries move, so that the database counts anew.
            _ if !is_counted(number, 0) => self.sources.push((level, file)),
            _ => self.kept.push((level, file)),
        }
        Ok(())
    }

    /// First and last key of a table all of whose entries can be read, in order and in any way; `None` for a damaged (or empty)
    /// one.
    fn check_table(&mut self, table: &Arc<Table>) -> Result<Option<(InternalKey, InternalKey)>> {
        if table.damage_when_opened().is_some() {
            return Ok(None); // also where all entries can be read: with `paranoid_checks` it would not even open
        }
        let mut entries = table.iter(SCAN);
        let (mut smallest, mut largest, mut count) = (None, Vec::new(), 0u64);
        entries.seek_to_first();
        while entries.valid() {
            let key = entries.key();
            let in_order = largest.is_empty() || self.opening.comparator.compare(&largest, key).is_lt();
            let Some(entry) = ParsedInternalKey::parse(key).filter(|_| in_order) else { return Ok(None) };
            // Index, filters and restart points may be wrong under right checksums.
            let is_found = |found: &[u8], value: &[u8]| found == key && value == entries.value();
            if !matches!(table.get(LOOK_UP, key, is_found), Ok(TableGet::Found(true))) {
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

    /// Saves the readable entries of a damaged table of a level; how many.
    fn save_entries(&mut self, table: &Arc<Table>, level: usize) -> Result<u64> {
        let mut entries = table.iter(SCAN);
        let mut saved = 0;
        entries.seek_to_first();
        // Without paranoid checks the iterator passes over damaged blocks.
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
        // Behind the damage of a MANIFEST an edit may say that a log is in tables already.
        let level = match &self.facts {
            Some(facts) if !facts.is_whole => UNKNOWN_LEVEL,
            _ => 0,
        };
        for number in self.logs.clone() {
            if number < needed {
                continue;
            }
            let env = self.opening.options.env.clone();
            let outcome = replay(&env, &file_name::log(&self.path, number), false, &mut |batch| {
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
        let (first, entries) =
            (fixed64_at(batch, 0).unwrap_or(0), batch.get(HEADER_SIZE..).unwrap_or_default());
        let next = self.memtable.insert_entries(first, entries)?;
        self.last_sequence = self.last_sequence.max(next.saturating_sub(1));
        self.save_memtable_if_full(level)
    }

    fn save_memtable_if_full(&mut self, level: usize) -> Result<()> {
        if self.memtable.memtable().approximate_memory_usage() > self.opening.options.write_buffer_size {
            self.save_memtable(level)?;
        }
        Ok(())
    }

    /// Writes the saved entries, which are of one level, to a table, which becomes a source.
    #[inline(never)]
    fn save_memtable(&mut self, level: usize) -> Result<()> {
        if self.memtable.memtable().is_empty() {
            return Ok(());
        }
        let number = self.next_file_number.fetch_add(1, Ordering::Relaxed);
        let memtable = self.memtable.memtable().clone();
        let never = AtomicBool::new(false);
        let files = flush_job::run(&[memtable], number, &self.context(&never))?;
        self.sources.extend(files.into_iter().map(|file| (level, file)));
        self.memtable = self.opening.new_memtable()?;
        Ok(())
    }

    fn context<'a>(&'a self, shutting_down: &'a AtomicBool) -> JobContext<'a> {
        JobContext {
            env: &self.opening.options.env,
            db: &self.path,
            table_cache: &self.opening.table_cache,
            next_file_number: &self.next_file_number,
            snapshots: vec![self.last_sequence],
            shutting_down,
            paranoid_checks: false,
            max_subcompactions: 1,
            found_compression: &self.opening.found_compression,
            info_log: &self.opening.info_log,
        }
    }

    /// Makes sources of the kept tables that may have newer entries than a source, which will be above them: of a level
    /// not deeper than that source's, with keys in its range.
    fn take_newer_tables(&mut self) {
        let comparator = self.opening.comparator.clone();
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

    /// The kept tables as a version; if they contradict each other they are merged like the others.
    fn kept_version(&mut self) -> Result<Arc<Version>> {
        self.take_newer_tables();
        let empty =
            || Arc::new(Version::empty(self.opening.comparator.clone(), self.opening.table_cache.clone()));
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

    /// Merges the sources into one run: at level 1 where it is alone, else at level 0.
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
        let never = AtomicBool::new(false);
        let outcome = compaction_job::run(&compaction, &self.context(&never))?;
        Ok(outcome.edit.new_files.into_iter().map(|(_, file)| (level, file)).collect())
    }

    /// Merges the sources, writes the MANIFEST, moves the rest aside.
    #[inline(never)]
    fn finish(&mut self) -> Result<()> {
        let kept = self.kept_version()?;
        let merged = self.merge_sources(&kept)?;
        let mut versions = VersionSet::new(self.opening.comparator_name(), kept);
        let edit = VersionEdit {
            log_number: Some(self.next_file_number.fetch_add(1, Ordering::Relaxed)),
            new_files: merged,
            ..VersionEdit::default()
        };
        let manifest_number = self.next_file_number.fetch_add(1, Ordering::Relaxed);
        let next_file_number = self.next_file_number.load(Ordering::Relaxed);
        let prepared = versions.prepare(edit, next_file_number, self.last_sequence)?;
        versions.commit(&prepared);
        let snapshot = versions.snapshot(next_file_number, self.last_sequence);
        ManifestWriter::create(&self.opening.options.env, &self.path, manifest_number, &[snapshot])
            .map_err(|ManifestError { error, .. }| error)?;
        let moved = self.move_aside(&versions, manifest_number);
        let files: usize = (0..NUM_LEVELS).map(|level| versions.current().num_files(level)).sum();
        self.log(format_args!("repair: done: {files} tables, last sequence number {}", self.last_sequence));
        moved
    }

    /// Moves what the new MANIFEST does not name into `lost/`. The first error is told, but only after all else was moved: the next
    /// opening removes what is left here.
    fn move_aside(&mut self, versions: &VersionSet, manifest_number: u64) -> Result<()> {
        let live: Vec<u64> = versions.current().levels.iter().flatten().map(|file| file.number).collect();
        let manifests = self.manifests.iter().filter(|&&number| number != manifest_number);
        let mut files: Vec<PathBuf> =
            manifests.map(|&number| file_name::manifest(&self.path, number)).collect();
        files.extend(self.logs.iter().map(|&number| file_name::log(&self.path, number)));
        let saved = self.sources.iter().map(|(_, file)| file.number);
        for number in self.tables.iter().copied().chain(saved).filter(|number| !live.contains(number)) {
            self.opening.table_cache.evict(number);
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

/// Is what the error is about lost for good? Of any other error (too many open files, no permission) the cause can be mended
/// first: then nothing is given up, and nothing has been changed.
fn is_loss(error: &Error) -> bool {
    error.is_corruption() || error.is_not_found() || error.errno() == Some(libc::EIO)
}

/// Blocks stay in the cache: the next key is in the same one.
const LOOK_UP: TableReadOptions =
    TableReadOptions { verify_checksums: false, fill_cache: true, leaves_stored: false };

/// Every block is verified, and none displaces a cached one.
const SCAN: TableReadOptions =
    TableReadOptions { verify_checksums: true, fill_cache: false, leaves_stored: false };
