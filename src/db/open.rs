//! Opening a database: the directory, the lock, creation or recovery, the first MANIFEST and log of this life, the workers.
//!
//! Order of what becomes durable: the directory's name; tables made from the logs; a MANIFEST that no longer needs those logs,
//! and CURRENT; only then the new log, and the removal of what is no longer needed.

use super::Db;
use super::background_error::Failures;
use super::flush_due::FlushDue;
use super::idle_compaction::Idle;
use super::install::manifest_limit;
use super::recovery::{self, Recovered};
use super::seek_compaction::Seeks;
use super::snapshot::SnapshotList;
use super::state::{DbInner, DbState, LogFile};
use super::write_group::{WriteQueue, WriterState};
use crate::background::worker::{self, wake_channel};
use crate::column_family::column_family::{ColumnFamily, FamilyMemtables};
use crate::compaction::running::RunningCompactions;
use crate::env::info_log::{self, Logger};
use crate::env::{Env, LogFileOptions, ReadMode, posix};
use crate::error::{Error, Result};
use crate::format::file_name::{self, FileType};
use crate::format::internal_key::InternalKeyComparator;
use crate::memtable::memtable::Memtable;
use crate::options::Options;
use crate::table::TableOptions;
use crate::table::cache::TableCache;
use crate::util::arena::blocks::BlockStore;
use crate::util::cache::BlockCache;
use crate::util::fork::Generation;
use crate::util::lock::{Condvar, Mutex};
use crate::util::sync::{CachePadded, Published};
use crate::version::manifest::{self, ManifestError, ManifestWriter};
use crate::version::version_edit::VersionEdit;
use crate::wal::writer::WalWriter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Instant;

/// Bytes of the block cache a database gets when it is given none.
const DEFAULT_BLOCK_CACHE_BYTES: usize = 8 << 20;

/// Files that are not tables: the log, the MANIFEST, LOCK, LOG, directories being synced.
const NON_TABLE_FILES: usize = 10;

/// Where an opening stands before it has any threads.
pub(super) struct Opening {
    pub options: Options,
    pub comparator: InternalKeyComparator,
    pub table_cache: Arc<TableCache>,
    pub info_log: Arc<dyn Logger>,
}

impl Opening {
    pub(super) fn new(options: &Options, path: &Path, info_log: Arc<dyn Logger>) -> Self {
        let mut options = options.sanitized();
        options.block_cache = match options.block_cache.take() {
            Some(cache) if cache.is_of_this_process() => Some(cache),
            // A thread of the parent may have been in it when this process was forked: one of its own, as large.
            Some(inherited) => Some(Arc::new(BlockCache::new(inherited.capacity()))),
            None => Some(Arc::new(BlockCache::new(DEFAULT_BLOCK_CACHE_BYTES))),
        };
        let comparator = InternalKeyComparator::new(options.comparator.clone());
        let table_cache = TableCache::new(
            options.env.clone(),
            path.to_path_buf(),
            Arc::new(TableOptions::new(&options)),
            if options.mmap_reads { ReadMode::Mapped } else { ReadMode::Positioned },
            options.max_open_files - NON_TABLE_FILES,
        );
        Opening { options, comparator, table_cache, info_log }
    }
}

impl Db {
    /// Opens the database in the directory `path`, creating it (the last directory only) if the options say so.
    ///
    /// Errors: InvalidArgument (does not exist, exists, another comparator), IoError (locked, or the system's word), Corruption (the
    /// MANIFEST or a table it needs is damaged or missing; with `paranoid_checks` the log too). Nothing is changed on disk by
    /// an opening that ends in Corruption.
    pub fn open(options: &Options, path: &Path) -> Result<Db> {
        let env = &options.env;
        if path.as_os_str().is_empty() {
            return Err(Error::invalid_argument("the path of the database is empty"));
        }
        posix::fork::watch()
            .map_err(|error| Error::from_os(path, &error).context("cannot watch for forks"))?;
        if !env.exists(path) {
            if !options.create_if_missing {
                return Err(does_not_exist(path));
            }
            // A parent that is missing shows as the LOCK file that can't be made, as in LevelDB.
            let _ = env.create_dir(path);
        }
        let lock = env.lock_file(&file_name::lock(path))?;
        let creating = !env.exists(&file_name::current(path));
        if creating {
            refuse_to_create_over(options, path)?;
            sync_name(env, path)?;
        } else if options.error_if_exists {
            return Err(Error::invalid_argument(format!(
                "{}: exists (error_if_exists is true)",
                path.display()
            )));
        }
        let info_log = match &options.info_log {
            Some(logger) => logger.clone(),
            None => info_log::open(env, path).unwrap_or_else(|_| info_log::null()),
        };
        let opening = Opening::new(options, path, info_log);
        let recovered =
            if creating { recovery::fresh(&opening, path)? } else { recovery::recover(&opening, path)? };
        let inner = start(opening, path, recovered)?;
        inner.state.lock().lock = Some(lock);
        let db = Db { inner };
        db.inner.start_workers()?;
        Ok(db)
    }
}

