//! The way to one destination.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dagtel_core::catalog::drop_reason;
use dagtel_otlp::{Signal, record};
use dagtel_spool::{
    Class, Durability, OpenError, Options, Position, Reader, Record, Spool, StreamId, Writer, progress,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::legacy::{LegacyNames, Renamer};
use crate::receiver::{Carrier, Receiver};
use crate::status::Status;
use crate::work::{FRAMES, Outcome, Work};
use crate::{Delivery, Endpoint, Protocol, Verdict};

/// How often the outbox is looked at when nobody says that something is there.
const POLL: Duration = Duration::from_millis(500);
/// Bytes read at a time.
const READ_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of requests that no receiver will ever take; beyond it the oldest go.
const DEAD_LETTER_BYTES: u64 = 64 * 1024 * 1024;

/// Where to send.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Destination {
    /// Who is told.
    pub receiver: Receiver,
    /// The file that says how far it has got.
    pub progress: PathBuf,
    /// What it is sent: by default all that it can be.
    pub signals: Vec<Signal>,
    /// Under which of Airflow's legacy names it is told metrics too, if it is one that is sent OTLP.
    pub legacy_names: Option<LegacyNames>,
}

impl Destination {
    /// An OTLP receiver, and the file that says how far it has got.
    pub fn new(endpoint: Endpoint, protocol: Protocol, progress: impl Into<PathBuf>) -> Self {
        Self::to(Receiver::Otlp { endpoint, protocol, delivery: Delivery::default() }, progress)
    }

    /// Any receiver, and the file that says how far it has got.
    pub fn to(receiver: Receiver, progress: impl Into<PathBuf>) -> Self {
        let signals = match receiver {
            Receiver::Otlp { .. } | Receiver::Stdout => vec![Signal::Traces, Signal::Metrics, Signal::Logs],
            Receiver::Statsd(_) => vec![Signal::Metrics],
            Receiver::None => Vec::new(),
        };
        Self { receiver, progress: progress.into(), signals, legacy_names: None }
    }
}

/// How far an outbox is read.
pub(crate) type Positions = BTreeMap<StreamId, Position>;

/// How far each destination has got; what all are past is given up.
type Shared = Arc<Mutex<Vec<Positions>>>;

/// Sends what is in an outbox to one destination, at that one's own pace. Several share the one copy on disk.
#[derive(Debug)]
pub struct Line {
    destination: Destination,
    index: usize,
    reader: Reader,
    dead: Writer,
    positions: Positions,
    /// The highest number of a frame that is done with.
    mark: u64,
    shared: Shared,
    status: Arc<Status>,
    wake: Arc<Notify>,
    renamer: Option<Renamer>,
}

/// A line for each destination of the spool `outbox`. Requests that a receiver will never take go to the spool
/// `dead_letters`.
///
/// # Errors
/// When one of the spools cannot be used.
pub fn lines(
    outbox: &Path,
    dead_letters: &Path,
    destinations: Vec<Destination>,
) -> Result<Vec<Line>, OpenError> {
    let outbox = Spool::open(outbox, Options::default())?;
    let dead = Spool::open(dead_letters, Options::default().with_budget_bytes(DEAD_LETTER_BYTES))?;
    let progress =
        destinations.iter().map(|to| progress::load(&to.progress).ok().flatten().unwrap_or_default());
    let progress: Vec<(Positions, u64)> = progress.collect();
    let shared: Shared = Arc::new(Mutex::new(progress.iter().map(|(at, _)| at.clone()).collect()));
    let lines = destinations.into_iter().zip(progress).enumerate();
    let lines = lines.map(|(index, (destination, (positions, mark)))| Line {
        renamer: destination.legacy_names.clone().map(Renamer::new),
        destination,
        index,
        reader: outbox.reader(),
        dead: dead.writer(),
        positions,
        mark,
        shared: shared.clone(),
        status: Arc::new(Status::default()),
        wake: Arc::default(),
    });
    Ok(lines.collect())
}

