//! Removing a database.

use crate::env;
use crate::error::Result;
use crate::format::file_name::{self, FileType};
use crate::options::Options;
use std::path::Path;

/// Removes the database at `path`: every file that is named as a database's, then the directory if nothing else is in it. A
/// directory that is missing is fine; a database that is open is refused. The first error is returned, after the rest has been
/// tried.
pub fn destroy(options: &Options, path: &Path) -> Result<()> {
    // The files of this directory alone, should another take its name meanwhile.
    let Ok(env) = env::holding(&options.env, path) else { return Ok(()) };
    let Ok(children) = env.children(path) else { return Ok(()) };
    let lock = env.lock_file(&file_name::lock(path))?;
    let mut result = Ok(());
    // CURRENT goes first: what is left of a removal that is cut short is refused by `open`, not taken for a database.
    let rank = |kind: FileType| u8::from(kind != FileType::Current);
    let mut files: Vec<_> =
        children.into_iter().filter_map(|name| Some((rank(file_name::parse(&name)?), name))).collect();
    files.sort();
    for (_, name) in files {
        if file_name::parse(&name) == Some(FileType::Lock) {
            continue; // held; goes last
        }
        let removed = env.remove_file(&path.join(name));
        if result.is_ok() {
            result = removed;
        }
    }
    drop(lock);
    let _ = env.remove_file(&file_name::lock(path));
    let _ = env.remove_dir(path); // not empty: it holds what is not ours
    result
}
