//! What can be said to the builder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dagtel_core::catalog::naming::Naming;
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::value::{SmolStr, Value};
use dagtel_drain::Durability;

use super::{Builder, configure};
use crate::config::Config;
use crate::listener::Listener;
use crate::usage::UsageOptions;

impl Builder {
    /// What the file and the environment say, for an engine that reads them itself ([`Config::load`]): by default those of
    /// this process. Resource attributes and tags that were given before are gone.
    pub fn config(mut self, config: Config) -> Self {
        configure(&mut self.identity, &config);
        self.config = Ok(config);
        self
    }

    /// The OTLP receiver, such as `http://collector:4317`. Without it the environment and the file count
    /// ([`crate::config`]), and without those `http://127.0.0.1:4317`. Which other backends there are is said there alone.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The directory in which everything waits to be sent. Without it `DAGTEL_SPOOL_DIR` counts, and without that
    /// `dagtel/spool` in the user's state directory. All engines and agents of a host share one as a rule: one of them
    /// drains it for all.
    pub fn spool(mut self, dir: impl Into<PathBuf>) -> Self {
        self.spool = Some(dir.into());
        self
    }

    /// What an event survives once the call that reports it has returned. By default the death of the process.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The deployment that runs belong to unless they say otherwise. Part of the key from which ids are derived.
    pub fn namespace(mut self, namespace: impl Into<SmolStr>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// A tag that every metric and every span carries.
    pub fn tag(mut self, key: impl Into<SmolStr>, value: impl Into<SmolStr>) -> Self {
        self.identity.tags.push((key.into(), Value::from(value.into())));
        self
    }

    /// A resource attribute, such as `deployment.environment.name`. It goes before one of the same key in
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub fn resource(mut self, key: impl Into<SmolStr>, value: impl Into<Value>) -> Self {
        self.identity.resource.insert(0, (key.into(), value.into()));
        self
    }

    /// `service.instance.id`: who counts. By default made of the process id and the time of its start.
    pub fn instance_id(mut self, id: impl Into<SmolStr>) -> Self {
        self.identity.instance_id = id.into();
        self
    }

    /// Somebody else who is told of everything that is reported.
    pub fn listener(mut self, listener: impl Listener + 'static) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// Where the time of day comes from. By default the system's clock.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What the names of metrics begin with. By default `airflow.`, as in Airflow.
    pub fn metric_prefix(mut self, prefix: impl Into<SmolStr>) -> Self {
        self.identity.prefix = prefix.into();
        self
    }

    /// Which metrics and tags there are, and the unit of durations. By default what the environment and the file say, and
    /// without those all, and seconds. Instruments of the
    /// engine's [own](crate::Dagtel::meter) are not touched.
    pub fn naming(mut self, naming: Naming) -> Self {
        self.identity.naming = naming;
        self
    }

    /// How often metrics are exported. Without it the environment and the file count, and without those every 10 s.
    pub fn metric_interval(mut self, interval: Duration) -> Self {
        self.metric_interval = Some(interval.max(Duration::from_millis(10)));
        self
    }

    /// The share of passes of the engine's loops ([`Dagtel::scheduler_loop`](crate::Dagtel::scheduler_loop) and its like) that are told as spans, from 0
    /// to 1. Without it the environment and the file count, and without those none is. Unless it is 0, a pass in which something fails is told as well, from then on. A pass that is told
    /// costs one append to the outbox, the others next to nothing.
    pub fn loop_spans(mut self, share: f64) -> Self {
        self.loop_spans = Some(share);
        self
    }

    /// Whether starts and ends of runs and tries are log records too (`dag_run.started`, `task.finished`, …), so that a
    /// running run can be seen in a backend. Without it the file counts, and without that they are not.
    pub fn lifecycle_records(mut self, on: bool) -> Self {
        self.lifecycle = Some(on);
        self
    }

    /// Whether the last lines that a try logged are events of its span. Without it the file counts, and without that they
    /// are not.
    pub fn task_log_event(mut self, on: bool) -> Self {
        self.task_log_event = Some(on);
        self
    }

    /// How long the end may take: what is not sent by then stays on disk for the next process that
    /// drains the spool directory. By default 5 s.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Self {
        self.shutdown_deadline = deadline;
        self
    }

    /// How often the memory of tracked tries is looked at ([`TaskHandle::track`](crate::TaskHandle::track)). By default
    /// every 0.5 s, as Cosmos has it (`debug_memory_poll_interval_seconds`).
    pub fn memory_poll_interval(mut self, interval: Duration) -> Self {
        self.memory.options = self.memory.options.with_interval(interval);
        self
    }

    /// Who is told the peak of a tracked try when it ends: the value that Cosmos pushes to XCom under
    /// [`COSMOS_DEBUG_MAX_MEMORY_MB`](crate::COSMOS_DEBUG_MAX_MEMORY_MB), in MiB with two decimals.
    pub fn on_max_memory_mb(mut self, tell: impl Fn(&RunKey, &TryKey, f64) + Send + Sync + 'static) -> Self {
        self.memory.on_peak = Some(Box::new(tell));
        self
    }

    /// Sends the anonymous [usage events](crate::usage) of Cosmos, where its options say. Without it there are none.
    pub fn usage(mut self, options: UsageOptions) -> Self {
        self.usage = Some(options);
        self
    }
}
