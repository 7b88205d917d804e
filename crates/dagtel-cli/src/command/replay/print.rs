//! Printing instead of sending.

use dagtel_otlp::{Frame, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use crate::show::{self, Store};
use crate::terminal;

/// Rows of one metric in the table.
const ROWS: usize = 20;

/// OTLP JSON, one request a line. Returns whether all of it could be printed.
pub(super) fn json(frames: &[Frame]) -> bool {
    frames.iter().all(|frame| {
        let line = match frame.signal {
            Signal::Traces => ExportTraceServiceRequest::decode(&*frame.body)
                .ok()
                .and_then(|request| serde_json::to_string(&request).ok()),
            Signal::Logs | Signal::Events => ExportLogsServiceRequest::decode(&*frame.body)
                .ok()
                .and_then(|request| serde_json::to_string(&request).ok()),
            Signal::Metrics => ExportMetricsServiceRequest::decode(&*frame.body)
                .ok()
                .and_then(|request| serde_json::to_string(&request).ok()),
        };
        line.map(|line| terminal::say(&(line + "\n"))).is_some()
    })
}

/// Trees and a table. Returns whether all of it could be printed.
pub(super) fn tree(frames: &[Frame]) -> bool {
    let mut store = Store::default();
    for frame in frames {
        let decoded = match frame.signal {
            Signal::Traces => {
                ExportTraceServiceRequest::decode(&*frame.body).map(|request| store.add_traces(&request))
            }
            Signal::Metrics => {
                ExportMetricsServiceRequest::decode(&*frame.body).map(|request| store.add_metrics(&request))
            }
            // A tree has no place for lines.
            Signal::Logs | Signal::Events => continue,
        };
        if decoded.is_err() {
            return false;
        }
    }
    let theme = terminal::theme();
    terminal::say(&show::all_traces(&store, &theme));
    terminal::say("\n");
    terminal::say(&show::metric_table(&store, ROWS, &theme));
    true
}
