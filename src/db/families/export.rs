//! Export: writes the contents of a family to a new directory, which is a LevelDB database.
//!
//! Order: the directory's name, the tables and their names, the MANIFEST and its name, CURRENT; each durable
//! before the next. So after a crash the directory has the whole database, or no CURRENT. The directory's
//! LOCK is held throughout.
//!
//! Thread rule: any thread; no lock of the database is held.

use crate::column_family::ColumnFamily;
use crate::column_family::found_compression::FoundCompression;
use crate::compaction::picker;
use crate::compression::Compression;
use crate::db::Db;
use crate::db::admin::{destroy, new_manifest};
use crate::db::families::{ColumnFamilyHandle, copy};
use crate::db::open::sync_name;
use crate::db::read::snapshot::Snapshot;
use crate::env::info_log::Logger;
use crate::env::{self, Env, FileLock, ReadMode};
use crate::error::{Error, Result};
use crate::format::column_family_id::ColumnFamilyId;
use crate::format::file_name::{self, FileType};
use crate::job::context::JobContext;
use crate::language::Language;
use crate::options::DEFAULT_MAX_BYTES_FOR_LEVEL_BASE;
use crate::table::TableOptions;
use crate::table::cache::TableCache;
use crate::table::open_tables::OpenTables;
use crate::version::Version;
use crate::version::key_range::total_bytes;
use crate::version::version_set::DEFAULT_FAMILY_NAME;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Descriptors of tables that an export may have open. Each table is opened once, as a check.
const MAX_OPEN_TABLES: usize = 10;

/// The memory for the metadata of these tables, in bytes.
const METADATA_BUDGET: usize = 1 << 20;

impl Db {
    /// Writes the contents of a column family, as they are at one moment of this call, to a new LevelDB
    /// database in `directory`, which is created if it is missing (only the last directory of the path).
    /// Writes to this database go on meanwhile. LevelDB opens the new database with the family's comparator;
    /// nothing in it depends on this one. A family that was dropped can be exported as long as there is a
    /// handle of it.
    ///
    /// After a crash the database is there whole, or the directory has no file CURRENT and can be removed.
    /// After an error everything that was made is removed again.
    ///
    /// Errors: InvalidArgument (the family is of another database; the directory has files of a database),
    /// Corruption (a table of the family is damaged), IoError.
    pub fn export_leveldb(&self, family: &ColumnFamilyHandle, directory: &Path) -> Result<()> {
        self.inner.check_caller()?;
        let of_family = family.of(&self.inner)?;
        if self.inner.is_closed() {
            return Err(self.inner.closed_error());
        }
        if directory == self.inner.path {
            return Err(Error::invalid_argument(format!(
                "{}: a database cannot be exported to its own directory",
                directory.display()
            )));
        }
        self.export(of_family, directory)
            .map_err(|error| error.context(format_args!("export to {}", directory.display())))
    }

    fn export(&self, family: &ColumnFamily, directory: &Path) -> Result<()> {
        let inner = &self.inner;
        let mut target = NewDirectory::claim(&inner.env, &inner.info_log, directory)?;
        // The sequence number is kept readable until the view is taken, which has every entry up to it.
        let snapshot = Snapshot::new(inner);
        let view = family.super_version.load();
        let env = target.env.clone();
        let table_cache = TableCache::new(
            OpenTables::new(env.clone(), MAX_OPEN_TABLES, METADATA_BUDGET),
            directory.to_path_buf(),
            Arc::new(table_options(family)),
            ReadMode::Positioned,
        );
        let (next_file_number, found_compression) = (AtomicU64::new(1), FoundCompression::default());
        let context = JobContext {
            language: Language::LevelDb,
            family: ColumnFamilyId::DEFAULT,
            env: &env,
            db: directory,
            next_file_number: &next_file_number,
            ..inner.copy_context(&table_cache, &found_compression, snapshot.sequence())
        };
        drop(snapshot);
        let (files, pending) = copy::copy(&view, &context, family.options.max_file_size as u64)?;
        drop(view);
        pending.keep(); // `target` removes them
        let (count, bytes) = (files.len(), total_bytes(&files));
        let level = picker::level_for_all(bytes, DEFAULT_MAX_BYTES_FOR_LEVEL_BASE);
        let files = files.into_iter().map(|file| (level, file)).collect();
        let empty = Arc::new(Version::empty(family.comparator.clone(), table_cache.clone()));
        new_manifest::write(&env, directory, empty, files, &next_file_number, copy::SEQUENCE)?;
        target.is_complete = true;
        inner.info_log.log(format_args!(
            "exported column family {} to {}: {count} tables, {bytes} bytes",
            family.name.escape_ascii(),
            directory.display()
        ));
        Ok(())
    }
}

