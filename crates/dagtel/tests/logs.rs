//! Lines that tasks log: in order, with the ids of their try, within their limits, and as events of the span on request.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use dagtel::core::id::{RunIds, task_span_id};
use dagtel::core::key::{RunKey, TryKey};
use dagtel::core::limits;
use dagtel::core::signal::LogRecord;
use dagtel::{DagRun, Dagtel, LogLine, Severity, TaskInstance};
use dagtel_testkit::{Collector, text};
use support::{builder, named, spool};

fn body(record: &opentelemetry_proto::tonic::logs::v1::LogRecord) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
    match record.body.as_ref().and_then(|body| body.value.clone()) {
        Some(StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

#[test]
fn lines_arrive_in_order_with_the_ids_of_their_try() {
    const LINES: usize = 2_000;
    let (spool, collector) = (spool(), Collector::start());
    let (dagtel, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    let run = dagtel.start(DagRun::new("sales", "r"));
    let task = run.start(TaskInstance::new("load").map_index(3).try_number(2));
    (0..LINES).for_each(|n| task.log(Severity::Info, format!("line {n}")));
    let attributes = vec![("rows".into(), 7i64.into())];
    task.logger().log_line(LogLine { severity: Severity::Error, body: "over".into(), attributes });
    task.success();
    run.success();
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.logs.produced, report.logs.delivered), (LINES as u64 + 1, LINES as u64 + 1));
    let taken = collector.taken();
    let logs: Vec<_> = taken.logs().collect();
    let bodies: Vec<_> = logs.iter().map(|log| body(log.record)).collect();
    let wanted: Vec<_> = (0..LINES).map(|n| format!("line {n}")).chain(["over".to_owned()]).collect();
    assert!(bodies == wanted, "{} lines, {:?} …", bodies.len(), bodies.first());
    assert!(logs.is_sorted_by(|a, b| a.record.time_unix_nano < b.record.time_unix_nano), "times rise");
    let run = RunKey::new("sales", "r");
    let (ids, key) = (RunIds::of(&run), TryKey { task_id: "load".into(), map_index: 3, try_number: 2 });
    for log in &logs {
        assert_eq!(log.record.trace_id, ids.trace_id.to_bytes());
        assert_eq!(log.record.span_id, task_span_id(&run, &key).to_bytes());
        assert_eq!(text(&log.record.attributes, "task_id"), Some("load"));
        assert_eq!(text(&log.record.attributes, "run_id"), Some("r"));
        assert_eq!(text(log.resource, "service.name"), Some("sales"));
        assert!(text(log.resource, "host.name").is_some());
        assert!(log.resource.iter().any(|attribute| attribute.key == "process.pid"));
    }
    let last = logs.last().unwrap().record;
    assert_eq!(
        (last.severity_text.as_str(), last.attributes.iter().any(|a| a.key == "rows")),
        ("ERROR", true)
    );
}

#[test]
fn starts_and_ends_are_records_when_they_are_wanted() {
    let (spool, collector) = (spool(), Collector::start());
    let (dagtel, guard) = builder(collector.endpoint(), &spool).lifecycle_records(true).install().unwrap();
    let run = dagtel.start(DagRun::new("sales", "r"));
    let task = run.start(TaskInstance::new("load"));
    // While it runs, and only then, a backend can show that it does.
    let running = collector.wait_for(|taken| taken.logs().count() == 2);
    let names = |taken: &dagtel_testkit::Taken| -> Vec<_> {
        taken.logs().map(|log| log.record.event_name.clone()).collect()
    };
    assert_eq!(names(&running), ["dag_run.started", "task.started"]);
    assert_eq!(running.spans().count(), 0);
    task.failed("out of rows");
    run.failed();
    assert!(guard.shutdown().unwrap().is_complete());
    let taken = collector.taken();
    assert_eq!(names(&taken), ["dag_run.started", "task.started", "task.finished", "dag_run.finished"]);
    let finished = taken.logs().nth(2).unwrap().record;
    assert_eq!((body(finished).as_str(), finished.severity_number), ("task load try 1 finished: failed", 17));
    assert_eq!(text(&finished.attributes, "state"), Some("failed"));
}

/// What a task logged, of an engine in memory.
fn logged(log: impl FnOnce(&dagtel::TaskHandle)) -> Vec<LogRecord> {
    let (dagtel, mut memory) = Dagtel::builder("engine").in_memory();
    let run = dagtel.start(DagRun::new("sales", "r"));
    let task = run.start(TaskInstance::new("load"));
    log(&task);
    task.success();
    memory.logs()
}

#[test]
fn a_try_has_so_many_lines_and_the_last_one_says_so() {
    let more = limits::LOG_LINES_PER_TRY as usize + 10;
    let lines = logged(|task| (0..more).for_each(|n| task.log(Severity::Debug, format!("{n}"))));
    assert_eq!(lines.len(), limits::LOG_LINES_PER_TRY as usize);
    let last = lines.last().unwrap();
    assert_eq!(last.severity, Severity::Warn);
    assert!(last.body.contains("100000 lines"), "{}", last.body);
}

#[test]
fn a_long_line_is_cut_and_says_how_long_it_was() {
    let line = logged(|task| task.log(Severity::Info, "x".repeat(10 << 20))).remove(0);
    assert_eq!(line.body.len(), limits::LOG_BODY_BYTES);
    let bytes = line.attributes.iter().find(|(key, _)| key == "body_bytes").map(|(_, value)| value.clone());
    assert_eq!(bytes, Some((10i64 << 20).into()));
}

#[test]
fn the_last_lines_are_events_of_the_span_when_they_are_wanted() {
    let count = limits::LOG_EVENTS + 3;
    let events = |on| {
        let (spool, collector) = (spool(), Collector::start());
        let (dagtel, guard) = builder(collector.endpoint(), &spool).task_log_event(on).install().unwrap();
        let run = dagtel.start(DagRun::new("sales", "r"));
        let task = run.start(TaskInstance::new("load"));
        (0..count).for_each(|n| task.log(Severity::Info, format!("line {n}")));
        task.success();
        run.success();
        drop(guard);
        let taken = collector.taken();
        let span = taken.named("task_run.load")[0].span.clone();
        let lines = span.events.iter().filter(|event| event.name == "log");
        let lines: Vec<_> = lines
            .map(|event| text(&event.attributes, "log.message").unwrap_or_default().to_owned())
            .collect();
        (lines, span.dropped_events_count)
    };
    let (lines, dropped) = events(true);
    assert_eq!((lines.len(), dropped), (limits::LOG_EVENTS, 3));
    assert_eq!(
        (lines[0].as_str(), lines.last().unwrap().as_str()),
        ("line 3", format!("line {}", count - 1).as_str())
    );
    assert_eq!(events(false), (Vec::new(), 0));
}

#[test]
fn a_line_of_a_try_that_nobody_told_of_makes_no_span() {
    let (dagtel, mut memory) = Dagtel::builder("engine").in_memory();
    let run = dagtel.start(DagRun::new("sales", "r"));
    let logger = run.start(TaskInstance::new("load")).logger();
    run.success();
    logger.log(Severity::Info, "after the end");
    let spans = memory.finish();
    assert_eq!((spans.len(), named(&spans, "task_run.load").len()), (2, 1));
    assert_eq!(memory.logs().len(), 1);
    let off = Dagtel::off().start(DagRun::new("d", "r")).start(TaskInstance::new("t"));
    assert!(!off.logger().is_on());
}
