//! Start and end of a task when telemetry is off, beside a span of OpenTelemetry's when no provider is installed.

use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use dagtel::{DagRun, Dagtel, RunHandle};
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::{Span as _, Tracer as _};

use crate::ratio::{Table, Target};
use crate::sample;

const CALLS: usize = 20_000;

fn ours(run: &RunHandle) {
    black_box(run).start("load").success();
}

fn theirs(tracer: &BoxedTracer) {
    black_box(tracer).start("load").end();
}

fn ours_described(run: &RunHandle, n: usize) {
    black_box(run).start_with(|| sample::task(n)).success();
}

fn theirs_described(tracer: &BoxedTracer, n: usize) {
    let span = tracer.span_builder(sample::task_id(n)).with_attributes(sample::key_values(n));
    black_box(tracer).build(span).end();
}

fn sides() -> (RunHandle, BoxedTracer) {
    (Dagtel::off().start(DagRun::new(sample::DAG, "run")), global::tracer("bench"))
}

pub(crate) fn criterion(criterion: &mut Criterion) {
    let (run, tracer) = sides();
    let mut group = criterion.benchmark_group("off");
    group.bench_function("dagtel/name", |b| b.iter(|| ours(&run)));
    group.bench_function("noop tracer/name", |b| b.iter(|| theirs(&tracer)));
    group.bench_function("dagtel/12 attributes", |b| b.iter(|| ours_described(&run, 7)));
    group.bench_function("noop tracer/12 attributes", |b| b.iter(|| theirs_described(&tracer, 7)));
    group.finish();
}

pub(crate) fn table(table: &mut Table) {
    let (run, tracer) = sides();
    table.compare(
        "off: \"load\" / no provider",
        Target::Times(1.0),
        || per_call(|_| ours(&run)),
        || per_call(|_| theirs(&tracer)),
        String::new,
    );
    table.compare(
        "off: 12 attributes / no provider",
        Target::Times(1.0),
        || per_call(|n| ours_described(&run, n)),
        || per_call(|n| theirs_described(&tracer, n)),
        String::new,
    );
}

fn per_call(mut call: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..CALLS).for_each(&mut call);
    start.elapsed().as_nanos() as f64 / CALLS as f64
}
