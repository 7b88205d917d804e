//! The sides of `engine_thread`: what is called on the engine's thread, and what works in the background.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use dagtel::{DagRun, Dagtel, Guard, RunHandle};
use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};

use crate::sample;

/// How often dagtel's worker looks into its journal.
const TICK: Duration = Duration::from_millis(100);
/// After this long without the last span it is taken for dropped.
const PATIENCE: Duration = Duration::from_secs(3);

/// One side.
pub(crate) trait Side {
    /// What tasks belong to.
    type Run;

    /// Begins a run.
    fn begin(&self) -> Self::Run;
    /// Starts and ends a task: what is measured.
    fn task(&self, run: &Self::Run, n: usize);
    /// Ends the run and waits until the background is done with it, so that it does not disturb the other side.
    fn settle(&self, run: Self::Run, tasks: usize);
    /// Spans that never came out.
    fn lost(&self) -> u64;
}

/// Counts what went in, and what never came out.
#[derive(Default)]
struct Books {
    made: Cell<u64>,
    lost: Cell<u64>,
    runs: Cell<u64>,
}

impl Books {
    fn next_run(&self) -> String {
        self.runs.set(self.runs.get() + 1);
        format!("scheduled__{}", self.runs.get())
    }

    fn settle(&self, tasks: usize, come_out: impl Fn() -> u64) {
        self.made.set(self.made.get() + tasks as u64 + 1);
        let start = Instant::now();
        while come_out() + self.lost.get() < self.made.get() {
            if start.elapsed() > PATIENCE {
                self.lost.set(self.made.get() - come_out());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn task(run: &RunHandle, n: usize) {
    run.start(sample::task(n)).success();
}

/// dagtel, folded in memory by a thread with the worker's rhythm.
pub(crate) struct InMemory {
    dagtel: Dagtel,
    books: Books,
    spans: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    drainer: Option<JoinHandle<()>>,
}

impl InMemory {
    pub(crate) fn start() -> Self {
        let (dagtel, mut memory) = Dagtel::builder("bench").in_memory();
        let (spans, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (spans.clone(), stop.clone());
        let drainer = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                let spans = memory.spans().len();
                count.fetch_add(spans as u64, Ordering::Relaxed);
            }
        });
        Self { dagtel, books: Books::default(), spans, stop, drainer: Some(drainer) }
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let drained = self.drainer.take().map(JoinHandle::join);
        assert!(!matches!(drained, Some(Err(_))), "the drainer panicked");
    }
}

impl Side for InMemory {
    type Run = RunHandle;

    fn begin(&self) -> RunHandle {
        self.dagtel.start(DagRun::new(sample::DAG, self.books.next_run()))
    }

    fn task(&self, run: &RunHandle, n: usize) {
        task(run, n);
    }

    fn settle(&self, run: RunHandle, tasks: usize) {
        run.success();
        self.books.settle(tasks, || self.spans.load(Ordering::Relaxed));
    }

    fn lost(&self) -> u64 {
        self.books.lost.get()
    }
}

/// dagtel as it is installed, with a receiver in this process that throws everything away.
pub(crate) struct Installed {
    dagtel: Dagtel,
    books: Books,
    // In this order: the guard's last requests want a receiver.
    _guard: Guard,
    _receiver: ReceiverThread,
    _spool: Spool,
}

/// A spool directory of the bench's own: in the one that all engines of a host share, others' events would be measured.
struct Spool(PathBuf);

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Installed {
    /// The fold holds a try back for 2 s, so within a round nothing would be sent; with a clock that is this many
    /// times too fast everything is.
    const HASTE: u32 = 16;

    pub(crate) fn start() -> Self {
        let receiver = ReceiverThread::start(ReceiverOptions::any_port(), |_: Received| Answer::Accept)
            .expect("a free port on loopback");
        let address = receiver.grpc_addr().expect("gRPC is on by default");
        let spool = Spool(std::env::temp_dir().join(format!("dagtel-bench-{}", std::process::id())));
        let epoch = SystemTime::now();
        let (dagtel, guard) = Dagtel::builder("bench")
            .endpoint(format!("http://{address}"))
            .spool(&spool.0)
            .clock(move || epoch + epoch.elapsed().unwrap_or_default() * Self::HASTE)
            .install()
            .expect("a valid endpoint");
        Self { dagtel, books: Books::default(), _guard: guard, _receiver: receiver, _spool: spool }
    }
}

impl Side for Installed {
    type Run = RunHandle;

    fn begin(&self) -> RunHandle {
        self.dagtel.start(DagRun::new(sample::DAG, self.books.next_run()))
    }

    fn task(&self, run: &RunHandle, n: usize) {
        task(run, n);
    }

    fn settle(&self, run: RunHandle, tasks: usize) {
        run.success();
        self.books.settle(tasks, || self.dagtel.spans().delivered);
    }

    fn lost(&self) -> u64 {
        self.books.lost.get()
    }
}

/// OpenTelemetry's SDK with its batch processor and an exporter that throws everything away.
pub(crate) struct Sdk {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    exported: Arc<AtomicU64>,
    books: Books,
}

#[derive(Debug)]
struct ToNobody(Arc<AtomicU64>);

impl SpanExporter for ToNobody {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Sdk {
    pub(crate) fn start() -> Self {
        let exported = Arc::new(AtomicU64::new(0));
        // The default queue of 2048 is smaller than a burst; a span that is dropped is cheaper than one that is kept.
        let config = BatchConfigBuilder::default().with_max_queue_size(16_384).build();
        let processor =
            BatchSpanProcessor::builder(ToNobody(exported.clone())).with_batch_config(config).build();
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        let tracer = provider.tracer("bench");
        Self { provider, tracer, exported, books: Books::default() }
    }

    pub(crate) fn tracer(&self) -> &SdkTracer {
        &self.tracer
    }

    /// Waits until everything is exported.
    pub(crate) fn flush(&self) {
        self.provider.force_flush().expect("the processor runs");
    }
}

impl Side for Sdk {
    type Run = Context;

    fn begin(&self) -> Context {
        Context::new().with_span(self.tracer.start(self.books.next_run()))
    }

    fn task(&self, run: &Context, n: usize) {
        let span = self.tracer.span_builder(sample::task_id(n)).with_attributes(sample::key_values(n));
        self.tracer.build_with_context(span, run).end();
    }

    fn settle(&self, run: Context, tasks: usize) {
        run.span().end();
        self.flush();
        self.books.settle(tasks, || self.exported.load(Ordering::Relaxed));
    }

    fn lost(&self) -> u64 {
        self.books.lost.get()
    }
}
