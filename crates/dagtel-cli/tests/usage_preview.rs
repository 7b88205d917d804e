//! `dagtel usage preview`: what would be sent where, and why not if not.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::{Ended, command, end, recording};

const GATEWAY: &str = "https://gateway.example/cosmos/{telemetry_version}/{event_type}?{query_string}";
const RUN: &str = r#"{"dag_id": "basic_cosmos_dag", "status": "success",
    "task_modules": ["cosmos.operators.local", "airflow.operators.bash"]}"#;
const TASK: &str = r#"{"status": "failed", "operator_name": "DbtRunLocalOperator", "module": "cosmos.operators.local",
    "dbt_command": ["run", "--vars={pw: x}"], "profile_strategy": "mapping", "profile_mapping_class": "Postgres",
    "database": "postgres", "map_index": 3, "install_deps": false, "duration": 1.5, "invocation_mode": "a/path"}"#;

/// A preview of this file in an environment without switches. Nothing is ever sent by it: the gateway is no host.
fn preview(event: &str, content: &str, more: &[&str], change: impl FnOnce(&mut Command)) -> Ended {
    let file = recording(content);
    let mut command = command();
    for switch in ["AIRFLOW__COSMOS__ENABLE_TELEMETRY", "DO_NOT_TRACK", "SCARF_NO_ANALYTICS"] {
        command.env_remove(switch);
    }
    command
        .args(["usage", "preview", "--force-in-ci", "--event", event, "--file"])
        .arg(file.path())
        .args(more);
    change(&mut command);
    end(&mut command)
}

fn as_json(event: &str, content: &str, more: &[&str]) -> Value {
    let ended = preview(event, content, &[more, &["--json"]].concat(), |_| {});
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    serde_json::from_str(&ended.out).unwrap()
}

fn versions() -> [&'static str; 8] {
    let versions =
        ["--product-version", "1.15.1", "--engine-version", "3.0.2+a", "--runtime-version", "3.11.7"];
    let [a, b, c, d, e, f] = versions;
    ["--gateway", GATEWAY, a, b, c, d, e, f]
}

/// The attributes of a log record in OTLP JSON.
fn attributes(record: &Value) -> Vec<(&str, &Value)> {
    let list = record["attributes"].as_array().unwrap().iter();
    list.map(|entry| (entry["key"].as_str().unwrap(), &entry["value"])).collect()
}

#[test]
fn a_run_is_shown_with_its_url_and_its_log_record() {
    let shown = as_json("dag_run", RUN, &versions());
    let url = shown["gateway"]["url"].as_str().unwrap();
    assert!(
        url.starts_with(
            "https://gateway.example/cosmos/v3/dag_run?cosmos_version=1.15.1&airflow_version=3.0.2%252Ba\
             &python_version=3.11.7&platform_system="
        ),
        "{url}"
    );
    assert!(
        url.ends_with(
            "&dag_hash=6875b74ab06e3beebabe66286afddf1b&status=success&task_count=2&cosmos_task_count=1\
             &execution_modes=local"
        ),
        "{url}"
    );
    assert_eq!((&shown["gateway"]["sent"], &shown["collector"]["sent"]), (&json!(true), &json!(true)));
    assert_eq!((&shown["gateway"]["why_not"], &shown["removed"]), (&Value::Null, &json!([])));
    let record = &shown["collector"]["log_record"];
    assert_eq!((&record["eventName"], &record["severityText"]), (&json!("usage.dag_run"), &json!("INFO")));
    let attributes = attributes(record);
    assert_eq!(attributes.len(), 10);
    assert!(attributes.contains(&("cosmos_task_count", &json!({ "intValue": "1" }))), "{attributes:?}");
}

#[test]
fn what_is_not_allowed_is_named_and_in_neither_route() {
    let shown = as_json("task_instance", TASK, &versions());
    assert_eq!(shown["removed"], json!(["invocation_mode"]));
    let url = shown["gateway"]["url"].as_str().unwrap();
    assert!(url.contains("&dbt_command=run+--vars&") && url.contains("&is_mapped_task=True&"), "{url}");
    assert!(url.ends_with("&duration=1.5") && !url.contains("path") && !url.contains("pw"), "{url}");
    assert!(!shown["collector"].to_string().contains("path"));

    let secret = r#"{"database": "postgres", "mine": 1, "status": "odd"}"#;
    let packed = end(command().args(["metadata", "compress"]).arg(recording(secret).path())).out;
    let run = RUN.replace("\"status\"", &format!("\"metadata\": \"{}\", \"status\"", packed.trim()));
    let shown = as_json("dag_run", &run, &versions());
    assert_eq!(shown["removed"], json!(["mine", "status"]));
    assert!(shown["gateway"]["url"].as_str().unwrap().ends_with("&execution_modes=local&database=postgres"));
}

