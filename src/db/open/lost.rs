//! The directory `lost` inside of the database's directory. A repair or a recovery moves or copies files
//! there that it could not use completely, or that a repair has replaced. They stay until a user removes
//! them.
//!
//! No file there is ever overwritten: if a name is taken, the file gets the first free name of `NAME.2`,
//! `NAME.3`... The database's LOCK is held, so no other process moves files there meanwhile. A moved file is
//! durable under one of its two names at any time, and under the new one after `sync`.
//!
//! Thread rule: used by one thread.

use crate::env::{CreateMode, Env};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many bytes are copied, or compared, at a time.
const COPIED_AT_ONCE: usize = 256 << 10;

/// The directory `lost` of a database.
pub(in crate::db) struct Lost {
    env: Arc<dyn Env>,
    db: PathBuf,
    dir: PathBuf,
    exists: bool,
    /// The names that are taken.
    names: HashSet<OsString>,
}

impl Lost {
    /// The directory `lost` of the database in the directory `db`. It is not created yet. An error if it
    /// cannot be read, or if something else has its name.
    pub fn open(env: &Arc<dyn Env>, db: &Path) -> Result<Self> {
        let dir = db.join("lost");
        let (exists, names) = match env.children(&dir) {
            Ok(names) => (true, names.into_iter().collect()),
            Err(error) if error.is_not_found() => (false, HashSet::new()),
            Err(error) => {
                return Err(error.context("what cannot be used would be moved there, but it cannot be read"));
            }
        };
        Ok(Lost { env: env.clone(), db: db.to_path_buf(), dir, exists, names })
    }

    /// Moves a file of the database's directory there. Returns its new path. Not durable before `sync`.
    pub fn take(&mut self, file: &Path) -> Result<PathBuf> {
        let Some(name) = file.file_name() else {
            return Err(Error::invalid_argument(format!("{}: not the name of a file", file.display())));
        };
        if !self.exists {
            self.env.create_dir(&self.dir)?;
            self.exists = true;
        }
        let name = self.free_name(name);
        let to = self.dir.join(&name);
        // The name counts as taken even if the rename fails, because the rename may have happened all the
        // same.
        self.names.insert(name);
        self.env.rename(file, &to)?;
        Ok(to)
    }

    /// Copies a file of the database's directory there, durably, unless an equal copy is there already. The
    /// file itself stays in the database's directory: recovery needs it there until a MANIFEST makes it
    /// obsolete.
    pub fn copy(&mut self, file: &Path) -> Result<()> {
        let name = file.file_name().unwrap_or_default();
        if !self.exists {
            self.env.create_dir(&self.dir)?;
            self.exists = true;
        }
        let prefix = name.as_encoded_bytes();
        for copy in self.names.iter().filter(|copy| copy.as_encoded_bytes().starts_with(prefix)) {
            if is_log(copy) && self.are_alike(file, &self.dir.join(copy))? {
                return self.sync();
            }
        }
        // A copy gets its name only when it is complete.
        let unfinished = self.dir.join("unfinished");
        if let Err(error) = self.copy_to(file, &unfinished) {
            let _ = self.env.remove_file(&unfinished); // its space may be what was missing
            return Err(error);
        }
        let name = self.free_name(name);
        self.env.rename(&unfinished, &self.dir.join(&name))?;
        self.names.insert(name);
        self.sync()
    }

    fn copy_to(&self, file: &Path, copy: &Path) -> Result<()> {
        let mut source = self.env.open_sequential(file)?;
        let mut target = self.env.create_writable(copy, CreateMode::Truncate)?;
        let mut buffer = vec![0; COPIED_AT_ONCE];
        loop {
            let length = source.read(&mut buffer)?;
            target.append(&buffer[..length])?;
            if length < buffer.len() {
                break;
            }
        }
        target.sync()?;
        target.close()
    }

    fn are_alike(&self, a: &Path, b: &Path) -> Result<bool> {
        if self.env.file_size(a)? != self.env.file_size(b)? {
            return Ok(false);
        }
        let mut files = [self.env.open_sequential(a)?, self.env.open_sequential(b)?];
        let mut buffers = [vec![0; COPIED_AT_ONCE], vec![0; COPIED_AT_ONCE]];
        loop {
            let lengths = [files[0].read(&mut buffers[0])?, files[1].read(&mut buffers[1])?];
            if lengths[0] != lengths[1] || buffers[0][..lengths[0]] != buffers[1][..lengths[1]] {
                return Ok(false);
            }
            if lengths[0] < COPIED_AT_ONCE {
                return Ok(true);
            }
        }
    }

    /// Makes moves durable: first the new names, then the removal of the old ones.
    pub fn sync(&self) -> Result<()> {
        if self.exists {
            self.env.sync_dir(&self.dir)?;
        }
        self.env.sync_dir(&self.db)
    }

