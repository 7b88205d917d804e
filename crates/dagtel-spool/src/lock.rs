//! The lock of the one reader.

use std::{fs::File, io, os::unix::fs::OpenOptionsExt as _, path::Path};

use rustix::fs::OFlags;

/// A kernel lock on a file: free again when this value is dropped or its process has died, however it died.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
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
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
