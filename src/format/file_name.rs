//! The names of a database's files.
//!
//! `NNNNNN.log` WAL, `NNNNNN.ldb` table (`NNNNNN.sst` is read too), `MANIFEST-NNNNNN`, `CURRENT`, `LOCK`, `LOG`, `LOG.old`,
//! `NNNNNN.dbtmp`. Numbers have six digits at least.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What a file of a database directory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileType {
    /// A write-ahead log.
    Log(u64),
    /// A table (`.ldb`, or `.sst` as LevelDB wrote before 1.14).
    Table(u64),
    /// A MANIFEST.
    Manifest(u64),
    /// A file that is to be renamed, or the rest of one.
    Temp(u64),
    /// Names the MANIFEST.
    Current,
    /// Held while the database is open.
    Lock,
    /// `LOG` or `LOG.old`.
    InfoLog,
}

/// What the file called `name` is; `None` for a file that is not a database's.
pub fn parse(name: &OsStr) -> Option<FileType> {
    let name = name.to_str()?;
    match name {
        "CURRENT" => return Some(FileType::Current),
        "LOCK" => return Some(FileType::Lock),
        "LOG" | "LOG.old" => return Some(FileType::InfoLog),
        _ => {}
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

/// As `parse`, but `None` also for a name that means a database's file without being how it is written: `7.log` is not the log
/// `000007.log`. Nobody opens such a file, so nobody knows what it holds.
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
        FileType::Current | FileType::Lock | FileType::InfoLog => true,
    };
    is_exact.then_some(file_type)
}

/// Digits alone, as a number that fits 64 bits.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// `<db>/NNNNNN.log`
pub fn log(db: &Path, number: u64) -> PathBuf {
    db.join(format!("{number:06}.log"))
}

/// `<db>/NNNNNN.ldb`
pub fn table(db: &Path, number: u64) -> PathBuf {
    db.join(format!("{number:06}.ldb"))
}

/// `<db>/NNNNNN.sst`, the old name of a table.
pub fn old_table(db: &Path, number: u64) -> PathBuf {
    db.join(format!("{number:06}.sst"))
}

/// `<db>/MANIFEST-NNNNNN`
pub fn manifest(db: &Path, number: u64) -> PathBuf {
    db.join(format!("MANIFEST-{number:06}"))
}

/// `<db>/NNNNNN.dbtmp`
pub fn temp(db: &Path, number: u64) -> PathBuf {
    db.join(format!("{number:06}.dbtmp"))
}

/// `<db>/CURRENT`
pub fn current(db: &Path) -> PathBuf {
    db.join("CURRENT")
}

/// `<db>/LOCK`
pub fn lock(db: &Path) -> PathBuf {
    db.join("LOCK")
}

/// `<db>/LOG`
pub fn info_log(db: &Path) -> PathBuf {
    db.join("LOG")
}

/// `<db>/LOG.old`
pub fn old_info_log(db: &Path) -> PathBuf {
    db.join("LOG.old")
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
            (info_log(db), FileType::InfoLog),
            (old_info_log(db), FileType::InfoLog),
        ] {
            assert_eq!(super::parse(path.file_name().unwrap()), Some(file_type));
        }
    }
}
