//! One step of a counter with three tags, of a gauge and of a histogram, beside the SDK alone.
//!
//! `kept` is a handle on our side and a ready list of tags on the SDK's; `looked up` gives the tags as texts to ours at
//! every step, while the SDK keeps its list, and `made` lets the SDK make it of those texts as well. The figure of Airflow
//! is not measured here: it is a counter of Airflow 3.3's own package over opentelemetry-python 1.45, one thread, Python
//! 3.11, legacy names off.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dagtel::{Dagtel, Worker};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, MeterProvider as _};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use tempfile::TempDir;

use crate::ratio::{Table, Target};
use crate::sample;

const CALLS: usize = 20_000;
/// Tag sets that are there, so that looking one up is no matter of a map with one entry.
const SETS: usize = 200;
/// Nanoseconds of Airflow's counter.
const AIRFLOW: f64 = 10_800.0;

/// Three tags.
type Tags = [String; 3];

fn tags() -> Vec<Tags> {
    (0..SETS).map(|n| ["default".into(), sample::DAG.into(), sample::task_id(n)]).collect()
}

struct Ours {
    dagtel: Dagtel,
    _worker: Worker,
    _spool: TempDir,
}

impl Ours {
    fn start() -> Self {
        let spool = tempfile::tempdir().expect("a directory for the spool");
        let builder = Dagtel::builder("bench").spool(spool.path()).endpoint("http://127.0.0.1:9");
        let (dagtel, worker) = builder.build().expect("an engine");
        Self { dagtel, _worker: worker, _spool: spool }
    }

    fn counter(&self, [queue, dag, task]: &Tags) -> dagtel::metrics::Counter {
        self.dagtel.metrics().edge_worker_ti_start(queue, dag, task)
    }

    fn histogram(&self, [event, operator, _]: &Tags) -> dagtel::metrics::Histogram {
        self.dagtel.metrics().ol_extract(event, operator)
    }
}

struct Theirs {
    counter: Counter<u64>,
    histogram: Histogram<f64>,
    _provider: SdkMeterProvider,
}

fn key_values([queue, dag, task]: &Tags) -> [KeyValue; 3] {
    [
        KeyValue::new("queue", queue.clone()),
        KeyValue::new("dag_id", dag.clone()),
        KeyValue::new("task_id", task.clone()),
    ]
}

impl Theirs {
    fn start() -> Self {
        let reader =
            PeriodicReader::builder(InMemoryMetricExporter::default()).with_interval(Duration::from_secs(10));
        let provider = SdkMeterProvider::builder().with_reader(reader.build()).build();
        let meter = provider.meter("bench");
        let counter = meter.u64_counter("edge_worker.ti.start").build();
        let histogram = meter.f64_histogram("ol.extract").build();
        Self { counter, histogram, _provider: provider }
    }
}

pub(crate) fn table(table: &mut Table) {
    let (ours, theirs, tags) = (Ours::start(), Theirs::start(), tags());
    let handles: Vec<_> = tags.iter().map(|tags| ours.counter(tags)).collect();
    let lists: Vec<_> = tags.iter().map(key_values).collect();
    let kept = || per_call(|n| black_box(&handles[n]).add(1));
    let looked_up = || per_call(|n| ours.counter(black_box(&tags[n])).add(1));
    let ready = || per_call(|n| theirs.counter.add(1, black_box(&lists[n])));
    let made = || per_call(|n| theirs.counter.add(1, &key_values(black_box(&tags[n]))));
    table.compare("counter: kept / SDK, ready tags", Target::Times(1.3), kept, ready, String::new);
    table.compare("counter: looked up / SDK, ready tags", Target::Times(2.0), looked_up, ready, String::new);
    table.compare("counter: looked up / SDK, tags made", Target::None, looked_up, made, String::new);
    let note = || "peer: Airflow's, as published, not measured".to_owned();
    table.compare("counter: looked up / Airflow", Target::Times(0.02), looked_up, || AIRFLOW, note);
    let timers: Vec<_> = tags.iter().map(|tags| ours.histogram(tags)).collect();
    let second = Duration::from_secs(1);
    table.compare(
        "histogram: kept / SDK, ready tags",
        Target::None,
        || per_call(|n| black_box(&timers[n]).record(second)),
        || per_call(|n| theirs.histogram.record(1.0, black_box(&lists[n]))),
        String::new,
    );
    let off = Dagtel::off();
    table.compare(
        "counter: off / SDK, ready tags",
        Target::None,
        || {
            per_call(|n| {
                let [queue, dag, task] = black_box(&tags[n]);
                black_box(&off).metrics().edge_worker_ti_start(queue, dag, task).add(1);
            })
        },
        ready,
        String::new,
    );
}

/// Nanoseconds of a call, which is told the place of a tag set.
fn per_call(mut call: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..CALLS).for_each(|n| call(n % SETS));
    start.elapsed().as_nanos() as f64 / CALLS as f64
}
