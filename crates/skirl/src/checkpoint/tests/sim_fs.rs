//! A file system in memory that knows what is durable, counts operations, and fails on demand.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use crate::checkpoint::fs::{Fs, Kind, SyncError, sync_in_turn};

/// What a crash leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process was killed: every operation so far is there.
    Kill,
    /// Power was lost: only what was synced is there.
    Power,
    /// Power was lost after the directories had been written, but not the contents of unsynced files.
    PowerWithNames,
}

#[derive(Debug, Clone)]
enum Node {
    File { content: Vec<u8>, durable: Vec<u8> },
    Directory { entries: BTreeMap<String, usize>, durable: BTreeMap<String, usize> },
}

/// Node 0 is the root, `/`.
#[derive(Debug)]
pub(super) struct SimFs {
    nodes: RefCell<Vec<Node>>,
    /// Changing operations so far.
    pub(super) num_operations: Cell<usize>,
    /// Operation (from 1) at which the machine stops: it is not done any more, and neither is any later one.
    pub(super) stop_at: Cell<usize>,
    /// Operation (from 1), reading ones included, that fails once.
    pub(super) fail_at: Cell<usize>,
    num_fallible: Cell<usize>,
    /// Whether the failing operation was reached.
    pub(super) has_failed: Cell<bool>,
    /// Bytes of content that the disk holds; a write beyond them leaves what fits.
    pub(super) capacity: Cell<u64>,
    /// Whether it tells how much is free.
    pub(super) tells_free_space: Cell<bool>,
}

fn no_space() -> Error {
    Error::new(ErrorKind::StorageFull, "no space left on device")
}

fn missing(path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, path.display().to_string())
}

impl SimFs {
    pub(super) fn new() -> Self {
        let root = Node::Directory { entries: BTreeMap::new(), durable: BTreeMap::new() };
        Self {
            nodes: RefCell::new(vec![root]),
            num_operations: Cell::new(0),
            stop_at: Cell::new(usize::MAX),
            fail_at: Cell::new(usize::MAX),
            num_fallible: Cell::new(0),
            has_failed: Cell::new(false),
            capacity: Cell::new(u64::MAX),
            tells_free_space: Cell::new(false),
        }
    }

    /// The disk after a crash, everything on it durable, in a machine that works again.
    pub(super) fn after(&self, crash: Crash) -> Self {
        let after = Self::new();
        let before = self.nodes.borrow();
        let nodes = before.iter().map(|node| match node.clone() {
            Node::File { content, durable } => {
                let content = if crash == Crash::Kill { content } else { durable };
                Node::File { durable: content.clone(), content }
            }
            Node::Directory { entries, durable } => {
                let entries = if crash == Crash::Power { durable } else { entries };
                Node::Directory { durable: entries.clone(), entries }
            }
        });
        *after.nodes.borrow_mut() = nodes.collect();
        after
    }

    /// Damages a file.
    pub(super) fn overwrite(&self, path: &Path, bytes: Vec<u8>) {
        let at = self.find(path).unwrap();
        self.nodes.borrow_mut()[at] = Node::File { durable: bytes.clone(), content: bytes };
    }

    /// Bytes of content that are free: only what a directory names takes room.
    fn free(&self) -> u64 {
        let nodes = self.nodes.borrow();
        let (mut pending, mut used) = (vec![0], 0);
        while let Some(at) = pending.pop() {
            match &nodes[at] {
                Node::File { content, .. } => used += content.len() as u64,
                Node::Directory { entries, .. } => pending.extend(entries.values()),
            }
        }
        self.capacity.get().saturating_sub(used)
    }

    /// Counts a changing operation; an error when the machine has stopped or this one is to fail.
    fn change(&self) -> Result<()> {
        self.num_operations.set(self.num_operations.get() + 1);
        if self.num_operations.get() >= self.stop_at.get() {
            return Err(Error::other("stopped"));
        }
        self.read_operation()
    }

    fn read_operation(&self) -> Result<()> {
        self.num_fallible.set(self.num_fallible.get() + 1);
        if self.num_fallible.get() == self.fail_at.get() {
            self.has_failed.set(true);
            return Err(no_space());
        }
        Ok(())
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let nodes = self.nodes.borrow();
        let names = path.components().skip(1);
        names.into_iter().try_fold(0, |at, name| match &nodes[at] {
            Node::Directory { entries, .. } => entries.get(name.as_os_str().to_str()?).copied(),
            Node::File { .. } => None,
        })
    }

    /// Changes the entries of the directory that holds `path`.
    fn edit_parent<T>(
        &self,
        path: &Path,
        edit: impl FnOnce(&mut BTreeMap<String, usize>, String) -> T,
    ) -> Result<T> {
        let parent = path.parent().ok_or_else(|| missing(path))?;
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        let at = self.find(parent).ok_or_else(|| missing(parent))?;
        match &mut self.nodes.borrow_mut()[at] {
            Node::Directory { entries, .. } => Ok(edit(entries, name)),
            Node::File { .. } => Err(missing(parent)),
        }
    }

