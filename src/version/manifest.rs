//! The file that says which files make up the database: a sequence of version edits, and CURRENT, which names
//! it.
//!
//! CURRENT changes by one rename, when all that the new MANIFEST says is durable under a durable name. An
//! edit is part of the database's state once it was appended and synced; after a failure in either nobody
//! knows whether it is, and the same goes for a failed rename: then nothing may be deleted on the strength of
//! one outcome, and the only cure is another new MANIFEST.
//!
//! One thread at a time.

use super::version_edit::VersionEdit;
use crate::env::{CreateMode, Env, read_file};
use crate::error::{Error, Result};
use crate::format::file_name::{self, FileType};
use crate::record::reader::{ReadOutcome, RecordReader};
use crate::record::writer::RecordWriter;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// CURRENT is a name and a line feed; whatever is longer is none.
const MAX_CURRENT_SIZE: u64 = 1024;

/// A MANIFEST longer than this is neither read nor written. The keys of all live files are in memory too, so that none of ours
/// reaches it.
const MAX_MANIFEST_SIZE: u64 = 256 << 30;

/// A MANIFEST, all of whose edits were read and handed over.
#[derive(Debug)]
pub struct RecoveredManifest {
    /// Its number.
    pub number: u64,
    /// Bytes of it.
    pub file_size: u64,
    /// Does the last record end where the file ends, so that it may be appended to?
    pub clean_end: bool,
    /// What is wrong behind the last whole edit, if that is more than a torn tail: an edit that a crash made garbage of before
    /// it was synced, or one that was synced and has rotted. Which it is shows in the files: an edit that was not synced has
    /// made nothing unneeded yet.
    pub damaged_tail: Option<Error>,
}

/// Reads CURRENT (`MANIFEST-<digits>` and the end of a line), then every edit of that MANIFEST, and hands each to `apply` as it is
/// read: years of LevelDB leave millions of edits about files that are gone, and they are never in memory at once. A torn tail
/// ends the MANIFEST, and so does a damaged one (see `RecoveredManifest::damaged_tail`); damage inside is Corruption. CURRENT
/// missing: NotFound. CURRENT naming a missing file: Corruption. What `apply` calls corrupt gets the MANIFEST's path.
pub fn recover(
    env: &Arc<dyn Env>,
    db: &Path,
    apply: &mut dyn FnMut(VersionEdit) -> Result<()>,
) -> Result<RecoveredManifest> {
    let (path, number) = read_current(env, db)?;
    let mut recovered = read(env, &path, number, apply).map_err(|error| match error.is_not_found() {
        true => Error::corruption(format!("CURRENT points to a non-existent file: {}", error.message())),
        false => error,
    })?;
    // A MANIFEST under a name that we would not give it is read, but never appended to.
    recovered.clean_end &= path == file_name::manifest(db, number);
    Ok(recovered)
}

/// The number of the MANIFEST that CURRENT names.
pub fn current_number(env: &Arc<dyn Env>, db: &Path) -> Result<u64> {
    Ok(read_current(env, db)?.1)
}

