//! Frames as records of an outbox.
//!
//! A record's kind is the signal; its payload is the number of the frame (u64, little-endian) and then the request. The
//! drainer numbers its frames from 1 without gaps, so that after a crash the next one knows which of them are there
//! already. Requests that other parts of a program put there (the exporters of its own SDK) have the number
//! [`UNNUMBERED`].

use crate::Signal;

/// The number of a frame that is not the drainer's.
pub const UNNUMBERED: u64 = 0;

/// The kind of the records that hold a signal.
pub const fn kind_of(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 1,
        Signal::Metrics => 2,
        Signal::Logs => 3,
        Signal::Events => 4,
    }
}

/// The signal that records of a kind hold. `None` for a kind that this version does not know.
pub const fn signal_of(kind: u8) -> Option<Signal> {
    match kind {
        1 => Some(Signal::Traces),
        2 => Some(Signal::Metrics),
        3 => Some(Signal::Logs),
        4 => Some(Signal::Events),
        _ => None,
    }
}

/// The payload of a record.
pub fn payload(number: u64, request: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(8 + request.len());
    payload.extend_from_slice(&number.to_le_bytes());
    payload.extend_from_slice(request);
    payload
}

/// The number and the request in a payload. `None` when it is too short for one.
pub fn parse(payload: &[u8]) -> Option<(u64, &[u8])> {
    let (number, request) = payload.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back() {
        for signal in [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Events] {
            assert_eq!(signal_of(kind_of(signal)), Some(signal));
        }
        assert_eq!(parse(&payload(7, b"abc")), Some((7, &b"abc"[..])));
        assert_eq!((parse(b"short"), signal_of(9)), (None, None));
    }
}
