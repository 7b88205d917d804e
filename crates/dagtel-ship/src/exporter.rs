//! One destination's connection, by whichever protocol.

use bytes::Bytes;
use dagtel_otlp::{Frame, Signal};

use crate::grpc::GrpcExporter;
use crate::http::HttpExporter;
use crate::{Delivery, Endpoint, Protocol, Verdict};

/// Sends single requests to an OTLP receiver, once each. Connects when it first has to, and anew when that breaks.
#[derive(Clone, Debug)]
pub struct Exporter {
    endpoint: Endpoint,
    transport: Transport,
}

#[derive(Clone, Debug)]
enum Transport {
    Grpc(GrpcExporter),
    Http(HttpExporter),
}

impl Exporter {
    /// For a receiver. Must be made within a tokio runtime, and used only while that runs.
    pub fn new(endpoint: Endpoint, protocol: Protocol) -> Self {
        Self::with(endpoint, protocol, Delivery::default())
    }

    /// The same with a delivery of one's own.
    pub fn with(endpoint: Endpoint, protocol: Protocol, delivery: Delivery) -> Self {
        let transport = match protocol {
            Protocol::Grpc => Transport::Grpc(GrpcExporter::new(&endpoint, delivery)),
            Protocol::HttpProtobuf => Transport::Http(HttpExporter::new(&endpoint, delivery)),
        };
        Self { endpoint, transport }
    }

    /// The receiver.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends one encoded request.
    pub async fn send(&mut self, signal: Signal, body: Bytes) -> Verdict {
        match &mut self.transport {
            Transport::Grpc(grpc) => grpc.send(signal, body).await,
            Transport::Http(http) => http.send(signal, body).await,
        }
    }

    /// Sends one frame.
    pub async fn send_frame(&mut self, frame: Frame) -> Verdict {
        self.send(frame.signal, frame.body.into()).await
    }
}
