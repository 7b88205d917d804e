//! Halving a request that a receiver finds too large.

use std::ops::Range;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::{Frame, Signal};

/// The first and the second half of a frame's spans, metrics or log records. `None` when there are not two of them, or
/// the frame is no request.
pub fn halves(signal: Signal, body: &[u8]) -> Option<[Frame; 2]> {
    match signal {
        Signal::Traces => split(signal, ExportTraceServiceRequest::decode(body).ok()?, keep_spans),
        Signal::Metrics => split(signal, ExportMetricsServiceRequest::decode(body).ok()?, keep_metrics),
        Signal::Logs | Signal::Events => {
            split(signal, ExportLogsServiceRequest::decode(body).ok()?, keep_logs)
        }
    }
}

fn split<R: Message + Clone>(
    signal: Signal,
    request: R,
    keep: fn(&mut R, Range<usize>) -> usize,
) -> Option<[Frame; 2]> {
    let items = keep(&mut request.clone(), 0..usize::MAX);
    if items < 2 {
        return None;
    }
    let half = |range: Range<usize>| {
        let mut part = request.clone();
        let kept = keep(&mut part, range);
        Frame::new(signal, part.encode_to_vec(), kept)
    };
    Some([half(0..items / 2), half(items / 2..items)])
}

macro_rules! keep {
    ($name:ident, $request:ty, $resources:ident, $scopes:ident, $items:ident) => {
        /// Keeps the items whose place in the request is in the range. Returns how many there were.
        fn $name(request: &mut $request, range: Range<usize>) -> usize {
            let (mut place, mut kept) = (0, 0);
            for resource in &mut request.$resources {
                for scope in &mut resource.$scopes {
                    scope.$items.retain(|_| {
                        let keep = range.contains(&place);
                        place += 1;
                        kept += usize::from(keep);
                        keep
                    });
                }
                resource.$scopes.retain(|scope| !scope.$items.is_empty());
            }
            request.$resources.retain(|resource| !resource.$scopes.is_empty());
            kept
        }
    };
}

keep!(keep_spans, ExportTraceServiceRequest, resource_spans, scope_spans, spans);
keep!(keep_metrics, ExportMetricsServiceRequest, resource_metrics, scope_metrics, metrics);
keep!(keep_logs, ExportLogsServiceRequest, resource_logs, scope_logs, log_records);

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    fn request(sizes: &[usize]) -> Vec<u8> {
        let mut number = 0;
        let resource_spans = sizes.iter().map(|size| {
            let spans = (0..*size).map(|_| {
                number += 1;
                Span { name: number.to_string(), ..Span::default() }
            });
            let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
            ResourceSpans { scope_spans, ..ResourceSpans::default() }
        });
        ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
    }

    fn names(frame: &Frame) -> Vec<String> {
        let request = ExportTraceServiceRequest::decode(&*frame.body).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(|span| span.name).collect()
    }

    #[test]
    fn both_halves_together_are_the_whole_in_order() {
        let [first, second] = halves(Signal::Traces, &request(&[3, 2, 2])).unwrap();
        assert_eq!((first.items, second.items), (3, 4));
        assert_eq!([names(&first), names(&second)].concat(), ["1", "2", "3", "4", "5", "6", "7"]);
    }

    #[test]
    fn one_item_cannot_be_halved_and_garbage_is_no_request() {
        assert_eq!(halves(Signal::Traces, &request(&[1])), None);
        assert_eq!(halves(Signal::Traces, &[0xff, 1]), None);
        assert_eq!(halves(Signal::Logs, &[]), None);
    }
}
