//! Column families of an open database: their handles, and what programs do with them. `change` creates and
//! drops families, `language` switches the directory to RocksDB's language, which the first family needs,
//! `export` writes the contents of a family to a directory of LevelDB's, and `import` makes a family of one.
//!
//! Thread rule: any thread.

mod change;
mod copy;
mod export;
mod import;
mod language;
mod rocksdb_files;

use crate::batch::write_batch::WriteBatch;
use crate::column_family::ColumnFamily;
use crate::db::Db;
use crate::db::family::FamilyRef;
use crate::db::read::iterator::DbIterator;
use crate::db::read::iterator::WakerAtEnd;
use crate::db::read::options::ReadOptions;
use crate::db::read::snapshot::Snapshot;
use crate::db::shared::DbShared;
use crate::db::write::commit::Payload;
use crate::db::write::spread::FamilyEntry;
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::limits::check_entry;
use crate::options::{Options, ReadAt, WriteOptions};
use crate::util::fork::leak_in_child;
use crate::version::manifest;
use crate::version::version_set::{DEFAULT_FAMILY_NAME, FamilyBase, VersionRecovery};
use std::path::Path;
use std::sync::Arc;

/// A column family of an open database. May be used from any thread, and may outlive the database and the
/// family: a family that was dropped can be read as long as there is a handle of it, and writes to it fail.
/// Cloning a handle is cheap.
///
/// ```
/// # use terrace::{Db, Options, ReadOptions, WriteBatch, WriteOptions};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("db");
/// let options = Options { create_if_missing: true, ..Options::default() };
/// let db = Db::open(&options, &path)?;
/// let index = db.create_column_family("index", &options)?;
///
/// let mut batch = WriteBatch::new(); // over both families, all or nothing
/// batch.put(b"document 7", b"the text");
/// batch.put_cf(&index, b"text", b"document 7");
/// db.write(&WriteOptions::default(), &batch)?;
/// assert!(db.get_cf(&index, &ReadOptions::default(), b"text")?.is_some());
/// drop((index, db));
///
/// // From now on every open names the families.
/// let (db, families) = Db::open_with_families(&options, &path, &[("index", &options)])?;
/// assert!(db.get_cf(&families[0], &ReadOptions::default(), b"text")?.is_some());
/// db.drop_column_family(&families[0])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ColumnFamilyHandle {
    family: FamilyRef,
    db: WakerAtEnd, // the last field: it wakes whoever removes files that only this handle has kept
}

impl ColumnFamilyHandle {
    pub(in crate::db) fn new(db: &Arc<DbShared>, family: FamilyRef) -> Self {
        ColumnFamilyHandle { family, db: WakerAtEnd(db.clone()) }
    }

    /// The number of the family, which no other family of the database ever gets. The default family has 0.
    pub fn id(&self) -> u32 {
        self.core().id.0
    }

    /// The name of the family. It is any bytes but NUL.
    pub fn name(&self) -> &[u8] {
        &self.core().name
    }

    fn core(&self) -> &ColumnFamily {
        self.family.or(&self.db.default_family)
    }

    /// The family. InvalidArgument if it is of another database.
    #[inline]
    pub(in crate::db) fn of<'a>(&'a self, db: &DbShared) -> Result<&'a ColumnFamily> {
        if std::ptr::eq(&**self.db, db) { Ok(self.core()) } else { Err(foreign_family()) }
    }

    fn reference(&self, db: &DbShared) -> Result<FamilyRef> {
        self.of(db).map(|_| self.family.clone())
    }
}

impl Clone for ColumnFamilyHandle {
    fn clone(&self) -> Self {
        Self::new(&self.db, self.family.clone())
    }
}

impl Drop for ColumnFamilyHandle {
    fn drop(&mut self) {
        if !self.db.process.is_current() {
            leak_in_child((self.family.clone(), self.db.clone())); // see `Db`'s drop
        }
    }
}

impl std::fmt::Debug for ColumnFamilyHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ColumnFamilyHandle({}: {})", self.id(), self.name().escape_ascii())
    }
}

#[cold]
fn foreign_family() -> Error {
    Error::invalid_argument("the column family is of another database")
}

impl Db {
    /// Opens the database in the directory `path` with all its column families: the default one, whose
    /// options are in `options`, and `families`, each with its name and the options that concern it
    /// (comparator, sizes of memtables, files and blocks, compression, filters, cache, triggers). Returns the
    /// handles in the order of `families`; a family called `default` is the default one, and its own options
    /// are used for it.
    ///
    /// Every family of the database must be named; InvalidArgument says which are missing. A named family
    /// that does not exist is created if `create_missing_column_families` is set, else the open fails. Other
    /// errors as `open`.
    pub fn open_with_families<N: AsRef<[u8]>>(
        options: &Options,
        path: &Path,
        families: &[(N, &Options)],
    ) -> Result<(Db, Vec<ColumnFamilyHandle>)> {
        let names: Vec<&[u8]> = families.iter().map(|(name, _)| name.as_ref()).collect();
        for (index, name) in names.iter().enumerate() {
            change::check_name(name)?;
            if names[..index].contains(name) {
                return Err(Error::invalid_argument(format!(
                    "column family '{}' is named twice",
                    name.escape_ascii()
                )));
            }
        }
        let default_family = families.iter().find(|(name, _)| name.as_ref() == DEFAULT_FAMILY_NAME);
        let options = &match default_family {
            Some((_, of_family)) => options.with_family_options_of(of_family),
            None => options.clone(),
        };
        let others: Vec<(&[u8], &Options)> = families
            .iter()
            .map(|(name, options)| (name.as_ref(), *options))
            .filter(|(name, _)| *name != DEFAULT_FAMILY_NAME)
            .collect();
        let db = Self::open_named(options, path, &others)?;
        let handles = families.iter().map(|(name, options)| match db.column_family(name.as_ref()) {
            Some(found) => Ok(found),
            None => db.create_column_family(name.as_ref(), options),
        });
        let handles = handles.collect::<Result<Vec<_>>>()?;
        Ok((db, handles))
    }

