//! Metric series: of each one, the latest value.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{Metric, NumberDataPoint, ResourceMetrics, metric::Data, number_data_point},
};

use super::{
    distribution::Distribution,
    value::{bounded, find_text, to_text},
};

/// Series kept; later ones are counted and dropped.
pub(crate) const MAX_SERIES: usize = 5_000;

/// Tags kept of one series.
const MAX_TAGS: usize = 64;

/// Resource attributes that tell two senders apart.
const IDENTITY: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];

/// All series, by metric name.
#[derive(Debug, Default)]
pub(crate) struct SeriesTable {
    pub(super) metrics: BTreeMap<String, MetricSeries>,
    pub(super) count: usize,
    /// Points of series beyond [`MAX_SERIES`].
    pub(super) beyond: usize,
}

/// The series of one metric.
#[derive(Debug, Default)]
pub(crate) struct MetricSeries {
    pub(super) unit: String,
    pub(super) series: BTreeMap<Tags, Point>,
}

/// What tells a series from the others: its own tags and the sender's identity, sorted by name.
pub(crate) type Tags = BTreeMap<String, String>;

/// The latest value of a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(super) time: u64,
    pub(super) value: Measured,
}

/// A number or a distribution.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Measured {
    /// No value was recorded.
    Nothing,
    Int(i64),
    Double(f64),
    Distribution(Distribution),
}

impl SeriesTable {
    pub(crate) fn add(&mut self, request: &ExportMetricsServiceRequest) {
        for resource in &request.resource_metrics {
            let identity = identity(resource);
            for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                for (attributes, point) in points(metric) {
                    self.put(metric, tags(&identity, attributes), point);
                }
            }
        }
    }

    fn put(&mut self, metric: &Metric, tags: Tags, point: Point) {
        let name = bounded(&metric.name);
        let full = self.count >= MAX_SERIES;
        let known = self.metrics.get_mut(&name).and_then(|of_name| of_name.series.get_mut(&tags));
        match known {
            Some(known) if point.time >= known.time => *known = point,
            Some(_) => {}
            None if full => self.beyond += 1,
            None => {
                let of_name = self.metrics.entry(name).or_default();
                of_name.unit = bounded(&metric.unit);
                of_name.series.insert(tags, point);
                self.count += 1;
            }
        }
    }
}

fn identity(resource: &ResourceMetrics) -> Tags {
    let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
    IDENTITY.iter().filter_map(|key| Some(((*key).to_owned(), find_text(attributes, key)?))).collect()
}

fn tags(identity: &Tags, attributes: &[KeyValue]) -> Tags {
    let own = attributes.iter().take(MAX_TAGS).map(|pair| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
        (bounded(&pair.key), value.map_or_else(String::new, to_text))
    });
    identity.clone().into_iter().chain(own).collect()
}

type Measurement<'a> = (&'a [KeyValue], Point);

fn points(metric: &Metric) -> Vec<Measurement<'_>> {
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(number).collect(),
        Some(Data::Sum(sum)) => sum.data_points.iter().map(number).collect(),
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter();
            points.map(|p| spread(&p.attributes, p.time_unix_nano, Distribution::explicit(p))).collect()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let points = histogram.data_points.iter();
            points.map(|p| spread(&p.attributes, p.time_unix_nano, Distribution::exponential(p))).collect()
        }
        Some(Data::Summary(summary)) => {
            let points = summary.data_points.iter();
            points.map(|p| spread(&p.attributes, p.time_unix_nano, Distribution::summary(p))).collect()
        }
        None => Vec::new(),
    }
}

fn number(point: &NumberDataPoint) -> Measurement<'_> {
    let value = match point.value {
        Some(number_data_point::Value::AsInt(number)) => Measured::Int(number),
        Some(number_data_point::Value::AsDouble(number)) => Measured::Double(number),
        None => Measured::Nothing,
    };
    (&point.attributes, Point { time: point.time_unix_nano, value })
}

fn spread(attributes: &[KeyValue], time: u64, distribution: Distribution) -> Measurement<'_> {
    (attributes, Point { time, value: Measured::Distribution(distribution) })
}
