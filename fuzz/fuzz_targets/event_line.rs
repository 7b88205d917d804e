//! Event lines of any language: whatever is read as an event is written and read as the same one, and goes the whole way
//! to requests that receivers take.

#![no_main]

use dagtel_core::event::Event;
use dagtel_core::event::line::EventLine;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(event) = read(data) else { return };
    let text = serde_json::to_vec(&EventLine::from(&event)).expect("an event is a line");
    assert_eq!(read(&text).as_ref(), Some(&event), "{}", String::from_utf8_lossy(&text));
    dagtel_fuzz::follow([event]);
});

fn read(text: &[u8]) -> Option<Event> {
    let line: EventLine = serde_json::from_slice(text).ok()?;
    Event::try_from(line).ok()
}
