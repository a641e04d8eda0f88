//! Shared by all themes of the suite: the two libraries, seeded random numbers, scratch directories, and the
//! tools of the machine.

pub mod leveldb_c;
pub mod random;
pub mod rocksdb_c;

use leveldb_c::{Db, Library};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The names under which a system keeps Google's library; the first is Debian's.
const GOOGLE_NAMES: [&str; 3] = ["libleveldb.so.1d", "libleveldb.so.1", "libleveldb.so"];

/// The path of the Terrace library under test: `$TERRACE_LIB`, or the library that cargo built beside this
/// test binary.
pub fn terrace_path() -> PathBuf {
    if let Some(path) = std::env::var_os("TERRACE_LIB") {
        let path = PathBuf::from(path);
        assert!(path.exists(), "TERRACE_LIB names {}, which does not exist", path.display());
        return path.canonicalize().expect("the path of an existing file");
    }
    let binary = std::env::current_exe().expect("the path of the test binary");
    let beside = binary.parent().expect("the directory of the test binary");
    let above = beside.parent().expect("the directory of the profile");
    [beside, above]
        .iter()
        .map(|directory| directory.join("libterrace.so"))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no libterrace.so beside {}: run `cargo build`", binary.display()))
}

/// Terrace, through its C API.
pub fn terrace() -> &'static Library {
    Library::open(terrace_path()).unwrap_or_else(|error| panic!("{error}"))
}

/// The name or path by which Google's LevelDB loads: `$LEVELDB_LIB`, or the system's.
pub fn google_path() -> PathBuf {
    if let Some(path) = std::env::var_os("LEVELDB_LIB") {
        return path.into();
    }
    let found = GOOGLE_NAMES.iter().find(|name| Library::open(name).is_ok());
    found.map(PathBuf::from).unwrap_or_else(|| {
        panic!("no LevelDB on this machine: install libleveldb-dev, or name the library in LEVELDB_LIB")
    })
}

/// Google's LevelDB.
pub fn google() -> &'static Library {
    Library::open(google_path()).unwrap_or_else(|error| panic!("{error}"))
}

/// Both directions of an exchange: each library with the other one.
pub fn both_ways() -> [(&'static Library, &'static Library); 2] {
    [(terrace(), google()), (google(), terrace())]
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A temporary directory for one test, removed when the test ends.
pub fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("terrace-test-").tempdir().expect("a scratch directory")
}

/// Copies the files of a database directory: the state that `kill -9` would leave at this moment.
pub fn copy_database(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory for the copy");
    for entry in std::fs::read_dir(from).expect("a database directory") {
        let entry = entry.expect("an entry of the database directory");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy of a database file");
    }
}

/// The files of a database directory and their contents, without those that every open writes: LOCK and LOG.
pub fn database_files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(path).expect("a database directory");
    let files = entries.filter_map(|entry| {
        let entry = entry.expect("an entry of the database directory");
        let name = entry.file_name().into_string().expect("a name in ASCII");
        let is_kept = name != "LOCK" && !name.starts_with("LOG");
        is_kept.then(|| (name, std::fs::read(entry.path()).expect("a file of the database")))
    });
    files.collect()
}

/// All entries of a database, in its order. Checks that both directions return the same.
pub fn contents(db: &Db) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut iterator = db.iterator(None);
    let mut forward = Vec::new();
    iterator.seek_to_first();
    while iterator.valid() {
        forward.push((iterator.key().to_vec(), iterator.value().to_vec()));
        iterator.next();
    }
    iterator.status().expect("a whole iteration");
    let mut backward = Vec::new();
    iterator.seek_to_last();
    while iterator.valid() {
        backward.push((iterator.key().to_vec(), iterator.value().to_vec()));
        iterator.prev();
    }
    iterator.status().expect("a whole iteration backwards");
    backward.reverse();
    assert!(forward == backward, "the two directions of an iteration differ");
    forward
}

/// A command of the machine.
pub struct Tool {
    command: Command,
    name: String,
    package: &'static str,
}

impl Tool {
    /// The program `name` of Debian's package `package`.
    pub fn new(name: &str, package: &'static str) -> Tool {
        Tool { command: Command::new(name), name: name.to_owned(), package }
    }

    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Tool {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of the tool's environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Tool {
        self.command.env(name, value);
        self
    }

    /// Removes a variable from the environment of the tool.
    pub fn env_remove(mut self, name: &str) -> Tool {
        self.command.env_remove(name);
        self
    }

    /// Sets the working directory of the tool.
    pub fn current_dir(mut self, directory: &Path) -> Tool {
        self.command.current_dir(directory);
        self
    }

    /// Runs the tool to its end.
    ///
    /// # Panics
    /// If the tool is not installed: the message says what to install.
    pub fn output(mut self) -> Output {
        self.command.output().unwrap_or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                panic!("this test needs `{}`: install the package {}", self.name, self.package)
            }
            _ => panic!("cannot run `{}`: {error}", self.name),
        })
    }

    /// Runs the tool, and returns its output.
    ///
    /// # Panics
    /// If the tool is not installed, and if it fails: the message shows the whole command and its output.
    pub fn run(self) -> String {
        let shown = format!("{:?}", self.command);
        let output = self.output();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{shown}\n{}\n{printed}{complaint}", output.status);
        printed
    }
}

/// The C compiler.
pub fn c_compiler() -> Tool {
    Tool::new("cc", "gcc")
}

/// Debian's RocksDB (7.8 on Debian 12), and a RocksDB 11 as its authors release it. `ROCKSDB_LIBRARY` and
/// `ROCKSDB11_LIBRARY` name others.
pub fn rocksdbs() -> [&'static rocksdb_c::Library; 2] {
    static LIBRARIES: OnceLock<[&rocksdb_c::Library; 2]> = OnceLock::new();
    let load = |variable: &str, otherwise: &Path, advice: &str| {
        let path = std::env::var_os(variable).map_or_else(|| otherwise.to_path_buf(), PathBuf::from);
        rocksdb_c::Library::load(&path)
            .unwrap_or_else(|error| panic!("this test needs a RocksDB: {error}; {advice}"))
    };
    *LIBRARIES.get_or_init(|| {
        let binary = std::env::current_exe().expect("the path of the test binary");
        let target = binary.ancestors().nth(3).expect("the directory of cargo's output");
        let fetched = target.join("peers/librocksdb-11.so");
        [
            load("ROCKSDB_LIBRARY", Path::new("librocksdb.so"), "install the package librocksdb-dev"),
            load("ROCKSDB11_LIBRARY", &fetched, "run scripts/rocksdb-11.sh, which fetches it"),
        ]
    })
}
