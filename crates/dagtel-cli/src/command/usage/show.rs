//! A preview, for people and for programs.

use std::fmt::Write as _;

use dagtel::usage::log_record;
use dagtel_core::guard;
use dagtel_core::signal::LogRecord;
use dagtel_core::value::Value;
use dagtel_otlp::{Frame, Identity};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use serde_json::json;

use super::Shown;
use crate::show::{Theme, Tone};

const NOTHING: &str = "Nothing is sent: none of it is a task of Cosmos.";

/// The preview as JSON: for each route what would be sent, and why it is not.
pub(super) fn json(shown: Option<&Shown>) -> String {
    let Some(shown) = shown else { return format!("{:#}\n", json!({ "event": null, "why_not": NOTHING })) };
    let (to_gateway, to_collector) = (shown.not_to_gateway(), shown.not_to_collector());
    let preview = json!({
        "event": shown.event.event_type,
        "gateway": { "sent": to_gateway.is_none(), "why_not": to_gateway, "url": shown.url() },
        "collector": { "sent": to_collector.is_none(), "why_not": to_collector, "log_record": otlp(shown) },
        "removed": shown.removed,
    });
    format!("{preview:#}\n")
}

/// The very record that the encoder writes, as OTLP JSON. The resource around it is the deployment's.
fn otlp(shown: &Shown) -> serde_json::Value {
    let (record, _) = guard::admit_log(log_record(&shown.event, shown.now));
    let frames = dagtel_otlp::logs(&[record], &Identity::new("", ""));
    let decoded = |frame: &Frame| ExportLogsServiceRequest::decode(&*frame.body).ok();
    let request = frames.first().and_then(decoded).unwrap_or_default();
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    let record = scopes.flat_map(|scope| scope.log_records).next();
    serde_json::to_value(record).unwrap_or_default()
}

/// The preview for people.
pub(super) fn text(shown: Option<&Shown>, theme: &Theme) -> String {
    let Some(shown) = shown else { return format!("{NOTHING}\n") };
    let mut out = String::new();
    route(&mut out, "gateway", shown.not_to_gateway(), theme);
    if let Some(url) = shown.url() {
        line(&mut out, &format!("  GET {url}"));
    }
    route(&mut out, "collector", shown.not_to_collector(), theme);
    record(&mut out, &log_record(&shown.event, shown.now), theme);
    if !shown.removed.is_empty() {
        line(
            &mut out,
            &theme.paint(Tone::Strong, "left out, for only known metrics of the right shape are sent"),
        );
        shown.removed.iter().for_each(|name| line(&mut out, &format!("  {}", theme.clean(name))));
    }
    out
}

fn route(out: &mut String, name: &str, why_not: Option<String>, theme: &Theme) {
    let name = theme.paint(Tone::Strong, name);
    match why_not {
        None => line(out, &format!("{name}: {}", theme.paint(Tone::Good, "sent"))),
        Some(why) => line(out, &format!("{name}: {}. {why}", theme.paint(Tone::Bad, "not sent"))),
    }
}

fn record(out: &mut String, record: &LogRecord, theme: &Theme) {
    line(
        out,
        &format!("  {} {} \"{}\"", record.event_name, record.severity.as_str(), theme.clean(&record.body)),
    );
    let width = record.attributes.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    for (key, value) in &record.attributes {
        line(out, &format!("    {key:width$}  {}", theme.clean(&shown_value(value))));
    }
}

fn shown_value(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

fn line(out: &mut String, text: &str) {
    // A string takes everything.
    let _ = writeln!(out, "{text}");
}
