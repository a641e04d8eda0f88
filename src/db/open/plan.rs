//! The plan of an open: what is done with the recovered state. `recovery` decides it once; this file carries
//! it out, once.
//!
//! Usually nothing is written but an empty WAL: recovered WALs stay as they are, and their entries are in
//! memory (see `recovery_debt`). If more has to be written, the order is: copies of WALs that could not be
//! used completely; a MANIFEST that names the tables made from WALs and no longer needs those WALs, and
//! CURRENT; removal of WALs that a later open would replay over newer writes; the new WAL. Tables are durable
//! before a plan exists.
//!
//! Thread rule: used by one thread.

use crate::db::background::file_gc::find_leftovers;
use crate::db::manifest_state::ManifestState;
use crate::db::open::context::OpenContext;
use crate::db::open::lost::Lost;
use crate::db::open::recovery_debt::RecoveryDebt;
use crate::db::wal_set::{WalFile, WalSet};
use crate::env::{Env, LogFileOptions};
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::family_set::FamilySet;
use crate::format::file_name::{self, FileType};
use crate::format::internal_key::SequenceNumber;
use crate::memtable::list::ImmutableMemtable;
use crate::memtable::{Memtable, MemtableWriter};
use crate::version::file_metadata::FileMetaData;
use crate::version::manifest::ManifestWriter;
use crate::version::version_edit::VersionEdit;
use crate::version::version_set::{EditCounters, PreparedEdits, VersionSet};
use crate::wal::writer::WalWriter;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A recovered WAL that is appended to again.
pub(in crate::db) struct ReusedWal {
    pub file: WalFile,
    /// The length of the file, in bytes.
    pub size: u64,
    /// The entries of the WAL, by family.
    pub memtables: FamilySet<Box<MemtableWriter>>,
}

/// A recovered WAL that stays until its entries, which are in memory, are flushed.
pub(in crate::db) struct RecoveredWal {
    pub file: WalFile,
    /// The memtable of each family that has entries in the WAL.
    pub memtables: Vec<(ColumnFamilyId, Arc<Memtable>)>,
}

/// What is done with the MANIFEST and the recovered WALs.
pub(in crate::db) enum RecoveryPlan {
    /// Nothing is written except a new, empty WAL.
    KeepInMemory(Kept),
    /// The entries of the WALs are in tables, or in the WAL that is reused. An edit says so.
    Write(Box<Rewrite>),
}

/// What stays as it was recovered.
pub(in crate::db) struct Kept {
    /// The MANIFEST that CURRENT names.
    pub manifest: u64,
    /// The WALs with entries, oldest first.
    pub wals: Vec<RecoveredWal>,
    /// WALs without entries: they are removed.
    pub empty_wals: Vec<u64>,
}

/// What is written if not all entries stay only in memory.
#[derive(Default)]
pub(in crate::db) struct Rewrite {
    /// The MANIFEST that is appended to; `None`: a new one takes its place.
    pub manifest: Option<ManifestWriter>,
    /// Level-0 tables made from the WALs, and their families; those of a family oldest first.
    pub new_files: Vec<(ColumnFamilyId, Arc<FileMetaData>)>,
    /// The WAL that is appended to; `None`: a new one is created.
    pub reused_wal: Option<ReusedWal>,
    /// WALs whose numbers are above that of every WAL of this open: they are removed.
    pub stray_wals: Vec<u64>,
    /// WALs of which not everything was replayed: they are set aside.
    pub unused_wals: Vec<u64>,
}

/// The state that the files describe. Tables made from WALs are durable; nothing is installed.
pub(in crate::db) struct Recovered {
    pub versions: VersionSet,
    /// The next file number: above every number in the directory that counts.
    pub next_file_number: u64,
    /// The last sequence number of all entries.
    pub last_sequence: SequenceNumber,
    /// The last sequence number of the WALs that are kept, or else of the tables. The marker of the new WAL
    /// has the next one.
    pub logged: SequenceNumber,
    pub plan: RecoveryPlan,
    /// Damage in the WALs, which was skipped, and oddities of the WALs.
    pub damage: Vec<Error>,
    /// The names of the files in the directory.
    pub names: Vec<OsString>,
}

/// The state that the database starts with.
pub(in crate::db) struct InitialState {
    pub versions: VersionSet,
    pub manifest: ManifestState,
    pub wals: WalSet,
    pub wal: WalWriter,
    /// The active memtable of each family.
    pub memtables: FamilySet<Box<MemtableWriter>>,
    /// The memtables of the recovered WALs, and their families; those of a family oldest first.
    pub immutables: Vec<(ColumnFamilyId, ImmutableMemtable)>,
    pub next_file_number: u64,
    pub last_sequence: SequenceNumber,
    pub debt: Option<RecoveryDebt>,
    /// Files that may be removed now.
    pub leftovers: Vec<PathBuf>,
    /// WALs that may be removed now.
    pub obsolete_wals: Vec<u64>,
    pub damage: Vec<Error>,
}

