//! Files in memory: an environment without a disk. Tests also have a disk that can crash (`crash`).
//!
//! A `MemEnv` is a small file system of files and directories with the error numbers of the real one.
//!
//! A `MemEnv` is a handle: clones are the same disk.
//!
//! Thread rule: any thread. Lock order: the tree, the journal, the contents of a file.

#[cfg(any(test, feature = "test-support"))]
#[doc(hidden)]
pub mod crash;
mod file;
// Only a simulated crash reads what was recorded.
#[cfg_attr(not(any(test, feature = "test-support")), allow(dead_code))]
mod journal;
#[cfg(test)]
mod tests;
mod tree;

#[cfg(any(test, feature = "test-support"))]
#[doc(hidden)]
pub use crash::{CrashChoice, CrashPoint};

use super::posix::PosixEnv;
use super::{
    CreateMode, Env, FileLock, LogFileOptions, RandomAccessFile, ReadMode, SequentialFile, WritableFile,
};
use crate::error::{Error, Result};
use crate::util::lock::Mutex;
use file::{FileNode, MemFile, MemWritableFile};
use journal::{Change, Image, Journal};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tree::{Node, NodeId, Tree};

/// The properties of a `MemEnv`. Write `..Default::default()` for those that are not named: more will be
/// added.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemOptions {
    /// Record every change, so that crashes can be simulated. Default: no.
    #[cfg(any(test, feature = "test-support"))]
    #[doc(hidden)]
    pub journal: bool,
    /// Use a clock that starts at this many microseconds and moves only by `sleep_micros` and
    /// [`MemEnv::advance_micros`]. Default: the real clock.
    pub manual_clock: Option<u64>,
    /// Give files opened with [`ReadMode::Mapped`] a mapping: a copy of their contents at that moment.
    /// Default: no.
    pub mappings: bool,
    /// Follow LevelDB's rules for files in memory: missing directories are created when a file needs them, a
    /// missing directory lists as empty, and a read that begins past the end of a file fails. Default: no.
    pub leveldb_rules: bool,
}

impl MemOptions {
    /// True if every change is recorded. Only tests can ask for that.
    fn is_journaled(self) -> bool {
        #[cfg(any(test, feature = "test-support"))]
        let is_journaled = self.journal;
        #[cfg(not(any(test, feature = "test-support")))]
        let is_journaled = false;
        is_journaled
    }
}

/// Files in memory. A handle: clones are the same disk.
#[derive(Clone)]
pub struct MemEnv {
    shared: Arc<Shared>,
}

struct Shared {
    options: MemOptions,
    clock: AtomicU64,
    tree: Mutex<Tree>,
    journal: Option<Journal>,
    locks: Arc<Mutex<HashSet<NodeId>>>,
}

impl Default for MemEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl MemEnv {
    /// An empty disk (with `/`), without a journal, with the real clock.
    pub fn new() -> Self {
        Self::with_options(MemOptions::default())
    }

    /// An empty disk (with `/`) with these options.
    pub fn with_options(options: MemOptions) -> Self {
        Self::from_image(options, Arc::new(Image::empty()))
    }

    /// A disk on which all of `image` is durable.
    fn from_image(options: MemOptions, image: Arc<Image>) -> Self {
        MemEnv {
            shared: Arc::new(Shared {
                options,
                clock: AtomicU64::new(options.manual_clock.unwrap_or(0)),
                tree: Mutex::new(image.tree()),
                journal: options.is_journaled().then(|| Journal::new(image)),
                locks: Arc::default(),
            }),
        }
    }

    /// This disk as an `Env`.
    pub fn shared(&self) -> Arc<dyn Env> {
        Arc::new(self.clone())
    }

    /// Advances a manual clock.
    pub fn advance_micros(&self, micros: u64) {
        self.shared.clock.fetch_add(micros, Ordering::SeqCst);
    }

    fn record(&self, path: &Path, change: impl FnOnce() -> Change) {
        if let Some(journal) = &self.shared.journal {
            journal.push(path, change());
        }
    }

