//! What the tests of dagtel share: a [`Collector`] that remembers what it was sent, answers as it is told, and knows
//! by its [`Oracle`] whether anything came twice; a [`gateway`] of usage events; certificates and [`tls`].
//!
//! ```
//! use dagtel_receiver::Answer;
//! use dagtel_testkit::Collector;
//!
//! let collector = Collector::start();
//! collector.answer_traces([Answer::Refuse { message: "no".into() }]);
//! // … something sends to `collector.endpoint()` …
//! assert_eq!(collector.taken().spans().count(), 0);
//! ```
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod attributes;
mod collector;
pub mod gateway;
mod oracle;
mod taken;
pub mod tls;

pub use attributes::{get, text, texts};
pub use collector::Collector;
pub use oracle::Oracle;
pub use taken::{Logged, Point, Spanned, Taken, Value};
