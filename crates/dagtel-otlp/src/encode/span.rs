//! `trace.v1`: spans.

use std::borrow::Borrow;

use dagtel_core::signal::{Span, SpanEvent, SpanLink, Status};
use dagtel_core::value::SmolStr;

use super::attribute::{attributes, attributes_within, static_tags};
use super::scope;
use crate::wire::Writer;
use crate::{FRAME_BYTES, FRAME_ITEMS, Frame, Identity, Signal};

const KIND_INTERNAL: u64 = 1;
const STATUS_ERROR: u64 = 2;
/// Sampled, and it is known that the parent or the linked span is not remote (`SpanFlags`, bits 0 and 8).
const FLAGS: u32 = 0x101;

/// About what a resource and a scope take.
const RESOURCE_BYTES: usize = 512;

/// Encodes spans, in their order, as `ExportTraceServiceRequest`s of at most [`FRAME_ITEMS`] spans and about
/// [`FRAME_BYTES`].
pub fn traces<S: Borrow<Span>>(spans: impl IntoIterator<Item = S>, identity: &Identity) -> Vec<Frame> {
    let mut frames = Frames { identity, done: Vec::new(), request: Writer::default(), items: 0 };
    let mut group = Writer::default();
    let mut service: Option<Service> = None;
    for span in spans {
        let span = span.borrow();
        let same = service.as_ref().is_some_and(|service| service.is_of(span));
        let full = frames.items >= FRAME_ITEMS || frames.request.len() + group.len() >= FRAME_BYTES;
        if !same || full {
            frames.close_group(service.as_ref(), &mut group);
            if full {
                frames.close_request();
            }
        }
        if !same {
            service = Some(Service::of(span));
        }
        group.message(2, |out| encode(out, span, identity));
        frames.items += 1;
    }
    frames.close_group(service.as_ref(), &mut group);
    frames.close_request();
    frames.done
}

/// What the spans of one `ResourceSpans` share.
struct Service {
    namespace: SmolStr,
    dag_id: Option<SmolStr>,
}

impl Service {
    fn of(span: &Span) -> Self {
        Self { namespace: span.namespace.clone(), dag_id: span.dag_id.clone() }
    }

    fn is_of(&self, span: &Span) -> bool {
        self.dag_id == span.dag_id && self.namespace == span.namespace
    }
}

struct Frames<'a> {
    identity: &'a Identity,
    done: Vec<Frame>,
    request: Writer,
    items: usize,
}

impl Frames<'_> {
    /// Writes `ResourceSpans` around the spans that share a resource.
    fn close_group(&mut self, service: Option<&Service>, spans: &mut Writer) {
        let Some(Service { namespace, dag_id }) = service.filter(|_| spans.len() > 0) else { return };
        let resource = self.identity.span_resource(namespace, dag_id.as_ref());
        self.request.reserve(spans.len() + RESOURCE_BYTES);
        self.request.message(1, |out| {
            out.message(1, |out| attributes(out, 1, &resource));
            out.message(2, |out| {
                scope(out);
                out.append(spans);
            });
        });
        spans.clear();
    }

    fn close_request(&mut self) {
        if self.items > 0 {
            let body = std::mem::take(&mut self.request).into_bytes();
            self.done.push(Frame::new(Signal::Traces, body, std::mem::take(&mut self.items)));
        }
    }
}

fn encode(out: &mut Writer, span: &Span, identity: &Identity) {
    out.bytes(1, &span.trace_id.to_bytes());
    out.bytes(2, &span.span_id.to_bytes());
    if let Some(parent) = span.parent {
        out.bytes(4, &parent.to_bytes());
    }
    out.bytes(5, span.name.as_bytes());
    out.uint(6, KIND_INTERNAL);
    out.fixed64(7, span.start.as_nanos());
    out.fixed64(8, span.end.as_nanos());
    let most = identity.value_length;
    attributes_within(out, 9, &span.attributes, most);
    static_tags(out, 9, &identity.tags, |tag| span.attributes.iter().any(|(key, _)| key == tag));
    out.uint(10, u64::from(span.dropped_attributes));
    span.events.iter().for_each(|event| encode_event(out, event, most));
    out.uint(12, u64::from(span.dropped_events));
    span.links.iter().for_each(|link| encode_link(out, link, most));
    out.uint(14, u64::from(span.dropped_links));
    if let Status::Error(message) = &span.status {
        out.message(15, |out| {
            out.bytes(2, message.as_bytes());
            out.uint(3, STATUS_ERROR);
        });
    }
    out.fixed32(16, FLAGS);
}

fn encode_event(out: &mut Writer, event: &SpanEvent, most: Option<usize>) {
    out.message(11, |out| {
        out.fixed64(1, event.at.as_nanos());
        out.bytes(2, event.name.as_bytes());
        attributes_within(out, 3, &event.attributes, most);
    });
}

fn encode_link(out: &mut Writer, link: &SpanLink, most: Option<usize>) {
    out.message(13, |out| {
        out.bytes(1, &link.trace_id.to_bytes());
        out.bytes(2, &link.span_id.to_bytes());
        attributes_within(out, 4, link.attributes, most);
        out.fixed32(6, FLAGS);
    });
}