/// Hands every edit of the MANIFEST at `path` to `apply`, whether CURRENT names it or not.
pub fn read(
    env: &Arc<dyn Env>,
    path: &Path,
    number: u64,
    apply: &mut dyn FnMut(VersionEdit) -> Result<()>,
) -> Result<RecoveredManifest> {
    let file = env.open_sequential(path)?;
    let file_size = env.file_size(path)?;
    if file_size > MAX_MANIFEST_SIZE {
        let what = format_args!("{file_size} bytes are too many for a MANIFEST");
        return Err(Error::corruption_in(path, what));
    }
    let mut reader = RecordReader::new(file, path.to_path_buf());
    let mut record = Vec::new();
    let mut damaged_tail: Option<Error> = None;
    loop {
        let outcome = reader.read_record(&mut record)?;
        if let (Some(error), ReadOutcome::Record | ReadOutcome::Hole(_)) = (&damaged_tail, &outcome) {
            return Err(error.clone());
        }
        match outcome {
            ReadOutcome::Record => {}
            ReadOutcome::End => break,
            ReadOutcome::Damage(damage) if damage.hides_records => {
                return Err(damaged_tail.unwrap_or(damage.error));
            }
            ReadOutcome::Damage(damage) => {
                damaged_tail.get_or_insert(damage.error);
                continue;
            }
            // Each edit is synced before the next is written, so what is behind a hole shows that the hole
            // was synced once.
            ReadOutcome::Hole(offset) => {
                let what = format_args!("zeroed space at offset {offset}, with records behind it");
                return Err(Error::corruption_in(path, what));
            }
        }
        let edit = VersionEdit::decode(&record).map_err(|error| {
            let offset = reader.record_offset();
            Error::corruption_in(path, format_args!("{} in the record at offset {offset}", error.message()))
        })?;
        apply(edit).map_err(|error| match error.is_corruption() {
            true => error.context(path.display()),
            false => error,
        })?;
    }
    let clean_end = reader.end_of_last_record() == file_size;
    Ok(RecoveredManifest { number, file_size, clean_end, damaged_tail })
}

/// The MANIFEST that CURRENT names: its path and number.
fn read_current(env: &Arc<dyn Env>, db: &Path) -> Result<(PathBuf, u64)> {
    let path = file_name::current(db);
    let contents = read_file(env.as_ref(), &path, MAX_CURRENT_SIZE)?;
    let malformed = |why: &str| {
        let what = format_args!("CURRENT file {why}: it must hold `MANIFEST-<number>` and a line feed");
        Err(Error::corruption_in(&path, what))
    };
    if contents.is_empty() {
        return malformed("is empty");
    }
    let (name, ends_well) = match contents.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").map_or((line, true), |name| (name, false)),
        None => (contents.as_slice(), false),
    };
    // A name of that form has no other byte than letters, a dash and digits: no second line, no NUL, no slash.
    let Ok(name) = std::str::from_utf8(name) else { return malformed("does not name a MANIFEST") };
    let Some(FileType::Manifest(number)) = file_name::parse(OsStr::new(name)) else {
        return malformed("does not name a MANIFEST");
    };
    // Editors and version control change the end of the line. So does whatever cuts the file, and then the name too.
    if !ends_well && !is_the_only_manifest_called(env, db, name)? {
        return malformed("does not end with newline");
    }
    Ok((db.join(name), number))
}

/// Is there a MANIFEST of that name, and none whose name begins with it?
fn is_the_only_manifest_called(env: &Arc<dyn Env>, db: &Path, name: &str) -> Result<bool> {
    let mut names = env.children(db)?;
    names.retain(|child| child.as_encoded_bytes().starts_with(name.as_bytes()));
    Ok(names == [name])
}

/// Appends edits to a MANIFEST.
pub struct ManifestWriter {
    env: Arc<dyn Env>,
    path: PathBuf,
    number: u64,
    writer: RecordWriter,
    record: Vec<u8>,
}

