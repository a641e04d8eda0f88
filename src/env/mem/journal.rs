//! The history of a disk: the first image and every change since, in order.
//!
//! Thread rule: changes are recorded under one mutex, which is held while they are applied.

use super::file::FileNode;
use super::tree::{Entries, Node, NodeId, ROOT, Tree};
use crate::util::lock::Mutex;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One change of a disk.
pub enum Change {
    /// A new file or directory gets a name.
    Link { dir: NodeId, name: OsString, node: NodeId, directory: bool },
    /// A file or directory loses its name.
    Unlink { dir: NodeId, name: OsString },
    /// A name moves, and may replace another. A rename is one change: it survives completely or not at all.
    Rename { from: (NodeId, OsString), to: (NodeId, OsString), node: NodeId },
    /// Bytes are written to a file.
    Write { node: NodeId, offset: u64, data: Vec<u8> },
    /// The length of a file changes.
    SetSize { node: NodeId, old: u64, new: u64 },
    /// A sync failed: what was written and not synced is not made durable by a later sync.
    Forget { node: NodeId },
    /// A sync succeeded: what was written is durable.
    SyncFile { node: NodeId },
    /// The names in a directory become durable.
    SyncDirectory { node: NodeId },
}

/// A change, and the path by which it was made.
pub struct Operation {
    /// For messages.
    pub path: PathBuf,
    pub change: Change,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.change {
            Change::Link { directory: false, .. } => write!(f, "create {path}"),
            Change::Link { directory: true, .. } => write!(f, "create directory {path}"),
            Change::Unlink { .. } => write!(f, "remove {path}"),
            Change::Rename { to, .. } => write!(f, "rename {path} to {}", Path::new(&to.1).display()),
            Change::Write { offset, data, .. } => {
                write!(f, "write {path} [{offset}, {})", offset + data.len() as u64)
            }
            Change::SetSize { old, new, .. } => write!(f, "set size {path} {old} -> {new}"),
            Change::Forget { .. } => write!(f, "fail to sync {path}"),
            Change::SyncFile { .. } => write!(f, "sync {path}"),
            Change::SyncDirectory { .. } => write!(f, "sync directory {path}"),
        }
    }
}

/// The contents of a disk, all of them durable.
pub struct Image {
    /// The contents of each file.
    pub files: HashMap<NodeId, Arc<Vec<u8>>>,
    /// The names in each directory.
    pub directories: HashMap<NodeId, Entries>,
    /// All node numbers are below this one.
    pub next: NodeId,
}

impl Image {
    /// A disk with an empty `/`.
    pub fn empty() -> Self {
        Image { files: HashMap::new(), directories: HashMap::from([(ROOT, Entries::new())]), next: ROOT + 1 }
    }

    /// A changeable copy.
    pub fn tree(&self) -> Tree {
        let files = self
            .files
            .iter()
            .map(|(node, contents)| (*node, Node::File(Arc::new(FileNode::with_contents(contents.clone())))));
        let directories =
            self.directories.iter().map(|(node, entries)| (*node, Node::Directory(entries.clone())));
        Tree::new(files.chain(directories).collect(), self.next)
    }
}

/// The first image and every change since, in order.
pub struct Journal {
    base: Arc<Image>,
    operations: Mutex<Vec<Arc<Operation>>>,
}

impl Journal {
    /// A journal without changes of the disk `base`.
    pub fn new(base: Arc<Image>) -> Self {
        Journal { base, operations: Mutex::default() }
    }

    /// The disk before the first change.
    pub fn base(&self) -> &Arc<Image> {
        &self.base
    }

    /// The number of changes so far.
    pub fn count(&self) -> usize {
        self.operations.lock().len()
    }

    /// The change with this index.
    pub fn get(&self, index: usize) -> Option<Arc<Operation>> {
        self.operations.lock().get(index).cloned()
    }

    /// The changes `from..to`, as far as they exist.
    pub fn range(&self, from: usize, to: usize) -> Vec<Arc<Operation>> {
        let operations = self.operations.lock();
        let to = to.min(operations.len());
        operations.get(from..to).map(<[_]>::to_vec).unwrap_or_default()
    }

    /// Records a change that the caller applies.
    pub fn push(&self, path: &Path, change: Change) {
        self.push_with(path, change, || {});
    }

    /// Records a change and applies it, under the journal's lock.
    pub fn push_with(&self, path: &Path, change: Change, apply: impl FnOnce()) {
        let operation = Arc::new(Operation { path: path.to_path_buf(), change });
        let mut operations = self.operations.lock();
        apply();
        operations.push(operation);
    }
}
