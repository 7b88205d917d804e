//! How many tries a second one core folds and encodes.

use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput};

use crate::batch::{Ours, Shape};
use crate::ratio::Table;
use crate::sample::TASKS;

const SHAPE: Shape = Shape::OneRun { links: true };
/// Batches of one round.
const BATCHES: usize = 8;

pub(crate) fn criterion(criterion: &mut Criterion) {
    let (mut ours, mut source) = (Ours::new(SHAPE), Ours::new(SHAPE));
    let mut group = criterion.benchmark_group("fold_rate");
    group.throughput(Throughput::Elements(TASKS as u64));
    group.bench_function("dagtel", |b| {
        b.iter_batched(|| source.events(), |events| ours.encode(events), BatchSize::LargeInput);
    });
    group.finish();
}

pub(crate) fn table(table: &mut Table) {
    let mut ours = Ours::new(SHAPE);
    table.rate("fold_rate: tries folded and encoded, one core", 200_000.0, || {
        let batches: Vec<_> = (0..BATCHES).map(|_| ours.events()).collect();
        let start = Instant::now();
        batches.into_iter().for_each(|batch| {
            ours.encode(batch);
        });
        (BATCHES * TASKS) as f64 / start.elapsed().as_secs_f64()
    });
}