/// The options of the exported tables: those of the family, with a compression that every LevelDB reads.
fn table_options(family: &ColumnFamily) -> TableOptions {
    let options = family.table_cache.options();
    TableOptions {
        family_name: DEFAULT_FAMILY_NAME.to_vec(),
        block_cache: None,
        compression: match options.compression {
            Compression::None => Compression::None,
            _ => Compression::Snappy,
        },
        ..TableOptions::clone(options)
    }
}

/// The directory of an export. Dropping it removes everything that was made, unless the export is complete.
struct NewDirectory<'a> {
    env: Arc<dyn Env>,
    info_log: &'a Arc<dyn Logger>,
    path: &'a Path,
    /// Did the export create it?
    is_new: bool,
    /// The lock of the directory. If it is held, the files of a database in it are those of the export.
    lock: Option<Box<dyn FileLock>>,
    is_complete: bool,
}

impl<'a> NewDirectory<'a> {
    /// Creates the directory if it is missing, and locks it. InvalidArgument if it has files of a database.
    /// Its name is durable then.
    fn claim(env: &Arc<dyn Env>, info_log: &'a Arc<dyn Logger>, path: &'a Path) -> Result<Self> {
        if path.as_os_str().is_empty() {
            return Err(Error::invalid_argument("the path of the directory is empty"));
        }
        let is_new = !env.exists(path);
        if is_new {
            env.create_dir(path)?;
        }
        let mut target =
            NewDirectory { env: env.clone(), info_log, path, is_new, lock: None, is_complete: false };
        target.env = env::holding(env, path)?;
        if let Some(name) = target.file_of_database(|_| false)? {
            return Err(in_the_way(&name));
        }
        target.lock = Some(target.env.lock_file(&file_name::lock(path))?);
        // Nobody else adds any from now on.
        if let Some(name) = target.file_of_database(|kind| kind == FileType::Lock)? {
            target.lock = None;
            return Err(in_the_way(&name));
        }
        sync_name(&target.env, path)?;
        Ok(target)
    }

    /// The name of a file of a database in the directory, other than those that may be there.
    fn file_of_database(&self, may_be_there: impl Fn(FileType) -> bool) -> Result<Option<OsString>> {
        let mut children = self.env.children(self.path)?.into_iter();
        Ok(children.find(|name| file_name::parse(name).is_some_and(|kind| !may_be_there(kind))))
    }

    fn remove_files(&mut self) -> Result<()> {
        let Some(lock) = self.lock.take() else { return Ok(()) };
        let current = file_name::current(self.path);
        if self.env.exists(&current) {
            // Durably before the files that it leads to. If that fails, they stay: the database is whole.
            self.env.remove_file(&current)?;
            self.env.sync_dir(self.path)?;
        }
        destroy::remove_files(&self.env, self.path, self.env.children(self.path)?, lock)
    }
}

fn in_the_way(name: &OsStr) -> Error {
    let name = Path::new(name).display();
    Error::invalid_argument(format!(
        "the directory has a file of a database already ({name}); nothing was changed"
    ))
}

impl Drop for NewDirectory<'_> {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        if let Err(error) = self.remove_files() {
            let path = self.path.display();
            self.info_log.log(format_args!("files of a failed export are left behind in {path}: {error}"));
        }
        if self.is_new {
            let _ = self.env.remove_dir(self.path); // fails if files are there
        }
    }
}
