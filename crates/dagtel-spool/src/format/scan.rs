//! Finding records in bytes that may be damaged. Any bytes are fine: this is what the fuzz tests attack.

use super::record::{MAGIC, Place, RECORD_HEADER, RecordHeader};

/// What is at the beginning of a window into a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record, as long as its header says.
    Record(RecordHeader),
    /// A record whose payload is damaged.
    BadPayload(RecordHeader),
    /// So many bytes that are no record; after them there may be one.
    Skip(usize),
    /// The window must be so long to say.
    More(usize),
    /// Nothing, or the beginning of a record that was never finished, to the end of the file.
    Tail,
}

/// Looks at the window that begins at this place; `end` says that the file ends with it.
pub(crate) fn step(window: &[u8], place: Place, end: bool) -> Step {
    if window.len() < RECORD_HEADER {
        return if end { Step::Tail } else { Step::More(RECORD_HEADER) };
    }
    let Some(header) = RecordHeader::decode(window, place) else {
        return search(window, place, end);
    };
    match window.get(RECORD_HEADER..header.size()) {
        Some(payload) if crc32fast::hash(payload) == header.payload_crc => Step::Record(header),
        Some(_) => Step::BadPayload(header),
        None if end => Step::Tail,
        None => Step::More(header.size()),
    }
}

/// The next place after the beginning where a record may be.
fn search(window: &[u8], place: Place, end: bool) -> Step {
    for at in 1..window.len() {
        let rest = &window[at..];
        if !rest.starts_with(&MAGIC) {
            continue;
        }
        let there = Place { seed: place.seed, offset: place.offset + at as u64 };
        let cut_off = rest.len() < RECORD_HEADER && !end;
        if cut_off || RecordHeader::decode(rest, there).is_some() {
            return Step::Skip(at);
        }
    }
    match end {
        true => Step::Tail,
        // The window may end within the first bytes of a record.
        false => Step::Skip(window.len() - (MAGIC.len() - 1)),
    }
}
