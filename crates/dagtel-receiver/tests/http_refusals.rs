//! OTLP/HTTP: every way to be wrong has its status code, and its text says what to change.

mod support;

use prost::Message;
use support::{Fake, JSON, PROTOBUF, Reply, agent, gzip, traces, zeros_as_gzip};

const MIB: usize = 1 << 20;
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// Posts JSON-typed garbage and returns the refusal after checking that the sink never saw it.
fn refused(fake: &Fake, headers: &[(&str, &str)], body: &[u8], status: u16) -> String {
    let reply = fake.post("/v1/traces", JSON, headers, body);
    assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.content_type, JSON);
    assert!(fake.nothing_arrived());
    reply.message()
}

#[test]
fn what_does_not_decode_is_400_in_the_format_of_the_request() {
    let fake = Fake::accepting();
    let message = refused(&fake, &[], b"{\"resourceSpans\": 7}", 400);
    assert!(message.starts_with("the body is not an OTLP traces request in application/json: "), "{message}");
    refused(&fake, &[], b"", 400);

    let reply = fake.post("/v1/logs", PROTOBUF, &[], b"\xff\xff\xff");
    assert_eq!((reply.status, reply.content_type.as_str()), (400, PROTOBUF));
    let status = Status::decode(&*reply.body).unwrap();
    assert_eq!(status.code, 3);
    assert!(status.message.contains("OTLP logs request in application/x-protobuf"), "{}", status.message);
}

#[test]
fn gaps_of_the_json_reader_are_a_clear_400() {
    let fake = Fake::accepting();
    let spans = [
        r#"{"kind":"SPAN_KIND_SERVER"}"#,
        r#"{"attributes":null}"#,
        r#"{"attributes":[{"key":"a","value":{"arrayValue":{}}}]}"#,
    ];
    for span in spans {
        let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#);
        let message = refused(&fake, &[], body.as_bytes(), 400);
        assert!(message.contains("enums must be numbers"), "{message}");
    }
}

#[test]
fn deep_nesting_is_400_and_not_a_stack_overflow() {
    let fake = Fake::accepting();
    let body = "[".repeat(100_000);
    refused(&fake, &[], body.as_bytes(), 400);
    let nested = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":"#.to_owned()
        + &r#"{"arrayValue":{"values":["#.repeat(50_000);
    refused(&fake, &[], nested.as_bytes(), 400);
}

#[test]
fn broken_gzip_is_400() {
    let fake = Fake::accepting();
    assert!(refused(&fake, &[GZIP], b"{}", 400).contains("not valid gzip"));
    let packed = gzip(b"{}");
    assert!(refused(&fake, &[GZIP], &packed[..packed.len() - 1], 400).contains("was cut on the way"));
    let glued = [packed, b"{}".to_vec()].concat();
    assert!(refused(&fake, &[GZIP], &glued, 400).contains("followed by 2 bytes"));
}

#[test]
fn another_content_type_is_415_and_names_the_right_ones() {
    let fake = Fake::accepting();
    for content_type in ["text/plain", "", "application/x-www-form-urlencoded"] {
        let reply = fake.post("/v1/traces", content_type, &[], b"{}");
        assert_eq!((reply.status, reply.content_type.as_str()), (415, JSON));
        assert!(reply.message().ends_with("send application/x-protobuf or application/json"));
    }
    assert!(fake.nothing_arrived());
}

#[test]
fn another_content_encoding_is_415() {
    let fake = Fake::accepting();
    assert!(refused(&fake, &[("content-encoding", "zstd")], b"{}", 415).contains("\"zstd\""));
    let reply = fake.post("/v1/traces", JSON, &[("content-encoding", "identity")], b"{}");
    assert_eq!(reply.status, 200);
}

#[test]
fn too_large_is_413_before_and_after_decompression() {
    let fake = Fake::accepting();
    let plain = vec![b' '; 17 * MIB];
    assert!(refused(&fake, &[], &plain, 413).contains("16777216 bytes"));

    // More compressed bytes than any honest batch has.
    assert!(refused(&fake, &[GZIP], &vec![0x1f; 5 * MIB], 413).contains("4194304 bytes"));

    // A bomb, four times the limit in 64 KiB.
    let bomb = zeros_as_gzip(64 * MIB);
    assert!(bomb.len() < MIB);
    assert!(refused(&fake, &[GZIP], &bomb, 413).contains("unfolds to more than the 16777216 bytes"));

    // The receiver is well after all that.
    assert_eq!(fake.post("/v1/traces", PROTOBUF, &[], &traces("a").encode_to_vec()).status, 200);
}

#[test]
fn another_path_is_404_and_names_the_right_ones() {
    let fake = Fake::accepting();
    for path in ["/", "/v1", "/v1/traces/", "/v1/profiles"] {
        let reply = fake.post(path, JSON, &[], b"{}");
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.message().contains("/v1/traces, /v1/metrics and /v1/logs"));
    }
}

#[test]
fn another_method_is_405() {
    let fake = Fake::accepting();
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        let reply = Reply::from(agent().get(fake.http_url(path)).call().unwrap());
        assert_eq!((reply.status, reply.content_type.as_str()), (405, JSON));
        assert!(reply.message().starts_with("GET is not possible at /v1/"));
    }
}

/// `google.rpc.Status` as a client declares it.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}
