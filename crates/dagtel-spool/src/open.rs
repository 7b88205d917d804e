//! Opening a spool: the directory is made and checked, its files are not looked at.

use std::{io, path::Path};

use crate::{
    error::{OpenError, shown},
    fs::{Fs, Kind, RealFs},
    layout::Layout,
    limits,
    options::Options,
};

const VERSION: u32 = 1;

/// Makes the directories that are missing, and refuses those that others could meddle with.
pub(crate) fn prepare(layout: &Layout, options: &Options) -> Result<(), OpenError> {
    let created = make(&*layout.fs, &layout.root)?;
    check(&*layout.fs, &layout.root)?;
    refuse_newer(layout)?;
    make(&*layout.fs, &layout.writers)?;
    check(&*layout.fs, &layout.writers)?;
    if created && options.durability.syncs() {
        let parent = layout.root.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        layout.fs.sync_dir(parent).map_err(|error| OpenError::io(parent, error))?;
    }
    Ok(())
}

/// Makes a directory for spools if it is missing, and refuses one that others could meddle with: they could put another
/// spool in the place of one that is in it.
///
/// # Errors
///
/// As [`Spool::open`](crate::Spool::open).
pub fn prepare_directory(path: &Path) -> Result<(), OpenError> {
    make(&RealFs, path)?;
    check(&RealFs, path)
}

/// Makes the file that is given up when the disk is full, if it can be made. Without it, the spool works as well,
/// but it says "full" a megabyte earlier.
pub(crate) fn make_reserve(layout: &Layout) {
    let path = layout.reserve();
    if layout.fs.metadata(&path).is_ok() {
        return;
    }
    let Ok(file) = layout.fs.create(&path) else { return };
    if file.allocate(limits::RESERVE_BYTES).is_err() {
        let _ = layout.fs.remove_file(&path);
    }
}

/// Gives up the reserve, and says whether there was one.
pub(crate) fn give_up_reserve(layout: &Layout) -> bool {
    layout.fs.remove_file(&layout.reserve()).is_ok()
}

/// Creates the directory if nothing is there, and says whether it did.
fn make(fs: &dyn Fs, path: &Path) -> Result<bool, OpenError> {
    match fs.create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let Some(parent) = parent else { return Err(OpenError::io(path, error)) };
            make(fs, parent)?;
            match fs.create_dir(path) {
                Ok(()) => Ok(true),
                // Another process that starts as well was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(OpenError::io(path, error)),
            }
        }
        // A system that is read-only says so even where the directory is there.
        Err(_) if fs.metadata(path).is_ok() => Ok(false),
        Err(source) if refused(&source) => Err(not_writable(fs, path, source)),
        Err(error) => Err(OpenError::io(path, error)),
    }
}

fn check(fs: &dyn Fs, path: &Path) -> Result<(), OpenError> {
    let meta = fs.metadata(path).map_err(|error| OpenError::io(path, error))?;
    match meta.kind {
        Kind::Directory => {}
        Kind::Symlink => return Err(OpenError::Symlink { path: shown(path) }),
        Kind::File | Kind::Other => return Err(OpenError::NotADirectory { path: shown(path) }),
    }
    let user = fs.user();
    if meta.owner != user {
        return Err(OpenError::ForeignOwner { path: shown(path), owner: meta.owner, user });
    }
    if meta.mode & 0o002 != 0 {
        return Err(OpenError::WorldWritable { path: shown(path), mode: meta.mode });
    }
    fs.check_writable(path).map_err(|source| not_writable(fs, path, source))
}

fn refuse_newer(layout: &Layout) -> Result<(), OpenError> {
    let names = layout.fs.list(&layout.root).map_err(|error| OpenError::io(&layout.root, error))?;
    let versions = names.iter().filter_map(|name| name.to_str()?.strip_prefix('v')?.parse::<u32>().ok());
    match versions.max() {
        Some(version) if version > VERSION => {
            Err(OpenError::NewerFormat { path: shown(&layout.root), version })
        }
        _ => Ok(()),
    }
}

fn not_writable(fs: &dyn Fs, path: &Path, source: io::Error) -> OpenError {
    OpenError::NotWritable { path: shown(path), user: fs.user(), source }
}

fn refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
