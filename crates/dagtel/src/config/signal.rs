//! Where a signal goes.

use dagtel_ship::{Delivery, Endpoint, Protocol};

use super::DEFAULT_ENDPOINT;
use super::said::SaidOfSignal;

/// What happens to a signal.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SignalConfig {
    /// Why it is not sent; `None` when it is.
    pub off: Option<String>,
    /// Where it is sent.
    pub targets: Vec<Target>,
}

/// A receiver, and how to send to it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The receiver.
    pub endpoint: Endpoint,
    /// How to talk to it.
    pub protocol: Protocol,
    /// How to send.
    pub delivery: Delivery,
}

impl SignalConfig {
    pub(super) fn of(said: SaidOfSignal, file: SaidOfSignal, problems: &mut Vec<String>) -> Self {
        let off = said.on.or(file.on).filter(|(on, _)| !on).map(|(_, who)| who);
        let mut endpoints = said.endpoints.or(file.endpoints).unwrap_or_default();
        if endpoints.is_empty() {
            endpoints.extend(DEFAULT_ENDPOINT.parse());
        }
        let (protocol, mut delivery) = (said.protocol.or(file.protocol), said.delivery.unwrap_or_default());
        delivery.tls = said.certificates.or(file.certificates).files(problems);
        let target = |endpoint: Endpoint| {
            let protocol = protocol.unwrap_or_else(|| endpoint.usual_protocol());
            Target { endpoint, protocol, delivery: delivery.clone() }
        };
        Self { off, targets: endpoints.into_iter().map(target).collect() }
    }

    /// Events go only where somebody says.
    pub(super) fn of_events(said: SaidOfSignal, file: SaidOfSignal, problems: &mut Vec<String>) -> Self {
        let off = said.endpoints.as_ref().or(file.endpoints.as_ref()).is_none_or(Vec::is_empty);
        let mut own = Vec::new();
        let mut config = Self::of(said, file, &mut own);
        if off {
            config.off = Some("no receiver of events is named".to_owned());
        } else {
            // A general variable is one problem.
            problems
                .extend(own.into_iter().filter(|problem| !problems.contains(problem)).collect::<Vec<_>>());
        }
        config
    }

    /// Sends to these instead, by this protocol if one is named.
    pub fn send_to(&mut self, endpoints: &[Endpoint], protocol: Option<Protocol>) {
        let delivery = self.targets.first().map(|target| target.delivery.clone()).unwrap_or_default();
        if !endpoints.is_empty() {
            let target = |endpoint: &Endpoint| {
                let protocol = endpoint.usual_protocol();
                Target { endpoint: endpoint.clone(), protocol, delivery: delivery.clone() }
            };
            self.targets = endpoints.iter().map(target).collect();
        }
        for target in &mut self.targets {
            target.protocol = protocol.unwrap_or(target.protocol);
        }
    }
}
