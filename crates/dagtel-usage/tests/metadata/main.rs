//! The metadata codec: against the original's own output, against Python, against what nobody should send.

mod bad;
mod python;
mod vectors;
