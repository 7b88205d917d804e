//! Log records: every field, what is cut, and how many share a request.

use dagtel_core::guard::{AdmittedLog, admit_log};
use dagtel_core::id::RunIds;
use dagtel_core::key::RunKey;
use dagtel_core::limits;
use dagtel_core::signal::{LogRecord, Severity};
use dagtel_core::value::Value;
use dagtel_otlp::{FRAME_BYTES, FRAME_ITEMS, Frame, Signal, halves};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord as Decoded;
use prost::Message as _;

use super::story::{at, get, identity, string, text};

fn record(body: &'static str) -> LogRecord {
    LogRecord {
        time: at(0),
        observed: at(5),
        event_name: "usage.dag_run".into(),
        severity: Severity::Info,
        body: body.into(),
        attributes: vec![("status".into(), "success".into())],
        span: None,
    }
}

fn admitted(record: LogRecord) -> AdmittedLog {
    admit_log(record).0
}

fn decode(frame: &Frame) -> ExportLogsServiceRequest {
    assert_eq!(frame.signal, Signal::Logs);
    ExportLogsServiceRequest::decode(&*frame.body).unwrap()
}

fn records_of(frame: &Frame) -> Vec<Decoded> {
    let scopes = decode(frame).resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).collect()
}

fn only(record: LogRecord) -> Decoded {
    let frames = dagtel_otlp::logs(&[admitted(record)], &identity());
    assert_eq!((frames.len(), frames[0].items), (1, 1));
    records_of(&frames[0]).remove(0)
}

#[test]
fn what_is_over_the_limits_of_log_records_is_cut_and_counted() {
    let attributes =
        vec![("one".into(), "äöü".into()), ("two".into(), 2i64.into()), ("three".into(), 3i64.into())];
    let mut few = identity();
    few.tags = vec![("env".into(), "prod".into())];
    (few.limits.log.attributes, few.limits.log.characters) = (2, 1);
    let told = admitted(LogRecord { attributes, ..record("a whole body") });
    let decoded = records_of(&dagtel_otlp::logs(&[told], &few)[0]).remove(0);
    assert_eq!(text(&decoded.attributes, "one"), Some("ä"));
    assert_eq!((decoded.attributes.len(), decoded.dropped_attributes_count), (2, 2));
    assert_eq!(decoded.body, Some(string("a whole body")));
}

#[test]
fn every_field_is_where_receivers_look_for_it() {
    let ids = RunIds::of(&RunKey::new("sales", "r"));
    let told = LogRecord {
        span: Some((ids.trace_id, ids.span_id)),
        severity: Severity::Error,
        ..record("it failed")
    };
    let decoded = only(told.clone());
    assert_eq!(decoded.time_unix_nano, told.time.as_nanos());
    assert_eq!(decoded.observed_time_unix_nano, told.observed.as_nanos());
    assert_eq!((decoded.severity_number, decoded.severity_text.as_str()), (17, "ERROR"));
    assert_eq!(decoded.body, Some(string("it failed")));
    assert_eq!(text(&decoded.attributes, "status"), Some("success"));
    assert_eq!(
        (decoded.trace_id, decoded.span_id),
        (ids.trace_id.to_bytes().to_vec(), ids.span_id.to_bytes().to_vec())
    );
    assert_eq!((decoded.flags, decoded.dropped_attributes_count), (1, 0));
    assert_eq!(decoded.event_name, "usage.dag_run");
}

#[test]
fn what_nobody_knows_is_absent() {
    let decoded = only(LogRecord { event_name: "".into(), attributes: Vec::new(), ..record("") });
    assert_eq!((decoded.body, decoded.flags), (None, 0));
    assert!(decoded.trace_id.is_empty() && decoded.span_id.is_empty());
    assert!(decoded.event_name.is_empty() && decoded.attributes.is_empty());
}

