//! A look-up in the files of a version.
//!
//! Newer entries of a key stand above older ones: level 0 is asked from its newest file on, then each deeper level's one
//! candidate; the first entry of the key at or before the look-up's sequence is the answer. Nothing is allocated, and the
//! value is never copied here.

use super::file_metadata::FileMetaData;
use super::version::Version;
use crate::error::{Error, Result};
use crate::format::file_name;
use crate::format::internal_key::{LookupKey, ValueType, trailer, user_key};
use crate::table::TableReadOptions;
use crate::table::reader::TableGet;
use crate::table::whole_table_filter::KeyHash;
use std::cell::Cell;
use std::sync::Arc;

/// A file that a look-up read in vain, before it went on to another: its level and itself.
pub type SeekCharge = Option<(usize, Arc<FileMetaData>)>;

impl Version {
    /// The newest value of the key, not newer than the look-up, handed to `found` uncopied; `Ok(None)`: no value (deleted or
    /// never there). With `charge_seeks`, the first file whose data block was read in vain while another had to be read too; or, now
    /// and then, the first that a filter spared before another was read.
    pub fn get<R>(
        &self,
        read: TableReadOptions,
        key: &LookupKey,
        charge_seeks: bool,
        found: impl FnOnce(&[u8]) -> R,
    ) -> Result<(Option<R>, SeekCharge)> {
        let (hash, reads) = (KeyHash::of(key.user_key()), Reads::default());
        let mut lookup = Lookup { version: self, read, key, hash, found: Some(found), reads };
        let answer = lookup.run()?;
        Ok((answer.flatten(), if charge_seeks { lookup.reads.charge() } else { None }))
    }

    /// The file that a look-up of an entry that an iterator came by would begin with, if it would go on to another: what is
    /// charged for a sample of what iterators read.
    pub fn sample_read(&self, internal_key: &[u8]) -> SeekCharge {
        let Version { levels, comparator, depth, .. } = self;
        let level0 = levels[0].covering(comparator, user_key(internal_key)).map(|file| (0, file));
        let deeper = (1..*depth).filter_map(|level| {
            let found = levels[level].candidate(comparator, user_key(internal_key), || internal_key)?;
            Some((level, &levels[level][found.index]))
        });
        let mut files = level0.chain(deeper);
        let (level, file) = files.next()?;
        files.next().map(|_| (level, file.clone()))
    }
}

/// One look-up on its way through the files.
struct Lookup<'a, F> {
    version: &'a Version,
    read: TableReadOptions,
    key: &'a LookupKey<'a>,
    /// Of the user key, for the filters.
    hash: KeyHash,
    /// Taken when the value is found.
    found: Option<F>,
    reads: Reads<'a>,
}

/// A file that a filter spares a look-up costs it about a sixteenth of one that is read in vain: of so many look-ups, one is charged
/// for it.
const SPARED_PER_CHARGE: u8 = 16;

/// What was read on the way, for the charge of a seek.
#[derive(Default)]
struct Reads<'a> {
    /// The first file in which a data block was read in vain.
    first_in_vain: Option<(usize, &'a Arc<FileMetaData>)>,
    /// The first file that a filter spared before another was read.
    first_spared: Option<(usize, &'a Arc<FileMetaData>)>,
    /// Was a block of any file read?
    any_read: bool,
    /// Was a block of another file read after it?
    read_on: bool,
}

/// What a table's entry for the key says.
enum Entry<R> {
    Value(Option<R>),
    Deletion,
    UnknownType(u8),
}

impl<'a> Reads<'a> {
    fn block_read(&mut self, in_vain: bool, level: usize, file: &'a Arc<FileMetaData>) {
        self.any_read = true;
        if self.first_in_vain.is_some() {
            self.read_on = true;
        } else if in_vain {
            self.first_in_vain = Some((level, file));
        }
    }

    #[inline]
    fn spared(&mut self, level: usize, file: &'a Arc<FileMetaData>) {
        if self.first_spared.is_none() && !self.any_read {
            self.first_spared = Some((level, file));
        }
    }

    #[inline]
    fn charge(&self) -> SeekCharge {
        let in_vain = self.first_in_vain.filter(|_| self.read_on);
        let spared = || self.first_spared.filter(|_| self.any_read && is_charged_for_spared());
        let (level, file) = in_vain.or_else(spared)?;
        Some((level, file.clone()))
    }
}

/// Is this look-up of the thread one of those that are charged for what filters spared them?
#[inline]
fn is_charged_for_spared() -> bool {
    thread_local! {
        static LOOK_UPS: Cell<u8> = const { Cell::new(0) };
    }
    let count = LOOK_UPS.get().wrapping_add(1);
    LOOK_UPS.set(count);
    count.is_multiple_of(SPARED_PER_CHARGE)
}

impl<'a, R, F: FnOnce(&[u8]) -> R> Lookup<'a, F> {
    /// `None`: no file has the key; `Some(None)`: it is deleted.
    fn run(&mut self) -> Result<Option<Option<R>>> {
        let Version { levels, comparator, depth, .. } = self.version;
        let (key, user_key) = (self.key, self.key.user_key());
        for file in levels[0].covering(comparator, user_key) {
            if let Some(answer) = self.look_into(0, file)? {
                return Ok(Some(answer));
            }
        }
        for (level, files) in levels.iter().enumerate().take(*depth).skip(1) {
            if files.is_empty() {
                continue;
            }
            let Some(found) = files.candidate(comparator, user_key, || key.internal_key()) else { continue };
            let mut index = found.index;
            loop {
                if let Some(answer) = self.look_into(level, &files[index])? {
                    return Ok(Some(answer));
                }
                // A file's recorded bounds may be wider than its entries: where a key is split over files, the next one
                // has a say too.
                if !found.may_be_split || !files.is_split_after(index, comparator, user_key) {
                    break;
                }
                index += 1;
            }
        }
        Ok(None)
    }

    /// What file `file` says of the key; `None`: nothing.
    #[inline]
    fn look_into(&mut self, level: usize, file: &'a Arc<FileMetaData>) -> Result<Option<Option<R>>> {
        let table = file.table(&self.version.table_cache)?;
        let found = &mut self.found;
        let entry = |internal_key: &[u8], value: &[u8]| match ValueType::from_u8(trailer(internal_key) as u8)
        {
            Some(ValueType::Value) => Entry::Value(found.take().map(|found| found(value))),
            Some(ValueType::Deletion) => Entry::Deletion,
            None => Entry::UnknownType(trailer(internal_key) as u8),
        };
        let outcome = table.get_hashed(self.read, self.key, self.hash, entry)?;
        match outcome {
            TableGet::Found(entry) => {
                self.reads.block_read(false, level, file);
                match entry {
                    Entry::Value(value) => Ok(Some(value)),
                    Entry::Deletion => Ok(Some(None)),
                    Entry::UnknownType(number) => Err(self.unknown_type(file, number)),
                }
            }
            TableGet::Missing { block_read } => {
                if block_read {
                    self.reads.block_read(true, level, file);
                } else {
                    self.reads.spared(level, file);
                }
                Ok(None)
            }
        }
    }

    #[cold]
    fn unknown_type(&self, file: &FileMetaData, number: u8) -> Error {
        let path = file_name::table(self.version.table_cache.db(), file.number);
        let key = self.key.user_key().escape_ascii();
        Error::corruption_in(&path, format_args!("the entry of key '{key}' has the unknown type {number}"))
    }
}

#[cfg(test)]
#[path = "get_tests.rs"]
mod tests;
