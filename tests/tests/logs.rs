//! Lines of a task through the real collector: in order, with their ids, cut where they are too long.

use std::process::Stdio;
use std::time::{Duration, Instant};

use dagtel_core::id::{RunIds, task_span_id};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::limits::LOG_BODY_BYTES;
use dagtel_system_tests::Stack;
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::command::dagtel;
use dagtel_system_tests::wait::until;
use serde_json::Value;

const LINES: usize = 20_000;
const LONG: usize = 10 * 1024 * 1024;
const LIMIT: Duration = Duration::from_secs(60);

/// A log record as the collector's file has it, with its resource.
struct Record {
    resource: Value,
    record: Value,
}

impl Record {
    fn body(&self) -> &str {
        self.record["body"]["stringValue"].as_str().unwrap_or_default()
    }

    fn attribute(&self, key: &str) -> Option<String> {
        attribute(&self.record["attributes"], key)
    }

    fn time(&self) -> u64 {
        self.record["timeUnixNano"].as_str().and_then(|time| time.parse().ok()).unwrap_or_default()
    }
}

fn attribute(attributes: &Value, key: &str) -> Option<String> {
    let value = &attributes.as_array()?.iter().find(|attribute| attribute["key"] == key)?["value"];
    let text = value["stringValue"].as_str().or_else(|| value["intValue"].as_str());
    text.map(str::to_owned)
}

/// The records of one task, in the order in which the collector wrote them.
fn records(stack: &Stack, task: &str) -> Vec<Record> {
    let mut records = Vec::new();
    for request in stack.log_requests() {
        for group in request["resourceLogs"].as_array().into_iter().flatten() {
            for scope in group["scopeLogs"].as_array().into_iter().flatten() {
                let found = scope["logRecords"].as_array().into_iter().flatten();
                let found = found
                    .map(|record| Record { resource: group["resource"].clone(), record: record.clone() });
                records.extend(found.filter(|record| record.attribute("task_id").as_deref() == Some(task)));
            }
        }
    }
    records
}

/// Runs a script as a task whose lines are recorded, and returns the seconds that it took.
fn exec(spool: &std::path::Path, task: &str, script: &str) -> f64 {
    let mut command = dagtel();
    command.args(["exec", "--dag-id", "logs", "--run-id", "r", "--task-id", task, "--spool"]).arg(spool);
    command.args(["--log-lines", &LINES.to_string(), "--", "sh", "-c", script]);
    let began = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("dagtel can be started");
    assert!(status.success(), "{status}");
    began.elapsed().as_secs_f64()
}

#[test]
fn twenty_thousand_lines_arrive_in_order_and_a_long_one_is_cut() {
    let Some(stack) = Stack::start("lines") else { return };
    let spool = tempfile::tempdir().expect("a temporary directory");
    let _agent = Agent::start(spool.path(), &stack.otlp_grpc());
    let spent = exec(spool.path(), "many", &format!("seq -f 'line %.0f of the task' 1 {LINES}"));
    let began = Instant::now();
    let many = until("all lines", LIMIT, || {
        let records = records(&stack, "many");
        if records.len() >= LINES { Ok(records) } else { Err(format!("{} lines", records.len())) }
    });
    let waited = began.elapsed().as_secs_f64();
    assert_eq!(many.len(), LINES, "each once");
    for (number, record) in many.iter().enumerate() {
        assert_eq!(record.body(), format!("line {} of the task", number + 1));
    }
    assert!(many.is_sorted_by(|a, b| a.time() < b.time()), "by their times too");
    let run = RunKey::new("logs", "r");
    let (trace_id, span_id) = (RunIds::of(&run).trace_id, task_span_id(&run, &TryKey::new("many")));
    let host = attribute(&many[0].resource["attributes"], "host.name");
    let pid = attribute(&many[0].resource["attributes"], "process.pid");
    assert!(host.is_some() && pid.is_some(), "{}", many[0].resource);
    for record in &many {
        assert_eq!(record.record["traceId"], trace_id.to_string());
        assert_eq!(record.record["spanId"], span_id.to_string());
        let ids = ["dag_id", "run_id", "task_id", "map_index", "try_number", "log.iostream"]
            .map(|key| record.attribute(key));
        assert_eq!(ids.map(Option::unwrap_or_default), ["logs", "r", "many", "-1", "1", "stdout"]);
        assert_eq!(attribute(&record.resource["attributes"], "process.pid"), pid);
    }
    let script = format!("head -c {LONG} /dev/zero | tr '\\0' x; echo; printf '\\377 no newline' >&2");
    let long = exec(spool.path(), "long", &script);
    let records = until("the long line", LIMIT, || {
        let records = records(&stack, "long");
        if records.len() >= 2 { Ok(records) } else { Err(format!("{} lines", records.len())) }
    });
    let of = |stream: &str| {
        records
            .iter()
            .find(|record| record.attribute("log.iostream").as_deref() == Some(stream))
            .expect("it is there")
    };
    assert_eq!(of("stdout").body(), "x".repeat(LOG_BODY_BYTES));
    assert_eq!(of("stdout").attribute("body_bytes"), Some(LONG.to_string()));
    assert_eq!(of("stderr").body(), "\u{fffd} no newline");
    println!(
        "logs: {LINES} lines of one task in order through the collector, each once; the command took {spent:.2} s, the last \
         line was there {waited:.2} s later; a line of {LONG} bytes was cut to {LOG_BODY_BYTES} and says so ({long:.2} s)"
    );
}
