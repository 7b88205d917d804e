//! `dagtel view`: what `replay` sends is what it prints.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use support::{command, end, fixture, print_json};

/// A viewer that is ended with the test.
struct Viewer {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    /// Kept open, so that the viewer can write to it.
    _err: BufReader<ChildStderr>,
    endpoint: String,
}

impl Viewer {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command()
            .args(["view", "--grpc-port", "0", "--http-port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("OTLP/gRPC on ").unwrap();
        let endpoint = format!("http://{}", rest.split(',').next().unwrap());
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, out, _err: err, endpoint }
    }

    fn replay(&self, name: &str) {
        let ended = end(command().args(["replay", "--endpoint", &self.endpoint]).arg(fixture(name)));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }

    fn line(&mut self) -> String {
        self.out.next().unwrap().unwrap()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn as_json_it_prints_the_very_requests_that_were_sent() {
    let mut viewer = Viewer::start(&["--json"]);
    viewer.replay("mixed_etl.jsonl");
    for sent in print_json(&fixture("mixed_etl.jsonl")).out.lines() {
        assert_eq!(viewer.line(), sent);
    }
}

#[test]
fn metrics_can_be_left_out() {
    let mut viewer = Viewer::start(&["--json", "--no-metrics"]);
    viewer.replay("mixed_etl.jsonl");
    viewer.replay("shop_dbt.jsonl");
    for trace in ["dag_run.mixed_etl", "dag_run.shop_dbt"] {
        let line = viewer.line();
        assert!(line.contains("resourceSpans") && line.contains(trace), "{line}");
    }
}

#[test]
fn for_people_it_prints_the_tree_without_escapes_into_a_pipe() {
    let mut viewer = Viewer::start(&[]);
    viewer.replay("mixed_etl.jsonl");
    let mut seen = String::new();
    while !seen.contains("airflow.ti.start") {
        seen.push_str(&(viewer.line() + "\n"));
    }
    for word in ["dag_run.mixed_etl", "flaky", "try 2", "because of skipme"] {
        assert!(seen.contains(word), "{word} is missing in {seen}");
    }
    assert!(!seen.contains('\u{1b}'));
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = end(command().args(["view", "--grpc-port", &port, "--http-port", "0"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains(&port), "{}", ended.err);
}
