//! `dagtel replay --endpoint`: delivered, or a reason why not.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::path::Path;
use std::time::Duration;

use dagtel_receiver::Answer;
use dagtel_testkit::{Collector, Oracle, Value, text};
use support::{Ended, GOOD, command, end, fixture, recording};

fn send(path: &Path, endpoint: &str) -> Ended {
    end(command().args(["replay", "--endpoint", endpoint]).arg(path))
}

#[test]
fn a_recording_is_delivered_and_its_traces_are_named() {
    let collector = Collector::start();
    let ended = send(&fixture("mixed_etl.jsonl"), &collector.endpoint());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let taken = collector.taken();
    assert_eq!(taken.oracle(), Oracle::each_once(12));
    let root = taken.named("dag_run.mixed_etl")[0];
    assert_eq!(text(root.resource, "service.name"), Some("mixed_etl"));
    let trace_id: String = root.span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(ended.out.contains(&trace_id) && ended.out.contains("12 spans"), "{}", ended.out);
    assert!(ended.out.contains(&collector.endpoint()), "{}", ended.out);
    let retried = taken.value("airflow.ti.finish", &[("task_id", "flaky"), ("state", "up_for_retry")]);
    assert_eq!(retried, Some(Value::Int(1)));
}

#[test]
fn a_recording_sent_twice_is_the_same_to_the_last_bit() {
    let collector = Collector::start();
    for _ in 0..2 {
        assert_eq!(send(&fixture("shop_dbt.jsonl"), &collector.endpoint()).code, Some(0));
    }
    let oracle = collector.taken().oracle();
    assert_eq!((oracle.distinct, oracle.copies, oracle.versions), (13, 13, 0));
}

#[test]
fn good_lines_are_delivered_beside_bad_ones() {
    let collector = Collector::start();
    let ended = send(recording(GOOD.to_owned() + "broken\n").path(), &collector.endpoint());
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("line 5: "), "{}", ended.err);
    assert_eq!(collector.taken().oracle(), Oracle::each_once(2));
}

#[test]
fn a_collector_that_is_away_is_named_with_the_reason() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let ended = send(&fixture("mixed_etl.jsonl"), &endpoint);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains(&endpoint) && ended.err.contains("refused"), "{}", ended.err);
}

#[test]
fn a_busy_collector_is_asked_again() {
    let collector = Collector::start();
    let busy = || Answer::Busy { retry_after: Duration::ZERO };
    collector.answer_traces([busy(), busy()]);
    assert_eq!(send(&fixture("mixed_etl.jsonl"), &collector.endpoint()).code, Some(0));
    assert_eq!(collector.taken().oracle(), Oracle::each_once(12));
}

#[test]
fn what_the_collector_says_against_it_is_told() {
    let answers = [
        Answer::Refuse { message: "not from you".into() },
        Answer::Partial { rejected: 2, message: "not from you".into() },
    ];
    for answer in answers {
        let collector = Collector::start();
        collector.answer_traces([answer]);
        let ended = send(&fixture("mixed_etl.jsonl"), &collector.endpoint());
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
        assert!(ended.err.contains("not from you"), "{}", ended.err);
    }
}

#[test]
fn names_that_want_to_do_harm_do_not_reach_the_terminal() {
    let collector = Collector::start();
    let content = GOOD.replace("\"good\"", r#""\u001b]0;title\u0007\nerror: all is lost""#);
    let ended = send(recording(content).path(), &collector.endpoint());
    assert_eq!(ended.code, Some(0));
    assert!(!ended.out.chars().any(|c| c.is_control() && c != '\n'), "{:?}", ended.out);
    assert_eq!(ended.out.lines().count(), 2, "{:?}", ended.out);
}

#[test]
fn the_endpoint_may_come_from_the_environment() {
    let collector = Collector::start();
    let ended = end(command()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .arg("replay")
        .arg(recording(GOOD).path()));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(collector.taken().oracle(), Oracle::each_once(2));
}
