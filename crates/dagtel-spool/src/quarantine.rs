//! Files that hold nothing readable are kept aside, within bounds, for whoever wants to know why.

use std::{io, path::Path, time::SystemTime};

use crate::{
    format::SegmentName,
    id::WriterId,
    layout::{Layout, none_if_absent},
    limits,
};

/// Moves a segment aside, and makes room for it.
pub(crate) fn keep_aside(layout: &Layout, writer: WriterId, name: SegmentName) -> io::Result<()> {
    let directory = layout.quarantine();
    match layout.fs.create_dir(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let to = directory.join(format!("{writer}-{}", name.file_name()));
    none_if_absent(layout.fs.rename(&layout.segment(writer, name), &to))?;
    bound(layout, &directory)
}

/// Bytes kept aside.
pub(crate) fn bytes(layout: &Layout) -> u64 {
    kept(layout, &layout.quarantine()).map_or(0, |kept| kept.iter().map(|file| file.len).sum())
}

/// Files kept aside.
pub(crate) fn files(layout: &Layout) -> u64 {
    kept(layout, &layout.quarantine()).map_or(0, |kept| kept.len() as u64)
}

struct Kept {
    modified: SystemTime,
    path: std::path::PathBuf,
    len: u64,
}

fn kept(layout: &Layout, directory: &Path) -> io::Result<Vec<Kept>> {
    let names = none_if_absent(layout.fs.list(directory))?.unwrap_or_default();
    let mut kept = Vec::with_capacity(names.len());
    for path in names.iter().map(|name| directory.join(name)) {
        if let Ok(meta) = layout.fs.metadata(&path) {
            kept.push(Kept { modified: meta.modified, path, len: meta.len });
        }
    }
    kept.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    Ok(kept)
}

/// Removes the oldest until what is left is within its bounds.
fn bound(layout: &Layout, directory: &Path) -> io::Result<()> {
    let kept = kept(layout, directory)?;
    let (mut bytes, mut files) = (kept.iter().map(|file| file.len).sum::<u64>(), kept.len());
    for file in kept {
        if bytes <= limits::QUARANTINE_BYTES && files <= limits::QUARANTINE_FILES {
            break;
        }
        // A directory that somebody put in the place of a segment may not be empty; it is not ours to clear.
        if layout.fs.remove_file(&file.path).or_else(|_| layout.fs.remove_dir(&file.path)).is_ok() {
            bytes -= file.len;
            files -= 1;
        }
    }
    Ok(())
}
