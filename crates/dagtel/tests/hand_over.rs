//! A run or a try that one process starts and another one ends, with JSON between them.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use dagtel::core::catalog::metric::Metric;
use dagtel::core::fold::Anomaly;
use dagtel::core::limits::OPEN_RUNS;
use dagtel::core::metrics::Point;
use dagtel::core::signal::Span;
use dagtel::{DagRun, Dagtel, InMemory, RunContext, TaskContext, TaskInstance};
use serde::Serialize;
use serde::de::DeserializeOwned;
use support::{ManualClock, only, state, text};

fn process(clock: &ManualClock) -> (Dagtel, InMemory) {
    Dagtel::builder("test").namespace("prod").clock(clock.reader()).in_memory()
}

fn through_json<T: Serialize + DeserializeOwned>(context: &T) -> T {
    serde_json::from_str(&serde_json::to_string(context).unwrap()).unwrap()
}

fn ids(span: &Span) -> String {
    format!("00-{}-{}-01", span.trace_id, span.span_id)
}

#[test]
fn a_try_that_was_handed_over_has_one_span_over_both_processes() {
    let clock = ManualClock::new();
    let (scheduler, mut at_scheduler) = process(&clock);
    let (worker, mut at_worker) = process(&clock);
    let run = scheduler.start(DagRun::new("shop", "monday"));
    let task = TaskInstance::new("load").operator("bash").try_number(2).map_index(7);
    let context: TaskContext = through_json(&run.hand_over_task(task).unwrap());
    let started = clock.now();
    clock.advance(500);
    let task = worker.take_over_task(context.clone());
    assert_eq!(task.traceparent().as_deref(), Some(context.traceparent()));
    clock.advance(500);
    task.success();
    run.success();
    let (theirs, ours) = (at_worker.finish(), at_scheduler.finish());
    assert_eq!((theirs.len(), ours.len()), (1, 1));
    let span = only(&theirs, "task_run.load[7]");
    assert_eq!((state(span), text(span, "operator"), span.start), ("success", Some("bash"), started.into()));
    assert_eq!(ids(span), context.traceparent());
    assert_eq!(span.namespace, "prod");
    let root = only(&ours, "dag_run.shop");
    assert_eq!((span.trace_id, span.parent), (root.trace_id, Some(root.span_id)));
}

#[test]
fn a_run_that_was_handed_over_has_one_span_over_both_processes() {
    let clock = ManualClock::new();
    let (first, mut at_first) = process(&clock);
    let (second, mut at_second) = process(&clock);
    let run = first.start(DagRun::new("shop", "monday").run_type("manual").attribute("team", "bi"));
    let started = clock.now();
    run.start("extract").success();
    let context: RunContext = through_json(&run.hand_over().unwrap());
    clock.advance(2000);
    let run = second.take_over(context.clone());
    assert_eq!(run.traceparent().as_deref(), Some(context.traceparent()));
    run.start("load").success();
    run.failed();
    let (ours, theirs) = (at_first.finish(), at_second.finish());
    assert_eq!((ours.len(), theirs.len()), (1, 2), "{ours:?}");
    let root = only(&theirs, "dag_run.shop");
    assert_eq!(
        (state(root), text(root, "run_type"), text(root, "team")),
        ("failed", Some("manual"), Some("bi"))
    );
    assert_eq!((root.start, ids(root).as_str()), (started.into(), context.traceparent()));
    assert_eq!(only(&ours, "task_run.extract").parent, Some(root.span_id));
}

#[test]
fn a_try_that_was_taken_over_and_dropped_is_a_failure() {
    let clock = ManualClock::new();
    let (scheduler, mut at_scheduler) = process(&clock);
    let (worker, mut at_worker) = process(&clock);
    let run = scheduler.start(DagRun::new("shop", "monday"));
    let context = through_json(&run.hand_over_task("load").unwrap());
    run.success();
    drop(worker.take_over_task(context));
    assert_eq!(at_scheduler.finish().len(), 1);
    let spans = at_worker.finish();
    let span = only(&spans, "task_run.load");
    assert_eq!((state(span), text(span, "error.type")), ("failed", Some("handle_dropped")));
}

