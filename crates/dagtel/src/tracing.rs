//! Events of the crate `tracing` become lines of the try in whose context they happen.
//!
//! ```
//! use dagtel::{DagRun, Dagtel, TaskInstance};
//! use tracing_subscriber::layer::SubscriberExt as _;
//!
//! # let dagtel = Dagtel::off();
//! let subscriber = tracing_subscriber::registry().with(dagtel::tracing::TaskLayer::default());
//! # let _default = tracing::subscriber::set_default(subscriber);
//!
//! let run = dagtel.start(DagRun::new("sales", "2026-11-20"));
//! let task = run.start(TaskInstance::new("load"));
//! {
//!     // For a future: `opentelemetry::trace::FutureExt::with_context`.
//!     let _in_task = task.context().attach();
//!     tracing::info!(rows = 17, "loaded");
//! }
//! task.success();
//! ```
//!
//! The context is OpenTelemetry's current one, which spans of an SDK that are made in it pass on; so what happens in them
//! is a line of the try as well. Which events there are is for filters to say
//! (`tracing_subscriber::Layer::with_filter`).

use std::cell::Cell;
use std::fmt;

use dagtel_core::catalog::attribute;
use dagtel_core::event::{LogLine, Severity};
use dagtel_core::value::{Attribute, SmolStr, Value};
use opentelemetry::Context;
use tracing_core::field::{Field, Visit};
use tracing_core::{Event, Level, Subscriber};
use tracing_subscriber::Layer;

use crate::TaskLogger;

/// A layer for `tracing`'s subscribers.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TaskLayer;

thread_local! {
    /// While a line is logged on this thread: what that itself logs is none.
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

impl<S: Subscriber> Layer<S> for TaskLayer {
    fn on_event(&self, event: &Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if LOGGING.replace(true) {
            return;
        }
        let logger = Context::map_current(|current| current.get::<TaskLogger>().cloned());
        if let Some(logger) = logger.filter(TaskLogger::is_on) {
            logger.log_line(line(event));
        }
        LOGGING.set(false);
    }
}

fn line(event: &Event<'_>) -> LogLine {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let target = SmolStr::new(event.metadata().target());
    fields.attributes.push((attribute::LOG_TARGET, target.into()));
    let severity = severity(*event.metadata().level());
    LogLine { severity, body: fields.message.into(), attributes: fields.attributes }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::TRACE => Severity::Trace,
        Level::DEBUG => Severity::Debug,
        Level::INFO => Severity::Info,
        Level::WARN => Severity::Warn,
        Level::ERROR => Severity::Error,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    attributes: Vec<Attribute>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.attributes.push((SmolStr::new_static(field.name()), value.into()));
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.put(field, value),
            Err(_) => self.put(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.put(field, value.to_owned()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.put(field, format!("{value:?}")),
        }
    }
}
