//! The metrics that the fold counts, as plain data: they can be saved and restored, and are exact after a crash.
//!
//! All are cumulative since [`Metrics::start`]. Each metric has a budget of tag sets ([`limits::TAG_SETS`]); what goes
//! over it is kept in one series with `overflow="true"`, so totals stay right.

mod histogram;
mod tags;

use std::time::Duration;

use hashbrown::HashMap;
use hashbrown::hash_map::{Entry, EntryRef};
use serde::{Deserialize, Serialize};

pub use self::histogram::Histogram;
pub use self::tags::{TagRefs, TagSet};
use crate::catalog::metric::{Kind, Metric};
use crate::limits;
use crate::time::Timestamp;

/// The metrics of one fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    start: Timestamp,
    budget: usize,
    families: Vec<Family>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Family {
    #[serde(with = "crate::pairs")]
    series: HashMap<TagSet, Point>,
    overflow: Option<Point>,
    folded: u64,
}

/// The value of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Point {
    /// How many, since the start.
    Counter(u64),
    /// How many, now.
    Gauge(i64),
    /// When something was observed last, and what.
    Last(Timestamp, u64),
    /// Durations, since the start.
    Histogram(Box<Histogram>),
}

impl Point {
    /// Takes in another point of the same metric.
    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Counter(sum), Self::Counter(more)) => *sum += more,
            (Self::Gauge(sum), Self::Gauge(more)) => *sum += more,
            (Self::Last(at, value), Self::Last(other_at, other)) => {
                (*at, *value) = (*at, *value).max((*other_at, *other));
            }
            (Self::Histogram(histogram), Self::Histogram(more)) => histogram.merge(more),
            _ => {}
        }
    }
}

/// One series as it is read: its metric, its tags, its value.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Series<'a> {
    /// The metric.
    pub metric: Metric,
    /// The tags; `None` for the series that holds what went over the budget.
    pub tags: Option<&'a TagSet>,
    /// The value.
    pub point: &'a Point,
}

impl Metrics {
    /// Nothing counted yet. `start` is the time since which everything will be counted.
    pub fn new(start: Timestamp) -> Self {
        Self { start, budget: limits::TAG_SETS, families: vec![Family::default(); Metric::ALL.len()] }
    }

    /// The same with another budget of tag sets for each metric.
    #[must_use]
    pub fn with_budget(mut self, tag_sets: usize) -> Self {
        self.budget = tag_sets;
        self
    }

