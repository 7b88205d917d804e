//! `dagtel agent`: drains and ships one or more spool directories, for as long as it runs.

mod beats;
mod board;
mod families;
mod heart;
mod legacy;
mod memory;
mod options;
mod receive;
mod series;
mod told;
mod usage;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use dagtel::config::Config;
use dagtel_core::fold::Timing;
use dagtel_core::guard::Guard;
use dagtel_core::limits::LEGACY_SERIES;
use dagtel_core::value::Attribute;
use dagtel_drain::{Drainer, DrainerOptions, Layout, Step};
use dagtel_otlp::{Identity, Signal};
use dagtel_scrape::Server;
use dagtel_ship::{Endpoint, Shipper, lines};

use self::beats::{Component, Outcome as Beat};
use self::board::Board;
use self::heart::Heart;
pub(crate) use self::heart::heartbeat;
use self::memory::{Memory, MemoryOptions};
pub(crate) use self::options::Common;
use self::told::Telling;
use self::usage::{Usage, UsageOptions};

use crate::seconds::seconds;
use crate::{Outcome, terminal};

/// How often a directory is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often it is looked at while nothing happens.
const IDLE_TICK: Duration = Duration::from_millis(500);
/// How often a directory that another process drains is asked for.
const STANDBY: Duration = Duration::from_secs(1);
/// What to drain, and where to send.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// How often metrics are exported, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    metric_interval: Option<Duration>,
    /// How long a run whose engine died waits to be taken up again, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    adoption: Option<Duration>,
    /// Send events to the agent that folds them, or the collector before it, instead of spans and metrics
    #[arg(long, value_name = "URL", conflicts_with = "receive")]
    forward: Option<Endpoint>,
    /// Take events that other agents forward, by OTLP/gRPC, and fold them here. There is no authentication
    #[arg(long, value_name = "ADDRESS:PORT")]
    receive: Option<SocketAddr>,
    /// With --receive: how long a run waits after its last news when nothing is missing in it, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    grace: Option<Duration>,
    /// With --receive: how long it waits when something is missing, in seconds [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    patience: Option<Duration>,
    /// How long the end may take, in seconds; what is not sent by then stays on disk [default: 4]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    shutdown_deadline: Option<Duration>,
    #[command(flatten)]
    memory: MemoryOptions,
    #[command(flatten)]
    usage: UsageOptions,
}

/// Runs the command until it is told to stop.
///
/// # Errors
/// When no directory can be found or used.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let mut config = options.common.config()?;
    config.metric_interval = options.metric_interval.unwrap_or(config.metric_interval);
    config.adoption = options.adoption.unwrap_or(config.adoption);
    config.shutdown_deadline = options.shutdown_deadline.unwrap_or(config.shutdown_deadline);
    options.between_agents(&mut config)?;
    let (config, layouts) = (&config, options.common.layouts(&config)?);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in signal_hook::consts::TERM_SIGNALS {
        signal_hook::flag::register(*signal, stop.clone())?;
    }
    let board = Arc::new(Board::new());
    let _serving = serve(config, &board);
    let _receiving = config
        .receive
        .map(|address| receive::start(address, &layouts, Guard::new(config.redaction.clone()), board.clone()))
        .transpose()?;
    let usage = &Usage::new(&options.usage);
    let (failed, failures) = mpsc::channel();
    std::thread::scope(|scope| {
        for layout in layouts {
            let (stop, failed, board) = (&stop, failed.clone(), &*board);
            scope.spawn(move || {
                let agent = Agent { config, layout, board, memory: &options.memory, usage };
                if let Err(error) = agent.run(stop) {
                    terminal::complain(&error.to_string());
                    stop.store(true, Ordering::Relaxed);
                    // The receiver outlives this thread.
                    let _ = failed.send(());
                }
            });
        }
    });
    Ok(if failures.try_recv().is_ok() { Outcome::Failed } else { Outcome::Ok })
}

/// Serves `/metrics`. An agent that cannot goes on: draining is worth more than being watched.
fn serve(config: &Config, board: &Arc<Board>) -> Option<(Server, Heart)> {
    if !config.http_on {
        return None;
    }
    let address = SocketAddr::new(config.http_host, config.http_port);
    let server = match Server::start(address, board.clone(), board.traffic.clone()) {
        Ok(server) => server,
        Err(error) => {
            terminal::complain(&format!("{error}; going on without"));
            return None;
        }
    };
    match Heart::start(board.clone(), config) {
        Ok(heart) => {
            terminal::note(&format!("serving http://{}/metrics", server.address()));
            Some((server, heart))
        }
        Err(error) => {
            terminal::complain(&format!(
                "heartbeats to the destinations cannot be sent: {error}; going on without"
            ));
            None
        }
    }
}

