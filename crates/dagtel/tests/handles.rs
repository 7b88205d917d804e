//! What an engine reports by handles becomes spans, links, events and metrics.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use dagtel::core::catalog::metric::Metric;
use dagtel::core::fold::Anomaly;
use dagtel::core::metrics::{Metrics, Point};
use dagtel::core::signal::{Span, Status};
use dagtel::core::value::Value;
use dagtel::{DagRun, Dagtel, Exception, InMemory, TaskInstance};
use support::{ManualClock, links, named, only, state, text, value};

fn in_memory() -> (Dagtel, InMemory, ManualClock) {
    let clock = ManualClock::new();
    let (dagtel, memory) = Dagtel::builder("test").clock(clock.reader()).in_memory();
    (dagtel, memory, clock)
}

#[test]
fn what_an_executor_did_with_a_try_is_a_span_of_its_own() {
    let (dagtel, mut memory, clock) = in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    let task = TaskInstance::new("load").executor("CeleryExecutor").map_index(3);
    run.queued(&task);
    clock.advance(400);
    run.start(task).success();
    run.start(TaskInstance::new("unqueued").executor("CeleryExecutor")).success();
    run.success();
    let spans = memory.finish();
    let (task, executor) = (only(&spans, "task_run.load[3]"), only(&spans, "executor.CeleryExecutor"));
    assert_eq!((executor.parent, executor.trace_id), (task.parent, task.trace_id));
    let key = dagtel::core::key::TryKey { map_index: 3, ..dagtel::core::key::TryKey::new("load") };
    let run = dagtel::core::key::RunKey::new("shop", "monday");
    assert_eq!(executor.span_id, dagtel::core::id::executor_span_id(&run, &key));
    assert_eq!(executor.end, task.start);
    assert_eq!(executor.end.seconds_since(executor.start), 0.4);
    assert_eq!((text(executor, "task_id"), text(task, "executor")), (Some("load"), Some("CeleryExecutor")));
    assert_eq!(spans.len(), 4);
}

/// One run in which everything happens that may happen to a task.
fn story() -> (Vec<Span>, InMemory) {
    let (dagtel, mut memory, clock) = in_memory();
    let run = DagRun::new("shop", "monday")
        .run_type("scheduled")
        .queued_at(clock.now())
        .edge("skipme", "after_skip")
        .edge("bad", "after_bad")
        .attribute("team", "bi");
    clock.advance(1000);
    let run = dagtel.start(run);
    let extract = TaskInstance::new("extract").operator("bash").queue("fast").execution_mode("local");
    run.scheduled(&extract);
    clock.advance(100);
    run.queued(&extract);
    clock.advance(400);
    let task = run.start(extract);
    task.set_attribute("rows", 12i64);
    clock.advance(2000);
    task.success();
    for index in 0..2 {
        run.start(TaskInstance::new("part").map_index(index).upstream(["extract"])).success();
    }
    let flaky = TaskInstance::new("flaky").upstream(["part"]);
    run.start(flaky.clone()).retry(Exception::new("HttpError", "503"));
    clock.advance(100);
    let again = run.start(flaky.try_number(2));
    again.deferred();
    clock.advance(50);
    again.resumed();
    again.success();
    run.start("bad").failed("no space left");
    run.start("slow").timed_out(Exception::new("Timeout", "60 s are over"));
    run.upstream_failed("after_bad");
    run.start("skipme").skipped();
    run.skip("after_skip");
    run.set_attribute("rows", 12i64);
    clock.advance(1000);
    run.failed_with(Exception::new("RunError", "2 tasks failed"));
    (memory.finish(), memory)
}

#[test]
fn each_try_and_the_run_is_one_span_with_its_state() {
    let (spans, memory) = story();
    assert_eq!(spans.len(), 11);
    let expected = [
        ("dag_run.shop", "failed"),
        ("task_run.extract", "success"),
        ("task_run.part[0]", "success"),
        ("task_run.part[1]", "success"),
        ("task_run.bad", "failed"),
        ("task_run.slow", "timeout"),
        ("task_run.after_bad", "upstream_failed"),
        ("task_run.skipme", "skipped"),
        ("task_run.after_skip", "skipped"),
    ];
    for (name, word) in expected {
        assert_eq!(state(only(&spans, name)), word, "{name}");
    }
    let tries: Vec<_> = named(&spans, "task_run.flaky").into_iter().map(state).collect();
    assert_eq!(tries, ["up_for_retry", "success"]);
    let root = only(&spans, "dag_run.shop");
    for span in spans.iter().filter(|span| span.name != root.name) {
        assert_eq!((span.trace_id, span.parent), (root.trace_id, Some(root.span_id)));
        assert!(span.end > span.start);
    }
    assert_eq!(memory.anomalies(), []);
}

