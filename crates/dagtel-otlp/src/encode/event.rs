//! Events as log records, for an agent elsewhere that folds them ([`crate::event_of`] reads them there).
//!
//! The name of the event is [`log::EVENT`], the body is the published event line, trace and span id are those of the run or
//! the try that it is about: so whoever routes by trace id routes a whole run.

use std::sync::Arc;

use dagtel_core::catalog::log;
use dagtel_core::event::line::{EventLine, EventName};
use dagtel_core::event::{Event, Fact};
use dagtel_core::guard::Admitted;
use dagtel_core::id::{RunIds, SpanId, task_span_id};
use dagtel_core::key::RunKey;
use dagtel_core::limits;
use dagtel_core::signal::Severity;
use dagtel_core::time::Timestamp;

use super::request;
use crate::wire::Writer;
use crate::{FRAME_BYTES, FRAME_ITEMS, Frame, Identity, Signal};

/// Bytes of task ids in the edges that one record tells. A message broker takes a record of a megabyte, and no more.
const EDGE_BYTES: usize = 256 * 1024;

/// Encodes events as `ExportLogsServiceRequest`s of at most [`FRAME_ITEMS`] records and about [`FRAME_BYTES`]. Edges that
/// are too many for one record are told by further ones. Returns the requests, and how many details were cut because a
/// line may have no more than [`limits::LINE_BYTES`].
pub fn events<'a>(
    events: impl IntoIterator<Item = &'a Admitted>,
    observed: Timestamp,
    identity: &Identity,
) -> (Vec<Frame>, u32) {
    let resource = identity.process_resource();
    let (mut frames, mut items, mut cut) = (Vec::new(), 0, 0);
    let (mut body, mut ids) = (Writer::default(), Ids::default());
    for event in events {
        let event = event.event();
        for line in lines(event) {
            let Some(line) = text(line, &mut cut) else { continue };
            body.message(2, |out| encode(out, event, &line, observed, &mut ids));
            items += 1;
            if items == FRAME_ITEMS || body.len() >= FRAME_BYTES {
                frames.push(request(Signal::Events, &resource, &std::mem::take(&mut body), items));
                items = 0;
            }
        }
    }
    if items > 0 {
        frames.push(request(Signal::Events, &resource, &body, items));
    }
    (frames, cut)
}

fn encode(out: &mut Writer, event: &Event, line: &str, observed: Timestamp, ids: &mut Ids) {
    let (run, span_id) = ids.of(event);
    let trace_id = run.trace_id.to_bytes();
    out.fixed64(1, event.at.as_nanos());
    out.uint(2, Severity::Info as u64);
    out.bytes(3, Severity::Info.as_str().as_bytes());
    out.message(5, |out| out.bytes_always(1, line.as_bytes()));
    out.fixed32(8, super::log::FLAGS);
    out.bytes(9, &trace_id);
    out.bytes(10, &span_id.to_bytes());
    out.fixed64(11, observed.as_nanos());
    out.bytes(12, log::EVENT.as_bytes());
}

/// The ids of the run that was asked for last: events of one run mostly come together.
#[derive(Default)]
struct Ids(Option<(Arc<RunKey>, RunIds)>);

impl Ids {
    fn of(&mut self, event: &Event) -> (&RunIds, SpanId) {
        if self.0.as_ref().is_none_or(|(run, _)| *run != event.run) {
            self.0 = None;
        }
        let (run, ids) = self.0.get_or_insert_with(|| (event.run.clone(), RunIds::of(&event.run)));
        let span_id = match &event.fact {
            Fact::Task { key, .. } | Fact::Log { key, .. } => task_span_id(run, key),
            _ => ids.span_id,
        };
        (ids, span_id)
    }
}

/// The event as lines: one, and further ones for edges that do not fit on it.
fn lines(event: &Event) -> Vec<EventLine> {
    let mut first = EventLine::from(event);
    let (mut rest, mut bytes) = (std::mem::take(&mut first.edges), 0);
    let mut lines = vec![first];
    let mut part = Vec::new();
    for edge in rest.drain(..) {
        bytes += edge.0.len() + edge.1.len();
        part.push(edge);
        if bytes > EDGE_BYTES {
            put_edges(&mut lines, std::mem::take(&mut part));
            bytes = 0;
        }
    }
    put_edges(&mut lines, part);
    lines
}

fn put_edges(
    lines: &mut Vec<EventLine>,
    edges: Vec<(dagtel_core::value::SmolStr, dagtel_core::value::SmolStr)>,
) {
    if edges.is_empty() {
        return;
    }
    let first = &mut lines[0];
    if first.edges.is_empty() {
        first.edges = edges;
        return;
    }
    let mut further = first.clone();
    further.event = EventName::RunUpdated;
    (further.state, further.trigger, further.exception) = (None, None, None);
    further.attributes.clear();
    further.edges = edges;
    lines.push(further);
}

/// The line as text. One that is longer than may be loses details, and what happened is still told.
fn text(mut line: EventLine, cut: &mut u32) -> Option<String> {
    let write = |line: &EventLine| serde_json::to_string(line).ok();
    let fits = |text: &String| text.len() <= limits::LINE_BYTES;
    if let Some(text) = write(&line).filter(fits) {
        return Some(text);
    }
    *cut += 1;
    line.attributes.clear();
    write(&line).filter(fits).or_else(|| {
        (line.exception, line.upstream) = (None, None);
        write(&line).filter(fits)
    })
}
