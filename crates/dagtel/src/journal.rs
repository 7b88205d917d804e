//! The journal in memory: where events wait for the drainer. (The journal on disk takes this place.)

use std::sync::{Mutex, PoisonError};

use dagtel_core::guard::Admitted;

/// Events that may wait. At the default interval of the drainer this is far more than an engine can produce.
pub(crate) const EVENTS: usize = 1 << 18;

/// Events for which a list that is taken keeps room.
const ROOM: usize = 1 << 14;

/// A list that engine threads append to and the drainer takes as a whole. The lock is held only for a push or a swap,
/// so no call waits for the drainer's work.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Vec<Admitted>>);

impl Journal {
    /// Appends an event, or says that there is no room.
    pub(crate) fn append(&self, event: Admitted) -> Result<(), Admitted> {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= EVENTS {
            return Err(event);
        }
        events.push(event);
        Ok(())
    }

    /// Takes everything into an empty list, whose room then is the journal's. The two lists take turns, so that
    /// mostly no thread of the engine has to make room.
    pub(crate) fn take(&self, into: &mut Vec<Admitted>) {
        into.clear();
        into.shrink_to(ROOM);
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *events, into);
    }
}
