//! The journal as an engine's process writes it.

use std::cell::RefCell;
use std::io;

use dagtel_core::event::Fact;
use dagtel_core::guard::Admitted;
use dagtel_spool::{AppendError, Class, Durability, Options, Spool, Writer, WriterId};

use crate::codec;
use crate::layout::Layout;

/// This process's writer of events. Clones share it; a forked child gets one of its own.
#[derive(Clone, Debug)]
pub struct Journal(Writer);

impl Journal {
    /// Opens the journal of a directory. Nothing is written before the first event.
    ///
    /// # Errors
    /// When the directory cannot be used; the error says why and what to do.
    pub fn open(layout: &Layout, durability: Durability) -> Result<Self, dagtel_spool::OpenError> {
        let spool = Spool::open(layout.journal(), Options::default().with_durability(durability))?;
        Ok(Self(spool.writer()))
    }

    /// Appends an event.
    ///
    /// # Errors
    /// When it could not be kept, which the caller counts by reason.
    pub fn append(&self, event: &Admitted) -> Result<(), AppendError> {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            let Some((kind, bytes)) = codec::encode(event, std::mem::take(buffer)) else {
                return Err(AppendError::Io(io::ErrorKind::InvalidData));
            };
            let appended = self.0.append(kind, class(event), 1, &bytes);
            *buffer = bytes;
            appended.map(|_| ())
        })
    }

    /// This process's writer, once it has written anything.
    pub fn id(&self) -> Option<WriterId> {
        self.0.id()
    }

    /// Writes what is batched.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Transitions are kept longer than details when there is no room for both.
fn class(event: &Admitted) -> Class {
    use dagtel_core::event::{RunChange, TaskChange};
    match &event.event().fact {
        Fact::Run { change: RunChange::Updated, .. } | Fact::Task { change: TaskChange::Updated, .. } => {
            Class::Detail
        }
        _ => Class::Lifecycle,
    }
}
