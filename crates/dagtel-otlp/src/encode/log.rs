//! `logs.v1`: log records.

use dagtel_core::guard::AdmittedLog;

use super::attribute::{attributes_within, static_tags};
use super::request;
use crate::wire::Writer;
use crate::{FRAME_BYTES, FRAME_ITEMS, Frame, Identity, Signal};

/// Sampled (`LogRecordFlags`, the trace flags of W3C): spans of dagtel all are.
pub(super) const FLAGS: u32 = 1;

/// Encodes log records, in their order, as `ExportLogsServiceRequest`s of at most [`FRAME_ITEMS`] records and about
/// [`FRAME_BYTES`]. Their resource is that of metrics: the deployment, and who tells it.
pub fn logs<'a>(records: impl IntoIterator<Item = &'a AdmittedLog>, identity: &Identity) -> Vec<Frame> {
    let resource = identity.process_resource();
    let mut frames = Vec::new();
    let mut records = records.into_iter().peekable();
    while records.peek().is_some() {
        let mut items = 0;
        let mut body = Writer::default();
        while items < FRAME_ITEMS && body.len() < FRAME_BYTES {
            let Some(record) = records.next() else { break };
            body.message(2, |out| encode(out, record, identity));
            items += 1;
        }
        frames.push(request(Signal::Logs, &resource, &body, items));
    }
    frames
}

fn encode(out: &mut Writer, record: &AdmittedLog, identity: &Identity) {
    let record = record.record();
    out.fixed64(1, record.time.as_nanos());
    out.uint(2, record.severity as u64);
    out.bytes(3, record.severity.as_str().as_bytes());
    if !record.body.is_empty() {
        out.message(5, |out| out.bytes_always(1, record.body.as_bytes()));
    }
    attributes_within(out, 6, &record.attributes, identity.value_length);
    static_tags(out, 6, &identity.tags, |tag| record.attributes.iter().any(|(key, _)| key == tag));
    if let Some((trace_id, span_id)) = record.span {
        out.fixed32(8, FLAGS);
        out.bytes(9, &trace_id.to_bytes());
        out.bytes(10, &span_id.to_bytes());
    }
    out.fixed64(11, record.observed.as_nanos());
    out.bytes(12, record.event_name.as_bytes());
}
