//! The file system as the spool uses it. Tests put one in its place that loses power, fills up or fails.

mod real;

use std::{ffi::OsString, fmt, io, path::Path, time::SystemTime};

pub use real::RealFs;

/// A file system. No call follows a symbolic link in the last part of a path.
pub trait Fs: fmt::Debug + Send + Sync {
    /// What is at the path.
    fn metadata(&self, path: &Path) -> io::Result<Meta>;
    /// The names in a directory.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;
    /// Creates a directory that only the user can enter.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a file that was not there, for appending, which only the user can read.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Opens a regular file for reading; anything else is [`io::ErrorKind::IsADirectory`] or another error.
    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Gives a file or directory another name, in place of what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory last.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Whether the user can create files in the directory.
    fn check_writable(&self, path: &Path) -> io::Result<()>;
    /// The user of this process.
    fn user(&self) -> u32;
}

/// An open file. Closing it releases its lock, when no forked child holds the same open file.
pub trait FsFile: fmt::Debug + Send + Sync {
    /// Appends the beginning of `bytes`, and says how much of it.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Reads at an offset; 0 is the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Cuts the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the file take up so many bytes on disk.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Makes the content last (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Takes the lock if nobody has it, and says whether it did.
    fn try_lock(&self) -> io::Result<bool>;
    /// Takes the lock together with others who share it, if nobody has it alone.
    fn try_lock_shared(&self) -> io::Result<bool>;
    /// What this file is.
    fn metadata(&self) -> io::Result<Meta>;
}

/// What is at a path.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "other file systems than ours make it")]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub len: u64,
    /// Its permissions, `0o7777` at most.
    pub mode: u32,
    /// Its owner.
    pub owner: u32,
    /// When it was last written.
    pub modified: SystemTime,
    /// Its identity, which a rename does not change.
    pub id: u64,
    /// How many directories are in it, if it is a directory and the file system counts them.
    pub directories: Option<u64>,
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the last one is all the others")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a pipe, a socket.
    Other,
}

/// Appends all of `bytes`; on failure also says how much is in the file.
pub(crate) fn append_all(file: &dyn FsFile, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut done = 0;
    while done < bytes.len() {
        match file.append(&bytes[done..]) {
            Ok(0) => return Err((done, io::ErrorKind::WriteZero.into())),
            Ok(more) => done += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((done, error)),
        }
    }
    Ok(())
}

/// Reads until the buffer or the file ends, and says how much was read.
pub(crate) fn read_full(file: &dyn FsFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
