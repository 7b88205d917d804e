//! Metrics by StatsD, from the same frames as by OTLP.
//!
//! | OTLP | StatsD |
//! |---|---|
//! | monotonic or other sum | `c`, by how much it changed since the frame before |
//! | gauge | `g`, as it is; behind a `0` when it is negative, because a sign means a change there |
//! | histogram in seconds or milliseconds | `ms`, in milliseconds |
//! | any other histogram | `h` |
//!
//! Of the observations of a histogram between two frames only buckets, count and sum are known. They are told as so many
//! values, each within its bucket, that have exactly this count and (to a double's precision) this sum; a single one is
//! told as it was. Of a bucket up to ten are lines of their own, more are one with `@rate`.
//!
//! What was told last is kept on disk with the destination's progress ([`counted`]), so that neither a restart of the
//! sender nor a daemon that is away repeats or loses a count. A kill between sending and saving repeats what was sent
//! meanwhile, and a datagram that the network loses is lost: StatsD has no answer that would tell.
//!
//! The lines are made here and not by a client library: those count at the call, where what is to be told here is the
//! difference of two readings, sent as a transaction.

mod changes;
mod counted;
mod name;
mod socket;
mod timing;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dagtel_core::catalog::naming::NameFilter;
use dagtel_otlp::Signal;

use self::changes::Changes;
use self::counted::Counted;
use self::socket::Socket;
use crate::Verdict;
use crate::line::Positions;

/// A StatsD daemon, and how it wants to be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Statsd {
    /// A host name or an address of either kind.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What names begin with in OTLP, the dot included. It is replaced by [`prefix`](Self::prefix); a name without it
    /// stays as it is.
    pub otel_prefix: String,
    /// What names begin with, the dot included.
    pub prefix: String,
    /// How tags are written.
    pub tags: TagStyle,
    /// Whether Airflow's legacy names are told beside the names. `None`: where tags cannot be.
    pub legacy_names: Option<bool>,
    /// Tags that are left out here.
    pub disabled_tags: Vec<String>,
    /// Tags that all points carry: they are no part of names.
    pub static_tags: Vec<String>,
    /// Which legacy names there are.
    pub filter: NameFilter,
}

/// How tags are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "Airflow knows these three")]
pub enum TagStyle {
    /// Not at all. Counts and timings of a name are told together; a gauge has the values of its tags in its name.
    #[default]
    None,
    /// DogStatsD: `|#tag:value`.
    Datadog,
    /// InfluxDB: `name,tag=value`.
    Influx,
}

impl Statsd {
    /// A daemon with Airflow's defaults: prefix `airflow`, no tags.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            otel_prefix: "airflow.".to_owned(),
            prefix: "airflow.".to_owned(),
            tags: TagStyle::None,
            legacy_names: None,
            disabled_tags: vec!["job_id".to_owned(), "run_id".to_owned()],
            static_tags: Vec::new(),
            filter: NameFilter::default(),
        }
    }

    /// Sends an empty datagram and waits a moment for the network to say that nobody is there. Returns the address.
    ///
    /// # Errors
    /// When the host has no address, or somebody on the way says that it cannot be reached. Silence is no error.
    pub async fn probe(&self) -> io::Result<std::net::SocketAddr> {
        Socket::new(&self.host, self.port).probe().await
    }

    fn tells_legacy_names(&self) -> bool {
        self.legacy_names.unwrap_or(self.tags == TagStyle::None)
    }
}

impl fmt::Display for Statsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tags == TagStyle::Datadog { "dogstatsd" } else { "statsd" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// Tells a daemon.
#[derive(Debug)]
pub(crate) struct Teller {
    to: Statsd,
    socket: Socket,
    counted: Counted,
    file: PathBuf,
}

impl Teller {
    /// `progress` is the file of the destination's progress: what was told last stands beside it.
    pub(crate) fn open(to: Statsd, progress: &Path) -> io::Result<Self> {
        let name = progress.file_name().unwrap_or_default().to_string_lossy();
        let file = progress.with_file_name(format!("counted-{}", name.trim_start_matches("shipped-")));
        let counted = Counted::load(&file)?;
        let socket = Socket::new(&to.host, to.port);
        Ok(Self { to, socket, counted, file })
    }

    /// How far the outbox had been read when the counts were saved.
    pub(crate) fn positions(&self) -> &Positions {
        &self.counted.positions
    }

    pub(crate) async fn send(&mut self, signal: Signal, body: &Bytes) -> Verdict {
        if signal != Signal::Metrics {
            return Verdict::Refused { reason: format!("StatsD has no {}", signal.as_str()) };
        }
        let changes = match Changes::of(body, &self.to, &mut self.counted) {
            Ok(changes) => changes,
            Err(error) => return Verdict::Refused { reason: format!("the frame is no OTLP: {error}") },
        };
        let texts = changes.items.iter().map(|item| &*item.lines);
        let (sent, answer) = self.socket.send(texts).await;
        let untold = changes.untold;
        for item in changes.items.into_iter().take(sent) {
            self.counted.keep(item.change);
        }
        match answer {
            Err(error) => Verdict::Retry { reason: error.to_string(), after: None },
            Ok(()) if untold.is_empty() => Verdict::Accepted,
            Ok(()) => {
                let rejected = untold.values().sum();
                let reasons: Vec<_> = untold.iter().map(|(why, points)| format!("{why}: {points}")).collect();
                Verdict::Partial {
                    rejected,
                    reason: format!("not to be told by StatsD: {}", reasons.join(", ")),
                }
            }
        }
    }

    /// Saves what was told, with how far the outbox is read.
    pub(crate) fn save(&mut self, positions: &Positions) -> io::Result<()> {
        self.counted.save(&self.file, positions)
    }
}
