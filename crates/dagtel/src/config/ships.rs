//! Who is sent what: the destinations of an outbox, as the configuration has them.

use dagtel_drain::Layout;
use dagtel_otlp::Signal;
use dagtel_ship::{Destination, LegacyNames, Receiver};

use super::{Config, Target};

impl Config {
    /// The destinations of the outbox of a directory. There is always one: when nothing is to be sent, nobody, so that
    /// what processes put there does not stay.
    pub fn ships(&self, layout: &Layout) -> Vec<Destination> {
        let mut destinations: Vec<Destination> = Vec::new();
        for (target, signals) in self.destinations() {
            let Target { endpoint, protocol, delivery } = target;
            let mut name = endpoint.to_string();
            if destinations.iter().any(|other| other.receiver.to_string() == name) {
                // The same receiver in two ways, which are each at their own place in the outbox.
                let words: Vec<_> = signals.iter().map(|signal| signal.as_str()).collect();
                name = format!("{name}-{}", words.join("-"));
            }
            let receiver = Receiver::Otlp { endpoint, protocol, delivery };
            let mut destination = Destination::to(receiver, layout.shipped(&name));
            destination.signals = signals;
            destination.legacy_names = self.legacy_names();
            destinations.push(destination);
        }
        if let Ok(statsd) = &self.statsd {
            destinations.push(Destination::to(Receiver::Statsd(statsd.clone()), layout.shipped(statsd)));
        }
        if !self.stdout.is_empty() {
            let mut stdout = Destination::to(Receiver::Stdout, layout.shipped(&Receiver::Stdout));
            stdout.signals.clone_from(&self.stdout);
            stdout.legacy_names = self.legacy_names();
            destinations.push(stdout);
        }
        if destinations.is_empty() {
            destinations.push(Destination::to(Receiver::None, layout.shipped(&Receiver::None)));
        }
        destinations
    }

    fn legacy_names(&self) -> Option<LegacyNames> {
        let naming = &self.naming;
        naming.legacy_names.then(|| LegacyNames::new(self.prefix.clone(), naming.filter.clone()))
    }

    /// Whether anybody is sent this.
    pub fn sends(&self, signal: Signal) -> bool {
        let by_otlp = self.destinations().iter().any(|(_, signals)| signals.contains(&signal));
        by_otlp || self.stdout.contains(&signal) || (signal == Signal::Metrics && self.statsd.is_ok())
    }
}
