//! The harness of the whole-system tests: it starts the real OpenTelemetry Collector, Jaeger and Prometheus
//! with the configurations that dagtel ships, and asks them what arrived.
//!
//! `cargo xtask test` builds or finds the three and asks for these tests; under a plain `cargo test` they say
//! that they were skipped. A test reads like this:
//!
//! ```no_run
//! use dagtel_system_tests::Stack;
//! use std::time::Duration;
//!
//! let Some(stack) = Stack::start("a_run_becomes_a_trace") else { return };
//! // … send something to stack.otlp_http() …
//! let trace = stack.traces().wait_for_trace("0af7651916cd43dd8448eb211c80319c", |_| true, Duration::from_secs(20));
//! assert_eq!(trace.span("task_run.extract").service, "nightly_etl");
//! ```

pub mod agent;
pub mod airflow;
pub mod command;
pub mod exposition;
pub mod families;
pub mod fleet;
mod http;
pub mod jaeger;
mod kafka;
pub mod monitoring;
pub mod part;
pub mod parts;
pub mod ports;
pub mod prometheus;
pub mod recorded;
mod stack;
pub mod two_ways;
pub mod wait;

pub use stack::{Setup, Stack};
