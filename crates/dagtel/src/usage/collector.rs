//! The route to the collector: a log record for each event, and a counter.

use dagtel_core::catalog::usage as names;
use dagtel_core::guard;
use dagtel_core::signal::{LogRecord, Severity};
use dagtel_core::time::Timestamp;
use dagtel_core::value::{SmolStr, Value};
use dagtel_otlp::Identity;
use dagtel_usage::UsageEvent;
use dagtel_usage::json;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, MeterProvider};

use crate::instruments::OutboxClient;

/// Takes events to the outbox, from which they are sent to the collector.
pub(crate) struct Collector {
    identity: Identity,
    outbox: OutboxClient,
    /// `usage.events`. A process that only reports has no instruments.
    events: Option<Counter<u64>>,
}

impl Collector {
    pub(crate) fn new(identity: Identity, outbox: OutboxClient, meters: Option<&impl MeterProvider>) -> Self {
        let events = meters.map(|meters| {
            let meter = meters.meter("dagtel");
            let counter = meter.u64_counter(names::EVENTS).with_unit("{event}");
            counter.with_description("Usage events of Cosmos").build()
        });
        Self { identity, outbox, events }
    }

    pub(super) fn take(&self, event: &UsageEvent, now: Timestamp) {
        let (record, found) = guard::admit_log(log_record(event, now));
        self.outbox.counters().found(found);
        for frame in dagtel_otlp::logs(&[record], &self.identity) {
            self.outbox.append_or_count(frame);
        }
        if let Some(events) = &self.events {
            events.add(1, &tags(event));
        }
    }
}

/// Tags of few values; what is not known is left out.
fn tags(event: &UsageEvent) -> Vec<KeyValue> {
    let metric = |name| event.metrics.get(name).and_then(text);
    let mode = metric("execution_mode").or_else(|| metric("execution_modes"));
    let mut tags = vec![KeyValue::new(names::EVENT, event.event_type.clone())];
    tags.extend(metric("status").map(|status| KeyValue::new(names::STATUS, status.to_owned())));
    tags.extend(mode.map(|mode| KeyValue::new("execution_mode", mode.to_owned())));
    tags
}

fn text(value: &json::Value) -> Option<&str> {
    match value {
        json::Value::Str(text) => Some(text),
        _ => None,
    }
}

/// The log record of a usage event: `event.name` is `usage.<event>`, the attributes are the event's metrics by their own
/// names. A metric that is `None` is left out.
pub fn log_record(event: &UsageEvent, now: impl Into<Timestamp>) -> LogRecord {
    let now = now.into();
    let status = event.metrics.get("status").and_then(text).unwrap_or_default();
    let known =
        event.metrics.iter().filter_map(|(name, value)| Some((SmolStr::new(name), attribute(value)?)));
    LogRecord {
        time: now,
        observed: now,
        event_name: [names::LOG, &event.event_type].concat().into(),
        severity: Severity::Info,
        body: [&event.event_type, " ", status].concat().trim_end().into(),
        attributes: known.collect(),
        span: None,
    }
}

/// The value as an attribute; `None` for `None`. What is neither a single value nor a list of texts is a text.
pub(super) fn attribute(value: &json::Value) -> Option<Value> {
    Some(match value {
        json::Value::Null => return None,
        json::Value::Bool(value) => Value::Bool(*value),
        json::Value::Int(value) => Value::Int(*value),
        json::Value::Float(value) => Value::Float(*value),
        json::Value::Str(text) => text.clone().into(),
        json::Value::List(items) => match items.iter().map(text).collect::<Option<Vec<_>>>() {
            Some(texts) => Value::List(texts.into_iter().map(SmolStr::new).collect()),
            None => Value::Str(json::text_of(value).into()),
        },
        _ => Value::Str(json::text_of(value).into()),
    })
}
