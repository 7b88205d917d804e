//! Every limit of this crate, by name.

use std::time::Duration;

/// Events that wait to be sent. One more is dropped and counted: what is there stays, what is new goes.
pub const QUEUE: usize = 1024;
/// How long one event may take altogether: name resolution, connection, TLS, redirects, answer.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// Redirects that are followed for one event, all on the gateway's own host.
pub const REDIRECTS: usize = 5;
/// Bytes of an answer's body that are read; they are thrown away.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of an answer's head that are read.
pub const HEAD_BYTES: usize = 64 * 1024;
/// Bytes of a URL. A longer one is not sent; the original's HTTP library refuses it as well.
pub const URL_BYTES: usize = 64 * 1024 - 2;

/// Bytes of compressed metadata, as text.
pub const METADATA_TEXT_BYTES: usize = 64 * 1024;
/// Bytes of the JSON text inside.
pub const METADATA_JSON_BYTES: usize = 1024 * 1024;
/// Values in it, all levels together: a value costs some hundred bytes of memory, however short it is written.
pub const METADATA_VALUES: usize = 32 * 1024;
/// Lists and objects inside each other.
pub const METADATA_DEPTH: usize = 128;
/// Digits of an integer: as many as Python reads and writes by default.
pub const INTEGER_DIGITS: usize = 4300;
