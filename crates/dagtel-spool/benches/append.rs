//! What an append of 300 bytes costs at each durability, and what reading costs.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dagtel_spool::{Class, Durability, Options, Position, Spool};

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append 300 B");
    group.throughput(Throughput::Elements(1));
    for durability in [Durability::Batched, Durability::Process, Durability::Interval, Durability::Always] {
        let dir = tempfile::tempdir().expect("a directory for the spool");
        let options = Options::default().with_durability(durability).with_budget_bytes(256 * 1024 * 1024);
        let spool = Spool::open(dir.path().join("spool"), options).expect("a fresh spool opens");
        let writer = spool.writer();
        if durability == Durability::Always {
            group.sample_size(10);
        }
        group.bench_function(format!("{durability:?}"), |bencher| {
            bencher.iter(|| writer.append(1, Class::Lifecycle, 1, &[7; 300]));
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory for the spool");
    let spool = Spool::open(dir.path().join("spool"), Options::default()).expect("a fresh spool opens");
    let writer = spool.writer();
    for _ in 0..10_000 {
        writer.append(1, Class::Lifecycle, 1, &[7; 300]).expect("there is room");
    }
    let mut reader = spool.reader();
    let stream = reader.streams().expect("the spool is readable")[0].id;
    let mut group = criterion.benchmark_group("read 10,000 x 300 B");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("one batch", |bencher| {
        bencher.iter(|| reader.read(stream, Position::default(), usize::MAX));
    });
    group.finish();
}

criterion_group!(benches, append, read);
criterion_main!(benches);
