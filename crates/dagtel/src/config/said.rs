//! What a file and the environment say, put together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use dagtel_core::redact::Rules;
use dagtel_otlp::{RecordLimits, Signal};
use dagtel_ship::{Delivery, Endpoint, Protocol};

use super::backends::{self, Values};
use super::certificates::Certificates;
use super::{Config, SignalConfig, environment};

/// What a file and the environment say before it is put together. `None` is not said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) traces: SaidOfSignal,
    pub(crate) metrics: SaidOfSignal,
    pub(crate) loop_spans: Option<f64>,
    pub(crate) logs: SaidOfSignal,
    pub(crate) lifecycle: Option<bool>,
    pub(crate) task_log_event: Option<bool>,
    pub(crate) prefix: Option<String>,
    pub(crate) metric_interval: Option<Duration>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) service_name: Option<String>,
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) redaction: Rules,
    pub(crate) spool: Option<PathBuf>,
    pub(crate) http_on: Option<bool>,
    pub(crate) http_host: Option<IpAddr>,
    pub(crate) http_port: Option<u16>,
    pub(crate) adoption: Option<Duration>,
    pub(crate) shutdown_deadline: Option<Duration>,
    pub(crate) forward: SaidOfSignal,
    pub(crate) receive: Option<SocketAddr>,
    pub(crate) grace: Option<Duration>,
    pub(crate) patience: Option<Duration>,
    pub(crate) disabled: bool,
    pub(crate) limits: RecordLimits,
    /// What is said of metrics and traces beside where OTLP goes.
    pub(crate) of_metrics: Values,
    pub(crate) of_traces: Values,
}

#[derive(Debug, Default)]
pub(crate) struct SaidOfSignal {
    /// Whether it is on, and who says so.
    pub(crate) on: Option<(bool, String)>,
    pub(crate) endpoints: Option<Vec<Endpoint>>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) delivery: Option<Delivery>,
    pub(crate) certificates: Certificates,
}

impl Said {
    /// The configuration, with this counting before what the file says.
    pub(super) fn over(self, file: Self, file_path: Option<PathBuf>, problems: &mut Vec<String>) -> Config {
        let said = self;
        let prefix = said.prefix.or(file.prefix).unwrap_or_else(|| "airflow".to_owned());
        let prefix = backends::with_dot(&prefix);
        let merged = |said: Values, file: Values| file.into_iter().chain(said).collect::<Values>();
        let (of_metrics, of_traces) =
            (merged(said.of_metrics, file.of_metrics), merged(said.of_traces, file.of_traces));
        let mut statsd = backends::statsd(&of_metrics, &prefix, &file.tags, problems);
        let mut stdout = Vec::new();
        for (signal, of) in [(Signal::Traces, &of_traces), (Signal::Metrics, &of_metrics)] {
            stdout.extend(of.get("stdout_on").filter(|on| *on == "true").map(|_| signal));
        }
        if said.disabled {
            statsd = Err(environment::DISABLED.to_owned());
            stdout.clear();
        }
        let logs_said = said.logs.endpoints.is_some() || file.logs.endpoints.is_some();
        let traces = SignalConfig::of(said.traces, file.traces, problems);
        let metrics = SignalConfig::of(said.metrics, file.metrics, problems);
        let mut logs = SignalConfig::of(said.logs, file.logs, problems);
        if !logs_said {
            let with = if traces.off.is_none() { &traces } else { &metrics };
            logs.targets.clone_from(&with.targets);
            if with.off.is_some() && logs.off.is_none() {
                logs.off = Some("spans and metrics are off, and no receiver of logs is named".to_owned());
            }
        }
        Config {
            file: file_path,
            protocol: said.protocol,
            traces,
            metrics,
            logs,
            lifecycle: file.lifecycle.unwrap_or(false),
            task_log_event: file.task_log_event.unwrap_or(false),
            statsd,
            stdout,
            disabled: said.disabled,
            naming: backends::naming(&of_metrics),
            limits: said.limits,
            prefix,
            loop_spans: said.loop_spans.or(file.loop_spans).unwrap_or(0.0),
            metric_interval: said.metric_interval.or(file.metric_interval).unwrap_or(Duration::from_secs(10)),
            tags: file.tags,
            service_name: said.service_name.or(file.service_name),
            resource: said.resource,
            redaction: file.redaction,
            spool: said.spool.or(file.spool),
            http_on: said.http_on.or(file.http_on).unwrap_or(true),
            http_host: said.http_host.or(file.http_host).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            http_port: said.http_port.or(file.http_port).unwrap_or(39091),
            adoption: said.adoption.or(file.adoption).unwrap_or(Duration::from_secs(60)),
            shutdown_deadline: said
                .shutdown_deadline
                .or(file.shutdown_deadline)
                .unwrap_or(Duration::from_secs(4)),
            forward: SignalConfig::of_events(said.forward, file.forward, problems),
            receive: said.receive.or(file.receive),
            grace: said.grace.or(file.grace).unwrap_or(Duration::from_secs(10)),
            patience: said.patience.or(file.patience).unwrap_or(Duration::from_secs(120)),
        }
    }
}
