//! No collector: the engine does not notice, and what it reported waits on disk for the next one that sends.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::time::{Duration, Instant};

use dagtel::{BuildError, Dagtel, Report};
use dagtel_testkit::{Collector, Oracle, Value};
use support::{LONG, ManualClock, TempDir, a_run, builder, nowhere, spool};

const SHORT: Duration = Duration::from_millis(300);

/// A process that reports a run of 51 spans and has no time to wait for its collector.
fn in_a_hurry(endpoint: String, spool: &TempDir) -> Report {
    let (dagtel, guard) = builder(endpoint, spool).shutdown_deadline(SHORT).install().unwrap();
    a_run(&dagtel, "monday", 50);
    let began = Instant::now();
    let report = guard.shutdown().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "the deadline holds: {:?}", began.elapsed());
    report
}

/// A process that reports a run of `tasks + 1` spans and has all the time it needs.
fn in_time(endpoint: String, spool: &TempDir, run_id: &str, tasks: i32) -> Report {
    let (dagtel, guard) = builder(endpoint, spool).install().unwrap();
    a_run(&dagtel, run_id, tasks);
    guard.shutdown().unwrap()
}

#[test]
fn what_cannot_be_delivered_by_the_deadline_stays_on_disk_and_the_next_process_delivers_it_once() {
    let spool = spool();
    let report = in_a_hurry(format!("http://{}", nowhere()), &spool);
    assert!(report.drained);
    assert_eq!((report.spans.produced, report.spans.delivered, report.spans.dropped), (51, 0, 0));
    assert_eq!(report.spans.waiting(), 51);
    assert!(report.metrics.waiting() > 0 && report.metrics.waiting() == report.metrics.produced);
    assert!(report.drops.is_empty(), "{:?}", report.drops);
    assert!(!report.is_complete());
    let error = report.last_error.unwrap();
    assert!(error.contains("refused"), "{error}");

    let collector = Collector::start();
    let report = in_time(collector.endpoint(), &spool, "tuesday", 9);
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.spans.produced, report.spans.delivered), (10, 61), "its own and what was there");
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(61));
    let finished = taken.value("airflow.ti.finish", &[("task_id", "part"), ("state", "success")]);
    assert_eq!(finished, Some(Value::Int(59)), "counters go on where the process before stopped");
    assert_eq!(taken.value("airflow.dagrun.active", &[("dag_id", "shop")]), Some(Value::Int(0)));

    let report = in_time(collector.endpoint(), &spool, "wednesday", 1);
    assert_eq!((report.spans.produced, report.spans.delivered), (2, 2), "nothing is left of before");
    assert_eq!(collector.taken().oracle(), Oracle::each_once(63));
}

#[test]
fn a_process_that_ends_without_its_collector_again_and_again_loses_nothing() {
    let (spool, endpoint) = (spool(), format!("http://{}", nowhere()));
    for run_id in ["1", "2", "3", "4"] {
        let (dagtel, guard) =
            builder(endpoint.clone(), &spool).shutdown_deadline(Duration::ZERO).install().unwrap();
        a_run(&dagtel, run_id, 4);
        assert!(!guard.shutdown().unwrap().is_complete());
    }
    let collector = Collector::start();
    assert!(in_time(collector.endpoint(), &spool, "5", 4).is_complete());
    assert_eq!(collector.taken().oracle(), Oracle::each_once(25));
}

#[test]
fn what_was_taken_without_an_answer_is_sent_again_just_as_it_was() {
    let (spool, collector) = (spool(), Collector::start());
    collector.hold();
    let report = in_a_hurry(collector.endpoint(), &spool);
    assert_eq!((report.spans.waiting(), report.spans.delivered), (51, 0));
    assert!(!report.is_complete());
    assert!(report.last_error.is_some(), "the report says why: {report:?}");
    collector.let_go();
    assert!(in_time(collector.endpoint(), &spool, "tuesday", 0).is_complete());
    let oracle = collector.taken().oracle();
    assert_eq!(
        (oracle.distinct, oracle.versions),
        (52, 0),
        "a span that comes again is the same: {oracle:?}"
    );
}

#[test]
fn what_was_there_before_does_not_make_up_for_what_is_still_waiting() {
    let spool = spool();
    in_a_hurry(format!("http://{}", nowhere()), &spool);
    let collector = Collector::start();
    let (dagtel, guard) = builder(collector.endpoint(), &spool).shutdown_deadline(SHORT).install().unwrap();
    collector.wait_for(|taken| taken.oracle() == Oracle::each_once(51));
    collector.hold();
    a_run(&dagtel, "tuesday", 9);
    let report = guard.shutdown().unwrap();
    assert_eq!((report.spans.produced, report.spans.delivered), (10, 51));
    assert!(!report.is_complete(), "ten spans are on disk: {report:?}");
    collector.let_go();
    assert!(in_time(collector.endpoint(), &spool, "wednesday", 0).is_complete());
    let oracle = collector.taken().oracle();
    assert_eq!((oracle.distinct, oracle.versions), (62, 0));
}

#[test]
fn a_collector_that_comes_late_gets_everything_once() {
    let (spool, addr, clock) = (spool(), nowhere(), ManualClock::new());
    let (dagtel, guard) = builder(format!("http://{addr}"), &spool).clock(clock.reader()).install().unwrap();
    a_run(&dagtel, "monday", 50);
    clock.advance(10_000);
    assert!(!dagtel.flush(SHORT), "nobody is there to take it");
    let collector = Collector::start_at(addr);
    assert!(dagtel.flush(LONG), "the next attempt is a few seconds away at most");
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!(report.last_error.is_some(), "the report tells of the attempts that failed");
    assert_eq!((report.spans.produced, report.spans.delivered), (51, 51));
    assert_eq!(collector.taken().oracle(), Oracle::each_once(51));
}

#[test]
fn the_end_does_not_wait_for_a_collector_that_is_away() {
    let (spool, addr) = (spool(), nowhere());
    let (dagtel, guard) = builder(format!("http://{addr}"), &spool).install().unwrap();
    a_run(&dagtel, "monday", 50);
    drop(dagtel);
    let began = Instant::now();
    let report = guard.shutdown().unwrap();
    assert!(began.elapsed() < LONG / 3, "however long the deadline is: {:?}", began.elapsed());
    assert_eq!((report.spans.waiting(), report.is_complete()), (51, false), "{report:?}");
    let collector = Collector::start_at(addr);
    assert!(in_time(collector.endpoint(), &spool, "tuesday", 0).is_complete());
    assert_eq!(collector.taken().oracle(), Oracle::each_once(52));
}

#[test]
fn an_endpoint_that_is_none_is_an_error_that_says_so() {
    let spool = spool();
    for (endpoint, word) in [("ftp://c:4317", "http://"), ("c:4317", "http://"), ("", "no URL")] {
        let error = Dagtel::builder("engine").endpoint(endpoint).spool(spool.path()).install().unwrap_err();
        assert!(matches!(error, BuildError::Endpoint(_)));
        assert!(error.to_string().contains(word), "{error}");
    }
}
