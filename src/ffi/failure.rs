//! What failed, in the two forms that C gets: a number for programs, and an error whose text is for people.
//!
//! Thread rule: plain values.

use crate::comparator::ComparatorFailed;
use crate::error::{Error, ErrorKind};
use std::any::Any;

/// The results of `terrace_last_error_code()`. The numbers never change; those up to 5 are the codes of
/// LevelDB's `Status`.
#[allow(non_camel_case_types)]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum terrace_error_t {
    /// The last call with an errptr succeeded, and no call has failed since.
    TERRACE_OK = 0,
    /// A file or directory is missing. (An absent key is not an error.)
    TERRACE_NOT_FOUND = 1,
    /// Stored bytes contradict the format or their checksum.
    TERRACE_CORRUPTION = 2,
    /// The operation, or a feature of the data, is not supported.
    TERRACE_NOT_SUPPORTED = 3,
    /// An argument that is never valid.
    TERRACE_INVALID_ARGUMENT = 4,
    /// The operating system refused an operation, or the database can no longer perform it.
    TERRACE_IO_ERROR = 5,
    /// A defect of the library or a failure of a comparator was caught. Its database takes no writes until it
    /// is opened again.
    TERRACE_INTERNAL_ERROR = 6,
}

impl From<ErrorKind> for terrace_error_t {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => terrace_error_t::TERRACE_NOT_FOUND,
            ErrorKind::Corruption => terrace_error_t::TERRACE_CORRUPTION,
            ErrorKind::NotSupported => terrace_error_t::TERRACE_NOT_SUPPORTED,
            ErrorKind::InvalidArgument => terrace_error_t::TERRACE_INVALID_ARGUMENT,
            ErrorKind::IoError => terrace_error_t::TERRACE_IO_ERROR,
        }
    }
}

/// A failure on its way to C.
pub(super) struct Failure {
    /// The number that programs read.
    pub(super) code: terrace_error_t,
    /// The message that people read.
    pub(super) error: Error,
}

impl Failure {
    /// A failure that the core reported.
    #[cold]
    pub(super) fn new(error: Error) -> Self {
        Failure { code: terrace_error_t::from(error.kind()), error }
    }

    /// A comparator that could not compare.
    #[cold]
    fn from_comparator(message: &str) -> Self {
        Failure {
            code: terrace_error_t::TERRACE_INTERNAL_ERROR,
            error: Error::io(format!("the comparator failed: {message}")),
        }
    }

    /// A panic that was caught. The payload is leaked, not dropped: the `drop` of a foreign payload may
    /// panic.
    #[cold]
    pub(super) fn from_panic(payload: Box<dyn Any + Send>) -> Self {
        let payload = match payload.downcast::<ComparatorFailed>() {
            Ok(failed) => return Failure::from_comparator(&failed.0),
            Err(payload) => payload,
        };
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "a panic without a message".to_owned(),
        };
        std::mem::forget(payload);
        Failure {
            code: terrace_error_t::TERRACE_INTERNAL_ERROR,
            error: Error::io(format!(
                "internal error (a defect of the library, please report it): {message}"
            )),
        }
    }
}
