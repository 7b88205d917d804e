//! Appending: many writers, in as many processes as there are.

mod flusher;
mod lane;
mod segment;
mod state;

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use flusher::Shared;
pub(crate) use lane::Lane;
use state::State;

use crate::{
    error::AppendError,
    id::{Class, StreamId, WriterId},
    options::Durability,
    per_process::PerProcess,
    spool::Context,
};

/// A record was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Where it went.
    pub stream: StreamId,
    /// Its number, or the last one's of several.
    pub seq: u64,
    /// What it is safe from.
    pub durability: Durability,
}

/// Appends records. Clones are handles to the same writer; when the last one is dropped, everything is written and the
/// files are sealed.
///
/// Nothing here waits for another process, and nothing panics. A forked child that appends becomes a writer of its own.
#[derive(Clone, Debug)]
pub struct Writer {
    context: Arc<Context>,
    process: Arc<PerProcess<Process>>,
}

impl Writer {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let process = Process::new(Arc::clone(&context));
        Self { process: Arc::new(PerProcess::new(process.pid, process)), context }
    }

    fn process(&self) -> &Process {
        self.process.get(self.context.clock.pid(), Process::fork)
    }

    /// Appends a record of `items` things.
    ///
    /// # Errors
    ///
    /// [`AppendError`] if it was not taken; it is counted.
    pub fn append(&self, kind: u8, class: Class, items: u32, payload: &[u8]) -> Result<Receipt, AppendError> {
        self.append_many(class, &[(kind, items, payload)])
    }

    /// Appends several records (kind, items, payload) in one write: all or none.
    ///
    /// # Errors
    ///
    /// [`AppendError`] if they were not taken; each is counted.
    pub fn append_many(&self, class: Class, records: &[(u8, u32, &[u8])]) -> Result<Receipt, AppendError> {
        let process = self.process();
        let mut state = process.shared.lock();
        let idle = state.due.is_none();
        let result = state.append(&process.shared.context, class, records);
        let woken = idle && state.due.is_some();
        drop(state);
        if woken {
            process.wake();
        }
        result
    }

    /// Writes what is gathered in memory, and syncs it if the durability says so.
    ///
    /// # Errors
    ///
    /// If that fails; the records stay in memory and are tried again.
    pub fn flush(&self) -> io::Result<()> {
        let shared = &self.process().shared;
        shared.lock().flush(&shared.context)
    }

    /// Who this is, once it has appended.
    pub fn id(&self) -> Option<WriterId> {
        self.process().shared.lock().id()
    }
}

/// The writer as one process has it. A forked child must not touch its parent's files.
#[derive(Debug)]
struct Process {
    pid: u32,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Process {
    fn new(context: Arc<Context>) -> Self {
        Self {
            pid: context.clock.pid(),
            shared: Arc::new(Shared { context, state: Mutex::new(State::default()), wake: Condvar::new() }),
            thread: Mutex::new(None),
        }
    }

    /// What a forked child goes on with. Closing the inherited files lets the parent's death be seen.
    fn fork(&self) -> Self {
        if let Ok(mut state) = self.shared.state.try_lock() {
            state.abandon();
        }
        Self::new(Arc::clone(&self.shared.context))
    }

    /// Tells the thread that there is something to do, and starts it the first time.
    fn wake(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let builder = thread::Builder::new().name("spool-flusher".into());
            // Without a thread, the records wait for the next append that fills the batch, or a flush.
            *thread = builder.spawn(move || flusher::run(&shared)).ok();
        }
        drop(thread);
        self.shared.wake.notify_one();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.pid != self.shared.context.clock.pid() {
            return;
        }
        self.shared.lock().closing = true;
        self.shared.wake.notify_all();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.shared.lock().close(&self.shared.context);
    }
}
