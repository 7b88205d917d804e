//! The worker: folds what engine threads report, and sends what became final. It runs on a thread of its own or as a
//! future wherever the user puts it, never on the thread of a call.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use dagtel_core::fold::Anomaly;
use dagtel_core::time::Timestamp;
use dagtel_otlp::Signal;
use dagtel_ship::{Endpoint, Exporter, Verdict};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::counters::{Counters, Tally};
use crate::engine::Clock;
use crate::outbox::{Lease, Outbox};
use crate::pipeline::Pipeline;

/// How often the journal is read.
const TICK: Duration = Duration::from_millis(100);
/// The first wait after a failed attempt; each next one is 1.5 times as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait between attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// What the handle asks of the worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Fold and encode all that is final now, and give back the outbox to wait on.
    Flush(mpsc::SyncSender<Arc<Outbox>>),
}

/// Folds and sends. See [`Builder::build`](crate::Builder::build).
#[must_use = "nothing is sent unless the worker runs"]
pub struct Worker {
    pub(crate) pipeline: Pipeline,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) commands: UnboundedReceiver<Command>,
    pub(crate) endpoint: Endpoint,
    pub(crate) clock: Clock,
    pub(crate) metric_interval: Duration,
    pub(crate) shutdown_deadline: Duration,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What became of everything, at the end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Where it was sent.
    pub endpoint: String,
    /// Spans.
    pub spans: Tally,
    /// Metric points.
    pub metrics: Tally,
    /// Drops, by what was dropped (`events`, `traces`, `metrics`, `logs`) and why.
    pub drops: BTreeMap<(&'static str, &'static str), u64>,
    /// Odd input, by kind.
    pub anomalies: Vec<(Anomaly, u64)>,
    /// Why the last attempt that failed did.
    pub last_error: Option<String>,
}

impl Report {
    /// Whether everything was delivered.
    pub fn is_complete(&self) -> bool {
        self.drops.is_empty() && self.spans.waiting() == 0 && self.metrics.waiting() == 0
    }
}

impl Worker {
    /// Works until `shutdown` is ready; then closes what is open, sends what it can within the builder's deadline, and
    /// reports. Needs a tokio runtime with its time and I/O drivers on.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Report {
        let Self {
            pipeline,
            outbox,
            counters,
            commands,
            endpoint,
            clock,
            metric_interval,
            shutdown_deadline,
        } = self;
        let last_error = Mutex::new(None);
        let exporter = Exporter::new(endpoint.clone(), endpoint.usual_protocol());
        {
            let mut ship = pin!(ship(exporter, &outbox, &counters, &last_error));
            let pump = Pump { pipeline, outbox: &outbox, commands, clock, metric_interval };
            tokio::select! {
                () = pump.run(shutdown) => {}
                () = &mut ship => {}
            }
            let sent = async {
                while outbox.lease().is_some() {
                    tokio::select! {
                        () = &mut ship => {}
                        () = sleep(Duration::from_millis(5)) => {}
                    }
                }
            };
            // Running out of time is told by what is left in the outbox.
            let _ = timeout(shutdown_deadline, sent).await;
        }
        while let Some(lease) = outbox.lease() {
            counters.dropped(lease.signal, "shutdown", lease.items as u64);
            outbox.ack(lease.number);
        }
        report(&endpoint, &counters, last_error)
    }
}

fn report(endpoint: &Endpoint, counters: &Counters, last_error: Mutex<Option<String>>) -> Report {
    let tallies: Vec<_> = counters.tallies().collect();
    let tally = |signal| tallies.iter().find(|(s, _)| *s == signal).map_or_else(Tally::default, |(_, t)| *t);
    Report {
        endpoint: endpoint.to_string(),
        spans: tally(Signal::Traces),
        metrics: tally(Signal::Metrics),
        drops: counters.drops(),
        anomalies: counters.anomalies(),
        last_error: last_error.into_inner().unwrap_or_else(PoisonError::into_inner),
    }
}

/// Reads the journal and fills the outbox.
struct Pump<'a> {
    pipeline: Pipeline,
    outbox: &'a Arc<Outbox>,
    commands: UnboundedReceiver<Command>,
    clock: Clock,
    metric_interval: Duration,
}

impl Pump<'_> {
    async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut metrics = interval(self.metric_interval);
        metrics.set_missed_tick_behavior(MissedTickBehavior::Skip);
        metrics.reset();
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                _ = tick.tick() => self.fold(),
                _ = metrics.tick() => self.export_metrics(),
                Some(Command::Flush(reply)) = self.commands.recv() => {
                    self.fold();
                    self.export_metrics();
                    let _ = reply.try_send(self.outbox.clone());
                }
            }
        }
        let spans = self.pipeline.finish();
        self.push(self.pipeline.encode(&spans));
        self.export_metrics();
    }

    fn now(&self) -> Timestamp {
        (self.clock)().into()
    }

    fn fold(&mut self) {
        let spans = self.pipeline.due(self.now());
        self.push(self.pipeline.encode(&spans));
    }

    fn export_metrics(&self) {
        self.push(self.pipeline.metric_frames(self.now()));
    }

    fn push(&self, frames: Vec<dagtel_otlp::Frame>) {
        frames.into_iter().for_each(|frame| self.outbox.push(frame));
    }
}

/// Sends what is in the outbox, the oldest first, for ever.
async fn ship(
    mut exporter: Exporter,
    outbox: &Outbox,
    counters: &Counters,
    last_error: &Mutex<Option<String>>,
) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let Some(lease) = outbox.lease() else {
            outbox.arrival().await;
            continue;
        };
        let verdict = exporter.send(lease.signal, lease.body.clone()).await;
        if let Some(reason) = settle(&verdict, &lease, outbox, counters) {
            *last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }
        if matches!(verdict, Verdict::Retry { .. }) {
            sleep(backoff).await;
            backoff = backoff.mul_f64(1.5).min(LONGEST_BACKOFF);
        } else {
            backoff = FIRST_BACKOFF;
        }
    }
}

/// Does with a frame what the verdict asks for. Returns why not all of it was taken.
fn settle(verdict: &Verdict, lease: &Lease, outbox: &Outbox, counters: &Counters) -> Option<String> {
    let items = lease.items as u64;
    let reason = match verdict {
        Verdict::Accepted => {
            counters.delivered(lease.signal, lease.items);
            None
        }
        Verdict::Partial { rejected, reason } => {
            let rejected = (*rejected).min(items);
            counters.delivered(lease.signal, lease.items - rejected as usize);
            counters.dropped(lease.signal, "rejected", rejected);
            Some(reason.clone())
        }
        Verdict::TooLarge { reason } => {
            counters.dropped(lease.signal, "too_large", items);
            Some(reason.clone())
        }
        Verdict::Refused { reason } => {
            counters.dropped(lease.signal, "refused", items);
            Some(reason.clone())
        }
        Verdict::Retry { reason, .. } => return Some(reason.clone()),
    };
    outbox.ack(lease.number);
    reason
}
