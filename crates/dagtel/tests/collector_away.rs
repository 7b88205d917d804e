//! No collector: the engine does not notice, and nothing is lost without being counted.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::time::Duration;

use dagtel::core::value::SmolStr;
use dagtel::{BuildError, DagRun, Dagtel, TaskInstance};
use dagtel_receiver::Answer;
use dagtel_testkit::{Collector, Oracle};
use support::{ManualClock, nowhere};

fn a_run(dagtel: &Dagtel, tasks: i32) {
    let run = dagtel.start(DagRun::new("shop", "monday"));
    for index in 0..tasks {
        run.start(TaskInstance::new("part").map_index(index)).success();
    }
    run.success();
}

#[test]
fn what_cannot_be_delivered_is_dropped_at_the_deadline_and_counted() {
    let builder = Dagtel::builder("engine").endpoint(format!("http://{}", nowhere()));
    let (dagtel, guard) = builder.shutdown_deadline(Duration::from_millis(200)).install().unwrap();
    a_run(&dagtel, 50);
    let report = guard.shutdown().unwrap();
    assert_eq!((report.spans.produced, report.spans.delivered, report.spans.dropped), (51, 0, 51));
    assert_eq!(report.drops.get(&("traces", "shutdown")), Some(&51));
    assert!(report.metrics.produced > 0 && report.metrics.delivered == 0);
    assert_eq!((report.spans.waiting(), report.metrics.waiting()), (0, 0));
    assert!(!report.is_complete());
    let error = report.last_error.unwrap();
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_collector_that_comes_late_gets_everything_once() {
    let (addr, clock) = (nowhere(), ManualClock::new());
    let builder = Dagtel::builder("engine").endpoint(format!("http://{addr}")).clock(clock.reader());
    let (dagtel, guard) = builder.shutdown_deadline(Duration::from_secs(60)).install().unwrap();
    a_run(&dagtel, 50);
    clock.advance(10_000);
    assert!(!dagtel.flush(Duration::from_millis(300)), "nobody is there to take it");
    let collector = Collector::start_at(addr);
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.spans.produced, report.spans.delivered), (51, 51));
    assert_eq!(collector.taken().oracle(), Oracle::each_once(51));
}

/// Fills the outbox while the first frame is on loan to the sender, which then gets its answer.
fn an_outbox_runs_over(answer: Answer) {
    let (collector, clock) = (Collector::start(), ManualClock::new());
    collector.hold();
    collector.answer_traces([answer]);
    let builder = Dagtel::builder("engine").endpoint(collector.endpoint()).clock(clock.reader());
    let (dagtel, guard) = builder.shutdown_deadline(Duration::from_secs(60)).install().unwrap();
    a_run(&dagtel, 1);
    clock.advance(10_000);
    collector.wait_for_requests(1);
    let text: SmolStr = "x".repeat(4096).into();
    let run = dagtel.start(DagRun::new("large", "monday"));
    for index in 0..180 {
        let task = TaskInstance::new("part").map_index(index);
        let task = (0..100).fold(task, |task, n| task.attribute(format!("k{n}"), text.clone()));
        run.start(task).success();
    }
    run.success();
    clock.advance(10_000);
    for _ in 0..600 {
        if dagtel.spans().produced == 2 + 181 {
            break;
        }
        assert!(!dagtel.flush(Duration::from_millis(100)), "the collector holds its answer");
    }
    collector.let_go();
    let report = guard.shutdown().unwrap();
    assert_eq!(report.spans.produced, 2 + 181);
    let overflow = report.drops.get(&("traces", "outbox_full")).copied().unwrap_or_default();
    assert!(overflow > 0, "{report:?}");
    assert_eq!(report.spans.delivered + report.spans.dropped, report.spans.produced, "{report:?}");
    assert_eq!(report.metrics.delivered + report.metrics.dropped, report.metrics.produced, "{report:?}");
    let taken = collector.taken().oracle();
    assert_eq!(taken, Oracle::each_once(usize::try_from(report.spans.delivered).unwrap()));
}

#[test]
fn an_outbox_that_runs_over_drops_the_oldest_and_the_sums_stay_right() {
    an_outbox_runs_over(Answer::Busy { retry_after: Duration::ZERO });
}

#[test]
fn a_frame_on_loan_is_not_dropped_and_delivered_at_once() {
    an_outbox_runs_over(Answer::Accept);
}

#[test]
fn an_endpoint_that_is_none_is_an_error_that_says_so() {
    for (endpoint, word) in [("https://c:4317", "TLS"), ("c:4317", "http://"), ("", "no URL")] {
        let error = Dagtel::builder("engine").endpoint(endpoint).install().unwrap_err();
        assert!(matches!(error, BuildError::Endpoint(_)));
        assert!(error.to_string().contains(word), "{error}");
    }
}