    /// The names of the column families of the database in the directory `path`, which may be open meanwhile;
    /// the default one first, then in the order of their creation. Nothing is locked or changed.
    pub fn list_column_families(options: &Options, path: &Path) -> Result<Vec<Vec<u8>>> {
        loop {
            let number = manifest::current_number(&options.env, path)?;
            let base_of = |_: &[u8]| -> Option<FamilyBase> { None };
            let mut edits = VersionRecovery::new(&base_of);
            match manifest::recover(&options.env, path, &mut |edit| edits.apply(edit)) {
                Ok(_) => return Ok(edits.names()),
                // The open database has replaced the MANIFEST meanwhile, and removed the one before it.
                Err(_) if manifest::current_number(&options.env, path)? != number => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The default column family, which every database has.
    pub fn default_column_family(&self) -> ColumnFamilyHandle {
        ColumnFamilyHandle::new(&self.inner, FamilyRef::Default)
    }

    /// The column family with this name; `None` if there is none.
    pub fn column_family(&self, name: impl AsRef<[u8]>) -> Option<ColumnFamilyHandle> {
        self.inner.check_caller().ok()?;
        let state = self.inner.state.lock();
        let id = state.versions.find(name.as_ref())?;
        let family = state.families.get(id)?.family.clone();
        drop(state);
        Some(ColumnFamilyHandle::new(&self.inner, family))
    }

    /// As `put`, into a column family. InvalidArgument if the family is of another database or was dropped.
    #[inline]
    pub fn put_cf(
        &self,
        family: &ColumnFamilyHandle,
        options: &WriteOptions,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        check_entry(key.len(), value.len())?;
        let family = family.of(&self.inner)?;
        match family.id {
            ColumnFamilyId::DEFAULT => self.inner.write(options, Payload::Put(key, value)),
            _ => {
                family.check_alive()?; // who joins a group is not asked again
                self.inner.write(options, FamilyEntry { family, key, value: Some(value) })
            }
        }
    }

    /// As `delete`, from a column family. Errors as `put_cf`.
    #[inline]
    pub fn delete_cf(&self, family: &ColumnFamilyHandle, options: &WriteOptions, key: &[u8]) -> Result<()> {
        check_entry(key.len(), 0)?;
        let family = family.of(&self.inner)?;
        match family.id {
            ColumnFamilyId::DEFAULT => self.inner.write(options, Payload::Delete(key)),
            _ => {
                family.check_alive()?;
                self.inner.write(options, FamilyEntry { family, key, value: None })
            }
        }
    }

    /// As `iter`, over a column family. If the family is of another database, the iterator never becomes
    /// valid and its `status` is InvalidArgument.
    pub fn iter_cf(&self, family: &ColumnFamilyHandle, options: &ReadOptions<'_>) -> DbIterator {
        self.iter_at_cf(family, options.resolve(&self.inner).ok())
    }

    /// As `iter_cf`, at a sequence number whose snapshot the caller holds.
    pub(crate) fn iter_at_cf(&self, family: &ColumnFamilyHandle, read: Option<ReadAt>) -> DbIterator {
        match family.reference(&self.inner) {
            Ok(family) => DbIterator::new(&self.inner, family, read),
            Err(error) => DbIterator::of_error(&self.inner, error),
        }
    }

    /// Iterators over several column families, all at one state of the database: of a batch over several
    /// families they show everything or nothing. InvalidArgument if a family, or the snapshot, is of another
    /// database.
    pub fn iter_cfs(
        &self,
        families: &[&ColumnFamilyHandle],
        options: &ReadOptions<'_>,
    ) -> Result<Vec<DbIterator>> {
        let read = options.resolve(&self.inner)?;
        self.iter_at_cfs(families, read)
    }

    /// As `iter_cfs`, with options that have been resolved.
    pub(crate) fn iter_at_cfs(
        &self,
        families: &[&ColumnFamilyHandle],
        read: ReadAt,
    ) -> Result<Vec<DbIterator>> {
        self.check_process()?;
        let references: Vec<_> =
            families.iter().map(|family| family.reference(&self.inner)).collect::<Result<_>>()?;
        // The sequence number is kept readable until all views are taken: a view of a later moment has every
        // entry that a reader at that number may need.
        let snapshot = Snapshot::new(&self.inner);
        let sequence = read.sequence.unwrap_or_else(|| snapshot.sequence());
        let at = |family: FamilyRef| {
            let view = family.or(&self.inner.default_family).super_version.take();
            DbIterator::over(&self.inner, family, Some((view, read, sequence)))
        };
        Ok(references.into_iter().map(at).collect())
    }

    /// As `flush`, for one column family: the WALs stay as far as others need them. InvalidArgument if the
    /// family is of another database.
    pub fn flush_cf(&self, family: &ColumnFamilyHandle) -> Result<()> {
        self.inner.flush_families(Some(family.of(&self.inner)?.id))
    }
}

impl WriteBatch {
    /// As `put`, into a column family. An entry for families of two databases in one batch makes the write of
    /// the batch fail.
    pub fn put_cf(&mut self, family: &ColumnFamilyHandle, key: &[u8], value: &[u8]) {
        self.put_to(family.db.identity, family.core().id, key, value);
    }

    /// As `delete`, from a column family.
    pub fn delete_cf(&mut self, family: &ColumnFamilyHandle, key: &[u8]) {
        self.delete_from(family.db.identity, family.core().id, key);
    }
}
