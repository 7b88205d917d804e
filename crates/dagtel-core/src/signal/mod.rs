//! Signals: spans as OpenTelemetry defines them, made from what became final; passes of an engine's loops and log records,
//! as somebody tells them.

mod log;
mod map;
mod own;
mod pass;
mod span;

pub use self::log::{LogRecord, Origin, Severity, lifecycle_records, log_records};
pub use self::map::spans;
pub use self::pass::{Pass, PassSpan, pass_spans};
pub use self::span::{Span, SpanEvent, SpanLink, Status};
