//! A fleet: hosts whose agents forward events, and gateways with a folding agent each; a broker in between if asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, thread};

use tempfile::TempDir;

use crate::part::{Part, Probe};
use crate::ports::free;
use crate::stack::{Ports, Setup, collector, jaeger, local};
use crate::{http, jaeger as query, kafka, parts, wait};

/// How many hosts and gateways, and what is between them.
#[derive(Debug, Default)]
pub struct Shape {
    /// Hosts.
    pub hosts: usize,
    /// Gateways.
    pub gateways: usize,
    /// Whether a broker of Kafka is between them.
    pub kafka: bool,
    /// Further environment variables of the gateways.
    pub environment: Vec<(&'static str, String)>,
}

/// A running fleet. All of it ends when it is dropped.
#[derive(Debug)]
pub struct Fleet {
    /// The hosts.
    pub hosts: Vec<Host>,
    /// The gateways.
    pub gateways: Vec<Gateway>,
    /// The broker.
    pub kafka: Option<Part>,
    /// Jaeger, which all gateways send to.
    pub jaeger: Part,
    query: u16,
    directory: TempDir,
}

/// A host where tasks run.
#[derive(Debug)]
pub struct Host {
    /// Its spool directory.
    pub spool: PathBuf,
    /// The agent that forwards what is in there.
    pub agent: Part,
    /// The collector that the agent sends to.
    pub collector: Part,
}

/// A gateway, and the agent beside it.
#[derive(Debug)]
pub struct Gateway {
    /// The agent that folds.
    pub agent: Part,
    /// The collector.
    pub collector: Part,
    metrics: u16,
    own: u16,
}

impl Fleet {
    /// Starts it and waits until all of it is ready; `None` when the real parts are not asked for.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(name: &str, shape: &Shape) -> Option<Self> {
        if !parts::requested() {
            eprintln!("{name}: skipped: the real parts are not asked for (run `cargo xtask test`)");
            return None;
        }
        let directory = tempfile::Builder::new().prefix(&format!("dagtel-{name}-")).tempdir();
        let directory = directory.expect("a directory for temporary files can be made");
        let at = |name: String| {
            let path = directory.path().join(name);
            fs::create_dir_all(&path).expect("a directory can be made");
            path
        };
        let backend = Ports::pick();
        let mut jaeger = jaeger(&backend, &at("jaeger".into()));
        jaeger.start();
        let broker = shape.kafka.then(|| {
            let (mut part, port) = kafka::broker(&at("kafka".into()));
            part.start();
            kafka::create_topics(&part.directory, port);
            (part, port)
        });
        let port_of_broker = broker.as_ref().map(|(_, port)| *port);
        let gateways: Vec<_> = (0..shape.gateways)
            .map(|n| {
                Gateway::start(n, &at(format!("gateway-{n}")), backend.jaeger_otlp, port_of_broker, shape)
            })
            .collect();
        let targets = |port: fn(&Ports) -> u16| {
            let all = gateways.iter().map(|(_, ports)| format!("127.0.0.1:{}", port(ports)));
            format!("[{}]", all.collect::<Vec<_>>().join(","))
        };
        let (otlp, events) = (targets(|ports| ports.otlp_grpc), targets(|ports| ports.events));
        let sends = match port_of_broker {
            Some(port) => vec![("DAGTEL_KAFKA_BROKERS", format!("[127.0.0.1:{port}]"))],
            None => vec![("DAGTEL_GATEWAYS", otlp), ("DAGTEL_GATEWAYS_EVENTS", events)],
        };
        let configuration = if shape.kafka { "kafka-agent.yaml" } else { "agent.yaml" };
        let hosts =
            (0..shape.hosts).map(|n| Host::start(&at(format!("host-{n}")), configuration, sends.clone()));
        let hosts = hosts.collect();
        let gateways: Vec<_> = gateways.into_iter().map(|(gateway, _)| gateway).collect();
        if shape.kafka {
            gateways
                .iter()
                .for_each(|gateway| gateway.wait_for_partitions(kafka::ALL_PARTITIONS / gateways.len()));
        }
        Some(Self {
            hosts,
            gateways,
            kafka: broker.map(|(part, _)| part),
            jaeger,
            query: backend.jaeger_query,
            directory,
        })
    }

    /// Asks Jaeger about traces.
    pub fn traces(&self) -> query::Client {
        query::Client::new(local(self.query))
    }

    /// The sum of all series of a metric on the pages of all gateways.
    ///
    /// # Errors
    /// What kept a gateway from answering.
    pub fn sum(&self, metric: &str) -> Result<f64, String> {
        Ok(self.sums(metric)?.iter().sum())
    }

    /// The same, of each gateway.
    ///
    /// # Errors
    /// What kept a gateway from answering.
    pub fn sums(&self, metric: &str) -> Result<Vec<f64>, String> {
        self.gateways.iter().map(|gateway| Ok(total(&page(gateway.metrics)?, metric))).collect()
    }