impl ManifestWriter {
    /// Writes a new MANIFEST `number` that begins with `snapshot` (edits that describe the whole state), and
    /// makes CURRENT name it, in this order: write, fdatasync, fsync(dir), tmp (`<number>.dbtmp`), fdatasync,
    /// rename, fsync(dir). On an error before the rename the new files are removed (best effort); from the
    /// rename on both MANIFESTs are left.
    pub fn create(
        env: &Arc<dyn Env>,
        db: &Path,
        number: u64,
        snapshot: &[VersionEdit],
    ) -> std::result::Result<Self, ManifestError> {
        let not_current = |error| ManifestError { error, may_be_current: false };
        let path = file_name::manifest(db, number);
        // A file that is there already is somebody else's: it is not removed.
        let file = env.create_writable(&path, CreateMode::New).map_err(not_current)?;
        let mut manifest = Self::new(env, path.clone(), number, RecordWriter::new(file, 0));
        let prepared = manifest.write_durably(env, db, snapshot).and_then(|()| {
            let temp = file_name::temp(db, number);
            write_temp(env, &temp, number).inspect_err(|_| drop(env.remove_file(&temp)))
        });
        if let Err(error) = prepared {
            let _ = manifest.writer.close();
            let _ = env.remove_file(&path);
            return Err(not_current(error));
        }
        env.rename(&file_name::temp(db, number), &file_name::current(db))
            .and_then(|()| env.sync_dir(db))
            .map_err(|error| ManifestError { error, may_be_current: true })?;
        Ok(manifest)
    }

    fn new(env: &Arc<dyn Env>, path: PathBuf, number: u64, writer: RecordWriter) -> Self {
        ManifestWriter { env: env.clone(), path, number, writer, record: Vec::new() }
    }

    fn write_durably(&mut self, env: &Arc<dyn Env>, db: &Path, edits: &[VersionEdit]) -> Result<()> {
        for edit in edits {
            self.write(edit)?;
        }
        self.writer.sync()?;
        env.sync_dir(db)
    }

    /// Goes on with MANIFEST `number`, `size` bytes, which ended cleanly.
    pub fn reopen(env: &Arc<dyn Env>, db: &Path, number: u64, size: u64) -> Result<Self> {
        let path = file_name::manifest(db, number);
        let found = env.file_size(&path)?;
        if found != size {
            let what = format_args!("expected a MANIFEST of {size} bytes to go on with, found {found}");
            return Err(Error::corruption_in(&path, what));
        }
        let file = env.create_writable(&path, CreateMode::Append)?;
        Ok(Self::new(env, path, number, RecordWriter::new(file, size)))
    }

    /// Appends one edit and makes it durable. After an error its outcome is unknown: never use this writer
    /// again (it refuses).
    pub fn append(&mut self, edit: &VersionEdit) -> Result<()> {
        self.write(edit)?;
        self.writer.sync().inspect_err(|_| self.spoil())
    }

    /// After a failed sync the MANIFEST reads as if all of it had been written, and a later sync says nothing of what was not. So
    /// that the next opening does not go on with it either, a zero behind the last edit makes its end look torn.
    fn spoil(&self) {
        let file = self.env.create_writable(&self.path, CreateMode::Append);
        let _ = file.and_then(|mut file| file.append(&[0]).and_then(|()| file.close()));
    }

    fn write(&mut self, edit: &VersionEdit) -> Result<()> {
        self.record.clear();
        edit.encode(&mut self.record);
        if self.writer.file_size().saturating_add(self.record.len() as u64) > MAX_MANIFEST_SIZE / 2 {
            return Err(Error::not_supported(format!("{}: the MANIFEST is full", self.path.display())));
        }
        self.writer.add_record(&self.record)
    }

    /// Closes the file. Every edit is durable already.
    pub fn close(&mut self) -> Result<()> {
        self.writer.close()
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Bytes.
    pub fn file_size(&self) -> u64 {
        self.writer.file_size()
    }
}

/// Writes what is to become CURRENT, durably but for its name.
fn write_temp(env: &Arc<dyn Env>, path: &Path, manifest_number: u64) -> Result<()> {
    let mut file = env.create_writable(path, CreateMode::Truncate)?;
    file.append(format!("MANIFEST-{manifest_number:06}\n").as_bytes())?;
    file.sync()?;
    file.close()
}

/// Why a MANIFEST could not be created, and whether CURRENT may name it nonetheless.
#[derive(Debug)]
pub struct ManifestError {
    /// The failure.
    pub error: Error,
    /// The rename was tried: the new MANIFEST must be kept.
    pub may_be_current: bool,
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
