//! The builder, and its exits.

mod options;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dagtel_core::fold::{Fold, Timing};
use dagtel_core::guard::Guard as Admission;
use dagtel_core::key::DEFAULT_NAMESPACE;
use dagtel_core::time::Timestamp;
use dagtel_core::value::{Attribute, SmolStr};
use dagtel_drain::{DIR_VARIABLE, DrainerOptions, Durability, Layout};
use dagtel_otlp::{Identity, Signal};
use dagtel_ship::EndpointError;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tokio::sync::oneshot;

use crate::config::{Config, ConfigError, Environment};
use crate::counters::Counters;
use crate::engine::{Clock, Dagtel, Inner};
use crate::guard::Guard;
use crate::in_memory::InMemory;
use crate::instruments::{self, OutboxClient};
use crate::journal::Journal;
use crate::listener::Listener;
use crate::loops::Loops;
use crate::memory::Memory;
use crate::metrics::Registry;
use crate::pipeline::Pipeline;
use crate::sink::Sink;
use crate::starts::Starts;
use crate::usage::{Collector, Usage, UsageOptions};
use crate::worker::{Active, Worker};

/// How to set dagtel up. Made by [`Dagtel::builder`].
///
/// It has four exits: [`install`](Self::install) starts a thread that does everything; [`build`](Self::build) hands
/// back the handle and a worker, and starts nothing; [`reporter`](Self::reporter) only writes, for short-lived processes
/// beside an engine or agent; [`in_memory`](Self::in_memory) keeps everything for a test to look at.
#[must_use = "a builder does nothing until one of its exits is taken"]
pub struct Builder {
    identity: Identity,
    namespace: SmolStr,
    endpoint: Option<String>,
    spool: Option<PathBuf>,
    durability: Durability,
    listeners: Vec<Box<dyn Listener>>,
    clock: Clock,
    timing: Timing,
    metric_interval: Option<Duration>,
    loop_spans: Option<f64>,
    lifecycle: Option<bool>,
    task_log_event: Option<bool>,
    /// The file and the environment; what is wrong with them is told by the exits that need them.
    config: Result<Config, ConfigError>,
    shutdown_deadline: Duration,
    memory: Memory,
    usage: Option<UsageOptions>,
}

