//! How fast spans get to a receiver on loopback: dagtel's from the disk, beside OpenTelemetry's from its queue.
//!
//! Three rows, nanoseconds of a span, connecting to the receiver included on both sides:
//! - `outbox`: the frames are on disk; dagtel's shipper reads, merges, compresses and sends them and notes how far it is;
//! - `journal`: the events are on disk; dagtel's drainer reads and folds them, saves its state and fills the outbox, while
//!   the shipper sends. This is the whole of what an agent does;
//! - `outbox, peer plain`: as `outbox`, against a peer that does not compress, which is its default.
//!
//! The peer is `BatchSpanProcessor` with the exporter of `opentelemetry-otlp` over tonic. It is given the very spans that
//! dagtel makes, ready as `SpanData`, in a queue that holds them all. Both sides compress with gzip at tonic's level but
//! for the last row. What came is decoded after each round, so a span that was lost or sent twice shows.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use dagtel::Durability;
use dagtel::core::event::Event;
use dagtel::core::fold::Timing;
use dagtel::core::guard::Guard;
use dagtel_drain::{Drainer, DrainerOptions, Journal, Layout, OutboxWriter};
use dagtel_otlp::{Frame, Identity};
use dagtel_ship::{Destination, Endpoint, Protocol, Shipper, lines};
use opentelemetry_otlp::{Compression, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor as _};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::batch::{Ours, Shape, Theirs};
use crate::ratio::{Table, Target};
use crate::sink::{Arrived, Sink};

const SHAPE: Shape = Shape::OneRun { links: false };
/// Runs of 512 tries in a round, hence 20 520 spans.
const RUNS: usize = 40;
/// After this long a side is given up, and what did not come counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// The spans of a round as each side has them at the start.
struct Load {
    events: Vec<Event>,
    frames: Vec<Frame>,
    spans: Vec<SpanData>,
}

impl Load {
    fn new() -> Self {
        let mut source = Ours::new(SHAPE);
        let batches: Vec<_> = (0..RUNS).map(|_| source.events()).collect();
        let events = batches.iter().flat_map(|batch| batch.clone().into_events()).collect();
        let ours: Vec<_> = batches.into_iter().flat_map(|batch| source.spans(batch)).collect();
        let spans = Theirs::new().same_as(&ours).concat();
        let frames = dagtel_otlp::traces(ours, &identity());
        Self { events, frames, spans }
    }
}

fn identity() -> Identity {
    Identity::new("bench", "1")
}

/// The receiver, and what came of it in all.
struct Road {
    sink: Sink,
    expected: usize,
    wrong: Cell<usize>,
    last: Cell<Arrived>,
}

impl Road {
    fn new(expected: usize) -> Self {
        Self { sink: Sink::start(), expected, wrong: Cell::default(), last: Cell::default() }
    }

    /// Nanoseconds of a span. What came is looked at when the clock has stopped.
    fn time(&self, send: impl FnOnce()) -> f64 {
        let start = Instant::now();
        send();
        let spent = start.elapsed();
        let arrived = self.sink.take();
        self.wrong.set(self.wrong.get() + self.expected.abs_diff(arrived.spans));
        self.last.set(arrived);
        spent.as_nanos() as f64 / self.expected as f64
    }

    fn told(&self) -> String {
        let Arrived { requests, bytes, .. } = self.last.get();
        let wrong = match self.wrong.get() {
            0 => "nothing lost".to_owned(),
            wrong => format!("LOST OR TWICE: {wrong}"),
        };
        format!("{requests} requests, {} bytes a span, {wrong}", bytes / self.expected)
    }

    /// A shipper of this directory's outbox.
    fn shipper(&self, layout: &Layout) -> Shipper {
        let endpoint: Endpoint = self.sink.endpoint().parse().expect("an address is an endpoint");
        let progress = layout.shipped(&endpoint);
        let to = Destination::new(endpoint, Protocol::Grpc, progress);
        let lines = lines(&layout.outbox(), &layout.dead_letters(), vec![to]).expect("a new directory");
        Shipper::start(lines).expect("a thread")
    }
}

fn new_spool() -> (TempDir, Layout) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = Layout::new(dir.path());
    (dir, layout)
}

/// dagtel's way from the outbox.
fn outbox(load: &Load, road: &Road) -> f64 {
    let (_dir, layout) = new_spool();
    let writer = OutboxWriter::open(&layout).expect("a new directory");
    load.frames.iter().for_each(|frame| writer.append(frame.clone()).expect("there is room"));
    drop(writer);
    road.time(|| {
        road.shipper(&layout).stop(PATIENCE);
    })
}

/// dagtel's way from the journal, by the two threads that an agent has.
fn journal(load: &Load, road: &Road) -> f64 {
    let (_dir, layout) = new_spool();
    let writer =
        Journal::open(&layout, Durability::Process, Guard::default(), |reason, _| panic!("{reason}"))
            .expect("a new directory");
    load.events.iter().for_each(|event| writer.append(event.clone()));
    drop(writer);
    let mut options = DrainerOptions::new(identity());
    options.timing = Timing::new(Duration::ZERO, Duration::ZERO);
    road.time(|| {
        let now = SystemTime::now();
        let drainer = Drainer::open(layout.clone(), options, now).expect("a new directory");
        let mut drainer = drainer.expect("nobody else drains it");
        let shipper = road.shipper(&layout);
        while drainer.step(now).expect("it can be read").more {
            shipper.wake();
        }
        shipper.stop(PATIENCE);
    })
}

/// The peer, with the runtime that tonic needs.
struct Peer<'a> {
    load: &'a Load,
    compression: Option<Compression>,
    runtime: Runtime,
}

impl<'a> Peer<'a> {
    fn new(load: &'a Load, compression: Option<Compression>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { load, compression, runtime: runtime.expect("a runtime") }
    }

    fn send(&self, road: &Road) -> f64 {
        let _entered = self.runtime.enter();
        let exporter =
            opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(road.sink.endpoint());
        let exporter = match self.compression {
            Some(compression) => exporter.with_compression(compression),
            None => exporter,
        };
        let exporter = exporter.build().expect("an address is an endpoint");
        let spans = self.load.spans.clone();
        let config = BatchConfigBuilder::default().with_max_queue_size(2 * spans.len()).build();
        let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        processor.set_resource(&Theirs::resource());
        road.time(|| {
            spans.into_iter().for_each(|span| processor.on_end(span));
            // What an error leaves behind shows in what came.
            let _ = processor.shutdown_with_timeout(PATIENCE);
        })
    }
}

pub(crate) fn table(table: &mut Table) {
    row(table, "drain_rate: outbox", Target::Times(0.33), outbox, Some(Compression::Gzip));
    row(table, "drain_rate: journal", Target::None, journal, Some(Compression::Gzip));
    row(table, "drain_rate: outbox, peer plain", Target::None, outbox, None);
}

fn row(
    table: &mut Table,
    what: &str,
    target: Target,
    ours: fn(&Load, &Road) -> f64,
    compression: Option<Compression>,
) {
    if !table.wants(what) {
        return;
    }
    let load = Load::new();
    let (road, theirs) = (Road::new(load.spans.len()), Road::new(load.spans.len()));
    let peer = Peer::new(&load, compression);
    let told = || format!("{}; peer: {}", road.told(), theirs.told());
    table.compare(what, target, || ours(&load, &road), || peer.send(&theirs), told);
}
