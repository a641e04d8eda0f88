//! The tables of one column family: their options, their directory, and how they are opened. Which of them
//! stay open, and within which bounds, is decided for all families of the database together (`open_tables`).
//!
//! Thread rule: any thread.

use super::TableOptions;
use super::open_tables::{OpenTables, PinPermit};
use super::reader::Table;
use crate::env::ReadMode;
use crate::error::{Error, Result};
use crate::format::file_name;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The tables of a column family.
pub struct TableCache {
    open_tables: Arc<OpenTables>,
    db: PathBuf,
    options: Arc<TableOptions>,
    read_mode: ReadMode,
}

impl TableCache {
    /// The tables of a family in the directory `db`, within the bounds of `open_tables`, which the families
    /// of a database share.
    pub fn new(
        open_tables: Arc<OpenTables>,
        db: PathBuf,
        options: Arc<TableOptions>,
        read_mode: ReadMode,
    ) -> Arc<Self> {
        Arc::new(TableCache { open_tables, db, options, read_mode })
    }

    /// The table of file `number`; opens it if needed (`.ldb`, else `.sst`). NotFound with the path if the
    /// file is missing; the caller turns that into "Corruption: N missing files". Corruption if the size of
    /// the file is not `file_size`.
    pub fn find(&self, number: u64, file_size: u64) -> Result<Arc<Table>> {
        self.open_tables.find(number, || self.open(number, file_size))
    }

    /// As [`OpenTables::try_pin`].
    pub fn try_pin(&self, number: u64, table: &Table) -> Option<PinPermit> {
        self.open_tables.try_pin(number, table)
    }

    /// As [`OpenTables::evict`].
    pub fn evict(&self, number: u64) {
        self.open_tables.evict(number);
    }

    /// The options that all these tables share.
    pub fn options(&self) -> &Arc<TableOptions> {
        &self.options
    }

    /// The directory of the database.
    pub fn db(&self) -> &Path {
        &self.db
    }

    fn open(&self, number: u64, file_size: u64) -> Result<Arc<Table>> {
        let path = file_name::table(&self.db, number);
        let not_found = match self.open_path(path, file_size) {
            Err(error) if error.is_not_found() => error,
            other => return other,
        };
        match self.open_path(file_name::old_table(&self.db, number), file_size) {
            Err(error) if error.is_not_found() => Err(not_found),
            other => other,
        }
    }

    fn open_path(&self, path: PathBuf, file_size: u64) -> Result<Arc<Table>> {
        let env = self.open_tables.env();
        let file = env.open_random_access(&path, self.read_mode)?;
        let actual = match (file.mapping(), file.identity()) {
            (Some(mapping), _) => mapping.len() as u64,
            (None, Some(identity)) => identity.size,
            (None, None) => env.file_size(&path)?,
        };
        if actual != file_size {
            return Err(Error::corruption_in(
                &path,
                format_args!("the file has {actual} bytes, not the {file_size} bytes it was written with"),
            ));
        }
        let file = self.open_tables.adopt(path.clone(), file);
        Table::open(self.options.clone(), file, path, file_size)
    }
}

#[cfg(test)]
mod tests;
