//! A database directory as one byte string, which a fuzzer can mutate.
//!
//! ```text
//! file | name length u8 | name | content length u24 | content |
//! ```
//! Every input is an archive: lengths are cut to the bytes that exist, and bytes that cannot be in a file
//! name are removed from names.

use std::path::{Path, PathBuf};
use terrace::env::mem::{MemEnv, MemOptions};
use terrace::env::{CreateMode, Env};

/// The files of a directory: name and content.
pub type Files = Vec<(String, Vec<u8>)>;

/// The path of the directory.
pub fn path() -> PathBuf {
    PathBuf::from("/db")
}

/// The archive of these files.
pub fn encode(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in files {
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&(content.len() as u32).to_le_bytes()[..3]);
        bytes.extend_from_slice(content);
    }
    bytes
}

/// The files of an archive. Of two files with the same name, the last counts.
pub fn decode(mut bytes: &[u8]) -> Files {
    let mut files = Files::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at(rest.len().min(usize::from(length)));
        let name: String =
            name.iter().map(|&byte| char::from(byte)).filter(|c| c.is_ascii_graphic()).collect();
        let name = name.replace('/', "");
        let Some((length, rest)) = rest.split_first_chunk::<3>() else { break };
        let length = u32::from_le_bytes([length[0], length[1], length[2], 0]) as usize;
        let (content, rest) = rest.split_at(rest.len().min(length));
        if !matches!(&name[..], "" | "." | "..") {
            files.retain(|(other, _)| *other != name);
            files.push((name, content.to_vec()));
        }
        bytes = rest;
    }
    files
}

/// A disk with these files in the directory.
pub fn disk(files: &[(String, Vec<u8>)], mappings: bool) -> MemEnv {
    disk_with(files, MemOptions { mappings, ..MemOptions::default() })
}

/// A disk with these files in the directory, and these options.
pub fn disk_with(files: &[(String, Vec<u8>)], options: MemOptions) -> MemEnv {
    let env = MemEnv::with_options(options);
    env.create_dir(&path()).expect("a directory in memory");
    for (name, content) in files {
        write(&env, &path().join(name), content);
    }
    env
}

/// Writes a file.
pub fn write(env: &MemEnv, path: &Path, content: &[u8]) {
    let mut file = env.create_writable(path, CreateMode::Truncate).expect("a file in memory");
    file.append(content).and_then(|()| file.close()).expect("a write to memory");
}

/// The files of the directory, sorted, without those that every open writes: LOCK and LOG.
pub fn files(env: &MemEnv) -> Files {
    let files = env.files().into_iter().filter_map(|(path, content)| {
        let name = path.strip_prefix(self::path()).ok()?.to_str()?.to_owned();
        (!matches!(&name[..], "LOCK" | "LOG" | "LOG.old")).then_some((name, content))
    });
    files.collect()
}
