//! Recordings: DAG runs as lines of JSON, either what Airflow's listener hooks saw or dagtel's own event lines.
//!
//! A recording is read line by line with bounded memory. A line that cannot be used becomes a [`Problem`] with its
//! number, and the others are still told.

mod airflow;
mod lines;

use std::io::BufRead;

use dagtel_core::event::Event;
use dagtel_core::event::line::EventLine;
use dagtel_core::limits;

use self::lines::{Line, Lines};

/// A line that could not be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Its number, from 1.
    pub(crate) line: usize,
    /// What is wrong with it, and the mend.
    pub(crate) message: String,
}

/// Reads a recording, giving each event to `take` and each bad line to `complain`.
///
/// # Errors
/// When the recording itself cannot be read any further.
pub(crate) fn read(
    input: impl BufRead,
    namespace: &str,
    mut take: impl FnMut(Event),
    mut complain: impl FnMut(Problem),
) -> std::io::Result<()> {
    let mut adapter = airflow::Adapter::new(namespace);
    for line in Lines::new(input) {
        let (line, content) = line?;
        let events = match content {
            Line::Text(text) if text.trim_ascii().is_empty() => continue,
            Line::Text(text) => events(&text, &mut adapter),
            Line::TooLong(bytes) => Err(format!(
                "the line has {bytes} bytes, the most is {}: it was passed over",
                limits::LINE_BYTES
            )),
        };
        match events {
            Ok(events) => events.into_iter().for_each(&mut take),
            Err(message) => complain(Problem { line, message }),
        }
    }
    Ok(())
}

fn events(text: &[u8], adapter: &mut airflow::Adapter) -> Result<Vec<Event>, String> {
    let value: serde_json::Value = serde_json::from_slice(text).map_err(not_json)?;
    let Some(object) = value.as_object() else {
        return Err(r#"the line is no JSON object: each line is one object with "hook" or "event""#.into());
    };
    if object.contains_key("hook") {
        return adapter.events(value);
    }
    if object.contains_key("event") {
        let line: EventLine = serde_json::from_value(value).map_err(|error| error.to_string())?;
        return Event::try_from(line).map(|event| vec![event]).map_err(|error| error.to_string());
    }
    Err(r#"the line has neither "hook" (Airflow's listener) nor "event" (see dagtel schema)"#.into())
}

fn not_json(error: serde_json::Error) -> String {
    if error.is_eof() {
        format!("the line breaks off at column {}: was the recording cut?", error.column())
    } else {
        format!("the line is no JSON: {error}")
    }
}

#[cfg(test)]
mod tests;
