//! What the receiver hands over, to whom, and what it gets back.

use std::{sync::Arc, time::Duration};

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};

/// One decoded request, whichever transport and encoding it came by.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Received {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Metric points.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
}

/// What the sink says to a request; the receiver turns it into the words of the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Everything was taken: gRPC `OK`, HTTP 200.
    Accept,
    /// Some items were not taken and must not be sent again: gRPC `OK`, HTTP 200, with a `partial_success`.
    Partial {
        /// How many spans, points or records were turned away.
        rejected: u64,
        /// Why, for the person who reads the sender's log.
        message: String,
    },
    /// Not now; the sender should come back: gRPC `UNAVAILABLE` with `RetryInfo`, HTTP 503 with `Retry-After`.
    Busy {
        /// How long the sender should wait. HTTP knows whole seconds only and gets it rounded up.
        retry_after: Duration,
    },
    /// The request is bad and must not be sent again: gRPC `INVALID_ARGUMENT`, HTTP 400.
    Refuse {
        /// Why, for the person who reads the sender's log.
        message: String,
    },
}

/// Takes what the receiver decodes.
///
/// [`receive`](Sink::receive) is called on the receiver's own executor, so it should return soon: while it runs,
/// other requests wait. A panic closes the one connection it happened on and leaves the others alone.
///
/// Every `Fn(Received) -> Answer` that may be shared between threads is a sink, and so is an [`Arc`] of a sink.
pub trait Sink: Send + Sync + 'static {
    /// Takes one request and says what becomes of it.
    fn receive(&self, request: Received) -> Answer;
}

impl<F> Sink for F
where
    F: Fn(Received) -> Answer + Send + Sync + 'static,
{
    fn receive(&self, request: Received) -> Answer {
        self(request)
    }
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn receive(&self, request: Received) -> Answer {
        (**self).receive(request)
    }
}
