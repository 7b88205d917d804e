//! `trace.v1`: spans.

use std::borrow::Borrow;

use dagtel_core::signal::{Span, SpanEvent, SpanLink, Status};
use dagtel_core::value::{Attribute, SmolStr};

use super::attribute::limited;
use super::requests::Requests;
use crate::wire::Writer;
use crate::{Frame, Identity, Most, Signal};

const KIND_INTERNAL: u64 = 1;
const STATUS_ERROR: u64 = 2;
/// Sampled, and it is known that the parent or the linked span is not remote (`SpanFlags`, bits 0 and 8).
const FLAGS: u32 = 0x101;

/// Encodes spans, in their order, as `ExportTraceServiceRequest`s of at most [`FRAME_ITEMS`](crate::FRAME_ITEMS) spans and
/// about [`FRAME_BYTES`](crate::FRAME_BYTES).
pub fn traces<S: Borrow<Span>>(spans: impl IntoIterator<Item = S>, identity: &Identity) -> Vec<Frame> {
    let mut requests = Requests::new(Signal::Traces);
    let mut service: Option<Service> = None;
    for span in spans {
        let span = span.borrow();
        let same = service.as_ref().is_some_and(|service| service.is_of(span));
        requests.make_room(same, || service.as_ref().map(|service| service.resource(identity)));
        if !same {
            service = Some(Service::of(span));
        }
        requests.item(|out| encode(out, span, identity));
    }
    requests.finish(|| service.as_ref().map(|service| service.resource(identity)))
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

    fn resource(&self, identity: &Identity) -> Vec<Attribute> {
        identity.span_resource(&self.namespace, self.dag_id.as_ref())
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
    let limits = &identity.limits;
    let dropped = limited(out, 9, &span.attributes, &identity.tags, limits.span);
    out.uint(10, u64::from(span.dropped_attributes) + u64::from(dropped));
    let (events, dropped) = first(&span.events, limits.events);
    events.iter().for_each(|event| encode_event(out, event, limits.event));
    out.uint(12, u64::from(span.dropped_events) + dropped);
    let (links, dropped) = first(&span.links, limits.links);
    links.iter().for_each(|link| encode_link(out, link, limits.link));
    out.uint(14, u64::from(span.dropped_links) + dropped);
    if let Status::Error(message) = &span.status {
        out.message(15, |out| {
            out.bytes(2, message.as_bytes());
            out.uint(3, STATUS_ERROR);
        });
    }
    out.fixed32(16, FLAGS);
}

/// The first so many, and how many more there are.
fn first<T>(all: &[T], most: usize) -> (&[T], u64) {
    let (told, rest) = all.split_at(all.len().min(most));
    (told, rest.len() as u64)
}

fn encode_event(out: &mut Writer, event: &SpanEvent, most: Most) {
    out.message(11, |out| {
        out.fixed64(1, event.at.as_nanos());
        out.bytes(2, event.name.as_bytes());
        let dropped = limited(out, 3, &event.attributes, &[], most);
        out.uint(4, u64::from(dropped));
    });
}

fn encode_link(out: &mut Writer, link: &SpanLink, most: Most) {
    out.message(13, |out| {
        out.bytes(1, &link.trace_id.to_bytes());
        out.bytes(2, &link.span_id.to_bytes());
        let dropped = limited(out, 4, link.attributes, &[], most);
        out.uint(5, u64::from(dropped));
        out.fixed32(6, FLAGS);
    });
}
