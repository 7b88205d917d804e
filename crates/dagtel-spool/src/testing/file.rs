//! An open file of the file system in memory.

use std::io;

use super::mem::{Fault, MemFs};
use crate::fs::{FsFile, Meta};

#[derive(Debug)]
pub(super) struct MemFile {
    fs: MemFs,
    node: u64,
    handle: u64,
}

impl MemFile {
    pub(super) fn new(fs: MemFs, node: u64, handle: u64) -> Self {
        Self { fs, node, handle }
    }
}

impl FsFile for MemFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.fs.alive()?;
        match world.next(Fault::Append) {
            Some((_, Some(error))) => Err(error.into()),
            Some((short, None)) => world.disk.append(self.node, &bytes[..short.min(bytes.len())]),
            None => world.disk.append(self.node, bytes),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.fs.alive()?;
        let data = &world.disk.node(self.node)?.data;
        let from = data.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let len = from.len().min(buffer.len());
        buffer[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.fs.alive()?;
        world.check(Fault::Cut)?;
        world.disk.node(self.node)?.data.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.fs.alive()?.disk.allocate(self.node, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.fs.alive()?;
        let checked = world.check(Fault::Sync);
        match checked {
            Ok(()) => world.disk.sync(self.node),
            Err(error) => {
                world.disk.node(self.node)?.sync_failed = true;
                Err(error)
            }
        }
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut world = self.fs.alive()?;
        let handle = self.handle;
        let node = world.disk.node(self.node)?;
        let free = node.exclusive.is_none_or(|held| held == handle) && node.shared.is_empty();
        node.exclusive = node.exclusive.or(free.then_some(handle));
        Ok(free)
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        let mut world = self.fs.alive()?;
        let node = world.disk.node(self.node)?;
        let free = node.exclusive.is_none();
        if free {
            node.shared.insert(self.handle);
        }
        Ok(free)
    }

    fn metadata(&self) -> io::Result<Meta> {
        self.fs.alive()?.disk.meta(self.node)
    }
}

impl Drop for MemFile {
    fn drop(&mut self) {
        let handle = self.handle;
        if let Ok(node) = self.fs.lock().disk.node(self.node) {
            node.exclusive.take_if(|held| *held == handle);
            node.shared.remove(&handle);
        }
    }
}
