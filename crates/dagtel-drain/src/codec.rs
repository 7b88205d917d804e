//! Events as records of the journal: postcard (<https://postcard.jamesmunns.com/wire-format>), one kind of record for
//! each version of the event, and one for what the guard found in the process that reported it.

use dagtel_core::event::Event;
use dagtel_core::guard::{Admitted, Found};
use postcard::ser_flavors::Flavor;

/// The kind of a record that holds an event of the first version.
const EVENT_V1: u8 = 1;
/// The kind of a record that says what the guard cut and masked. A process that only reports may be gone at once, so its
/// counts go the way of its events.
const FOUND_V1: u8 = 2;

/// The kind of a record that holds an event of a process on another host, whose agent forwarded it, and will forward what
/// the death of that process means.
const RECEIVED_V1: u8 = 3;

/// What a record of the journal holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Decoded {
    Event(Event),
    Received(Event),
    Found(Found),
}

/// Appends the bytes of an event's record, and returns its kind.
pub(crate) fn encode(event: &Admitted, buffer: &mut Vec<u8>) -> Option<u8> {
    postcard::serialize_with_flavor(event.event(), Buffer(buffer)).ok()?;
    Some(EVENT_V1)
}

/// Appends the bytes of the record of an event that was received, and returns its kind.
pub(crate) fn encode_received(event: &Admitted, buffer: &mut Vec<u8>) -> Option<u8> {
    encode(event, buffer).map(|_| RECEIVED_V1)
}

/// Appends the bytes of the record of what the guard found, and returns its kind.
pub(crate) fn encode_found(found: Found, buffer: &mut Vec<u8>) -> Option<u8> {
    postcard::serialize_with_flavor(&found, Buffer(buffer)).ok()?;
    Some(FOUND_V1)
}

/// A buffer of the caller's: postcard's own either makes a new one each time or copies byte by byte.
struct Buffer<'a>(&'a mut Vec<u8>);

impl Flavor for Buffer<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        match bytes {
            // Nearly every length and number: copying them as a slice is a call each.
            [byte] => self.0.push(*byte),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// What is in a record. `None` when it is of a kind that this version does not know, or damaged.
pub(crate) fn decode(kind: u8, payload: &[u8]) -> Option<Decoded> {
    match kind {
        EVENT_V1 => postcard::from_bytes(payload).ok().map(Decoded::Event),
        RECEIVED_V1 => postcard::from_bytes(payload).ok().map(Decoded::Received),
        FOUND_V1 => postcard::from_bytes(payload).ok().map(Decoded::Found),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dagtel_core::event::{Exception, Fact, TaskChange, TaskDetails, TaskState, Truth};
    use dagtel_core::guard::admit;
    use dagtel_core::key::{RunKey, TryKey};
    use dagtel_core::time::Timestamp;
    use dagtel_core::value::Value;

    use super::*;

    fn event() -> Event {
        let details = TaskDetails {
            upstream: Some(vec!["extract".into()]),
            exception: Some(Box::new(Exception::new("E", "m"))),
            attributes: vec![
                ("b".into(), true.into()),
                ("i".into(), (-7i64).into()),
                ("f".into(), 0.5.into()),
                ("s".into(), "text".into()),
                ("l".into(), Value::List(vec!["x".into()])),
            ],
        };
        let change = TaskChange::Finished(TaskState::Failed);
        let fact = Fact::Task { key: TryKey::new("load"), change, details };
        let run = Arc::new(RunKey::new("sales", "run"));
        Event { run, at: Timestamp::from_millis(1_795_208_640_500), truth: Truth::Reported, fact }
    }

    #[test]
    fn an_event_round_trips() {
        let (admitted, _) = admit(event());
        let mut bytes = Vec::new();
        let kind = encode(&admitted, &mut bytes).unwrap();
        assert_eq!(decode(kind, &bytes).unwrap(), Decoded::Event(event()));
        let received = encode_received(&admitted, &mut Vec::new()).unwrap();
        assert_eq!(decode(received, &bytes).unwrap(), Decoded::Received(event()));
        assert_eq!(decode(kind + 9, &bytes), None);
        assert_eq!(decode(kind, &bytes[..5]), None);
    }

    #[test]
    fn what_the_guard_found_round_trips() {
        let mut found = Found::default();
        (found.cut, found.redacted) = (3, 400);
        let mut bytes = Vec::new();
        let kind = encode_found(found, &mut bytes).unwrap();
        assert_eq!(decode(kind, &bytes), Some(Decoded::Found(found)));
    }

    /// Journals outlive versions: these bytes must be read by every later one.
    #[test]
    fn the_first_version_is_still_read() {
        let golden = include_bytes!("../tests/golden/event_v1.bin");
        assert_eq!(decode(EVENT_V1, golden), Some(Decoded::Event(event())));
    }
}
