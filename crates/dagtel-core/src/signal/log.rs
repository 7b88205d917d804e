//! A log record, as plain data.

use opentelemetry::trace::{SpanId, TraceId};
use smol_str::SmolStr;

use crate::time::Timestamp;
use crate::value::Attribute;

/// A log record, as somebody tells it. [`crate::guard::admit_log`] holds it to the limits; only then it can be encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// When it happened.
    pub time: Timestamp,
    /// When it was seen by whoever makes the record.
    pub observed: Timestamp,
    /// What kind of event it is; empty for a plain line.
    pub event_name: SmolStr,
    /// How bad it is.
    pub severity: Severity,
    /// The text for people; may be empty.
    pub body: SmolStr,
    /// What is known of it, each key once.
    pub attributes: Vec<Attribute>,
    /// The span it belongs to, and the trace of that.
    pub span: Option<(TraceId, SpanId)>,
}

/// How bad it is, by the lowest number of each of OpenTelemetry's ranges (`logs/data-model.md`, "Field:
/// SeverityNumber").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "OpenTelemetry has these ranges")]
pub enum Severity {
    /// For who follows every step.
    Trace = 1,
    /// For who looks for a fault.
    Debug = 5,
    /// Something happened.
    Info = 9,
    /// Something should be looked at.
    Warn = 13,
    /// Something went wrong.
    Error = 17,
    /// Something ended because of it.
    Fatal = 21,
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}