impl Recovered {
    /// Makes the recovered state current, durably where the plan says so, and creates the WAL.
    pub(in crate::db) fn carry_out(self, context: &OpenContext, path: &Path) -> Result<Box<InitialState>> {
        let Recovered { versions, next_file_number, last_sequence, logged, plan, damage, names } = self;
        let new_wal = NewWal { context, path, logged, last_sequence, next_file_number };
        let mut state = match plan {
            RecoveryPlan::KeepInMemory(kept) => keep_in_memory(new_wal, versions, kept, &names)?,
            RecoveryPlan::Write(rewrite) => write(new_wal, versions, *rewrite, &names)?,
        };
        state.damage = damage;
        Ok(state)
    }
}

fn is_wal_of(path: &Path, numbers: &[u64]) -> bool {
    let name = path.file_name().and_then(file_name::parse_exactly);
    matches!(name, Some(FileType::Log(number)) if numbers.contains(&number))
}

/// What is needed to create or reopen the WAL.
struct NewWal<'a> {
    context: &'a OpenContext,
    path: &'a Path,
    logged: SequenceNumber,
    last_sequence: SequenceNumber,
    next_file_number: u64,
}

impl NewWal<'_> {
    fn env(&self) -> &Arc<dyn Env> {
        &self.context.options.env
    }

    fn take_number(&mut self) -> u64 {
        self.next_file_number += 1;
        self.next_file_number - 1
    }

    fn options(&self) -> LogFileOptions {
        let options = &self.context.options;
        LogFileOptions { mapped: options.mmap_wal, expected_size: options.write_buffer_size as u64 }
    }

    fn create(
        &self,
        number: u64,
        versions: &VersionSet,
    ) -> Result<(WalWriter, FamilySet<Box<MemtableWriter>>)> {
        let wal = WalWriter::create(self.env(), self.path, number, self.options(), self.logged)?;
        Ok((wal, new_memtables(self.context, versions)?))
    }

    fn reopen(&self, reused: ReusedWal) -> Result<(WalWriter, FamilySet<Box<MemtableWriter>>)> {
        let WalFile { number, begins_after, .. } = reused.file;
        let options = self.options();
        let wal = WalWriter::reopen(self.env(), self.path, number, reused.size, options, begins_after)?;
        Ok((wal, reused.memtables))
    }

    fn counters(&self, oldest: WalFile) -> EditCounters {
        EditCounters {
            next_file_number: self.next_file_number,
            logged_before: oldest.begins_after,
            min_log_number: oldest.number,
        }
    }
}

/// An empty memtable for each family.
pub(in crate::db) fn new_memtables(
    context: &OpenContext,
    versions: &VersionSet,
) -> Result<FamilySet<Box<MemtableWriter>>> {
    let mut memtables = FamilySet::new(context.default_family().new_memtable()?);
    for (id, family) in versions.families().skip(1) {
        memtables.insert(id, context.of(family)?.new_memtable()?);
    }
    Ok(memtables)
}

#[inline(never)]
fn keep_in_memory(
    mut new_wal: NewWal<'_>,
    mut versions: VersionSet,
    kept: Kept,
    names: &[OsString],
) -> Result<Box<InitialState>> {
    let Kept { manifest, wals, empty_wals } = kept;
    let number = new_wal.take_number();
    let mut files: Vec<WalFile> = wals.iter().map(|wal| wal.file).collect();
    files.push(WalFile { number, begins_after: new_wal.last_sequence, size: 0 });
    let oldest = files[0];
    // The edits are applied only in memory: WALs below the oldest kept one are gone or empty.
    let edits = edits_of_all(&versions, oldest.number, &[]);
    let prepared = versions.prepare(edits, new_wal.counters(oldest))?;
    drop(versions.commit(&prepared));
    let (wal, memtables) = new_wal.create(number, &versions)?;
    let mut leftovers = find_leftovers(new_wal.path, names, &versions, manifest);
    leftovers.retain(|path| !is_wal_of(path, &empty_wals)); // their removal needs no MANIFEST
    let to_immutables = |wal: RecoveredWal| {
        let log_number = wal.file.number;
        let of_family = move |(id, memtable)| (id, ImmutableMemtable { memtable, log_number });
        wal.memtables.into_iter().map(of_family)
    };
    Ok(Box::new(InitialState {
        manifest: ManifestState::new(None),
        wals: WalSet::new(files, oldest.begins_after),
        wal,
        memtables,
        immutables: wals.into_iter().flat_map(to_immutables).collect(),
        next_file_number: new_wal.next_file_number,
        last_sequence: new_wal.last_sequence,
        debt: Some(RecoveryDebt::new(number, leftovers)),
        leftovers: Vec::new(),
        obsolete_wals: empty_wals,
        damage: Vec::new(),
        versions,
    }))
}

