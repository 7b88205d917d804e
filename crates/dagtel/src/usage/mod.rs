//! The anonymous usage events of Cosmos, for engines that run it: what [`Builder::usage`](crate::Builder::usage) takes.
//!
//! An event is made when a run or a try ends, of what the engine described, and only where Cosmos is concerned:
//!
//! - a run whose DAG has tasks of Cosmos, which [`DagRun::task_modules`](crate::DagRun::task_modules) says, as it is
//!   described when it starts (or, by hooks, when it ends);
//! - a try whose [`operator_module`](crate::TaskInstance::operator_module) is one of Cosmos, or which has the attribute
//!   `is_cosmos_operator_subclass`. What else the event says are attributes as well: `operator`, `execution_mode`,
//!   `invocation_mode`, `profile_strategy`, `profile_mapping_class`, `database`, `dbt_command`, `install_deps`,
//!   `has_callback`, `is_mapped` (besides a map index), and how long it ran.
//!
//! There are two routes, each off until it is asked for. Consent is asked for both, and before anything is collected:
//! who opts out opts out of these events, wherever they would go. (That the same facts are attributes of spans has
//! nothing to do with it.) An event names no run and no task and has no ids, so that it stays anonymous wherever a
//! collector passes it on.

mod collector;
mod emit;
mod facts;
mod metadata;

pub(crate) use collector::Collector;
pub use collector::log_record;
pub use dagtel_usage::{Consent, Environment, Gateway, GatewayError, StandardMetrics, Stats, UsageEvent};
pub(crate) use emit::Usage;
pub use facts::event_metrics;
pub(crate) use metadata::unfold;

/// Which usage events go where.
///
/// ```no_run
/// use dagtel::Dagtel;
/// use dagtel::usage::{StandardMetrics, UsageOptions};
///
/// let gateway = "https://telemetry.example.com/cosmos/{telemetry_version}/{event_type}?{query_string}";
/// let usage = UsageOptions::new(StandardMetrics::new("1.15.1", "3.0.2", "3.11.7")).gateway(gateway.parse()?).collector();
/// let (dagtel, _guard) = Dagtel::builder("my-engine").usage(usage).install()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a builder has them"]
pub struct UsageOptions {
    standard: StandardMetrics,
    consent: Consent,
    environment: Environment,
    gateway: Option<Gateway>,
    collector: bool,
}

impl UsageOptions {
    /// No route, hence no event; `standard` is what every event says.
    pub fn new(standard: StandardMetrics) -> Self {
        let environment = Environment::process();
        Self { standard, consent: Consent::default(), environment, gateway: None, collector: false }
    }

    /// Sends events to this gateway. None is built in.
    pub fn gateway(mut self, gateway: Gateway) -> Self {
        self.gateway = Some(gateway);
        self
    }

    /// Sends events to the collector: each as a log record `usage.<event>` ([`log_record`]), and counted by
    /// `usage.events` with the tags `event`, `status` and `execution_mode`.
    pub fn collector(mut self) -> Self {
        self.collector = true;
        self
    }

    /// What the configuration says about sending. By default yes, but not in CI.
    pub fn consent(mut self, consent: Consent) -> Self {
        self.consent = consent;
        self
    }

    /// Where opt-outs, proxies and root certificates are looked up. By default the process's own variables.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }
}
