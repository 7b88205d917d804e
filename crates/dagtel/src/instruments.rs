//! Live instruments: dagtel's own metrics and those of the engine, through OpenTelemetry's SDK.
//!
//! The SDK's exporter writes its requests into the outbox instead of the network, so they are sent, counted and kept
//! like everything else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dagtel_core::catalog::drop_reason;
use dagtel_core::catalog::metric::Definition;
use dagtel_core::catalog::registry::own;
use dagtel_core::limits::TAG_SETS;
use dagtel_drain::OutboxWriter;
use dagtel_otlp::{Frame, Identity, Signal};
use dagtel_spool::AppendError;
use http::{Request, Response, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, MeterProvider as _};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream};

use crate::counters::Counters;

/// The instrumentation scope of dagtel's own instruments and of those of the registry.
pub(crate) const SCOPE: &str = "dagtel";

/// Takes the requests of OpenTelemetry's OTLP/HTTP exporters into the outbox.
#[derive(Clone, Debug)]
pub struct OutboxClient {
    outbox: OutboxWriter,
    counters: Arc<Counters>,
    /// What anybody is sent; the rest is not kept.
    signals: Vec<Signal>,
}

impl OutboxClient {
    pub(crate) fn new(outbox: OutboxWriter, counters: Arc<Counters>) -> Self {
        Self { outbox, counters, signals: vec![Signal::Traces, Signal::Metrics, Signal::Logs] }
    }

    /// The same, of which only these are kept.
    pub(crate) fn only(mut self, kept: impl Fn(Signal) -> bool) -> Self {
        self.signals.retain(|signal| kept(*signal));
        self
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Appends a request to the outbox, and counts it as made.
    pub(crate) fn append(&self, frame: Frame) -> Result<(), AppendError> {
        let (signal, items) = (frame.signal, frame.items);
        if !self.signals.contains(&signal) {
            return Ok(());
        }
        self.outbox.append(frame)?;
        self.counters.made(signal, items as u64);
        Ok(())
    }

    /// Appends what dagtel made. What cannot be kept is counted as made and given up.
    pub(crate) fn append_or_count(&self, frame: Frame) {
        let (signal, items) = (frame.signal, frame.items as u64);
        if self.append(frame).is_err() {
            self.counters.made(signal, items);
            self.counters.dropped(signal.as_str(), drop_reason::OUTBOX_REFUSED, items);
        }
    }
}

#[async_trait]
impl HttpClient for OutboxClient {
    /// Answers 200 when the request is in the outbox, 503 when there is no room, 404 for a path that OTLP does not have.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // The path ends in the signal's own, whatever an endpoint's stands before it.
        let signal = match request.uri().path().rsplit_once("/v1/") {
            Some((_, "traces")) => Signal::Traces,
            Some((_, "metrics")) => Signal::Metrics,
            Some((_, "logs")) => Signal::Logs,
            _ => return Ok(answer(StatusCode::NOT_FOUND)),
        };
        let body = match content_encoding(&request) {
            None => request.into_body().to_vec(),
            Some(encoding) => {
                return Err(format!("the exporter compresses by {encoding}: the outbox does that").into());
            }
        };
        // How many points the request holds is only known inside; it is counted as one.
        let taken = self.append(Frame::new(signal, body, 1));
        Ok(answer(if taken.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }))
    }
}

fn content_encoding(request: &Request<Bytes>) -> Option<String> {
    let encoding = request.headers().get(http::header::CONTENT_ENCODING)?.to_str().unwrap_or("?");
    Some(encoding.to_owned()).filter(|encoding| encoding != "identity")
}

fn answer(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// A meter provider whose readings go to the outbox, with dagtel's own instruments in it.
pub(crate) fn provider(
    client: OutboxClient,
    identity: &Identity,
    interval: Duration,
) -> Result<SdkMeterProvider, ExporterBuildError> {
    let counters = client.counters.clone();
    let exporter = MetricExporter::builder()
        .with_http()
        // Never resolved nor connected to: the client above takes every request.
        .with_endpoint("http://outbox.invalid/v1/metrics")
        .with_http_client(client)
        .build()?;
    let reader = PeriodicReader::builder(exporter).with_interval(interval).build();
    let provider = SdkMeterProvider::builder()
        .with_reader(reader)
        .with_resource(resource(identity))
        .with_view(room)
        .build();
    observe(&provider, &counters);
    Ok(provider)
}

/// Room for every tag set of a metric of dagtel's, and for its overflow series. The SDK would fold whatever is more than
/// 2000 into a series of its own, with `otel.metric.overflow`, and say nothing of it.
fn room(instrument: &Instrument) -> Option<Stream> {
    let ours = instrument.scope().name() == SCOPE;
    ours.then(|| Stream::builder().with_cardinality_limit(TAG_SETS + 1).build().ok()).flatten()
}

fn resource(identity: &Identity) -> Resource {
    // The SDK lets the last of two with one key count, `Identity` the first, and its own names before all others.
    Resource::builder_empty()
        .with_attributes(identity.resource.iter().chain(&identity.tags).rev().map(key_value))
        .with_service_name(identity.service_name.to_string())
        .with_attribute(KeyValue::new("service.instance.id", identity.instance_id.to_string()))
        .build()
}

pub(crate) fn key_value((key, value): &dagtel_core::value::Attribute) -> KeyValue {
    use dagtel_core::value::Value;
    let value = match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        other => opentelemetry::Value::from(other.as_str().unwrap_or_default().to_owned()),
    };
    KeyValue::new(key.to_string(), value)
}

/// [`own::PRODUCED`], [`own::DELIVERED`], [`own::DROPPED`], [`own::ANOMALIES`].
fn observe(provider: &SdkMeterProvider, counters: &Arc<Counters>) {
    let meter = provider.meter(SCOPE);
    let counter = |own: &Definition, tell: Tell| {
        let counters = counters.clone();
        meter
            .u64_observable_counter(own.name)
            .with_unit(own.unit)
            .with_description(own.description)
            .with_callback(move |observer| tell(&counters, observer))
            .build()
    };
    counter(&own::PRODUCED, |counters, observer| {
        for (signal, tally) in counters.tallies() {
            observer.observe(tally.produced, &[KeyValue::new("signal", signal.as_str())]);
        }
    });
    counter(&own::DELIVERED, |counters, observer| {
        for (signal, tally) in counters.tallies() {
            observer.observe(tally.delivered, &[KeyValue::new("signal", signal.as_str())]);
        }
    });
    counter(&own::DROPPED, |counters, observer| {
        for ((signal, reason), items) in counters.drops() {
            observer.observe(items, &[KeyValue::new("signal", signal), KeyValue::new("reason", reason)]);
        }
    });
    counter(&own::ANOMALIES, |counters, observer| {
        for (anomaly, times) in counters.anomalies() {
            observer.observe(times, &[KeyValue::new("reason", anomaly.as_str())]);
        }
    });
}

/// Tells what was counted to an instrument that observes it.
type Tell = fn(&Counters, &dyn AsyncInstrument<u64>);