    /// The time since which everything was counted.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    pub(crate) fn set_start(&mut self, start: Timestamp) {
        self.start = start;
    }

    /// Counts one.
    pub(crate) fn count(&mut self, metric: Metric, tags: TagRefs<'_>) {
        if let Point::Counter(count) = self.point(metric, tags) {
            *count += 1;
        }
    }

    /// Moves a gauge by `delta`.
    pub(crate) fn shift(&mut self, metric: Metric, tags: TagRefs<'_>, delta: i64) {
        if let Point::Gauge(value) = self.point(metric, tags) {
            *value += delta;
        }
    }

    /// Records a duration.
    pub(crate) fn record(&mut self, metric: Metric, tags: TagRefs<'_>, duration: Duration) {
        if let Point::Histogram(histogram) = self.point(metric, tags) {
            histogram.record(duration);
        }
    }

    /// Sets a gauge that tells the last observation of many, unless a later one is known.
    pub(crate) fn set(&mut self, metric: Metric, tags: TagRefs<'_>, at: Timestamp, value: u64) {
        if let Point::Last(last, old) = self.point(metric, tags)
            && (*last, *old) < (at, value)
        {
            (*last, *old) = (at, value);
        }
    }

    /// Begins all series of a gauge anew, and returns the tags of those that were not at zero.
    pub(crate) fn restart(&mut self, metric: Metric) -> Vec<TagSet> {
        let before = std::mem::take(&mut self.families[metric as usize]);
        let told = before.series.into_iter().filter(|(_, point)| *point != Point::Gauge(0));
        told.map(|(tags, _)| tags).collect()
    }

    /// Tells a gauge as zero where it is not told, for as many series as there is room.
    pub(crate) fn zero(&mut self, metric: Metric, series: Vec<TagSet>) {
        let family = &mut self.families[metric as usize];
        for tags in series {
            if family.series.len() < self.budget {
                family.series.entry(tags).or_insert(Point::Gauge(0));
            }
        }
    }

    /// The same metrics without these tags: series that differ in nothing else become one, of which counts are the sum,
    /// [`Point::Gauge`] as well, and [`Point::Last`] is the latest.
    #[must_use]
    pub fn without_tags(&self, disabled: impl Fn(&str) -> bool) -> Self {
        let mut metrics = self.clone();
        for (family, metric) in metrics.families.iter_mut().zip(Metric::ALL) {
            let tags = metric.definition().tags;
            if !tags.iter().any(|tag| disabled(tag)) {
                continue;
            }
            for (mut key, point) in std::mem::take(&mut family.series) {
                key.clear(tags.iter().map(|tag| disabled(tag)));
                match family.series.entry(key) {
                    Entry::Occupied(entry) => entry.into_mut().merge(&point),
                    Entry::Vacant(entry) => drop(entry.insert(point)),
                }
            }
        }
        metrics
    }

    fn point(&mut self, metric: Metric, tags: TagRefs<'_>) -> &mut Point {
        let family = &mut self.families[metric as usize];
        let fresh = || match metric.definition().kind {
            Kind::Counter => Point::Counter(0),
            Kind::Gauge | Kind::UpDownCounter => Point::Gauge(0),
            Kind::Last => Point::Last(Timestamp::MIN, 0),
            Kind::Histogram => Point::Histogram(Box::default()),
        };
        let full = family.series.len() >= self.budget;
        match family.series.entry_ref(&tags) {
            EntryRef::Occupied(entry) => entry.into_mut(),
            EntryRef::Vacant(_) if full => {
                family.folded += 1;
                family.overflow.get_or_insert_with(fresh)
            }
            EntryRef::Vacant(entry) => entry.insert_with_key(TagSet::from(&tags), fresh()),
        }
    }

    /// Every series: metrics in the catalogue's order, series in the order of their tags, the overflow last.
    pub fn series(&self) -> impl Iterator<Item = Series<'_>> {
        self.families.iter().zip(Metric::ALL).flat_map(|(family, metric)| {
            let mut series: Vec<_> = family.series.iter().collect();
            series.sort_by(|a, b| a.0.cmp(b.0));
            let overflow = family.overflow.as_ref().map(|point| (None, point));
            series
                .into_iter()
                .map(|(tags, point)| (Some(tags), point))
                .chain(overflow)
                .map(|(tags, point)| Series { metric: *metric, tags, point })
        })
    }

    /// Whether a metric has no series.
    pub fn is_empty(&self, metric: Metric) -> bool {
        let family = &self.families[metric as usize];
        family.series.is_empty() && family.overflow.is_none()
    }

    /// How many observations of a metric went to its overflow series.
    pub fn folded(&self, metric: Metric) -> u64 {
        self.families[metric as usize].folded
    }

    /// The value of one series, by the tags in the order of the catalogue (`""` for a tag that is not there).
    pub fn get(&self, metric: Metric, tags: &[&str]) -> Option<&Point> {
        self.families[metric as usize].series.get(&TagRefs::new(tags.iter().map(|tag| Some(*tag))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(dag: &str) -> TagRefs<'_> {
        TagRefs::new([Some(dag), Some("t")])
    }

    #[test]
    fn the_overflow_series_holds_the_rest() {
        let mut metrics = Metrics::new(Timestamp::MIN).with_budget(3);
        for dag in ["a", "b", "c", "d", "e", "a"] {
            metrics.count(Metric::TiStart, tags(dag));
        }
        let all: Vec<_> = metrics.series().map(|s| (s.tags.is_some(), s.point.clone())).collect();
        let one = |n| (true, Point::Counter(n));
        assert_eq!(all, [one(2), one(1), one(1), (false, Point::Counter(2))]);
        assert_eq!(metrics.folded(Metric::TiStart), 2);
    }

    #[test]
    fn can_be_saved_and_restored() {
        let mut metrics = Metrics::new(Timestamp::from_millis(5));
        metrics.count(Metric::TiStart, tags("a"));
        metrics.shift(Metric::DagRunActive, tags("a"), -2);
        metrics.record(Metric::TaskDuration, tags("a"), Duration::from_millis(8));
        metrics.set(Metric::TaskMemoryPeak, tags("a"), Timestamp::from_millis(1), 7);
        let saved = serde_json::to_string(&metrics).unwrap();
        let restored: Metrics = serde_json::from_str(&saved).unwrap();
        assert_eq!(restored, metrics);
    }

    #[test]
    fn series_that_differ_in_a_disabled_tag_become_one() {
        let mut metrics = Metrics::new(Timestamp::MIN);
        for dag in ["a", "b", "b"] {
            metrics.count(Metric::TiStart, tags(dag));
            metrics.shift(Metric::DagRunActive, TagRefs::new([Some(dag)]), 1);
            metrics.record(Metric::TaskDuration, tags(dag), Duration::from_secs(dag.as_bytes()[0].into()));
        }
        metrics.set(Metric::TaskMemoryPeak, tags("a"), Timestamp::from_millis(2), 7);
        metrics.set(Metric::TaskMemoryPeak, tags("b"), Timestamp::from_millis(1), 9);
        let fewer = metrics.without_tags(|tag| tag == "dag_id");
        let merged: Vec<_> = fewer.series().map(|series| (series.metric, series.point.clone())).collect();
        let Point::Histogram(durations) = &merged[1].1 else { panic!("{merged:?}") };
        assert_eq!((durations.count(), durations.sum()), (3, 293.0));
        assert_eq!((durations.min(), durations.max()), (Some(97.0), Some(98.0)));
        assert_eq!(merged.len(), 4);
        assert_eq!(merged[0], (Metric::TiStart, Point::Counter(3)));
        assert_eq!(merged[2], (Metric::DagRunActive, Point::Gauge(3)));
        assert_eq!(merged[3], (Metric::TaskMemoryPeak, Point::Last(Timestamp::from_millis(2), 7)));
        assert_eq!(fewer.get(Metric::TiStart, &["", "t"]), Some(&Point::Counter(3)));
        assert_eq!(metrics.without_tags(|_| false), metrics);
    }

    #[test]
    fn an_absent_tag_and_an_empty_one_are_the_same_series() {
        let mut metrics = Metrics::new(Timestamp::MIN);
        metrics.count(Metric::TiStart, TagRefs::new([Some("d"), Some("t"), Some("")]));
        metrics.count(Metric::TiStart, TagRefs::new([Some("d"), Some("t"), None]));
        assert_eq!(metrics.get(Metric::TiStart, &["d", "t"]), Some(&Point::Counter(2)));
    }
}
