//! Import: makes a column family of the contents of another directory.
//!
//! The other directory is read as an open would read it, its WALs too, and nothing in it changes but LOCK,
//! which is held. The entries are copied to tables of this database, which are durable with their names
//! before one group of edits creates the family with them. So after a crash the family is there whole, or not
//! at all; tables that no MANIFEST names are removed by the next open.
//!
//! Thread rule: by whoever creates a family (`DbShared::families_turn`).

use crate::column_family::ColumnFamily;
use crate::column_family::found_compression::FoundCompression;
use crate::column_family::super_version::SuperVersion;
use crate::compaction::picker;
use crate::db::Db;
use crate::db::families::change::NewFamily;
use crate::db::families::{ColumnFamilyHandle, copy};
use crate::db::family::FamilyRef;
use crate::db::open::context::{FamilyContext, OpenContext};
use crate::db::open::recovery;
use crate::db::shared::DbShared;
use crate::env::{self, FileLock, info_log};
use crate::error::{Error, Result};
use crate::format::file_name;
use crate::format::internal_key::MAX_SEQUENCE;
use crate::job::context::JobContext;
use crate::job::table_output::PendingTables;
use crate::options::{ColumnFamilyOptions, Options};
use crate::table::TableOptions;
use crate::version::Version;
use crate::version::builder::VersionBuilder;
use crate::version::file_metadata::FileMetaData;
use crate::version::key_range::total_bytes;
use crate::version::version_edit::VersionEdit;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Db {
    /// Creates a column family with the contents of the database in `directory`, durably. LevelDB or this
    /// library has written that database; it has no column family beside the default one, and is not open.
    /// Its WALs count. Nothing in the directory changes but LOCK, and the new family does not depend on it.
    ///
    /// Of `options` those that concern a family count. The comparator must be that of the other database.
    /// As with `create_column_family`, the first family switches this directory to RocksDB's language. After
    /// a crash the family is there whole or not at all. Snapshots show it whatever their age. Meanwhile no
    /// other family is created or dropped; writes go on.
    ///
    /// Errors, beside those of `create_column_family`: InvalidArgument (there is no database in the
    /// directory; another comparator), NotSupported (the other database has several families, or something
    /// in it is not understood), Corruption (anything in it is damaged), IoError (it is open).
    pub fn import_leveldb(
        &self,
        name: impl AsRef<[u8]>,
        options: &Options,
        directory: &Path,
    ) -> Result<ColumnFamilyHandle> {
        let family = self.inner.import(name.as_ref(), options, directory)?;
        Ok(ColumnFamilyHandle::new(&self.inner, family))
    }

    /// Options with which a family is as the default family is.
    pub(crate) fn options_of_default_family(&self) -> Options {
        options_of(&self.inner.default_family)
    }
}

impl DbShared {
    fn import(&self, name: &[u8], options: &Options, directory: &Path) -> Result<FamilyRef> {
        let (id, _turn) = self.begin_family(name, options)?;
        if !options.comparator.is_bytewise() {
            // The comparator runs from now on. If it calls the library, it must not wait for this turn.
            self.has_user_comparator.store(true, Ordering::Relaxed);
        }
        let explain = |error: Error| error.context(format_args!("import of {}", directory.display()));
        let source = Source::open(self, options, directory).map_err(explain)?;
        let new = FamilyContext::new(name, options, &self.options, &self.open_tables, &self.path);
        let (table_cache, found_compression) = (new.table_cache.clone(), FoundCompression::default());
        let context =
            JobContext { family: id, ..self.copy_context(&table_cache, &found_compression, MAX_SEQUENCE) };
        let (files, pending) =
            copy::copy(&source.view, &context, new.options.max_file_size as u64).map_err(explain)?;
        let (count, bytes) = (files.len(), total_bytes(&files));
        let level = picker::level_for_all(bytes, new.options.max_bytes_for_level_base);
        let version = version_of(new.empty_version(), level, files)?;
        let mut pending = Some(pending);
        // Once an edit may have been written that names the tables, they stay.
        let keep_tables = || pending.take().into_iter().for_each(PendingTables::keep);
        let family = self.install_family(NewFamily { id, context: new, version }, keep_tables)?;
        drop(source);
        self.info_log.log(format_args!(
            "imported {} into column family {}: {count} tables, {bytes} bytes",
            directory.display(),
            name.escape_ascii()
        ));
        Ok(family)
    }
}

/// The database that is imported, which nobody else opens meanwhile.
struct Source {
    view: SuperVersion,
    _lock: Box<dyn FileLock>, // released after the tables are closed
}

impl Source {
    /// Reads the state of the database. Its comparator must be that of `options`.
    fn open(db: &DbShared, options: &Options, directory: &Path) -> Result<Self> {
        if !db.env.exists(&file_name::current(directory)) {
            // Before the lock: its file would be created.
            return Err(Error::invalid_argument("there is no database (no file CURRENT)"));
        }
        let env = env::holding(&db.env, directory)?;
        let lock = env.lock_file(&file_name::lock(directory))?;
        let options = Options {
            env,
            comparator: options.comparator.clone(),
            paranoid_checks: true,
            mmap_reads: db.options.mmap_reads,
            ..Options::default()
        };
        let others = Db::list_column_families(&options, directory)?.split_off(1);
        if !others.is_empty() {
            let names: Vec<String> = others.iter().map(|name| name.escape_ascii().to_string()).collect();
            return Err(Error::not_supported(format!(
                "only a database without column families can be imported, and it has: {}",
                names.join(", ")
            )));
        }
        let context = OpenContext::new(&options, &[], directory, info_log::null());
        let view = recovery::read_contents(&context, directory)?;
        Ok(Source { view, _lock: lock })
    }
}

/// The version with these files, which are in order, at one level.
fn version_of(empty: Version, level: usize, files: Vec<Arc<FileMetaData>>) -> Result<Arc<Version>> {
    let new_files = files.into_iter().map(|file| (level, file)).collect();
    let mut builder = VersionBuilder::new(Arc::new(empty));
    builder.apply(&VersionEdit { new_files, ..VersionEdit::default() })?;
    Ok(Arc::new(builder.finish()?))
}

/// The options of a family.
fn options_of(family: &ColumnFamily) -> Options {
    let ColumnFamilyOptions {
        write_buffer_size,
        max_write_buffer_number,
        max_file_size,
        level0_file_num_compaction_trigger,
        level0_slowdown_writes_trigger,
        level0_stop_writes_trigger,
        max_bytes_for_level_base,
        seek_compaction,
        idle_compaction,
    } = family.options;
    let TableOptions {
        filter_policy,
        whole_table_filter,
        block_cache,
        block_size,
        block_restart_interval,
        compression,
        compression_level,
        ..
    } = TableOptions::clone(family.table_cache.options());
    Options {
        comparator: family.comparator.user_comparator().clone(),
        write_buffer_size,
        max_write_buffer_number,
        max_file_size,
        level0_file_num_compaction_trigger,
        level0_slowdown_writes_trigger,
        level0_stop_writes_trigger,
        max_bytes_for_level_base,
        seek_compaction,
        idle_compaction,
        filter_policy,
        whole_table_filter,
        block_cache,
        block_size,
        block_restart_interval,
        compression,
        compression_level,
        ..Options::default()
    }
}
