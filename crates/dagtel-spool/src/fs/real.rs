//! The file system of the operating system.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::SystemTime,
};

use rustix::fs::{Access, AtFlags, CWD, FallocateFlags, OFlags};

use super::{Fs, FsFile, Kind, Meta};

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct RealFs;

impl Fs for RealFs {
    fn metadata(&self, path: &Path) -> io::Result<Meta> {
        fs::symlink_metadata(path).map(|meta| describe(&meta))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(flags(OFlags::NOFOLLOW))
            .open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        // Without NONBLOCK a pipe in the place of a file would wait for a writer.
        let flags = flags(OFlags::NOFOLLOW | OFlags::NONBLOCK);
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn check_writable(&self, path: &Path) -> io::Result<()> {
        let access = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        Ok(rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)?)
    }

    fn user(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

impl FsFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &*self).write(bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(self, FallocateFlags::empty(), 0, len)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        taken(self.try_lock())
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        taken(self.try_lock_shared())
    }

    fn metadata(&self) -> io::Result<Meta> {
        self.metadata().map(|meta| describe(&meta))
    }
}

fn taken(result: Result<(), TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[expect(clippy::cast_possible_wrap, reason = "the same bits in the type that std wants")]
fn flags(flags: OFlags) -> i32 {
    flags.bits() as i32
}

fn describe(meta: &fs::Metadata) -> Meta {
    let kind = if meta.is_file() {
        Kind::File
    } else if meta.is_dir() {
        Kind::Directory
    } else if meta.is_symlink() {
        Kind::Symlink
    } else {
        Kind::Other
    };
    Meta {
        kind,
        // Each of them has a link to it, beside its own two.
        directories: meta.is_dir().then(|| meta.nlink().checked_sub(2)).flatten(),
        len: meta.len(),
        mode: meta.mode() & 0o7777,
        owner: meta.uid(),
        modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        id: meta.ino(),
    }
}
