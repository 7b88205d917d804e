//! The outbox in memory: encoded requests that wait to be sent. (The outbox on disk takes this place.)

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dagtel_otlp::{Frame, Signal};
use tokio::sync::Notify;

use crate::counters::Counters;

/// Bytes that may wait. Beyond it the oldest frame gives way.
pub(crate) const BYTES: usize = 64 * 1024 * 1024;

/// A frame on loan to the sender, which says by its number what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) number: u64,
    pub(crate) signal: Signal,
    pub(crate) body: Bytes,
    pub(crate) items: usize,
}

/// A queue in the order of arrival. A frame stays in it until it is done with.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    arrived: Notify,
    done: Condvar,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Lease>,
    bytes: usize,
    next: u64,
    /// The frame that the sender has. It does not give way: what becomes of it is the sender's to say.
    on_loan: Option<u64>,
}

impl Outbox {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self { queue: Mutex::default(), arrived: Notify::new(), done: Condvar::new(), counters }
    }

    /// Takes a frame in.
    pub(crate) fn push(&self, frame: Frame) {
        self.counters.produced(frame.signal, frame.items);
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.bytes += frame.body.len();
        let number = queue.next;
        queue.next += 1;
        queue.frames.push_back(Lease {
            number,
            signal: frame.signal,
            body: frame.body.into(),
            items: frame.items,
        });
        let kept = usize::from(queue.frames.front().is_some_and(|front| queue.on_loan == Some(front.number)));
        while queue.bytes > BYTES
            && let Some(oldest) = queue.frames.remove(kept)
        {
            queue.bytes -= oldest.body.len();
            self.counters.dropped(oldest.signal, "outbox_full", oldest.items as u64);
        }
        drop(queue);
        self.arrived.notify_one();
    }

    /// The oldest frame, if there is one.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let lease = queue.frames.front().cloned();
        queue.on_loan = lease.as_ref().map(|lease| lease.number);
        lease
    }

    /// The frame is done with, one way or the other.
    pub(crate) fn ack(&self, number: u64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.frames.front().is_some_and(|front| front.number == number)
            && let Some(done) = queue.frames.pop_front()
        {
            queue.bytes -= done.body.len();
        }
        drop(queue);
        self.done.notify_all();
    }

    /// Waits, in a task, until a frame arrives.
    pub(crate) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// Waits, on a thread, until everything that is in it now is done with. Returns whether that came to pass.
    pub(crate) fn wait_until_sent(&self, deadline: Duration) -> bool {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let target = queue.next;
        let waiting = |queue: &mut Queue| queue.frames.front().is_some_and(|front| front.number < target);
        let waited = self.done.wait_timeout_while(queue, deadline, waiting);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
