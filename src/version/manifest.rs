//! The MANIFEST: a sequence of version edits that says which files make up the database; and CURRENT, which
//! names the MANIFEST.
//!
//! CURRENT changes by one rename, after all contents of the new MANIFEST are durable and its name is durable.
//! An edit is part of the database's state once it was appended and synced. If either fails, nobody knows
//! whether the edit is part of the state; the same holds for a failed rename. Then no file may be deleted
//! that either outcome needs, and the only cure is another new MANIFEST.
//!
//! Used by one thread at a time.

use super::version_edit::VersionEdit;
use crate::env::{CreateMode, Env, read_file};
use crate::error::{Error, Result};
use crate::format::file_name::{self, FileType};
use crate::language::Language;
use crate::record::reader::{ReadOutcome, RecordReader};
use crate::record::writer::RecordWriter;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// CURRENT is a name and a line feed. A longer file is refused. In bytes.
const MAX_CURRENT_SIZE: u64 = 1024;

/// The longest MANIFEST that is read or written, in bytes. The keys of all live files are in memory too, so
/// none of ours gets that long.
const MAX_MANIFEST_SIZE: u64 = 256 << 30;

/// A MANIFEST all of whose edits were read and applied.
#[derive(Debug)]
pub struct RecoveredManifest {
    /// The number in the MANIFEST's name.
    pub number: u64,
    /// The size of the file, in bytes.
    pub file_size: u64,
    /// Does the last record end where the file ends, so that the MANIFEST may be appended to?
    pub clean_end: bool,
    /// Damage after the last whole edit, if it is more than a torn tail. Either a crash left garbage instead
    /// of an edit that was not synced, or a synced edit has rotted. The files of the directory tell which: an
    /// edit that was not synced has not made any file obsolete yet.
    pub damaged_tail: Option<Error>,
}

/// Reads CURRENT (`MANIFEST-<digits>` and the end of a line), then every edit of that MANIFEST, and hands
/// each one to `apply` as it is read. Years of LevelDB leave millions of edits about files that are gone;
/// they are never in memory together. A torn tail ends the MANIFEST, and so does a damaged one (see
/// `RecoveredManifest::damaged_tail`). Damage before the tail is Corruption. NotFound if CURRENT is missing;
/// Corruption if CURRENT names a missing file. A Corruption that `apply` returns gets the MANIFEST's path.
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
    // A MANIFEST whose name has another form than ours is read, but never appended to.
    recovered.clean_end &= path == file_name::manifest(db, number);
    Ok(recovered)
}

/// The number of the MANIFEST that CURRENT names.
pub fn current_number(env: &Arc<dyn Env>, db: &Path) -> Result<u64> {
    Ok(read_current(env, db)?.1)
}

/// Hands every edit of the MANIFEST at `path` to `apply`, whether CURRENT names that file or not.
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
    let mut reader = RecordReader::new(file, path.to_path_buf()).resuming_in_block();
    let mut record = Vec::new();
    let mut damaged_tail: Option<Error> = None;
    let mut rest = RestOfGroup::default();
    loop {
        match reader.read_record(&mut record)? {
            ReadOutcome::Record => {}
            ReadOutcome::End => break,
            ReadOutcome::Damage(damage) => {
                rest.is_promised |= damage.hides_records;
                damaged_tail.get_or_insert(damage.error);
                continue;
            }
            ReadOutcome::Hole(offset) => {
                rest.is_promised = true;
                let what = format_args!("zeroed space at offset {offset}, with records after it");
                damaged_tail.get_or_insert(Error::corruption_in(path, what));
                continue;
            }
        }
        if let Some(error) = &damaged_tail {
            match rest.takes(&record) {
                true => continue,
                false => return Err(error.clone()),
            }
        }
        let edit = VersionEdit::decode(&record).map_err(|error| {
            let what = format_args!("{} in the record at offset {}", error.message(), reader.record_offset());
            match error.is_not_supported() {
                true => Error::not_supported_in(path, what),
                false => Error::corruption_in(path, what),
            }
        })?;
        apply(edit).map_err(|error| match error.is_corruption() {
            true => error.context(path.display()),
            false => error,
        })?;
    }
    if let Some(error) = damaged_tail.as_ref().filter(|_| rest.is_missing()) {
        return Err(error.clone());
    }
    let clean_end = damaged_tail.is_none() && reader.end_of_last_record() == file_size;
    Ok(RecoveredManifest { number, file_size, clean_end, damaged_tail })
}