#[test]
fn links_say_what_a_try_waited_for_retries_and_who_is_to_blame() {
    let (spans, _) = story();
    let part = links(&spans, only(&spans, "task_run.part[1]"));
    assert_eq!(part, [("dependency", "task_run.extract")]);
    let parts = [("dependency", "task_run.part[0]"), ("dependency", "task_run.part[1]")];
    let flaky = named(&spans, "task_run.flaky");
    assert_eq!(links(&spans, flaky[0]), parts);
    assert_eq!(links(&spans, flaky[1]), [&parts[..], &[("retry_of", "task_run.flaky")]].concat());
    assert_eq!(flaky[1].links[2].span_id, flaky[0].span_id);
    let blamed = |name, culprit| {
        let expected = [("dependency", culprit), ("culprit", culprit)];
        assert_eq!(links(&spans, only(&spans, name)), expected, "{name}");
    };
    blamed("task_run.after_bad", "task_run.bad");
    blamed("task_run.after_skip", "task_run.skipme");
    assert_eq!(links(&spans, only(&spans, "task_run.extract")), []);
}

#[test]
fn events_say_when_and_errors_say_why() {
    let (spans, _) = story();
    let events = |span: &Span| span.events.iter().map(|event| event.name).collect::<Vec<_>>();
    assert_eq!(events(only(&spans, "task_run.extract")), ["scheduled", "queued", "started"]);
    assert_eq!(events(named(&spans, "task_run.flaky")[1]), ["started", "deferred", "resumed"]);
    assert_eq!(events(only(&spans, "dag_run.shop")), ["queued", "started", "exception"]);
    let bad = only(&spans, "task_run.bad");
    assert_eq!(events(bad), ["started", "exception"]);
    assert_eq!(
        (text(bad, "error.type"), &bad.status),
        (Some("_OTHER"), &Status::Error("no space left".into()))
    );
    let retried = named(&spans, "task_run.flaky")[0];
    assert_eq!(
        (text(retried, "error.type"), &retried.status),
        (Some("HttpError"), &Status::Error("503".into()))
    );
    for name in ["task_run.after_bad", "task_run.after_skip", "task_run.skipme"] {
        assert_eq!(only(&spans, name).status, Status::Unset, "{name}");
    }
}

#[test]
fn attributes_carry_what_the_engine_said() {
    let (spans, _) = story();
    let root = only(&spans, "dag_run.shop");
    assert_eq!((text(root, "run_type"), text(root, "team")), (Some("scheduled"), Some("bi")));
    assert_eq!(
        (value(root, "rows"), value(root, "task_count")),
        (Some(&Value::Int(12)), Some(&Value::Int(9)))
    );
    assert_eq!(value(root, "execution_modes"), Some(&Value::List(vec!["local".into()])));
    let task = only(&spans, "task_run.extract");
    assert_eq!((text(task, "operator"), text(task, "queue")), (Some("bash"), Some("fast")));
    assert_eq!(value(task, "rows"), Some(&Value::Int(12)));
    assert_eq!(value(task, "duration_s"), Some(&Value::Float(2.0)));
    assert_eq!(value(task, "queued_duration_s"), Some(&Value::Float(0.4)));
    assert_eq!(value(task, "scheduled_duration_s"), Some(&Value::Float(0.1)));
    assert_eq!(value(only(&spans, "task_run.after_bad"), "try_number"), Some(&Value::Int(0)));
}

fn count(metrics: &Metrics, metric: Metric, tags: &[&str]) -> Option<u64> {
    match metrics.get(metric, tags)? {
        Point::Counter(count) => Some(*count),
        Point::Histogram(histogram) => Some(histogram.count()),
        _ => None,
    }
}

#[test]
fn metrics_are_counted_beside_the_spans() {
    let (_, memory) = story();
    let metrics = memory.metrics();
    assert_eq!(count(metrics, Metric::TiStart, &["shop", "extract", "local"]), Some(1));
    assert_eq!(count(metrics, Metric::TiStart, &["shop", "flaky"]), Some(2));
    assert_eq!(count(metrics, Metric::TiStart, &["shop", "after_bad"]), None);
    assert_eq!(count(metrics, Metric::TiFinish, &["shop", "after_bad", "upstream_failed"]), Some(1));
    assert_eq!(count(metrics, Metric::TiFinish, &["shop", "flaky", "up_for_retry"]), Some(1));
    assert_eq!(count(metrics, Metric::TiFailures, &["shop", "flaky"]), Some(1));
    assert_eq!(count(metrics, Metric::TiSuccesses, &["shop", "part"]), Some(2));
    assert_eq!(count(metrics, Metric::OperatorSuccesses, &["shop", "extract", "bash", "local"]), Some(1));
    assert_eq!(count(metrics, Metric::TaskQueuedDuration, &["shop", "extract", "fast", "local"]), Some(1));
    assert_eq!(count(metrics, Metric::DagRunDurationFailed, &["shop", "scheduled"]), Some(1));
    assert_eq!(metrics.get(Metric::DagRunActive, &["shop"]), Some(&Point::Gauge(0)));
}

