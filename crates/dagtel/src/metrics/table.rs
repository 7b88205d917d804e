//! The series of the metrics that engines report.
//!
//! They are kept here and not in the SDK, which never forgets a tag set of a synchronous instrument, so that a gauge
//! could not end, and which looks tags up by hashing them as key-values at every call. Sums and gauges are read by the
//! SDK's observable instruments; of those it exports what was observed in that reading and nothing else. Only the
//! buckets of histograms are the SDK's, for want of an observable histogram.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dagtel_core::catalog::metric::{BOUNDS, Definition, Kind};
use dagtel_core::catalog::naming::Naming;
use dagtel_core::catalog::registry::{Offered, own};
use dagtel_core::guard::Guard;
use dagtel_core::limits;
use dagtel_core::value::SmolStr;
use dagtel_otlp::Identity;
use hashbrown::{Equivalent, HashMap};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter};

use crate::instruments::key_value;

/// The most tags that a metric of the registry has.
const MOST_TAGS: usize = 5;

type Families = Arc<[OnceLock<Option<Arc<Family>>>]>;

/// All metrics that engines report. An instrument is made when its metric is asked for the first time.
#[derive(Debug)]
pub(crate) struct Registry {
    families: Families,
    meter: Meter,
    prefix: SmolStr,
    naming: Naming,
    /// Tags of every point.
    tags: Vec<KeyValue>,
    guard: Guard,
}

impl Registry {
    pub(crate) fn new(meter: Meter, identity: &Identity, guard: Guard) -> Self {
        let families: Families = Offered::ALL.iter().map(|_| OnceLock::new()).collect();
        observe_folded(&meter, families.clone());
        let mut tags: Vec<KeyValue> = Vec::new();
        for tag in identity.tags.iter().map(key_value) {
            // Of two with one key the first counts, as on the points of the fold.
            if tags.iter().all(|known| known.key != tag.key) {
                tags.push(tag);
            }
        }
        let (prefix, naming) = (identity.prefix.clone(), identity.naming.clone());
        Self { families, meter, prefix, naming, tags, guard }
    }

    /// The series with these values of the metric's tags, in their order; `""` for a tag that is not there. `None` when the
    /// deployment does not want the metric.
    pub(super) fn series(&self, metric: Offered, values: &[&str]) -> Option<Arc<Series>> {
        let family = self.families[metric as usize].get_or_init(|| self.family(metric.definition()));
        Some(family.as_ref()?.series(values))
    }

    fn family(&self, definition: &'static Definition) -> Option<Arc<Family>> {
        if !self.naming.filter.admits(definition.name) {
            return None;
        }
        let name = [&*self.prefix, definition.name].concat();
        let (scale, unit) = match self.naming.milliseconds && definition.kind == Kind::Histogram {
            true => (1e3, "ms"),
            false => (1.0, definition.unit),
        };
        let histogram = (definition.kind == Kind::Histogram).then(|| {
            let histogram = self.meter.f64_histogram(name.clone()).with_unit(unit);
            let bounds = BOUNDS.iter().map(|bound| bound * scale).collect();
            histogram.with_description(definition.description).with_boundaries(bounds).build()
        });
        let family = Arc::new(Family {
            definition,
            enabled: definition.tags.iter().map(|tag| self.naming.has_tag(tag)).collect(),
            tags: self.tags.clone(),
            guard: self.guard.clone(),
            histogram,
            scale,
            table: RwLock::default(),
            folded: AtomicU64::new(0),
        });
        observe(&self.meter, name, family.clone());
        Some(family)
    }
}

/// One metric.
#[derive(Debug)]
struct Family {
    definition: &'static Definition,
    /// Of each tag, whether it is carried.
    enabled: Vec<bool>,
    tags: Vec<KeyValue>,
    guard: Guard,
    histogram: Option<Histogram<f64>>,
    /// How many of the histogram's unit are a second.
    scale: f64,
    table: RwLock<Table>,
    folded: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    series: HashMap<Key, Arc<Series>>,
    overflow: Option<Arc<Series>>,
}

/// One series: what handles point to.
#[derive(Debug)]
pub(crate) struct Series {
    tags: Vec<KeyValue>,
    /// Whether a gauge was set and has not ended since.
    pub(super) live: AtomicBool,
    /// An integer, or the bits of a double.
    pub(super) value: AtomicU64,
    histogram: Option<Histogram<f64>>,
    scale: f64,
}

impl Series {
    pub(super) fn record(&self, seconds: f64) {
        if let Some(histogram) = &self.histogram {
            histogram.record(seconds * self.scale, &self.tags);
        }
    }
}

impl Family {
    fn series(&self, values: &[&str]) -> Arc<Series> {
        let mut tags = [""; MOST_TAGS];
        for ((tag, value), _) in
            tags.iter_mut().zip(values).zip(&self.enabled).filter(|(_, enabled)| **enabled)
        {
            *tag = limits::clip(value, limits::TAG_BYTES);
        }
        let tags = Tags(tags);
        if let Some(known) = self.read().series.get(&tags) {
            return known.clone();
        }
        self.add(tags)
    }

