//! `dagtel doctor`: what would be sent where, and whether that works.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use dagtel::config::{Config, SignalConfig, Target};
use dagtel_core::catalog::registry::Source;
use dagtel_core::limits::LEGACY_SERIES;
use dagtel_drain::Layout;
use dagtel_otlp::{Most, RecordLimits, Signal};
use dagtel_ship::{Exporter, TagStyle, Verdict};
use serde_json::{Value, json};

use crate::agent::{Common, heartbeat};
use crate::{Outcome, terminal};

/// How long a program on this host may take to say that it is an agent.
const ANSWER: Duration = Duration::from_secs(2);

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// What is so.
    is: String,
    /// What is wrong with it, in one line that says what to do.
    problem: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When no runtime can be had for the tests of destinations.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let findings = match options.common.config() {
        Ok(config) => look(options, &config)?,
        Err(error) => error.problems().iter().map(|problem| bad("configuration", "", problem)).collect(),
    };
    let healthy = findings.iter().all(|finding| finding.problem.is_none());
    if options.json {
        let list: Vec<Value> = findings.iter().map(Finding::json).collect();
        terminal::say(&format!("{:#}\n", json!({ "healthy": healthy, "findings": list })));
    } else {
        findings.iter().for_each(Finding::print);
    }
    Ok(if healthy { Outcome::Ok } else { Outcome::Failed })
}

fn look(options: &Options, config: &Config) -> anyhow::Result<Vec<Finding>> {
    let file = config
        .file
        .as_ref()
        .map_or("no file; environment and defaults".into(), |file| file.display().to_string());
    let mut findings = vec![good("configuration", file)];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let signals = [
        ("traces", Signal::Traces, &config.traces),
        ("metrics", Signal::Metrics, &config.metrics),
        ("logs", Signal::Logs, &config.logs),
    ];
    let events = Some(("events", Signal::Events, &config.forward)).filter(|(_, _, of)| of.off.is_none());
    for (what, signal, of) in signals.into_iter().chain(events) {
        match &of.off {
            Some(reason) => findings.push(good(what, format!("off: {reason}"))),
            // They are asked once.
            None if signal == Signal::Logs && shares(&config.traces, of) => {
                findings.push(good(what, "where spans go".to_owned()));
            }
            None if signal == Signal::Logs && shares(&config.metrics, of) => {
                findings.push(good(what, "where metrics go".to_owned()));
            }
            None => {
                findings.extend(of.targets.iter().map(|to| runtime.block_on(ask(what, signal, to, config))))
            }
        }
    }
    findings.push(runtime.block_on(statsd(config)));
    findings.push(stdout(config));
    findings.extend(names(config));
    findings.extend(limits(&config.limits));
    match options.common.layouts(config) {
        Ok(layouts) => findings.extend(layouts.iter().map(spool)),
        Err(error) => findings.push(bad("spool", "", &error.to_string())),
    }
    findings.push(page(config));
    Ok(findings)
}

/// Whether log records go just where another signal goes.
fn shares(other: &SignalConfig, logs: &SignalConfig) -> bool {
    other.off.is_none() && other.targets == logs.targets
}

