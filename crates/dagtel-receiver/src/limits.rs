//! Every bound of the receiver, by name.
//!
//! A receiver takes what strangers send. Nothing it holds may grow without one of these numbers saying how far.

use std::time::Duration;

/// Largest decoded request, whatever the transport: 16 MiB. It bounds the protobuf or JSON text, after decompression.
pub const MAX_DECODED: usize = 16 << 20;

/// Largest compressed OTLP/HTTP body: 4 MiB. Telemetry shrinks about tenfold, so more than this is no honest batch.
pub const MAX_COMPRESSED: usize = 4 << 20;

/// How much of a too large HTTP body is still read and thrown away: 16 MiB. A sender that is cut off while it writes
/// sees a broken connection and tries again; one that may finish sees the refusal.
pub const MAX_DISCARDED: usize = 16 << 20;

/// HTTP/2 window of a stream and of a connection: 4 MiB. The default of 64 KiB halves the throughput of
/// uncompressed batches, because the sender waits for permission in the middle of each one.
pub const WINDOW: u32 = 4 << 20;

/// Open connections per transport; the next one waits in the operating system's queue until another closes.
pub const MAX_CONNECTIONS: usize = 64;

/// Requests read and decoded at the same time, both transports together.
pub const MAX_IN_FLIGHT: usize = 32;

/// How long one request may take to arrive and to be answered.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long requests under way may go on after the signal to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How long connections without a request stay open after the signal to stop, so that the last answers get out.
pub const SHUTDOWN_LINGER: Duration = Duration::from_millis(100);
