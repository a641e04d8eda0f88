//! The core's options in an options handle.
//!
//! Options hold only weak references to objects implemented in C (comparator, filter policy, logger). Opening
//! a database makes them strong, so that options that are destroyed late delay no destructor.

use crate::error::Result;
use crate::ffi::comparator::ComparatorReference;
use crate::ffi::filter_policy::PolicyReference;
use crate::ffi::logger::LoggerReference;
use crate::options::Options;

/// The core's options in the form that C sets them; the tail of an options handle.
#[derive(Default)]
pub(in crate::ffi) struct OptionsTail {
    pub(super) options: Options,
    pub(super) comparator: Option<ComparatorReference>,
    pub(super) filter_policy: Option<PolicyReference>,
    pub(super) logger: Option<LoggerReference>,
}

impl OptionsTail {
    /// The core's options, with strong references to all callbacks.
    pub(super) fn resolve(&self) -> Result<Options> {
        let mut options = self.options.clone();
        if let Some(comparator) = &self.comparator {
            options.comparator = comparator.resolve()?;
        }
        options.filter_policy = self.filter_policy.as_ref().and_then(PolicyReference::resolve);
        options.info_log = self.logger.as_ref().and_then(LoggerReference::resolve);
        Ok(options)
    }
}
