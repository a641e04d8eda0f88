//! The error type of the crate: one of LevelDB's five kinds, a message for people, and facts for programs
//! (errno, path).
//!
//! `Display` prints LevelDB's status text (`IO error: /db/000003.log: No space left on device`). C++ callers
//! parse that prefix to get their status code back, so the prefixes are part of the ABI. An `Error` is a
//! shared pointer: cloning one (every writer gets a clone of a sticky background error) costs one increment
//! of a reference count.
//!
//! Thread rule: an `Error` is immutable and may be shared by any number of threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

/// The result of every fallible operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// LevelDB's five kinds of failure (`leveldb::Status::Code` without `kOk`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file, a directory or a key does not exist.
    NotFound,
    /// Stored bytes contradict the format or their checksum.
    Corruption,
    /// The operation, or a format found on disk, is not supported by this build.
    NotSupported,
    /// The caller passed an argument that can never be valid.
    InvalidArgument,
    /// The operating system refused an operation, or an earlier failure makes the database refuse it.
    IoError,
}

impl ErrorKind {
    /// The status prefix as LevelDB spells it, without the colon.
    pub fn prefix(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "NotFound",
            ErrorKind::Corruption => "Corruption",
            ErrorKind::NotSupported => "Not implemented",
            ErrorKind::InvalidArgument => "Invalid argument",
            ErrorKind::IoError => "IO error",
        }
    }
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    /// What the system reported.
    system: Option<io::Error>,
    path: Option<PathBuf>,
}

/// A failure: its kind, a message that names the file and says what to do, and the system's error number if
/// the system gave one.
#[derive(Clone, Debug)]
pub struct Error(Arc<Inner>);

