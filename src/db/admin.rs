//! Operations on whole directories and single files: `repair`, `destroy`, `dump`; and `properties` of an open
//! database. `new_manifest` is the MANIFEST of a directory that was put together from tables.

pub(super) mod destroy;
pub(super) mod dump;
pub(super) mod new_manifest;
pub(super) mod properties;
pub(super) mod repair;
