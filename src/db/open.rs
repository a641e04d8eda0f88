//! Opening a database: the directory, the lock, creation or recovery, the first MANIFEST and log of this life, the workers.
//!
//! An opening mostly makes nothing durable: what it has read stays as it is, on disk and in memory, until the first edit or the
//! first synced write (see `unconfirmed`); but what the logs hold is flushed at once where the user has a comparator. Where something
//! has to be written, the order is: the directory's name; tables made
//! from the logs; copies of logs of which not all could be used; a MANIFEST that no longer needs those logs, and CURRENT; only then
//! the new log, and the removal of what is no longer needed.

use super::Db;
use super::background_error::Failures;
use super::dead_spans::DeadSpans;
use super::flush_due::FlushDue;
use super::idle_compaction::Idle;
use super::install::manifest_limit;
use super::lost::{self, Lost};
use super::recovery::{self, FoundManifest, Recovered};
use super::seek_compaction::Seeks;
use super::snapshot::SnapshotList;
use super::state::{DbInner, DbState, LogFile};
use super::unconfirmed::Unconfirmed;
use super::write_group::{WriteQueue, WriterState};
use crate::background::pool::{Next, Pool, Pools, Worker};
use crate::column_family::column_family::{ColumnFamily, FamilyMemtables};
use crate::compaction::running::RunningCompactions;
use crate::env::info_log::{self, Logger};
use crate::env::{self, Env, LogFileOptions, ReadMode, parent_of, posix};
use crate::error::{Error, Result};
use crate::flush::found_compression::FoundCompression;
use crate::format::file_name::{self, FileType};
use crate::format::internal_key::InternalKeyComparator;
use crate::memtable::list::ImmutableMemtable;
use crate::memtable::memtable::{Memtable, MemtableWriter};
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
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, OnceLock, Weak};
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
    pub found_compression: FoundCompression,
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
        let table_cache = TableCache::with_budget(
            options.env.clone(),
            path.to_path_buf(),
            Arc::new(TableOptions::new(&options)),
            if options.mmap_reads { ReadMode::Mapped } else { ReadMode::Positioned },
            options.max_open_files - NON_TABLE_FILES,
            options.table_metadata_budget,
        );
        let found_compression = FoundCompression::default();
        Opening { options, comparator, table_cache, found_compression, info_log }
    }

    /// An empty memtable.
    #[inline(never)]
    pub(super) fn new_memtable(&self) -> Result<Box<MemtableWriter>> {
        let (_, writer) = Memtable::new(self.comparator.clone(), self.options.write_buffer_size)?;
        Ok(Box::new(writer))
    }

    /// What the user's comparator calls itself.
    pub(super) fn comparator_name(&self) -> Vec<u8> {
        self.table_cache.options().comparator_name.clone()
    }
}

impl Db {
    /// Opens the database in the directory `path`, creating it (the last directory only) if the options say so.
    ///
    /// Errors: InvalidArgument (does not exist, exists, another comparator), NotSupported (a compression that this build cannot write), IoError (locked, or the system's word), Corruption (the
    /// MANIFEST or a table it needs is damaged or missing; with `paranoid_checks` the log too). Nothing is changed on disk by
    /// an opening that ends in Corruption.
    pub fn open(options: &Options, path: &Path) -> Result<Db> {
        if path.as_os_str().is_empty() {
            return Err(Error::invalid_argument("the path of the database is empty"));
        }
        options.compression.check()?;
        posix::fork::watch()
            .map_err(|error| Error::from_os(path, &error).context("cannot watch for forks"))?;
        if !options.env.exists(path) {
            // LevelDB creates the directory in either case. Where it can't be, that shows as the LOCK file that can't be made.
            if options.create_if_missing {
                let _ = options.env.create_dir(path);
            } else if options.env.may_create_dir(path).is_ok() {
                return Err(does_not_exist(path));
            }
        }
        let options = &Options { env: hold(&options.env, path)?, ..options.clone() };
        let env = &options.env;
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
        // It is about to be replaced. The system frees what the last descriptor of a file without a name lets go, which takes
        // milliseconds: not in the rename, but where this one is closed.
        let replaced = env.open_sequential(&info_log::old_path(path)).ok();
        let info_log = match &options.info_log {
            Some(logger) => logger.clone(),
            None => info_log::open(env, path).unwrap_or_else(|_| info_log::null()),
        };
        let opening = Opening::new(options, path, info_log);
        let mut recovered = recover(&opening, path, creating)?;
        let base = lay_base(&opening, path, &mut recovered)?;
        let inner = start(opening, path, recovered, base);
        inner.leftovers.lock().replaced.extend(replaced);
        inner.state.lock().lock = Some(lock);
        let db = Db { inner };
        db.inner.remove_leftovers();
        db.inner.wake_workers();
        Ok(db)
    }
}

