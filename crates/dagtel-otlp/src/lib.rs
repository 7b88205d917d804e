//! Signals of `dagtel-core` to OTLP bytes (opentelemetry-proto 1.10), and the one legal way to decompress what comes in.
//!
//! The encoder writes protobuf straight from the signals, without a message tree in between: that is several times
//! faster, and the same signals always give the same bytes, so that a resend is recognised as one. Its output is tested
//! by decoding it with the messages of `opentelemetry-proto`.
//!
//! Nothing here opens a file or a socket.

pub mod capped;
mod encode;
mod event;
mod frame;
mod identity;
mod most;
pub mod record;
mod split;
mod wire;

pub use encode::{events, logs, metrics, traces};
pub use event::{NotAnEvent, event_of};
pub use frame::{Frame, Signal};
pub use identity::Identity;
pub use most::{Most, RecordLimits};
pub use split::halves;

/// Spans, metric points or log records in one frame.
pub const FRAME_ITEMS: usize = 512;

/// Bytes after which a frame takes no further item. A single item is at most about this long by the limits of
/// `dagtel_core::limits`, so a frame stays well below the 4 MiB that gRPC receivers accept by default.
pub const FRAME_BYTES: usize = 1024 * 1024;
