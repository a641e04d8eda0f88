//! stub
use super::Env;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;

/// Where the engine tells what it does.
pub trait Logger: Send + Sync {
    /// Logs one line (without a line feed).
    fn log(&self, line: std::fmt::Arguments<'_>);
}

/// Opens `<db>/LOG`, after renaming what was there to `LOG.old`. Lines start with the local time and a thread number,
/// as LevelDB's do.
pub fn open(env: &Arc<dyn Env>, db: &Path) -> Result<Arc<dyn Logger>> {
    todo!()
}

/// A logger that drops everything.
pub fn null() -> Arc<dyn Logger> {
    todo!()
}