    fn add(&self, path: &Path, node: Node) -> Result<()> {
        let at = self.nodes.borrow().len();
        self.nodes.borrow_mut().push(node);
        self.edit_parent(path, |entries, name| entries.insert(name, at)).map(|_| ())
    }
}

impl Fs for SimFs {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.change()?;
        let mut ancestors: Vec<PathBuf> = path.ancestors().map(Path::to_path_buf).collect();
        ancestors.reverse();
        for directory in ancestors.iter().filter(|path| self.find(path).is_none()) {
            self.add(directory, Node::Directory { entries: BTreeMap::new(), durable: BTreeMap::new() })?;
        }
        Ok(())
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let allowed = self.change();
        if self.find(path).is_some() {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        let room = usize::try_from(self.free()).unwrap_or(usize::MAX);
        // A write that fails or is cut off leaves half of itself.
        let len = if allowed.is_ok() { bytes.len().min(room) } else { bytes.len() / 2 };
        if self.num_operations.get() <= self.stop_at.get() {
            self.add(path, Node::File { content: bytes[..len].to_vec(), durable: Vec::new() })?;
        }
        if len < bytes.len() { allowed.and(Err(no_space())) } else { allowed }
    }

    fn sync_file(&self, path: &Path) -> Result<()> {
        self.change()?;
        let at = self.find(path).ok_or_else(|| missing(path))?;
        if let Node::File { content, durable } = &mut self.nodes.borrow_mut()[at] {
            durable.clone_from(content);
        }
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.change()?;
        let at = self.find(path).ok_or_else(|| missing(path))?;
        if let Node::Directory { entries, durable } = &mut self.nodes.borrow_mut()[at] {
            durable.clone_from(entries);
        }
        Ok(())
    }

    fn sync_all(&self, files: &[PathBuf], directories: &[PathBuf]) -> std::result::Result<(), SyncError> {
        sync_in_turn(self, files, directories)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.change()?;
        assert_eq!(
            from.parent(),
            to.parent(),
            "only renames inside a directory are atomic when it is synced"
        );
        if matches!(self.kind_quietly(to), Kind::Directory) && !self.names(to)?.is_empty() {
            return Err(Error::from(ErrorKind::DirectoryNotEmpty));
        }
        let at =
            self.edit_parent(from, |entries, name| entries.remove(&name))?.ok_or_else(|| missing(from))?;
        self.edit_parent(to, |entries, name| entries.insert(name, at)).map(|_| ())
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        // Entry by entry, as a real one: a crash leaves part of it.
        for name in self.names(path)? {
            let inner = path.join(name);
            if self.kind_quietly(&inner) == Kind::Directory {
                self.remove_dir_all(&inner)?;
            } else {
                self.remove_file(&inner)?;
            }
        }
        self.remove_file(path)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.change()?;
        self.edit_parent(path, |entries, name| entries.remove(&name))?
            .map(|_| ())
            .ok_or_else(|| missing(path))
    }

    fn read(&self, path: &Path, max_len: u64) -> Result<Vec<u8>> {
        self.read_operation()?;
        let at = self.find(path).ok_or_else(|| missing(path))?;
        match &self.nodes.borrow()[at] {
            Node::File { content, .. } if content.len() as u64 <= max_len => Ok(content.clone()),
            _ => Err(Error::from(ErrorKind::InvalidData)),
        }
    }

    fn list_dir(&self, path: &Path) -> Result<Vec<String>> {
        self.read_operation()?;
        self.names(path)
    }

    fn free_space(&self, _path: &Path) -> Result<Option<u64>> {
        self.read_operation()?;
        Ok(self.tells_free_space.get().then(|| self.free()))
    }

    fn kind(&self, path: &Path) -> Result<Kind> {
        self.read_operation()?;
        Ok(self.kind_quietly(path))
    }
}

impl SimFs {
    fn names(&self, path: &Path) -> Result<Vec<String>> {
        let at = self.find(path).ok_or_else(|| missing(path))?;
        match &self.nodes.borrow()[at] {
            Node::Directory { entries, .. } => Ok(entries.keys().cloned().collect()),
            Node::File { .. } => Err(Error::from(ErrorKind::NotADirectory)),
        }
    }

    fn kind_quietly(&self, path: &Path) -> Kind {
        self.find(path).map_or(Kind::Absent, |at| match &self.nodes.borrow()[at] {
            Node::File { content, .. } => Kind::File(content.len() as u64),
            Node::Directory { .. } => Kind::Directory,
        })
    }
}
