//! The integration suite: Terrace as a C program sees it, beside Google's LevelDB. One module per theme.
//!
//! The library under test is the shared one, loaded at run time (`TERRACE_LIB` names another one). Google's
//! library is loaded at run time too (`LEVELDB_LIB`). A test whose tools are missing fails and says what to
//! install.

mod support;

mod c_programs;
mod cpp;
mod crash;
mod differential;
mod disk_full;
mod documents;
mod drop_in;
mod exchange;
mod fault;
#[path = "fuzz/src/lib.rs"]
mod fuzz;
mod go;
mod hostile;
mod kill;
mod layering;
mod processes;
mod python;
mod rocksdb;
mod scripts;
mod symbols;
mod worlds;
