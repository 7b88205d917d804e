//! The whole way to encoded OTLP, per task: dagtel's from its events, the SDK's from its `SpanData`.
//!
//! `ready`: the inputs are there when the clock starts, and are used up. `cloned`: they are cloned first, as a stand-in
//! for making them, on both sides. Both sides free what they use up, and what they make, within the time.

use std::time::Instant;

use criterion::{BatchSize, Criterion};

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
        let mut ours = Ours::new(shape);
        let spans = theirs.spans(shape);
        let sizes = sizes(&mut Ours::new(shape), &theirs, shape);
        table.compare(
            &format!("event_to_otlp: {name}, ready"),
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
        table.compare(
            &format!("event_to_otlp: {name}, cloned"),
            Target::Times(1.0),
            || {
                let events = ours.events();
                per_task(|| drop(ours.encode(events.clone())))
            },
            || per_task(|| drop(theirs.encode(spans.clone()))),
            String::new,
        );
    }
    same_spans(table, &theirs);
}

/// The SDK encodes the very spans that dagtel makes: 23 attributes and an event in each.
fn same_spans(table: &mut Table, theirs: &Theirs) {
    let shape = Shape::OneRun { links: true };
    let (mut ours, mut source) = (Ours::new(shape), Ours::new(shape));
    let events = source.events();
    let spans = theirs.same_as(&source.spans(events));
    table.compare(
        "event_to_otlp: 1 run x 512, links, same spans, ready",
        Target::None,
        || {
            let events = ours.events();
            per_task(|| drop(ours.encode(events)))
        },
        || {
            let spans = spans.clone();
            per_task(|| drop(theirs.encode(spans)))
        },
        || "the peer writes all attributes that dagtel adds".to_owned(),
    );
}

fn per_task(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / TASKS as f64
}

fn sizes(ours: &mut Ours, theirs: &Theirs, shape: Shape) -> String {
    let events = ours.events();
    let bytes: usize = ours.encode(events).iter().map(|frame| frame.body.len()).sum();
    let peer: usize = theirs.encode(theirs.spans(shape)).iter().map(Vec::len).sum();
    format!("{} / {} bytes per task", bytes / TASKS, peer / TASKS)
}
