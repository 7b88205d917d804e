//! Who is connected, and who has to go for the next one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::task::AbortHandle;

use crate::limits::CONNECTIONS;

/// The open connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seats(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: BTreeMap<u64, Seat>,
}

#[derive(Debug)]
struct Seat {
    /// When its last whole request came, or it connected.
    since: Instant,
    handle: Option<AbortHandle>,
}

impl Seats {
    /// Takes a seat for a new connection. When all are taken, the connection goes that has said nothing whole for the
    /// longest: an honest scraper sends its request at once, so it is hardly ever that one.
    pub(crate) fn take(&self) -> u64 {
        let mut taken = self.lock();
        if taken.seats.len() >= CONNECTIONS {
            let oldest = taken.seats.iter().min_by_key(|(_, seat)| seat.since).map(|(id, _)| *id);
            if let Some(seat) = oldest.and_then(|id| taken.seats.remove(&id))
                && let Some(handle) = seat.handle
            {
                handle.abort();
            }
        }
        let id = taken.next;
        taken.next += 1;
        taken.seats.insert(id, Seat { since: Instant::now(), handle: None });
        id
    }

    /// How the connection can be ended.
    pub(crate) fn seat(&self, id: u64, handle: AbortHandle) {
        if let Some(seat) = self.lock().seats.get_mut(&id) {
            seat.handle = Some(handle);
        }
    }

    /// A whole request came.
    pub(crate) fn spoke(&self, id: u64) {
        if let Some(seat) = self.lock().seats.get_mut(&id) {
            seat.since = Instant::now();
        }
    }

    /// Since when the connection has said nothing whole.
    pub(crate) fn since(&self, id: u64) -> Option<Instant> {
        self.lock().seats.get(&id).map(|seat| seat.since)
    }

    pub(crate) fn leave(&self, id: u64) {
        self.lock().seats.remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
