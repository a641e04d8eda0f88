//! Opening a database: the directory, the lock, creation or recovery, the first MANIFEST and WAL of this
//! process, the workers.
//!
//! Usually an open makes nothing durable: the files that it has read, and the memtables made from them, stay
//! as they are until the first edit or the first synced write (see `recovery_debt`). With a user's comparator
//! the contents of the WALs are flushed at once. If something has to be written, `plan` has the order; the
//! directory's name, and tables made from WALs, are durable before.
//!
//! Thread rule: an open runs on its caller's thread; the lock excludes every other open.

use crate::background::pool::{Next, Pool, Pools, Worker};
use crate::column_family::super_version::SuperVersion;
use crate::column_family::{ColumnFamily, FamilyMemtables};
use crate::db::Db;
use crate::db::background::errors::ErrorState;
use crate::db::background::file_gc::FileGc;
use crate::db::family::{FamilyRef, FamilyState};
use crate::db::open::context::OpenContext;
use crate::db::open::plan::{InitialState, Recovered};
use crate::db::read::snapshot_list::SnapshotList;
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::db::write::group::{FamilyWriter, WriteQueue, WriterState};
use crate::env::info_log;
use crate::env::{self, Env, FileLock, parent_of, posix};
use crate::error::{Error, Result};
use crate::flush::policy::FlushPolicy;
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::family_set::FamilySet;
use crate::format::file_name::{self, FileType};
use crate::memtable::MemtableWriter;
use crate::memtable::list::ImmutableMemtable;
use crate::options::Options;
use crate::util::arena::blocks::BlockStore;
use crate::util::fork::ProcessGeneration;
use crate::util::lock::{Condvar, Mutex};
use crate::util::sync::{CachePadded, Published};
use crate::version::manifest;
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::VersionSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, OnceLock, Weak};

pub(super) mod context;
pub(super) mod lost;
pub(super) mod plan;
pub(super) mod recovery;
pub(super) mod recovery_debt;
pub(super) mod settle;

impl Db {
    /// Opens the database in the directory `path`. Creates it (only the last directory of the path) if the
    /// options say so.
    ///
    /// Errors: InvalidArgument (the path is empty; the database does not exist, exists, has another
    /// comparator, or has column families beside the default one: see `open_with_families`), NotSupported (a
    /// compression that this build cannot write), IoError (another process holds the lock, or the system
    /// reports an error), Corruption (the MANIFEST or a table it needs is damaged or missing; with
    /// `paranoid_checks` a WAL too). An open that ends in Corruption changes no file but LOCK, LOG and
    /// LOG.old.
    pub fn open(options: &Options, path: &Path) -> Result<Db> {
        Self::open_named(options, path, &[])
    }

