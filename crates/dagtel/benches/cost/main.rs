//! What dagtel costs, always beside a peer: criterion's report first, then a table of ratios.
//!
//! `cargo bench -p dagtel [-- <part of a name>]`. The ratios are what is claimed; nanoseconds are of this machine and
//! this hour. `cargo xtask bench` runs the table alone, and those of the other crates.

mod batch;
mod drain_rate;
mod engine_thread;
mod event_to_otlp;
mod fold_rate;
mod guard;
mod instruments;
mod journal;
mod loops;
mod off;
mod ratio;
mod sample;
mod sides;
mod sink;
mod usage;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    if std::env::var_os(ratio::ROWS).is_none() {
        criterion();
    }
    let mut table = ratio::Table::from_args();
    off::table(&mut table);
    instruments::table(&mut table);
    loops::table(&mut table);
    engine_thread::table(&mut table);
    journal::table(&mut table);
    guard::table(&mut table);
    event_to_otlp::table(&mut table);
    fold_rate::table(&mut table);
    drain_rate::table(&mut table);
    usage::table(&mut table);
    table.print();
}

fn criterion() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
        .configure_from_args();
    off::criterion(&mut criterion);
    engine_thread::criterion(&mut criterion);
    event_to_otlp::criterion(&mut criterion);
    fold_rate::criterion(&mut criterion);
    criterion.final_summary();
}
