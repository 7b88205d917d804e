//! What the agent and the doctor are told on the command line: it counts before the environment and the file.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use dagtel::config::{Config, ConfigError, Environment};
use dagtel_drain::Layout;
use dagtel_ship::{Endpoint, Protocol};

/// Where things are, and where they go.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The configuration file [env: DAGTEL_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A spool directory; may be given more than once [env: DAGTEL_SPOOL_DIR]
    #[arg(long, value_name = "DIR")]
    spool: Vec<PathBuf>,
    /// An OTLP receiver; may be given more than once, each gets everything [env: OTEL_EXPORTER_OTLP_ENDPOINT]
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// grpc or http/protobuf; by default what is usual on the port [env: OTEL_EXPORTER_OTLP_PROTOCOL]
    #[arg(long)]
    protocol: Option<Protocol>,
    /// `service.name` of the metrics [default: dagtel] [env: OTEL_SERVICE_NAME]
    #[arg(long)]
    service_name: Option<String>,
    /// The port of /metrics, /healthz and /readyz; 0 means any free one [default: 39091] [env:
    /// DAGTEL_AGENT_HTTP_SERVER__PORT]
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// The address that it listens on. There is no authentication: beyond this host something else must guard it
    /// [default: 127.0.0.1] [env: DAGTEL_AGENT_HTTP_SERVER__HOST]
    #[arg(long, value_name = "ADDRESS")]
    http_host: Option<IpAddr>,
}

impl Common {
    /// The protocol that holds for receivers that are named on the command line.
    pub(super) fn protocol(&self, config: &Config) -> Option<Protocol> {
        self.protocol.or(config.protocol)
    }

    /// The configuration with what was said here.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config.as_deref(), &Environment::of_process())?;
        let protocol = self.protocol.or(config.protocol.filter(|_| !self.endpoint.is_empty()));
        config.traces.send_to(&self.endpoint, protocol);
        config.metrics.send_to(&self.endpoint, protocol);
        config.logs.send_to(&self.endpoint, protocol);
        config.service_name = self.service_name.clone().or(config.service_name);
        config.http_port = self.http_port.unwrap_or(config.http_port);
        config.http_host = self.http_host.unwrap_or(config.http_host);
        Ok(config)
    }

    /// The spool directories.
    pub(crate) fn layouts(&self, config: &Config) -> anyhow::Result<Vec<Layout>> {
        if !self.spool.is_empty() {
            return Ok(self.spool.iter().map(Layout::new).collect());
        }
        let found = config.spool.clone().map(Layout::new).or_else(Layout::from_environment);
        let found =
            found.ok_or_else(|| anyhow::anyhow!("no spool directory is known: name one with --spool"))?;
        Ok(vec![found])
    }
}
