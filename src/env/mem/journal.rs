//! What happened to a disk, in order: the first image and every change since.
//!
//! Thread rule: changes are put down behind one mutex, which is held while they are made.

use super::file::FileNode;
use super::tree::{Entries, Node, NodeId, ROOT, Tree};
use crate::util::lock::Mutex;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a change changes.
pub enum Change {
    /// A new file or directory got a name.
    Link { dir: NodeId, name: OsString, node: NodeId, directory: bool },
    /// A file or directory lost its name.
    Unlink { dir: NodeId, name: OsString },
    /// A name moved, in place of another perhaps; one change, that survives whole or not at all.
    Rename { from: (NodeId, OsString), to: (NodeId, OsString), node: NodeId },
    /// Bytes of a file.
    Write { node: NodeId, offset: u64, data: Vec<u8> },
    /// The length of a file.
    SetSize { node: NodeId, old: u64, new: u64 },
    /// What was written and not synced will not be made durable by a sync.
    Forget { node: NodeId },
    /// What was written is durable.
    SyncFile { node: NodeId },
    /// The names in a directory are durable.
    SyncDirectory { node: NodeId },
}

/// A change, and the path by which it was made.
pub struct Operation {
    /// For messages.
    pub path: PathBuf,
    /// The change.
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

/// What is on a disk, all of it durable.
pub struct Image {
    /// Contents of the files.
    pub files: HashMap<NodeId, Arc<Vec<u8>>>,
    /// Names in the directories.
    pub directories: HashMap<NodeId, Entries>,
    /// No node has this number, or a higher one.
    pub next: NodeId,
}

impl Image {
    /// A disk with `/` on it.
    pub fn empty() -> Self {
        Image { files: HashMap::new(), directories: HashMap::from([(ROOT, Entries::new())]), next: ROOT + 1 }
    }

    /// The same as something that can be changed.
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

/// The first image and every change since.
pub struct Journal {
    base: Arc<Image>,
    operations: Mutex<Vec<Arc<Operation>>>,
}

impl Journal {
    /// Nothing has happened to `base` yet.
    pub fn new(base: Arc<Image>) -> Self {
        Journal { base, operations: Mutex::default() }
    }

    /// The image before the first change.
    pub fn base(&self) -> &Arc<Image> {
        &self.base
    }

    /// Changes so far.
    pub fn count(&self) -> usize {
        self.operations.lock().len()
    }

    /// The change with this index.
    pub fn get(&self, index: usize) -> Option<Arc<Operation>> {
        self.operations.lock().get(index).cloned()
    }

    /// The changes from `from` to `to`, as far as there are.
    pub fn range(&self, from: usize, to: usize) -> Vec<Arc<Operation>> {
        let operations = self.operations.lock();
        let to = to.min(operations.len());
        operations.get(from..to).map(<[_]>::to_vec).unwrap_or_default()
    }

    /// Puts a change down.
    pub fn push(&self, path: &Path, change: Change) {
        self.push_with(path, change, || {});
    }

    /// Puts a change down and makes it.
    pub fn push_with(&self, path: &Path, change: Change, apply: impl FnOnce()) {
        let operation = Arc::new(Operation { path: path.to_path_buf(), change });
        let mut operations = self.operations.lock();
        apply();
        operations.push(operation);
    }
}