/// Sends a request without data, as the agent would.
async fn ask(what: &'static str, signal: Signal, to: &Target, config: &Config) -> Finding {
    let compression = if to.delivery.gzip { "gzip" } else { "no compression" };
    let mut is = format!("to {} ({}, {compression}", to.endpoint, to.protocol);
    let headers: Vec<_> = to.delivery.header_names().collect();
    if !headers.is_empty() {
        is += &format!(", headers {}", headers.join(", "));
    }
    is += ")";
    if signal == Signal::Metrics {
        is += &format!(" every {} s as {}…", config.metric_interval.as_secs_f64(), config.prefix);
    }
    let mut exporter = Exporter::with(to.endpoint.clone(), to.protocol, to.delivery.clone());
    let body = heartbeat(config.service_name.as_deref().unwrap_or("dagtel"));
    let began = Instant::now();
    let answer = tokio::time::timeout(to.delivery.timeout, exporter.send(signal, body)).await;
    let hint = if to.endpoint.is_encrypted() {
        "start the receiver there, or correct the endpoint, the protocol or the certificates"
    } else {
        "start the receiver there, or correct the endpoint or the protocol"
    };
    match answer {
        Ok(Verdict::Accepted | Verdict::Partial { .. }) => {
            good(what, format!("{is}: answered after {:.1} ms", began.elapsed().as_secs_f64() * 1e3))
        }
        Ok(Verdict::Retry { reason, .. } | Verdict::TooLarge { reason } | Verdict::Refused { reason }) => {
            let problem = format!("{} ({}) does not take {what}: {reason}; {hint}", to.endpoint, to.protocol);
            bad(what, &is, &problem)
        }
        Err(_) => {
            let seconds = to.delivery.timeout.as_secs_f64();
            bad(
                what,
                &is,
                &format!("{} ({}) did not answer within {seconds} s; {hint}", to.endpoint, to.protocol),
            )
        }
        // A verdict that this command does not know.
        #[expect(unreachable_patterns, reason = "verdicts may be added")]
        Ok(_) => good(what, is),
    }
}

/// Sends an empty datagram. Only a daemon that is not there is ever noticed.
async fn statsd(config: &Config) -> Finding {
    let to = match &config.statsd {
        Ok(to) => to,
        Err(reason) => return good("statsd", format!("off: {reason}")),
    };
    let tags = match to.tags {
        TagStyle::None => "no tags",
        TagStyle::Datadog => "tags as DogStatsD has them",
        TagStyle::Influx => "tags as InfluxDB has them",
    };
    let seconds = config.metric_interval.as_secs_f64();
    let is = format!("to {to} ({tags}) every {seconds} s as {}…", to.prefix);
    match to.probe().await {
        Ok(address) => good("statsd", format!("{is}: nobody objects at {address}; UDP has no answer")),
        Err(error) => {
            let hint = "start the daemon there, or correct statsd_host and statsd_port";
            bad("statsd", &is, &format!("{to} does not take metrics: {error}; {hint}"))
        }
    }
}

fn stdout(config: &Config) -> Finding {
    let written: Vec<_> = config.stdout.iter().map(|signal| signal.as_str()).collect();
    match written.is_empty() {
        true if config.disabled => good("stdout", "off: OTEL_SDK_DISABLED is true".to_owned()),
        true => good("stdout", "off: stdout_on is not true".to_owned()),
        false => good("stdout", format!("{} as lines of OTLP in JSON", written.join(" and "))),
    }
}

/// Which metrics there are, where that is not all of them as they are.
fn names(config: &Config) -> Option<Finding> {
    let naming = &config.naming;
    let (mut all, mut wanted) = (0, 0);
    for entry in dagtel_core::catalog::registry::entries().filter(|entry| entry.source != Source::Own) {
        all += 1;
        wanted += usize::from(naming.filter.admits(entry.definition.name));
    }
    let mut is = Vec::new();
    if wanted < all {
        is.push(format!("{wanted} of {all} by metrics_allow_list or metrics_block_list"));
    }
    if !naming.disabled_tags.is_empty() {
        is.push(format!("without the tags {}", naming.disabled_tags.join(", ")));
    }
    if naming.milliseconds {
        is.push("durations in milliseconds".to_owned());
    }
    if naming.legacy_names {
        is.push(format!("Airflow's legacy names beside them, for at most {LEGACY_SERIES} series"));
    }
    let is = is.join("; ");
    match wanted {
        0 => {
            Some(bad("names", &is, "no metric passes metrics_allow_list or metrics_block_list; correct them"))
        }
        _ => Some(good("names", is)).filter(|finding| !finding.is.is_empty()),
    }
}

