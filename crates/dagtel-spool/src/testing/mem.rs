//! The file system in memory.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::OsString,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{disk::Disk, file::MemFile};
use crate::fs::{Fs, FsFile, Meta};

/// A call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// [`FsFile::append`].
    Append,
    /// [`FsFile::sync_data`].
    Sync,
    /// [`Fs::sync_dir`].
    SyncDir,
    /// [`Fs::create`].
    Create,
    /// [`Fs::rename`].
    Rename,
    /// [`FsFile::set_len`].
    Cut,
}

/// What a planned fault does: how many bytes are written before, and then which error.
pub(super) type Plan = (usize, Option<io::ErrorKind>);

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) disk: Disk,
    dead: BTreeSet<u64>,
    plans: BTreeMap<Fault, VecDeque<Option<Plan>>>,
    handles: u64,
    processes: u64,
}

/// A file system in memory, as one process sees it.
#[derive(Clone, Debug, Default)]
pub struct MemFs {
    world: Arc<Mutex<World>>,
    process: u64,
}

impl MemFs {
    /// The same file system for another process.
    pub fn process(&self) -> Self {
        let mut world = self.lock();
        world.processes += 1;
        Self { world: Arc::clone(&self.world), process: world.processes }
    }

    /// Kills this process: its locks are free, and nothing it tries has an effect.
    pub fn kill(&self) {
        let mut world = self.lock();
        world.dead.insert(self.process);
        let process = self.process;
        for node in world.disk.nodes.values_mut() {
            node.exclusive.take_if(|handle| *handle >> 32 == process);
            node.shared.retain(|handle| handle >> 32 != process);
        }
    }

    /// Loses power: all processes so far are dead, and what was not synced has reached the disk by chance.
    pub fn lose_power(&self, chance: impl FnMut() -> u64) -> Self {
        let mut world = self.lock();
        let processes = world.processes;
        world.dead.extend(0..=processes);
        world.disk.lose_power(chance);
        drop(world);
        self.process()
    }

    /// Makes the call after `skip` further ones fail.
    pub fn fail(&self, call: Fault, skip: usize, error: io::ErrorKind) {
        self.plan(call, skip, (0, Some(error)));
    }

    /// Makes the append after `skip` further ones write only so many bytes; the one after it fails, if an error is given.
    pub fn shorten(&self, skip: usize, bytes: usize, error: Option<io::ErrorKind>) {
        self.plan(Fault::Append, skip, (bytes, None));
        if let Some(error) = error {
            self.lock().plans.entry(Fault::Append).or_default().push_back(Some((0, Some(error))));
        }
    }

    fn plan(&self, call: Fault, skip: usize, plan: Plan) {
        let mut world = self.lock();
        let plans = world.plans.entry(call).or_default();
        plans.clear();
        plans.extend(std::iter::repeat_n(None, skip));
        plans.push_back(Some(plan));
    }

    /// Bounds the bytes of all files together.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().disk.capacity = bytes;
    }

    /// Changes the content of a file behind everybody's back, as a bad disk does.
    ///
    /// # Errors
    ///
    /// If there is no such file.
    pub fn edit(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut world = self.lock();
        let node = world.disk.find(path)?;
        edit(&mut world.disk.node(node)?.data);
        Ok(())
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.lock().disk.used()
    }

    /// How often a file was synced after a sync of it had failed.
    pub fn syncs_after_failure(&self) -> u64 {
        self.lock().disk.nodes.values().map(|node| node.syncs_after_failure).sum()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, if this process still lives in it.
    pub(super) fn alive(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.lock();
        match world.dead.contains(&self.process) {
            true => Err(io::Error::other("this process is dead")),
            false => Ok(world),
        }
    }

    fn handle(&self, world: &mut World, node: u64) -> Box<dyn FsFile> {
        world.handles += 1;
        let handle = self.process << 32 | world.handles;
        Box::new(MemFile::new(self.clone(), node, handle))
    }
}

impl World {
    /// The plan for this call, if there is one.
    pub(super) fn next(&mut self, call: Fault) -> Option<Plan> {
        self.plans.get_mut(&call)?.pop_front().flatten()
    }

    pub(super) fn check(&mut self, call: Fault) -> io::Result<()> {
        match self.next(call) {
            Some((_, Some(error))) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Fs for MemFs {
    fn metadata(&self, path: &Path) -> io::Result<Meta> {
        let world = self.alive()?;
        world.disk.meta(world.disk.find(path)?)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.alive()?.disk.list(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.alive()?.disk.make(path, true).map(|_| ())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut world = self.alive()?;
        world.check(Fault::Create)?;
        let node = world.disk.make(path, false)?;
        Ok(self.handle(&mut world, node))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut world = self.alive()?;
        let node = world.disk.find(path)?;
        if world.disk.node(node)?.directory {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(self.handle(&mut world, node))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.alive()?;
        world.check(Fault::Rename)?;
        world.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.alive()?.disk.unlink(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.alive()?;
        if !world.disk.list(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        world.disk.unlink(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.alive()?;
        world.check(Fault::SyncDir)?;
        world.disk.sync_dir(path)
    }

    fn check_writable(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn user(&self) -> u32 {
        1
    }
}