#[inline(never)] // the frames of both would be one
fn write(
    mut new_wal: NewWal<'_>,
    mut versions: VersionSet,
    rewrite: Rewrite,
    names: &[OsString],
) -> Result<Box<InitialState>> {
    let Rewrite { manifest, new_files, reused_wal, stray_wals, unused_wals } = rewrite;
    let file = match &reused_wal {
        Some(reused) => reused.file,
        None => WalFile { number: new_wal.take_number(), begins_after: new_wal.last_sequence, size: 0 },
    };
    let manifest_number = match &manifest {
        Some(found) => found.number(),
        None => new_wal.take_number(),
    };
    if let Err(error) = set_aside(&new_wal, &unused_wals) {
        remove_tables(&new_wal, &new_files); // no MANIFEST names them yet
        return Err(error);
    }
    let counters = new_wal.counters(file);
    let prepared = versions.prepare(edits_of_all(&versions, file.number, &new_files), counters)?;
    drop(versions.commit(&prepared));
    let manifest = match manifest {
        Some(found) => append(&new_wal, found, &prepared)?,
        None => {
            let snapshot = versions.snapshot(counters);
            create_manifest(&new_wal, manifest_number, &versions, &snapshot, &new_files)?
        }
    };
    // A later open would replay these over newer writes; or they were copied to `lost`.
    let is_stray = |number: &&u64| !unused_wals.contains(number);
    for &number in unused_wals.iter().chain(stray_wals.iter().filter(is_stray)) {
        new_wal.env().remove_file(&file_name::log(new_wal.path, number))?;
    }
    let (wal, memtables) = match reused_wal {
        Some(reused) => new_wal.reopen(reused)?,
        None => new_wal.create(file.number, &versions)?,
    };
    Ok(Box::new(InitialState {
        manifest: ManifestState::new(Some(manifest)),
        wals: WalSet::new(vec![file], file.begins_after),
        wal,
        memtables,
        immutables: Vec::new(),
        next_file_number: new_wal.next_file_number,
        last_sequence: new_wal.last_sequence,
        debt: None,
        leftovers: find_leftovers(new_wal.path, names, &versions, manifest_number),
        obsolete_wals: Vec::new(),
        damage: Vec::new(),
        versions,
    }))
}

/// An edit for each family: its new tables, and that it needs no WAL before `log_number`. (A family that
/// needs still fewer keeps its number: what it has in tables must not be replayed.)
fn edits_of_all(
    versions: &VersionSet,
    log_number: u64,
    new_files: &[(ColumnFamilyId, Arc<FileMetaData>)],
) -> Vec<VersionEdit> {
    let edit = |id| VersionEdit {
        column_family: id,
        log_number: Some(log_number.max(versions.log_number(id))),
        new_files: new_files
            .iter()
            .filter(|(family, _)| *family == id)
            .map(|(_, file)| (0, file.clone()))
            .collect(),
        ..VersionEdit::default()
    };
    versions.families().map(|(id, _)| edit(id)).collect()
}

fn append(
    new_wal: &NewWal<'_>,
    mut manifest: ManifestWriter,
    prepared: &PreparedEdits,
) -> Result<ManifestWriter> {
    // CURRENT names this MANIFEST, but perhaps not durably: the last process may have ended between the
    // rename and the sync.
    new_wal.env().sync_dir(new_wal.path)?;
    manifest.append(&prepared.edits)?;
    Ok(manifest)
}

/// Creates the MANIFEST. The tables that this open has made are removed if CURRENT surely does not name it:
/// another try may need their space.
fn create_manifest(
    new_wal: &NewWal<'_>,
    number: u64,
    versions: &VersionSet,
    snapshot: &[VersionEdit],
    new_files: &[(ColumnFamilyId, Arc<FileMetaData>)],
) -> Result<ManifestWriter> {
    let language = versions.language();
    let prepared = ManifestWriter::prepare(new_wal.env(), new_wal.path, number, language, snapshot);
    prepared.inspect_err(|_| remove_tables(new_wal, new_files))?.make_current(new_wal.path)
}

fn remove_tables(new_wal: &NewWal<'_>, files: &[(ColumnFamilyId, Arc<FileMetaData>)]) {
    new_wal.context.remove_tables(new_wal.path, files.iter().map(|(_, file)| file));
}

/// Copies WALs durably to `lost`, where nothing removes them: the MANIFEST that is written next makes them
/// obsolete. They are not moved. Without that MANIFEST recovery needs all of them in place; if one were
/// missing, the entries of an older one would be taken for the newest.
#[cold]
#[inline(never)]
fn set_aside(new_wal: &NewWal<'_>, wals: &[u64]) -> Result<()> {
    if wals.is_empty() {
        return Ok(());
    }
    let mut lost = Lost::open(new_wal.env(), new_wal.path)?;
    wals.iter().try_for_each(|&number| lost.copy(&file_name::log(new_wal.path, number)))
}