/// What is left out of spans and log records because the environment says so.
fn limits(limits: &RecordLimits) -> Option<Finding> {
    let most = |what: &str, most: Most| {
        let (attributes, characters) = (most.attributes, most.characters);
        let attributes = (attributes < usize::MAX).then(|| format!("{attributes} attributes of a {what}"));
        let characters =
            (characters < usize::MAX).then(|| format!("texts of {characters} characters in a {what}"));
        attributes.into_iter().chain(characters)
    };
    let of_span =
        |what: &str, count: usize| (count < usize::MAX).then(|| format!("{count} {what} of a span"));
    let mut is: Vec<_> = most("span", limits.span).collect();
    is.extend(of_span("events", limits.events));
    is.extend(most("span event", limits.event));
    is.extend(of_span("links", limits.links));
    is.extend(most("link", limits.link));
    is.extend(most("log record", limits.log));
    Some(good("limits", format!("at most {}", is.join(", ")))).filter(|_| !is.is_empty())
}

/// Whether the directory, or the one it will be made in, can be written to, and has locks.
fn spool(layout: &Layout) -> Finding {
    let dir = layout.dir();
    let shown = dir.display();
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("."));
    if let Err(error) = try_out(there) {
        let problem = format!(
            "the spool directory {shown} cannot be used: {error}; name another one or mend its rights"
        );
        return bad("spool", &shown.to_string(), &problem);
    }
    if there != dir {
        return good("spool", format!("{shown}: will be made"));
    }
    if let Err(error) = dagtel_spool::prepare_directory(dir) {
        return bad("spool", &shown.to_string(), &format!("the spool directory is refused: {error}"));
    }
    let parts = [layout.journal(), layout.outbox(), layout.dead_letters()];
    let streams = parts.iter().flat_map(|part| dagtel_spool::inspect(part).unwrap_or_default());
    let bytes: u64 = streams.map(|stream| stream.bytes).sum();
    good("spool", format!("{shown}: {bytes} bytes in use"))
}

fn try_out(dir: &Path) -> std::io::Result<()> {
    if !dir.is_dir() {
        return Err(std::io::Error::other(format!("{} is a file", dir.display())));
    }
    let mut file = tempfile::tempfile_in(dir)?;
    file.write_all(b"dagtel doctor")?;
    file.try_lock()?;
    Ok(())
}

/// Whether an agent serves `/metrics`, or could.
fn page(config: &Config) -> Finding {
    if !config.http_on {
        return good("http_server", "off: [http_server] on is false".to_owned());
    }
    let address = SocketAddr::new(config.http_host, config.http_port);
    let is = format!("http://{address}/metrics");
    match TcpListener::bind(address) {
        Ok(_) => good("http_server", format!("{is}: the port is free; an agent will serve there")),
        Err(_) if is_agent(address).unwrap_or(false) => {
            good("http_server", format!("{is}: an agent serves there"))
        }
        Err(error) => {
            let problem = format!(
                "/metrics cannot be served on {address}: {error}; stop what uses it, or choose another"
            );
            bad("http_server", &is, &problem)
        }
    }
}

fn is_agent(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(b"ok\n"))
}

fn good(what: &'static str, is: String) -> Finding {
    Finding { what, is, problem: None }
}

fn bad(what: &'static str, is: &str, problem: &str) -> Finding {
    Finding { what, is: is.to_owned(), problem: Some(problem.to_owned()) }
}

impl Finding {
    fn json(&self) -> Value {
        json!({ "what": self.what, "is": self.is, "problem": self.problem })
    }

    fn print(&self) {
        let theme = terminal::theme();
        let (mark, text) = match (&self.problem, theme.unicode) {
            (None, true) => ("✓", &self.is),
            (None, false) => ("ok", &self.is),
            (Some(problem), true) => ("✗", problem),
            (Some(problem), false) => ("!!", problem),
        };
        terminal::say(&format!("{mark} {:<14} {}\n", self.what, theme.clean(text)));
    }
}