fn does_not_exist(path: &Path) -> Error {
    Error::invalid_argument(format!("{}: does not exist (create_if_missing is false)", path.display()))
}

/// The directory whose entry `path` is.
pub(super) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Makes the name of a new database's directory durable. It may have been there before: an attempt to create the database that
/// was cut short did not get to this.
fn sync_name(env: &Arc<dyn Env>, path: &Path) -> Result<()> {
    match env.sync_dir(parent_of(path)) {
        // Who may not list the parent can't sync it either, and has a database nonetheless, as with LevelDB.
        Err(error) if error.errno() == Some(libc::EACCES) => Ok(()),
        result => result,
    }
}

/// CURRENT is missing: a database may be created only where none has been. What a creation that was cut short leaves (a first
/// MANIFEST without files) is fine; a table, a log, or a MANIFEST that names files means a database that has lost its CURRENT.
fn refuse_to_create_over(options: &Options, path: &Path) -> Result<()> {
    let env = &options.env;
    for name in env.children(path)? {
        let stray = match file_name::parse(&name) {
            Some(FileType::Log(_) | FileType::Table(_)) => true,
            Some(FileType::Manifest(number)) => {
                !matches!(manifest::read(env, &path.join(&name), number), Ok(manifest)
                    if manifest.edits.iter().all(|edit| edit.new_files.is_empty()))
            }
            _ => false,
        };
        if stray {
            return Err(Error::corruption_in(
                &file_name::current(path),
                format_args!(
                    "missing, but {} is there: a database has lost its CURRENT file; repair the database",
                    Path::new(&name).display()
                ),
            ));
        }
    }
    if options.create_if_missing { Ok(()) } else { Err(does_not_exist(path)) }
}

