//! OTLP over gRPC, without the messages: the body of a request is the frame's bytes.

use std::error::Error as _;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use dagtel_otlp::Signal;
use http::uri::PathAndQuery;
use prost::Message as _;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::connect::Connector;
use crate::verdict::ExportResponse;
use crate::{Delivery, Endpoint, Verdict};

/// How long a connection may take to come about, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer; a receiver has no reason to say more.
const RESPONSE_BYTES: usize = 64 * 1024;

/// A connection to an OTLP/gRPC receiver, made when it is first needed and made anew when it breaks.
#[derive(Clone, Debug)]
pub(crate) struct GrpcExporter {
    grpc: tonic::client::Grpc<Channel>,
    connector: Connector,
    delivery: Delivery,
}

impl GrpcExporter {
    /// For this receiver. Must be called within a tokio runtime, and used only while that runs.
    pub(crate) fn new(endpoint: &Endpoint, delivery: Delivery) -> Self {
        let connector = Connector::new(endpoint, &delivery.tls, &[b"h2"]);
        let channel = Channel::builder(endpoint.origin_uri())
            .connect_timeout(CONNECT_TIMEOUT.min(delivery.timeout))
            .timeout(delivery.timeout)
            .connect_with_connector_lazy(connector.clone());
        let mut grpc = tonic::client::Grpc::new(channel)
            // The Collector answers a compressed request with a compressed answer.
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(RESPONSE_BYTES);
        if delivery.gzip {
            grpc = grpc.send_compressed(CompressionEncoding::Gzip);
        }
        Self { grpc, connector, delivery }
    }

    pub(crate) async fn send(&mut self, signal: Signal, body: Bytes) -> Verdict {
        if let Err(error) = self.grpc.ready().await {
            return Verdict::no_answer(&error, &self.connector);
        }
        let mut request = Request::new(body);
        let headers = self.delivery.headers().iter().cloned().collect();
        *request.metadata_mut() = MetadataMap::from_headers(headers);
        match self.grpc.unary(request, path(signal), RawCodec).await {
            Ok(response) => response.into_inner().verdict(),
            // The receiver did not say it: the connection broke under the request. When a receiver ends in order (GOAWAY),
            // tonic reports that as Internal.
            Err(status) if status.source().is_some() => Verdict::no_answer(&status, &self.connector),
            Err(status) => Verdict::of_status(&status),
        }
    }
}

fn path(signal: Signal) -> PathAndQuery {
    PathAndQuery::from_static(match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs | Signal::Events => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    })
}

struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = ExportResponse;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

struct Raw;

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, body: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(body);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ExportResponse;
    type Error = Status;

    fn decode(&mut self, body: &mut DecodeBuf<'_>) -> Result<Option<ExportResponse>, Status> {
        // An answer that cannot be read says nothing about the request, which was answered with success.
        let response = ExportResponse::decode(&mut *body).unwrap_or_default();
        body.advance(body.remaining());
        Ok(Some(response))
    }
}
