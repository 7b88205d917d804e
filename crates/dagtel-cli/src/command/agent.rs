//! `dagtel agent`: drains and ships one or more spool directories, for as long as it runs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use dagtel_drain::{Drainer, DrainerOptions, Layout, Step};
use dagtel_otlp::Identity;
use dagtel_ship::{Destination, Endpoint, Protocol, Shipper, lines};

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
    /// A spool directory; may be given more than once
    #[arg(long, value_name = "DIR", env = dagtel_drain::DIR_VARIABLE)]
    spool: Vec<PathBuf>,
    /// An OTLP receiver; may be given more than once, each gets everything
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// grpc or http/protobuf; by default what is usual on the port
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL")]
    protocol: Option<Protocol>,
    /// `service.name` of the metrics
    #[arg(long, default_value = "dagtel")]
    service_name: String,
    /// How often metrics are exported, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    metric_interval: Duration,
    /// How long a run whose engine died waits to be taken up again, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    adoption: Duration,
    /// How long the end may take, in seconds; what is not sent by then stays on disk
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = seconds)]
    shutdown_deadline: Duration,
}

/// A time in seconds, of at most a year.
fn seconds(text: &str) -> Result<Duration, String> {
    const YEAR: f64 = 365.0 * 86_400.0;
    let seconds = text.parse().ok().filter(|seconds| (0.0..=YEAR).contains(seconds));
    let seconds = seconds.ok_or("write a number of seconds from 0 to a year, such as 2.5")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Runs the command until it is told to stop.
///
/// # Errors
/// When no directory can be found or used.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let layouts = layouts(options)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in signal_hook::consts::TERM_SIGNALS {
        signal_hook::flag::register(*signal, stop.clone())?;
    }
    let (failed, failures) = mpsc::channel();
    std::thread::scope(|scope| {
        for layout in layouts {
            let (stop, failed) = (&stop, failed.clone());
            scope.spawn(move || {
                let agent = Agent { options, layout };
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

fn layouts(options: &Options) -> anyhow::Result<Vec<Layout>> {
    if !options.spool.is_empty() {
        return Ok(options.spool.iter().map(Layout::new).collect());
    }
    let found = Layout::from_environment();
    let found = found.ok_or_else(|| anyhow::anyhow!("no spool directory is known: name one with --spool"))?;
    Ok(vec![found])
}

struct Agent<'a> {
    options: &'a Options,
    layout: Layout,
}

impl Agent<'_> {
    fn run(&self, stop: &AtomicBool) -> anyhow::Result<()> {
        let Some(mut drainer) = self.become_drainer(stop)? else { return Ok(()) };
        let dir = self.layout.dir().display();
        let destinations = self.destinations();
        let targets: Vec<_> =
            destinations.iter().map(|to| format!("{} ({})", to.endpoint, to.protocol)).collect();
        terminal::note(&format!("draining {dir} to {}", targets.join(", ")));
        let lines = lines(&self.layout.outbox(), &self.layout.dead_letters(), destinations)?;
        let shipper = Shipper::start(lines)?;
        let mut health = Health::default();
        let mut rest = TICK;
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            match drainer.step(SystemTime::now()) {
                Ok(step) => {
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
        shipper.stop(self.options.shutdown_deadline);
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
            sleep_unless(stop, STANDBY);
        }
        Ok(None)
    }

    fn drainer_options(&self) -> DrainerOptions {
        let instance = format!("{:x}-{:x}", std::process::id(), nanos());
        let mut options = DrainerOptions::new(Identity::new(self.options.service_name.clone(), instance));
        options.metric_interval = self.options.metric_interval.max(TICK);
        options.adoption = self.options.adoption;
        options
    }

    fn destinations(&self) -> Vec<Destination> {
        let mut endpoints = self.options.endpoint.clone();
        if endpoints.is_empty() {
            endpoints.extend("http://127.0.0.1:4317".parse());
        }
        let named = endpoints.into_iter().map(|endpoint| {
            let protocol = self.options.protocol.unwrap_or_else(|| endpoint.usual_protocol());
            let progress = self.layout.shipped(&endpoint);
            Destination::new(endpoint, protocol, progress)
        });
        named.collect()
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
