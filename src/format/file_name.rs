//! The names of a database's files.
//!
//! `NNNNNN.log` is a WAL, `NNNNNN.ldb` a table (`NNNNNN.sst` is read too), `MANIFEST-NNNNNN` a MANIFEST,
//! `NNNNNN.dbtmp` a temporary file; the others are `CURRENT`, `LOCK`, `LOG` and `LOG.old`. In RocksDB's
//! language new tables are called `NNNNNN.sst`, and there are `OPTIONS-NNNNNN` and `IDENTITY`. Numbers have
//! at least six digits.
//!
//! Thread rule: pure functions.

use crate::language::Language;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The type of a file in a database directory, with its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileType {
    /// A WAL.
    Log(u64),
    /// A table (`.ldb`, or `.sst`, LevelDB's name before 1.14).
    Table(u64),
    /// A MANIFEST.
    Manifest(u64),
    /// A file that is renamed when it is complete, or the remains of one.
    Temp(u64),
    /// `CURRENT`, which contains the name of the MANIFEST.
    Current,
    /// `LOCK`, which is locked while the database is open.
    Lock,
    /// `LOG` or `LOG.old`.
    InfoLog,
    /// `OPTIONS-NNNNNN`, which only RocksDB reads.
    Options(u64),
    /// `IDENTITY`, which only RocksDB reads.
    Identity,
}

/// The type of the file called `name`; `None` if it is no database file.
pub fn parse(name: &OsStr) -> Option<FileType> {
    let name = name.to_str()?;
    match name {
        "CURRENT" => return Some(FileType::Current),
        "LOCK" => return Some(FileType::Lock),
        "LOG" | "LOG.old" => return Some(FileType::InfoLog),
        "IDENTITY" => return Some(FileType::Identity),
        _ => {}
    }
    if let Some(digits) = name.strip_prefix("OPTIONS-") {
        return number(digits).map(FileType::Options);
    }
    if let Some(digits) = name.strip_prefix("MANIFEST-") {
        return number(digits).map(FileType::Manifest);
    }
    let (digits, suffix) = name.split_once('.')?;
    let number = number(digits)?;
    match suffix {
        "log" => Some(FileType::Log(number)),
        "ldb" | "sst" => Some(FileType::Table(number)),
        "dbtmp" => Some(FileType::Temp(number)),
        _ => None,
    }
}

/// As `parse`, but `None` for names that LevelDB parses and never writes: `7.log` is not the WAL
/// `000007.log`. No database opens such a file, so its contents are unknown.
pub fn parse_exactly(name: &OsStr) -> Option<FileType> {
    let file_type = parse(name)?;
    let db = Path::new("");
    let is_exact = match file_type {
        FileType::Log(number) => log(db, number).as_os_str() == name,
        FileType::Table(number) => {
            [table(db, number), old_table(db, number)].iter().any(|path| path.as_os_str() == name)
        }
        FileType::Manifest(number) => manifest(db, number).as_os_str() == name,
        FileType::Temp(number) => temp(db, number).as_os_str() == name,
        FileType::Options(number) => options(db, number).as_os_str() == name,
        FileType::Current | FileType::Lock | FileType::InfoLog | FileType::Identity => true,
    };
    is_exact.then_some(file_type)
}

/// The number that consists of these decimal digits, if it fits 64 bits.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The path of a WAL: `<db>/NNNNNN.log`.
pub fn log(db: &Path, number: u64) -> PathBuf {
    db.join(format!("{number:06}.log"))
}

/// The path of a table: `<db>/NNNNNN.ldb`.
pub fn table(db: &Path, number: u64) -> PathBuf {
    db.join(format!("{number:06}.ldb"))
}

/// The old path of a table: `<db>/NNNNNN.sst`.
pub fn old_table(db: &Path, number: u64) -> PathBuf {
    db.join(format!("{number:06}.sst"))
}

