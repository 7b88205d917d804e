//! The configuration: one file and the environment, for engines, `dagtel agent` and `dagtel doctor` alike.
//!
//! What is said in code or on the command line counts first, then the environment, then the file, then the defaults. Of
//! the standard variables, one for a signal (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) counts before the general one. The
//! file is the one named, else `DAGTEL_CONFIG`, else `dagtel/config.toml` in the user's configuration directory
//! (`XDG_CONFIG_HOME`, else `~/.config`). A variable that is empty is not set.
//!
//! ```toml
//! [metrics]
//! otel_on = true                       # false: no metrics are sent; /metrics of the agent stays
//! otel_host = "collector"              # or otel_endpoint = "http://collector:4317", or a list of them
//! otel_port = 4317
//! otel_ssl_active = true               # https:// for otel_host and otel_port
//! otel_ca_file = "/etc/dagtel/ca.pem"  # who signs receivers; by default those that the machine trusts
//! otel_cert_file = "/etc/dagtel/tls.crt" # what is shown to receivers that ask who sends
//! otel_key_file = "/etc/dagtel/tls.key"
//! otel_protocol = "grpc"               # or "http/protobuf"; by default what is usual on the port
//! otel_prefix = "airflow"
//! otel_interval_milliseconds = 10000
//! otel_service = "my-deployment"       # service.name, unless an engine names itself
//! statsd_on = false                    # beside OTLP, or instead of it with otel_on = false
//! statsd_host = "localhost"            # a name, or an address of either kind
//! statsd_port = 8125
//! statsd_prefix = "airflow"
//! statsd_datadog_enabled = false       # tags as DogStatsD has them
//! statsd_influxdb_enabled = false      # tags as InfluxDB has them
//! statsd_disabled_tags = "job_id,run_id"   # not told to StatsD
//! legacy_names_on = true               # Airflow's names with ids in them beside the names, for every backend; without the
//!                                      # key only to StatsD where tags are not told
//! stdout_on = false                    # lines of OTLP in JSON on standard output
//! metrics_allow_list = "ti,dagrun"     # regular expressions: the metrics that there are, for every backend
//! metrics_block_list = "heartbeat"     # or those that there are not; without effect beside an allow list
//! disabled_tags = "execution_mode"     # tags that no metric carries, for every backend
//! timer_unit = "s"                     # "ms": histograms of durations in milliseconds (StatsD always has them so)
//!
//! [metrics_tags]
//! region = "eu"                        # a tag of every metric and span
//!
//! [traces]
//! otel_on = true                       # otel_host … otel_protocol and the files as above
//! stdout_on = false
//! loop_spans = 0.01                    # the share of passes of an engine's loops that are told (Builder::loop_spans)
//! otel_task_log_event = false          # true: the last lines that a task logged are events of its span
//!
//! [logs]                               # lines that tasks log; they go where spans go unless it is said here
//! otel_on = true                       # otel_host … otel_protocol and the files as above
//! lifecycle = false                    # true: starts and ends of runs and tries are records too
//!
//! [redaction]                          # besides what is masked anyway (dagtel_core::redact)
//! names = ["social_security_number"]   # attributes that are secret
//! patterns = ["EMP-\\d{6}"]            # what is secret wherever it stands; of one with groups, the first
//!
//! [http_server]                        # /metrics, /healthz and /readyz of the agent
//! on = true
//! host = "127.0.0.1"
//! port = 39091
//!
//! [spool]
//! dir = "/var/lib/dagtel"
//!
//! [agent]
//! adoption = 60                        # seconds that the run of a dead engine waits to be taken up again
//! shutdown_deadline = 4                # seconds that the end may take
//! forward = "http://127.0.0.1:4319"    # send events there, to be folded by another agent, and no spans and metrics
//! receive = "127.0.0.1:4320"           # or: take the events of other agents (OTLP/gRPC) and fold them
//! grace = 10                           # seconds after the last news of a run of several hosts in which nothing is missing
//! patience = 120                       # seconds after the last news of one in which something is
//! ```
//!
//! | variable | what it does here |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | `true`: nothing is sent, and an engine records nothing |
//! | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` | `otlp`, `console` (standard output), for metrics `prometheus` (the agent's page), `none`, or a list. StatsD has a switch of its own |
//! | `OTEL_EXPORTER_OTLP_[TRACES_\|METRICS_\|LOGS_]ENDPOINT` | where to send; a list sends to each |
//! | `OTEL_EXPORTER_OTLP_[…]PROTOCOL` | `grpc` or `http/protobuf` |
//! | `OTEL_EXPORTER_OTLP_[…]HEADERS` | `key=value`, by commas, values percent-encoded |
//! | `OTEL_EXPORTER_OTLP_[…]TIMEOUT` | milliseconds of a request |
//! | `OTEL_EXPORTER_OTLP_[…]COMPRESSION` | `gzip` (the default) or `none` |
//! | `OTEL_EXPORTER_OTLP_[…]CERTIFICATE` | a PEM file: who signs receivers at `https://` |
//! | `OTEL_EXPORTER_OTLP_[…]CLIENT_CERTIFICATE`, `…CLIENT_KEY` | PEM files: what is shown to them |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | milliseconds |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who sends |
//! | `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `OTEL_ATTRIBUTE_COUNT_LIMIT` | characters of a text, and attributes, of spans, their events and links, and log records |
//! | `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`, `OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT` | the same of spans with their events and links, of log records |
//! | `OTEL_[SPAN_\|EVENT_\|LINK_\|LOGRECORD_]ATTRIBUTE_COUNT_LIMIT` | the same of spans, of events of a span, of links, of log records |
//! | `OTEL_SPAN_EVENT_COUNT_LIMIT`, `OTEL_SPAN_LINK_COUNT_LIMIT` | events and links of a span. What is over a limit is counted (`dropped_…_count`); [dagtel's own limits](dagtel_core::limits), 128 of each, hold besides |
//! | `OTEL_PROPAGATORS` | `dagtel exec` and `dagtel run` pass `TRACEPARENT` on if `tracecontext` is among them, or none is named |
//! | `DAGTEL_SPOOL_DIR` | `[spool] dir` |
//! | `DAGTEL_METRICS__STATSD_ON`, … | the key of `[metrics]` of that name, from `statsd_on` on |
//! | `DAGTEL_TRACES__STDOUT_ON` | `[traces] stdout_on` |
//! | `DAGTEL_TRACES__LOOP_SPANS` | `[traces] loop_spans` |
//! | `DAGTEL_AGENT_HTTP_SERVER__ON`, `…__HOST`, `…__PORT` | `[http_server]` |

