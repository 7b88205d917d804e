//! Several processes on one spool directory: one of them drains it for all.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::time::{Duration, Instant};

use dagtel::Dagtel;
use dagtel_testkit::{Collector, Oracle, Value};
use support::{LONG, a_run, builder, spool};

/// Waits until this process drains.
fn wait_until_it_drains(dagtel: &Dagtel) {
    let began = Instant::now();
    while !dagtel.flush(LONG) {
        assert!(began.elapsed() < LONG, "it never drains");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_second_stands_by_and_the_first_delivers_for_both() {
    let (spool, collector) = (spool(), Collector::start());
    let (first, first_guard) = builder(collector.endpoint(), &spool).install().unwrap();
    wait_until_it_drains(&first);
    let (second, second_guard) = builder(collector.endpoint(), &spool).install().unwrap();
    a_run(&first, "of the first", 4);
    a_run(&second, "of the second", 9);
    assert!(!second.flush(LONG), "it does not send, so it cannot tell");
    drop(second);
    let report = second_guard.shutdown().unwrap();
    assert!(!report.drained && !report.is_complete(), "{report:?}");
    assert_eq!((report.spans.produced, report.spans.delivered, report.spans.dropped), (0, 0, 0));
    assert!(report.drops.is_empty());
    assert_eq!(report.last_error, None, "standing by is no error");
    let report = first_guard.shutdown().unwrap();
    assert!(report.drained && report.is_complete(), "{report:?}");
    assert_eq!((report.spans.produced, report.spans.delivered), (15, 15));
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(15));
    let finished = taken.value("airflow.ti.finish", &[("task_id", "part"), ("state", "success")]);
    assert_eq!(finished, Some(Value::Int(13)));
}

#[test]
fn the_first_delivers_while_the_second_lives() {
    let (spool, collector) = (spool(), Collector::start());
    let (first, first_guard) = builder(collector.endpoint(), &spool).install().unwrap();
    wait_until_it_drains(&first);
    let (second, second_guard) = builder(collector.endpoint(), &spool).install().unwrap();
    a_run(&second, "of the second", 9);
    assert_eq!(
        collector.wait_for(|taken| taken.spans().count() >= 10).oracle(),
        Oracle::each_once(10),
        "once it is final, without the end of anybody"
    );
    drop((second, second_guard, first, first_guard));
    assert_eq!(collector.taken().oracle(), Oracle::each_once(10));
}

#[test]
fn the_second_takes_over_when_the_first_ends() {
    let (spool, collector) = (spool(), Collector::start());
    let (first, first_guard) = builder(collector.endpoint(), &spool).install().unwrap();
    wait_until_it_drains(&first);
    let (second, second_guard) = builder(collector.endpoint(), &spool).install().unwrap();
    a_run(&first, "1", 4);
    a_run(&second, "2", 4);
    drop(first);
    let first_report = first_guard.shutdown().unwrap();
    assert!(first_report.drained, "{first_report:?}");
    a_run(&second, "3", 4);
    wait_until_it_drains(&second);
    a_run(&second, "4", 4);
    drop(second);
    let report = second_guard.shutdown().unwrap();
    assert!(report.drained && report.is_complete(), "{report:?}");
    assert_eq!(first_report.spans.produced + report.spans.produced, 20);
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(20));
    let finished = taken.value("airflow.ti.finish", &[("task_id", "part"), ("state", "success")]);
    assert_eq!(finished, Some(Value::Int(16)));
}

#[test]
fn the_end_of_one_does_not_close_what_another_has_open() {
    let (spool, collector) = (spool(), Collector::start());
    let short = Duration::from_millis(500);
    let (first, first_guard) =
        builder(collector.endpoint(), &spool).shutdown_deadline(short).install().unwrap();
    wait_until_it_drains(&first);
    let (second, second_guard) = builder(collector.endpoint(), &spool).install().unwrap();
    let run = second.start(dagtel::DagRun::new("shop", "long"));
    let task = run.start("part");
    drop(first);
    let began = Instant::now();
    first_guard.shutdown().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(collector.taken().oracle(), Oracle::default(), "nothing has an end yet");
    task.success();
    run.success();
    wait_until_it_drains(&second);
    drop(second);
    let report = second_guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(2));
    for spanned in taken.spans() {
        assert_eq!(dagtel_testkit::text(&spanned.span.attributes, "state"), Some("success"));
    }
}
