//! Where the events of this process go.

use std::sync::Arc;

use dagtel_core::guard::Admitted;
use dagtel_drain::{AppendError, Journal};

use crate::journal::Journal as MemoryJournal;

/// The journal on disk, or in a test's memory.
#[derive(Debug)]
pub(crate) enum Sink {
    Disk(Journal),
    Memory(Arc<MemoryJournal>),
}

impl Sink {
    /// Appends an event, or says by a word why it could not be kept.
    pub(crate) fn append(&self, event: Admitted) -> Result<(), &'static str> {
        match self {
            Self::Disk(journal) => journal.append(&event).map_err(reason),
            Self::Memory(journal) => journal.append(event).map_err(|_| "journal_full"),
        }
    }
}

fn reason(error: AppendError) -> &'static str {
    match error {
        AppendError::Full { .. } => "disk_full",
        AppendError::TooLarge { .. } => "too_large",
        _ => "disk_error",
    }
}
