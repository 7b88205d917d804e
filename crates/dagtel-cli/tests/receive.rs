//! An agent that receives: what it takes, what it refuses, and what it says of both.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use dagtel_otlp::Signal;
use dagtel_ship::{Endpoint, Exporter, Protocol, Verdict};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

use support::{GOOD, command};

/// A receiving agent, and where it listens and serves. Killed when it is dropped.
struct Agent {
    child: Child,
    receives: Endpoint,
    serves: String,
}

impl Agent {
    fn start(spool: &std::path::Path) -> Self {
        let mut command = command();
        command.args(["agent", "--receive", "127.0.0.1:0", "--http-port", "0", "--spool"]).arg(spool);
        // Nobody listens there, and nobody has to.
        command.args(["--endpoint", "http://127.0.0.1:9"]);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the agent starts");
        let mut said =
            BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let mut after = |what: &str| {
            said.find_map(|line| line.strip_prefix(what).map(str::to_owned)).expect("the agent says it")
        };
        let serves = after("serving http://");
        let receives = after("receiving events at ").parse().expect("an endpoint");
        // It must never wait for somebody to read what it says.
        std::thread::spawn(move || said.for_each(drop));
        Self { child, receives, serves: serves.trim_end_matches("/metrics").to_owned() }
    }

    fn page(&self) -> String {
        let mut stream = TcpStream::connect(&self.serves).expect("the agent serves");
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n")
            .expect("it reads");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("it answers");
        page
    }

    fn send(&self, signal: Signal, body: Vec<u8>) -> Verdict {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            Exporter::new(self.receives.clone(), Protocol::Grpc).send(signal, body.into()).await
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn record(event_name: &str, body: &str) -> LogRecord {
    let value = Some(any_value::Value::StringValue(body.to_owned()));
    LogRecord { event_name: event_name.to_owned(), body: Some(AnyValue { value }), ..LogRecord::default() }
}

fn request(log_records: Vec<LogRecord>) -> Vec<u8> {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn events() -> Vec<LogRecord> {
    GOOD.lines().map(|line| record("dagtel.event", line)).collect()
}

#[test]
fn events_are_taken_and_everything_else_is_refused_with_a_reason() {
    let spool = tempfile::tempdir().unwrap();
    let agent = Agent::start(spool.path());
    assert!(matches!(agent.send(Signal::Logs, request(events())), Verdict::Accepted));
    let mut mixed = events();
    mixed.insert(1, record("", "a line of a log"));
    mixed.push(record("dagtel.event", "{\"event\":\"dag_run.begun\"}"));
    let verdict = agent.send(Signal::Logs, request(mixed));
    let Verdict::Partial { rejected, reason } = verdict else { panic!("{verdict:?}") };
    assert_eq!(rejected, 2);
    assert!(
        reason.contains("its event name is \"\"") && reason.contains("dagtel agent --forward"),
        "{reason}"
    );
    let verdict = agent.send(Signal::Traces, ExportTraceServiceRequest::default().encode_to_vec());
    let Verdict::Refused { reason } = verdict else { panic!("{verdict:?}") };
    assert!(reason.contains("send spans and metrics to a collector"), "{reason}");

    let lines = [
        "dagtel_received_records_total{outcome=\"taken\"} 8.0",
        "dagtel_received_records_total{outcome=\"refused\"} 2.0",
        "dagtel_events_total 8.0",
        "dagtel_anomalies_total{reason=\"duplicate\"} 4.0",
    ];
    let began = Instant::now();
    let missing = || lines.into_iter().find(|line| !agent.page().contains(line));
    while let Some(line) = missing() {
        assert!(began.elapsed() < Duration::from_secs(20), "no {line} in {}", agent.page());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_agent_forwards_or_receives() {
    let both = ["agent", "--forward", "http://127.0.0.1:9", "--receive", "127.0.0.1:0"];
    assert_eq!(support::dagtel(both).code, Some(2));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, "[agent]\nforward = \"http://127.0.0.1:9\"\nreceive = \"127.0.0.1:0\"\n").unwrap();
    let ended = support::end(command().args(["agent", "--config"]).arg(&file));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("leave out \"forward\" or \"receive\""), "{}", ended.err);
}