impl Error {
    /// An error of `kind`. The message must not repeat the kind: `Display` prints the prefix.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Arc::new(Inner { kind, message: message.into(), system: None, path: None }))
    }

    /// A `NotFound` error: a file, a directory or a key does not exist.
    #[cold]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// A `Corruption` error: stored bytes contradict the format or their checksum.
    #[cold]
    pub fn corruption(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corruption, message)
    }

    /// A `Corruption` error about the file at `path`; the message is `<path>: <what>`.
    #[cold]
    pub fn corruption_in(path: &Path, what: impl fmt::Display) -> Self {
        Error(Arc::new(Inner {
            kind: ErrorKind::Corruption,
            message: format!("{}: {what}", path.display()),
            system: None,
            path: Some(path.to_path_buf()),
        }))
    }

    /// A `NotSupported` error about the file at `path`: as far as can be told the file is intact, but this
    /// build does not support its format.
    #[cold]
    pub fn not_supported_in(path: &Path, what: impl fmt::Display) -> Self {
        Error(Arc::new(Inner {
            kind: ErrorKind::NotSupported,
            message: format!("{}: {what}", path.display()),
            system: None,
            path: Some(path.to_path_buf()),
        }))
    }

    /// A `NotSupported` error: the operation is not supported.
    #[cold]
    pub fn not_supported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotSupported, message)
    }

    /// An `InvalidArgument` error: the caller passed an argument that can never be valid.
    #[cold]
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// An `IoError` without an error number of the system.
    #[cold]
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::IoError, message)
    }

    /// An `IoError` without an error number about the file at `path`: the file is not what it has to be.
    #[cold]
    pub fn io_in(path: &Path, what: impl fmt::Display) -> Self {
        Error(Arc::new(Inner {
            kind: ErrorKind::IoError,
            message: format!("{}: {what}", path.display()),
            system: None,
            path: Some(path.to_path_buf()),
        }))
    }

    /// The system refused an operation on `path`. ENOENT becomes `NotFound`, as in LevelDB, every other error
    /// `IoError`; the message is `<path>: <strerror>`.
    #[cold]
    pub fn from_os(path: &Path, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::from_errno(path, errno),
            None => Error(Arc::new(Inner {
                kind: ErrorKind::IoError,
                message: format!("{}: {error}", path.display()),
                system: None,
                path: Some(path.to_path_buf()),
            })),
        }
    }

    /// As [`Error::from_os`], from an error number; EMFILE and ENFILE also get a remedy in the message.
    #[cold]
    pub fn from_errno(path: &Path, errno: i32) -> Self {
        const ENOENT: i32 = 2;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        let kind = if errno == ENOENT { ErrorKind::NotFound } else { ErrorKind::IoError };
        let text = io::Error::from_raw_os_error(errno).to_string();
        // std appends " (os error N)"; LevelDB's messages are the bare strerror text.
        let text = text.split(" (os error").next().unwrap_or_default();
        let remedy = match errno {
            EMFILE => " (the process may have no more: raise RLIMIT_NOFILE, `ulimit -n`)",
            ENFILE => " (the system may have no more: raise fs.file-max)",
            _ => "",
        };
        Error(Arc::new(Inner {
            kind,
            message: format!("{}: {text}{remedy}", path.display()),
            system: Some(io::Error::from_raw_os_error(errno)),
            path: Some(path.to_path_buf()),
        }))
    }

    /// There is no memory for `what` (ENOMEM). The error is retryable.
    #[cold]
    pub fn no_memory(what: &str) -> Self {
        const ENOMEM: i32 = 12;
        Self::from_errno(Path::new(what), ENOMEM)
    }

    /// The same failure with `context: ` before its message. The kind, the errno and the path are kept.
    #[cold]
    pub fn context(&self, context: impl fmt::Display) -> Self {
        Error(Arc::new(Inner {
            kind: self.0.kind,
            message: format!("{context}: {}", self.0.message),
            system: self.errno().map(io::Error::from_raw_os_error),
            path: self.0.path.clone(),
        }))
    }

    /// One of LevelDB's five kinds.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without the kind's prefix.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The system's error number (errno), if the system gave one.
    pub fn errno(&self) -> Option<i32> {
        self.0.system.as_ref()?.raw_os_error()
    }

    /// The file or directory that the error is about, if it is about one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// True for the kind `NotFound`.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// True for the kind `Corruption`.
    pub fn is_corruption(&self) -> bool {
        self.kind() == ErrorKind::Corruption
    }

    /// True for the kind `NotSupported`.
    pub fn is_not_supported(&self) -> bool {
        self.kind() == ErrorKind::NotSupported
    }

    /// True if stored bytes cannot be read because they are damaged or of an unsupported format
    /// (`Corruption`, `NotSupported`). The data around them may still be readable.
    pub fn is_unreadable_block(&self) -> bool {
        matches!(self.kind(), ErrorKind::Corruption | ErrorKind::NotSupported)
    }

    /// True if the same call may succeed later without any change in the program: the disk was full, too many
    /// files were open, there was no memory, or the system was interrupted or busy.
    pub fn is_retryable(&self) -> bool {
        matches!(self.errno(), Some(4 | 11 | 12 | 16 | 23 | 24 | 28 | 37 | 122))
    }

    /// True if the system refused an operation on a file only because it could not be carried out now: it was
    /// interrupted (EINTR, EAGAIN), there was no memory (ENOMEM) or no descriptor (ENFILE, EMFILE) for it, or
    /// the file would become too large (EFBIG). Such a failure says nothing about data written earlier. An
    /// EIO or ENOSPC may mean that earlier writes are lost.
    pub fn is_refusal(&self) -> bool {
        const EINTR_EAGAIN_ENOMEM: [i32; 3] = [4, 11, 12];
        const ENFILE_EMFILE: [i32; 2] = [23, 24];
        let is_one_of = |errnos: &[i32]| self.errno().is_some_and(|errno| errnos.contains(&errno));
        self.is_file_too_large() || is_one_of(&EINTR_EAGAIN_ENOMEM) || is_one_of(&ENFILE_EMFILE)
    }

    /// True if the file would exceed the largest size that the system or a limit allows (EFBIG).
    pub fn is_file_too_large(&self) -> bool {
        self.errno() == Some(27)
    }

    /// True if the disk or the quota is full (ENOSPC, EDQUOT).
    pub fn is_no_space(&self) -> bool {
        matches!(self.errno(), Some(28 | 122))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.prefix(), self.0.message)
    }
}

impl std::error::Error for Error {
    /// The error that the system reported, if it did.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.system.as_ref().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_leveldbs() {
        let error = Error::from_errno(Path::new("/db/LOCK"), 2);
        assert_eq!(error.to_string(), "NotFound: /db/LOCK: No such file or directory");
        let error = Error::from_errno(Path::new("/db/000003.log"), 28);
        assert_eq!(error.to_string(), "IO error: /db/000003.log: No space left on device");
        assert!(error.is_no_space() && error.is_retryable());
        assert_eq!(
            error.context("flush").to_string(),
            "IO error: flush: /db/000003.log: No space left on device"
        );
        assert_eq!(error.context("flush").errno(), Some(28));
        for (errno, remedy) in [(23, "raise fs.file-max"), (24, "raise RLIMIT_NOFILE")] {
            let error = Error::from_errno(Path::new("/db/000005.ldb"), errno);
            assert!(
                error.to_string().starts_with("IO error: /db/000005.ldb: Too many open files"),
                "{error}"
            );
            assert!(error.to_string().contains(remedy) && error.is_retryable(), "{error}");
        }
        let errors =
            [4, 5, 11, 12, 23, 24, 27, 28, 122].map(|errno| Error::from_errno(Path::new("/f"), errno));
        let refusals: Vec<_> = errors.iter().filter(|e| e.is_refusal()).filter_map(Error::errno).collect();
        assert_eq!(refusals, [4, 11, 12, 23, 24, 27]);
        assert_eq!(Error::not_supported("x").to_string(), "Not implemented: x");
    }
}
