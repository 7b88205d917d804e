//! Many short-lived writers while nobody drains.

use std::fs;
use std::path::Path;
use std::time::Instant;

use dagtel_spool::{Class, Options, Spool};

const WRITERS: u64 = 1_500;
/// Writers between two counts of what is there.
const STEP: u64 = 5;
const PAYLOAD: usize = 3_000;
/// What a file takes on disk.
const BLOCK: u64 = 4096;
const BUDGET: u64 = 300 * BLOCK;

/// As a process that appends one record: its own spool, its own writer.
fn process(dir: &Path, class: Class) {
    let options = Options::default().with_budget_bytes(BUDGET).with_segment_bytes(64 * 1024);
    let spool = Spool::open(dir, options).expect("a temporary directory");
    // That there is no room is what is looked at here.
    let _ = spool.writer().append(1, class, 1, &[7; PAYLOAD]);
}

fn used(dir: &Path) -> u64 {
    fs::read_dir(dir.join("v1")).expect("a spool").count() as u64 * BLOCK
}

#[test]
fn the_budget_holds_though_most_writers_do_not_look() {
    for class in [Class::Lifecycle, Class::Detail] {
        let dir = tempfile::tempdir().unwrap();
        let mut most = 0;
        let began = Instant::now();
        for _ in 0..WRITERS / STEP {
            (0..STEP).for_each(|_| process(dir.path(), class));
            most = most.max(used(dir.path()));
        }
        println!(
            "{class:?}: {WRITERS} writers, at most {} of {} blocks, {:.0} µs a writer",
            most / BLOCK,
            BUDGET / BLOCK,
            began.elapsed().as_micros() as f64 / WRITERS as f64
        );
        // Between two that look, an eighth of those that are there write at most; a step later it is counted.
        assert!(most <= BUDGET * 5 / 4, "{class:?}: {most} of {BUDGET} bytes");
        assert!(most >= BUDGET / 2, "{class:?}: the budget was never filled, so nothing was tested");
    }
}
