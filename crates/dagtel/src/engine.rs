//! [`Dagtel`]: the handle through which an engine reports.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use dagtel_core::catalog::drop_reason;
use dagtel_core::event::{Event, Fact, RunChange, RunDetails, RunState, TaskChange, Truth};
use dagtel_core::fold::Unfinished;
use dagtel_core::guard::Guard;
use dagtel_core::key::RunKey;
use dagtel_core::limits::KEY_BYTES;
use dagtel_core::time::Timestamp;
use dagtel_core::value::SmolStr;
use dagtel_drain::Layout;
use opentelemetry::metrics::{Meter, MeterProvider as _, noop::NoopMeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use crate::context::{RunContext, TaskContext};
use crate::counters::{Counters, Tally};
use crate::describe::{DagRun, TaskInstance};
use crate::handle::{RunHandle, TaskHandle};
use crate::instruments::OutboxClient;
use crate::listener::Listener;
use crate::loops::Loops;
use crate::memory::Memory;
use crate::metrics::Registry;
use crate::sink::Sink;
use crate::starts::Starts;
use crate::usage::{self, Stats, Usage};
use crate::worker::Command;

/// Reads the time of day. Passed in, so that tests need not wait.
pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The handle through which an engine reports. Cheap to clone; safe to use from any thread.
///
/// No call on it waits for the network or for another process, panics, or returns an error that must be handled.
/// When telemetry is off ([`Dagtel::off`]) every call does nothing.
#[derive(Clone, Default)]
pub struct Dagtel(pub(crate) Option<Arc<Inner>>);

pub(crate) struct Inner {
    pub(crate) namespace: SmolStr,
    pub(crate) guard: Guard,
    /// Whether lines that tasks log are recorded.
    pub(crate) lines: bool,
    /// The name of this host.
    pub(crate) host: Option<SmolStr>,
    pub(crate) sink: Sink,
    pub(crate) counters: Arc<Counters>,
    pub(crate) listeners: Vec<Box<dyn Listener>>,
    pub(crate) usage: Option<Usage>,
    pub(crate) starts: Starts,
    pub(crate) clock: Clock,
    pub(crate) memory: Memory,
    pub(crate) meters: Option<SdkMeterProvider>,
    pub(crate) registry: Option<Registry>,
    pub(crate) loops: Option<Loops>,
    pub(crate) outbox: Option<OutboxClient>,
    pub(crate) commands: Option<tokio::sync::mpsc::UnboundedSender<Command>>,
    pub(crate) layout: Option<Layout>,
}

impl fmt::Debug for Dagtel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dagtel").field("on", &self.is_on()).finish_non_exhaustive()
    }
}

impl Dagtel {
    /// Telemetry that is switched off.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Whether anything is recorded. Worth asking before a description is built that costs something.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Reports that a run started.
    pub fn start(&self, run: DagRun) -> RunHandle {
        let Some(inner) = &self.0 else { return RunHandle::off() };
        let mut run = inner.settle(run);
        usage::unfold(&mut run.details.attributes);
        let key = Arc::new(run.key.clone());
        let now = inner.now();
        inner.run_queued(&key, &run);
        inner.run_event(&key, now, RunChange::Started, run.details.clone());
        inner.tell(|listener| listener.on_dag_run_running(&run));
        RunHandle::new(inner.clone(), key, run, now)
    }

    /// A run that another process starts and ends, for this one to report tries of it.
    pub fn join(&self, run: DagRun) -> RunHandle {
        let Some(inner) = &self.0 else { return RunHandle::off() };
        let run = inner.settle(run);
        RunHandle::joined(inner.clone(), Arc::new(run.key.clone()), run, inner.now())
    }

    /// Takes over a run that another process handed over ([`RunHandle::hand_over`]).
    pub fn take_over(&self, context: RunContext) -> RunHandle {
        let Some(inner) = &self.0 else { return RunHandle::off() };
        let (run, started) = context.into_run();
        let key = Arc::new(run.key.clone());
        inner.run_queued(&key, &run);
        inner.run_event(&key, started, RunChange::Started, run.details.clone());
        RunHandle::new(inner.clone(), key, run, started)
    }

    /// Takes over a try that another process handed over ([`RunHandle::hand_over_task`]).
    pub fn take_over_task(&self, context: TaskContext) -> TaskHandle {
        let Some(inner) = &self.0 else { return TaskHandle::off() };
        let (run, task, started) = context.into_task();
        let run = inner.settle(run);
        let run_key = Arc::new(run.key.clone());
        inner.task_event(&run_key, started, TaskChange::Started, &task, task.details.clone());
        TaskHandle::new(inner.clone(), run_key, Arc::new(run), task, started)
    }

    /// The runs that an engine before this one left open, for it to [`adopt`](Self::adopt) or [`abandon`](Self::abandon).
    /// To be asked before this engine starts runs of its own. A run that nobody adopts within a minute is told as lost.
    ///
    /// # Errors
    /// When the spool directory cannot be read.
    pub fn recover(&self) -> io::Result<Vec<Unfinished>> {
        match self.0.as_ref().and_then(|inner| inner.layout.as_ref()) {
            Some(layout) => dagtel_drain::recover(layout),
            None => Ok(Vec::new()),
        }
    }

    /// Takes up a run that was left open. Its tries that were open are told as lost, unless their own processes live.
    pub fn adopt(&self, run: &Unfinished) -> RunHandle {
        let Some(inner) = &self.0 else { return RunHandle::off() };
        let mut described = DagRun::new("", "");
        described.key = (*run.key).clone();
        described.named_namespace = true;
        inner.run_event(&run.key, run.started, RunChange::Started, RunDetails::default());
        RunHandle::new(inner.clone(), run.key.clone(), described, run.started)
    }

