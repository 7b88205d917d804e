//! The three real parts, wired up as the shipped configurations do it, on ports and directories of their own.

use crate::{
    http, jaeger,
    part::{Part, Probe, StartError},
    parts,
    ports::free,
    prometheus,
};
use std::{fs, path::Path, thread};
use tempfile::TempDir;

const ATTEMPTS: usize = 5;

/// How a collector is started, beside its ports.
#[derive(Debug, Default)]
pub struct Setup<'a> {
    /// Shipped configurations, each over those before it.
    pub configurations: &'a [&'a str],
    /// Further environment variables.
    pub environment: Vec<(&'static str, String)>,
}

/// A running collector, Jaeger and Prometheus. All three end when it is dropped, also when the test panics;
/// then the ends of their logs are printed and the directory is kept.
#[derive(Debug)]
pub struct Stack {
    /// The collector, which takes OTLP.
    pub collector: Part,
    /// Jaeger; what it holds is in memory, so killing it loses it.
    pub jaeger: Part,
    /// Prometheus, which asks the collector, and an agent at its port, once a second.
    pub prometheus: Part,
    ports: Ports,
    directory: TempDir,
}

#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) otlp_grpc: u16,
    otlp_http: u16,
    pub(crate) events: u16,
    pub(crate) metrics: u16,
    health: u16,
    pub(crate) collector_self: u16,
    pub(crate) jaeger_otlp: u16,
    pub(crate) jaeger_query: u16,
    jaeger_query_grpc: u16,
    prometheus: u16,
    agent: u16,
}

impl Stack {
    /// Starts the three and waits until they are ready; `None` when the real parts are not asked for.
    ///
    /// # Panics
    /// When they are asked for and cannot be had; the message says what is missing or shows the log.
    #[track_caller]
    pub fn start(name: &str) -> Option<Self> {
        Self::start_as(name, &Setup { configurations: &["single.yaml"], environment: Vec::new() })
    }

    /// The same with another collector.
    ///
    /// # Panics
    /// As [`Stack::start`].
    #[track_caller]
    pub fn start_as(name: &str, setup: &Setup<'_>) -> Option<Self> {
        if !parts::requested() {
            eprintln!("{name}: skipped: the real parts are not asked for (run `cargo xtask test`)");
            return None;
        }
        for _ in 1..ATTEMPTS {
            match Self::try_start(name, setup) {
                Ok(stack) => return Some(stack),
                Err(error) if error.port_taken => eprintln!("{name}: a port was taken; trying other ones"),
                Err(error) => panic!("{}", error.message),
            }
        }
        match Self::try_start(name, setup) {
            Ok(stack) => Some(stack),
            Err(error) => panic!("{}", error.message),
        }
    }

    fn try_start(name: &str, setup: &Setup<'_>) -> Result<Self, StartError> {
        let directory = tempfile::Builder::new().prefix(&format!("dagtel-{name}-")).tempdir();
        let directory = directory.expect("a directory for temporary files can be made");
        let ports = Ports::pick();
        let mut stack = Self {
            collector: collector("collector", setup, &ports, directory.path()),
            jaeger: jaeger(&ports, directory.path()),
            prometheus: prometheus(&ports, directory.path()),
            ports,
            directory,
        };
        // Jaeger first: a collector that finds it absent would pause before it tries again.
        stack.jaeger.try_start()?;
        stack.collector.try_start()?;
        stack.prometheus.try_start()?;
        Ok(stack)
    }

    /// Starts a second collector, which sends to this one, and gives where to send OTLP over gRPC to it.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn collector_before(&self, name: &'static str, mut setup: Setup<'_>) -> (Part, String) {
        let ports = Ports::pick();
        let directory = self.directory.path().join(name);
        fs::create_dir_all(&directory).expect("a directory can be made");
        let list = |port| format!("[127.0.0.1:{port}]");
        setup.environment.push(("DAGTEL_GATEWAYS", list(self.ports.otlp_grpc)));
        setup.environment.push(("DAGTEL_GATEWAYS_EVENTS", list(self.ports.events)));
        let mut part = collector(name, &setup, &ports, &directory);
        part.start();
        (part, local(ports.otlp_grpc))
    }

    /// Where to send OTLP over gRPC, as `http://127.0.0.1:<port>`.
    pub fn otlp_grpc(&self) -> String {
        local(self.ports.otlp_grpc)
    }

    /// Where to send OTLP over HTTP, as `http://127.0.0.1:<port>`, to which `/v1/traces` and the like are added.
    pub fn otlp_http(&self) -> String {
        local(self.ports.otlp_http)
    }

    /// The page that the collector's Prometheus exporter shows now.
    ///
    /// # Errors
    /// What kept the collector from answering.
    pub fn metrics_page(&self) -> Result<String, String> {
        http::text(&http::agent(), &format!("{}/metrics", local(self.ports.metrics)), &[])
    }

    /// The OTLP log requests that the collector wrote to its file so far, one JSON value each.
    pub fn log_requests(&self) -> Vec<serde_json::Value> {
        let file = self.directory.path().join("otelcol-data/logs.jsonl");
        let text = fs::read_to_string(file).unwrap_or_default();
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Asks Jaeger about traces.
    pub fn traces(&self) -> jaeger::Client {
        jaeger::Client::new(local(self.ports.jaeger_query))
    }

    /// Asks Prometheus about series.
    pub fn series(&self) -> prometheus::Client {
        prometheus::Client::new(local(self.ports.prometheus))
    }

    /// The port at which Prometheus asks an agent for its page.
    pub fn agent_port(&self) -> u16 {
        self.ports.agent
    }

    /// A directory that lives as long as the stack; a test may keep files of its own in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let parts = [&mut self.prometheus, &mut self.collector, &mut self.jaeger];
        if thread::panicking() {
            self.directory.disable_cleanup(true);
            eprintln!("The test failed; logs and data are kept in {}.", self.directory.path().display());
            for part in &parts {
                eprintln!("{}: {}", part.name, part.log_tail());
            }
        }
        // All are asked before the first is waited for, so that they end side by side.
        for part in parts {
            part.ask_to_end();
        }
    }
}

