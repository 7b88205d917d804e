//! The worker: folds what processes report, and sends what became final. It runs on a thread of its own or as a future
//! wherever the user puts it, never on the thread of a call.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

use dagtel_core::fold::Anomaly;
use dagtel_drain::{Drainer, DrainerOptions, Journal, Layout, Step};
use dagtel_otlp::Signal;
use dagtel_ship::{Destination, Line, Status, lines};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::counters::{Counters, Tally};
use crate::engine::Clock;

/// How often the journal is read.
const TICK: Duration = Duration::from_millis(100);
/// How often a directory that another process drains is asked for.
const STANDBY: Duration = Duration::from_secs(1);
/// How often the last step is repeated at the end while other processes still write.
const SETTLE: Duration = Duration::from_millis(50);

/// What the handle asks of the worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Fold and encode all that is final now, and say what to wait for: the number of the last frame. `None` when
    /// another process drains.
    Flush(mpsc::SyncSender<Option<Reached>>),
}

/// How each destination fares, and the number of the frame up to which all must be done with.
type Reached = (Vec<Arc<Status>>, u64);

/// Folds and sends. See [`Builder::build`](crate::Builder::build). When telemetry is off it does nothing.
#[must_use = "nothing is sent unless the worker runs"]
pub struct Worker(pub(crate) Option<Box<Active>>);

/// What a worker works with.
pub(crate) struct Active {
    pub(crate) layout: Layout,
    pub(crate) journal: Journal,
    pub(crate) options: DrainerOptions,
    pub(crate) counters: Arc<Counters>,
    pub(crate) commands: UnboundedReceiver<Command>,
    pub(crate) destinations: Vec<Destination>,
    /// Their addresses, for people.
    pub(crate) to: String,
    pub(crate) clock: Clock,
    pub(crate) shutdown_deadline: Duration,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Worker");
        if let Some(active) = &self.0 {
            debug.field("spool", &active.layout.dir()).field("to", &active.to);
        }
        debug.finish_non_exhaustive()
    }
}

/// What became of everything, at the end.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Where it was sent: the addresses, separated by commas.
    pub endpoint: String,
    /// Whether this process drained the spool directory. If not, another one does, and delivers what this one reported.
    pub drained: bool,
    /// Whether nothing was left to send at the end, be it of this process or of one before it.
    pub caught_up: bool,
    /// Spans.
    pub spans: Tally,
    /// Metric points.
    pub metrics: Tally,
    /// Log records.
    pub logs: Tally,
    /// Drops, by what was dropped (`events`, `traces`, `metrics`, `logs`) and why.
    pub drops: BTreeMap<(&'static str, &'static str), u64>,
    /// Odd input, by kind.
    pub anomalies: Vec<(Anomaly, u64)>,
    /// Why the last attempt that failed did, or why the spool directory could not be drained.
    pub last_error: Option<String>,
}

impl Report {
    /// Whether everything was delivered. What was not is still on disk.
    pub fn is_complete(&self) -> bool {
        let waiting = self.spans.waiting() + self.metrics.waiting() + self.logs.waiting();
        self.drained && self.caught_up && self.drops.is_empty() && waiting == 0
    }
}

impl Worker {
    /// Works until `shutdown` is ready; then closes what is open, sends what it can within the builder's deadline, and
    /// reports. What is not sent by then stays on disk. While another process drains the spool directory, it stands by.
    ///
    /// Needs a tokio runtime with its time and I/O drivers on. Reading the journal is done in between, so a runtime that
    /// must never be held up for a few milliseconds is not the place for it.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Report {
        match self.0 {
            Some(active) => active.run(shutdown).await,
            None => {
                shutdown.await;
                Report::default()
            }
        }
    }
}

impl Active {
    async fn run(mut self, shutdown: impl Future<Output = ()>) -> Report {
        let mut shutdown = pin!(shutdown);
        let mut trouble = None;
        let drainer = self.become_drainer(shutdown.as_mut(), &mut trouble).await;
        let Some(drainer) = drainer else {
            // What is batched must be on disk for whoever drains.
            let flushed = self.journal.flush().err().map(|error| error.to_string());
            return self.report(false, trouble.or(flushed));
        };
        let lines =
            lines(&self.layout.outbox(), &self.layout.dead_letters(), std::mem::take(&mut self.destinations));
        match lines {
            Ok(lines) => self.drain(drainer, lines, shutdown).await,
            Err(error) => self.report(true, Some(error.to_string())),
        }
    }

    /// Waits until no other process drains the directory. `None` when the end comes first.
    async fn become_drainer(
        &mut self,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
        trouble: &mut Option<String>,
    ) -> Option<Drainer> {
        loop {
            match Drainer::open(self.layout.clone(), self.options.clone(), (self.clock)()) {
                Ok(Some(drainer)) => return Some(drainer),
                Ok(None) => *trouble = None,
                Err(error) => *trouble = Some(error.to_string()),
            }
            tokio::select! {
                () = shutdown.as_mut() => return None,
                Some(Command::Flush(reply)) = self.commands.recv() => {
                    let _ = reply.try_send(None);
                }
                () = sleep(STANDBY) => {}
            }
        }
    }

