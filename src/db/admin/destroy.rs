//! Removes a database.

use crate::env::{self, Env, FileLock};
use crate::error::Result;
use crate::format::file_name::{self, FileType};
use crate::options::Options;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

/// Removes the database at `path`: every file whose name is that of a database file, then the directory if it
/// is empty. A missing directory is not an error; an open database is refused. Returns the first error, after
/// all other removals were tried.
pub fn destroy(options: &Options, path: &Path) -> Result<()> {
    // Only the files of this directory, even if another one takes its name meanwhile.
    let Ok(env) = env::holding(&options.env, path) else { return Ok(()) };
    let Ok(children) = env.children(path) else { return Ok(()) };
    let lock = env.lock_file(&file_name::lock(path))?;
    let result = remove_files(&env, path, children, lock);
    let _ = env.remove_dir(path); // fails if other files are there
    result
}

/// Removes the database files among the names `children` of a directory: CURRENT first, and LOCK, which is
/// held, last. Returns the first error, after all other removals were tried.
pub(in crate::db) fn remove_files(
    env: &Arc<dyn Env>,
    path: &Path,
    children: Vec<OsString>,
    lock: Box<dyn FileLock>,
) -> Result<()> {
    let mut result = Ok(());
    // CURRENT is removed first, so that `open` refuses what an interrupted removal leaves.
    let rank = |kind: FileType| u8::from(kind != FileType::Current);
    let mut files: Vec<_> =
        children.into_iter().filter_map(|name| Some((rank(file_name::parse(&name)?), name))).collect();
    files.sort();
    for (_, name) in files {
        if file_name::parse(&name) == Some(FileType::Lock) {
            continue; // held, so it is removed last
        }
        let removed = env.remove_file(&path.join(name));
        if result.is_ok() {
            result = removed;
        }
    }
    drop(lock);
    let _ = env.remove_file(&file_name::lock(path));
    result
}
