//! Events that wait a few milliseconds in memory, so that the engine's thread neither looks for secrets in them, nor encodes,
//! nor writes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dagtel_core::catalog::drop_reason;
use dagtel_core::event::Event;
use dagtel_core::guard::{Admitted, Found};

use crate::journal::Appender;

/// How long the first event of a batch waits at most.
const DELAY: Duration = Duration::from_millis(5);
/// Events that may wait: far more than an engine makes in that time, so they are many only when the disk stands still.
const EVENTS: usize = 1 << 16;
/// Events that are written by one call.
const CHUNK: usize = 256;
/// Events for which a list that is written keeps room.
const ROOM: usize = 1 << 12;

/// A queue and the thread that empties it. When it is dropped, what waits is written.
pub(crate) struct Batch {
    pid: u32,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    appender: Appender,
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Held while events are written, so that a flush waits for those that another thread has taken.
    writing: Mutex<Taken>,
}

#[derive(Default)]
struct Waiting {
    events: Vec<Event>,
    closing: bool,
}

/// What the next batch is moved into.
#[derive(Default)]
struct Taken {
    events: Vec<Event>,
    chunk: Vec<Admitted>,
    buffer: Vec<u8>,
}

impl Batch {
    pub(crate) fn new(appender: Appender) -> Self {
        let (waiting, writing) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { appender, waiting, wake: Condvar::new(), writing });
        Self { pid: dagtel_spool::process_id(), shared, thread: Mutex::new(None) }
    }

    /// Takes an event, or drops it when the disk has stood still for so long that there is no room.
    pub(crate) fn push(&self, event: Event) {
        let mut waiting = lock(&self.shared.waiting);
        let (first, room) = (waiting.events.is_empty(), waiting.events.len() < EVENTS);
        if room {
            waiting.events.push(event);
        }
        drop(waiting);
        if !room {
            self.shared.appender.drop(drop_reason::QUEUE_FULL, 1);
        }
        if first {
            self.wake();
        }
    }

    /// Writes what waits.
    pub(crate) fn flush(&self) {
        self.shared.write();
    }

    /// Tells the thread that a batch has begun, and starts it the first time.
    fn wake(&self) {
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            *thread = thread::Builder::new().name("dagtel-journal".into()).spawn(move || shared.run()).ok();
        }
        let started = thread.is_some();
        drop(thread);
        if started {
            self.shared.wake.notify_one();
        } else {
            self.shared.write();
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let waiting = lock(&self.waiting);
            let idle = |waiting: &mut Waiting| waiting.events.is_empty() && !waiting.closing;
            let waiting = self.wake.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
            let more = |waiting: &mut Waiting| !waiting.closing;
            let waited = self.wake.wait_timeout_while(waiting, DELAY, more);
            let closing = waited.unwrap_or_else(PoisonError::into_inner).0.closing;
            self.write();
            if closing {
                return;
            }
        }
    }

    fn write(&self) {
        let mut taken = lock(&self.writing);
        let Taken { events, chunk, buffer } = &mut *taken;
        std::mem::swap(&mut lock(&self.waiting).events, events);
        let mut found = Found::default();
        while !events.is_empty() {
            let next = events.drain(..events.len().min(CHUNK));
            chunk.extend(next.map(|event| {
                let (event, more) = self.appender.guard.admit(event);
                found += more;
                event
            }));
            self.appender.append_all(chunk, buffer);
            chunk.clear();
        }
        self.appender.append_found(found);
        events.shrink_to(ROOM);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // A forked child has its parent's memory, but neither its thread nor the right to write its events.
        if self.pid != dagtel_spool::process_id() {
            return;
        }
        lock(&self.shared.waiting).closing = true;
        self.shared.wake.notify_all();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
