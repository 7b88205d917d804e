//! Sends events on a thread of its own. Nobody waits for it, and nothing it meets becomes anybody's error.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::limits::{DEADLINE, QUEUE};
use crate::transport::{Client, Network};
use crate::{Environment, Failure, Gateway, UsageEvent, url};

/// Sends events to one gateway, one after the other over one connection. The thread comes with the first event.
/// Dropping the sender does not wait: what is in the queue or on the way is given up, so [`flush`](Self::flush)
/// before.
pub struct Sender {
    gateway: Arc<Gateway>,
    environment: Environment,
    /// None inside: the system has no thread left.
    queue: OnceLock<Option<mpsc::Sender<UsageEvent>>>,
    ledger: Arc<Ledger>,
}

/// What became of the events: `handed` = `sent` + `failed` + `dropped` + `waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Handed to the sender.
    pub handed: u64,
    /// Answered with success.
    pub sent: u64,
    /// Given up; each was a warning.
    pub failed: u64,
    /// Not taken, because the queue was full or the system had no thread for the sender.
    pub dropped: u64,
    /// In the queue or on the way.
    pub waiting: u64,
}

impl Sender {
    /// A sender to `gateway`. Proxies and root certificates are those of `environment`, read at the first event.
    pub fn new(gateway: Gateway, environment: Environment) -> Self {
        Self { gateway: Arc::new(gateway), environment, queue: OnceLock::new(), ledger: Arc::default() }
    }

    /// Starts the thread now, so that the first event does not have to. A thread does not survive a fork: a process
    /// that forks before it sends leaves this to the first event.
    pub fn start(&self) {
        self.queue();
    }

    /// Hands an event over, without asking anybody for consent. Returns whether it was taken; it is not when the
    /// queue is full.
    pub fn send(&self, event: UsageEvent) -> bool {
        self.ledger.change(|stats| (stats.handed += 1, stats.waiting += 1));
        let taken = self.queue().is_some_and(|queue| queue.try_send(event).is_ok());
        if !taken {
            self.ledger.change(|stats| (stats.dropped += 1, stats.waiting -= 1));
        }
        taken
    }

    /// Waits until every event is done with, but at most as long as that. Returns whether they are.
    pub fn flush(&self, within: Duration) -> bool {
        let stats = self.ledger.lock();
        let waited = self.ledger.settled.wait_timeout_while(stats, within, |stats| stats.waiting > 0);
        let (stats, _) = waited.unwrap_or_else(PoisonError::into_inner);
        stats.waiting == 0
    }

    /// What became of the events so far.
    pub fn stats(&self) -> Stats {
        *self.ledger.lock()
    }

    /// Where the events go.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    fn queue(&self) -> Option<&mpsc::Sender<UsageEvent>> {
        self.queue.get_or_init(|| self.spawn()).as_ref()
    }

    fn spawn(&self) -> Option<mpsc::Sender<UsageEvent>> {
        let (queue, events) = mpsc::channel(QUEUE);
        let (gateway, ledger) = (self.gateway.clone(), self.ledger.clone());
        let environment = self.environment.clone();
        let started = thread::Builder::new().name("dagtel-usage".to_owned()).spawn(move || {
            work(&gateway, &Network::new(&environment), events, &ledger);
        });
        started.is_ok().then_some(queue)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.ledger.closed.notify_one();
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Ledger {
    stats: Mutex<Stats>,
    settled: Condvar,
    closed: Notify,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Stats) -> T) {
        change(&mut self.lock());
        self.settled.notify_all();
    }
}

/// The thread: until the sender is dropped.
fn work(gateway: &Gateway, network: &Network, mut events: mpsc::Receiver<UsageEvent>, ledger: &Ledger) {
    // A lookup that hangs in the resolver cannot be ended, only left behind; a few may hang at a time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build();
    let Ok(runtime) = runtime else {
        while events.blocking_recv().is_some() {
            settle(Err(Failure::Connect), ledger);
        }
        return;
    };
    runtime.block_on(async {
        tokio::select! {
            () = ledger.closed.notified() => {}
            () = send_all(gateway, network, &mut events, ledger) => {}
        }
    });
    runtime.shutdown_background();
}

async fn send_all(
    gateway: &Gateway,
    network: &Network,
    events: &mut mpsc::Receiver<UsageEvent>,
    ledger: &Ledger,
) {
    let mut client = None;
    while let Some(event) = events.recv().await {
        let delivering = deliver(gateway, network, &mut client, &event);
        settle(timeout(DEADLINE, delivering).await.unwrap_or(Err(Failure::Deadline)), ledger);
    }
}

async fn deliver(
    gateway: &Gateway,
    network: &Network,
    client: &mut Option<Client>,
    event: &UsageEvent,
) -> Result<(), Failure> {
    let url = url(gateway, event).ok_or(Failure::UrlTooLong)?;
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::new(network, gateway.is_encrypted())?),
    };
    client.get(&url).await
}

fn settle(outcome: Result<(), Failure>, ledger: &Ledger) {
    if let Err(failure) = outcome {
        tracing::warn!("Unable to emit usage metrics: {failure}");
    }
    ledger.change(|stats| {
        stats.waiting -= 1;
        *(if outcome.is_ok() { &mut stats.sent } else { &mut stats.failed }) += 1;
    });
}