    /// As `open`, with the families `others` beside the default one.
    pub(in crate::db) fn open_named(
        options: &Options,
        path: &Path,
        others: &[(&[u8], &Options)],
    ) -> Result<Db> {
        if path.as_os_str().is_empty() {
            return Err(Error::invalid_argument("the path of the database is empty"));
        }
        options.compression.check()?;
        others.iter().try_for_each(|(_, options)| options.compression.check())?;
        posix::fork::watch()
            .map_err(|error| Error::from_os(path, &error).context("cannot watch for forks"))?;
        if !options.env.exists(path) {
            // LevelDB creates the directory in either case. If it cannot be created, the error is the one of
            // creating LOCK.
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
        // Opening LOG renames it over LOG.old. A descriptor of the old LOG.old is kept, so that its blocks
        // are freed (milliseconds) when the file-removal worker closes it, not inside this rename.
        let replaced = env.open_sequential(&info_log::old_path(path)).ok();
        let info_log = match &options.info_log {
            Some(logger) => logger.clone(),
            None => info_log::open(env, path).unwrap_or_else(|_| info_log::null()),
        };
        let context = OpenContext::new(options, others, path, info_log);
        let recovered = recover(&context, path, creating)?;
        let initial = carry_out(&context, path, recovered)?;
        let inner = start(context, path, initial, lock)?;
        inner.file_gc.add_replaced(replaced);
        let db = Db { inner };
        db.inner.remove_leftovers();
        db.inner.wake_workers();
        Ok(db)
    }
}

// The values that an open builds are large, and hosts have threads with 16 KiB of stack. So the steps of an
// open are functions that are not inlined, no step is called while the frame of another one exists, and the
// results are on the heap.

/// Recovers the state from the files, or makes that of a new database.
#[inline(never)]
fn recover(context: &OpenContext, path: &Path, creating: bool) -> Result<Box<Recovered>> {
    let recovered = if creating { recovery::fresh(context, path) } else { recovery::recover(context, path) };
    recovered.map(Box::new)
}

#[inline(never)]
fn carry_out(context: &OpenContext, path: &Path, recovered: Box<Recovered>) -> Result<Box<InitialState>> {
    recovered.carry_out(context, path)
}

fn does_not_exist(path: &Path) -> Error {
    Error::invalid_argument(format!("{}: does not exist (create_if_missing is false)", path.display()))
}

/// The environment with the directory held open, if it can do that. If the directory cannot be held, the
/// error is the one of locking LOCK, as with LevelDB.
fn hold(env: &Arc<dyn Env>, path: &Path) -> Result<Arc<dyn Env>> {
    env::holding(env, path).or_else(|error| {
        drop(env.lock_file(&file_name::lock(path))?);
        Err(error)
    })
}

/// Makes the name of a new database's directory durable, even if the directory existed before: an earlier
/// creation may have been cut short before this step.
pub(super) fn sync_name(env: &Arc<dyn Env>, path: &Path) -> Result<()> {
    match env.sync_dir(parent_of(path)) {
        // A user who may not read the parent directory cannot sync it, and gets a database nevertheless, as
        // with LevelDB.
        Err(error) if error.errno() == Some(libc::EACCES) => Ok(()),
        result => result,
    }
}

/// Called if CURRENT is missing: a database may be created only if none has been there. The remains of a
/// creation that was cut short (a first MANIFEST without files) do no harm. A table, a WAL, or a MANIFEST
/// that names files or cannot be read means that a database has lost its CURRENT.
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

/// Builds the shared part of the database from the initial state, and registers the workers.
#[inline(never)]
fn start(
    context: OpenContext,
    path: &Path,
    initial: Box<InitialState>,
    lock: Box<dyn FileLock>,
) -> Result<Arc<DbShared>> {
    let env = context.options.env.clone();
    let mut recovery_damage = initial.damage;
    for set_aside in lost::logs(&env, path) {
        context.info_log.log(format_args!("{set_aside}"));
        recovery_damage.push(set_aside);
    }
    let InitialFamilies { context, states, writers, default_family, has_user_comparator } =
        families(context, &initial.versions, initial.memtables, initial.immutables, initial.wal.number())?;
    let state = DbState {
        families: states,
        manifest: initial.manifest,
        wals: initial.wals,
        manual: Default::default(),
        upgrade_cursor: Default::default(),
        errors: ErrorState::default(),
        debt: initial.debt,
        info_lines: Vec::new(),
        lock: Some(lock),
        versions: initial.versions,
    };
    let file_gc = FileGc::default();
    file_gc.add_paths(initial.leftovers);
    initial.obsolete_wals.iter().for_each(|&number| file_gc.wals.push(number));
    let older_logs = initial.wal.older().clone();
    let last_sequence = initial.last_sequence;
    let writer = WriterState {
        wal: Some(initial.wal),
        families: writers,
        last_sequence,
        record: Vec::new(),
        wal_check_at: 0,
    };
    let pools = Pools::of_process();
    let compactions = context.options.max_background_compactions;
    let database = Arc::default();
    let shared = Arc::new(DbShared {
        options: context.options.of_database(),
        path: path.to_path_buf(),
        info_log: context.info_log.clone(),
        memtable_store: Arc::new(BlockStore::new(idle_memtable_bytes(&context.options))),
        last_sequence: CachePadded::new(AtomicU64::new(last_sequence)),
        next_file_number: AtomicU64::new(initial.next_file_number),
        min_log_number: AtomicU64::new(state.versions.min_log_number()),
        write_gate: AtomicU32::new(0),
        closed: AtomicBool::new(false),
        process: ProcessGeneration::current(),
        writer: WriteQueue::new(writer),
        snapshots: Mutex::new(SnapshotList::default()),
        state: Mutex::new(state),
        state_changed: Condvar::new(),
        file_gc,
        older_logs,
        flush_waker: worker(&pools.flush, &env, 1, &database, DbShared::flush_step),
        compaction_waker: worker(&pools.compaction, &env, compactions, &database, DbShared::compaction_step),
        removal_waker: worker(&pools.removal, &env, 1, &database, DbShared::removal_step),
        recovery_damage,
        env,
        open_tables: context.open_tables.clone(),
        default_family,
        has_user_comparator: AtomicBool::new(has_user_comparator),
        identity: DbShared::new_identity(),
        tombstones_droppable_at: AtomicU64::new(u64::MAX),
        families_turn: Mutex::new(()),
    });
    let _ = database.set(Arc::downgrade(&shared)); // set only here
    shared.update_write_gate(&shared.state.lock());
    Ok(shared)
}

/// The families of a database that is about to be open.
struct InitialFamilies {
    context: OpenContext,
    states: FamilySet<FamilyState>,
    writers: FamilySet<FamilyWriter>,
    default_family: ColumnFamily,
    has_user_comparator: bool,
}

/// Puts together what belongs to each family. Recovered memtables are flushed at once.
#[inline(never)]
fn families(
    mut context: OpenContext,
    versions: &VersionSet,
    memtables: FamilySet<Box<MemtableWriter>>,
    immutables: Vec<(ColumnFamilyId, ImmutableMemtable)>,
    wal_number: u64,
) -> Result<InitialFamilies> {
    let now = context.options.env.now();
    let has_user_comparator = context.families.iter().any(|family| !family.comparator.is_bytewise());
    let mut named = std::mem::take(&mut context.families);
    let mut take = |name: &[u8]| {
        let place = named.iter().position(|family| family.name == name);
        place
            .map(|place| named.swap_remove(place))
            .ok_or_else(|| Error::corruption("a family without options"))
    };
    let mut all = Vec::with_capacity(memtables.count());
    for (id, of_manifest) in versions.families() {
        let family = take(of_manifest.name())?;
        let active = memtables.get(id).map(|memtable| memtable.memtable().clone());
        let active = active.ok_or_else(|| Error::corruption("a family without a memtable"))?;
        let mut flush_policy = FlushPolicy::new(now);
        let mut of_memory = FamilyMemtables::new(active, wal_number);
        for (_, immutable) in immutables.iter().filter(|(family, _)| *family == id) {
            of_memory.immutables.push(immutable.clone());
            flush_policy.flush_at_once();
        }
        let super_version = of_memory.super_version(of_manifest.current().clone());
        let family = family.into_family(id, published(id, super_version));
        all.push((id, family, of_memory, flush_policy));
    }
    let mut all = all.into_iter();
    let (_, default_family, of_memory, flush_policy) =
        all.next().ok_or_else(|| Error::corruption("no default family"))?;
    let mut states = FamilySet::new(FamilyState::new(FamilyRef::Default, of_memory, flush_policy));
    let mut refs = FamilySet::new(FamilyRef::Default);
    for (id, family, of_memory, flush_policy) in all {
        let family = FamilyRef::Other(Arc::new(family));
        refs.insert(id, family.clone());
        states.insert(id, FamilyState::new(family, of_memory, flush_policy));
    }
    let to_writer = |id, memtable: Box<MemtableWriter>| -> Result<FamilyWriter> {
        Ok(FamilyWriter { family: refs[id].clone(), memtable })
    };
    let writers = memtables.try_map_with_ids(to_writer)?;
    Ok(InitialFamilies { context, states, writers, default_family, has_user_comparator })
}

/// The cell through which readers take the super version of a family. A family beside the default one has a
/// small one: there may be a thousand.
pub(in crate::db) fn published(id: ColumnFamilyId, value: Arc<SuperVersion>) -> Published<SuperVersion> {
    const SLOTS_OF_OTHERS: usize = 8;
    match id {
        ColumnFamilyId::DEFAULT => Published::new(value),
        _ => Published::with_slots(value, SLOTS_OF_OTHERS),
    }
}

/// How much memory of flushed memtables is kept for the next ones, in bytes: as much as one flush frees,
/// within a limit.
fn idle_memtable_bytes(options: &Options) -> usize {
    const MOST: usize = 12 << 20;
    options.write_buffer_size.saturating_mul(options.max_write_buffer_number - 1).min(MOST)
}

/// Registers a worker of the database that `database` will refer to. The worker does not keep the database
/// alive; close stops the worker.
fn worker(
    pool: &'static Pool,
    env: &Arc<dyn Env>,
    threads: usize,
    database: &Arc<OnceLock<Weak<DbShared>>>,
    step: fn(&DbShared) -> Next,
) -> Worker {
    let database = database.clone();
    pool.add(env, threads, move || {
        database.get().and_then(Weak::upgrade).map_or(Next::Wait, |inner| step(&inner))
    })
}
