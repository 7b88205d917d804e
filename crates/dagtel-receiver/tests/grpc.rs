//! OTLP/gRPC: what a stock client sends arrives, and what cannot be taken is refused with the right code.

mod support;

use std::time::Duration;

use dagtel_receiver::{Answer, Received};
use opentelemetry_proto::tonic::collector::{
    logs::v1::logs_service_client::LogsServiceClient,
    metrics::v1::metrics_service_client::MetricsServiceClient,
    trace::v1::trace_service_client::TraceServiceClient,
};
use prost::Message;
use support::{Fake, logs, metrics, traces};
use tonic::{Code, codec::CompressionEncoding};

#[tokio::test]
async fn all_three_signals_arrive() {
    let fake = Fake::accepting();
    let mut client = TraceServiceClient::connect(fake.grpc_url()).await.unwrap();
    let answer = client.export(traces("a")).await.unwrap().into_inner();
    assert_eq!(answer.partial_success, None);
    assert_eq!(fake.got.recv().unwrap(), Received::Traces(traces("a")));

    let mut client = MetricsServiceClient::connect(fake.grpc_url()).await.unwrap();
    client.export(metrics("m")).await.unwrap();
    assert_eq!(fake.got.recv().unwrap(), Received::Metrics(metrics("m")));

    let mut client = LogsServiceClient::connect(fake.grpc_url()).await.unwrap();
    client.export(logs("l")).await.unwrap();
    assert_eq!(fake.got.recv().unwrap(), Received::Logs(logs("l")));
}

#[tokio::test]
async fn gzip_is_accepted() {
    let fake = Fake::accepting();
    let client = TraceServiceClient::connect(fake.grpc_url()).await.unwrap();
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    client.export(traces("packed")).await.unwrap();
    assert_eq!(fake.got.recv().unwrap(), Received::Traces(traces("packed")));
}

#[tokio::test]
async fn a_batch_larger_than_the_usual_4_mib_passes() {
    let fake = Fake::accepting();
    let mut client = TraceServiceClient::connect(fake.grpc_url()).await.unwrap();
    let large = traces(&"x".repeat(10 << 20));
    client.export(large.clone()).await.unwrap();
    assert_eq!(fake.got.recv().unwrap(), Received::Traces(large));
}

#[tokio::test]
async fn more_than_the_limit_is_refused_plain_or_packed() {
    let fake = Fake::accepting();
    let too_large = traces(&"x".repeat(17 << 20));
    let mut client = TraceServiceClient::connect(fake.grpc_url()).await.unwrap();
    let refusal = client.export(too_large.clone()).await.unwrap_err();
    assert_eq!(refusal.code(), Code::OutOfRange);

    // A bomb: 17 MiB of one letter are some 17 KiB of gzip.
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    let refusal = client.export(too_large).await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    assert!(fake.nothing_arrived());
}

#[tokio::test]
async fn an_unknown_service_is_unimplemented() {
    let fake = Fake::accepting();
    let channel = tonic::transport::Endpoint::new(fake.grpc_url()).unwrap().connect().await.unwrap();
    let mut raw = tonic::client::Grpc::new(channel);
    raw.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = http::uri::PathAndQuery::from_static("/opentelemetry.proto.Unknown/Export");
    let refusal = raw.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unimplemented);
}

#[tokio::test]
async fn partial_success_names_what_was_rejected() {
    let fake = Fake::answering(Answer::Partial { rejected: 3, message: "too old".to_owned() });
    let mut client = TraceServiceClient::connect(fake.grpc_url()).await.unwrap();
    let partial = client.export(traces("a")).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, "too old"));

    let mut client = MetricsServiceClient::connect(fake.grpc_url()).await.unwrap();
    let partial = client.export(metrics("m")).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 3);

    let mut client = LogsServiceClient::connect(fake.grpc_url()).await.unwrap();
    let partial = client.export(logs("l")).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 3);
}

#[tokio::test]
async fn busy_is_unavailable_with_the_delay_in_its_details() {
    let fake = Fake::answering(Answer::Busy { retry_after: Duration::from_millis(1500) });
    let mut client = TraceServiceClient::connect(fake.grpc_url()).await.unwrap();
    let refusal = client.export(traces("a")).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unavailable);

    let status = Status::decode(refusal.details()).unwrap();
    assert_eq!(status.code, 14);
    let info = &status.details[0];
    assert_eq!(info.type_url, "type.googleapis.com/google.rpc.RetryInfo");
    // RetryInfo { retry_delay { seconds: 1, nanos: 500_000_000 } } by the wire format, not by our own types.
    assert_eq!(info.value, [0x0a, 0x08, 0x08, 0x01, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]);
}

#[tokio::test]
async fn a_refusal_is_an_invalid_argument() {
    let fake = Fake::answering(Answer::Refuse { message: "no such tenant".to_owned() });
    let mut client = LogsServiceClient::connect(fake.grpc_url()).await.unwrap();
    let refusal = client.export(logs("l")).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.message()), (Code::InvalidArgument, "no such tenant"));
}

/// `google.rpc.Status` as a client declares it.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}