    #[cold]
    fn add(&self, tags: Tags<'_>) -> Arc<Series> {
        let masked = tags.0.map(|tag| self.guard.redact(tag));
        let tags = Tags(masked.each_ref().map(|tag| &**tag));
        let mut table = self.write();
        if let Some(known) = table.series.get(&tags) {
            // Another thread was faster.
            return known.clone();
        }
        if table.series.len() >= limits::TAG_SETS {
            self.folded.fetch_add(1, Ordering::Relaxed);
            let fresh = || self.fresh(vec![KeyValue::new("overflow", "true")]);
            return table.overflow.get_or_insert_with(fresh).clone();
        }
        let known = self.definition.tags.iter().zip(tags.0).filter(|(_, value)| !value.is_empty());
        let series = self.fresh(known.map(|(tag, value)| KeyValue::new(*tag, value.to_owned())).collect());
        table.series.insert(Key(tags.0.map(SmolStr::new)), series.clone());
        series
    }

    fn fresh(&self, mut tags: Vec<KeyValue>) -> Arc<Series> {
        let own = tags.len();
        for tag in &self.tags {
            if tags[..own].iter().all(|known| known.key != tag.key) {
                tags.push(tag.clone());
            }
        }
        Arc::new(Series {
            tags,
            // A counter is there from its first handle on, at 0, so that its first step is seen.
            live: AtomicBool::new(self.definition.kind != Kind::Gauge),
            value: AtomicU64::new(0),
            histogram: self.histogram.clone(),
            scale: self.scale,
        })
    }

    /// Tells every series that is live, and forgets those that ended and have no handle.
    fn tell(&self, tell: impl Fn(u64, &[KeyValue])) {
        if self.definition.kind == Kind::Gauge {
            let kept = |series: &mut Arc<Series>| {
                series.live.load(Ordering::Acquire) || Arc::strong_count(series) > 1
            };
            self.write().series.retain(|_, series| kept(series));
        }
        let table = self.read();
        let live = |series: &&Arc<Series>| series.live.load(Ordering::Acquire);
        for series in table.series.values().chain(&table.overflow).filter(live) {
            tell(series.value.load(Ordering::Relaxed), &series.tags);
        }
    }

    // No code that runs under the lock panics.
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the instrument that reads a sum or a gauge.
fn observe(meter: &Meter, name: String, family: Arc<Family>) {
    let Definition { kind, unit, description, .. } = *family.definition;
    macro_rules! instrument {
        ($instrument:ident, $value:expr) => {
            drop(
                meter
                    .$instrument(name)
                    .with_unit(unit)
                    .with_description(description)
                    .with_callback(move |observer: &dyn AsyncInstrument<_>| {
                        family.tell(|value, tags| observer.observe($value(value), tags));
                    })
                    .build(),
            )
        };
    }
    match (kind, unit) {
        (Kind::Counter, _) => instrument!(u64_observable_counter, |value: u64| value),
        (Kind::UpDownCounter, _) => instrument!(i64_observable_up_down_counter, u64::cast_signed),
        (Kind::Gauge, "s") => instrument!(f64_observable_gauge, f64::from_bits),
        (Kind::Gauge, _) => instrument!(i64_observable_gauge, u64::cast_signed),
        _ => {}
    }
}

/// `dagtel.cardinality.folded`, for the metrics that went over their budget.
fn observe_folded(meter: &Meter, families: Families) {
    meter
        .u64_observable_counter(own::CARDINALITY_FOLDED.name)
        .with_unit(own::CARDINALITY_FOLDED.unit)
        .with_description(own::CARDINALITY_FOLDED.description)
        .with_callback(move |observer| {
            for family in families.iter().filter_map(|family| family.get()?.as_ref()) {
                let folded = family.folded.load(Ordering::Relaxed);
                if folded > 0 {
                    observer.observe(folded, &[KeyValue::new("metric", family.definition.name)]);
                }
            }
        })
        .build();
}

/// The values of a series' tags, in the order of the definition.
#[derive(Debug, PartialEq, Eq)]
struct Key([SmolStr; MOST_TAGS]);

/// A [`Key`] that borrows.
struct Tags<'a>([&'a str; MOST_TAGS]);

// Both hash alike, as `Equivalent` asks for.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.0.iter().map(SmolStr::as_str), state);
    }
}

impl Hash for Tags<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.0.iter().copied(), state);
    }
}

/// Tags that are not there cost nothing, and no end of a text is marked: whatever hashes alike is still compared.
fn hash<'a, H: Hasher>(tags: impl Iterator<Item = &'a str>, state: &mut H) {
    tags.filter(|tag| !tag.is_empty()).for_each(|tag| state.write(tag.as_bytes()));
}

impl Equivalent<Key> for Tags<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0.iter().zip(&key.0).all(|(a, b)| *a == b.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_metric_has_more_tags_than_a_key() {
        let most = Offered::ALL.iter().map(|metric| metric.definition().tags.len()).max();
        assert_eq!(most, Some(MOST_TAGS));
    }
}
