//! What can go wrong, and how to mend it.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::id::Class;

/// Why a spool cannot be opened. What is *in* its files is never a reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory is a symbolic link.
    #[error("{path} is a symbolic link, and a spool follows none; name the directory it points to")]
    Symlink {
        /// The link.
        path: String,
    },
    /// Something else has that name.
    #[error("{path} is not a directory; remove it or name another place for the spool")]
    NotADirectory {
        /// The thing.
        path: String,
    },
    /// The directory belongs to somebody else.
    #[error(
        "{path} belongs to user {owner}, but this process runs as user {user}; give each user a spool of its own"
    )]
    ForeignOwner {
        /// The directory.
        path: String,
        /// Its owner.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Everybody can put files into the directory.
    #[error("{path} can be written by everybody (mode {mode:04o}); run `chmod 0700` on it")]
    WorldWritable {
        /// The directory.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// A newer version of this crate has written there.
    #[error(
        "{path} holds format version {version}, and this program knows version 1; use the newer program, or another spool"
    )]
    NewerFormat {
        /// The directory.
        path: String,
        /// The version found.
        version: u32,
    },
    /// Files cannot be created in the directory.
    #[error(
        "{path} cannot be written ({source}); let user {user} write there, or name another place for the spool"
    )]
    NotWritable {
        /// The directory.
        path: String,
        /// Who we are.
        user: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("{path} cannot be opened as a spool ({source}); check the path and its file system")]
    Io {
        /// The place.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: shown(path), source }
    }
}

pub(crate) fn shown(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}

/// Why a record was not taken. It is counted in [`Stats`](crate::Stats), and nothing of it will be delivered, except
/// after [`AppendError::Io`] from a failed sync, when the record may be on disk all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The disk or the budget is full.
    #[error("the spool has no room for a {class} record; it takes records again when there is room")]
    Full {
        /// The class of the record.
        class: Class,
    },
    /// The payload is too long.
    #[error(
        "a payload of {len} bytes is too long for one record; divide it into parts of at most {most} bytes"
    )]
    TooLarge {
        /// Its length.
        len: usize,
        /// The longest there can be.
        most: usize,
    },
    /// The file could not be written, nor a second one.
    #[error("the spool cannot be written ({0}); check the disk of its directory")]
    Io(io::ErrorKind),
}

impl AppendError {
    pub(crate) fn from_io(error: &io::Error, class: Class) -> Self {
        if is_full(error) { Self::Full { class } } else { Self::Io(error.kind()) }
    }
}

/// Whether the disk or the user's share of it is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