#[test]
fn a_hand_over_within_one_process_is_one_span_as_well() {
    let clock = ManualClock::new();
    let (dagtel, mut memory) = process(&clock);
    let run = dagtel.start(DagRun::new("shop", "monday"));
    let task = run.hand_over_task("load").unwrap();
    let run = dagtel.take_over(run.hand_over().unwrap());
    clock.advance(5);
    dagtel.take_over_task(task).success();
    run.success();
    let spans = memory.finish();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| state(span) == "success"));
}

fn started(memory: &InMemory) -> u64 {
    match memory.metrics().get(Metric::TiStart, &["shop", "load"]) {
        Some(Point::Counter(count)) => *count,
        _ => 0,
    }
}

#[test]
fn a_try_that_was_handed_over_is_counted_once_over_both_processes() {
    let clock = ManualClock::new();
    let (scheduler, mut at_scheduler) = process(&clock);
    let (worker, mut at_worker) = process(&clock);
    let run = scheduler.start(DagRun::new("shop", "monday"));
    let context = run.hand_over_task("load").unwrap();
    at_scheduler.spans();
    clock.advance(500);
    let task = worker.take_over_task(context);
    at_worker.spans();
    clock.advance(500);
    task.success();
    run.success();
    at_scheduler.finish();
    at_worker.finish();
    assert_eq!(started(&at_scheduler) + started(&at_worker), 1);
}

#[test]
fn a_run_that_was_handed_over_is_not_active_for_ever_where_it_began() {
    let clock = ManualClock::new();
    let (first, mut at_first) = process(&clock);
    let context = first.start(DagRun::new("shop", "monday")).hand_over().unwrap();
    at_first.spans();
    let (second, mut at_second) = process(&clock);
    second.take_over(context).success();
    at_first.finish();
    at_second.finish();
    for memory in [&at_first, &at_second] {
        assert_eq!(memory.metrics().get(Metric::DagRunActive, &["shop"]), Some(&Point::Gauge(0)));
    }
}

#[test]
fn a_run_that_was_handed_over_still_knows_when_it_was_queued() {
    let clock = ManualClock::new();
    let (first, _at_first) = process(&clock);
    let (second, mut at_second) = process(&clock);
    let queued = clock.now();
    clock.advance(3000);
    let run = first.start(DagRun::new("shop", "monday").queued_at(queued));
    let context: RunContext = through_json(&run.hand_over().unwrap());
    second.take_over(context).success();
    let spans = at_second.finish();
    let root = only(&spans, "dag_run.shop");
    assert_eq!(root.start, queued.into());
    assert_eq!(root.events[0].name, "queued");
}

#[test]
fn a_run_context_without_a_queue_time_can_be_taken_over() {
    let clock = ManualClock::new();
    let (first, _at_first) = process(&clock);
    let (second, mut at_second) = process(&clock);
    let context: RunContext = through_json(&first.start(DagRun::new("shop", "r")).hand_over().unwrap());
    second.take_over(context).success();
    let spans = at_second.finish();
    let events: Vec<_> = spans[0].events.iter().map(|event| event.name).collect();
    assert_eq!(events, ["started"]);
}

#[test]
fn a_worker_that_only_takes_over_tries_does_not_fill_up() {
    let clock = ManualClock::new();
    let (scheduler, _) = process(&clock);
    let (worker, mut at_worker) = process(&clock);
    let mut spans = 0;
    for number in 0..=OPEN_RUNS {
        let run = scheduler.start(DagRun::new("shop", number.to_string()));
        worker.take_over_task(run.hand_over_task("load").unwrap()).success();
        run.success();
        clock.advance(1);
        if number % 1000 == 0 {
            spans += at_worker.spans().len();
        }
    }
    spans += at_worker.finish().len();
    let full = at_worker.anomalies().into_iter().find(|(anomaly, _)| *anomaly == Anomaly::OverLimit);
    assert_eq!((spans, full), (OPEN_RUNS + 1, None));
}
