//! Events out of log records, as [`crate::events`] makes them.

use dagtel_core::catalog::log;
use dagtel_core::event::Event;
use dagtel_core::event::line::EventLine;
use dagtel_core::limits;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

/// Why a log record is no event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnEvent {
    /// It is another kind of log record.
    #[error("its event name is {0:?}, not {expected:?}: send only what `dagtel agent --forward` sends", expected = log::EVENT)]
    Name(String),
    /// Its body is no text, or a longer one than may be.
    #[error("its body is no text of at most {most} bytes", most = limits::LINE_BYTES)]
    Body,
    /// Its body is no event line.
    #[error("its body is no event line: {0}")]
    Line(String),
}

/// The event in a log record.
///
/// # Errors
/// When it is no record of an event, or one that this version does not understand.
pub fn event_of(record: &LogRecord) -> Result<Event, NotAnEvent> {
    if record.event_name != log::EVENT {
        return Err(NotAnEvent::Name(limits::clip(&record.event_name, limits::TAG_BYTES).to_owned()));
    }
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    let Some(Value::StringValue(line)) = body else { return Err(NotAnEvent::Body) };
    if line.len() > limits::LINE_BYTES {
        return Err(NotAnEvent::Body);
    }
    let line: EventLine = serde_json::from_str(line).map_err(|error| NotAnEvent::Line(error.to_string()))?;
    Event::try_from(line).map_err(|error| NotAnEvent::Line(error.to_string()))
}
