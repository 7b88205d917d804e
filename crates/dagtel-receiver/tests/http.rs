//! OTLP/HTTP: protobuf, JSON and gzip arrive, and the answer is in the format of the request.

mod support;

use std::time::Duration;

use dagtel_receiver::{Answer, Received};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use support::{Fake, JSON, PROTOBUF, gzip, logs, metrics, traces};

#[test]
fn all_three_signals_arrive_as_protobuf() {
    let fake = Fake::accepting();
    let sent = [
        ("/v1/traces", traces("a").encode_to_vec(), Received::Traces(traces("a"))),
        ("/v1/metrics", metrics("m").encode_to_vec(), Received::Metrics(metrics("m"))),
        ("/v1/logs", logs("l").encode_to_vec(), Received::Logs(logs("l"))),
    ];
    for (path, body, expected) in sent {
        let reply = fake.post(path, PROTOBUF, &[], &body);
        assert_eq!((reply.status, reply.content_type.as_str()), (200, PROTOBUF));
        assert_eq!(reply.body, b"", "a full success is an empty message");
        assert_eq!(fake.got.recv().unwrap(), expected);
    }
}

#[test]
fn all_three_signals_arrive_as_json() {
    let fake = Fake::accepting();
    let sent = [
        ("/v1/traces", serde_json::to_vec(&traces("a")).unwrap(), Received::Traces(traces("a"))),
        ("/v1/metrics", serde_json::to_vec(&metrics("m")).unwrap(), Received::Metrics(metrics("m"))),
        ("/v1/logs", serde_json::to_vec(&logs("l")).unwrap(), Received::Logs(logs("l"))),
    ];
    for (path, body, expected) in sent {
        let reply = fake.post(path, "application/json; charset=utf-8", &[], &body);
        assert_eq!((reply.status, reply.content_type.as_str()), (200, JSON));
        assert_eq!(reply.body, b"{}");
        assert_eq!(fake.got.recv().unwrap(), expected);
    }
}

#[test]
fn json_written_by_hand_needs_only_what_it_says() {
    let fake = Fake::accepting();
    let body = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{
        "traceId":"0AF7651916CD43DD8448EB211C80319C","spanId":"b7ad6b7169203331","name":"by hand",
        "startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;
    assert_eq!(fake.post("/v1/traces", JSON, &[], body).status, 200);
    let Received::Traces(request) = fake.got.recv().unwrap() else { panic!("not traces") };
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.name.as_str(), span.trace_id[0]), ("by hand", 0x0a));
}

#[test]
fn gzip_is_accepted_in_both_formats() {
    let fake = Fake::accepting();
    let packed = [("content-encoding", "gzip")];
    let reply = fake.post("/v1/traces", PROTOBUF, &packed, &gzip(&traces("a").encode_to_vec()));
    assert_eq!(reply.status, 200);
    let reply = fake.post("/v1/traces", JSON, &packed, &gzip(&serde_json::to_vec(&traces("a")).unwrap()));
    assert_eq!(reply.status, 200);
    assert_eq!(fake.got.recv().unwrap(), fake.got.recv().unwrap());
}

#[test]
fn an_empty_protobuf_body_is_an_empty_request() {
    let fake = Fake::accepting();
    assert_eq!(fake.post("/v1/logs", PROTOBUF, &[], b"").status, 200);
    assert!(matches!(fake.got.recv().unwrap(), Received::Logs(request) if request.resource_logs.is_empty()));
}

#[test]
fn a_batch_larger_than_the_usual_2_mib_passes() {
    let fake = Fake::accepting();
    let large = traces(&"x".repeat(10 << 20)).encode_to_vec();
    assert_eq!(fake.post("/v1/traces", PROTOBUF, &[], &large).status, 200);
}

#[test]
fn partial_success_names_what_was_rejected() {
    let fake = Fake::answering(Answer::Partial { rejected: 3, message: "too old".to_owned() });
    let reply = fake.post("/v1/traces", PROTOBUF, &[], b"");
    assert_eq!(reply.status, 200);
    let partial = ExportTraceServiceResponse::decode(&*reply.body).unwrap().partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, "too old"));

    let fields = [
        ("/v1/traces", "rejectedSpans"),
        ("/v1/metrics", "rejectedDataPoints"),
        ("/v1/logs", "rejectedLogRecords"),
    ];
    for (path, field) in fields {
        let reply = fake.post(path, JSON, &[], b"{}");
        assert_eq!(reply.status, 200);
        let expected = serde_json::json!({ "partialSuccess": { field: "3", "errorMessage": "too old" } });
        assert_eq!(reply.json(), expected);
    }
}

#[test]
fn busy_is_503_with_the_delay_rounded_up() {
    for (delay, seconds) in [(1500, "2"), (2000, "2"), (0, "0")] {
        let fake = Fake::answering(Answer::Busy { retry_after: Duration::from_millis(delay) });
        let reply = fake.post("/v1/metrics", JSON, &[], b"{}");
        assert_eq!((reply.status, reply.retry_after.as_deref()), (503, Some(seconds)));
        assert_eq!(reply.json()["code"], 14);
    }
}

#[test]
fn a_refusal_is_400_with_the_words_of_the_sink() {
    let fake = Fake::answering(Answer::Refuse { message: "no such tenant".to_owned() });
    let reply = fake.post("/v1/metrics", JSON, &[], b"{}");
    assert_eq!((reply.status, reply.message().as_str()), (400, "no such tenant"));
    assert_eq!(reply.retry_after, None);
}
