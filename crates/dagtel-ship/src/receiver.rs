//! Who is told, and the way to each.

use std::fmt;
use std::io;
use std::path::Path;

use bytes::Bytes;
use dagtel_otlp::Signal;

use crate::line::Positions;
use crate::statsd::{Statsd, Teller};
use crate::stdout::Stdout;
use crate::{Delivery, Endpoint, Exporter, Protocol, Verdict};

/// Who is told what is in an outbox.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Receiver {
    /// An OTLP receiver.
    Otlp {
        /// Its address.
        endpoint: Endpoint,
        /// How to talk to it.
        protocol: Protocol,
        /// How to send.
        delivery: Delivery,
    },
    /// A StatsD daemon. It is told metrics only.
    Statsd(Statsd),
    /// Standard output, as lines of OTLP in JSON, as OpenTelemetry's file exporters write it.
    Stdout,
    /// Nobody: what is in the outbox is given up, so that it does not fill.
    None,
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Otlp { endpoint, .. } => endpoint.fmt(f),
            Self::Statsd(statsd) => statsd.fmt(f),
            Self::Stdout => f.write_str("stdout"),
            Self::None => f.write_str("none"),
        }
    }
}

/// The way to a receiver.
#[derive(Debug)]
pub(crate) enum Carrier {
    Otlp(Box<Exporter>),
    Statsd(Box<Teller>),
    Stdout(Stdout),
    None,
}

impl Carrier {
    /// Must be called within a tokio runtime, and the way be used only while that runs.
    pub(crate) fn open(receiver: &Receiver, progress: &Path) -> io::Result<Self> {
        Ok(match receiver {
            Receiver::Otlp { endpoint, protocol, delivery } => {
                Self::Otlp(Box::new(Exporter::with(endpoint.clone(), *protocol, delivery.clone())))
            }
            Receiver::Statsd(statsd) => Self::Statsd(Box::new(Teller::open(statsd.clone(), progress)?)),
            Receiver::Stdout => Self::Stdout(Stdout::start()?),
            Receiver::None => Self::None,
        })
    }

    /// Sends one request.
    pub(crate) async fn send(&mut self, signal: Signal, body: &Bytes) -> Verdict {
        match self {
            Self::Otlp(exporter) => exporter.send(signal, body.clone()).await,
            Self::Statsd(teller) => teller.send(signal, body).await,
            Self::Stdout(stdout) => stdout.send(signal, body).await,
            Self::None => Verdict::Accepted,
        }
    }

    /// How far the outbox was read, for all that the way itself knows.
    pub(crate) fn positions(&self) -> Option<&Positions> {
        match self {
            Self::Statsd(teller) => Some(teller.positions()),
            _ => None,
        }
    }

    /// Saves what the way itself must know, before it is noted that the outbox is read up to here.
    pub(crate) fn save(&mut self, positions: &Positions) -> io::Result<()> {
        match self {
            Self::Statsd(teller) => teller.save(positions),
            _ => Ok(()),
        }
    }
}
