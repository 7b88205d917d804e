//! What the fuzz targets share: the way from events to encoded requests, and what must hold of those.

use std::time::Duration;

use dagtel_core::event::Event;
use dagtel_core::fold::{Fold, Timing};
use dagtel_core::guard::admit;
use dagtel_core::signal::spans;
use dagtel_core::time::Timestamp;
use dagtel_otlp::{FRAME_ITEMS, Frame, Identity};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

/// What a receiver of gRPC takes by default.
const REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// Folds events and encodes all that comes of them, spans and metrics.
///
/// # Panics
/// When a request is larger than receivers take, holds more items than it may or says it does, or cannot be decoded.
pub fn follow(events: impl IntoIterator<Item = Event>) {
    let mut fold = Fold::new(Timestamp::MIN, Timing::new(Duration::ZERO, Duration::ZERO));
    for event in events {
        let (event, found) = admit(event);
        fold.found(found);
        fold.apply(event);
    }
    let identity = Identity::new("fuzz", "1");
    for frame in dagtel_otlp::traces(spans(fold.due(Timestamp::MAX)), &identity) {
        let request = ExportTraceServiceRequest::decode(&*frame.body).expect("it is a request");
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        check(&frame, scopes.map(|scope| scope.spans.len()).sum());
    }
    for frame in dagtel_otlp::metrics(fold.metrics(), Timestamp::MAX, &identity) {
        ExportMetricsServiceRequest::decode(&*frame.body).expect("it is a request");
        check(&frame, frame.items);
    }
}

fn check(frame: &Frame, items: usize) {
    assert_eq!(items, frame.items);
    assert!(frame.items <= FRAME_ITEMS && frame.body.len() <= REQUEST_BYTES);
}
