//! A collector for tests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};

use crate::Taken;

/// After this long a test that waits has hung.
const HUNG: Duration = Duration::from_secs(15);

/// An OTLP receiver on loopback that keeps what it accepts, and answers by a script where there is one.
///
/// It stops when it is dropped.
#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    receiver: ReceiverThread,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: Taken,
    requests: usize,
    traces: VecDeque<Answer>,
    metrics: VecDeque<Answer>,
    held: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, request: Received) -> Answer {
        let mut state = self.lock();
        state.requests += 1;
        self.changed.notify_all();
        let held = self.changed.wait_timeout_while(state, HUNG, |state| state.held);
        let mut state = held.unwrap_or_else(PoisonError::into_inner).0;
        let script = match &request {
            Received::Traces(_) => state.traces.pop_front(),
            Received::Metrics(_) => state.metrics.pop_front(),
            _ => None,
        };
        let answer = script.unwrap_or(Answer::Accept);
        if matches!(answer, Answer::Accept | Answer::Partial { .. }) {
            state.taken.add(request);
        }
        drop(state);
        self.changed.notify_all();
        answer
    }
}

impl Collector {
    /// Starts on free ports.
    pub fn start() -> Self {
        Self::listen(ReceiverOptions::any_port())
    }

    /// Starts with OTLP/gRPC on this address, as a collector that comes back does.
    pub fn start_at(grpc: SocketAddr) -> Self {
        Self::listen(ReceiverOptions { grpc: Some(grpc), http: None })
    }

    fn listen(options: ReceiverOptions) -> Self {
        let shared = Arc::new(Shared::default());
        let sink = shared.clone();
        let receiver = ReceiverThread::start(options, move |request| sink.receive(request)).unwrap();
        Self { shared, receiver }
    }

    /// Where it takes OTLP/gRPC, as an endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.receiver.grpc_addr().unwrap())
    }

    /// The answers to the next requests with spans; after them everything is accepted.
    pub fn answer_traces(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().traces.extend(answers);
    }

    /// The answers to the next requests with metrics; after them everything is accepted.
    pub fn answer_metrics(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().metrics.extend(answers);
    }

    /// Leaves every request without an answer until [`let_go`](Self::let_go).
    pub fn hold(&self) {
        self.shared.lock().held = true;
    }

    /// Answers what was held.
    pub fn let_go(&self) {
        self.shared.lock().held = false;
        self.shared.changed.notify_all();
    }

    /// What was accepted so far.
    pub fn taken(&self) -> Taken {
        self.shared.lock().taken.clone()
    }

    /// How many requests came so far, whatever became of them.
    pub fn requests(&self) -> usize {
        self.shared.lock().requests
    }

    /// Waits until what was accepted is as the test wants it.
    ///
    /// # Panics
    /// When that does not come to pass in 15 s.
    pub fn wait_for(&self, wanted: impl Fn(&Taken) -> bool) -> Taken {
        self.wait(|state| wanted(&state.taken)).taken.clone()
    }

    /// Waits until so many requests came, whatever became of them.
    ///
    /// # Panics
    /// When that does not come to pass in 15 s.
    pub fn wait_for_requests(&self, requests: usize) {
        drop(self.wait(|state| state.requests >= requests));
    }

    /// Waits for longer than a test usually should: for what a great load leaves to be done.
    ///
    /// # Panics
    /// When it does not come to pass within `limit`.
    pub fn wait_for_within(&self, limit: Duration, wanted: impl Fn(&Taken) -> bool) -> Taken {
        self.wait_within(limit, |state| wanted(&state.taken)).taken.clone()
    }

    fn wait(&self, wanted: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        self.wait_within(HUNG, wanted)
    }

    fn wait_within(&self, limit: Duration, wanted: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited =
            self.shared.changed.wait_timeout_while(self.shared.lock(), limit, |state| !wanted(state));
        let (state, out_of_time) = waited.unwrap_or_else(PoisonError::into_inner);
        // Not the state itself: after a load test it is a quarter of a gigabyte.
        assert!(
            !out_of_time.timed_out(),
            "the collector did not get what the test waits for within {limit:?}: it has {} spans of {} requests, {} of \
             them with metrics",
            state.taken.spans().count(),
            state.requests,
            state.taken.metrics.len()
        );
        state
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // The receiver waits for its sink when it stops.
        self.let_go();
    }
}