mod backends;
mod certificates;
mod environment;
mod file;
mod said;
mod ships;
mod signal;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dagtel_core::catalog::naming::Naming;
use dagtel_core::redact::Rules;
use dagtel_otlp::{RecordLimits, Signal};
use dagtel_ship::{Protocol, Statsd};

pub use environment::Environment;
pub use signal::{SignalConfig, Target};

/// Where everything is sent when nobody says otherwise.
pub(crate) const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4317";

/// What is to be done, after the file and the environment were read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// The protocol that the environment names for all signals: it holds for endpoints named in code too.
    pub protocol: Option<Protocol>,
    /// What happens to spans.
    pub traces: SignalConfig,
    /// What happens to metrics.
    pub metrics: SignalConfig,
    /// The StatsD daemon that is told metrics, or why there is none.
    pub statsd: Result<Statsd, String>,
    /// What is written to standard output.
    pub stdout: Vec<Signal>,
    /// Whether all telemetry is off (`OTEL_SDK_DISABLED`): nothing is recorded then.
    pub disabled: bool,
    /// Which metrics and tags there are, and the unit of durations.
    pub naming: Naming,
    /// How much of a span or a log record is told.
    pub limits: RecordLimits,
    /// The share of passes of the engine's loops that are told as spans, from 0 to 1.
    pub loop_spans: f64,
    /// What happens to log records. Where nobody says where they go, they go where spans do, or metrics if those are off.
    pub logs: SignalConfig,
    /// Whether starts and ends of runs and tries are log records too.
    pub lifecycle: bool,
    /// Whether the last lines that a try logged are events of its span.
    pub task_log_event: bool,
    /// What names of metrics begin with, the dot included.
    pub prefix: String,
    /// How often metrics are sent.
    pub metric_interval: Duration,
    /// Tags of every metric and span.
    pub tags: Vec<(String, String)>,
    /// `service.name`.
    pub service_name: Option<String>,
    /// Resource attributes.
    pub resource: Vec<(String, String)>,
    /// By which rules secrets are masked before they are written.
    pub redaction: Rules,
    /// The spool directory, unless it is the usual one.
    pub spool: Option<PathBuf>,
    /// Whether the agent serves `/metrics`.
    pub http_on: bool,
    /// The address that it listens on.
    pub http_host: IpAddr,
    /// The port that it listens on.
    pub http_port: u16,
    /// How long a run whose engine died waits to be adopted.
    pub adoption: Duration,
    /// How long the end may take.
    pub shutdown_deadline: Duration,
    /// Where the agent sends events to be folded, instead of spans and metrics of its own. Off unless somebody says where.
    pub forward: SignalConfig,
    /// Where the agent takes the events of other agents.
    pub receive: Option<SocketAddr>,
    /// How long a run waits after its last news when events are taken from other agents and nothing is missing in it.
    pub grace: Duration,
    /// How long it waits when something is missing.
    pub patience: Duration,
}

/// What is wrong with a configuration: at least one line, each of which names one problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub(crate) Vec<String>);

impl ConfigError {
    /// The problems, a line each.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the file (`named`, or the usual one) and the environment.
    ///
    /// # Errors
    /// Everything that is wrong with them, a line each.
    pub fn load(named: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let (path, file) = file::load(named, environment, &mut problems);
        let said = environment.said(&mut problems);
        let config = said.over(file, path, &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }

    /// The receivers, each once, with what it is sent.
    pub fn destinations(&self) -> Vec<(Target, Vec<Signal>)> {
        let mut all: Vec<(Target, Vec<Signal>)> = Vec::new();
        let signals = [
            (Signal::Traces, &self.traces),
            (Signal::Metrics, &self.metrics),
            (Signal::Logs, &self.logs),
            (Signal::Events, &self.forward),
        ];
        for (signal, config) in signals {
            for target in config.targets.iter().filter(|_| config.off.is_none()) {
                match all.iter_mut().find(|(other, _)| other == target) {
                    Some((_, signals)) => signals.push(signal),
                    None => all.push((target.clone(), vec![signal])),
                }
            }
        }
        all
    }
}