#[test]
fn every_reason_not_to_send_is_a_sentence() {
    let no_gateway = preview("dag_run", RUN, &[], |_| {}).out;
    assert!(
        no_gateway.contains("gateway: not sent. No gateway is configured, and none is built in.\n"),
        "{no_gateway}"
    );
    assert!(no_gateway.contains("collector: sent\n"), "{no_gateway}");
    let switched_off = preview("dag_run", RUN, &["--no-collector"], |_| {}).out;
    assert!(switched_off.contains("collector: not sent. The route to the collector is switched off.\n"));
    let disabled = preview("dag_run", RUN, &["--enable-telemetry", "False"], |_| {}).out;
    assert_eq!(
        disabled.matches("not sent. Telemetry is disabled by enable_telemetry;").count(),
        2,
        "{disabled}"
    );
    for (variable, why) in [
        ("DO_NOT_TRACK", "The variable DO_NOT_TRACK opts out; to send, unset it."),
        ("SCARF_NO_ANALYTICS", "The variable SCARF_NO_ANALYTICS opts out; to send, unset it."),
    ] {
        let out = preview("dag_run", RUN, &versions(), |command| {
            command.env(variable, "1");
        })
        .out;
        assert_eq!(out.matches(&format!("not sent. {why}\n")).count(), 2, "{out}");
        assert!(
            out.contains("\n  GET https://gateway.example/cosmos/v3/dag_run?"),
            "it is shown all the same"
        );
    }
    let nothing = preview("dag_run", &RUN.replace("cosmos.operators", "acme"), &[], |_| {});
    assert_eq!(
        (nothing.code, nothing.out.as_str()),
        (Some(0), "Nothing is sent: none of it is a task of Cosmos.\n")
    );
}

#[test]
fn in_ci_nothing_is_sent_unless_it_is_forced() {
    let file = recording(RUN);
    let mut command = command();
    let command =
        command.env("CI", "true").args(["usage", "preview", "--event", "dag_run", "--file"]).arg(file.path());
    let out = end(command).out;
    assert!(out.contains("This runs in CI, where nothing is sent unless it is forced."), "{out}");
    assert!(end(command.arg("--force-in-ci")).out.contains("collector: sent"));
}

#[test]
fn for_people_each_metric_has_a_line_and_a_pipe_no_escapes() {
    let out = preview("task_instance", TASK, &versions(), |_| {}).out;
    let expected = [
        "gateway: sent",
        "collector: sent",
        "  usage.task_instance INFO \"task_instance failed\"",
        "    duration                     1.5",
        "    is_mapped_task               true",
        "left out, for only known metrics of the right shape are sent",
        "  invocation_mode",
    ];
    for line in expected {
        assert!(out.lines().any(|shown| shown == line), "{line} is missing in {out}");
    }
    assert!(!out.contains('\u{1b}'));
    let colored = preview("task_instance", TASK, &[], |command| {
        command.env("CLICOLOR_FORCE", "1");
    })
    .out;
    assert!(colored.contains("\u{1b}[1mgateway"), "{colored}");
    let plain = preview("task_instance", TASK, &[], |command| {
        command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    });
    assert!(!plain.out.contains('\u{1b}'), "{}", plain.out);
}

#[test]
fn a_bad_file_is_named_with_what_is_wrong_in_it() {
    let cases = [
        ("dag_run", "{", "EOF"),
        ("dag_run", r#"{"dag_id": "d", "status": "success"}"#, "task_modules"),
        ("dag_run", &RUN.replace("success", "odd"), "`odd`"),
        ("dag_run", &RUN.replace("dag_id", "dag"), "`dag`"),
        (
            "dag_run",
            &RUN.replace("\"status\"", "\"metadata\": \"WzFd\", \"status\""),
            "metadata: the data is no zlib",
        ),
        ("task_instance", &TASK.replace("1.5", "-1"), "duration"),
        ("task_instance", RUN, "dag_id"),
    ];
    for (event, content, why) in cases {
        let ended = preview(event, content, &[], |_| {});
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{content}");
        assert!(ended.err.contains(why) && ended.err.contains("--help"), "{why}: {}", ended.err);
    }
    let ended = end(command().args(["usage", "preview", "--event", "dag_run", "--file", "/not/there"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("/not/there cannot be read"), "{}", ended.err);
}
