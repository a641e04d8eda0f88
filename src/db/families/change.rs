//! Creates and drops column families.
//!
//! A family exists from the moment when the edit that creates it is durable, and is gone when the edit that
//! drops it is. In between, its entries may be in WALs and tables. A job that runs meanwhile finds at its
//! installation that the family is gone, and discards its tables. What readers hold of a dropped family stays
//! until they let go of it: the super version, and with it memtables and files.
//!
//! Thread rule: one creation or dropping at a time (`DbShared::families_turn`).

use crate::column_family::FamilyMemtables;
use crate::db::Db;
use crate::db::families::ColumnFamilyHandle;
use crate::db::family::{FamilyRef, FamilyState};
use crate::db::open::context::FamilyContext;
use crate::db::open::published;
use crate::db::shared::DbShared;
use crate::db::state::DbState;
use crate::db::write::group::FamilyWriter;
use crate::error::{Error, Result};
use crate::flush::policy::FlushPolicy;
use crate::format::column_family_id::ColumnFamilyId;
use crate::language::Language;
use crate::options::Options;
use crate::util::lock::MutexGuard;
use crate::version::Version;
use crate::version::version_edit::{BeyondLevelDb, VersionEdit};
use crate::version::version_set::FamilyVersion;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The longest name of a column family, in bytes.
const MAX_NAME: usize = 4096;

/// InvalidArgument if a family cannot have this name.
pub(super) fn check_name(name: &[u8]) -> Result<()> {
    let why = match name.len() {
        0 => "is empty",
        length if length > MAX_NAME => "is longer than 4096 bytes",
        _ if name.contains(&0) => "has a NUL byte",
        _ => return Ok(()),
    };
    Err(Error::invalid_argument(format!("the name of a column family {why}")))
}

/// A family that is about to be part of the database.
pub(super) struct NewFamily {
    pub id: ColumnFamilyId,
    pub context: FamilyContext,
    /// Its files.
    pub version: Arc<Version>,
}

/// The edits that create a family: one that says its name, comparator and log number, and one with its files,
/// if it has any. (RocksDB ignores the files of the first one.)
fn edits_of_new(
    id: ColumnFamilyId,
    name: &[u8],
    comparator: &[u8],
    version: &Version,
    log_number: u64,
) -> Vec<VersionEdit> {
    let mut creation = VersionEdit {
        column_family: id,
        comparator: Some(comparator.to_vec()),
        log_number: Some(log_number),
        ..VersionEdit::default()
    };
    creation.beyond = BeyondLevelDb {
        new_family: Some(name.to_vec()),
        max_column_family: Some(id),
        ..BeyondLevelDb::default()
    };
    let new_files = version.new_files();
    if new_files.is_empty() {
        return vec![creation];
    }
    let log_number = Some(log_number);
    vec![creation, VersionEdit { column_family: id, log_number, new_files, ..VersionEdit::default() }]
}

impl Db {
    /// Creates a column family, durably. Of `options` those that concern a family count, see
    /// `open_with_families`. The first one switches the directory to RocksDB's language: LevelDB cannot open
    /// it any more.
    ///
    /// InvalidArgument if the name is empty, longer than 4096 bytes, has a NUL byte, or is taken;
    /// NotSupported if the option `language` forbids the switch. If the MANIFEST cannot be written, the
    /// family may exist at the next open.
    pub fn create_column_family(
        &self,
        name: impl AsRef<[u8]>,
        options: &Options,
    ) -> Result<ColumnFamilyHandle> {
        let family = self.inner.create_column_family(name.as_ref(), options)?;
        Ok(ColumnFamilyHandle::new(&self.inner, family))
    }

    /// Drops a column family, durably, with everything in it. Handles and iterators of it can still be read;
    /// its files go with the last of them. InvalidArgument for the default family, for one that was dropped,
    /// and for one of another database.
    pub fn drop_column_family(&self, family: &ColumnFamilyHandle) -> Result<()> {
        self.inner.drop_column_family(family.of(&self.inner)?.id)
    }
}

impl DbShared {
    fn create_column_family(&self, name: &[u8], options: &Options) -> Result<FamilyRef> {
        let (id, _turn) = self.begin_family(name, options)?;
        let context = FamilyContext::new(name, options, &self.options, &self.open_tables, &self.path);
        let version = Arc::new(context.empty_version());
        self.install_family(NewFamily { id, context, version }, || {})
    }

    /// Takes the families' turn, checks whether a family can have this name and these options, and does what
    /// the switch of language needs before it. Returns the number of the new family.
    pub(super) fn begin_family(
        &self,
        name: &[u8],
        options: &Options,
    ) -> Result<(ColumnFamilyId, MutexGuard<'_, ()>)> {
        self.check_caller()?;
        check_name(name)?;
        options.compression.check()?;
        let turn = self.families_turn.lock();
        let id = self.number_of_new_family(name)?;
        self.prepare_for_families()?;
        Ok((id, turn))
    }

