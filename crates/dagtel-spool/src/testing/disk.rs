//! What is in memory and what is on the plate.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::fs::{Kind, Meta};

const SECTOR: usize = 512;

/// A file or directory.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) directory: bool,
    pub(super) data: Vec<u8>,
    /// Bytes that it occupies besides.
    pub(super) allocated: u64,
    /// The content that power loss leaves.
    safe: Vec<u8>,
    modified: u64,
    /// The handle that has the lock alone, and those that share it.
    pub(super) exclusive: Option<u64>,
    pub(super) shared: BTreeSet<u64>,
    /// Whether a sync of it has failed, and how often it was synced after that.
    pub(super) sync_failed: bool,
    pub(super) syncs_after_failure: u64,
}

/// A change of names that power loss may undo.
#[derive(Clone, Debug)]
enum Change {
    Link(PathBuf, u64),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, u64),
}

impl Change {
    fn touches(&self, directory: &Path) -> bool {
        match self {
            Self::Link(path, _) | Self::Unlink(path) => path.parent() == Some(directory),
            Self::Rename(from, to, _) => [from, to].iter().any(|path| path.parent() == Some(directory)),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link(path, node) => _ = names.insert(path.clone(), *node),
            Self::Unlink(path) => _ = names.remove(path),
            Self::Rename(from, to, node) => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
        }
    }
}

/// Names, contents, and what of both has reached the plate.
#[derive(Debug, Default)]
pub(super) struct Disk {
    names: BTreeMap<PathBuf, u64>,
    safe_names: BTreeMap<PathBuf, u64>,
    changes: Vec<Change>,
    pub(super) nodes: BTreeMap<u64, Node>,
    last: u64,
    ticks: u64,
    /// Bytes that fit.
    pub(super) capacity: Option<u64>,
}

impl Disk {
    fn draw(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        if path == Path::new("/") {
            return Ok(0);
        }
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn node(&mut self, node: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&node).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn meta(&self, node: u64) -> io::Result<Meta> {
        let found = self.nodes.get(&node).ok_or(io::ErrorKind::NotFound)?;
        Ok(Meta {
            directories: None,
            kind: if found.directory { Kind::Directory } else { Kind::File },
            len: found.data.len() as u64,
            mode: 0o700,
            owner: 1,
            modified: SystemTime::UNIX_EPOCH + Duration::from_millis(found.modified),
            id: node,
        })
    }

    pub(super) fn make(&mut self, path: &Path, directory: bool) -> io::Result<u64> {
        self.find(path.parent().unwrap_or(Path::new("/")))?;
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = self.draw();
        self.nodes.insert(node, Node { directory, ..Node::default() });
        self.change(Change::Link(path.to_owned(), node));
        Ok(node)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.change(Change::Unlink(path.to_owned()));
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    pub(super) fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.find(directory)?;
        let inside = self.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside.filter_map(|path| path.file_name().map(Into::into)).collect())
    }

    /// Bytes in files that have a name.
    pub(super) fn used(&self) -> u64 {
        let lengths = self.names.values().filter_map(|node| self.nodes.get(node));
        lengths.map(|node| node.data.len() as u64 + node.allocated).sum()
    }

    /// Takes up room without content.
    pub(super) fn allocate(&mut self, node: u64, len: u64) -> io::Result<()> {
        if self.capacity.is_some_and(|capacity| self.used() + len > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.node(node)?.allocated = len;
        Ok(())
    }

    /// Appends what fits; nothing fitting is "full".
    pub(super) fn append(&mut self, node: u64, bytes: &[u8]) -> io::Result<usize> {
        let room = self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()));
        let len = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if len == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.ticks += 1;
        let ticks = self.ticks;
        let node = self.node(node)?;
        node.data.extend_from_slice(&bytes[..len]);
        node.modified = ticks;
        Ok(len)
    }

    pub(super) fn sync(&mut self, node: u64) -> io::Result<()> {
        let node = self.node(node)?;
        node.syncs_after_failure += u64::from(node.sync_failed);
        node.safe.clone_from(&node.data);
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, directory: &Path) -> io::Result<()> {
        self.find(directory)?;
        let (safe, open): (Vec<_>, Vec<_>) =
            self.changes.drain(..).partition(|change| change.touches(directory));
        safe.iter().for_each(|change| change.apply(&mut self.safe_names));
        self.changes = open;
        Ok(())
    }

    /// Power is lost: each change of a name, and each sector, that was not synced has reached the plate or not.
    pub(super) fn lose_power(&mut self, mut chance: impl FnMut() -> u64) {
        for change in std::mem::take(&mut self.changes) {
            if chance().is_multiple_of(2) {
                change.apply(&mut self.safe_names);
            }
        }
        let all = self.safe_names.clone();
        self.safe_names.retain(|path, _| {
            path.ancestors().skip(1).all(|up| up.parent().is_none() || all.contains_key(up))
        });
        self.names = self.safe_names.clone();
        for node in self.nodes.values_mut() {
            node.lose_power(&mut chance);
        }
    }
}

impl Node {
    fn lose_power(&mut self, mut chance: impl FnMut() -> u64) {
        self.exclusive = None;
        self.shared.clear();
        let (short, long) = (self.safe.len().min(self.data.len()), self.safe.len().max(self.data.len()));
        let len = short + usize::try_from(chance()).unwrap_or(0) % (long - short + 1);
        let mut left = vec![0; len];
        for (number, sector) in left.chunks_mut(SECTOR).enumerate() {
            let at = number * SECTOR;
            let written = self.data.get(at..).unwrap_or_default();
            let safe = self.safe.get(at..).unwrap_or_default();
            let source = if written == safe || chance().is_multiple_of(2) { written } else { safe };
            // Bytes of a sector that were synced do not change when later ones are appended to it.
            let kept = source.len().min(sector.len());
            sector[..kept].copy_from_slice(&source[..kept]);
        }
        self.data.clone_from(&left);
        self.safe = left;
    }
}
