//! `dagtel id`: the published vectors, and names that want to do harm.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use serde_json::Value;
use support::{dagtel, fixture};

fn arguments(vector: &Value) -> Vec<String> {
    let text = |key: &str| vector[key].as_str().unwrap();
    vec![
        "id".into(),
        format!("--namespace={}", text("namespace")),
        format!("--dag-id={}", text("dag_id")),
        format!("--run-id={}", text("run_id")),
        format!("--attempt={}", vector["attempt"]),
        format!("--task-id={}", text("task_id")),
        format!("--map-index={}", vector["map_index"]),
        format!("--try-number={}", vector["try_number"]),
    ]
}

#[test]
fn every_published_vector_is_printed_as_it_stands() {
    let vectors = std::fs::read_to_string(fixture("id_vectors.json")).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&vectors).unwrap();
    assert!(vectors.len() >= 5);
    for vector in vectors {
        let ended = dagtel(arguments(&vector));
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        assert_eq!(serde_json::from_str::<Value>(&ended.out).unwrap(), vector);
    }
}

#[test]
fn without_a_task_only_the_run_is_named() {
    let ended = dagtel(["id", "--dag-id", "d", "--run-id", "r"]);
    let printed: Value = serde_json::from_str(&ended.out).unwrap();
    let mut keys: Vec<_> = printed.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["attempt", "dag_id", "namespace", "run_id", "run_span_id", "trace_id", "traceparent_run"]
    );
}

#[test]
fn any_name_is_one_line_of_json_each() {
    for name in ["", "\"quoted\"", "line\nbreak", "\u{1b}[2J", "🚀", "--help", &"x".repeat(5000)] {
        let ended = dagtel([
            "id",
            &format!("--dag-id={name}"),
            &format!("--run-id={name}"),
            &format!("--task-id={name}"),
        ]);
        assert_eq!(ended.code, Some(0), "{name:?}");
        let printed: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(printed["dag_id"], name);
        assert!(!ended.out.contains('\u{1b}'));
    }
}

#[test]
fn the_span_of_a_long_name_is_the_one_that_a_replay_makes() {
    let long = "d".repeat(3000);
    let line =
        format!(r#"{{"event":"dag_run.finished","at":5,"dag_id":"{long}","run_id":"r","state":"success"}}"#);
    let recording = support::recording(line);
    let spans = support::spans(&support::print_json(recording.path()).out);
    let printed: Value =
        serde_json::from_str(&dagtel(["id", "--dag-id", &long, "--run-id", "r"]).out).unwrap();
    assert_eq!(spans[0]["spanId"], printed["run_span_id"]);
    assert_eq!(spans[0]["traceId"], printed["trace_id"]);
}
