//! Frames on standard output, as lines of OTLP in JSON.

use std::io::{self, Write as _};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use dagtel_otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::Verdict;

/// A line, and whom to tell what became of it.
type Job = (Vec<u8>, oneshot::Sender<io::Result<()>>);

/// Writes on a thread of its own, since whoever reads standard output may stop reading at any time.
#[derive(Debug)]
pub(crate) struct Stdout(mpsc::Sender<Job>);

impl Stdout {
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, received) = mpsc::channel::<Job>();
        let work = move || {
            for (line, answer) in received {
                let mut out = io::stdout().lock();
                // Whoever asked may be gone.
                let _ = answer.send(out.write_all(&line).and_then(|()| out.flush()));
            }
        };
        thread::Builder::new().name("dagtel-stdout".into()).spawn(work)?;
        Ok(Self(jobs))
    }

    pub(crate) async fn send(&mut self, signal: Signal, body: &Bytes) -> Verdict {
        let line = match signal {
            Signal::Traces => json::<ExportTraceServiceRequest>(body),
            Signal::Metrics => json::<ExportMetricsServiceRequest>(body),
            Signal::Logs | Signal::Events => json::<ExportLogsServiceRequest>(body),
        };
        let line = match line {
            Ok(line) => line,
            Err(reason) => return Verdict::Refused { reason },
        };
        let (answer, answered) = oneshot::channel();
        if self.0.send((line, answer)).is_err() {
            return Verdict::Retry { reason: "the thread that writes is gone".to_owned(), after: None };
        }
        match answered.await {
            Ok(Ok(())) => Verdict::Accepted,
            // Nobody will ever read it again.
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Verdict::Partial { rejected: u64::MAX, reason: error.to_string() }
            }
            Ok(Err(error)) => Verdict::Retry { reason: error.to_string(), after: None },
            Err(_) => Verdict::Retry { reason: "the thread that writes is gone".to_owned(), after: None },
        }
    }
}

fn json<M: Message + Default + Serialize>(body: &Bytes) -> Result<Vec<u8>, String> {
    let message = M::decode(body.clone()).map_err(|error| error.to_string())?;
    let mut line = serde_json::to_vec(&message).map_err(|error| error.to_string())?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_line_of_otlp_json() {
        use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
        let span = Span { name: "a\nb".to_owned(), trace_id: vec![0xab; 16], ..Span::default() };
        let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
        let line = json::<ExportTraceServiceRequest>(&request.encode_to_vec().into()).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let span = &read["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(
            (span["name"].as_str(), span["traceId"].as_str()),
            (Some("a\nb"), Some(&*"ab".repeat(16)))
        );
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
