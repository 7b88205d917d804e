//! The families about directories, queues, destinations, and what processes reported of themselves.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dagtel_core::catalog::agent::{self, Definition, Source};
use dagtel_core::catalog::drop_reason;
use dagtel_core::catalog::metric::Metric;
use dagtel_core::fold::Anomaly;
use dagtel_otlp::Signal;
use dagtel_scrape::{Family, Labels, Value};

use super::board::Spool;
use super::told::Told;

/// What an agent that folds sends.
const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// The families of all directories together.
pub(super) fn of(spools: &BTreeMap<String, Spool>) -> Vec<Family<'static>> {
    let mut families = reported(spools);
    families.extend([queues(spools), disk(spools), dropped(spools), delivered(spools)]);
    let told = || spools.values().filter_map(|spool| spool.told.as_ref());
    let sum = |value: fn(&Told) -> u64| told().map(|told| value(told)).sum::<u64>() as f64;
    families.push(Family::of(&agent::EVENTS).number(sum(|told| told.counts.events)));
    families.push(Family::of(&agent::OPEN_RUNS).number(sum(|told| told.open_runs as u64)));
    let mut odd = Sums::new(&agent::ANOMALIES);
    let mut folded = Sums::new(&agent::FOLDED);
    for told in told() {
        for anomaly in Anomaly::ALL {
            odd.add(vec![anomaly.as_str().into()], told.anomalies.count(*anomaly));
        }
        for metric in Metric::ALL {
            folded.add(vec![metric.definition().name.into()], told.metrics.folded(*metric));
        }
    }
    families.extend([odd.family(), folded.family()]);
    families
}

/// All families once, in the order of the catalogue: those of which there are values, and those whose name and type are
/// shown without.
pub(super) fn in_order(families: Vec<Family<'static>>, omitted: u64) -> Vec<Family<'static>> {
    let mut by_name: BTreeMap<Cow<'static, str>, Family<'static>> = BTreeMap::new();
    for family in families {
        match by_name.entry(family.name.clone()) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(family);
            }
            std::collections::btree_map::Entry::Occupied(entry) => {
                entry.into_mut().samples.extend(family.samples)
            }
        }
    }
    let omitted = Family::of(&agent::SERIES_OMITTED).number(omitted as f64);
    by_name.insert(omitted.name.clone(), omitted);
    let ordered = agent::ALL.iter().filter_map(|definition| {
        let found = by_name.remove(definition.name);
        // Of a Python process nothing is shown unless there is one.
        found.or_else(|| (definition.source != Source::Python).then(|| Family::of(definition)))
    });
    ordered.collect()
}

/// Numbers that are added up where the labels are equal.
struct Sums {
    definition: &'static Definition,
    sums: BTreeMap<Vec<Cow<'static, str>>, u64>,
}

impl Sums {
    fn new(definition: &'static Definition) -> Self {
        Self { definition, sums: BTreeMap::new() }
    }

    /// The values of the labels in the catalogue's order.
    fn add(&mut self, values: Vec<Cow<'static, str>>, count: u64) {
        *self.sums.entry(values).or_default() += count;
    }

    fn family(self) -> Family<'static> {
        let mut family = Family::of(self.definition);
        for (values, sum) in self.sums {
            let labels: Labels<'static> =
                self.definition.labels.iter().map(|label| Cow::Borrowed(*label)).zip(values).collect();
            family.push(labels, Value::Number(sum as f64));
        }
        family
    }
}

fn queues(spools: &BTreeMap<String, Spool>) -> Family<'static> {
    let mut tries = Sums::new(&agent::QUEUE_STATS);
    for told in spools.values().filter_map(|spool| spool.told.as_ref()) {
        for ((queue, state), count) in &told.queues {
            tries.add(vec![queue.to_string().into(), (*state).into()], *count);
        }
    }
    tries.family()
}

fn disk(spools: &BTreeMap<String, Spool>) -> Family<'static> {
    let mut bytes = Sums::new(&agent::SPOOL_BYTES);
    for (dir, spool) in spools {
        for (part, count) in spool.told.iter().flat_map(|told| &told.disk) {
            bytes.add(vec![dir.clone().into(), (*part).into()], *count);
        }
    }
    bytes.family()
}

/// What was lost before it was read has no destination. What may be lost is told as zero before it is: an increase from
/// nothing is none for Prometheus.
fn dropped(spools: &BTreeMap<String, Spool>) -> Family<'static> {
    let mut drops = Sums::new(&agent::DROPPED);
    for spool in spools.values() {
        for reason in drop_reason::OF_EVENTS {
            drops.add(vec!["events".into(), reason.into(), "".into()], 0);
        }
        for (reason, count) in spool.told.iter().flat_map(|told| &told.counts.events_dropped) {
            drops.add(vec!["events".into(), reason.clone().into(), "".into()], *count);
        }
        for (destination, status) in &spool.destinations {
            let mut add = |signal: &'static str, reason: &'static str, count| {
                drops.add(vec![signal.into(), reason.into(), destination.clone().into()], count);
            };
            drop_reason::OF_FRAMES.into_iter().for_each(|reason| add("frames", reason, 0));
            for signal in SIGNALS {
                drop_reason::OF_SENT.into_iter().for_each(|reason| add(signal.as_str(), reason, 0));
            }
            status
                .seen()
                .dropped
                .into_iter()
                .for_each(|((signal, reason), count)| add(signal, reason, count));
        }
    }
    drops.family()
}

fn delivered(spools: &BTreeMap<String, Spool>) -> Family<'static> {
    let mut items = Sums::new(&agent::DELIVERED);
    for (destination, status) in spools.values().flat_map(|spool| &spool.destinations) {
        let seen = status.seen().delivered;
        for signal in SIGNALS {
            let count = seen.get(signal.as_str()).copied().unwrap_or_default();
            items.add(vec![signal.as_str().into(), destination.clone().into()], count);
        }
    }
    items.family()
}

/// What processes reported: each value with the labels `component` and `process` besides its own.
fn reported(spools: &BTreeMap<String, Spool>) -> Vec<Family<'static>> {
    let mut families: BTreeMap<&str, Family<'static>> = BTreeMap::new();
    let reports = spools.values().filter_map(|spool| spool.told.as_ref()).flat_map(|told| &told.reports);
    for (file, report) in reports {
        let process = file.trim_end_matches(".jsonl");
        for value in &report.values {
            let Some(definition) = agent::reportable(&value.name) else { continue };
            let mut labels: Labels<'static> = vec![
                ("component".into(), report.component.to_string().into()),
                ("process".into(), process.to_owned().into()),
            ];
            labels.extend(
                value.labels.iter().map(|(name, value)| (name.to_string().into(), value.to_string().into())),
            );
            let family = families.entry(definition.name).or_insert_with(|| Family::of(definition));
            family.push(labels, Value::Number(value.value));
        }
    }
    families.into_values().collect()
}