/// What one read of the outbox came to.
enum Sent {
    /// There was nothing.
    Nothing,
    /// There was something, and it is done with.
    Some,
    /// There was something, but the receiver is away and the end has begun.
    Away,
}

/// Whether the end has begun.
#[derive(Debug, Default)]
struct Ending {
    begun: AtomicBool,
    told: Notify,
}

impl Ending {
    fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.told.notify_one();
    }

    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Waits, but not into the end: at that the last attempt is made at once.
    async fn pause(&self, wait: Duration) {
        let _ = timeout(wait, self.told.notified()).await;
    }
}

impl Line {
    /// The receiver.
    pub fn receiver(&self) -> &Receiver {
        &self.destination.receiver
    }

    /// What it is sent.
    pub fn signals(&self) -> &[Signal] {
        &self.destination.signals
    }

    /// What it counts and says about itself, also while it runs.
    pub fn status(&self) -> Arc<Status> {
        self.status.clone()
    }

    /// To be notified when something was put into the outbox.
    pub fn waker(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// Sends what is there, and what comes, until `stop` is ready; then what is there, for at most as long as that says
    /// and only while the receiver takes it: nobody has to wait for one that is away. Needs a tokio runtime with its time
    /// and I/O drivers on. What is not sent stays in the outbox.
    pub async fn run(mut self, stop: impl Future<Output = Duration>) {
        let (ending, wake) = (Ending::default(), self.wake.clone());
        let mut ship = pin!(self.ship(&ending));
        let deadline = tokio::select! {
            deadline = stop => deadline,
            () = ship.as_mut() => return,
        };
        // A request that is under way goes on: given up, it might be taken all the same, and sent once more.
        ending.begin();
        wake.notify_one();
        // Running out of time is told by the status: not caught up.
        let _ = timeout(deadline, ship).await;
    }

    /// Sends what is there, and what comes until the end begins.
    async fn ship(&mut self, ending: &Ending) {
        let mut backoff = Backoff::new();
        let Some(mut carrier) = self.open(&mut backoff, ending).await else { return };
        let carrier = &mut carrier;
        loop {
            // Asked before the outbox is read: what is put into it before the end is sent.
            let until_empty = ending.has_begun();
            match self.send_some(carrier, &mut backoff, ending).await {
                Ok(Sent::Some) => {}
                Ok(Sent::Away) => return,
                Ok(Sent::Nothing) => {
                    self.status.caught_up(true);
                    if until_empty {
                        return;
                    }
                    let _ = timeout(POLL, self.wake.notified()).await;
                }
                Err(error) => {
                    self.status.attempted(Some(&format!("the outbox cannot be read: {error}")));
                    ending.pause(backoff.next(None)).await;
                }
            }
        }
    }

    /// Opens the way to the receiver. `None` when that failed into the end.
    async fn open(&mut self, backoff: &mut Backoff, ending: &Ending) -> Option<Carrier> {
        loop {
            match Carrier::open(&self.destination.receiver, &self.destination.progress) {
                Ok(carrier) => {
                    // It saves before the progress is saved; who was killed in between goes on from there.
                    for (stream, position) in carrier.positions().into_iter().flatten() {
                        let known = self.positions.entry(*stream).or_default();
                        *known = (*known).max(*position);
                    }
                    backoff.reset();
                    return Some(carrier);
                }
                Err(_) if ending.has_begun() => return None,
                Err(error) => {
                    self.status.attempted(Some(&format!("what was told last cannot be read: {error}")));
                    ending.pause(backoff.next(None)).await;
                }
            }
        }
    }

    /// Sends what one read of the outbox gives.
    async fn send_some(
        &mut self,
        carrier: &mut Carrier,
        backoff: &mut Backoff,
        ending: &Ending,
    ) -> io::Result<Sent> {
        for stream in self.reader.streams()? {
            let position = self.positions.get(&stream.id).copied().unwrap_or_default();
            let batch = self.reader.read(stream.id, position, READ_BYTES)?;
            self.status.dropped("frames", drop_reason::DAMAGED, batch.damaged);
            self.status.dropped("frames", drop_reason::EVICTED, batch.missing);
            if batch.records.is_empty() {
                if batch.next != position {
                    self.advance(carrier, stream.id, batch.next)?;
                }
                continue;
            }
            self.status.caught_up(false);
            for group in batch.records.chunks(FRAMES) {
                if !self.send_group(group, carrier, backoff, ending).await {
                    return Ok(Sent::Away);
                }
                if let Some(last) = group.last() {
                    self.advance(carrier, stream.id, last.next)?;
                }
            }
            return Ok(Sent::Some);
        }
        Ok(Sent::Nothing)
    }

    /// Sends a few records. Returns whether they are done with; they are not when the receiver is away at the end.
    async fn send_group(
        &mut self,
        group: &[Record],
        carrier: &mut Carrier,
        backoff: &mut Backoff,
        ending: &Ending,
    ) -> bool {
        let mut frames = Vec::new();
        let mut mark = self.mark;
        for record in group {
            match (record::signal_of(record.kind), record::parse(&record.payload)) {
                (Some(signal), Some((number, body))) => {
                    mark = mark.max(number);
                    if !self.destination.signals.contains(&signal) {
                        continue;
                    }
                    let mut body = Bytes::copy_from_slice(body);
                    if let Some(renamer) = self.renamer.as_mut().filter(|_| signal == Signal::Metrics) {
                        body = renamer.told_twice(body);
                        self.status.legacy_untold(renamer.untold());
                    }
                    frames.push((signal, body, u64::from(record.items)));
                }
                _ => self.status.dropped("frames", drop_reason::UNREADABLE, 1),
            }
        }
        let mut work = Work::merge(frames);
        while let Some(request) = work.next() {
            let signal = request.signal;
            let verdict = carrier.send(signal, &request.body).await;
            self.status.attempted(failure(&verdict));
            match work.settle(&verdict) {
                Some(Outcome::Done { delivered, rejected }) => {
                    backoff.reset();
                    self.status.delivered(signal, delivered);
                    self.status.dropped(signal.as_str(), drop_reason::REJECTED, rejected);
                }
                Some(Outcome::Again) if ending.has_begun() => return false,
                Some(Outcome::Again) => ending.pause(backoff.next(asked_for(&verdict))).await,
                Some(Outcome::Dead { request, reason }) => {
                    backoff.reset();
                    self.bury(signal, &request.body, request.items, reason);
                }
                Some(Outcome::TakenApart) | None => {}
            }
        }
        self.mark = mark;
        true
    }

    /// Keeps what can never be delivered, to be looked at. What does not fit there any more is gone, and counted all the
    /// same.
    fn bury(&self, signal: Signal, body: &[u8], items: u64, reason: &'static str) {
        self.status.dropped(signal.as_str(), reason, items);
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        let payload = record::payload(record::UNNUMBERED, body);
        let _ = self.dead.append(record::kind_of(signal), Class::Detail, items, &payload);
        let _ = self.dead.flush();
    }

    /// Notes how far this destination has got, and gives up what every destination is past.
    fn advance(&mut self, carrier: &mut Carrier, stream: StreamId, next: Position) -> io::Result<()> {
        self.positions.insert(stream, next);
        carrier.save(&self.positions)?;
        self.status.reached(self.mark);
        progress::save(&self.destination.progress, &self.positions, self.mark, Durability::Process)?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared[self.index].insert(stream, next);
        let slowest =
            shared.iter().map(|positions| positions.get(&stream).copied().unwrap_or_default()).min();
        drop(shared);
        self.reader.release(stream, slowest.unwrap_or_default())
    }
}

fn failure(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Accepted => None,
        Verdict::Partial { reason, .. }
        | Verdict::Retry { reason, .. }
        | Verdict::TooLarge { reason }
        | Verdict::Refused { reason } => Some(reason),
    }
}

fn asked_for(verdict: &Verdict) -> Option<Duration> {
    match verdict {
        Verdict::Retry { after, .. } => *after,
        _ => None,
    }
}