    /// Makes a family part of the database, durably. Its files and their names are durable. `before_write`
    /// runs when nothing can prevent the writing of the edits any more; after that an error leaves it open
    /// whether the family is there. The caller has the turn and the number of `begin_family`.
    pub(super) fn install_family(&self, new: NewFamily, before_write: impl FnOnce()) -> Result<FamilyRef> {
        let NewFamily { id, context, version } = new;
        let (name, comparator) = (context.name.clone(), context.comparator_name());
        let is_bytewise = context.comparator.is_bytewise();
        let memtable_writer = context.new_memtable()?;
        let memtable = memtable_writer.memtable().clone();
        let memtables = FamilyMemtables::new(memtable, 0);
        let super_version = memtables.super_version(version.clone());
        let family = FamilyRef::Other(Arc::new(context.into_family(id, published(id, super_version))));
        let mut of_family =
            Some(FamilyState::new(family.clone(), memtables, FlushPolicy::new(self.env.now())));

        // Before the family can be found, so that whoever finds it can write to it.
        let of_writer = FamilyWriter { family: family.clone(), memtable: memtable_writer };
        self.writer.lock().families.insert(id, of_writer);
        let mut state = self.state.lock();
        let superseded = self.install(
            &mut state,
            |state| {
                self.refusal(state)?;
                self.speak_rocksdb(state);
                before_write();
                Ok(edits_of_new(id, &name, &comparator, &version, state.wals.newest()))
            },
            |state| {
                let log_number = state.wals.newest();
                let of_manifest =
                    FamilyVersion::new(name.clone(), comparator.clone(), version.clone(), log_number);
                state.versions.add_family(id, of_manifest);
                if let Some(mut of_family) = of_family.take() {
                    of_family.memtables.active_log_number = log_number;
                    state.families.insert(id, of_family);
                }
                if !is_bytewise {
                    self.has_user_comparator.store(true, Ordering::Relaxed);
                }
            },
        );
        drop(state);
        if superseded.is_err() {
            drop(self.writer.lock().families.remove(id));
        }
        drop(superseded?);
        self.compaction_waker.wake(); // after a switch there are tables to upgrade
        self.write_rocksdb_files();
        self.info_log.log(format_args!("created column family {} ({})", name.escape_ascii(), id.0));
        Ok(family)
    }

    /// The number that a new family with this name gets.
    fn number_of_new_family(&self, name: &[u8]) -> Result<ColumnFamilyId> {
        let state = self.state.lock();
        self.refusal(&state)?;
        if state.versions.find(name).is_some() {
            let name = name.escape_ascii();
            return Err(Error::invalid_argument(format!("column family '{name}' exists already")));
        }
        let used_up = || Error::not_supported("the numbers of column families are used up");
        state.versions.next_column_family().ok_or_else(used_up)
    }

    fn drop_column_family(&self, id: ColumnFamilyId) -> Result<()> {
        self.check_caller()?;
        if id == ColumnFamilyId::DEFAULT {
            return Err(Error::invalid_argument("the default column family cannot be dropped"));
        }
        let _turn = self.families_turn.lock();
        let mut state = self.state.lock();
        self.refusal(&state)?;
        let Some(family) = state.families.get(id).map(|of_family| of_family.family.clone()) else {
            return Err(Error::invalid_argument(format!("column family {} was dropped already", id.0)));
        };
        debug_assert_eq!(state.versions.language(), Language::RocksDb);
        let mut gone = None;
        let superseded = self.install(
            &mut state,
            |_| {
                let beyond = BeyondLevelDb { drops_family: true, ..BeyondLevelDb::default() };
                Ok(vec![VersionEdit { column_family: id, beyond, ..VersionEdit::default() }])
            },
            |state| {
                family.or(&self.default_family).is_dropped.store(true, Ordering::Release);
                gone = self.take_out(state, id);
                self.update_write_gate(state);
                if !state.has_immutables() {
                    self.flush_succeeded(state); // what could not be flushed is gone
                }
            },
        );
        drop(state);
        drop(superseded?);
        let of_writer = self.writer.lock().families.remove(id);
        drop((of_writer, gone)); // without a lock: memtables and tables are freed
        self.write_rocksdb_files();
        self.info_log.log(format_args!("dropped column family {}", id.0));
        self.compaction_waker.wake();
        self.removal_waker.wake();
        Ok(())
    }

    /// Takes out the state of a family that was dropped. Its files are removed when nobody reads them.
    fn take_out(
        &self,
        state: &mut DbState,
        id: ColumnFamilyId,
    ) -> Option<(Option<FamilyVersion>, FamilyState)> {
        let of_manifest = state.versions.remove_family(id);
        let files = of_manifest.iter().flat_map(|family| family.current().levels.iter().flatten());
        for file in files {
            file.mark_deleted(&self.file_gc.tables);
            state.errors.forget_damaged(file.number);
        }
        state.families.remove(id).map(|of_family| (of_manifest, of_family))
    }
}
