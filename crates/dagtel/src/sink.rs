//! Where the events of this process go.

use std::sync::Arc;

use dagtel_drain::Journal;

use crate::journal::Journal as MemoryJournal;

/// The journal on disk, or in a test's memory.
#[derive(Debug)]
pub(crate) enum Sink {
    Disk(Journal),
    Memory(Arc<MemoryJournal>),
}