/// Why dagtel could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The endpoint is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The file or the environment is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The spool directory cannot be used.
    #[error(transparent)]
    Spool(#[from] dagtel_spool::OpenError),
    /// Nobody says where the spool directory is.
    #[error("no spool directory is known: name one by Builder::spool or {DIR_VARIABLE}, or set HOME")]
    NoSpool,
    /// OpenTelemetry's exporter for the live instruments refused its configuration.
    #[error("the exporter of the live instruments could not be built: {0}")]
    Instruments(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The thread could not be started.
    #[error("the thread \"dagtel\" could not be started: {0}")]
    Thread(#[source] std::io::Error),
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("identity", &self.identity)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Dagtel {
    /// Begins to set dagtel up. `service_name` is the deployment's, the `service.name` of metrics. What code says counts
    /// before the environment: with `""` it is `OTEL_SERVICE_NAME`, else what the file says, else `dagtel`.
    pub fn builder(service_name: impl Into<SmolStr>) -> Builder {
        let now = Timestamp::from(SystemTime::now());
        let instance = format!("{:x}-{:x}", std::process::id(), now.as_nanos());
        let mut identity = Identity::new(service_name, instance);
        let config = Config::load(None, &Environment::of_process());
        if let Ok(config) = &config {
            configure(&mut identity, config);
        }
        Builder {
            identity,
            namespace: DEFAULT_NAMESPACE,
            endpoint: None,
            spool: None,
            durability: Durability::default(),
            listeners: Vec::new(),
            clock: Arc::new(SystemTime::now),
            timing: Timing::default(),
            metric_interval: None,
            loop_spans: None,
            lifecycle: None,
            task_log_event: None,
            config,
            shutdown_deadline: Duration::from_secs(5),
            memory: Memory::default(),
            usage: None,
        }
    }
}

impl Builder {
    /// Starts a thread that folds and sends. The guard ends it.
    ///
    /// # Errors
    /// When the endpoint is not one, or the thread cannot be started. Whether the receiver is there does not matter.
    pub fn install(self) -> Result<(Dagtel, Guard), BuildError> {
        let deadline = self.shutdown_deadline;
        let (dagtel, worker) = self.build()?;
        if !dagtel.is_on() {
            return Ok((dagtel.clone(), Guard { dagtel, deadline, stop: None, thread: None }));
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(BuildError::Thread)?;
        let work = move || {
            runtime.block_on(worker.run(async {
                // A guard that is gone means the same as one that says stop.
                let _ = stopped.await;
            }))
        };
        let thread =
            std::thread::Builder::new().name("dagtel".into()).spawn(work).map_err(BuildError::Thread)?;
        let guard = Guard { dagtel: dagtel.clone(), deadline, stop: Some(stop), thread: Some(thread) };
        Ok((dagtel, guard))
    }

    /// Hands back the handle and the worker, which is to be run in a tokio runtime of the caller's choice.
    ///
    /// # Errors
    /// When the endpoint is not one, or the spool directory cannot be used.
    pub fn build(mut self) -> Result<(Dagtel, Worker), BuildError> {
        self.redact_identity();
        let config = self.configured()?;
        if config.disabled {
            return Ok((Dagtel::off(), Worker(None)));
        }
        let interval = self.metric_interval.unwrap_or(config.metric_interval);
        let layout = self.layout()?;
        let destinations = config.ships(&layout);
        let counters = Arc::new(Counters::default());
        let journal = self.journal(&layout, counters.clone())?;
        let client =
            OutboxClient::new(journal.outbox()?, counters.clone()).only(|signal| config.sends(signal));
        let meters = match config.sends(Signal::Metrics) {
            true => Some(instruments::provider(client.clone(), &self.identity, interval)?),
            false => None,
        };
        let registry = meters
            .as_ref()
            .map(|meters| Registry::new(meters.meter(instruments::SCOPE), &self.identity, self.guard()));
        let (commands, received) = tokio::sync::mpsc::unbounded_channel();
        let mut options = DrainerOptions::new(self.identity.clone());
        options.timing = self.timing;
        options.guard = self.guard();
        options.metric_interval = interval;
        options.traces = config.sends(Signal::Traces);
        options.metrics = config.sends(Signal::Metrics);
        options.logs = config.sends(Signal::Logs);
        options.lifecycle = self.lifecycle.unwrap_or(config.lifecycle);
        options.log_events = self.task_log_event.unwrap_or(config.task_log_event);
        let addresses: Vec<_> = destinations.iter().map(|to| to.receiver.to_string()).collect();
        let worker = Active {
            layout: layout.clone(),
            journal: journal.clone(),
            options,
            counters: counters.clone(),
            commands: received,
            destinations,
            to: addresses.join(", "),
            clock: self.clock.clone(),
            shutdown_deadline: self.shutdown_deadline,
        };
        let usage = self.usage_events(Some(&client), meters.as_ref());
        if let Some(usage) = &usage {
            usage.start();
        }
        let loops = self.loops(&client);
        let mut inner = self.inner(counters, Sink::Disk(journal));
        inner.usage = usage;
        inner.loops = loops;
        inner.registry = registry;
        inner.meters = meters;
        inner.outbox = Some(client);
        inner.commands = Some(commands);
        inner.layout = Some(layout);
        Ok((Dagtel(Some(Arc::new(inner))), Worker(Some(Box::new(worker)))))
    }

    /// The configuration, with the receiver that code names.
    fn configured(&self) -> Result<Config, BuildError> {
        let mut config = self.config.clone()?;
        if let Some(endpoint) = &self.endpoint {
            let (endpoint, protocol) = ([endpoint.parse()?], config.protocol);
            config.traces.send_to(&endpoint, protocol);
            config.metrics.send_to(&endpoint, protocol);
            config.logs.send_to(&endpoint, protocol);
        }
        config.forward.off = Some("an engine folds its own events".to_owned());
        Ok(config)
    }

    /// For a process that only reports, such as one that runs a single task: it appends to the spool directory and has
    /// neither a thread nor a socket; an engine or `dagtel agent` does the rest. Nothing has to be ended. Usage events are the
    /// exception: with a gateway set ([`Builder::usage`]), the first one starts the thread that sends them.
    ///
    /// # Errors
    /// When the spool directory cannot be used.
    pub fn reporter(mut self) -> Result<Dagtel, BuildError> {
        if self.config.as_ref().is_ok_and(|config| config.disabled) {
            return Ok(Dagtel::off());
        }
        self.redact_identity();
        let layout = self.layout()?;
        let counters = Arc::new(Counters::default());
        let journal = self.journal(&layout, counters.clone())?;
        let client = OutboxClient::new(journal.outbox_when_needed(), counters.clone());
        let usage = self.usage_events(Some(&client), None);
        let loops = self.loops(&client);
        let mut inner = self.inner(counters, Sink::Disk(journal));
        inner.usage = usage;
        inner.loops = loops;
        inner.outbox = Some(client);
        inner.layout = Some(layout);
        Ok(Dagtel(Some(Arc::new(inner))))
    }

    /// The guard, with the rules of the configuration. Where that cannot be read, the built-in ones.
    fn guard(&self) -> Admission {
        Admission::new(self.config.as_ref().map(|config| config.redaction.clone()).unwrap_or_default())
    }

    /// Tags and resource pass the guard like everything else.
    fn redact_identity(&mut self) {
        let guard = self.guard();
        let _ = guard.admit_attributes(&mut self.identity.tags);
        let _ = guard.admit_attributes(&mut self.identity.resource);
    }

    fn journal(&self, layout: &Layout, counters: Arc<Counters>) -> Result<dagtel_drain::Journal, BuildError> {
        let dropped = move |reason, events| counters.events_dropped(reason, events);
        Ok(dagtel_drain::Journal::open(layout, self.durability, self.guard(), dropped)?)
    }

    fn loops(&self, outbox: &OutboxClient) -> Option<Loops> {
        let config = self.config.as_ref().ok().filter(|config| config.traces.off.is_none());
        let share = config.map_or(0.0, |config| self.loop_spans.unwrap_or(config.loop_spans));
        Loops::new(self.identity.clone(), outbox.clone(), share, (self.clock)().into())
    }

    fn usage_events(
        &self,
        outbox: Option<&OutboxClient>,
        meters: Option<&SdkMeterProvider>,
    ) -> Option<Usage> {
        let collector = outbox.map(|outbox| || Collector::new(self.identity.clone(), outbox.clone(), meters));
        Usage::new(self.usage.clone()?, self.clock.clone(), collector)
    }

    fn layout(&self) -> Result<Layout, BuildError> {
        let configured = || self.config.as_ref().ok().and_then(|config| config.spool.clone());
        let named = self.spool.clone().or_else(configured).map(Layout::new).or_else(Layout::from_environment);
        named.ok_or(BuildError::NoSpool)
    }

    /// Keeps everything in memory, for a test to look at. Usage events go to the gateway, if there is one.
    pub fn in_memory(self) -> (Dagtel, InMemory) {
        let journal = Arc::new(Journal::default());
        let counters = Arc::new(Counters::default());
        let fold = Fold::new((self.clock)().into(), Timing::new(Duration::ZERO, Duration::ZERO));
        let pipeline = Pipeline::new(journal.clone(), counters.clone(), fold);
        let usage = self.usage_events(None, None);
        let mut inner = self.inner(counters, Sink::Memory(journal));
        inner.usage = usage;
        let inner = Arc::new(inner);
        (Dagtel(Some(inner.clone())), InMemory::new(pipeline, inner))
    }

    /// Whether anybody wants the lines that tasks log.
    fn wants_lines(&self) -> bool {
        let events = |config: &Config| self.task_log_event.unwrap_or(config.task_log_event);
        self.config.as_ref().is_ok_and(|config| config.logs.off.is_none() || events(config))
    }

    fn inner(self, counters: Arc<Counters>, sink: Sink) -> Inner {
        Inner {
            lines: self.wants_lines(),
            host: rustix::system::uname().nodename().to_str().ok().map(SmolStr::new),
            guard: self.guard(),
            namespace: self.namespace,
            sink,
            counters,
            listeners: self.listeners,
            usage: None,
            starts: Starts::default(),
            clock: self.clock,
            memory: self.memory,
            meters: None,
            registry: None,
            loops: None,
            outbox: None,
            commands: None,
            layout: None,
        }
    }
}

/// Takes over who emits, and under which names.
fn configure(identity: &mut Identity, config: &Config) {
    identity.resource = attributes(&config.resource);
    identity.tags = attributes(&config.tags);
    identity.prefix = config.prefix.as_str().into();
    identity.naming = config.naming.clone();
    identity.limits = config.limits;
    if identity.service_name.is_empty() {
        identity.service_name = config.service_name.as_deref().unwrap_or("dagtel").into();
    }
}

fn attributes(pairs: &[(String, String)]) -> Vec<Attribute> {
    pairs.iter().map(|(key, value)| (SmolStr::new(key), SmolStr::new(value).into())).collect()
}
