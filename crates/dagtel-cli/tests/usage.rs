//! The rest of the command line: schema, completions, help, and wrong usage.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use serde_json::Value;
use support::dagtel;

#[test]
fn the_schema_is_json_and_names_every_event() {
    let ended = dagtel(["schema"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    let schema: Value = serde_json::from_str(&ended.out).unwrap();
    let (event, metrics) = (&schema["$defs"]["EventLine"], &schema["$defs"]["MetricsLine"]);
    for line in [event, metrics] {
        assert_eq!(line["type"], "object");
        assert!(line["required"].as_array().unwrap().contains(&"event".into()));
    }
    for event in ["queued", "started", "finished", "updated", "handed_over"] {
        for of in ["dag_run", "task"] {
            assert!(ended.out.contains(&format!("\"{of}.{event}\"")), "{of}.{event}");
        }
    }
    for event in ["\"task.scheduled\"", "\"task.deferred\"", "\"task.resumed\""] {
        assert!(ended.out.contains(event), "{event}");
    }
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = dagtel(["completions", shell]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{shell}");
        assert!(ended.out.contains("replay") && ended.out.contains("grpc-port"), "{shell}");
    }
}

#[test]
fn wrong_usage_ends_with_two_and_says_what_is_wrong() {
    let cases: [(&[&str], &str); 13] = [
        (&[], "Usage"),
        (&["dance"], "dance"),
        (&["replay"], "FILE"),
        (&["replay", "--print", "poem", "x"], "poem"),
        (&["replay", "--endpoint", "https://c:4317x", "x"], "c:4317x"),
        (&["id", "--dag-id", "d"], "--run-id"),
        (&["id", "--dag-id", "d", "--run-id", "r", "--try-number", "-1"], "-1"),
        (&["id", "--dag-id", "d", "--run-id", "r", "--map-index", "2"], "--task-id"),
        (&["view", "--grpc-port", "70000"], "70000"),
        (&["usage", "preview", "--event", "dag_run"], "--file"),
        (&["usage", "preview", "--event", "poem", "--file", "x"], "poem"),
        (&["usage", "preview", "--event", "dag_run", "--file", "x", "--gateway", "http://c"], "query_string"),
        (&["metadata", "zip"], "zip"),
    ];
    for (arguments, word) in cases {
        let ended = dagtel(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.err.contains(word), "{arguments:?}: {}", ended.err);
        assert!(!ended.err.contains('\u{1b}'));
    }
}

#[test]
fn help_names_the_exit_codes_and_the_version_is_the_packages() {
    let help = dagtel(["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.out.contains("Exit codes"), "{}", help.out);
    assert_eq!(dagtel(["--version"]).out, concat!("dagtel ", env!("CARGO_PKG_VERSION"), "\n"));
}
