//! Signals: spans as OpenTelemetry defines them, made from what became final.

mod map;
mod own;
mod span;

pub use self::map::spans;
pub use self::span::{Span, SpanEvent, SpanLink, Status};