    /// The same of what the gateways count of themselves.
    ///
    /// # Errors
    /// What kept a gateway from answering.
    pub fn own_sum(&self, metric: &str) -> Result<f64, String> {
        let pages = self.gateways.iter().map(|gateway| page(gateway.own));
        pages.map(|page| Ok(total(&page?, metric))).sum()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let hosts = self.hosts.iter_mut().flat_map(|host| [&mut host.agent, &mut host.collector]);
        let gateways =
            self.gateways.iter_mut().flat_map(|gateway| [&mut gateway.agent, &mut gateway.collector]);
        let parts = hosts.chain(gateways).chain(self.kafka.as_mut()).chain([&mut self.jaeger]);
        for part in parts {
            if thread::panicking() {
                eprintln!("{}: {}", part.name, part.log_tail());
            }
            part.ask_to_end();
        }
        if thread::panicking() {
            self.directory.disable_cleanup(true);
            eprintln!("The test failed; logs and data are kept in {}.", self.directory.path().display());
        }
    }
}

impl Host {
    fn start(directory: &Path, configuration: &str, sends: Vec<(&'static str, String)>) -> Self {
        let ports = Ports::pick();
        let setup = Setup { configurations: &[configuration], environment: sends };
        let mut collector = collector("host collector", &setup, &ports, directory);
        collector.start();
        let spool = directory.join("spool");
        let forward = format!("--forward=http://127.0.0.1:{}", ports.events);
        let mut agent = agent("forwarding agent", directory, &spool, &ports, vec![forward]);
        // It listens nowhere: it is ready when it runs.
        agent.start();
        Self { spool, agent, collector }
    }
}

impl Gateway {
    fn start(n: usize, directory: &Path, jaeger: u16, kafka: Option<u16>, shape: &Shape) -> (Self, Ports) {
        let (ports, fold) = (Ports::pick(), free());
        let mut environment = vec![
            ("DAGTEL_JAEGER_OTLP_PORT", jaeger.to_string()),
            ("DAGTEL_FOLD_PORT", fold.to_string()),
            ("DAGTEL_DECISION_WAIT", "1s".to_owned()),
            ("DAGTEL_KEEP_PERCENT", "100".to_owned()),
            ("DAGTEL_GATEWAY_ID", format!("gateway-{n}")),
        ];
        environment.extend(kafka.map(|port| ("DAGTEL_KAFKA_BROKERS", format!("[127.0.0.1:{port}]"))));
        environment.extend(shape.environment.iter().cloned());
        let configuration = if kafka.is_some() { "kafka-gateway.yaml" } else { "gateway.yaml" };
        let setup = Setup { configurations: &[configuration], environment };
        let receive =
            vec![format!("--receive=127.0.0.1:{fold}"), "--grace=1".to_owned(), "--patience=60".to_owned()];
        let mut agent = agent("folding agent", directory, &directory.join("spool"), &ports, receive);
        agent.probes.push(Probe::Tcp(fold));
        agent.start();
        let mut collector = collector("gateway", &setup, &ports, directory);
        collector.start();
        (Self { agent, collector, metrics: ports.metrics, own: ports.collector_self }, ports)
    }

    /// A collector is ready before Kafka has given it its share.
    #[track_caller]
    fn wait_for_partitions(&self, share: usize) {
        wait_for("a share of the partitions", share as f64, Duration::from_secs(60), || {
            let page = page(self.own)?;
            let [started, closed] = ["start", "close"]
                .map(|what| total(&page, &format!("otelcol_kafka_receiver_partition_{what}_total")));
            Ok(started - closed)
        });
    }
}

fn agent(name: &'static str, directory: &Path, spool: &Path, ports: &Ports, more: Vec<String>) -> Part {
    let mut arguments = vec![
        "agent".to_owned(),
        "--metric-interval=0.2".to_owned(),
        "--adoption=1".to_owned(),
        format!("--endpoint=http://127.0.0.1:{}", ports.otlp_grpc),
        format!("--spool={}", spool.display()),
    ];
    arguments.extend(more);
    Part {
        name,
        program: parts::built("dagtel"),
        arguments,
        environment: vec![("DAGTEL_AGENT_HTTP_SERVER__ON", "false".to_owned())],
        directory: directory.to_owned(),
        probes: Vec::new(),
        child: None,
    }
}

fn page(port: u16) -> Result<String, String> {
    http::text(&http::agent(), &format!("{}/metrics", local(port)), &[])
}

/// The sum of the samples of a metric on a page.
fn total(page: &str, metric: &str) -> f64 {
    let of_metric = page.lines().filter(|line| {
        line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
    });
    of_metric.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// Asks until the answer is this number, and returns it.
///
/// # Panics
/// When that takes longer than `limit`.
#[track_caller]
pub fn wait_for(
    what: &str,
    wanted: f64,
    limit: Duration,
    mut ask: impl FnMut() -> Result<f64, String>,
) -> f64 {
    wait::until(what, limit, || match ask()? {
        sum if sum == wanted => Ok(sum),
        other => Err(format!("{other}, not {wanted}")),
    })
}