/// The records after damage. Each group of edits, mostly one edit, is synced before the next one is written.
/// So a record after damage proves that the damaged edit was synced once, unless both are of one group: then
/// the records after the damage are the rest of that group, and the last ones of the MANIFEST.
#[derive(Default)]
struct RestOfGroup {
    /// Must a record follow the damage?
    is_promised: bool,
    /// How many edits must still follow. `None`: there was no record after the damage.
    remaining: Option<u32>,
}

impl RestOfGroup {
    /// Can the record be the next one of the rest?
    fn takes(&mut self, record: &[u8]) -> bool {
        let Ok(edit) = VersionEdit::decode(record) else { return false };
        let Some(remaining) = edit.beyond.group_remaining.filter(|_| !edit.beyond.starts_group) else {
            return false;
        };
        let continues = self.remaining.is_none_or(|before| before.checked_sub(1) == Some(remaining));
        self.remaining = Some(remaining);
        continues
    }

    /// Was no record found after the damage, although there must be one?
    fn is_missing(&self) -> bool {
        self.is_promised && self.remaining.is_none()
    }
}

/// The path and the number of the MANIFEST that CURRENT names.
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
    // A name of that form consists of letters, a dash and digits: no second line, no NUL, no slash.
    let Ok(name) = std::str::from_utf8(name) else { return malformed("does not name a MANIFEST") };
    let Some(FileType::Manifest(number)) = file_name::parse(OsStr::new(name)) else {
        return malformed("does not name a MANIFEST");
    };
    // Editors and version control change the end of the line. So does a truncation of the file, which may cut
    // the name too.
    if !ends_well && !is_the_only_manifest_called(env, db, name)? {
        return malformed("does not end with newline");
    }
    Ok((db.join(name), number))
}

/// Is there a MANIFEST with that name, and no other file whose name begins with it?
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
    language: Language,
}

/// A MANIFEST that is durable, and that CURRENT does not name yet.
pub struct PreparedManifest(ManifestWriter);

impl PreparedManifest {
    /// Renames CURRENT, durably. After an error CURRENT may name the new MANIFEST or the old one: both stay.
    pub fn make_current(self, db: &Path) -> Result<ManifestWriter> {
        let PreparedManifest(manifest) = self;
        manifest.env.rename(&file_name::temp(db, manifest.number), &file_name::current(db))?;
        manifest.env.sync_dir(db)?;
        Ok(manifest)
    }
}

impl ManifestWriter {
    /// Writes a new MANIFEST `number` that begins with `snapshot` (edits that describe the whole state), and
    /// makes CURRENT name it, in this order: write, fdatasync, fsync(dir), tmp (`<number>.dbtmp`), fdatasync,
    /// rename, fsync(dir). On an error before the rename the new files are removed (best effort). On an error
    /// of the rename or later, both MANIFESTs stay.
    pub fn create(
        env: &Arc<dyn Env>,
        db: &Path,
        number: u64,
        language: Language,
        snapshot: &[VersionEdit],
    ) -> Result<Self> {
        Self::prepare(env, db, number, language, snapshot)?.make_current(db)
    }

