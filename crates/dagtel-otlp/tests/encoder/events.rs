//! Events as log records, and back.

use std::sync::Arc;

use dagtel_core::event::line::{EventLine, EventName};
use dagtel_core::event::{
    Event, Exception, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::fold::{Fold, Timing};
use dagtel_core::guard::admit;
use dagtel_core::id::{RunIds, task_span_id};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::limits;
use dagtel_core::signal::spans;
use dagtel_core::time::Timestamp;
use dagtel_otlp::{FRAME_ITEMS, Frame, Signal, event_of, events};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;

use super::story::{at, identity};

fn run() -> Arc<RunKey> {
    Arc::new(RunKey::new("sales", "2026-11-20"))
}

fn run_event(change: RunChange, details: RunDetails) -> Event {
    Event { run: run(), at: at(1), truth: Truth::Reported, fact: Fact::Run { change, details } }
}

fn records(frames: &[Frame]) -> Vec<LogRecord> {
    let requests = frames.iter().map(|frame| {
        assert_eq!(frame.signal, Signal::Events);
        ExportLogsServiceRequest::decode(&*frame.body).unwrap()
    });
    let scopes = requests.flat_map(|request| request.resource_logs).flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).collect()
}

fn forwarded(told: &[Event]) -> (Vec<LogRecord>, u32) {
    let admitted: Vec<_> = told.iter().map(|event| admit(event.clone()).0).collect();
    let (frames, cut) = events(&admitted, at(9), &identity());
    (records(&frames), cut)
}

#[test]
fn an_event_comes_out_as_it_went_in() {
    let details = TaskDetails {
        upstream: Some(vec!["extract".into()]),
        exception: Some(Box::new(Exception::new("E", "m"))),
        attributes: vec![("operator".into(), "bash".into()), ("rows".into(), 3i64.into())],
    };
    let key = TryKey { task_id: "load".into(), map_index: 3, try_number: 2 };
    let change = TaskChange::Finished(TaskState::Lost);
    let fact = Fact::Task { key: key.clone(), change, details };
    let told = [
        run_event(RunChange::Started, RunDetails { roster: true, ..RunDetails::default() }),
        Event { run: run(), at: at(7), truth: Truth::Inferred, fact },
    ];
    let (records, cut) = forwarded(&told);
    assert_eq!(cut, 0);
    let ids = RunIds::of(&run());
    let spans = [ids.span_id.to_bytes(), task_span_id(&run(), &key).to_bytes()];
    for ((record, event), span_id) in records.iter().zip(&told).zip(spans) {
        assert_eq!(event_of(record).unwrap(), *event);
        assert_eq!((&record.trace_id[..], &record.span_id[..]), (&ids.trace_id.to_bytes()[..], &span_id[..]));
        assert_eq!(
            (record.time_unix_nano, record.observed_time_unix_nano),
            (event.at.as_nanos(), at(9).as_nanos())
        );
        assert_eq!((record.event_name.as_str(), record.flags), ("dagtel.event", 1));
    }
}

/// A run may have more edges than a record may have bytes.
#[test]
fn many_edges_are_told_by_several_records_and_come_to_the_same() {
    let edge =
        |n: usize| (format!("{n}{}", "u".repeat(100)).into(), format!("{n}{}", "d".repeat(100)).into());
    let details = RunDetails { edges: (0..20_000).map(edge).collect(), ..RunDetails::default() };
    let told = [
        run_event(RunChange::Started, details),
        run_event(RunChange::Finished(RunState::Success), RunDetails::default()),
    ];
    let (records, cut) = forwarded(&told);
    let longest = records.iter().map(LogRecord::encoded_len).max().unwrap();
    assert!(
        records.len() > 10 && longest < 600_000,
        "{} records, the longest of {longest} bytes",
        records.len()
    );
    let fold = |events: Vec<Event>| {
        let mut fold = Fold::new(Timestamp::MIN, Timing::default());
        events.into_iter().for_each(|event| fold.apply(admit(event).0));
        (spans(fold.finish()).collect::<Vec<_>>(), fold.anomalies().clone())
    };
    let received = records.iter().map(|record| event_of(record).unwrap()).collect();
    assert_eq!((fold(received), cut), (fold(told.to_vec()), 0));
}

/// What happened is told even when what else is known of it has no room on a line.
#[test]
fn a_line_that_would_be_too_long_loses_details_and_not_the_fact() {
    // Control characters take six bytes each in JSON.
    let hostile = "\u{1}".repeat(limits::STRING_BYTES);
    let attributes =
        (0..limits::ATTRIBUTES).map(|n| (n.to_string().into(), hostile.clone().into())).collect();
    let (records, cut) =
        forwarded(&[run_event(RunChange::Started, RunDetails { attributes, ..RunDetails::default() })]);
    assert_eq!((records.len(), cut), (1, 1));
    assert_eq!(event_of(&records[0]).unwrap(), run_event(RunChange::Started, RunDetails::default()));
}

#[test]
fn a_request_holds_so_many_records() {
    let started = run_event(RunChange::Started, RunDetails::default());
    let admitted = vec![admit(started).0; FRAME_ITEMS + 1];
    let (frames, _) = events(&admitted, at(0), &identity());
    assert_eq!(frames.iter().map(|frame| frame.items).collect::<Vec<_>>(), [FRAME_ITEMS, 1]);
    assert_eq!(records(&frames).len(), FRAME_ITEMS + 1);
    assert!(events(&[], at(0), &identity()).0.is_empty());
}

#[test]
fn what_is_no_event_says_why() {
    let body = |text: &str| {
        let value = Some(any_value::Value::StringValue(text.to_owned()));
        LogRecord {
            event_name: "dagtel.event".into(),
            body: Some(AnyValue { value }),
            ..LogRecord::default()
        }
    };
    let line = EventLine::from(&run_event(RunChange::Started, RunDetails::default()));
    assert_eq!(line.event, EventName::RunStarted);
    let good = serde_json::to_string(&line).unwrap();
    assert!(event_of(&body(&good)).is_ok());
    let check = |record: LogRecord, part: &str| {
        let error = event_of(&record).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check(LogRecord { event_name: String::new(), ..body(&good) }, "its event name is \"\"");
    check(LogRecord { body: None, ..body(&good) }, "its body is no text");
    check(body(&format!("{good}{}", " ".repeat(limits::LINE_BYTES))), "its body is no text of at most");
    check(body("{}"), "missing field `event`");
    check(body(&good.replace("dag_run.started", "task.started")), "\"task_id\"");
}