/// The path of a new table in a directory of that language: RocksDB lists, links and removes only `.sst`.
pub fn new_table(db: &Path, number: u64, language: Language) -> PathBuf {
    match language {
        Language::LevelDb => table(db, number),
        Language::RocksDb => old_table(db, number),
    }
}

/// The two paths that a table may have.
pub fn table_paths(db: &Path, number: u64) -> [PathBuf; 2] {
    [table(db, number), old_table(db, number)]
}

/// The path of the file that has the identity of the database, for RocksDB: `<db>/IDENTITY`.
pub fn identity(db: &Path) -> PathBuf {
    db.join("IDENTITY")
}

/// The path of the file that has the options, for RocksDB: `<db>/OPTIONS-NNNNNN`.
pub fn options(db: &Path, number: u64) -> PathBuf {
    db.join(format!("OPTIONS-{number:06}"))
}

/// The path of a MANIFEST: `<db>/MANIFEST-NNNNNN`.
pub fn manifest(db: &Path, number: u64) -> PathBuf {
    db.join(format!("MANIFEST-{number:06}"))
}

/// The path of a temporary file: `<db>/NNNNNN.dbtmp`.
pub fn temp(db: &Path, number: u64) -> PathBuf {
    db.join(format!("{number:06}.dbtmp"))
}

/// The path of the file that names the MANIFEST: `<db>/CURRENT`.
pub fn current(db: &Path) -> PathBuf {
    db.join("CURRENT")
}

/// The path of the lock file: `<db>/LOCK`.
pub fn lock(db: &Path) -> PathBuf {
    db.join("LOCK")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let parse = |name: &str| parse(OsStr::new(name));
        assert_eq!(parse("100.log"), Some(FileType::Log(100)));
        assert_eq!(parse("000000.log"), Some(FileType::Log(0)));
        assert_eq!(parse("0.sst"), Some(FileType::Table(0)));
        assert_eq!(parse("0.ldb"), Some(FileType::Table(0)));
        assert_eq!(parse("MANIFEST-2"), Some(FileType::Manifest(2)));
        assert_eq!(parse("18446744073709551615.log"), Some(FileType::Log(u64::MAX)));
        for other in [
            "",
            "foo",
            "foo-dx-100.log",
            ".log",
            "manifest",
            "CURREN",
            "CURRENTX",
            "MANIFES",
            "MANIFEST",
            "MANIFEST-",
            "XMANIFEST-3",
            "MANIFEST-3x",
            "LOC",
            "LOCKx",
            "LO",
            "LOGx",
            "18446744073709551616.log",
            "184467440737095516150.log",
            "100",
            "100.",
            "100.lop",
            "+1.log",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_that_is_written_otherwise_is_not_exact() {
        for name in ["000100.log", "1234567.ldb", "000003.sst", "MANIFEST-000002", "000001.dbtmp", "LOG.old"]
        {
            assert_eq!(parse_exactly(OsStr::new(name)), parse(OsStr::new(name)), "{name}");
        }
        for name in ["100.log", "01234567.ldb", "3.sst", "MANIFEST-2", "0000001.dbtmp", "foo"] {
            assert_eq!(parse_exactly(OsStr::new(name)), None, "{name}");
        }
    }

    #[test]
    fn made_names_parse() {
        let db = Path::new("db");
        for (path, file_type) in [
            (log(db, 192), FileType::Log(192)),
            (table(db, 1234567), FileType::Table(1234567)),
            (old_table(db, 1), FileType::Table(1)),
            (manifest(db, 100), FileType::Manifest(100)),
            (temp(db, 999), FileType::Temp(999)),
            (current(db), FileType::Current),
            (lock(db), FileType::Lock),
            (db.join("LOG"), FileType::InfoLog),
            (db.join("LOG.old"), FileType::InfoLog),
            (options(db, 12), FileType::Options(12)),
            (identity(db), FileType::Identity),
        ] {
            assert_eq!(super::parse(path.file_name().unwrap()), Some(file_type));
        }
    }
}
