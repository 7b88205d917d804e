//! Sends encoded OTLP requests and says what became of each.
//!
//! A [`Frame`](dagtel_otlp::Frame) is sent as the bytes that it is, without decoding it; the answer becomes a
//! [`Verdict`] by the table of the OTLP specification. Nothing here retries or keeps anything: what to do with a
//! verdict is decided where the frames are kept.

mod endpoint;
mod exporter;
mod grpc;
mod http;
mod verdict;

pub use endpoint::{Endpoint, EndpointError, Protocol, ProtocolError};
pub use exporter::Exporter;
pub use verdict::Verdict;