    /// The directory that contains the last name of a path, and that name. Under LevelDB's rules missing
    /// directories are created.
    fn parent(&self, tree: &mut Tree, path: &Path) -> Result<(NodeId, OsString)> {
        if !self.shared.options.leveldb_rules {
            return tree.parent(path);
        }
        let (names, mut dir) = (tree::components(path), tree::ROOT);
        let (last, parents) = names.split_last().ok_or_else(|| Error::from_errno(path, libc::EBUSY))?;
        for &name in parents {
            dir = match tree.entry(dir, name) {
                Some(node) if tree.entries(node).is_some() => node,
                Some(_) => return Err(Error::from_errno(path, libc::ENOTDIR)),
                None => self.insert_directory(tree, path, (dir, name.to_owned())),
            };
        }
        Ok((dir, (*last).to_owned()))
    }

    fn insert_directory(&self, tree: &mut Tree, path: &Path, (dir, name): (NodeId, OsString)) -> NodeId {
        let node = tree.insert(dir, name.clone(), Node::Directory(Default::default()));
        self.record(path, || Change::Link { dir, name, node, directory: true });
        node
    }

    /// The node of a directory; `None` for a missing one that LevelDB's rules treat as empty.
    fn directory(&self, tree: &Tree, path: &Path) -> Result<Option<NodeId>> {
        match tree.directory(path) {
            Err(error) if self.shared.options.leveldb_rules && error.errno() == Some(libc::ENOENT) => {
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    /// The file of that name, opened or created as `mode` says.
    fn open_for_writing(&self, path: &Path, mode: CreateMode) -> Result<MemFile> {
        let mut tree = self.shared.tree.lock();
        let (dir, name) = self.parent(&mut tree, path)?;
        let existing = tree.entry(dir, &name);
        match (existing, mode) {
            (Some(_), CreateMode::New) => Err(Error::from_errno(path, libc::EEXIST)),
            (Some(node), _) => {
                let file = match tree.node(node) {
                    Some(Node::File(file)) => file.clone(),
                    _ => return Err(Error::from_errno(path, libc::EISDIR)),
                };
                let file = MemFile::new(self.clone(), path, node, file);
                if mode == CreateMode::Truncate && file.length() > 0 {
                    file.set_size(0);
                }
                Ok(file)
            }
            (None, _) => {
                let file = Arc::new(FileNode::default());
                let node = tree.insert(dir, name.clone(), Node::File(file.clone()));
                self.record(path, || Change::Link { dir, name, node, directory: false });
                Ok(MemFile::new(self.clone(), path, node, file))
            }
        }
    }
}

impl Env for MemEnv {
    fn open_sequential(&self, path: &Path) -> Result<Box<dyn SequentialFile>> {
        let (_, file) = self.shared.tree.lock().file(path)?;
        Ok(Box::new(file::MemSequentialFile::new(file)))
    }

    fn open_random_access(&self, path: &Path, mode: ReadMode) -> Result<Arc<dyn RandomAccessFile>> {
        let (_, file) = self.shared.tree.lock().file(path)?;
        if mode == ReadMode::Mapped && self.shared.options.mappings {
            return Ok(Arc::new(file::MemMapping::new(&file)));
        }
        if self.shared.options.leveldb_rules {
            return Ok(Arc::new(file::EndedFile::new(path, file)));
        }
        Ok(file)
    }

    fn create_writable(&self, path: &Path, mode: CreateMode) -> Result<Box<dyn WritableFile>> {
        Ok(Box::new(MemWritableFile::buffered(self.open_for_writing(path, mode)?)))
    }

    /// In a journaled environment a mapped WAL also gets space ahead of its records and writes each header
    /// after its payload, so that crash tests see what a mapped WAL leaves.
    fn create_log(&self, path: &Path, options: LogFileOptions) -> Result<Box<dyn WritableFile>> {
        let file = self.open_for_writing(path, CreateMode::New)?;
        Ok(Box::new(MemWritableFile::log(file, options.mapped && self.shared.options.is_journaled())))
    }

    fn exists(&self, path: &Path) -> bool {
        self.shared.tree.lock().lookup(path).is_ok()
    }

    fn children(&self, dir: &Path) -> Result<Vec<OsString>> {
        let tree = self.shared.tree.lock();
        let Some(node) = self.directory(&tree, dir)? else { return Ok(Vec::new()) };
        Ok(tree.entries(node).map(|entries| entries.keys().cloned().collect()).unwrap_or_default())
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        let mut tree = self.shared.tree.lock();
        if matches!(tree.node(tree.lookup(path)?), Some(Node::Directory(_))) {
            return Err(Error::from_errno(path, libc::EISDIR));
        }
        let (dir, name) = tree.parent(path)?;
        tree.remove(dir, &name);
        self.record(path, || Change::Unlink { dir, name });
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let mut tree = self.shared.tree.lock();
        if let Ok(node) = tree.lookup(path) {
            return match tree.node(node) {
                Some(Node::Directory(_)) => Ok(()),
                _ => Err(Error::from_errno(path, libc::EEXIST)),
            };
        }
        let place = self.parent(&mut tree, path)?;
        self.insert_directory(&mut tree, path, place);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        let mut tree = self.shared.tree.lock();
        let Some(node) = self.directory(&tree, path)? else { return Ok(()) };
        if tree.entries(node).is_some_and(|entries| !entries.is_empty()) {
            return Err(Error::from_errno(path, libc::ENOTEMPTY));
        }
        let (dir, name) = tree.parent(path)?;
        tree.remove(dir, &name);
        self.record(path, || Change::Unlink { dir, name });
        Ok(())
    }

    fn file_size(&self, path: &Path) -> Result<u64> {
        let tree = self.shared.tree.lock();
        match tree.node(tree.lookup(path)?) {
            Some(Node::File(file)) => Ok(file.length()),
            _ => Ok(0),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut tree = self.shared.tree.lock();
        let node = tree.lookup(from)?;
        let (from_dir, from_name) = tree.parent(from)?;
        let (to_dir, to_name) = self.parent(&mut tree, to)?;
        if (from_dir, &from_name) == (to_dir, &to_name) {
            return Ok(());
        }
        tree.check_replaceable(node, tree.entry(to_dir, &to_name), to)?;
        tree.rename((from_dir, &from_name), (to_dir, to_name.clone()));
        self.record(from, || Change::Rename { from: (from_dir, from_name), to: (to_dir, to_name), node });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let tree = self.shared.tree.lock();
        if let Some(node) = self.directory(&tree, dir)? {
            self.record(dir, || Change::SyncDirectory { node });
        }
        Ok(())
    }

    fn lock_file(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        let file = self.open_for_writing(path, CreateMode::Append)?;
        if !self.shared.locks.lock().insert(file.node()) {
            return Err(Error::io(format!("lock {}: already held by process", path.display())));
        }
        Ok(Box::new(MemLock { locks: self.shared.locks.clone(), node: file.node() }))
    }

    fn now_micros(&self) -> u64 {
        match self.shared.options.manual_clock {
            Some(_) => self.shared.clock.load(Ordering::SeqCst),
            None => PosixEnv::default().now_micros(),
        }
    }

    /// With a manual clock: advances the clock to the end of the sleep and returns at once. Sleeps of several
    /// threads overlap, as real ones do.
    fn sleep_micros(&self, micros: u64) {
        match self.shared.options.manual_clock {
            Some(_) => {
                let wake = self.now_micros().saturating_add(micros);
                self.shared.clock.fetch_max(wake, Ordering::SeqCst);
                std::thread::yield_now(); // a sleeping thread lets others run
            }
            None => PosixEnv::default().sleep_micros(micros),
        }
    }

    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<std::thread::JoinHandle<()>> {
        PosixEnv::default().spawn(name, body)
    }
}

struct MemLock {
    locks: Arc<Mutex<HashSet<NodeId>>>,
    node: NodeId,
}

impl FileLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.locks.lock().remove(&self.node);
    }
}
