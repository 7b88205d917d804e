//! The files of one process below `/proc`.
//!
//! Opening one costs more than reading it, so they stay open as far as the budget goes. An open file also belongs to
//! its process for good: when the id goes to another process, reading fails.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::process::{Resource, getrlimit};

use crate::limits;

/// How many files may still be kept open.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicUsize>);

impl Budget {
    pub(crate) fn new() -> Self {
        let allowed = getrlimit(Resource::Nofile).current.map_or(u64::MAX, |files| files / 8);
        Self(Arc::new(AtomicUsize::new(
            usize::try_from(allowed).unwrap_or(usize::MAX).min(limits::OPEN_FILES),
        )))
    }

    /// Keeps nothing open.
    pub(crate) fn none() -> Self {
        Self(Arc::default())
    }

    fn take(&self) -> Option<Permit> {
        let fewer = |left: usize| left.checked_sub(Kept::FILES);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).ok()?;
        Some(Permit(self.clone()))
    }
}

/// The right to keep the files of one process open.
#[derive(Debug)]
struct Permit(Budget);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_add(Kept::FILES, Ordering::Relaxed);
    }
}

/// The three files that every look reads.
#[derive(Debug)]
struct Kept {
    stat: File,
    statm: File,
    children: File,
    _permit: Permit,
}

impl Kept {
    const FILES: usize = 3;
}

/// The directory of one process.
#[derive(Debug)]
pub(crate) struct Files {
    directory: PathBuf,
    pid: u32,
    kept: Option<Kept>,
}

impl Files {
    /// Opens what it may keep open. Whether the process can be read shows when it is read.
    pub(crate) fn open(proc: &Path, pid: u32, budget: &Budget) -> Self {
        let mut files = Self { directory: proc.join(pid.to_string()), pid, kept: None };
        files.kept = budget.take().and_then(|permit| files.keep(permit).ok());
        files
    }

    fn keep(&self, permit: Permit) -> io::Result<Kept> {
        let open = |name: &str| File::open(self.directory.join(name));
        let children = File::open(self.children_of(self.pid))?;
        Ok(Kept { stat: open("stat")?, statm: open("statm")?, children, _permit: permit })
    }

    fn children_of(&self, thread: u32) -> PathBuf {
        self.directory.join("task").join(thread.to_string()).join("children")
    }

    pub(crate) fn stat<'a>(&self, text: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        match &self.kept {
            Some(kept) => read(&kept.stat, text),
            None => self.named("stat", text),
        }
    }

    pub(crate) fn statm<'a>(&self, text: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        match &self.kept {
            Some(kept) => read(&kept.statm, text),
            None => self.named("statm", text),
        }
    }

    /// A file that is not read at every look.
    pub(crate) fn named<'a>(&self, name: &str, text: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        read(&File::open(self.directory.join(name))?, text)
    }

    /// The children of the first thread.
    pub(crate) fn children<'a>(&self, text: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        match &self.kept {
            Some(kept) => read(&kept.children, text),
            None => self.children_of_thread(self.pid, text),
        }
    }

    pub(crate) fn children_of_thread<'a>(&self, thread: u32, text: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        read(&File::open(self.children_of(thread))?, text)
    }

    /// The ids of its threads.
    pub(crate) fn threads(&self) -> io::Result<Vec<u32>> {
        ids(&self.directory.join("task"))
    }
}

/// The entries of a directory that are numbers.
pub(crate) fn ids(directory: &Path) -> io::Result<Vec<u32>> {
    let entries = std::fs::read_dir(directory)?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// Reads a file from its beginning into memory that is used again. What is beyond [`limits::FILE_BYTES`] is left out.
fn read<'a>(file: &File, text: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    let mut filled = 0;
    loop {
        if filled == text.len() {
            if filled >= limits::FILE_BYTES {
                break;
            }
            text.resize((filled * 2).clamp(4096, limits::FILE_BYTES), 0);
        }
        match file.read_at(&mut text[filled..], filled as u64) {
            Ok(0) => break,
            // So short a read is all of the file; asking again would cost as much as the first time. A longer one may
            // have ended at the kernel's own buffer of one page.
            Ok(read) if filled + read < text.len() && read < 2048 => {
                filled += read;
                break;
            }
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&text[..filled])
}
