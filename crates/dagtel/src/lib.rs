//! OpenTelemetry-native instrumentation for DAG engines.
//!
//! A DAG run becomes a root span, each try of a task a child span, linked to what it waited for; metrics are counted
//! beside them under Airflow's names. Everything is sent to an OpenTelemetry Collector by OTLP.
//!
//! ```no_run
//! use dagtel::{DagRun, Dagtel, TaskInstance};
//!
//! let (dagtel, _guard) = Dagtel::builder("my-engine").endpoint("http://127.0.0.1:4317").install()?;
//!
//! let run = dagtel.start(DagRun::new("sales", "2026-11-20"));
//! let task = run.start(TaskInstance::new("extract").operator("bash"));
//! task.success();
//! let task = run.start(TaskInstance::new("load").upstream(["extract"]));
//! task.failed("the warehouse is closed");
//! run.failed();
//! # Ok::<(), dagtel::BuildError>(())
//! ```
//!
//! What cannot be counted from runs and tries, such as the slots of a pool or the passes of a scheduler's loop, an engine
//! reports through [`Dagtel::metrics`].
//!
//! No call of an engine waits for the network or for another process, panics, or returns an error that must be handled;
//! what goes wrong is counted. With [`Dagtel::off`] every call does nothing.

mod builder;
pub mod config;
mod context;
mod counters;
mod describe;
mod engine;
mod guard;
mod handle;
mod hooks;
mod in_memory;
mod instruments;
mod journal;
mod listener;
mod loops;
mod memory;
pub mod metrics;
mod pipeline;
mod sink;
mod starts;
#[cfg(feature = "tracing")]
pub mod tracing;
pub mod usage;
mod worker;

pub use builder::{BuildError, Builder};
pub use context::{RunContext, TaskContext};
pub use counters::Tally;
pub use dagtel_core as core;
pub use dagtel_core::event::{Exception, LogLine, Severity};
pub use dagtel_core::fold::Unfinished;
pub use dagtel_core::value::{Text, Value};
pub use dagtel_drain::Durability;
pub use dagtel_proc as proc;
pub use describe::{DagRun, TaskInstance};
pub use engine::Dagtel;
pub use guard::Guard;
pub use handle::{RunHandle, TaskHandle, TaskLogger};
pub use in_memory::InMemory;
pub use instruments::OutboxClient;
pub use listener::Listener;
pub use loops::{Pass, Step};
pub use memory::{COSMOS_DEBUG_MAX_MEMORY_MB, ProcessEnd, resources_in_all, resources_so_far};
pub use worker::{Report, Worker};

/// The examples of the README are compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So are those of the guides.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../docs/guides/rust-engine.md")]
    struct RustEngine;
    #[doc = include_str!("../../../docs/guides/inside-a-task.md")]
    struct InsideATask;
}