// What an opening is made of is large, and hosts have threads of 16 KiB of stack. So its steps are functions which stay such, none
// of which is called while another's frame is there, and what they return is on the heap.

/// The state of the files, or of a new database.
#[inline(never)]
fn recover(opening: &Opening, path: &Path, creating: bool) -> Result<Box<Recovered>> {
    let recovered = if creating { recovery::fresh(opening, path) } else { recovery::recover(opening, path) };
    recovered.map(Box::new)
}

fn does_not_exist(path: &Path) -> Error {
    Error::invalid_argument(format!("{}: does not exist (create_if_missing is false)", path.display()))
}

/// The environment with the directory held, where it can do that. A directory that can't be shows as LevelDB tells it.
fn hold(env: &Arc<dyn Env>, path: &Path) -> Result<Arc<dyn Env>> {
    env::holding(env, path).or_else(|error| {
        drop(env.lock_file(&file_name::lock(path))?);
        Err(error)
    })
}

/// Makes the name of a new database's directory durable. It may have been there before: an attempt to create the database that
/// was cut short did not get to this.
pub(super) fn sync_name(env: &Arc<dyn Env>, path: &Path) -> Result<()> {
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
                let has_no_files = |edit: VersionEdit| match edit.new_files.is_empty() {
                    true => Ok(()),
                    false => Err(Error::corruption("names files")),
                };
                manifest::read(env, &path.join(&name), number, &mut { has_no_files }).is_err()
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

/// What an opening builds upon.
struct Base {
    /// `None`: nothing was to be written.
    manifest: Option<ManifestWriter>,
    /// The MANIFEST that CURRENT names.
    manifest_number: u64,
    wal: WalWriter,
    memtable: Box<MemtableWriter>,
    next_file_number: u64,
    /// Logs that are needed, oldest first; the last is the one written to.
    logs: Vec<LogFile>,
    /// The last sequence number of what is in tables.
    flushed_sequence: u64,
}

impl Base {
    /// Makes the state current that was recovered, durably if there is anything new about it, and creates the log.
    fn lay(opening: &Opening, path: &Path, recovered: &mut Recovered) -> Result<Base> {
        let options = &opening.options;
        let env = &options.env;
        let log_options =
            LogFileOptions { mapped: options.mmap_wal, expected_size: options.write_buffer_size as u64 };
        let mut next_file_number = recovered.next_file_number;
        let mut take_number = || {
            next_file_number += 1;
            next_file_number - 1
        };
        let reused_log = recovered.reused_log.take();
        let log_number = reused_log.as_ref().map_or_else(&mut take_number, |log| log.number);
        let begins_after = reused_log.as_ref().map_or(recovered.last_sequence, |log| log.begins_after);
        let mut logs: Vec<_> = recovered
            .kept_logs
            .iter()
            .map(|log| LogFile { number: log.number, begins_after: log.begins_after })
            .collect();
        logs.push(LogFile { number: log_number, begins_after });
        let flushed_sequence = logs[0].begins_after;
        let found = std::mem::replace(&mut recovered.manifest, FoundManifest::IsReplaced);
        let manifest_number = match &found {
            FoundManifest::Stays(number) => *number,
            FoundManifest::GoesOn(manifest) => manifest.number(),
            FoundManifest::IsReplaced => take_number(),
        };
        let new_files = std::mem::take(&mut recovered.new_files);
        if !recovered.unused_logs.is_empty()
            && let Err(error) = set_aside(env, path, &recovered.unused_logs)
        {
            recovery::remove_tables(opening, path, new_files); // no MANIFEST names them yet
            return Err(error);
        }
        let edit = VersionEdit {
            log_number: Some(logs[0].number),
            new_files: new_files.into_iter().map(|file| (0, file)).collect(),
            ..VersionEdit::default()
        };
        let versions = &mut recovered.versions;
        let prepared = versions.prepare(edit, next_file_number, flushed_sequence)?;
        versions.commit(&prepared);
        let manifest = match found {
            FoundManifest::Stays(_) => None,
            FoundManifest::GoesOn(mut manifest) => {
                // CURRENT names it, but perhaps not durably: the last life may have ended between the rename and the sync.
                env.sync_dir(path)?;
                manifest.append(&prepared.edit)?;
                Some(manifest)
            }
            FoundManifest::IsReplaced => {
                let snapshot = versions.snapshot(next_file_number, flushed_sequence);
                let created = ManifestWriter::create(env, path, manifest_number, &[snapshot]);
                Some(created.map_err(|ManifestError { error, .. }| error)?)
            }
        };
        remove_replayed_logs(env, path, recovered)?;
        let (wal, memtable) = match reused_log {
            Some(log) => {
                (WalWriter::reopen(env, path, log.number, log.size, log_options, begins_after)?, log.memtable)
            }
            None => {
                let wal = WalWriter::create(env, path, log_number, log_options, recovered.logged)?;
                (wal, opening.new_memtable()?)
            }
        };
        Ok(Base { manifest, manifest_number, wal, memtable, next_file_number, logs, flushed_sequence })
    }
}

/// Copies logs to where nothing removes them, durably: the MANIFEST that is to be written makes them unneeded. They are not moved,
/// since without that MANIFEST all of them are needed where they are, or else what one holds would be taken for the newest.
#[cold]
#[inline(never)]
fn set_aside(env: &Arc<dyn Env>, path: &Path, logs: &[u64]) -> Result<()> {
    let mut lost = Lost::open(env, path)?;
    logs.iter().try_for_each(|&number| lost.copy(&file_name::log(path, number)))
}

/// Removes, now that a MANIFEST does without them, the logs that would be replayed over newer writes the next time, and those that
/// were copied.
#[cold]
#[inline(never)]
fn remove_replayed_logs(env: &Arc<dyn Env>, path: &Path, recovered: &Recovered) -> Result<()> {
    let is_stray = |number: &&u64| !recovered.unused_logs.contains(number);
    let logs = recovered.unused_logs.iter().chain(recovered.stray_logs.iter().filter(is_stray));
    logs.into_iter().try_for_each(|&number| env.remove_file(&file_name::log(path, number)))
}

/// See [`Base::lay`].
#[inline(never)]
fn lay_base(opening: &Opening, path: &Path, recovered: &mut Recovered) -> Result<Box<Base>> {
    Base::lay(opening, path, recovered).map(Box::new)
}

/// Builds the shared part of the database on what was recovered.
#[inline(never)]
fn start(opening: Opening, path: &Path, recovered: Box<Recovered>, base: Box<Base>) -> Arc<DbInner> {
    let Opening { options, comparator, table_cache, found_compression, info_log } = opening;
    let env = options.env.clone();
    let Recovered { versions, last_sequence, kept_logs, empty_logs, mut damage, names, .. } = *recovered;
    for set_aside in lost::logs(&env, path) {
        info_log.log(format_args!("{set_aside}"));
        damage.push(set_aside);
    }
    let (log_number, older_logs) = (base.wal.number(), base.wal.older().clone());
    let mut flush_due = FlushDue::new(Instant::now());
    let mut memtables = FamilyMemtables::new(base.memtable.memtable().clone(), log_number);
    for log in kept_logs {
        memtables.immutables.push(ImmutableMemtable { memtable: log.memtable, log_number: log.number });
        flush_due.hurry();
    }
    let super_version = Published::new(memtables.super_version(versions.current().clone()));
    let unconfirmed = base.manifest.is_none();
    let compactions = options.max_background_compactions;
    let pools = Pools::of_process();
    let database = Arc::default();
    let inner = Arc::new(DbInner {
        flush_waker: worker(&pools.flush, &env, 1, &database, DbInner::flush_step),
        compaction_waker: worker(&pools.compaction, &env, compactions, &database, DbInner::compaction_step),
        removal_waker: worker(&pools.removal, &env, 1, &database, DbInner::removal_step),
        path: path.to_path_buf(),
        env,
        info_log,
        family: ColumnFamily { comparator, table_cache, super_version },
        found_compression,
        memtable_store: Arc::new(BlockStore::new(idle_memtable_bytes(&options))),
        last_sequence: CachePadded::new(AtomicU64::new(last_sequence)),
        next_file_number: AtomicU64::new(base.next_file_number),
        min_log_number: AtomicU64::new(base.logs[0].number),
        attention: AtomicU32::new(0),
        deletions_wait_for: AtomicU64::new(u64::MAX),
        unconfirmed: AtomicBool::new(unconfirmed),
        closed: AtomicBool::new(false),
        process: Generation::current(),
        writer: WriteQueue::new(WriterState {
            wal: Some(base.wal),
            memtable: *base.memtable,
            last_sequence,
            record: Vec::new(),
        }),
        dead_spans: DeadSpans::default(),
        snapshots: Mutex::new(SnapshotList::default()),
        state: Mutex::new(DbState {
            memtables,
            flush_due,
            versions,
            manifest_limit: manifest_limit(base.manifest.as_ref().map_or(0, ManifestWriter::file_size)),
            manifest: base.manifest,
            unconfirmed: None,
            manifest_busy: false,
            orphans: Vec::new(),
            logs: base.logs,
            flushed_sequence: base.flushed_sequence,
            running: RunningCompactions::new(),
            manual: Default::default(),
            idle: Idle::default(),
            seeks: Seeks::default(),
            failures: Failures::default(),
            log_lines: Vec::new(),
            stats: Default::default(),
            lock: None,
        }),
        state_changed: Condvar::new(),
        obsolete: Arc::default(),
        obsolete_logs: Default::default(),
        older_logs,
        leftovers: Mutex::default(),
        retired: Mutex::default(),
        removing: Mutex::new(()),
        recovery_damage: damage,
        options,
    });
    let _ = database.set(Arc::downgrade(&inner)); // nobody else does
    let mut state = inner.state.lock();
    empty_logs.iter().for_each(|&number| inner.obsolete_logs.push(number));
    let mut leftovers = inner.find_leftovers(&names, &state.versions, base.manifest_number);
    if unconfirmed {
        leftovers.retain(|path| {
            let name = path.file_name().and_then(file_name::parse_exactly);
            !matches!(name, Some(FileType::Log(number)) if empty_logs.contains(&number))
        });
        state.unconfirmed = Some(Unconfirmed { first_own_log: log_number, leftovers, is_wanted: false });
    } else {
        inner.leftovers.lock().paths = leftovers;
    }
    inner.update_attention(&state);
    drop(state);
    inner
}

/// How much memory of flushed memtables is kept for the next ones: as much as a flush sets free, within a limit.
fn idle_memtable_bytes(options: &Options) -> usize {
    const MOST: usize = 12 << 20;
    options.write_buffer_size.saturating_mul(options.max_write_buffer_number - 1).min(MOST)
}

/// A worker of the database that is being made, and will be known as `database`. It does not keep it alive: closing stops it.
fn worker(
    pool: &'static Pool,
    env: &Arc<dyn Env>,
    threads: usize,
    database: &Arc<OnceLock<Weak<DbInner>>>,
    step: fn(&DbInner) -> Next,
) -> Worker {
    let database = database.clone();
    pool.add(env, threads, move || {
        database.get().and_then(Weak::upgrade).map_or(Next::Wait, |inner| step(&inner))
    })
}
