//! Recordings of Airflow's hooks, and of event lines: each line is told or complained of once, and what is told goes the
//! whole way.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;

// The module is part of a program, not of a library.
#[path = "../../crates/dagtel-cli/src/recording/mod.rs"]
mod recording;

fuzz_target!(|data: &[u8]| {
    let (mut events, mut last) = (Vec::new(), 0);
    let lines = data.split(|byte| *byte == b'\n').count();
    let read = recording::read(
        Cursor::new(data),
        "fuzz",
        |event| events.push(event),
        |problem| {
            assert!(last < problem.line && problem.line <= lines, "{problem:?} of {lines} lines");
            assert!(!problem.message.is_empty());
            last = problem.line;
        },
    );
    read.expect("memory can be read");
    dagtel_fuzz::follow(events);
});
