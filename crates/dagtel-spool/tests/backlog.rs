//! R11: a backlog of 1 GiB in 10,000 files is opened at once and in little memory.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::time::Instant;

use dagtel_spool::{Class, Durability, Options, Position, Spool};
use support::peak_memory;

#[test]
fn a_gibibyte_of_backlog_is_opened_at_once() {
    const WRITERS: usize = 2500;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let options = Options::default()
        .with_budget_bytes(u64::MAX)
        .with_segment_bytes(107 * 1024)
        .with_durability(Durability::Process);
    let filling = Spool::open(&path, options.clone()).unwrap();
    let payload = vec![1; 106 * 1024];
    for _ in 0..WRITERS {
        let writer = filling.writer();
        for _ in 0..4 {
            writer.append(1, Class::Lifecycle, 1, &payload).unwrap();
        }
    }
    let started = Instant::now();
    let spool = Spool::open(&path, options).unwrap();
    let mut reader = spool.reader();
    let streams = reader.streams().unwrap();
    let first = reader.read(streams[0].id, Position::default(), 1).unwrap();
    let ready = started.elapsed();
    let memory = peak_memory();
    assert_eq!((streams.len(), first.records.len()), (WRITERS, 1));
    let mut records = 0;
    for status in &streams {
        let mut from = Position::default();
        loop {
            let batch = reader.read(status.id, from, 1024 * 1024).unwrap();
            records += batch.records.len();
            from = batch.next;
            if batch.end {
                break;
            }
        }
        reader.release(status.id, from).unwrap();
    }
    let stats = spool.stats();
    assert_eq!((records, stats.files, stats.bytes), (4 * WRITERS, 0, 0));
    let peak = peak_memory();
    assert!(peak <= 64 * 1024 * 1024, "{peak} bytes of memory");
    println!(
        "R11: {} MiB in {} files: ready in {ready:?} with {} MiB resident, read and released after {:?} with {} MiB",
        4 * WRITERS * payload.len() / 1024 / 1024,
        4 * WRITERS,
        memory / 1024 / 1024,
        started.elapsed(),
        peak / 1024 / 1024
    );
}