impl Ports {
    pub(crate) fn pick() -> Self {
        Self {
            otlp_grpc: free(),
            otlp_http: free(),
            events: free(),
            metrics: free(),
            health: free(),
            collector_self: free(),
            jaeger_otlp: free(),
            jaeger_query: free(),
            jaeger_query_grpc: free(),
            prometheus: free(),
            agent: free(),
        }
    }
}

pub(crate) fn collector(name: &'static str, setup: &Setup<'_>, ports: &Ports, directory: &Path) -> Part {
    let configurations = setup.configurations.iter().map(|name| parts::shipped(name).display().to_string());
    let mut environment = vec![
        ("DAGTEL_OTLP_GRPC_PORT", ports.otlp_grpc.to_string()),
        ("DAGTEL_OTLP_HTTP_PORT", ports.otlp_http.to_string()),
        ("DAGTEL_EVENTS_PORT", ports.events.to_string()),
        ("DAGTEL_METRICS_PORT", ports.metrics.to_string()),
        ("DAGTEL_HEALTH_PORT", ports.health.to_string()),
        ("DAGTEL_COLLECTOR_SELF_PORT", ports.collector_self.to_string()),
        ("DAGTEL_JAEGER_OTLP_PORT", ports.jaeger_otlp.to_string()),
    ];
    environment.extend(setup.environment.iter().cloned());
    Part {
        name,
        program: parts::find(&parts::COLLECTOR),
        arguments: configurations.flat_map(|file| ["--config".to_owned(), file]).collect(),
        environment,
        directory: directory.to_owned(),
        // Healthy means that every receiver listens.
        probes: vec![Probe::Http(local(ports.health))],
        child: None,
    }
}

pub(crate) fn jaeger(ports: &Ports, directory: &Path) -> Part {
    Part {
        name: "jaeger",
        program: parts::find(&parts::JAEGER),
        arguments: vec!["--config".into(), parts::shipped("jaeger.yaml").display().to_string()],
        environment: vec![
            ("DAGTEL_JAEGER_OTLP_PORT", ports.jaeger_otlp.to_string()),
            ("DAGTEL_JAEGER_QUERY_PORT", ports.jaeger_query.to_string()),
            ("DAGTEL_JAEGER_QUERY_GRPC_PORT", ports.jaeger_query_grpc.to_string()),
        ],
        directory: directory.to_owned(),
        // The query API is up before the receiver listens.
        probes: vec![
            Probe::Http(format!("{}/api/services", local(ports.jaeger_query))),
            Probe::Tcp(ports.jaeger_otlp),
        ],
        child: None,
    }
}

fn prometheus(ports: &Ports, directory: &Path) -> Part {
    let configuration = directory.join("prometheus.yaml");
    fs::write(&configuration, prometheus_configuration(ports)).expect("the configuration can be written");
    Part {
        name: "prometheus",
        program: parts::find(&parts::PROMETHEUS),
        arguments: vec![
            format!("--config.file={}", configuration.display()),
            format!("--storage.tsdb.path={}", directory.join("prometheus").display()),
            format!("--web.listen-address=127.0.0.1:{}", ports.prometheus),
        ],
        environment: Vec::new(),
        directory: directory.to_owned(),
        probes: vec![Probe::Http(format!("{}/-/ready", local(ports.prometheus)))],
        child: None,
    }
}

/// The shipped configuration with this stack's ports and the shipped rules: Prometheus reads no environment variables there.
fn prometheus_configuration(ports: &Ports) -> String {
    let shipped = parts::shipped("prometheus.yaml");
    let mut text = fs::read_to_string(&shipped)
        .unwrap_or_else(|error| panic!("Reading {}: {error}.", shipped.display()));
    let targets = [
        ("127.0.0.1:8889", ports.metrics),
        ("127.0.0.1:8888", ports.collector_self),
        ("127.0.0.1:39091", ports.agent),
    ];
    for (default, port) in targets {
        assert!(
            text.contains(default),
            "{} names no target {default} any more; change it here too.",
            shipped.display()
        );
        text = text.replace(default, &format!("127.0.0.1:{port}"));
    }
    // Paths in a configuration are seen from its own folder.
    text.replace("- prometheus/", &format!("- {}/", parts::shipped("prometheus").display()))
}

pub(crate) fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
