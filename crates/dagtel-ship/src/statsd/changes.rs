//! What a frame says beyond what was told before, as lines.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, HistogramDataPoint, NumberDataPoint, metric::Data, number_data_point,
};
use prost::Message as _;

use super::Statsd;
use super::counted::{Change, Count, Counted, Key, Known, Since, key};
use super::name::{Name, names};
use super::timing::{Bucket, Values, values};

/// The flag of a point that has no value (`DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`).
const NO_VALUE: u32 = 1;

/// What is to be told of a series.
#[derive(Debug, PartialEq)]
pub(super) struct Item {
    /// Lines without an end of line behind the last; `""` when nothing came.
    pub(super) lines: String,
    /// What is to be kept once they are sent.
    pub(super) change: Change,
}

/// What a frame comes to.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) items: Vec<Item>,
    /// Points that StatsD has no way to tell, by reason.
    pub(super) untold: BTreeMap<&'static str, u64>,
}

/// A sum, as points of it are to be told.
#[derive(Clone, Copy)]
struct Sum {
    delta: bool,
    monotonic: bool,
}

impl Changes {
    pub(super) fn of(body: &Bytes, to: &Statsd, counted: &mut Counted) -> Result<Self, prost::DecodeError> {
        let request = ExportMetricsServiceRequest::decode(body.clone())?;
        let mut reading = Reading { to, counted, sooner: HashMap::new(), changes: Self::default() };
        for metrics in request.resource_metrics {
            let mut instance = tags(&metrics.resource.unwrap_or_default().attributes);
            instance.sort();
            let instance = key(instance.iter().flat_map(|(key, value)| [&**key, &**value]));
            for metric in metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                let of = Metric { instance, name: &metric.name, unit: &metric.unit };
                reading.metric(of, metric.data);
            }
        }
        Ok(reading.changes)
    }
}

#[derive(Clone, Copy)]
struct Metric<'a> {
    instance: Key,
    name: &'a str,
    unit: &'a str,
}

struct Reading<'a> {
    to: &'a Statsd,
    counted: &'a mut Counted,
    /// What an export earlier in the same frame said: it is told, but not kept yet.
    sooner: HashMap<(Key, Key), Since>,
    changes: Changes,
}

impl Reading<'_> {
    fn metric(&mut self, of: Metric<'_>, data: Option<Data>) {
        match data {
            Some(Data::Gauge(gauge)) => gauge.data_points.iter().for_each(|point| self.gauge(of, point)),
            Some(Data::Sum(sum)) => {
                let how = Sum { delta: is_delta(sum.aggregation_temporality), monotonic: sum.is_monotonic };
                sum.data_points.iter().for_each(|point| self.sum(of, point, how));
            }
            Some(Data::Histogram(histogram)) => {
                let delta = is_delta(histogram.aggregation_temporality);
                histogram.data_points.iter().for_each(|point| self.histogram(of, point, delta));
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let delta = is_delta(histogram.aggregation_temporality);
                for point in histogram.data_points {
                    // As one bucket: what is left of it is count, sum, and the mean.
                    let single = HistogramDataPoint {
                        bucket_counts: vec![point.count],
                        attributes: point.attributes,
                        start_time_unix_nano: point.start_time_unix_nano,
                        time_unix_nano: point.time_unix_nano,
                        count: point.count,
                        sum: point.sum,
                        min: point.min,
                        max: point.max,
                        ..HistogramDataPoint::default()
                    };
                    self.histogram(of, &single, delta);
                }
            }
            Some(Data::Summary(summary)) => self.untold("summary", summary.data_points.len() as u64),
            None => {}
        }
    }

    fn gauge(&mut self, of: Metric<'_>, point: &NumberDataPoint) {
        let Some(number) = number(point) else { return self.untold("not_a_number", 1) };
        let Some(names) = self.names(of, &point.attributes, true) else { return };
        let mut lines = Lines::default();
        for name in &names {
            if number.starts_with('-') {
                lines.add(name, "0|g");
            }
            lines.add(name, &format!("{number}|g"));
        }
        self.tell(lines, None);
    }

    fn sum(&mut self, of: Metric<'_>, point: &NumberDataPoint, how: Sum) {
        let Some(names) = self.names(of, &point.attributes, false) else { return };
        let now = match point.value {
            Some(number_data_point::Value::AsInt(value)) => Count::Int(value),
            Some(number_data_point::Value::AsDouble(value)) if value.is_finite() => Count::Float(value),
            _ => return self.untold("not_a_number", 1),
        };
        let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
        let series = self.series(of, &point.attributes, time);
        // A sum that only grows and is less than it was, or counts anew, was reset.
        let came = match (&now, if how.delta { Told::Nothing } else { self.told(series, start, time) }) {
            (_, Told::Before) => String::new(),
            (Count::Int(now), Told::Last(Since { start: then, count: Count::Int(last) }))
                if !how.monotonic || (then == start && *now >= last) =>
            {
                changed(now.wrapping_sub(last))
            }
            (Count::Float(now), Told::Last(Since { start: then, count: Count::Float(last) }))
                if !how.monotonic || (then == start && *now >= last) =>
            {
                changed(now - last)
            }
            (Count::Int(now), _) => changed(*now),
            (Count::Float(now), _) => changed(*now),
            (Count::Histogram { .. }, _) => String::new(),
        };
        let mut lines = Lines::default();
        if !came.is_empty() {
            names.iter().for_each(|name| lines.add(name, &format!("{came}|c")));
        }
        self.tell(lines, (!how.delta).then_some((series, Since { start, count: now })));
    }

    fn histogram(&mut self, of: Metric<'_>, point: &HistogramDataPoint, delta: bool) {
        let Some(names) = self.names(of, &point.attributes, false) else { return };
        let Some(sum) = point.sum.filter(|sum| sum.is_finite()) else { return self.untold("no_sum", 1) };
        let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
        let series = self.series(of, &point.attributes, time);
        let buckets = &point.bucket_counts;
        let (came, sum_came) = match if delta { Told::Nothing } else { self.told(series, start, time) } {
            Told::Before => (vec![0; buckets.len()], 0.0),
            Told::Last(Since {
                start: then,
                count: Count::Histogram { count, sum: last, buckets: before },
            }) if then == start && point.count >= count && before.len() == buckets.len() => {
                let came = buckets.iter().zip(&before).map(|(now, last)| now.saturating_sub(*last));
                (came.collect(), sum - last)
            }
            _ => (buckets.clone(), sum),
        };
        let lines = observed(&names, of.unit, point, &came, sum_came);
        let count = Count::Histogram { count: point.count, sum, buckets: buckets.clone() };
        self.tell(lines, (!delta).then_some((series, Since { start, count })));
    }

    fn names(&mut self, of: Metric<'_>, attributes: &[KeyValue], is_gauge: bool) -> Option<Vec<Name>> {
        match names(self.to, of.name, is_gauge, &tags(attributes)) {
            Ok(names) => Some(names),
            Err(reason) => {
                self.untold(reason, 1);
                None
            }
        }
    }

    fn series(&mut self, of: Metric<'_>, attributes: &[KeyValue], time: u64) -> (Key, Key) {
        self.counted.saw(of.instance, time);
        let mut tags = tags(attributes);
        tags.sort();
        let parts = tags.iter().flat_map(|(key, value)| [&**key, &**value]);
        (of.instance, key(std::iter::once(of.name).chain(parts)))
    }

    fn told(&self, series: (Key, Key), start: u64, time: u64) -> Told {
        if let Some(sooner) = self.sooner.get(&series) {
            return Told::Last(sooner.clone());
        }
        match self.counted.known(series, start, time) {
            Known::New => Told::Nothing,
            Known::Old => Told::Before,
            Known::Told(since) => Told::Last(since.clone()),
        }
    }

    fn tell(&mut self, lines: Lines, change: Change) {
        if let Some((series, since)) = &change {
            self.sooner.insert(*series, since.clone());
        }
        if !lines.0.is_empty() || change.is_some() {
            self.changes.items.push(Item { lines: lines.0, change });
        }
    }

    fn untold(&mut self, reason: &'static str, points: u64) {
        *self.changes.untold.entry(reason).or_default() += points;
    }
}

