//! The heartbeats of the agent's components, and what they say of its health.
//!
//! A component that does its work again and again counts each time as a heartbeat: a step of the drainer, a look into the
//! inbox, a turn of the server's loop. The shipper's are requests without data to its destinations, because only an answer
//! shows that one is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dagtel_core::catalog::agent;
use dagtel_scrape::{Buckets, Family, Labels, Value};

use super::board::Spool;

/// A component without a heartbeat for this long is not well.
const SILENT: Duration = Duration::from_secs(30);
const DURATIONS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const SIZES: &[f64] = &[64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

/// The parts of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Component {
    Drainer,
    Inbox,
    ScrapeServer,
    Shipper,
}

/// How a heartbeat went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Success,
    Timeout,
    Error,
}

impl Component {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Drainer => "drainer",
            Self::Inbox => "inbox",
            Self::ScrapeServer => "scrape_server",
            Self::Shipper => "shipper",
        }
    }
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Timeout => "timeout",
            Self::Error => "error",
        }
    }
}

#[derive(Debug)]
pub(super) struct Beats {
    counts: BTreeMap<(Component, Outcome), u64>,
    durations: BTreeMap<Component, Buckets>,
    payload: Buckets,
    /// The last heartbeat of a component, for each directory or destination that it works on.
    last: BTreeMap<(Component, String), (Instant, Outcome)>,
    pub(super) received: u64,
    /// Whether there is a destination.
    pub(super) ships: bool,
    sent: u64,
    failed: u64,
}

impl Beats {
    pub(super) fn new() -> Self {
        Self {
            counts: BTreeMap::new(),
            durations: BTreeMap::new(),
            payload: Buckets::new(SIZES),
            last: BTreeMap::new(),
            received: 0,
            ships: false,
            sent: 0,
            failed: 0,
        }
    }

    pub(super) fn beat(
        &mut self,
        component: Component,
        of: &str,
        outcome: Outcome,
        took: Option<Duration>,
        now: Instant,
    ) {
        *self.counts.entry((component, outcome)).or_default() += 1;
        if let Some(took) = took {
            let durations = self.durations.entry(component).or_insert_with(|| Buckets::new(DURATIONS));
            durations.observe(took.as_secs_f64());
        }
        self.last.insert((component, of.to_owned()), (now, outcome));
    }

    pub(super) fn sent(&mut self, to: &str, outcome: Outcome, took: Duration, bytes: usize, now: Instant) {
        self.beat(Component::Shipper, to, outcome, Some(took), now);
        self.payload.observe(bytes as f64);
        let count = if outcome == Outcome::Success { &mut self.sent } else { &mut self.failed };
        *count += 1;
    }

    /// Each component, and whether it is well wherever it works.
    fn health(&self, now: Instant) -> BTreeMap<Component, bool> {
        let mut health = BTreeMap::new();
        for ((component, _), (at, outcome)) in &self.last {
            let well = *outcome == Outcome::Success && now.saturating_duration_since(*at) < SILENT;
            *health.entry(*component).or_insert(true) &= well;
        }
        health
    }

    /// Whether the agent drains, or stands by, and can send.
    pub(super) fn ready(&self, now: Instant) -> Result<(), String> {
        let health = self.health(now);
        for component in [Component::Drainer, Component::Shipper] {
            match health.get(&component) {
                Some(true) => {}
                None if component == Component::Shipper && !self.ships => {}
                Some(false) => return Err(format!("the {} is not well", component.as_str())),
                None => return Err(format!("the {} has not begun", component.as_str())),
            }
        }
        Ok(())
    }

    pub(super) fn families(&self, spools: &BTreeMap<String, Spool>, now: Instant) -> Vec<Family<'static>> {
        let count = |value: u64| Value::Number(value as f64);
        let mut health: BTreeMap<String, bool> =
            self.health(now).iter().map(|(component, well)| (component.as_str().to_owned(), *well)).collect();
        let mut requests = Family::of(&agent::HEARTBEAT_REQUESTS);
        for ((component, outcome), beats) in &self.counts {
            let labels = [("component", component.as_str()), ("outcome", outcome.as_str())];
            requests.push(labels.map(|(name, value)| (name.into(), value.into())).into(), count(*beats));
        }
        for report in
            spools.values().filter_map(|spool| spool.told.as_ref()).flat_map(|told| told.reports.values())
        {
            *health.entry(report.component.to_string()).or_insert(true) &= report.healthy;
        }
        let mut healthy = Family::of(&agent::COMPONENT_HEALTH);
        for (component, well) in health {
            healthy.push(one("component", component), count(well.into()));
        }
        let mut durations = Family::of(&agent::HEARTBEAT_DURATION);
        for (component, buckets) in &self.durations {
            durations.samples.push(buckets.sample(one("component", component.as_str().to_owned())));
        }
        let mut payload = Family::of(&agent::HEARTBEAT_PAYLOAD);
        payload.samples.push(self.payload.sample(one("component", Component::Shipper.as_str().to_owned())));
        let totals = [
            Family::of(&agent::HEARTBEAT_RECEIVED).number(self.received as f64),
            Family::of(&agent::HEARTBEAT_SENT).number(self.sent as f64),
            Family::of(&agent::HEARTBEAT_ERROR).number(self.failed as f64),
        ];
        [healthy, requests, durations, payload].into_iter().chain(totals).collect()
    }
}

fn one(name: &'static str, value: String) -> Labels<'static> {
    vec![(name.into(), value.into())]
}
