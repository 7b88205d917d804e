//! Who is alive: a writer holds the kernel's lock on its open segments, and death lets go of it.

use std::io;

use rustix::io::Errno;

use crate::{
    format::{SegmentName, State},
    id::WriterId,
    layout::{Layout, Segments},
    limits,
};

/// A writer as it was at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Whether somebody may still append.
    pub(crate) alive: bool,
    /// All its segments. If it is not alive, there will be no others.
    pub(crate) segments: Segments,
}

/// Who holds an open segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A living process.
    Alive,
    /// Nobody.
    Nobody,
    /// The file has been renamed or removed meanwhile.
    Moved,
}

/// Looks at a writer until two looks agree. A writer makes its next segment before it renames the last one, so two
/// equal looks, one after the other, have missed neither.
pub(crate) fn look(layout: &Layout, writer: WriterId) -> io::Result<Look> {
    let mut segments = layout.segments(writer)?;
    for _ in 0..limits::ATTEMPTS {
        let alive = any_holder(layout, writer, &segments)?;
        let again = layout.segments(writer)?;
        if again == segments {
            return Ok(Look { alive, segments });
        }
        segments = again;
    }
    // Something changes all the time, so somebody is alive.
    Ok(Look { alive: true, segments })
}

fn any_holder(layout: &Layout, writer: WriterId, segments: &Segments) -> io::Result<bool> {
    for (&(class, number), &state) in segments {
        let name = SegmentName { class, number, state };
        if state == State::Open && holder(layout, writer, name)? == Holder::Alive {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Who holds this open segment.
pub(crate) fn holder(layout: &Layout, writer: WriterId, name: SegmentName) -> io::Result<Holder> {
    let path = layout.segment(writer, name);
    let file = match layout.fs.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Moved),
        Err(error) if is_the_files_fault(&error) => return Ok(Holder::Nobody),
        Err(error) => return Err(error),
    };
    if !file.try_lock_shared()? {
        return Ok(Holder::Alive);
    }
    // Sealed between our listing and our lock?
    let same = match (file.metadata(), layout.fs.metadata(&path)) {
        (Ok(ours), Ok(there)) => ours.id == there.id,
        _ => false,
    };
    Ok(if same { Holder::Nobody } else { Holder::Moved })
}

/// Whether an error says something about this one file, and not about this process or this moment.
pub(crate) fn is_the_files_fault(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    const OF_THE_FILE: [Errno; 3] = [Errno::IO, Errno::LOOP, Errno::NXIO];
    matches!(error.kind(), Kind::PermissionDenied | Kind::IsADirectory | Kind::InvalidData)
        || OF_THE_FILE.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
