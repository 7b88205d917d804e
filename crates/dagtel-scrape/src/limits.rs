//! Every bound of the page and of its server, by name.

use std::time::Duration;

/// Bytes of a page. Series that do not fit are left out, whole, and counted.
pub const PAGE_BYTES: usize = 8 << 20;
/// Bytes kept for the families that describe the agent itself.
pub const RESERVED_BYTES: usize = 1 << 20;
/// Open connections. For the next one the connection goes that has been without a whole request for the longest.
pub const CONNECTIONS: usize = 64;
/// How long a request head may take to arrive, and how long a connection may be without one.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may live after its last request began, the answer's way included.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// Bytes of a request's head as it is read.
pub const HEAD_BUFFER: usize = 16 << 10;
/// Bytes of all names and values of headers.
pub const HEADER_BYTES: usize = 8 << 10;
/// Headers of a request.
pub const HEADERS: usize = 64;
/// Bytes of a request target.
pub const TARGET_BYTES: usize = 2 << 10;
/// Values in the query of a request target; the page has a use for none.
pub const QUERY_VALUES: usize = 32;