    /// Tells that a run that was left open will not go on: it is lost, and its open tries with it.
    pub fn abandon(&self, run: &Unfinished) {
        if let Some(inner) = &self.0 {
            let change = RunChange::Finished(RunState::Lost);
            inner.run_event(&run.key, inner.now(), change, RunDetails::default());
        }
    }

    /// Records an event of the caller's own making: what adapters of other engines use.
    pub fn record(&self, event: Event) {
        if let Some(inner) = &self.0 {
            inner.record(event);
        }
    }

    /// An OpenTelemetry meter, for instruments of the engine's own. They are exported like everything else.
    pub fn meter(&self, name: &'static str) -> Meter {
        match self.0.as_ref().and_then(|inner| inner.meters.as_ref()) {
            Some(meters) => meters.meter(name),
            None => NoopMeterProvider::new().meter(name),
        }
    }

    /// Waits until everything that is final now is sent, usage events among it, or the deadline is over. Returns whether it
    /// was sent.
    pub fn flush(&self, deadline: Duration) -> bool {
        let Some(inner) = &self.0 else { return true };
        let began = Instant::now();
        let sent = inner.flush(deadline, began);
        let left = deadline.saturating_sub(began.elapsed());
        inner.usage.as_ref().is_none_or(|usage| usage.flush(left)) && sent
    }

    /// What became of the usage events that were for the gateway.
    pub fn usage(&self) -> Stats {
        let usage = self.0.as_ref().and_then(|inner| inner.usage.as_ref());
        usage.map_or_else(Stats::default, Usage::stats)
    }

    /// What gives OpenTelemetry's own OTLP/HTTP exporters (of spans, metrics and logs) durable delivery: an HTTP client
    /// that appends each request to the outbox and answers success. `None` when telemetry is off or in memory.
    ///
    /// ```no_run
    /// # use dagtel::Dagtel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use opentelemetry_otlp::{MetricExporter, WithHttpConfig};
    ///
    /// let (dagtel, _guard) = Dagtel::builder("my-engine").install()?;
    /// let client = dagtel.outbox_client().ok_or("telemetry is off")?;
    /// let exporter = MetricExporter::builder().with_http().with_http_client(client).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn outbox_client(&self) -> Option<OutboxClient> {
        self.0.as_ref()?.outbox.clone()
    }

    /// How many spans were made, delivered and dropped so far.
    pub fn spans(&self) -> Tally {
        self.0.as_ref().map_or_else(Tally::default, |inner| inner.counters.tally(dagtel_otlp::Signal::Traces))
    }
}

impl Inner {
    fn flush(&self, deadline: Duration, began: Instant) -> bool {
        let Some(commands) = &self.commands else { return true };
        let (reply, folded) = mpsc::sync_channel(1);
        if commands.send(Command::Flush(reply)).is_err() {
            return false;
        }
        match folded.recv_timeout(deadline) {
            // Another process drains, and sends in its own time.
            Ok(None) | Err(_) => false,
            Ok(Some((statuses, last))) => statuses
                .iter()
                .all(|status| status.wait_until_reached(last, deadline.saturating_sub(began.elapsed()))),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)().into()
    }

    /// Gives a run the builder's namespace unless it has one, and holds its key to the limits, so that ids asked of
    /// the handle are those of the spans.
    pub(crate) fn settle(&self, mut run: DagRun) -> DagRun {
        if !run.named_namespace {
            run.key.namespace = self.namespace.clone();
            run.named_namespace = true;
        }
        let (key, cut) = run.key.clipped();
        run.key = key;
        self.counters.cut(cut);
        run
    }

    /// The same for a try.
    pub(crate) fn settle_task(&self, task: &mut TaskInstance) {
        if task.key.task_id.len() > KEY_BYTES {
            let (key, cut) = task.key.clone().clipped();
            task.key = key;
            self.counters.cut(cut);
        }
    }

    pub(crate) fn record(&self, event: Event) {
        match &self.sink {
            Sink::Disk(journal) => journal.append(event),
            Sink::Memory(journal) => {
                let (event, found) = self.guard.admit(event);
                self.counters.found(found);
                if journal.append(event).is_err() {
                    self.counters.events_dropped(drop_reason::JOURNAL_FULL, 1);
                }
            }
        }
    }

    pub(crate) fn run_queued(&self, key: &Arc<RunKey>, run: &DagRun) {
        if let Some(queued) = run.queued_at {
            self.run_event(key, queued, RunChange::Queued, RunDetails::default());
        }
    }

    pub(crate) fn run_event(&self, key: &Arc<RunKey>, at: Timestamp, change: RunChange, details: RunDetails) {
        let fact = Fact::Run { change, details };
        self.record(Event { run: key.clone(), at, truth: Truth::Reported, fact });
    }

    pub(crate) fn task_event(
        &self,
        run: &Arc<RunKey>,
        at: Timestamp,
        change: TaskChange,
        task: &TaskInstance,
        details: dagtel_core::event::TaskDetails,
    ) {
        let fact = Fact::Task { key: task.key.clone(), change, details };
        self.record(Event { run: run.clone(), at, truth: Truth::Reported, fact });
    }

    /// Whether anybody is told of what is reported.
    pub(crate) fn is_heard(&self) -> bool {
        self.usage.is_some() || !self.listeners.is_empty()
    }

    /// Tells every listener. What a listener does wrong is its own affair.
    pub(crate) fn tell(&self, call: impl Fn(&dyn Listener)) {
        let usage = self.usage.iter().map(|usage| -> &dyn Listener { usage });
        for listener in self.listeners.iter().map(AsRef::as_ref).chain(usage) {
            let _ = catch_unwind(AssertUnwindSafe(|| call(listener)));
        }
    }
}
