//! The whole way to encoded OTLP, per task: dagtel's from its events, the SDK's from its `SpanData`.
//!
//! `same spans`: the SDK's spans have all that dagtel puts into its own; that is what is held against a target. `bare`:
//! they have the engine's twelve attributes only.
//!
//! `ready`: the inputs are there when the clock starts, and are used up. `cloned`: they are cloned first, as a stand-in
//! for making them, on both sides. Both sides free what they use up, and what they make, within the time.

use std::time::Instant;

use criterion::{BatchSize, Criterion};
use opentelemetry_sdk::trace::SpanData;

use crate::batch::{Ours, Shape, Theirs};
use crate::ratio::{Table, Target};
use crate::sample::TASKS;

const SHAPES: [(&str, Shape); 3] = [
    ("1 run x 512", Shape::OneRun { links: false }),
    ("1 run x 512, links", Shape::OneRun { links: true }),
    ("512 runs x 1", Shape::ManyRuns),
];

pub(crate) fn criterion(criterion: &mut Criterion) {
    let theirs = Theirs::new();
    let mut group = criterion.benchmark_group("event_to_otlp");
    for (name, shape) in SHAPES {
        let (mut ours, mut source) = (Ours::new(shape), Ours::new(shape));
        let spans = theirs.spans(shape);
        group.bench_function(format!("dagtel/{name}"), |b| {
            b.iter_batched(|| source.events(), |events| ours.encode(events), BatchSize::LargeInput);
        });
        group.bench_function(format!("sdk/{name}"), |b| {
            b.iter_batched(|| spans.clone(), |spans| theirs.encode(spans), BatchSize::LargeInput);
        });
    }
    group.finish();
}

pub(crate) fn table(table: &mut Table) {
    let theirs = Theirs::new();
    for (name, shape) in SHAPES {
        same_spans(table, name, shape, &theirs);
    }
    for (name, shape) in SHAPES {
        bare_spans(table, name, shape, &theirs);
    }
}

/// The SDK encodes the very spans that dagtel makes: the same attributes, events and links.
fn same_spans(table: &mut Table, name: &str, shape: Shape, theirs: &Theirs) {
    let (mut ours, mut source) = (Ours::new(shape), Ours::new(shape));
    let events = source.events();
    let spans = theirs.same_as(&source.spans(events));
    let sizes = sizes(&mut source, theirs, spans.clone());
    table.compare(
        &format!("event_to_otlp: {name}, same spans, ready"),
        Target::Times(1.0),
        || {
            let events = ours.events();
            per_task(|| drop(ours.encode(events)))
        },
        || {
            let spans = spans.clone();
            per_task(|| drop(theirs.encode(spans)))
        },
        || sizes,
    );
}

/// The SDK encodes spans with the engine's twelve attributes only: what dagtel's conventions cost on top.
fn bare_spans(table: &mut Table, name: &str, shape: Shape, theirs: &Theirs) {
    let mut ours = Ours::new(shape);
    let spans = theirs.spans(shape);
    let sizes = sizes(&mut Ours::new(shape), theirs, spans.clone());
    table.compare(
        &format!("event_to_otlp: {name}, bare, ready"),
        Target::None,
        || {
            let events = ours.events();
            per_task(|| drop(ours.encode(events)))
        },
        || {
            let spans = spans.clone();
            per_task(|| drop(theirs.encode(spans)))
        },
        || format!("dagtel writes 11 attributes and an event more; {sizes}"),
    );
    table.compare(
        &format!("event_to_otlp: {name}, bare, cloned"),
        Target::None,
        || {
            let events = ours.events();
            per_task(|| drop(ours.encode(events.clone())))
        },
        || per_task(|| drop(theirs.encode(spans.clone()))),
        || "the same".to_owned(),
    );
}

fn per_task(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / TASKS as f64
}

fn sizes(ours: &mut Ours, theirs: &Theirs, spans: Vec<Vec<SpanData>>) -> String {
    let events = ours.events();
    let bytes: usize = ours.encode(events).iter().map(|frame| frame.body.len()).sum();
    let peer: usize = theirs.encode(spans).iter().map(Vec::len).sum();
    format!("{} / {} bytes per task", bytes / TASKS, peer / TASKS)
}