/// What was told of a series.
enum Told {
    Nothing,
    /// Nothing, but what it counts came before this daemon was told anything.
    Before,
    Last(Since),
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &Name, value: &str) {
        let end = if self.0.is_empty() { "" } else { "\n" };
        // Writing to a text does not fail.
        let _ = write!(self.0, "{end}{}:{value}{}", name.name, name.tags);
    }
}

fn observed(names: &[Name], unit: &str, point: &HistogramDataPoint, came: &[u64], sum: f64) -> Lines {
    let (kind, scale) = match unit {
        "s" => ("ms", 1e3),
        "ms" => ("ms", 1.0),
        _ => ("h", 1.0),
    };
    let mut lines = Lines::default();
    let count: u64 = came.iter().sum();
    let told = match count {
        0 => return lines,
        // A double's noise is taken off where the value is known: a clock has nanoseconds.
        1 => vec![Values { value: (sum * scale * 1e6).round() / 1e6, count }],
        _ => {
            let buckets: Vec<_> =
                (0..).zip(came).map(|(place, count)| bucket(point, place, *count)).collect();
            let scaled = |values: Values| Values { value: values.value * scale, ..values };
            values(&buckets, sum).into_iter().map(scaled).collect()
        }
    };
    for name in names {
        told.iter().flat_map(|values| values.lines(kind)).for_each(|line| lines.add(name, &line));
    }
    lines
}

/// A bucket between its bounds, as far as the least and the greatest value do not bound it closer.
fn bucket(point: &HistogramDataPoint, place: usize, count: u64) -> Bucket {
    let bounds = &point.explicit_bounds;
    let below = place.checked_sub(1).and_then(|before| bounds.get(before)).copied();
    let (low, high) = (point.min.unwrap_or(0.0), point.max.unwrap_or(f64::INFINITY));
    let least = below.map_or(low, |below| below.max(low));
    let most = bounds.get(place).copied().unwrap_or(f64::INFINITY).min(high);
    let most = if most.is_finite() { most.max(least) } else { least };
    Bucket { least, most, count }
}

fn is_delta(temporality: i32) -> bool {
    temporality == AggregationTemporality::Delta as i32
}

/// A change as it is written; `""` for none.
fn changed<N: PartialEq + Default + ToString>(by: N) -> String {
    if by == N::default() { String::new() } else { by.to_string() }
}

fn number(point: &NumberDataPoint) -> Option<String> {
    match point.value.filter(|_| point.flags & NO_VALUE == 0)? {
        number_data_point::Value::AsInt(value) => Some(value.to_string()),
        number_data_point::Value::AsDouble(value) => value.is_finite().then(|| value.to_string()),
    }
}

/// Attributes of plain values, in their order.
fn tags(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => Some(text.clone()),
        Value::BoolValue(value) => Some(value.to_string()),
        Value::IntValue(value) => Some(value.to_string()),
        Value::DoubleValue(value) => Some(value.to_string()),
        _ => None,
    };
    let tag = |attribute: &KeyValue| {
        Some((attribute.key.clone(), text(attribute.value.as_ref()?.value.as_ref()?)?))
    };
    attributes.iter().filter_map(tag).collect()
}

#[cfg(test)]
mod tests;
