//! Events in, signals out: the pure heart of dagtel.
//!
//! Engine authors use the crate `dagtel`; this one is for those who write adapters, agents or exporters.
//!
//! ```text
//! Event ──guard──► Admitted ──fold──► Change ──map──► Span      metrics are counted by the fold
//! ```
//!
//! Nothing here does I/O, reads a clock or fails: odd input is an [`fold::Anomaly`], counted beside what it changed.

pub mod catalog;
pub mod event;
pub mod fold;
pub mod guard;
pub mod id;
pub mod key;
pub mod limits;
pub mod metrics;
mod pairs;
pub mod redact;
pub mod signal;
pub mod time;
pub mod value;