    /// The first part of `create`: everything but the rename. After an error CURRENT does not name the new
    /// MANIFEST.
    pub fn prepare(
        env: &Arc<dyn Env>,
        db: &Path,
        number: u64,
        language: Language,
        snapshot: &[VersionEdit],
    ) -> Result<PreparedManifest> {
        let path = file_name::manifest(db, number);
        // A file that is there already is somebody else's: it is not removed.
        let file = env.create_writable(&path, CreateMode::New)?;
        let mut manifest = Self::new(env, path.clone(), number, RecordWriter::new(file, 0), language);
        let prepared = manifest.write_durably(env, db, snapshot).and_then(|()| {
            let temp = file_name::temp(db, number);
            write_temp(env, &temp, number).inspect_err(|_| drop(env.remove_file(&temp)))
        });
        match prepared {
            Ok(()) => Ok(PreparedManifest(manifest)),
            Err(error) => {
                let _ = manifest.writer.close();
                let _ = env.remove_file(&path);
                Err(error)
            }
        }
    }

    fn new(env: &Arc<dyn Env>, path: PathBuf, number: u64, writer: RecordWriter, language: Language) -> Self {
        ManifestWriter { env: env.clone(), path, number, writer, record: Vec::new(), language }
    }

    fn write_durably(&mut self, env: &Arc<dyn Env>, db: &Path, edits: &[VersionEdit]) -> Result<()> {
        for edit in edits {
            self.write(edit)?;
        }
        self.writer.sync()?;
        env.sync_dir(db)
    }

    /// Opens MANIFEST `number`, which ended cleanly, has `size` bytes and is in that language, to append to
    /// it.
    pub fn reopen(env: &Arc<dyn Env>, db: &Path, number: u64, size: u64, language: Language) -> Result<Self> {
        let path = file_name::manifest(db, number);
        let found = env.file_size(&path)?;
        if found != size {
            let what = format_args!("expected a MANIFEST of {size} bytes to go on with, found {found}");
            return Err(Error::corruption_in(&path, what));
        }
        let file = env.create_writable(&path, CreateMode::Append)?;
        Ok(Self::new(env, path, number, RecordWriter::new(file, size), language))
    }

    /// Appends a group of edits and makes it durable. After an error its outcome is unknown: never use this
    /// writer again (it refuses).
    pub fn append(&mut self, edits: &[VersionEdit]) -> Result<()> {
        edits.iter().try_for_each(|edit| self.write(edit))?;
        self.writer.sync().inspect_err(|_| self.mark_torn())
    }

    /// Makes the end look torn, by a zero after the last edit. After a failed sync, reading the MANIFEST
    /// shows all that was written, and a later sync does not report what was lost. With the zero, the next
    /// open does not append to this MANIFEST either.
    fn mark_torn(&self) {
        let file = self.env.create_writable(&self.path, CreateMode::Append);
        let _ = file.and_then(|mut file| file.append(&[0]).and_then(|()| file.close()));
    }

    fn write(&mut self, edit: &VersionEdit) -> Result<()> {
        self.record.clear();
        edit.encode(self.language, &mut self.record);
        if self.writer.file_size().saturating_add(self.record.len() as u64) > MAX_MANIFEST_SIZE / 2 {
            return Err(Error::not_supported(format!("{}: the MANIFEST is full", self.path.display())));
        }
        self.writer.add_record(&self.record)
    }

    /// Closes the file. Every edit is durable already.
    #[cfg(any(test, feature = "test-support"))]
    pub fn close(&mut self) -> Result<()> {
        self.writer.close()
    }

    /// The number in the MANIFEST's name.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The size of the file, in bytes.
    pub fn file_size(&self) -> u64 {
        self.writer.file_size()
    }
}

/// Writes the file that will be renamed to CURRENT, and syncs its contents.
fn write_temp(env: &Arc<dyn Env>, path: &Path, manifest_number: u64) -> Result<()> {
    let mut file = env.create_writable(path, CreateMode::Truncate)?;
    file.append(format!("MANIFEST-{manifest_number:06}\n").as_bytes())?;
    file.sync()?;
    file.close()
}

#[cfg(test)]
mod tests;
