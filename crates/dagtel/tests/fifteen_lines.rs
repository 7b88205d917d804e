//! A toy engine, instrumented: every line that it needs for telemetry is marked, and there are at most fifteen.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use dagtel::{DagRun, Dagtel, TaskInstance}; // telemetry
use dagtel_testkit::{Collector, Oracle, text};

/// A task: its name, what it waits for, and what it does at each try.
struct Task {
    name: &'static str,
    upstream: &'static [&'static str],
    work: fn(u32) -> Result<(), std::num::ParseIntError>,
}

const TRIES: u32 = 2;

const TASKS: [Task; 4] = [
    Task { name: "extract", upstream: &[], work: |_| Ok(()) },
    Task {
        name: "flaky",
        upstream: &["extract"],
        work: |attempt| if attempt == 1 { fails() } else { Ok(()) },
    },
    Task { name: "broken", upstream: &["extract"], work: |_| fails() },
    Task { name: "load", upstream: &["flaky", "broken"], work: |_| Ok(()) },
];

fn fails() -> Result<(), std::num::ParseIntError> {
    "no number".parse::<i32>().map(drop)
}

/// Runs tasks in their order, each up to [`TRIES`] times; what follows a failure does not run.
fn engine(dagtel: &Dagtel, tasks: &[Task]) {
    let mut failed: Vec<&str> = Vec::new();
    let run = dagtel.start(DagRun::new("toy", "1").run_type("manual")); // telemetry
    for task in tasks {
        let described = TaskInstance::new(task.name).upstream(task.upstream.iter().copied()); // telemetry
        if task.upstream.iter().any(|upstream| failed.contains(upstream)) {
            run.upstream_failed(described); // telemetry
            failed.push(task.name);
            continue;
        }
        for attempt in 1..=TRIES {
            let handle = run.start(described.clone().try_number(attempt)); // telemetry
            match (task.work)(attempt) {
                Ok(()) => {
                    handle.success(); // telemetry
                    break;
                }
                Err(error) if attempt < TRIES => handle.retry(&error), // telemetry
                Err(error) => {
                    handle.failed(&error); // telemetry
                    failed.push(task.name);
                }
            }
        }
    }
    if failed.is_empty() { run.success() } else { run.failed() } // telemetry
}

#[test]
fn a_toy_engine_is_instrumented_in_fifteen_lines() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let builder = Dagtel::builder("toy-engine").endpoint(collector.endpoint()).spool(spool.path()); // telemetry
    let (dagtel, guard) = builder.install().unwrap(); // telemetry
    engine(&dagtel, &TASKS);
    drop(guard); // telemetry
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(7));
    let states = |name| {
        let spans = taken.named(name).into_iter();
        spans.map(|spanned| text(&spanned.span.attributes, "state").unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(states("dag_run.toy"), ["failed"]);
    assert_eq!(states("task_run.flaky"), ["up_for_retry", "success"]);
    assert_eq!(states("task_run.broken"), ["up_for_retry", "failed"]);
    assert_eq!(states("task_run.load"), ["upstream_failed"]);
    let marked =
        include_str!("fifteen_lines.rs").lines().filter(|line| line.ends_with("// telemetry")).count();
    assert!((8..=15).contains(&marked), "{marked} lines");
}