struct Agent<'a> {
    config: &'a Config,
    layout: Layout,
    board: &'a Board,
    memory: &'a MemoryOptions,
    usage: &'a Usage,
}

impl Options {
    /// What is said of events between agents.
    fn between_agents(&self, config: &mut Config) -> anyhow::Result<()> {
        if let Some(endpoint) = &self.forward {
            config.forward.off = None;
            config.forward.send_to(std::slice::from_ref(endpoint), self.common.protocol(config));
        }
        config.receive = self.receive.or(config.receive);
        config.grace = self.grace.unwrap_or(config.grace);
        config.patience = self.patience.unwrap_or(config.patience);
        if config.forward.off.is_none() && config.receive.is_some() {
            anyhow::bail!(
                "an agent folds what it receives, or forwards: leave out \"forward\" or \"receive\""
            );
        }
        Ok(())
    }
}

impl Agent<'_> {
    fn run(&self, stop: &AtomicBool) -> anyhow::Result<()> {
        let Some(mut drainer) = self.become_drainer(stop)? else { return Ok(()) };
        let dir = self.layout.dir().display();
        let destinations = self.config.ships(&self.layout);
        let targets: Vec<_> = destinations.iter().map(|to| to.receiver.to_string()).collect();
        terminal::note(&format!("draining {dir} to {}", targets.join(", ")));
        let lines = lines(&self.layout.outbox(), &self.layout.dead_letters(), destinations)?;
        let shipper = Shipper::start(lines)?;
        let statuses = shipper.destinations().map(|(to, status)| (to.to_string(), status.clone()));
        self.board.ships(&self.name(), statuses.collect());
        let mut telling = Telling::new(self.identity(), self.config.forward.off.is_some());
        let mut health = Health::default();
        let mut memory = Memory::new(self.memory);
        let mut rest = TICK;
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let step = drainer.step(SystemTime::now());
            self.show(&drainer, &mut telling, &step, began.elapsed());
            match step {
                Ok(step) => {
                    self.usage.take(&step.usage);
                    memory.follow(&mut drainer, &self.layout);
                    health.tell(&step, &shipper);
                    if step.frames > 0 {
                        shipper.wake();
                    }
                    if step.more {
                        continue;
                    }
                    // Where nothing happens it is looked less often.
                    rest = if step.events + step.frames > 0 { TICK } else { (rest * 2).min(IDLE_TICK) };
                }
                Err(error) => health.cannot_drain(&error),
            }
            // A step that took long because much is open is followed by a longer rest.
            sleep_unless(stop, rest.max(began.elapsed() * 4));
        }
        let last = drainer.step(SystemTime::now());
        last.map_err(|error| anyhow::anyhow!("the spool directory {dir} cannot be drained: {error}"))?;
        shipper.stop(self.config.shutdown_deadline);
        terminal::note(&format!("stopped draining {dir}; what is not sent stays there"));
        Ok(())
    }

    /// Waits, as a standby, while another process drains the directory.
    fn become_drainer(&self, stop: &AtomicBool) -> anyhow::Result<Option<Drainer>> {
        let mut said = false;
        while !stop.load(Ordering::Relaxed) {
            let options = self.drainer_options();
            if let Some(drainer) = Drainer::open(self.layout.clone(), options, SystemTime::now())? {
                return Ok(Some(drainer));
            }
            if !std::mem::replace(&mut said, true) {
                let dir = self.layout.dir().display();
                terminal::note(&format!("another process drains {dir}; standing by"));
            }
            self.board.beat(Component::Drainer, &self.name(), Beat::Success, None);
            sleep_unless(stop, STANDBY);
        }
        Ok(None)
    }

    fn identity(&self) -> Identity {
        let instance = format!("{:x}-{:x}", std::process::id(), nanos());
        let service_name = self.config.service_name.as_deref().unwrap_or("dagtel");
        let mut identity = Identity::new(service_name, instance);
        let attributes = |pairs: &[(String, String)]| -> Vec<Attribute> {
            pairs.iter().map(|(key, value)| (key.into(), value.clone().into())).collect()
        };
        identity.resource = attributes(&self.config.resource);
        identity.tags = attributes(&self.config.tags);
        identity.prefix = self.config.prefix.as_str().into();
        identity.naming = self.config.naming.clone();
        identity.limits = self.config.limits;
        let guard = self.guard();
        // Tags and resource pass the guard like everything else.
        let _ = guard.admit_attributes(&mut identity.tags);
        let _ = guard.admit_attributes(&mut identity.resource);
        identity
    }

    fn guard(&self) -> Guard {
        Guard::new(self.config.redaction.clone())
    }

    fn drainer_options(&self) -> DrainerOptions {
        let mut options = DrainerOptions::new(self.identity());
        options.guard = self.guard();
        options.metric_interval = self.config.metric_interval.max(TICK);
        options.adoption = self.config.adoption;
        options.events = self.config.forward.off.is_none();
        options.traces = self.config.sends(Signal::Traces) && !options.events;
        options.metrics = self.config.sends(Signal::Metrics) && !options.events;
        options.logs = self.config.sends(Signal::Logs) && !options.events;
        options.lifecycle = self.config.lifecycle;
        options.log_events = self.config.task_log_event;
        if self.config.receive.is_some() {
            let hold = options.timing.hold;
            options.timing = Timing::new(self.config.grace, hold).across_hosts(self.config.patience);
        }
        options
    }

    /// Shows on the page what a step came to.
    fn show(&self, drainer: &Drainer, telling: &mut Telling, step: &std::io::Result<Step>, took: Duration) {
        let dir = self.name();
        let beat = if step.is_ok() { Beat::Success } else { Beat::Error };
        self.board.beat(Component::Drainer, &dir, beat, Some(took));
        self.board.beat(Component::Inbox, &dir, beat, None);
        if let Ok(step) = step {
            self.board.received(step.reports);
            let did = step.events + step.frames > 0 || step.reports > 0 || step.replaced;
            if let Some(told) = telling.after(drainer, &self.layout, did) {
                self.board.tell(&dir, told);
            }
        }
    }

    fn name(&self) -> String {
        self.layout.dir().display().to_string()
    }
}