    async fn drain(
        mut self,
        mut drainer: Drainer,
        lines: Vec<Line>,
        shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> Report {
        self.counters.ship(lines.iter().map(|line| (line.status(), line.signals().to_vec())).collect());
        let (mut stops, mut ships, mut wakes) = (Vec::new(), Vec::new(), Vec::new());
        let statuses: Vec<_> = lines.iter().map(Line::status).collect();
        for line in lines {
            wakes.push(line.waker());
            let (stop, stopped) = oneshot::channel();
            stops.push(stop);
            ships.push(Box::pin(line.run(async { stopped.await.unwrap_or(Duration::ZERO) })));
        }
        let ship = all(ships);
        let pump = async {
            let mut pump =
                Pump { worker: &mut self, drainer: &mut drainer, statuses: &statuses, wakes: &wakes };
            let (trouble, left, all) = pump.run(shutdown).await;
            for stop in stops {
                // A line may have ended by itself only if its runtime is going down.
                let _ = stop.send(left);
            }
            (trouble, all)
        };
        let ((trouble, all), ()) = tokio::join!(pump, ship);
        let mut report = self.report(true, trouble);
        report.caught_up &= all;
        report
    }

    fn report(&self, drained: bool, trouble: Option<String>) -> Report {
        let caught_up = self.counters.caught_up();
        // An attempt that the deadline cut short has failed without a word.
        let unanswered = || (drained && !caught_up).then(|| "the receiver did not answer in time".to_owned());
        Report {
            endpoint: self.to.clone(),
            drained,
            caught_up,
            spans: self.counters.tally(Signal::Traces),
            metrics: self.counters.tally(Signal::Metrics),
            logs: self.counters.tally(Signal::Logs),
            drops: self.counters.drops(),
            anomalies: self.counters.anomalies(),
            last_error: trouble.or_else(|| self.counters.last_error()).or_else(unanswered),
        }
    }
}

/// Goes on with all of them until each has ended.
async fn all<F: Future<Output = ()> + Unpin>(mut futures: Vec<F>) {
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| Pin::new(future).poll(context).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Reads the journal and fills the outbox.
struct Pump<'a> {
    worker: &'a mut Active,
    drainer: &'a mut Drainer,
    statuses: &'a [Arc<Status>],
    wakes: &'a [Arc<Notify>],
}

impl Pump<'_> {
    /// Returns why the directory could not be drained at the end, if so; what is left of the deadline; and whether nothing
    /// is left in the fold.
    async fn run(
        &mut self,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> (Option<String>, Duration, bool) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut trouble = None;
        loop {
            tokio::select! {
                () = shutdown.as_mut() => break,
                _ = tick.tick() => {
                    let step = self.step(Drainer::step);
                    if step.as_ref().is_ok_and(|step| step.more) {
                        tick.reset_immediately();
                        // Sending goes on meanwhile.
                        tokio::task::yield_now().await;
                    }
                    trouble = step.err();
                }
                Some(Command::Flush(reply)) = self.worker.commands.recv() => {
                    trouble = self.flush(&reply).err();
                }
            }
        }
        let began = Instant::now();
        let finished = self.finish(began).await;
        let left = self.worker.shutdown_deadline.saturating_sub(began.elapsed());
        match finished {
            Ok(all) => (trouble.filter(|_| !all).map(|error| error.to_string()), left, all),
            Err(error) => (Some(error.to_string()), left, false),
        }
    }

    fn step(
        &mut self,
        step: fn(&mut Drainer, std::time::SystemTime) -> io::Result<Step>,
    ) -> io::Result<Step> {
        let done = step(self.drainer, (self.worker.clock)())?;
        self.worker.counters.drained(self.drainer);
        if done.frames > 0 {
            self.wakes.iter().for_each(|wake| wake.notify_one());
        }
        Ok(done)
    }

    fn flush(&mut self, reply: &mpsc::SyncSender<Option<Reached>>) -> io::Result<()> {
        // What is batched must be on disk to be read.
        self.worker.journal.flush()?;
        while self.step(Drainer::step_with_metrics)?.more {}
        let _ = reply.try_send(Some((self.statuses.to_vec(), self.drainer.last_frame())));
        Ok(())
    }

    /// The end: whatever has an end is final at once, unless other processes still write, which may know more. Then the
    /// usual times are waited for, as far as the deadline allows. Returns whether nothing is left in the fold.
    async fn finish(&mut self, began: Instant) -> io::Result<bool> {
        self.worker.journal.flush()?;
        let own = self.worker.journal.id();
        loop {
            let step = self.step(Drainer::step)?;
            let alone = step.alive.iter().all(|writer| Some(*writer) == own) && !step.inbox_alive;
            if alone && !step.more {
                self.drainer.close(own, (self.worker.clock)());
                self.step(Drainer::finish)?;
                return Ok(true);
            }
            let settled = self.drainer.is_idle() && !step.more;
            if settled || began.elapsed() >= self.worker.shutdown_deadline {
                self.step(Drainer::step_with_metrics)?;
                return Ok(settled);
            }
            if !step.more {
                sleep(SETTLE).await;
            }
        }
    }
}
