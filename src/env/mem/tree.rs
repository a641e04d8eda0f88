//! Names: a tree of directories, with the answers and error numbers of a Unix file system.
//!
//! Files are known by node; a file that has lost its name lives on in what holds it open. Relative paths start at `/`.
//! Thread rule: none of its own, the tree stands behind a mutex.

use super::file::FileNode;
use super::journal::Image;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The number of a file or directory, never used twice on one disk.
pub type NodeId = u64;

/// The node of `/`.
pub const ROOT: NodeId = 0;

/// The names of a directory.
pub type Entries = BTreeMap<OsString, NodeId>;

/// A file or a directory.
pub enum Node {
    /// A file.
    File(Arc<FileNode>),
    /// A directory.
    Directory(Entries),
}

/// All that has a name.
pub struct Tree {
    nodes: HashMap<NodeId, Node>,
    next: NodeId,
}

impl Tree {
    /// A tree of these nodes, `ROOT` among them; new nodes are numbered from `next` on.
    pub fn new(nodes: HashMap<NodeId, Node>, next: NodeId) -> Self {
        Tree { nodes, next }
    }

    /// All that has a name, as it is now.
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

    /// What a number stands for.
    pub fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(&node)
    }

    /// The names in a directory.
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

    /// The node of a path: ENOENT, or ENOTDIR.
    pub fn lookup(&self, path: &Path) -> Result<NodeId> {
        let mut node = ROOT;
        for name in components(path) {
            let entries = self.entries(node).ok_or_else(|| Error::from_errno(path, libc::ENOTDIR))?;
            node = *entries.get(name).ok_or_else(|| Error::from_errno(path, libc::ENOENT))?;
        }
        Ok(node)
    }

    /// The directory that a path's last name is in, or would be, and that name.
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

    /// The file of a path.
    pub fn file(&self, path: &Path) -> Result<(NodeId, Arc<FileNode>)> {
        let node = self.lookup(path)?;
        match self.nodes.get(&node) {
            Some(Node::File(file)) => Ok((node, file.clone())),
            _ => Err(Error::from_errno(path, libc::EISDIR)),
        }
    }

    /// The directory of a path.
    pub fn directory(&self, path: &Path) -> Result<NodeId> {
        let node = self.lookup(path)?;
        match self.nodes.get(&node) {
            Some(Node::Directory(_)) => Ok(node),
            _ => Err(Error::from_errno(path, libc::ENOTDIR)),
        }
    }

    /// May `node` be renamed to what is `replaced` now?
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

    /// Gives a new node a name.
    pub fn insert(&mut self, dir: NodeId, name: OsString, node: Node) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        if let Some(Node::Directory(entries)) = self.nodes.get_mut(&dir) {
            entries.insert(name, id);
        }
        id
    }

    /// Takes a name away, and with it the node.
    pub fn remove(&mut self, dir: NodeId, name: &OsStr) -> Option<NodeId> {
        let Some(Node::Directory(entries)) = self.nodes.get_mut(&dir) else { return None };
        let node = entries.remove(name)?;
        self.nodes.remove(&node);
        Some(node)
    }

    /// Moves a node to another name, in place of what has it.
    pub fn rename(&mut self, from: (NodeId, &OsStr), to: (NodeId, OsString)) {
        self.remove(to.0, &to.1);
        let Some(Node::Directory(entries)) = self.nodes.get_mut(&from.0) else { return };
        let Some(node) = entries.remove(from.1) else { return };
        if let Some(Node::Directory(entries)) = self.nodes.get_mut(&to.0) {
            entries.insert(to.1, node);
        }
    }

    /// Every file, by path.
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

/// The names on the way from `/`.
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
