//! The one error type of the crate: LevelDB's five kinds, a sentence for people, and facts for programs.
//!
//! `Display` prints LevelDB's status text (`IO error: /db/000003.log: No space left on device`): C++ callers get their
//! status code back from that prefix, so the prefixes are part of the ABI. An `Error` is a shared pointer: cloning one
//! (a sticky background error is handed to every writer) costs a reference count.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// LevelDB's five kinds of failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ErrorKind {
    /// A file, directory or key that should be there is not.
    NotFound,
    /// Stored bytes contradict the format or their checksum.
    Corruption,
    /// The operation is not offered.
    NotSupported,
    /// The caller passed something that can never work.
    InvalidArgument,
    /// The operating system refused an operation, or the database can no longer do it.
    IoError,
}

impl ErrorKind {
    /// The status prefix, without the colon, as LevelDB spells it.
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
    errno: Option<i32>,
    path: Option<PathBuf>,
}

/// A failure: its kind, a message that names the file and says what to do, the system's error number where there is one.
#[derive(Clone, Debug)]
pub struct Error(Arc<Inner>);

impl Error {
    /// An error of `kind` with a message (the message does not repeat the kind).
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Arc::new(Inner { kind, message: message.into(), errno: None, path: None }))
    }

    /// Something that should be there is not.
    #[cold]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Stored bytes contradict the format or their checksum.
    #[cold]
    pub fn corruption(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corruption, message)
    }

    /// Stored bytes of the file at `path` contradict the format.
    #[cold]
    pub fn corruption_in(path: &Path, what: impl fmt::Display) -> Self {
        Error(Arc::new(Inner {
            kind: ErrorKind::Corruption,
            message: format!("{}: {what}", path.display()),
            errno: None,
            path: Some(path.to_path_buf()),
        }))
    }

    /// The file at `path` is as it was written, as far as can be told, but in a way that is not understood here.
    #[cold]
    pub fn not_supported_in(path: &Path, what: impl fmt::Display) -> Self {
        Error(Arc::new(Inner {
            kind: ErrorKind::NotSupported,
            message: format!("{}: {what}", path.display()),
            errno: None,
            path: Some(path.to_path_buf()),
        }))
    }

    /// The operation is not offered.
    #[cold]
    pub fn not_supported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotSupported, message)
    }

    /// The caller passed something that can never work.
    #[cold]
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// An operation failed for a reason the system gave no number for.
    #[cold]
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::IoError, message)
    }

    /// The file at `path` is not what it has to be.
    #[cold]
    pub fn io_in(path: &Path, what: impl fmt::Display) -> Self {
        Error(Arc::new(Inner {
            kind: ErrorKind::IoError,
            message: format!("{}: {what}", path.display()),
            errno: None,
            path: Some(path.to_path_buf()),
        }))
    }

    /// The system refused an operation on `path`. ENOENT becomes `NotFound`, as in LevelDB; the message is
    /// `<path>: <strerror>`.
    #[cold]
    pub fn from_os(path: &Path, error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::from_errno(path, errno),
            None => Error(Arc::new(Inner {
                kind: ErrorKind::IoError,
                message: format!("{}: {error}", path.display()),
                errno: None,
                path: Some(path.to_path_buf()),
            })),
        }
    }

    /// As [`Error::from_os`], from a bare error number.
    #[cold]
    pub fn from_errno(path: &Path, errno: i32) -> Self {
        const ENOENT: i32 = 2;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        let kind = if errno == ENOENT { ErrorKind::NotFound } else { ErrorKind::IoError };
        let text = std::io::Error::from_raw_os_error(errno).to_string();
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
            errno: Some(errno),
            path: Some(path.to_path_buf()),
        }))
    }

    /// There is no memory for `what` (ENOMEM): the same may succeed later.
    #[cold]
    pub fn no_memory(what: &str) -> Self {
        const ENOMEM: i32 = 12;
        Self::from_errno(Path::new(what), ENOMEM)
    }

    /// The same failure with `context: ` before its message; kind, errno and path are kept.
    #[cold]
    pub fn context(&self, context: impl fmt::Display) -> Self {
        Error(Arc::new(Inner {
            kind: self.0.kind,
            message: format!("{context}: {}", self.0.message),
            errno: self.0.errno,
            path: self.0.path.clone(),
        }))
    }

    /// Which of the five kinds.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without the kind's prefix.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The system's error number, where the system gave one.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// The file or directory that failed, where the error is about one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Is it `NotFound`?
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Is it `Corruption`?
    pub fn is_corruption(&self) -> bool {
        self.kind() == ErrorKind::Corruption
    }

    /// Is it `NotSupported`?
    pub fn is_not_supported(&self) -> bool {
        self.kind() == ErrorKind::NotSupported
    }

    /// Is it about stored bytes that cannot be read, because they are damaged or not understood? What is around them can be.
    pub fn is_unreadable_block(&self) -> bool {
        matches!(self.kind(), ErrorKind::Corruption | ErrorKind::NotSupported)
    }

    /// May the same call succeed later without anything being changed in the program: a full disk, too many open
    /// files, no memory, an interrupted or busy system.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.errno, Some(4 | 11 | 12 | 16 | 23 | 24 | 28 | 37 | 122))
    }

    /// Was an operation on a file refused for its own sake: it was interrupted, there was no memory or no descriptor for it, or the
    /// file would become too large? Such a failure says nothing of what was written earlier, as an EIO or ENOSPC may.
    pub fn is_refusal(&self) -> bool {
        const EINTR_EAGAIN_ENOMEM: [i32; 3] = [4, 11, 12];
        const ENFILE_EMFILE: [i32; 2] = [23, 24];
        let is_one_of = |errnos: &[i32]| self.0.errno.is_some_and(|errno| errnos.contains(&errno));
        self.is_file_too_large() || is_one_of(&EINTR_EAGAIN_ENOMEM) || is_one_of(&ENFILE_EMFILE)
    }

    /// Would the file be larger than a file may become (EFBIG)?
    pub fn is_file_too_large(&self) -> bool {
        self.0.errno == Some(27)
    }

    /// Is the disk, or the quota, full (ENOSPC, EDQUOT)?
    pub fn is_no_space(&self) -> bool {
        matches!(self.0.errno, Some(28 | 122))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind.prefix(), self.0.message)
    }
}

impl std::error::Error for Error {}

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
