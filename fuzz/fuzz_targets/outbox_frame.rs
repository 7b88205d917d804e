//! Records of the outbox: the number and the request come back as they were put in; requests written one behind the other
//! read as one; a request that is halved keeps all its items.

#![no_main]

use dagtel_otlp::{Signal, halves, record};
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

fuzz_target!(|data: &[u8]| {
    if let Some((number, request)) = record::parse(data) {
        assert_eq!(record::payload(number, request), data);
        let (first, second) = request.split_at(request.len() / 2);
        merged(first, second);
        [Signal::Traces, Signal::Metrics, Signal::Logs]
            .into_iter()
            .for_each(|signal| halved(signal, request));
        merged(request, request);
    } else {
        assert!(data.len() < 8);
    }
});

/// How many spans a request has. `None` when it is none.
fn spans(request: &[u8]) -> Option<usize> {
    let request = ExportTraceServiceRequest::decode(request).ok()?;
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    Some(scopes.map(|scope| scope.spans.len()).sum())
}

fn merged(first: &[u8], second: &[u8]) {
    if let (Some(a), Some(b)) = (spans(first), spans(second)) {
        assert_eq!(spans(&[first, second].concat()), Some(a + b));
    }
}

fn halved(signal: Signal, request: &[u8]) {
    let Some([first, second]) = halves(signal, request) else { return };
    assert!(first.items > 0 && first.items <= second.items && second.items <= first.items + 1);
    if signal == Signal::Traces {
        assert_eq!(spans(request), Some(first.items + second.items));
        assert_eq!((spans(&first.body), spans(&second.body)), (Some(first.items), Some(second.items)));
    }
    // Down to single items: halving comes to an end.
    halved(signal, &first.body);
}
