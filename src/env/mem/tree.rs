//! The names: a tree of directories with the behaviour and the error numbers of a Unix file system.
//!
//! Files are identified by node number. A file that has lost its name continues to exist while a handle holds
//! it open. Relative paths start at `/`.
//!
//! Thread rule: none; the owner guards the tree by a mutex.

use super::file::FileNode;
#[cfg(any(test, feature = "test-support"))]
use super::journal::Image;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The number of a file or directory. One disk never uses a number twice.
pub type NodeId = u64;

/// The node of `/`.
pub const ROOT: NodeId = 0;

/// The names of a directory, and their nodes.
pub type Entries = BTreeMap<OsString, NodeId>;

/// A file or a directory.
pub enum Node {
    File(Arc<FileNode>),
    Directory(Entries),
}

/// All nodes that have a name.
pub struct Tree {
    nodes: HashMap<NodeId, Node>,
    next: NodeId,
}

impl Tree {
    /// A tree of these nodes, which include `ROOT`. New nodes are numbered from `next` on.
    pub fn new(nodes: HashMap<NodeId, Node>, next: NodeId) -> Self {
        Tree { nodes, next }
    }

    /// A copy of everything in the tree.
    #[cfg(any(test, feature = "test-support"))]
    pub fn image(&self) -> Image {
        let mut image = Image { next: self.next, ..Image::empty() };
        for (&id, node) in &self.nodes {
            match node {
                Node::File(file) => drop(image.files.insert(id, file.snapshot())),
                Node::Directory(entries) => drop(image.directories.insert(id, entries.clone())),
            }
        }
        image
    }

    /// The node with this number, if it has a name.
    pub fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(&node)
    }

    /// The names in a directory; `None` if the node is not a directory.
    pub fn entries(&self, node: NodeId) -> Option<&Entries> {
        match self.nodes.get(&node) {
            Some(Node::Directory(entries)) => Some(entries),
            _ => None,
        }
    }

    /// The node with that name in a directory.
    pub fn entry(&self, dir: NodeId, name: &OsStr) -> Option<NodeId> {
        self.entries(dir)?.get(name).copied()
    }

    /// The node of a path. Errors: ENOENT, ENOTDIR.
    pub fn lookup(&self, path: &Path) -> Result<NodeId> {
        let mut node = ROOT;
        for name in components(path) {
            let entries = self.entries(node).ok_or_else(|| Error::from_errno(path, libc::ENOTDIR))?;
            node = *entries.get(name).ok_or_else(|| Error::from_errno(path, libc::ENOENT))?;
        }
        Ok(node)
    }

    /// The directory that contains the last name of a path, or would contain it, and that name.
    pub fn parent(&self, path: &Path) -> Result<(NodeId, OsString)> {
        let mut names = components(path);
        let name = names.pop().ok_or_else(|| Error::from_errno(path, libc::EBUSY))?;
        let parent: PathBuf = names.into_iter().collect();
        let node = self.lookup(&parent).map_err(|error| match error.errno() {
            Some(errno) => Error::from_errno(path, errno),
            None => error,
        })?;
        match self.entries(node) {
            Some(_) => Ok((node, name.to_owned())),
            None => Err(Error::from_errno(path, libc::ENOTDIR)),
        }
    }

    /// The file of a path. Errors: ENOENT, ENOTDIR, EISDIR.
    pub fn file(&self, path: &Path) -> Result<(NodeId, Arc<FileNode>)> {
        let node = self.lookup(path)?;
        match self.nodes.get(&node) {
            Some(Node::File(file)) => Ok((node, file.clone())),
            _ => Err(Error::from_errno(path, libc::EISDIR)),
        }
    }

    /// The directory of a path. Errors: ENOENT, ENOTDIR.
    pub fn directory(&self, path: &Path) -> Result<NodeId> {
        let node = self.lookup(path)?;
        match self.nodes.get(&node) {
            Some(Node::Directory(_)) => Ok(node),
            _ => Err(Error::from_errno(path, libc::ENOTDIR)),
        }
    }

    /// Checks whether `node` may be renamed to a name that `replaced` has now. Errors: ENOTEMPTY, ENOTDIR,
    /// EISDIR.
    pub fn check_replaceable(&self, node: NodeId, replaced: Option<NodeId>, to: &Path) -> Result<()> {
        let Some(replaced) = replaced else { return Ok(()) };
        let errno = match (self.entries(node), self.entries(replaced)) {
            (None, None) => return Ok(()),
            (Some(_), Some(entries)) if entries.is_empty() => return Ok(()),
            (Some(_), Some(_)) => libc::ENOTEMPTY,
            (Some(_), None) => libc::ENOTDIR,
            (None, Some(_)) => libc::EISDIR,
        };
        Err(Error::from_errno(to, errno))
    }

    /// Adds a node under a name and returns its number.
    pub fn insert(&mut self, dir: NodeId, name: OsString, node: Node) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        if let Some(Node::Directory(entries)) = self.nodes.get_mut(&dir) {
            entries.insert(name, id);
        }
        id
    }

    /// Removes a name and its node.
    pub fn remove(&mut self, dir: NodeId, name: &OsStr) -> Option<NodeId> {
        let Some(Node::Directory(entries)) = self.nodes.get_mut(&dir) else { return None };
        let node = entries.remove(name)?;
        self.nodes.remove(&node);
        Some(node)
    }

    /// Moves a node to another name, and removes the node that has that name.
    pub fn rename(&mut self, from: (NodeId, &OsStr), to: (NodeId, OsString)) {
        self.remove(to.0, &to.1);
        let Some(Node::Directory(entries)) = self.nodes.get_mut(&from.0) else { return };
        let Some(node) = entries.remove(from.1) else { return };
        if let Some(Node::Directory(entries)) = self.nodes.get_mut(&to.0) {
            entries.insert(to.1, node);
        }
    }

    /// All files, by path.
    #[cfg(any(test, feature = "test-support"))]
    pub fn files(&self) -> BTreeMap<PathBuf, Arc<FileNode>> {
        let mut files = BTreeMap::new();
        let mut directories = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, directory)) = directories.pop() {
            for (name, node) in self.entries(directory).into_iter().flatten() {
                match self.nodes.get(node) {
                    Some(Node::File(file)) => drop(files.insert(path.join(name), file.clone())),
                    Some(Node::Directory(_)) => directories.push((path.join(name), *node)),
                    None => {}
                }
            }
        }
        files
    }
}

/// The names of a path, from `/` on, with `.` and `..` resolved.
pub fn components(path: &Path) -> Vec<&OsStr> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => drop(names.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    names
}
