//! `logs.v1`: log records.

use dagtel_core::guard::AdmittedLog;
use dagtel_core::signal::Origin;

use super::attribute::limited;
use super::requests::Requests;
use crate::wire::Writer;
use crate::{Frame, Identity, Signal};

/// Sampled (`LogRecordFlags`, the trace flags of W3C): spans of dagtel all are.
pub(super) const FLAGS: u32 = 1;

/// Encodes log records, in their order, as `ExportLogsServiceRequest`s of at most [`FRAME_ITEMS`](crate::FRAME_ITEMS)
/// records and about [`FRAME_BYTES`](crate::FRAME_BYTES). The resource of a record of a run or a try is that of its span,
/// with the process that logged it; that of others is that of metrics: the deployment, and who tells it.
pub fn logs<'a>(records: impl IntoIterator<Item = &'a AdmittedLog>, identity: &Identity) -> Vec<Frame> {
    let mut requests = Requests::new(Signal::Logs);
    let mut last: Option<Option<&Origin>> = None;
    let resource = |origin: Option<Option<&Origin>>| {
        origin.map(|origin| match origin {
            None => identity.process_resource(),
            Some(origin) => identity.log_resource(origin),
        })
    };
    for record in records {
        let origin = record.origin();
        requests.make_room(last == Some(origin), || resource(last));
        last = Some(origin);
        requests.item(|out| encode(out, record, identity));
    }
    requests.finish(|| resource(last))
}

fn encode(out: &mut Writer, record: &AdmittedLog, identity: &Identity) {
    let record = record.record();
    out.fixed64(1, record.time.as_nanos());
    out.uint(2, record.severity as u64);
    out.bytes(3, record.severity.as_str().as_bytes());
    if !record.body.is_empty() {
        out.message(5, |out| out.bytes_always(1, record.body.as_bytes()));
    }
    let dropped = limited(out, 6, &record.attributes, &identity.tags, identity.limits.log);
    out.uint(7, u64::from(dropped));
    if let Some((trace_id, span_id)) = record.span {
        out.fixed32(8, FLAGS);
        out.bytes(9, &trace_id.to_bytes());
        out.bytes(10, &span_id.to_bytes());
    }
    out.fixed64(11, record.observed.as_nanos());
    out.bytes(12, record.event_name.as_bytes());
}