/// Makes the recovered state durable and builds the shared part of the database, without threads.
fn start(opening: Opening, path: &Path, recovered: Recovered) -> Result<Arc<DbInner>> {
    let Opening { options, comparator, table_cache, info_log } = opening;
    let env = options.env.clone();
    let Recovered { mut versions, next_file_number, last_sequence, new_files, reused_log, manifest, .. } =
        recovered;
    let mut next_file_number = next_file_number;
    let mut take_number = || {
        next_file_number += 1;
        next_file_number - 1
    };
    let log_number = reused_log.as_ref().map_or_else(&mut take_number, |log| log.number);
    let manifest_number = manifest.as_ref().map_or_else(&mut take_number, |manifest| manifest.number());
    let edit = VersionEdit {
        log_number: Some(log_number),
        new_files: new_files.into_iter().map(|file| (0, file)).collect(),
        ..VersionEdit::default()
    };
    let flushed_sequence = reused_log.as_ref().map_or(last_sequence, |log| log.begins_after);
    let prepared = versions.prepare(edit, next_file_number, flushed_sequence)?;
    versions.commit(&prepared);
    let manifest = match manifest {
        Some(mut manifest) => {
            // CURRENT names it, but perhaps not durably: the last life may have ended between the rename and the sync.
            env.sync_dir(path)?;
            manifest.append(&prepared.edit)?;
            manifest
        }
        None => {
            let snapshot = versions.snapshot(next_file_number, flushed_sequence);
            ManifestWriter::create(&env, path, manifest_number, &[snapshot])
                .map_err(|ManifestError { error, .. }| error)?
        }
    };
    let manifest_limit = manifest_limit(manifest.file_size());
    let log_options =
        LogFileOptions { mapped: options.mmap_wal, expected_size: options.write_buffer_size as u64 };
    let (wal, memtable) = match reused_log {
        Some(log) => (WalWriter::reopen(&env, path, log.number, log.size, log_options)?, log.memtable),
        None => (
            WalWriter::create(&env, path, log_number, log_options)?,
            Memtable::new(comparator.clone(), options.write_buffer_size).1,
        ),
    };
    let memtables = FamilyMemtables::new(memtable.memtable().clone(), log_number);
    let super_version = Published::new(memtables.super_version(versions.current().clone()));
    let (removal_waker, removal_wakeup) = wake_channel();
    let (flush_waker, flush_wakeup) = wake_channel();
    let (compaction_waker, compaction_wakeup) = wake_channel();
    let inner = Arc::new(DbInner {
        path: path.to_path_buf(),
        env,
        info_log,
        family: ColumnFamily { comparator, table_cache, super_version },
        memtable_store: Arc::new(BlockStore::new(idle_memtable_bytes(&options))),
        last_sequence: CachePadded::new(AtomicU64::new(last_sequence)),
        next_file_number: AtomicU64::new(next_file_number),
        min_log_number: AtomicU64::new(log_number),
        attention: AtomicU32::new(0),
        deletions_wait_for: AtomicU64::new(u64::MAX),
        closed: AtomicBool::new(false),
        process: Generation::current(),
        writer: WriteQueue::new(WriterState { wal: Some(wal), memtable, last_sequence, record: Vec::new() }),
        snapshots: Mutex::new(SnapshotList::default()),
        state: Mutex::new(DbState {
            memtables,
            flush_due: FlushDue::new(Instant::now()),
            versions,
            manifest: Some(manifest),
            manifest_busy: false,
            manifest_limit,
            orphans: Vec::new(),
            logs: vec![LogFile { number: log_number, begins_after: flushed_sequence }],
            flushed_sequence,
            running: RunningCompactions::new(),
            manual: Default::default(),
            idle: Idle::default(),
            seeks: Seeks::default(),
            failures: Failures::default(),
            log_lines: Vec::new(),
            stats: Default::default(),
            threads: Vec::new(),
            lock: None,
        }),
        state_changed: Condvar::new(),
        obsolete: Arc::default(),
        obsolete_logs: Default::default(),
        retired: Mutex::default(),
        removing: Mutex::new(()),
        flush_waker,
        compaction_waker,
        removal_waker,
        wakeups: (flush_wakeup, compaction_wakeup, removal_wakeup),
        recovery_damage: recovered.damage,
        options,
    });
    {
        let state = inner.state.lock();
        inner.remove_leftovers(&state, manifest_number);
        inner.update_attention(&state);
    }
    Ok(inner)
}

/// How much memory of flushed memtables is kept for the next ones: as much as a flush sets free, within a limit.
fn idle_memtable_bytes(options: &Options) -> usize {
    const MOST: usize = 12 << 20;
    options.write_buffer_size.saturating_mul(options.max_write_buffer_number - 1).min(MOST)
}

impl DbInner {
    /// Starts the flush worker, the one that removes files and the compaction workers; each holds the shared part until the database is closed.
    fn start_workers(self: &Arc<Self>) -> Result<()> {
        let inner = self.clone();
        let thread =
            worker::start(&*self.env, "terrace-flush", self.wakeups.0.clone(), move || inner.flush_step())?;
        self.state.lock().threads.push(thread);
        let inner = self.clone();
        let wakeup = self.wakeups.2.clone();
        let thread = worker::start(&*self.env, "terrace-remove", wakeup, move || inner.removal_step())?;
        self.state.lock().threads.push(thread);
        for _ in 0..self.options.max_background_compactions {
            let inner = self.clone();
            let wakeup = self.wakeups.1.clone();
            let thread =
                worker::start(&*self.env, "terrace-compact", wakeup, move || inner.compaction_step())?;
            self.state.lock().threads.push(thread);
        }
        Ok(())
    }
}