/// Sleeps, but not into the end.
fn sleep_unless(stop: &AtomicBool, rest: Duration) {
    let began = Instant::now();
    while !stop.load(Ordering::Relaxed) && began.elapsed() < rest {
        std::thread::sleep(TICK.min(rest.saturating_sub(began.elapsed())));
    }
}

fn nanos() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Says on standard error what changed for the better or the worse, and nothing twice.
#[derive(Default)]
struct Health {
    failing: Vec<Option<String>>,
    cannot_drain: bool,
    legacy_untold: bool,
}

impl Health {
    fn tell(&mut self, step: &Step, shipper: &Shipper) {
        if std::mem::take(&mut self.cannot_drain) {
            terminal::note("the spool directory can be drained again");
        }
        if step.replaced {
            terminal::complain(
                "the spool directory was removed or replaced; what was in it and not sent is gone; beginning anew",
            );
        }
        if let Some(bad) = &step.inbox.first_bad {
            terminal::note(&format!("{bad} ({} bad lines in this step)", step.inbox.bad_lines));
        }
        for (to, status) in shipper.destinations().filter(|_| !self.legacy_untold) {
            if status.seen().legacy_untold > 0 {
                self.legacy_untold = true;
                terminal::note(&format!(
                    "{to} is told some series without their legacy names: they are more than {LEGACY_SERIES}, or the \
                     names are not allowed or taken by others (docs/backends.md)"
                ));
                break;
            }
        }
        let now: Vec<_> = shipper.destinations().map(|(to, status)| (to, status.seen().failing)).collect();
        self.failing.resize(now.len(), None);
        for (before, (endpoint, failing)) in self.failing.iter_mut().zip(now) {
            match (&before, &failing) {
                (None, Some(reason)) => {
                    terminal::note(&format!("{endpoint} does not take telemetry: {reason}; trying on"))
                }
                (Some(_), None) => terminal::note(&format!("{endpoint} takes telemetry again")),
                _ => {}
            }
            *before = failing;
        }
    }

    fn cannot_drain(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.cannot_drain, true) {
            terminal::complain(&format!("the spool directory cannot be drained: {error}; trying on"));
        }
    }
}
