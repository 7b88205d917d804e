//! The lock of the one reader.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// A kernel lock on a file: free again when this value is dropped or its process has died, however it died.
#[derive(Debug)]
pub struct DirLock {
    file: File,
    path: PathBuf,
}

impl DirLock {
    /// Takes the lock if nobody holds it. The file is created if it is not there, and stays.
    ///
    /// # Errors
    ///
    /// If the file cannot be created or locked at all.
    pub fn try_acquire(path: impl AsRef<Path>) -> io::Result<Option<Self>> {
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, path: path.as_ref().to_owned() })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether the file at the lock's path is still the one that is locked. If it was removed or replaced, somebody else
    /// may hold the lock of what is there now.
    pub fn is_in_place(&self) -> bool {
        let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
        let there = fs::symlink_metadata(&self.path).map(identity);
        let held = self.file.metadata().map(identity);
        matches!((there, held), (Ok(there), Ok(held)) if there == held)
    }
}