#[test]
fn spans_come_as_soon_as_they_are_final_and_once() {
    let (dagtel, mut memory, clock) = in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    run.start("a").success();
    let open = run.start("b");
    assert_eq!(memory.spans().iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["task_run.a"]);
    assert_eq!(memory.spans(), []);
    clock.advance(10);
    open.success();
    run.success();
    assert_eq!(memory.spans().len(), 2);
    assert_eq!(memory.finish(), []);
}

#[test]
fn the_first_end_of_a_run_counts() {
    let (dagtel, mut memory, clock) = in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    run.success();
    clock.advance(1);
    run.failed();
    run.clone().cancelled();
    assert!(run.hand_over().is_none(), "a run that has ended is nobody else's to end");
    assert_eq!(state(only(&memory.finish(), "dag_run.shop")), "success");
    assert_eq!(memory.anomalies(), []);
}

#[test]
fn every_end_of_a_run_has_its_state() {
    let (dagtel, mut memory, _) = in_memory();
    dagtel.start(DagRun::new("a", "r")).success();
    dagtel.start(DagRun::new("b", "r")).failed();
    dagtel.start(DagRun::new("c", "r")).skipped();
    dagtel.start(DagRun::new("d", "r")).cancelled();
    let spans = memory.finish();
    assert_eq!(spans.iter().map(state).collect::<Vec<_>>(), ["success", "failed", "skipped", "cancelled"]);
}

#[test]
fn attempts_and_namespaces_are_traces_of_their_own() {
    let clock = ManualClock::new();
    let builder = Dagtel::builder("test").clock(clock.reader()).namespace("prod");
    let (dagtel, mut memory) = builder.in_memory();
    let run = || DagRun::new("shop", "monday");
    for run in [run(), run().attempt(1), run().namespace("staging")] {
        dagtel.start(run).success();
    }
    let spans = memory.finish();
    let mut traces: Vec<_> = spans.iter().map(|span| span.trace_id.to_string()).collect();
    traces.dedup();
    assert_eq!(traces.len(), 3);
    assert_eq!(
        spans.iter().map(|span| span.namespace.as_str()).collect::<Vec<_>>(),
        ["prod", "prod", "staging"]
    );
}

#[test]
fn ids_asked_of_a_handle_are_those_of_the_span_however_long_the_names_are() {
    let long = |c: &str| c.repeat(5000);
    let (dagtel, mut memory, _) = in_memory();
    let run = dagtel.start(DagRun::new(long("d"), long("r")).namespace(long("n")));
    let task = run.start(TaskInstance::new(long("t")));
    let (of_run, of_task) = (run.traceparent().unwrap(), task.traceparent().unwrap());
    task.success();
    let handed_over = run.hand_over_task(TaskInstance::new(long("u"))).unwrap();
    dagtel.take_over_task(handed_over.clone()).success();
    run.success();
    let spans = memory.finish();
    let expected = |span: &Span| format!("00-{}-{}-01", span.trace_id, span.span_id);
    assert_eq!(of_run, expected(&spans[2]));
    assert_eq!(of_task, expected(&spans[0]));
    assert_eq!(handed_over.traceparent(), expected(&spans[1]));
    let cut = memory.anomalies().into_iter().find_map(|(anomaly, n)| (anomaly == Anomaly::Cut).then_some(n));
    assert!(cut.is_some_and(|parts| parts >= 5), "the cut names are counted: {cut:?}");
}

#[test]
fn threads_may_share_a_run() {
    let (dagtel, mut memory, _) = in_memory();
    let run = dagtel.start(DagRun::new("shop", "monday"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let run = &run;
            scope.spawn(move || {
                (0..50).for_each(|n| run.start(TaskInstance::new("t").map_index(thread * 50 + n)).success())
            });
        }
    });
    run.success();
    let spans = memory.finish();
    assert_eq!(spans.len(), 201);
    assert!(spans.iter().all(|span| state(span) == "success"));
}
