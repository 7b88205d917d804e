//! `dagtel replay --print`: what recordings become.

mod support;

use support::{command, end, fixture, print_json, recording, spans, text};

#[test]
fn the_same_recording_gives_the_same_bytes() {
    for (name, expected) in [("mixed_etl.jsonl", 12), ("shop_dbt.jsonl", 13)] {
        let first = print_json(&fixture(name));
        let second = print_json(&fixture(name));
        assert_eq!((first.code, first.err.as_str()), (Some(0), ""), "{name}");
        assert_eq!(first.out, second.out, "{name}");
        assert_eq!(spans(&first.out).len(), expected, "{name}");
    }
}

#[test]
fn files_together_are_the_files_one_by_one() {
    let both = end(command()
        .args(["replay", "--print", "json"])
        .args([fixture("mixed_etl.jsonl"), fixture("shop_dbt.jsonl")]));
    let ids = |out: &str| {
        let mut ids: Vec<_> = spans(out).iter().map(|span| span["spanId"].to_string()).collect();
        ids.sort();
        ids
    };
    let apart = print_json(&fixture("mixed_etl.jsonl")).out + &print_json(&fixture("shop_dbt.jsonl")).out;
    assert_eq!(ids(&both.out), ids(&apart));
    assert_eq!(both.code, Some(0));
}

#[test]
fn a_recording_told_twice_is_told_once() {
    let path = fixture("mixed_etl.jsonl");
    let twice = end(command().args(["replay", "--print", "json"]).args([&path, &path]));
    assert_eq!(twice.out, print_json(&path).out);
}

#[test]
fn a_tree_is_printed_for_people_and_without_escapes_into_a_pipe() {
    let ended = end(command().args(["replay", "--print", "tree"]).arg(fixture("mixed_etl.jsonl")));
    assert_eq!(ended.code, Some(0));
    for word in ["flaky", "try 2", "transform[3]", "because of skipme", "airflow.ti.finish"] {
        assert!(ended.out.contains(word), "{word} is missing in {}", ended.out);
    }
    assert!(!ended.out.contains('\u{1b}'));
    let no_color = command()
        .env("NO_COLOR", "1")
        .env("CLICOLOR_FORCE", "1")
        .args(["replay", "--print", "tree"])
        .arg(fixture("mixed_etl.jsonl"))
        .output();
    assert!(no_color.is_ok_and(|output| !output.stdout.contains(&0x1b)));
}

#[test]
fn the_namespace_is_part_of_the_ids() {
    let path = fixture("mixed_etl.jsonl");
    let other = end(command().args(["replay", "--print", "json", "--namespace", "prod"]).arg(&path));
    let (other, default) = (spans(&other.out), spans(&print_json(&path).out));
    assert_eq!(other.len(), default.len());
    assert_ne!(other[0]["traceId"], default[0]["traceId"]);
}

#[test]
fn event_lines_of_the_published_schema_are_told() {
    let lines = r#"{"event":"dag_run.queued","at":"2026-11-20T21:00:00Z","dag_id":"d","run_id":"r","namespace":"prod","attempt":2}
{"event":"dag_run.started","at":1795208627.5,"dag_id":"d","run_id":"r","namespace":"prod","attempt":2,"edges":[["a","b"]],"attributes":{"team":"bi","n":3,"x":1.5,"ok":true,"l":["p","q"]}}
{"event":"task.started","at":1795208628,"dag_id":"d","run_id":"r","namespace":"prod","attempt":2,"task_id":"a"}
{"event":"task.finished","at":1795208629,"dag_id":"d","run_id":"r","namespace":"prod","attempt":2,"task_id":"a","state":"failed","exception":{"type":"E","message":"m"}}
{"event":"task.finished","at":1795208629,"dag_id":"d","run_id":"r","namespace":"prod","attempt":2,"task_id":"b","try_number":0,"state":"upstream_failed"}
{"event":"dag_run.finished","at":1795208630,"dag_id":"d","run_id":"r","namespace":"prod","attempt":2,"state":"failed"}
"#;
    let ended = print_json(recording(lines).path());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let spans = spans(&ended.out);
    let find =
        |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or(&serde_json::Value::Null);
    assert_eq!(spans.len(), 3);
    assert_eq!(
        (text(find("dag_run.d"), "state"), text(find("dag_run.d"), "team")),
        (Some("failed"), Some("bi"))
    );
    assert_eq!(text(find("task_run.a"), "error.type"), Some("E"));
    let links = find("task_run.b")["links"].as_array().map(Vec::len);
    assert_eq!((text(find("task_run.b"), "state"), links), (Some("upstream_failed"), Some(2)));
}
