//! The real parts start, answer, survive a restart, show what they are sent, and leave nothing behind.

use dagtel_system_tests::{Stack, prometheus::check_metrics};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(20);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn all_three_start_and_end() {
    let Some(mut stack) = Stack::start("all_three_start_and_end") else { return };
    assert_eq!(stack.traces().services(), Ok(Vec::new()));
    stack.series().wait_for("sum(up)", |samples| samples[..].iter().any(|up| up.value == 2.0), LIMIT);
    check_metrics(&stack.metrics_page().unwrap()).unwrap();

    let before = stack.collector.pid();
    stack.collector.kill();
    assert!(!stack.collector.is_running());
    assert!(stack.metrics_page().is_err(), "a killed collector answers nobody");
    stack.collector.start();
    assert_ne!(stack.collector.pid(), before);
    stack.metrics_page().unwrap();

    let parts = [stack.collector.pid(), stack.jaeger.pid(), stack.prometheus.pid()];
    let directory = stack.directory().to_owned();
    drop(stack);
    for pid in parts.into_iter().flatten() {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is still there");
    }
    assert!(!directory.exists(), "the directory of a passed test is removed");
}

#[test]
fn what_is_sent_is_shown() {
    let Some(stack) = Stack::start("what_is_sent_is_shown") else { return };
    send(&stack, "traces", &traces());
    send(&stack, "metrics", &metrics());

    let trace = stack.traces().wait_for_trace(TRACE, |trace| trace.spans.len() == 2, LIMIT);
    let (run, task) = (trace.span("dag_run.etl"), trace.span("task_run.load"));
    assert_eq!((run.parent(), task.parent()), (None, Some(run.id.as_str())));
    assert_eq!(task.links().map(|link| link.span_id.as_str()).collect::<Vec<_>>(), ["00000000000000aa"]);
    assert_eq!((task.start_us, task.duration_us), (1_700_000_000_000_000, 1_500_000));
    assert_eq!((task.service.as_str(), &task.tags["task_id"]), ("etl", &json!("load")));
    assert_eq!(task.logs[0].fields["event"], json!("queued"));
    assert_eq!(stack.traces().services(), Ok(vec!["etl".to_owned()]));
    let listed = stack.traces().traces_of("etl", 10).unwrap();
    assert_eq!(listed.iter().map(|trace| trace.id.as_str()).collect::<Vec<_>>(), [TRACE]);

    // The names and labels that the documentation promises, and no label of the exporter's own making.
    let finished = stack.series().wait_for("airflow_ti_finish_total", |samples| !samples.is_empty(), LIMIT);
    let labels: Vec<_> = finished[0].labels.keys().map(String::as_str).collect();
    assert_eq!(labels, ["__name__", "dag_id", "instance", "job", "state", "task_id"]);
    assert_eq!((finished[0].label("job"), finished[0].label("instance")), ("scheduler", "scheduler-1"));
    assert_eq!((finished[0].label("state"), finished[0].value), ("success", 3.0));
    for (query, value) in
        [("airflow_task_duration_seconds_count", 2.0), ("airflow_task_duration_seconds_sum", 4.5)]
    {
        assert_eq!(stack.series().query(query).unwrap()[0].value, value, "{query}");
    }
}

fn send(stack: &Stack, signal: &str, request: &Value) {
    let answer = ureq::post(format!("{}/v1/{signal}", stack.otlp_http())).send_json(request);
    assert!(answer.is_ok(), "the collector refused the {signal}: {answer:?}");
}

fn traces() -> Value {
    let span = |id: &str, parent: &str, name: &str| {
        json!({
            "traceId": TRACE, "spanId": id, "parentSpanId": parent, "name": name,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001500000000",
        })
    };
    let mut task = span("00000000000000bb", "00000000000000aa", "task_run.load");
    task["attributes"] = json!([attribute("task_id", "load")]);
    task["links"] = json!([{"traceId": "1af7651916cd43dd8448eb211c80319c", "spanId": "00000000000000aa"}]);
    task["events"] = json!([{"timeUnixNano": "1700000000100000000", "name": "queued"}]);
    let spans = json!([span("00000000000000aa", "", "dag_run.etl"), task]);
    json!({"resourceSpans": [{
        "resource": {"attributes": [attribute("service.name", "etl")]},
        "scopeSpans": [{"spans": spans}],
    }]})
}

fn metrics() -> Value {
    let labels =
        json!([attribute("dag_id", "etl"), attribute("task_id", "load"), attribute("state", "success")]);
    let now = "1700000001500000000";
    let start = "1700000000000000000";
    let finish = json!({"name": "airflow.ti.finish", "sum": {
        "aggregationTemporality": 2, "isMonotonic": true,
        "dataPoints": [{"asInt": "3", "attributes": labels, "startTimeUnixNano": start, "timeUnixNano": now}],
    }});
    let duration = json!({"name": "airflow.task.duration", "unit": "s", "histogram": {
        "aggregationTemporality": 2,
        "dataPoints": [{"count": "2", "sum": 4.5, "explicitBounds": [1.0, 10.0], "bucketCounts": ["1", "1", "0"],
            "attributes": labels, "startTimeUnixNano": start, "timeUnixNano": now}],
    }});
    json!({"resourceMetrics": [{
        "resource": {"attributes": [
            attribute("service.name", "scheduler"), attribute("service.instance.id", "scheduler-1"),
            attribute("host.name", "not-a-label"),
        ]},
        "scopeMetrics": [{"scope": {"name": "dagtel", "version": "1"}, "metrics": [finish, duration]}],
    }]})
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}
