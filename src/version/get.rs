//! A look-up in the files of a version.
//!
//! Newer entries of a key are in higher levels than older ones. So level 0 is searched from its newest file
//! on, then in each deeper level the one candidate file. The first entry of the key at or before the
//! look-up's sequence number is the answer. Nothing is allocated, and the value is not copied here.

use super::file_metadata::FileMetaData;
use crate::error::{Error, Result};
use crate::format::file_name;
use crate::format::internal_key::{LookupKey, ValueType, rocksdb_feature, trailer, user_key};
use crate::table::TableReadOptions;
use crate::table::reader::TableGet;
use crate::table::whole_table_filter::KeyHash;
use crate::version::Version;
use std::cell::Cell;
use std::sync::Arc;

/// A file to charge a seek to: one that a look-up probed without a hit before it read another file. Its
/// level, and the file.
pub type SeekCharge = Option<(usize, Arc<FileMetaData>)>;

impl Version {
    /// Hands the newest value of the key that is not newer than the look-up to `found`, without a copy.
    /// `Ok(None)` if the key has no value: deleted, or never written. With `charge_seeks`, also returns the
    /// first file whose data block was read without a hit if another file had to be read after it; or, in one
    /// of 16 such look-ups, the first file that a filter excluded before another file was read.
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

    /// For a sampled entry of an iterator: the first file that a look-up of its key would read, if such a
    /// look-up might read a second file. That file is charged a seek.
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

/// A look-up in progress.
struct Lookup<'a, F> {
    version: &'a Version,
    read: TableReadOptions,
    key: &'a LookupKey<'a>,
    /// The hash of the user key, for the whole-table filters.
    hash: KeyHash,
    /// The callback; taken when the value is found.
    found: Option<F>,
    reads: Reads<'a>,
}

/// A file that a filter excludes costs a look-up about a sixteenth of a file that is read without a hit. So
/// of this many look-ups one is charged for the exclusion.
const SPARED_PER_CHARGE: u8 = 16;

/// The files that were read so far, for the charge of a seek.
#[derive(Default)]
struct Reads<'a> {
    /// The first file in which a data block was read without a hit.
    first_in_vain: Option<(usize, &'a Arc<FileMetaData>)>,
    /// The first file that a filter excluded before any file was read.
    first_spared: Option<(usize, &'a Arc<FileMetaData>)>,
    /// Was a block of any file read?
    any_read: bool,
    /// Was a block of another file read after `first_in_vain`?
    read_on: bool,
}

/// The newest entry of the key in one table.
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

/// Is this look-up the one in `SPARED_PER_CHARGE` of its thread that is charged for exclusions by filters?
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
    /// `None`: no file has the key. `Some(None)`: the newest entry is a tombstone.
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
                // A file's recorded bounds may be wider than its entries. If versions of the key are split
                // over two files, the next file must be searched too.
                if !found.may_be_split || !files.is_split_after(index, comparator, user_key) {
                    break;
                }
                index += 1;
            }
        }
        Ok(None)
    }

    /// Looks the key up in `file`. `None`: it has no entry of the key.
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
        let outcome = table.get(self.read, self.key, self.hash, entry)?;
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
        match rocksdb_feature(number) {
            Some(feature) => {
                Error::not_supported_in(&path, format_args!("the entry of key '{key}' is {feature}"))
            }
            None => Error::corruption_in(
                &path,
                format_args!("the entry of key '{key}' has the unknown type {number}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
