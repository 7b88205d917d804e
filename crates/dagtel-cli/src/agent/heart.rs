//! The heartbeats to the destinations: requests without data, because only an answer shows that a receiver is there.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dagtel::config::{Config, Target};
use dagtel_otlp::Signal;
use dagtel_ship::{Exporter, Statsd, Verdict};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use tokio::sync::oneshot;

use super::beats::Outcome;
use super::board::Board;

/// How often. Together with the limit below, a dead receiver is known within ten seconds.
const INTERVAL: Duration = Duration::from_secs(3);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(3);

/// A thread that asks all destinations again and again, until it is dropped.
#[derive(Debug)]
pub(super) struct Heart {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heart {
    pub(super) fn start(board: Arc<Board>, config: &Config) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let destinations = config.destinations();
        let statsd = config.statsd.clone().ok();
        board.expects(!destinations.is_empty() || statsd.is_some());
        let service_name = config.service_name.clone().unwrap_or_default();
        let work = move || {
            runtime.block_on(async {
                for (target, signals) in destinations {
                    let signal = signals.first().copied().unwrap_or(Signal::Traces);
                    tokio::spawn(ask(board.clone(), target, signal, heartbeat(&service_name)));
                }
                if let Some(statsd) = statsd {
                    tokio::spawn(knock(board.clone(), statsd));
                }
                // A dropped sender means the same as one that says stop.
                let _ = stopped.await;
            });
        };
        let thread = std::thread::Builder::new().name("dagtel-heart".into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the panic hook.
            let _ = thread.join();
        }
    }
}

async fn ask(board: Arc<Board>, target: Target, signal: Signal, body: Bytes) {
    let (name, bytes) = (target.endpoint.to_string(), body.len());
    let mut exporter = Exporter::with(target.endpoint, target.protocol, target.delivery);
    loop {
        let began = Instant::now();
        let answer = tokio::time::timeout(LIMIT, exporter.send(signal, body.clone())).await;
        let outcome = match answer {
            Ok(Verdict::Accepted | Verdict::Partial { .. }) => Outcome::Success,
            Ok(_) => Outcome::Error,
            Err(_) => Outcome::Timeout,
        };
        board.sent(&name, outcome, began.elapsed(), bytes);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The same of a StatsD daemon, which does not answer: that nobody is there is all that can be known.
async fn knock(board: Arc<Board>, statsd: Statsd) {
    let name = statsd.to_string();
    loop {
        let began = Instant::now();
        let outcome = match tokio::time::timeout(LIMIT, statsd.probe()).await {
            Ok(Ok(_)) => Outcome::Success,
            Ok(Err(_)) => Outcome::Error,
            Err(_) => Outcome::Timeout,
        };
        board.sent(&name, outcome, began.elapsed(), 0);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// A request that says who asks, and has no data. It is the same in bytes for traces and for metrics.
pub(crate) fn heartbeat(service_name: &str) -> Bytes {
    let name = AnyValue { value: Some(any_value::Value::StringValue(service_name.to_owned())) };
    let attribute = KeyValue { key: "service.name".to_owned(), value: Some(name), ..KeyValue::default() };
    let resource = Resource { attributes: vec![attribute], ..Resource::default() };
    let spans = ResourceSpans { resource: Some(resource), ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec().into()
}
