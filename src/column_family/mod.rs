//! The only joint of memtables and versions.
//!
//! A database has a set of families; each has its own memtables, version and super version. One family exists so far, the
//! default one, number 0, and nothing on the path of a put or a get looks it up.

#[allow(clippy::module_inception)]
pub mod column_family;
mod resting;
pub mod super_version;