#[test]
fn severities_have_opentelemetrys_numbers_and_words() {
    use opentelemetry_proto::tonic::logs::v1::SeverityNumber as Number;
    for (severity, number) in [
        (Severity::Trace, Number::Trace),
        (Severity::Debug, Number::Debug),
        (Severity::Info, Number::Info),
        (Severity::Warn, Number::Warn),
        (Severity::Error, Number::Error),
        (Severity::Fatal, Number::Fatal),
    ] {
        let decoded = only(LogRecord { severity, ..record("x") });
        assert_eq!(decoded.severity_number(), number);
        assert_eq!(format!("SEVERITY_NUMBER_{}", decoded.severity_text), number.as_str_name());
    }
}

#[test]
fn the_resource_is_the_deployment_and_tags_stand_beside_attributes() {
    let mut identity = identity();
    identity.tags = vec![("team".into(), "bi".into()), ("status".into(), "a tag".into())];
    let frames = dagtel_otlp::logs(&[admitted(record("x"))], &identity);
    let request = decode(&frames[0]);
    let resource = &request.resource_logs[0].resource.as_ref().unwrap().attributes;
    assert_eq!(text(resource, "service.name"), Some("deployment"));
    assert_eq!(text(resource, "service.instance.id"), Some("instance-1"));
    assert_eq!(request.resource_logs[0].scope_logs[0].scope.as_ref().unwrap().name, "dagtel");
    let attributes = &records_of(&frames[0])[0].attributes;
    assert_eq!((text(attributes, "team"), text(attributes, "status")), (Some("bi"), Some("success")));
    assert_eq!(attributes.len(), 2);
}

#[test]
fn what_is_too_long_is_cut_and_counted() {
    let long = "x".repeat(100_000);
    let attributes = (0..200).map(|n| (format!("k{n}").into(), Value::from(long.clone()))).collect();
    let huge = LogRecord { body: long.clone().into(), event_name: long.into(), attributes, ..record("") };
    let (record, found) = admit_log(huge);
    // The body, the name, 72 attributes that went and 128 that were cut.
    assert_eq!(found.cut, 202);
    let decoded = records_of(&dagtel_otlp::logs(&[record], &identity())[0]).remove(0);
    assert_eq!(decoded.attributes.len(), limits::ATTRIBUTES);
    assert_eq!(decoded.event_name.len(), limits::TAG_BYTES);
    assert_eq!(decoded.body, Some(string(&"x".repeat(limits::STRING_BYTES))));
    assert!(get(&decoded.attributes, "k127").is_some());
}

#[test]
fn a_request_holds_so_many_and_can_be_halved() {
    let many: Vec<_> = (0..=2 * FRAME_ITEMS).map(|_| admitted(record("x"))).collect();
    let frames = dagtel_otlp::logs(&many, &identity());
    assert_eq!(frames.iter().map(|frame| frame.items).collect::<Vec<_>>(), [FRAME_ITEMS, FRAME_ITEMS, 1]);
    for frame in &frames {
        assert_eq!(records_of(frame).len(), frame.items);
        assert_eq!(decode(frame).encoded_len(), frame.body.len(), "prost writes the same fields");
    }
    let [first, second] = halves(Signal::Logs, &frames[0].body).unwrap();
    assert_eq!(first.items + second.items, FRAME_ITEMS);
    assert!(dagtel_otlp::logs(&[], &identity()).is_empty());

    let long = || LogRecord { attributes: (0..100).map(filled).collect(), ..record("x") };
    let large: Vec<_> = (0..20).map(|_| admitted(long())).collect();
    let frames = dagtel_otlp::logs(&large, &identity());
    assert!(frames.len() > 5, "{} frames", frames.len());
    assert!(frames.iter().all(|frame| frame.body.len() < FRAME_BYTES + 101 * limits::STRING_BYTES));
}

fn filled(number: usize) -> (dagtel_core::value::SmolStr, Value) {
    (format!("k{number}").into(), "x".repeat(limits::STRING_BYTES).into())
}