    fn free_name(&self, name: &OsStr) -> OsString {
        let numbered = (2..=u64::MAX).map(|number| {
            let mut numbered = name.to_os_string();
            numbered.push(format!(".{number}"));
            numbered
        });
        let mut names = std::iter::once(name.to_os_string()).chain(numbered);
        names.find(|name| !self.names.contains(name)).unwrap_or_default()
    }
}

/// An error for each WAL in the directory, for the user to look at it: a recovery or a repair may not have
/// used all of it.
pub(in crate::db) fn logs(env: &Arc<dyn Env>, db: &Path) -> Vec<Error> {
    let dir = db.join("lost");
    let mut names = env.children(&dir).unwrap_or_default();
    names.retain(|name| is_log(name));
    names.sort();
    let what = "set aside, since not all of it may have been used; it is told here until it is removed";
    names.iter().map(|name| Error::corruption_in(&dir.join(name), format_args!("{what}"))).collect()
}

/// Is it a name of the form `NNNNNN.log` or `NNNNNN.log.N`?
fn is_log(name: &OsStr) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((number, ending)) = name.to_str().and_then(|name| name.split_once('.')) else { return false };
    is_number(number) && (ending == "log" || ending.strip_prefix("log.").is_some_and(is_number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::mem::{CrashChoice, MemEnv};
    use crate::env::read_file;

    const DB: &str = "/db";

    fn disk() -> MemEnv {
        let disk = MemEnv::with_journal();
        disk.create_dir(Path::new(DB)).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        disk
    }

    fn create(disk: &MemEnv, path: &str, contents: &str) {
        let mut file = disk.create_writable(Path::new(path), CreateMode::New).unwrap();
        file.append(contents.as_bytes()).unwrap();
        file.sync().unwrap();
        file.close().unwrap();
        disk.sync_dir(Path::new(path).parent().unwrap()).unwrap();
    }

    fn contents(disk: &MemEnv, path: &str) -> Option<String> {
        read_file(disk, Path::new(path), 1000).ok().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_name_that_is_taken_is_not_written_over() {
        let disk = disk();
        let env = disk.shared();
        for (round, expected) in ["000005.ldb", "000005.ldb.2", "000005.ldb.3"].iter().enumerate() {
            create(&disk, "/db/000005.ldb", &format!("round {round}"));
            let mut lost = Lost::open(&env, Path::new(DB)).unwrap();
            let path = lost.take(Path::new("/db/000005.ldb")).unwrap();
            assert_eq!(path, Path::new("/db/lost").join(expected));
        }
        // The same within one round.
        let mut lost = Lost::open(&env, Path::new(DB)).unwrap();
        for (contents, expected) in [("a", "000007.log"), ("b", "000007.log.2")] {
            create(&disk, "/db/000007.log", contents);
            assert_eq!(lost.take(Path::new("/db/000007.log")).unwrap(), Path::new("/db/lost").join(expected));
        }
        assert_eq!(contents(&disk, "/db/lost/000005.ldb").as_deref(), Some("round 0"));
        assert_eq!(contents(&disk, "/db/lost/000005.ldb.2").as_deref(), Some("round 1"));
        assert_eq!(contents(&disk, "/db/lost/000005.ldb.3").as_deref(), Some("round 2"));
        assert_eq!(contents(&disk, "/db/lost/000007.log").as_deref(), Some("a"));
        assert_eq!(contents(&disk, "/db/000005.ldb"), None);
    }

    #[test]
    fn a_crash_after_the_sync_finds_the_file_where_it_was_moved() {
        let disk = disk();
        create(&disk, "/db/000005.ldb", "kept");
        let mut lost = Lost::open(&disk.shared(), Path::new(DB)).unwrap();
        lost.take(Path::new("/db/000005.ldb")).unwrap();
        let before = disk.crash_clone(CrashChoice::OnlySynced);
        assert_eq!(contents(&before, "/db/000005.ldb").as_deref(), Some("kept"));
        lost.sync().unwrap();
        let after = disk.crash_clone(CrashChoice::OnlySynced);
        assert_eq!(contents(&after, "/db/lost/000005.ldb").as_deref(), Some("kept"));
        assert_eq!(contents(&after, "/db/000005.ldb"), None);
    }

    #[test]
    fn something_else_of_that_name_is_an_error_that_names_it() {
        let disk = disk();
        create(&disk, "/db/lost", "a file");
        let error = Lost::open(&disk.shared(), Path::new(DB)).map(drop).unwrap_err();
        assert!(error.to_string().contains("/db/lost"), "{error}");
        assert_eq!(contents(&disk, "/db/lost").as_deref(), Some("a file"));
    }
}
