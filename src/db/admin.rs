//! Operations on whole directories and single files: `repair`, `destroy`, `dump`; and `properties` of an open
//! database.

pub(super) mod destroy;
pub(super) mod dump;
pub(super) mod properties;
pub(super) mod repair;
